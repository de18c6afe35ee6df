"""Anipose's ``calibration.toml``, checked number by number.

Every section but ``metadata`` is a camera: ``name``, ``size`` [width, height], ``matrix`` 3x3,
``distortions``, ``rotation`` (axis times angle) and ``translation`` from world to camera, and
``fisheye``. The numbers are OpenCV's, whose pixel (0, 0) is the middle of the first pixel; ours is
half a pixel further up and left, so 0.5 px are added to the principal point.
"""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from mfl_adapt.cameras.limits import LARGEST, check_limits
from mfl_adapt.checks import to_numbers
from mfl_adapt.errors import DataError
from mfl_adapt.files import read_bounded
from mfl_adapt.types import RawCamera

LARGEST_FILE = 10_000_000
"""In bytes; a camera takes about one thousand."""
_HALF_PIXEL = 0.5


@dataclass(frozen=True, slots=True)
class CalibratedCamera:
    """A camera of the calibration.

    Attributes:
        name: As the calibration has it.
        camera: Pose, intrinsics and lens, in our conventions.
        where: File and section, for messages.
    """

    name: str
    camera: RawCamera
    where: str


def read_calibration(file: Path) -> dict[str, CalibratedCamera]:
    """Read all cameras.

    Args:
        file: The ``calibration.toml``.

    Returns:
        Cameras by name, in file order.

    Raises:
        DataError: If the file is missing or malformed, a number is missing or not finite, the
            lens model is unknown, or two cameras share a name.
    """
    cameras: dict[str, CalibratedCamera] = {}
    for key, section in _load(file).items():
        if key == "metadata":
            continue
        where = f"{file}: [{key}]"
        if not isinstance(section, dict):
            raise DataError(f"{where}: expected a section of a camera, got {section!r:.40}.")
        name = str(section.get("name", key))
        if name in cameras:
            raise DataError(f"{where}: expected every name once, got {name!r} again.")
        cameras[name] = CalibratedCamera(name, _camera(where, section), where)
    if not cameras:
        raise DataError(f"{file}: expected sections of cameras ([cam_0] ...), got none.")
    return cameras


def _load(file: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(read_bounded(file, LARGEST_FILE).decode())
    except OSError as error:
        raise DataError(f"{file}: expected a calibration, got {error.strerror}.") from error
    except (ValueError, RecursionError) as error:  # malformed TOML, or no text
        reason = " ".join(str(error).split())[:200]
        raise DataError(f"{file}: expected TOML, got {reason}. Calibrate again.") from error


def _camera(where: str, section: Mapping[str, Any]) -> RawCamera:
    matrix = _numbers(where, section, "matrix", (3, 3))
    below = [matrix[1, 0], matrix[2, 0], matrix[2, 1], matrix[2, 2] - 1.0]
    if any(below) or matrix[0, 0] <= 0 or matrix[1, 1] <= 0:
        raise DataError(
            f"{where}.matrix: expected [[fx, skew, cx], [0, fy, cy], [0, 0, 1]] with positive fx "
            f"and fy, got {matrix.tolist()}."
        )
    width, height = _numbers(where, section, "size", (2,))
    if width < 1 or height < 1 or width != int(width) or height != int(height):
        raise DataError(
            f"{where}.size: expected width and height in whole pixels, got {width:g}, {height:g}."
        )
    fisheye = section.get("fisheye", False)
    if not isinstance(fisheye, bool):
        raise DataError(f"{where}.fisheye: expected true or false, got {fisheye!r:.40}.")
    distortion = _distortion(where, section, fisheye=fisheye)
    camera = RawCamera(
        c2w=_pose(where, section),
        fxfycxcy=(
            float(matrix[0, 0]),
            float(matrix[1, 1]),
            float(matrix[0, 2]) + _HALF_PIXEL,
            float(matrix[1, 2]) + _HALF_PIXEL,
        ),
        height=int(height),
        width=int(width),
        lens="fisheye" if fisheye else "brown" if any(distortion) else "pinhole",
        distortion=distortion if fisheye or any(distortion) else (),
        skew=float(matrix[0, 1]),
    )
    check_limits(camera, where)
    return camera


def _distortion(where: str, section: Mapping[str, Any], *, fisheye: bool) -> tuple[float, ...]:
    values = _numbers(where, section, "distortions", (None,))
    allowed = (4,) if fisheye else (0, 4, 5, 8)
    if len(values) not in allowed:
        rule = (
            "4 coefficients k1 k2 k3 k4 of the fisheye model"
            if fisheye
            else "4, 5 or 8 coefficients k1 k2 p1 p2 k3 k4 k5 k6 of OpenCV's standard model"
        )
        raise DataError(
            f"{where}.distortions: expected {rule}, got {len(values)}. These two lens models are "
            f"known; calibrate with one of them."
        )
    return tuple(float(value) for value in values)


def _pose(where: str, section: Mapping[str, Any]) -> tuple[tuple[float, float, float, float], ...]:
    """Camera to world, row-major 4x4."""
    from scipy.spatial.transform import Rotation

    rotation = Rotation.from_rotvec(_numbers(where, section, "rotation", (3,))).as_matrix()
    translation = _numbers(where, section, "translation", (3,))
    rows = np.column_stack([rotation.T, -rotation.T @ translation])
    return (
        *((float(a), float(b), float(c), float(d)) for a, b, c, d in rows),
        (0.0, 0.0, 0.0, 1.0),
    )


def _numbers(
    where: str, section: Mapping[str, Any], key: str, shape: tuple[int | None, ...]
) -> Any:
    # A list of finite numbers as an array; None in the shape admits any length.
    if key not in section:
        known = ", ".join(sorted(section)) or "none"
        raise DataError(f"{where}: expected key {key!r}, got only {known}. Calibrate again.")
    try:
        values = to_numbers(section[key], shape)
    except ValueError as error:
        rule = " x ".join("any" if size is None else str(size) for size in shape)
        raise DataError(
            f"{where}.{key}: expected {rule} numbers, got {section[key]!r:.60}."
        ) from error
    if not (np.abs(values) <= LARGEST).all():
        raise DataError(
            f"{where}.{key}: expected finite numbers, got NaN, an infinity or one beyond "
            f"{LARGEST:g}. The calibration did not converge; calibrate again."
        )
    return values
