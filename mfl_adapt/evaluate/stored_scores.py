"""Reads back what an evaluation wrote, for comparisons."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn

from mfl_adapt.errors import DataError
from mfl_adapt.evaluate.causes import read_inputs
from mfl_adapt.evaluate.scores import Scores
from mfl_adapt.evaluate.settings import read_settings
from mfl_adapt.files import read_json

EVALUATION, CONFIG = "evaluation.json", "config.yaml"


@dataclass(frozen=True, slots=True)
class StoredScores:
    """The evaluation of one run, as far as a comparison needs it.

    Attributes:
        name: As the user typed it.
        adapted: Scores of the adapted model by scene.
        frozen: Scores of the frozen base by scene.
        digests: By scene, of the held-out pictures; they tell whether two runs were scored on the
            same ones.
        fingerprint: Of the whole dataset.
        scenes_held_out: False if the run trained on these scenes, on other views of them.
        settings: Dotted key to value, of what decides a run; None if nobody knows.
        inputs: What else decided it, by section of the adapter's passport; None if nobody knows.
        retention: As it was written; empty if nothing was.
        groups: Names of cameras, sessions and animals, as they were written; likewise.
    """

    name: str
    adapted: Mapping[str, Scores]
    frozen: Mapping[str, Scores]
    digests: Mapping[str, str]
    fingerprint: str
    scenes_held_out: bool = True
    settings: Mapping[str, Any] | None = None
    inputs: Mapping[str, Any] | None = None
    retention: Mapping[str, Any] = field(default_factory=dict)
    groups: Mapping[str, Any] = field(default_factory=dict)


def read_scores(path: Path) -> StoredScores:
    """Read the evaluation of a run.

    Args:
        path: Run folder, or a file that ``mfl-adapt evaluate RUN --json`` printed.

    Raises:
        DataError: If there is none, or it is none of this version's.
        ConfigError: If the run's configuration cannot be read.
        AdapterError: If its adapter cannot be read.
    """
    file = path / EVALUATION if path.is_dir() else path
    if not file.is_file():
        raise DataError(
            f"{file}: expected the evaluation of a finished run, got no such file. Name a run "
            "folder, or a file that mfl-adapt evaluate RUN --json printed."
        )
    found = read_json(file, holds="scores", advice="Evaluate the run again.")
    tables = _part(found, "per_scene", file)
    per_scene = {
        row: {scene: _read_one(one, file) for scene, one in _part(tables, row, file).items()}
        for row in ("adapted", "frozen base")
    }
    digests = {str(scene): str(one) for scene, one in _part(found, "digests", file).items()}
    for key, kind in (("fingerprint", str), ("scenes_held_out", bool)):
        if not isinstance(_get(found, key, file), kind):
            _refuse(file, f"{key} that is {_word(found[key])}")
    scenes = [set(digests), *(set(one) for one in per_scene.values())]
    if not scenes[0] or scenes[0] != scenes[1] or scenes[0] != scenes[2]:
        _refuse(file, "other scenes in one table than in another")
    config, retention, groups = path / CONFIG, found.get("retention"), found.get("groups")
    is_run = path.is_dir() and config.is_file()
    return StoredScores(
        name=str(path),
        adapted=per_scene["adapted"],
        frozen=per_scene["frozen base"],
        digests=digests,
        fingerprint=found["fingerprint"],
        scenes_held_out=found["scenes_held_out"],
        settings=read_settings(config) if is_run else None,
        inputs=read_inputs(path) if is_run else None,
        retention=retention if isinstance(retention, Mapping) else {},
        groups=groups if isinstance(groups, Mapping) else {},
    )


def check_run(path: Path) -> None:
    """Raise unless a path is the folder of a run.

    Raises:
        DataError: If it is not.
    """
    if (path / CONFIG).is_file():
        return
    got = "no such folder" if not path.exists() else f"one without {CONFIG}"
    got = got if path.is_dir() or not path.exists() else "something that is no folder"
    raise DataError(
        f"{path}: expected the folder of a run, got {got}. Name the folder that mfl-adapt train "
        "wrote."
    )


def _get(value: Any, key: str, file: Path) -> Any:
    """Return what a mapping holds.

    Raises:
        DataError: If it is none, or lacks the key.
    """
    if not isinstance(value, Mapping):
        _refuse(file, _word(value))
    if key not in value:
        _refuse(file, f"no {key!r}")
    return value[key]


def _part(value: Any, key: str, file: Path) -> Mapping[str, Any]:
    """Return a mapping that a mapping holds.

    Raises:
        DataError: If it holds none.
    """
    part = _get(value, key, file)
    if not isinstance(part, Mapping):
        _refuse(file, f"{key} that is {_word(part)}")
    return part


def _word(value: Any) -> str:
    """Say of what kind a JSON value is."""
    kinds = {bool: "true or false", int: "a number", float: "a number", str: "a text"}
    kinds |= {list: "a list", dict: "names and values"}
    return kinds.get(type(value), "null")


def _read_one(one: Any, file: Path) -> Scores:
    """Read the scores of one scene.

    Raises:
        DataError: If a value is no finite number.
    """
    names = ("psnr_db", "foreground_psnr_db", "masked_ssim", "iou")
    values = {name: _get(one, name, file) for name in names}
    for name, value in values.items():
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        if value is not None and not (is_number and math.isfinite(value)):
            _refuse(file, f"{name} {f'{value!r:.40}' if isinstance(value, str) else value}")
    full, inside, similarity = (
        math.nan if values[name] is None else float(values[name])
        for name in ("psnr_db", "foreground_psnr_db", "masked_ssim")
    )
    return Scores(full, inside, similarity, None if values["iou"] is None else float(values["iou"]))


def _refuse(file: Path, got: str) -> NoReturn:
    """Say that a file is no evaluation.

    Raises:
        DataError: Always.
    """
    raise DataError(
        f"{file}: expected the scores of every scene, got {got}. Write it again with mfl-adapt "
        "evaluate RUN --json."
    )
