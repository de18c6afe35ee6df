"""The two lens models of OpenCV as formulas: bent rays, their slopes, and where they fold."""

from __future__ import annotations

import math
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from mfl_adapt.errors import DataError

if TYPE_CHECKING:
    from mfl_adapt.types import Float, RawCamera

_BROWN_COUNTS, _FISHEYE_COUNT = (4, 5, 8), 4
# Tangent of 89.9 degrees: beyond it no pinhole picture shows a ray.
_WIDEST = 573.0
_BISECTIONS = 60


def check_lens(camera: RawCamera, where: str = "lens") -> None:
    """Raise unless the coefficients fit the lens model.

    Raises:
        DataError: If the model is unknown or has another number of coefficients.
    """
    count = len(camera.distortion)
    rules = {
        "pinhole": (count == 0, "no coefficients"),
        "brown": (count in _BROWN_COUNTS, "4, 5 or 8 coefficients k1 k2 p1 p2 [k3 [k4 k5 k6]]"),
        "fisheye": (count == _FISHEYE_COUNT, "4 coefficients k1 k2 k3 k4"),
    }
    if camera.lens not in rules:
        raise DataError(
            f"{where}: expected a lens of {', '.join(rules)}, got {camera.lens!r}. Convert the "
            f"calibration."
        )
    fits, rule = rules[camera.lens]
    if not fits:
        raise DataError(
            f"{where}: expected {rule} for a {camera.lens} lens, got {count}. Check the "
            f"calibration's lens model."
        )


class Brown(NamedTuple):
    """OpenCV's standard model: a rational radial part and a tangential part."""

    radial: tuple[float, ...]
    tangential: tuple[float, float]
    fold: float

    def bend(self, rays: Float) -> tuple[Float, Float]:
        """Bent rays, [..., 2], and their slopes by the straight ones, [..., 2, 2]."""
        x, y = rays[..., 0], rays[..., 1]
        square = x * x + y * y
        factor, factor_slope = _rational(self.radial, square)
        p1, p2 = self.tangential
        bent_x = x * factor + 2 * p1 * x * y + p2 * (square + 2 * x * x)
        bent_y = y * factor + p1 * (square + 2 * y * y) + 2 * p2 * x * y
        cross = 2 * x * y * factor_slope + 2 * p1 * x + 2 * p2 * y
        slope_x = factor + 2 * x * x * factor_slope + 2 * p1 * y + 6 * p2 * x
        slope_y = factor + 2 * y * y * factor_slope + 6 * p1 * y + 2 * p2 * x
        slopes = np.stack([slope_x, cross, cross, slope_y], axis=-1)
        return np.stack([bent_x, bent_y], axis=-1), slopes.reshape(*rays.shape, 2)

    def radius(self, straight: Float) -> Float:
        """Bent radius of a straight radius, tangential part left out."""
        return straight * _rational(self.radial, straight * straight)[0]


class Fisheye(NamedTuple):
    """OpenCV's fisheye model: a polynomial in the angle from the optical axis."""

    polynomial: tuple[float, ...]
    fold: float

    def bend(self, rays: Float) -> tuple[Float, Float]:
        """Bent rays, [..., 2], and their slopes by the straight ones, [..., 2, 2]."""
        radius = np.hypot(rays[..., 0], rays[..., 1])
        bent, bent_slope = self._bent(radius)
        # Near the axis the ratio is 1 and its slope 0, but 0 / 0 has no value.
        off_axis = radius > 1e-9
        safe = np.where(off_axis, radius, 1.0)
        factor = np.where(off_axis, bent / safe, 1.0)
        change = np.where(off_axis, (bent_slope - factor) / safe**2, 0.0)
        outer = rays[..., :, None] * rays[..., None, :]
        slopes = factor[..., None, None] * np.eye(2) + change[..., None, None] * outer
        return rays * factor[..., None], slopes

    def radius(self, straight: Float) -> Float:
        """Bent radius of a straight radius."""
        return self._bent(straight)[0]

    def _bent(self, radius: Float) -> tuple[Float, Float]:
        angle = np.arctan(radius)
        square = angle * angle
        k1, k2, k3, k4 = self.polynomial
        bent = angle * (1 + square * (k1 + square * (k2 + square * (k3 + square * k4))))
        slope = 1 + square * (3 * k1 + square * (5 * k2 + square * (7 * k3 + square * 9 * k4)))
        return bent, slope / (1 + radius * radius)


@lru_cache(maxsize=64)
def find_model(camera: RawCamera) -> Brown | Fisheye | None:
    """Return the camera's lens model with its fold; None where the lens bends nothing.

    Raises:
        DataError: If the model is unknown or has another number of coefficients.
    """
    check_lens(camera)
    if camera.lens == "fisheye":
        k1, k2, k3, k4 = camera.distortion
        fisheye = Fisheye((k1, k2, k3, k4), math.inf)
        return fisheye._replace(fold=_find_fold(fisheye))
    if not any(camera.distortion):
        return None
    k1, k2, p1, p2, *rest = (*camera.distortion, 0.0, 0.0, 0.0, 0.0)
    brown = Brown((k1, k2, *rest[:4]), (p1, p2), math.inf)
    return brown._replace(fold=_find_fold(brown))


def _find_fold(lens: Brown | Fisheye) -> float:
    """Straight radius at which the bent one stops growing; at most ``_WIDEST``."""
    # Even steps of angle: a fold of a real lens is wider than a twentieth of a degree.
    radii = np.tan(np.linspace(0.0, math.atan(_WIDEST), 2048))
    with np.errstate(all="ignore"):
        growth = np.diff(lens.radius(radii))
    falls = np.flatnonzero(~(growth > 0))
    if not len(falls):
        return _WIDEST
    low, high = radii[max(falls[0] - 1, 0)], radii[min(falls[0] + 1, len(radii) - 1)]
    for _ in range(_BISECTIONS):
        middle = (low + high) / 2
        if _radial_slope(lens, middle) > 0:
            low = middle
        else:
            high = middle
    return float(low)


def _radial_slope(lens: Brown | Fisheye, radius: float) -> float:
    """Growth of the bent radius per straight radius."""
    if isinstance(lens, Brown):
        lens = lens._replace(tangential=(0.0, 0.0))
    return float(lens.bend(np.array([radius, 0.0]))[1][0, 0])


def _rational(radial: tuple[float, ...], square: Float) -> tuple[Float, Float]:
    """Radial factor by squared radius, and its slope by the squared radius."""
    k1, k2, k3, k4, k5, k6 = radial
    top = 1 + square * (k1 + square * (k2 + square * k3))
    bottom = 1 + square * (k4 + square * (k5 + square * k6))
    top_slope = k1 + square * (2 * k2 + square * 3 * k3)
    bottom_slope = k4 + square * (2 * k5 + square * 3 * k6)
    factor = top / bottom
    return factor, (top_slope - factor * bottom_slope) / bottom
