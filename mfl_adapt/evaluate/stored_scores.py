"""Reads back what an evaluation wrote, for comparisons."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn

from mfl_adapt.errors import DataError
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
        retention: As it was written; empty if nothing was.
    """

    name: str
    adapted: Mapping[str, Scores]
    frozen: Mapping[str, Scores]
    digests: Mapping[str, str]
    fingerprint: str
    scenes_held_out: bool = True
    settings: Mapping[str, Any] | None = None
    retention: Mapping[str, Any] = field(default_factory=dict)


def read_scores(path: Path) -> StoredScores:
    """Read the evaluation of a run.

    Args:
        path: Run folder, or a file that ``mfl-adapt evaluate RUN --json`` printed.

    Raises:
        DataError: If there is none, or it is none of this version's.
        ConfigError: If the run's configuration cannot be read.
    """
    file = path / EVALUATION if path.is_dir() else path
    if not file.is_file():
        raise DataError(
            f"{file}: expected the evaluation of a finished run, got no such file. Name a run "
            "folder, or a file that mfl-adapt evaluate RUN --json printed."
        )
    found = read_json(file, holds="scores", advice="Evaluate the run again.")
    try:
        per_scene = {
            row: {scene: _read_one(one) for scene, one in found["per_scene"][row].items()}
            for row in ("adapted", "frozen base")
        }
        digests = {str(scene): str(one) for scene, one in found["digests"].items()}
        fingerprint, retention = str(found["fingerprint"]), found.get("retention") or {}
        held_out = bool(found["scenes_held_out"])
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        _refuse(file, error)
    scenes = [set(digests), *(set(one) for one in per_scene.values())]
    if not scenes[0] or scenes[0] != scenes[1] or scenes[0] != scenes[2]:
        _refuse(file, "other scenes in one table than in another")
    config = path / CONFIG
    return StoredScores(
        name=str(path),
        adapted=per_scene["adapted"],
        frozen=per_scene["frozen base"],
        digests=digests,
        fingerprint=fingerprint,
        scenes_held_out=held_out,
        settings=read_settings(config) if path.is_dir() and config.is_file() else None,
        retention=retention if isinstance(retention, Mapping) else {},
    )


def _read_one(one: Any) -> Scores:
    """Read the scores of one scene.

    Raises:
        ValueError: If a value is no finite number.
    """
    values = {name: one[name] for name in ("psnr_db", "foreground_psnr_db", "masked_ssim", "iou")}
    for name, value in values.items():
        if value is not None and (isinstance(value, bool) or not isinstance(value, int | float)):
            raise ValueError(f"{name} {value!r}")
        if value is not None and not math.isfinite(value):
            raise ValueError(f"{name} {value}")
    full, inside, similarity = (
        math.nan if values[name] is None else float(values[name])
        for name in ("psnr_db", "foreground_psnr_db", "masked_ssim")
    )
    return Scores(full, inside, similarity, None if values["iou"] is None else float(values["iou"]))


def _refuse(file: Path, why: object) -> NoReturn:
    """Say that a file is no evaluation.

    Raises:
        DataError: Always.
    """
    said = f"no {why}" if isinstance(why, KeyError) else f"{why}"
    raise DataError(
        f"{file}: expected the scores of every scene, got {said}. Write it again with mfl-adapt "
        "evaluate RUN --json."
    )
