"""What it costs to call a camera nearer or farther than it was.

A camera at distance d with focal length f d / D shows a point of lateral offset x and depth
offset z from the subject's centre at f d x / (D (d + z)). Relabelled as one at distance D with
focal length f it would be at f x / (D + z). The two agree at z = 0 alone.
"""

from typing import TYPE_CHECKING

import numpy as np

from mfl_adapt.types import Cameras

if TYPE_CHECKING:
    from mfl_adapt.types import Float

_STEPS = 2001
# The largest value between two steps exceeds that at the steps by less than this share.
_BETWEEN = 1e-5


def relabelled(cameras: Cameras, distance: float, focal_px: float) -> Cameras:
    """The same cameras moved along their axes to one distance from the origin, with one focal.

    Args:
        cameras: Square cameras [V] that look at the origin.
        distance: New distance from the origin.
        focal_px: New focal length.
    """
    c2w, fxfycxcy = cameras.c2w.copy(), cameras.fxfycxcy.copy()
    lengths = np.linalg.norm(c2w[:, :3, 3], axis=1, keepdims=True)
    c2w[:, :3, 3] *= distance / lengths
    fxfycxcy[:, :2] = focal_px
    return Cameras(c2w, fxfycxcy, cameras.height, cameras.width)


def error_bound_px(
    distances: "Float", *, radius: float, distance: float, focal_px: float
) -> "Float":
    """Largest pixel error of the relabelled cameras over a ball around the origin, [V].

    Args:
        distances: True distances, [V].
        radius: Of the ball, less than all distances.
        distance: What all distances are called.
        focal_px: What all focal lengths are called.
    """
    depth = np.linspace(-radius, radius, _STEPS)
    lateral = np.sqrt(np.maximum(radius**2 - depth**2, 0.0))
    true, called = distances[:, None] + depth, distance + depth
    errors = focal_px * lateral * np.abs(depth * (distances[:, None] - distance))
    return (errors / (distance * true * called)).max(axis=1) * (1.0 + _BETWEEN)


def magnification_error(distances: "Float", *, radius: float, distance: float) -> "Float":
    """Largest relative error of the size of things at the near and far end of the ball, [V]."""
    ends = np.array([-radius, radius])
    true = distances[:, None]
    ratio = true * (distance + ends) / (distance * (true + ends))
    return np.abs(ratio - 1.0).max(axis=1)
