"""The ``provenance.json`` that a prepared dataset carries."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from mfl_adapt.cameras.camera_file import RIGID
from mfl_adapt.cameras.lens import check_lens
from mfl_adapt.cameras.limits import check_limits
from mfl_adapt.cameras.projection import off_rotation
from mfl_adapt.checks import is_number
from mfl_adapt.errors import DataError
from mfl_adapt.files import read_json
from mfl_adapt.types import Provenance, RawCamera, Similarity

# Schema 1 knew neither raw cameras nor orders; what it says is read as it was meant.
_NEWEST_SCHEMA = 2


def read_history(folder: Path, num_views: int) -> tuple[Provenance, ...]:
    """Read the steps that made a sample; none where it has no ``provenance.json``.

    Args:
        folder: The sample's folder.
        num_views: Views in its camera file.

    Raises:
        DataError: If the file is malformed, from a later version, or about another number of
            views.
    """
    file = folder / "provenance.json"
    if not file.is_file():
        return ()
    content = read_json(file)
    try:
        schema = _index(content.get("schema", 1))
        steps = tuple(_step(entry) for entry in content["steps"])
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise DataError(
            f"{file}: expected steps with step, params, digest, pixel_maps and world, got "
            f"{type(error).__name__} {error}. Prepare the dataset again."
        ) from error
    if schema > _NEWEST_SCHEMA:
        raise DataError(
            f"{file}: expected schema {_NEWEST_SCHEMA} or older, got {schema}. The dataset was "
            f"prepared by a later version; upgrade this one."
        )
    _check_counts(file, steps, num_views)
    return steps


def _check_counts(file: Path, steps: Sequence[Provenance], num_views: int) -> None:
    # Walk back from the finished views; an order says how many there were at least before it.
    least, exact = num_views, True
    for step in reversed(steps):
        named = {
            "pixel maps": len(step.pixel_maps),
            "raw cameras": len(step.raw_cameras),
            "an order": len(step.order),
        }
        for what, count in named.items():
            if count and (count < least or (exact and count != least)):
                raise DataError(
                    f"{file}: expected {what} of {least} views in step {step.step}, got {count}. "
                    f"Prepare the dataset again."
                )
        if step.order:
            if min(step.order) < 0 or len(set(step.order)) < len(step.order):
                raise DataError(
                    f"{file}: expected an order of different views in step {step.step}, got "
                    f"{list(step.order)}. Prepare the dataset again."
                )
            least, exact = max(step.order) + 1, False


def _step(entry: Mapping[str, Any]) -> Provenance:
    world = entry["world"]
    return Provenance(
        step=_text(entry["step"]),
        params=dict(entry["params"]),
        digest=_text(entry["digest"]),
        pixel_maps=tuple(_matrix(rows) for rows in entry["pixel_maps"]),
        world=Similarity(
            scale=_scale(world["scale"]),
            rotation=_rotation(world["rotation"]),
            translation=_row(world["translation"]),
        ),
        order=tuple(_index(index) for index in entry.get("order", ())),
        raw_cameras=tuple(_raw_camera(camera) for camera in entry.get("raw_cameras", ())),
        exact=bool(entry.get("exact", True)),
    )


def _raw_camera(entry: Mapping[str, Any]) -> RawCamera:
    first, second, third, last = (_four(row) for row in entry["c2w"])
    _rotation([row[:3] for row in (first, second, third)])
    if last != (0.0, 0.0, 0.0, 1.0):
        raise ValueError("a pose whose last row is not 0 0 0 1")
    camera = RawCamera(
        c2w=(first, second, third, last),
        fxfycxcy=_four(entry["fxfycxcy"]),
        height=_index(entry["height"]),
        width=_index(entry["width"]),
        lens=entry["lens"],
        distortion=tuple(_number(value) for value in entry["distortion"]),
        skew=_number(entry["skew"]),
    )
    check_lens(camera, "raw_cameras")
    check_limits(camera, "raw_cameras")
    return camera


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{value!r:.40} for a text")
    return value


def _index(value: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise ValueError(f"{value!r:.40} for a whole number")
    return value


def _scale(value: Any) -> float:
    scale = _number(value)
    if scale <= 0:
        raise ValueError(f"{scale:g} for the factor of a world")
    return scale


def _number(value: Any) -> float:
    if not is_number(value):
        raise ValueError(f"{value!r:.40} for a finite number")
    return float(value)


def _rotation(rows: Any) -> tuple[tuple[float, float, float], ...]:
    """Three rows of a rotation.

    Raises:
        ValueError: If they are none.
    """
    matrix = np.array(_matrix(rows))
    if not off_rotation(matrix) <= RIGID or np.linalg.det(matrix) < 0:
        raise ValueError("rows that are no rotation")
    return _matrix(rows)


def _matrix(rows: Any) -> tuple[tuple[float, float, float], ...]:
    first, second, third = (_row(row) for row in rows)
    return first, second, third


def _row(values: Any) -> tuple[float, float, float]:
    x, y, z = (_number(value) for value in values)
    return x, y, z


def _four(values: Any) -> tuple[float, float, float, float]:
    x, y, z, w = (_number(value) for value in values)
    return x, y, z, w
