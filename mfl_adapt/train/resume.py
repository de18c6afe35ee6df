"""Going on with a run: that it is one, that it is the same one, and where it stood."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mfl_adapt.config import IDLE_KEYS, LOCATIONS
from mfl_adapt.errors import (
    CheckpointError,
    ConfigError,
    DataError,
    MflAdaptError,
    TrainingError,
)
from mfl_adapt.files import read_json

if TYPE_CHECKING:
    from mfl_adapt.pipeline import OpenRun
    from mfl_adapt.train.inputs import Difference

log = logging.getLogger(__name__)

CONFIG, IDENTITY, FINISHED = "config.yaml", "identity.json", "evaluation.json"

# What may change when a run goes on: names, places and what is shown. Data and weights are
# compared by their hashes, so that they may lie elsewhere.
_FREE = (*(f"config.{key}" for key in (*IDLE_KEYS, *LOCATIONS)), "config.train.save_dtype")
_SOFT = ("environment", "plugins")
"""What may differ with a warning: the numbers may differ in their last bits."""
_SHOWN = 3


def find_run(path: Path) -> Path:
    """Return the configuration of a run that can go on.

    Raises:
        TrainingError: If there is no run, or it is finished.
    """
    if not path.is_dir():
        raise TrainingError(
            f"train.resume: expected the folder of a run, got {path}, which does not exist or is "
            "no folder. Check the path; nothing was trained."
        )
    if not (path / CONFIG).is_file():
        raise TrainingError(
            f"train.resume: expected the folder of a run, got {path} without {CONFIG}. Name the "
            "folder that holds config.yaml and checkpoints; nothing was trained."
        )
    if (path / FINISHED).exists():
        raise TrainingError(
            f"train.resume: expected a run with steps left, got {path}, which is finished and "
            f"evaluated. Its adapter is in {path / 'adapter'}; begin a new run to train longer."
        )
    return path / CONFIG


def read_identity(run: Path) -> dict[str, Any]:
    """Return what ``identify`` said when a run began.

    Raises:
        TrainingError: If that is not there, or damaged.
    """
    try:
        found = read_json(run / IDENTITY)
    except MflAdaptError as error:
        raise TrainingError(
            f"train.resume: expected a checkpoint in {run}, or {IDENTITY} of a run that has none "
            f"yet, got {error} Begin a new run."
        ) from error
    if not isinstance(found, dict):
        raise TrainingError(
            f"{run / IDENTITY}: expected what the run was made from, got something else. Begin a "
            "new run."
        )
    return found


def identify(opened: OpenRun) -> dict[str, Any]:
    """Return what decides the numbers of a run, as plain JSON values."""
    from mfl_adapt.adapter.passport import describe_base, to_json
    from mfl_adapt.data.source import hash_json
    from mfl_adapt.train.inputs import record_inputs

    inputs: dict[str, Any] = to_json(record_inputs(opened) | {"base": describe_base(opened.base)})
    # The fingerprint is the same in any order; which sample comes when is not.
    names = [sample.id for sample in opened.data.samples.pick(opened.data.split.train)]
    inputs["data"]["order"] = hash_json({"train": names})
    return inputs


def check_same(stored: Mapping[str, Any], here: Mapping[str, Any], run: Path) -> None:
    """Raise unless a run goes on with what it began with.

    Args:
        stored: What ``identify`` returned then.
        here: What it returns now.
        run: The run folder, for messages.

    Raises:
        CheckpointError: If the base is another one.
        DataError: If the data are others.
        ConfigError: If a setting that decides the numbers is another one.
    """
    from mfl_adapt.train.inputs import LATER, Difference, leaves

    then, now = LATER | dict(leaves(stored)), dict(leaves(here))
    both = [
        Difference(name, then.get(name, "nothing"), now.get(name, "nothing"))
        for name in sorted(then.keys() | now.keys())
        if not _below(name, _FREE)
    ]
    differences = [one for one in both if one.recorded != one.here]
    hard = [one for one in differences if not _below(one.name, _SOFT)]
    for kind, error in (("base", CheckpointError), ("data", DataError), ("config", ConfigError)):
        found = [one for one in hard if _below(one.name, (kind,))]
        if found:
            word = {"base": "base", "data": "data", "config": "settings"}[kind]
            raise error(
                f"train.resume: expected the {word} that {run} began with, got others: "
                f"{_list(found)}. Give it what it had, or begin a new run."
            )
    if differences:
        log.warning(
            "resume: the numbers may differ from those of an unbroken run, as %s",
            _list(differences),
        )


def deciding(identity: Mapping[str, Any]) -> dict[str, Any]:
    """Return what of an identity must be alike in all processes that train a run, by name."""
    from mfl_adapt.train.inputs import leaves

    free = (*_FREE, "environment")
    return {name: value for name, value in leaves(identity) if not _below(name, free)}


def _list(differences: list[Difference]) -> str:
    more = len(differences) - _SHOWN
    rest = f"; and {more} more" if more > 0 else ""
    return "; ".join(str(one) for one in differences[:_SHOWN]) + rest


def _below(name: str, prefixes: tuple[str, ...]) -> bool:
    return any(name == one or name.startswith(f"{one}.") for one in prefixes)
