"""The laboratory that recordings are set in: a rig in millimetres and an arena without white.

The rig is a published one of six cameras for freely moving mice. Distances, elevations, azimuths
and focal lengths are its own, and so are pose and intrinsic matrix of camera 0. Where the other
cameras look and their principal points are invented within what such a rig shows: none looks
exactly at the animal. The animal moves 67 mm above the origin of the calibration, so that the
origin projects to (673, 951) in camera 0.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from mfl_adapt.cameras import look_at, pixel_grid, ray_directions
from mfl_adapt.cameras.rigs import (
    LAB_AZIMUTHS_DEG,
    LAB_DISTANCES,
    LAB_ELEVATIONS_DEG,
    LAB_FOCALS_PX,
)
from mfl_adapt.synth.ellipsoids import rotation_about
from mfl_adapt.types import Cameras

if TYPE_CHECKING:
    from mfl_adapt.types import Float

HEIGHT, WIDTH = 1024, 1152
# Middle of the space in which the animal moves, in mm: on the optical axis of camera 0.
HABITAT_MM = (-4.07, 9.80, 66.46)
FLOOR_MM = 48.0

# Origin of the world in camera 0, and where in mm off the habitat's middle the others look.
_ORIGIN_IN_CAMERA_0 = (10.34, 66.41, 236.70)
_AIM_MM = ((0, 0, 0), (7, -5, 4), (-6, -8, -3), (-3, 6, 5), (5, 7, -6), (-8, 3, 2))
_ROLL_DEG = (0.0, 1.4, -0.8, -1.9, 0.6, 1.1)
_CENTERS_PX = (
    (601.36, 491.22),
    (566.1, 523.7),
    (584.9, 498.4),
    (561.2, 506.3),
    (590.7, 531.8),
    (572.5, 487.6),
)
# fy over fx of camera 0; pixels of such sensors are not quite square after rectification.
_ASPECT = 1639.3 / 1632.3

_BEDDING, _ROOM = (0.56, 0.47, 0.36), (0.30, 0.33, 0.37)
_FLOOR_RADIUS_MM = 150.0
# Cycles per mm along x and y, phase in cycles, and swing of the brightness of the floor's waves.
_WAVES = (
    (0.021, 0.034, 0.1, 0.05),
    (-0.047, 0.026, 0.4, 0.04),
    (0.062, 0.071, 0.7, 0.03),
)


def raw_lab_rig(scale: float = 1.0) -> Cameras:
    """The rig as its calibration would have it, in mm.

    Args:
        scale: Factor on the picture of 1152 x 1024 px, for quicker tests.

    Returns:
        Six cameras in file order, which is not that of their azimuths; sides are rounded to even
        numbers of pixels, as video codecs need.
    """
    height, width = (2 * round(scale * side / 2) for side in (HEIGHT, WIDTH))
    flat = np.cos(np.radians(LAB_ELEVATIONS_DEG))
    units = (
        np.cos(np.radians(LAB_AZIMUTHS_DEG)) * flat,
        np.sin(np.radians(LAB_AZIMUTHS_DEG)) * flat,
        np.sin(np.radians(LAB_ELEVATIONS_DEG)),
    )
    centers = np.stack(units, axis=-1) * np.asarray(LAB_DISTANCES)[:, None]
    c2w = look_at(centers, np.asarray(HABITAT_MM) + _AIM_MM)
    for pose, roll in zip(c2w, _ROLL_DEG, strict=True):
        pose[:3, :3] = pose[:3, :3] @ rotation_about(2, roll)
    c2w[0, :3, :3] = _camera_0(centers[0])
    fx = np.asarray(LAB_FOCALS_PX)
    fxfycxcy = np.column_stack([fx, fx * _ASPECT, np.asarray(_CENTERS_PX)])
    fxfycxcy *= np.array([width / WIDTH, height / HEIGHT] * 2)
    return Cameras(c2w, fxfycxcy, height=height, width=width)


def draw_arena(camera: Cameras) -> Float:
    """A picture of the empty arena: a floor with bedding in a dim room.

    Args:
        camera: One camera, c2w [4, 4] to the world in mm and fxfycxcy [4].

    Returns:
        Colour in [0, 1], [H, W, 3].
    """
    pixels = pixel_grid(camera.height, camera.width).reshape(-1, 2)
    rays = ray_directions(pixels, camera.c2w, camera.fxfycxcy)
    center = camera.centers
    colors = np.asarray(_ROOM) * (1.0 + 0.35 * rays[:, 2:])
    with np.errstate(divide="ignore"):
        distance = (FLOOR_MM - center[2]) / rays[:, 2]
    ahead = (distance > 0) & np.isfinite(distance)
    floor = center[:2] + rays[:, :2] * np.where(ahead, distance, 0.0)[:, None]
    inside = ahead & (np.hypot(*(floor - HABITAT_MM[:2]).T) < _FLOOR_RADIUS_MM)
    x, y = floor[inside].T
    light = 1.0 + sum(
        swing * np.sin(2 * np.pi * (along_x * x + along_y * y + phase))
        for along_x, along_y, phase, swing in _WAVES
    )
    colors[inside] = np.asarray(_BEDDING) * np.asarray(light)[:, None]
    picture: Float = colors.reshape(camera.height, camera.width, 3)
    return picture


def _camera_0(center: Float) -> Float:
    """Rotation of the upright camera at ``center`` that sees the origin where camera 0 does."""
    target = np.asarray(_ORIGIN_IN_CAMERA_0)
    right_of, below, _ = target * np.linalg.norm(center) / np.linalg.norm(target)
    ahead = -center
    level = np.arctan2(ahead[1], ahead[0]) - np.arccos(right_of / np.hypot(ahead[0], ahead[1]))
    right = np.array([np.cos(level), np.sin(level), 0.0])
    first, second = np.array([0.0, 0.0, -1.0]), np.cross(right, [0.0, 0.0, -1.0])
    u, v = float(ahead @ first), float(ahead @ second)
    turn = np.arctan2(v, u) - np.arccos(below / np.hypot(u, v))
    down = np.cos(turn) * first + np.sin(turn) * second
    return np.stack([right, down, np.cross(right, down)], axis=-1)
