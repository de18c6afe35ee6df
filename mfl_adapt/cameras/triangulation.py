"""The world point that several cameras look at through given pixels."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from mfl_adapt.cameras.projection import project, ray_directions
from mfl_adapt.checks import check_shape
from mfl_adapt.errors import DataError

if TYPE_CHECKING:
    from mfl_adapt.types import Float

# Rays within about 0.1 degree of parallel have no meeting point worth the name.
_LEAST_SPREAD = 1e-6
_ROUNDS = 20
# Movement of the point from round to round that no pixel shows, as a share of its nearest depth.
_SETTLED = 1e-9
# Residual at which a view has half its weight, at the least: clicks and centroids are no better.
_LEAST_SCALE_PX = 0.5


class Triangulation(NamedTuple):
    """A point and how well the views agree on it.

    Attributes:
        point: World point, [3].
        residuals_px: Distance between each view's pixel and the point's projection, [V];
            infinite where the point is behind the camera.
    """

    point: Float
    residuals_px: Float


def triangulate(pixels: Float, c2w: Float, fxfycxcy: Float) -> Triangulation:
    """Find the point nearest to all rays, giving outlying views little weight.

    Least squares over the distances to the rays, reweighted by 1 / (1 + (r / s)^2) of the
    reprojection error r in pixels, where s is 1.48 times the median of r.

    Args:
        pixels: One pixel (x, y) per view, [V, 2].
        c2w: Camera to world, [V, 4, 4], rigid.
        fxfycxcy: Focal lengths and principal point in pixels, [V, 4].

    Returns:
        The point and the residual of every view.

    Raises:
        ShapeError: If the shapes do not agree.
        DataError: If there are fewer than two views, or all rays are parallel.
    """
    check_shape("triangulate: pixels", pixels, [None, 2])
    check_shape("triangulate: c2w", c2w, [len(pixels), 4, 4])
    check_shape("triangulate: fxfycxcy", fxfycxcy, [len(pixels), 4])
    if len(pixels) < 2:
        raise DataError(f"triangulate: expected at least two views, got {len(pixels)}. Add views.")
    directions = ray_directions(pixels[:, None], c2w, fxfycxcy)[:, 0]
    # A metre spans more pixels near by than far away, and more through a longer lens.
    focals = np.sqrt(fxfycxcy[:, 0] * fxfycxcy[:, 1])
    weights, last = np.ones(len(pixels)), np.full(3, np.inf)
    for _ in range(_ROUNDS):
        point = nearest_point(c2w[:, :3, 3], directions, weights)
        local = np.einsum("vji,vj->vi", c2w[:, :3, :3], point - c2w[:, :3, 3])
        depth = local[:, 2]
        if not (depth > 0).all():
            break
        seen = local[:, :2] / depth[:, None] * fxfycxcy[:, :2] + fxfycxcy[:, 2:]
        residuals = np.sqrt(np.square(seen - pixels).sum(axis=1))
        scale = max(1.4826 * _median(residuals), _LEAST_SCALE_PX)
        weights = (focals / depth) ** 2 / (1.0 + (residuals / scale) ** 2)
        if np.abs(point - last).max() <= _SETTLED * depth.min():
            break
        last = point
    seen, _ = project(point[None, None], c2w, fxfycxcy)
    residuals = np.linalg.norm(seen[:, 0] - pixels, axis=-1)
    return Triangulation(point, np.where(np.isfinite(residuals), residuals, np.inf))


def nearest_point(origins: Float, directions: Float, weights: Float) -> Float:
    """Point with the least weighted sum of squared distances to lines.

    Args:
        origins: A point on each line, [V, 3].
        directions: Unit vectors along the lines, [V, 3].
        weights: Non-negative, [V].

    Returns:
        World point, [3].

    Raises:
        DataError: If the lines are parallel.
    """
    across = np.eye(3) - directions[:, :, None] * directions[:, None, :]
    normal = np.einsum("v,vij->ij", weights, across)
    if np.linalg.eigvalsh(normal)[0] < _LEAST_SPREAD * weights.sum():
        raise DataError(
            "triangulate: expected rays that cross, got parallel ones. Use views from different "
            "directions."
        )
    return np.linalg.solve(normal, np.einsum("v,vij,vj->i", weights, across, origins))


def _median(values: Float) -> float:
    """Median of a handful of numbers; ``np.median`` takes longer than all the rest of a round."""
    ordered = sorted(values.tolist())
    upper = len(ordered) // 2
    return float(ordered[upper] + ordered[-1 - upper]) / 2
