"""Cameras that look at a point, with the world's up direction upwards in the picture."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from mfl_adapt.errors import DataError

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from mfl_adapt.types import Float

# Below this sine of the angle between forward and up, "right" is rounding noise.
_LEAST_SINE = 1e-6
# Rounding of camera centres, relative to their size.
_SAME_PLACE = 1e-9


def look_at(
    centers: ArrayLike, target: ArrayLike = (0.0, 0.0, 0.0), *, up: ArrayLike = (0.0, 0.0, 1.0)
) -> Float:
    """Poses of cameras at ``centers`` that look at ``target``.

    right = forward x up and down = forward x right, so the rotation has det +1 and +z of the
    world points upwards in the picture.

    Args:
        centers: Camera centres in the world, [..., 3].
        target: Points looked at, broadcast with ``centers``.
        up: Direction that is upwards in the pictures, [3]; need not have length 1.

    Returns:
        Camera to world with OpenCV axes, [..., 4, 4].

    Raises:
        DataError: If a camera sits on its target, or looks along ``up``.
    """
    centers = np.asarray(centers, dtype=np.float64)
    up = np.asarray(up, dtype=np.float64)
    forward = np.asarray(target, dtype=np.float64) - centers
    length = np.linalg.norm(forward, axis=-1, keepdims=True)
    if not np.all(length > 0):
        raise DataError(
            "look_at: expected camera centres away from the target, got one at distance 0. "
            "Move the camera or the target."
        )
    forward = forward / length
    right = np.cross(forward, up / np.linalg.norm(up))
    sine = np.linalg.norm(right, axis=-1, keepdims=True)
    if not np.all(sine > _LEAST_SINE):
        raise DataError(
            f"look_at: expected viewing directions not parallel to up {up.tolist()}, got an angle "
            f"with sine {float(sine.min()):.1e}. Tilt the camera or pass another up."
        )
    right = right / sine
    c2w = np.zeros((*centers.shape[:-1], 4, 4))
    c2w[..., :3, 0] = right
    c2w[..., :3, 1] = np.cross(forward, right)
    c2w[..., :3, 2] = forward
    c2w[..., :3, 3] = centers
    c2w[..., 3, 3] = 1.0
    return c2w


def look_at_map(c2w_old: Float, fxfycxcy_old: Float, c2w_new: Float, fxfycxcy_new: Float) -> Float:
    """Pixel map between two cameras with one centre; exact for any scene.

    Args:
        c2w_old: Camera to world of the camera that took the picture, [4, 4].
        fxfycxcy_old: Its focal lengths and principal point in pixels, [4].
        c2w_new: Camera to world of the camera that should see it, [4, 4].
        fxfycxcy_new: Its focal lengths and principal point in pixels, [4].

    Returns:
        3x3 from old to new pixel coordinates.

    Raises:
        DataError: If the two cameras are at different places: then no map exists.
    """
    old, new = np.asarray(c2w_old, np.float64), np.asarray(c2w_new, np.float64)
    apart = float(np.linalg.norm(old[:3, 3] - new[:3, 3]))
    if apart > _SAME_PLACE * max(1.0, float(np.abs(old[:3, 3]).max())):
        raise DataError(
            f"look_at_map: expected two cameras with one centre, got centres {apart:.3g} apart. "
            f"A camera can be turned and zoomed without knowing the scene, but not moved."
        )
    turn = np.linalg.solve(new[:3, :3], old[:3, :3])
    return _matrix(fxfycxcy_new) @ turn @ np.linalg.inv(_matrix(fxfycxcy_old))


def _matrix(fxfycxcy: Float) -> Float:
    fx, fy, cx, cy = fxfycxcy
    return np.array([[fx, 0.0, cx], [0.0, fy, cy], [0.0, 0.0, 1.0]])
