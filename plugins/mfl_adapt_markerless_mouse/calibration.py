"""Cameras from the calibration, checked number by number."""

from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from mfl_adapt.cameras.limits import LARGEST, check_limits
from mfl_adapt.cameras.projection import off_rotation
from mfl_adapt.checks import to_numbers
from mfl_adapt.errors import DataError
from mfl_adapt.types import RawCamera

from .pickles import load_arrays

if TYPE_CHECKING:
    from mfl_adapt.types import Float

# Largest departure of R from orthonormality; float32 files have about 1e-7.
_RIGID = 1e-4
# Entries of K that must be 0 or 1 may be off by this, relative to the focal length.
_ZERO = 1e-9
_SHAPES_OF_3 = {shape: shape for shape in ((3, 1), (1, 3))}


def read_calibration(file: Path) -> dict[int, Any]:
    """Camera numbers and what the calibration says about each.

    Raises:
        DataError: If the pickle is unsafe, damaged, or neither a list nor a mapping of cameras.
    """
    content = load_arrays(file)
    if isinstance(content, list | tuple):
        content = dict(enumerate(content))
    if not isinstance(content, dict) or not content:
        raise DataError(
            f"{file}: expected a list of cameras, or a mapping from their numbers, got "
            f"{_short(content or None)}. Write one dict with R, T and K per camera."
        )
    cameras: dict[int, Any] = {}
    for key, entry in content.items():
        number = _number(file, key)
        if number in cameras:
            raise DataError(f"{file}: expected every camera once, got camera {number} twice.")
        cameras[number] = entry
    return cameras


def to_raw_camera(
    where: str,
    entry: Any,
    *,
    height: int,
    width: int,
    pixel_centers: Literal["integer", "half"],
    off_center: float,
) -> RawCamera:
    """Convert ``R``, ``T`` (world to camera) and ``K`` of one camera.

    Args:
        where: File and camera, for messages.
        entry: A mapping with R [3, 3], T of 3 numbers and K [3, 3].
        height: Height of the camera's video in pixels.
        width: Width of the camera's video in pixels.
        pixel_centers: Where K puts the centre of the first pixel.
        off_center: Largest distance of the principal point from the middle, as a share of a side.

    Returns:
        The camera, without lens distortion, with K's skew.

    Raises:
        DataError: If something is missing, misshapen, not finite, not rigid, or does not belong to
            a picture of that size.
    """
    rotation = _rotation(where, _matrix(where, entry, "R", (3, 3)))
    translation = _matrix(where, entry, "T", (3,))
    k = _intrinsics(where, _matrix(where, entry, "K", (3, 3)))
    shift = 0.5 if pixel_centers == "integer" else 0.0
    cx, cy = float(k[0, 2]) + shift, float(k[1, 2]) + shift
    _check_center(where, (cx, cy), (width, height), off_center)
    c2w = np.eye(4)
    c2w[:3, :3] = rotation.T
    c2w[:3, 3] = -rotation.T @ translation
    rows = tuple((float(a), float(b), float(c), float(d)) for a, b, c, d in c2w)
    camera = RawCamera(
        c2w=rows,
        fxfycxcy=(float(k[0, 0]), float(k[1, 1]), cx, cy),
        height=height,
        width=width,
        skew=float(k[0, 1]),
    )
    check_limits(camera, where)
    return camera


def _number(file: Path, key: Any) -> int:
    if isinstance(key, int) and not isinstance(key, bool) and key >= 0:
        return key
    if isinstance(key, str) and key.isdecimal():
        return int(key)
    raise DataError(
        f"{file}: expected cameras by number, like their videos, got {_short(key)}. Use 0, 1, 2 ..."
    )


def _matrix(where: str, entry: Any, key: str, shape: tuple[int, ...]) -> "Float":
    if not isinstance(entry, dict) or key not in entry:
        got = ", ".join(sorted(map(str, entry))) if isinstance(entry, dict) else _short(entry)
        raise DataError(f"{where}: expected R, T and K, got {got[:80] or 'none'}. Add {key}.")
    try:
        # T comes as 3 numbers, as a column or as a row.
        wanted = shape if shape != (3,) else _SHAPES_OF_3.get(np.shape(entry[key]), shape)
        values = to_numbers(entry[key], wanted).reshape(shape)
    except ValueError as error:
        raise DataError(
            f"{where}.{key}: expected {' x '.join(map(str, shape))} numbers, got "
            f"{_short(entry[key])}."
        ) from error
    if not (np.abs(values) <= LARGEST).all():
        raise DataError(
            f"{where}.{key}: expected finite numbers, got NaN, an infinity or one beyond "
            f"{LARGEST:g}. Calibrate this camera again, or leave it out of cameras."
        )
    return values


def _rotation(where: str, matrix: "Float") -> "Float":
    """The rotation nearest to a matrix that is one but for rounding.

    Raises:
        DataError: If it is no rotation.
    """
    error = off_rotation(matrix)
    if error > _RIGID:
        raise DataError(
            f"{where}.R: expected a rotation, got rows that are off orthonormal by {error:.2g}. "
            f"R takes the world into the camera and holds no scale."
        )
    if np.linalg.det(matrix) < 0:
        raise DataError(
            f"{where}.R: expected a rotation with det +1, got det -1. One axis is mirrored; "
            f"the camera's axes are right, down and forward."
        )
    left, _, right = np.linalg.svd(matrix)
    nearest: Float = left @ right
    return nearest


def _intrinsics(where: str, k: "Float") -> "Float":
    rest = np.abs([k[1, 0], k[2, 0], k[2, 1], k[2, 2] - 1.0]).max()
    if rest > _ZERO * max(1.0, float(np.abs(k).max())):
        raise DataError(
            f"{where}.K: expected [[fx, skew, cx], [0, fy, cy], [0, 0, 1]], got {_short(k)}. "
            f"MATLAB writes it transposed."
        )
    if min(k[0, 0], k[1, 1]) <= 0:
        raise DataError(
            f"{where}.K: expected positive focal lengths, got {k[0, 0]:g} and {k[1, 1]:g}."
        )
    return k


def _check_center(
    where: str, point: tuple[float, float], size: tuple[int, int], off_center: float
) -> None:
    off = max(abs(p / side - 0.5) for p, side in zip(point, size, strict=True))
    if off > off_center:
        raise DataError(
            f"{where}.K: expected the principal point within {off_center:g} of the side from the "
            f"middle of the {size[0]} x {size[1]} video, got ({point[0]:.1f}, {point[1]:.1f}), as "
            f"of one with about {2 * point[0]:.0f} x {2 * point[1]:.0f} px. Use the K of this "
            f"resolution; if it is right, raise off_center."
        )


def _short(value: Any) -> str:
    text = value.tolist() if isinstance(value, np.ndarray) else value
    return f"{' '.join(repr(text).split()):.60}"
