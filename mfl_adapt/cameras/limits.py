"""How large the numbers of a camera may be: beyond, arithmetic overflows and no camera exists."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from mfl_adapt.errors import DataError

if TYPE_CHECKING:
    from mfl_adapt.types import RawCamera

LARGEST_SIDE = 2**20
"""Pixels along a side of a picture."""
LARGEST = 1e12
"""Of any number of a camera: a rig of 1 km in nanometres."""
_LARGEST_COEFFICIENT = 1e6
_LARGEST_PIXEL, _SMALLEST_FOCAL_PX = 1e9, 1e-3


def check_limits(camera: RawCamera, where: str) -> None:
    """Raise where a finite number of a camera is none that a camera has.

    Args:
        camera: As a calibration gives it.
        where: Its file and place, for messages.

    Raises:
        DataError: If a number is too large, or a focal length or side is not within its limits.
    """
    focal = camera.fxfycxcy[:2]
    rules = [
        ("pose", camera.c2w, LARGEST),
        ("intrinsics", (*camera.fxfycxcy, camera.skew), _LARGEST_PIXEL),
        ("distortion", camera.distortion, _LARGEST_COEFFICIENT),
        ("width and height", (camera.width, camera.height), LARGEST_SIDE),
    ]
    for name, numbers, most in rules:
        greatest = float(np.abs(np.asarray(numbers, np.float64)).max(initial=0.0))
        if not greatest <= most:
            raise DataError(
                f"{where}: expected numbers up to {most:g} in the camera's {name}, got "
                f"{greatest:g}. Calibrate again or leave this view out."
            )
    if not min(*focal, camera.width, camera.height) >= _SMALLEST_FOCAL_PX:
        raise DataError(
            f"{where}: expected positive focal lengths and sides, got {focal[0]:g} and "
            f"{focal[1]:g} of a picture {camera.width} x {camera.height}. Calibrate again."
        )
