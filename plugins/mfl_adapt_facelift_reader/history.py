"""The ``provenance.json`` that a prepared dataset carries."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from mfl_adapt.errors import DataError
from mfl_adapt.types import Provenance, Similarity

from .discover import load_json


def read_history(folder: Path, num_views: int, kept: Sequence[int]) -> tuple[Provenance, ...]:
    """Read the steps that made a sample; none where it has no ``provenance.json``.

    Args:
        folder: The sample's folder.
        num_views: Views in its camera file.
        kept: Indices of the views that are read; pixel maps of the others are left out.

    Raises:
        DataError: If the file is malformed, or has pixel maps for another number of views.
    """
    file = folder / "provenance.json"
    if not file.is_file():
        return ()
    content = load_json(file)
    try:
        steps = tuple(_step(entry) for entry in content["steps"])
    except (KeyError, TypeError, ValueError) as error:
        raise DataError(
            f"{file}: expected steps with step, params, digest, pixel_maps and world, got "
            f"{type(error).__name__} {error}. Prepare the dataset again."
        ) from error
    for step in steps:
        if len(step.pixel_maps) not in (0, num_views):
            raise DataError(
                f"{file}: expected pixel maps of {num_views} views in step {step.step}, got "
                f"{len(step.pixel_maps)}. Prepare the dataset again."
            )
    return tuple(_keep(step, kept) for step in steps)


def _keep(step: Provenance, kept: Sequence[int]) -> Provenance:
    maps = tuple(step.pixel_maps[index] for index in kept) if step.pixel_maps else ()
    return replace(step, pixel_maps=maps)


def _step(entry: dict[str, Any]) -> Provenance:
    world = entry["world"]
    return Provenance(
        step=str(entry["step"]),
        params=dict(entry["params"]),
        digest=str(entry["digest"]),
        pixel_maps=tuple(_matrix(rows) for rows in entry["pixel_maps"]),
        world=Similarity(
            scale=float(world["scale"]),
            rotation=_matrix(world["rotation"]),
            translation=_row(world["translation"]),
        ),
    )


def _matrix(rows: Any) -> tuple[tuple[float, float, float], ...]:
    first, second, third = (_row(row) for row in rows)
    return first, second, third


def _row(values: Any) -> tuple[float, float, float]:
    x, y, z = (float(value) for value in values)
    return x, y, z
