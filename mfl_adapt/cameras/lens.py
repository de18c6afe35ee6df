"""How a lens bends rays: OpenCV's standard (Brown) and fisheye models, and their inverses.

Normalized coordinates are x / z and y / z of a point in camera axes. A polynomial lens model is
only meant for the rays it was fitted to: further out it turns back, and two rays meet in one
pixel. From that fold on nothing is invented: points there give NaN.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from mfl_adapt.cameras.lens_models import Brown, Fisheye, check_lens, find_model
from mfl_adapt.cameras.projection import to_w2c

if TYPE_CHECKING:
    from mfl_adapt.types import Float, RawCamera

_BISECTIONS, _NEWTON_STEPS = 30, 20
_TOLERANCE = 1e-12

__all__ = [
    "check_lens",
    "distort",
    "from_pixels",
    "is_straight",
    "project_raw",
    "to_pixels",
    "undistort",
]


def distort(normalized: Float, camera: RawCamera) -> Float:
    """Bend rays as the lens does.

    Args:
        normalized: Straight rays, [..., 2].
        camera: Whose lens it is.

    Returns:
        Bent rays, [..., 2]; NaN from the fold of the model on.

    Raises:
        DataError: If the number of coefficients is not one of the lens model's.
    """
    rays = np.asarray(normalized, np.float64)
    lens = find_model(camera)
    if lens is None:
        return rays.copy()
    bent, slopes = lens.bend(rays)
    radius = np.hypot(rays[..., 0], rays[..., 1])
    kept = (radius < lens.fold) & (_determinant(slopes) > 0)
    return np.where(kept[..., None], bent, np.nan)


def undistort(distorted: Float, camera: RawCamera) -> Float:
    """Straighten rays that the lens has bent; the inverse of ``distort`` to 1e-12.

    Args:
        distorted: Bent rays, [..., 2].
        camera: Whose lens it is.

    Returns:
        Straight rays, [..., 2]; NaN where no ray within the fold is bent this far.

    Raises:
        DataError: If the number of coefficients is not one of the lens model's.
    """
    bent = np.asarray(distorted, np.float64)
    lens = find_model(camera)
    if lens is None:
        return bent.copy()
    rays = _first_guess(bent, lens)
    with np.errstate(all="ignore"):  # diverging rays end as NaN below
        for _ in range(_NEWTON_STEPS):
            seen, slopes = lens.bend(rays)
            rays = rays - _solve(slopes, seen - bent)
        seen, slopes = lens.bend(rays)
        error = np.abs(seen - bent).max(axis=-1)
        radius = np.hypot(rays[..., 0], rays[..., 1])
        good = error <= _TOLERANCE * np.maximum(1.0, np.abs(bent).max(axis=-1))
        kept = good & (radius < lens.fold) & (_determinant(slopes) > 0)
    return np.where(kept[..., None], rays, np.nan)


def project_raw(points: Float, camera: RawCamera) -> tuple[Float, Float]:
    """Project raw world points into the raw frame, lens and skew included.

    Args:
        points: Raw world points, [P, 3].
        camera: The recording's camera.

    Returns:
        Raw pixels (x, y), [P, 2], NaN where the camera does not see the point's ray; and depth
        along the camera's z axis, [P], in raw world units.

    Raises:
        DataError: If the number of coefficients is not one of the lens model's.
    """
    w2c = to_w2c(np.array(camera.c2w))
    local = np.asarray(points, np.float64) @ w2c[:3, :3].T + w2c[:3, 3]
    depth = local[:, 2]
    ahead = np.where(depth > 0, depth, np.nan)[:, None]
    return to_pixels(distort(local[:, :2] / ahead, camera), camera), depth


def to_pixels(normalized: Float, camera: RawCamera) -> Float:
    """Raw pixels of bent rays, [..., 2]; skew included."""
    fx, fy, cx, cy = camera.fxfycxcy
    x, y = normalized[..., 0], normalized[..., 1]
    return np.stack([fx * x + camera.skew * y + cx, fy * y + cy], axis=-1)


def from_pixels(pixels: Float, camera: RawCamera) -> Float:
    """Bent rays of raw pixels, [..., 2]; the inverse of ``to_pixels``."""
    fx, fy, cx, cy = camera.fxfycxcy
    y = (pixels[..., 1] - cy) / fy
    return np.stack([(pixels[..., 0] - cx - camera.skew * y) / fx, y], axis=-1)


def is_straight(camera: RawCamera) -> bool:
    """Whether the raw picture is a pinhole picture without skew already."""
    bends = camera.lens == "fisheye" or any(camera.distortion)
    return not bends and camera.skew == 0.0


def _first_guess(bent: Float, lens: Brown | Fisheye) -> Float:
    """Straight rays of a lens without tangential part, by bisection: it cannot diverge."""
    wanted = np.hypot(bent[..., 0], bent[..., 1])
    low, high = np.zeros_like(wanted), np.full_like(wanted, lens.fold)
    # Newton doubles the digits afterwards, so that a rough guess is enough.
    for _ in range(_BISECTIONS):
        middle = (low + high) / 2
        short = lens.radius(middle) < wanted
        low, high = np.where(short, middle, low), np.where(short, high, middle)
    factor = np.where(wanted > 0, (low + high) / 2 / np.where(wanted > 0, wanted, 1.0), 1.0)
    return bent * factor[..., None]


def _determinant(slopes: Float) -> Float:
    return slopes[..., 0, 0] * slopes[..., 1, 1] - slopes[..., 0, 1] * slopes[..., 1, 0]


def _solve(slopes: Float, error: Float) -> Float:
    """2 x 2 systems by Cramer's rule; a singular one gives infinities, not an exception."""
    (a, b), (c, d) = np.moveaxis(slopes, (-2, -1), (0, 1))
    x, y = error[..., 0], error[..., 1]
    return np.stack([d * x - b * y, a * y - c * x], axis=-1) / _determinant(slopes)[..., None]
