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
