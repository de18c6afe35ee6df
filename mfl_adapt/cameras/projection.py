"""Pinhole projection and its inverse, in float64.

OpenCV axes (x right, y down, z forward) and pixel centres at +0.5: the middle of the upper left
pixel is (0.5, 0.5). Leading axes broadcast, so one call serves one camera or many.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from mfl_adapt.types import Float

_WELL_BEYOND_1 = 1e6


def to_w2c(c2w: Float) -> Float:
    """Invert poses [..., 4, 4]; the inverse of an inverse is the pose again."""
    return np.linalg.inv(np.asarray(c2w, dtype=np.float64))


def off_rotation(matrix: Float) -> float:
    """How far a 3 x 3 matrix is from orthonormal: the largest entry of ``M M^T - 1``.

    Infinite where an entry is not finite or far beyond 1, whose square might not be a number.
    """
    if not np.abs(matrix).max() <= _WELL_BEYOND_1:
        return math.inf
    return float(np.abs(matrix @ matrix.T - np.eye(3)).max())


def pixel_grid(height: int, width: int) -> Float:
    """Pixel coordinates (x, y) of all pixel centres, [height, width, 2]."""
    rows, columns = np.mgrid[0:height, 0:width] + 0.5
    return np.stack([columns, rows], axis=-1)


def project(points: Float, c2w: Float, fxfycxcy: Float) -> tuple[Float, Float]:
    """Project world points into pictures.

    Args:
        points: World points, [..., P, 3].
        c2w: Camera to world, [..., 4, 4].
        fxfycxcy: Focal lengths and principal point in pixels, [..., 4].

    Returns:
        Pixel coordinates (x, y), [..., P, 2], NaN where the point is not in front of the camera;
        and depth along the camera's z axis, [..., P], in world units.
    """
    c2w, intrinsics = np.asarray(c2w, np.float64), np.asarray(fxfycxcy, np.float64)
    w2c = to_w2c(c2w)
    local = points @ np.swapaxes(w2c[..., :3, :3], -1, -2) + w2c[..., None, :3, 3]
    depth = local[..., 2]
    # A point behind the camera has a mirrored image that no camera would ever record.
    safe = np.where(depth > 0, depth, np.nan)[..., None]
    pixels = local[..., :2] / safe * intrinsics[..., None, :2] + intrinsics[..., None, 2:]
    return pixels, depth


def unproject(pixels: Float, depth: Float, c2w: Float, fxfycxcy: Float) -> Float:
    """World points behind pixels at a depth; the inverse of ``project``.

    Args:
        pixels: Pixel coordinates (x, y), [..., P, 2].
        depth: Depth along the camera's z axis in world units, [..., P].
        c2w: Camera to world, [..., 4, 4].
        fxfycxcy: Focal lengths and principal point in pixels, [..., 4].

    Returns:
        World points, [..., P, 3].
    """
    c2w = np.asarray(c2w, np.float64)
    offsets = _camera_directions(pixels, fxfycxcy) * np.asarray(depth)[..., None]
    return offsets @ np.swapaxes(c2w[..., :3, :3], -1, -2) + c2w[..., None, :3, 3]


def ray_directions(pixels: Float, c2w: Float, fxfycxcy: Float) -> Float:
    """Unit directions in the world of the rays through pixels.

    Args:
        pixels: Pixel coordinates (x, y), [..., P, 2].
        c2w: Camera to world, [..., 4, 4].
        fxfycxcy: Focal lengths and principal point in pixels, [..., 4].

    Returns:
        Unit vectors, [..., P, 3]; the rays start at ``c2w[..., :3, 3]``.
    """
    c2w = np.asarray(c2w, np.float64)
    directions = _camera_directions(pixels, fxfycxcy) @ np.swapaxes(c2w[..., :3, :3], -1, -2)
    return directions / np.linalg.norm(directions, axis=-1, keepdims=True)


def _camera_directions(pixels: Float, fxfycxcy: Float) -> Float:
    """Directions in camera axes with z = 1, [..., P, 3]."""
    pixels, intrinsics = np.asarray(pixels, np.float64), np.asarray(fxfycxcy, np.float64)
    plane = (pixels - intrinsics[..., None, 2:]) / intrinsics[..., None, :2]
    return np.concatenate([plane, np.ones_like(plane[..., :1])], axis=-1)
