"""Small tools that the makers of heads and mice share: colours and plain parts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from mfl_adapt.synth.ellipsoids import Color, Ellipsoid

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

# The subject's left is +x; what comes in pairs is made in this order.
SIDES = ((1.0, "left"), (-1.0, "right"))


def part(name: str, center: Sequence[float], radii: Sequence[float], color: Color) -> Ellipsoid:
    """An untextured part along the world's axes."""
    return Ellipsoid(name, np.array(center, np.float64), np.array(radii, np.float64), color)


def to_color(values: ArrayLike) -> Color:
    """Three channels, clipped to [0.02, 0.98] so that texture has room on both sides."""
    red, green, blue = np.clip(values, 0.02, 0.98)
    return (float(red), float(green), float(blue))


def mix(first: Color, second: Color, share: float) -> Color:
    """``first`` with a share of ``second``."""
    return to_color((1 - share) * np.asarray(first) + share * np.asarray(second))


def between(rng: np.random.Generator, palette: Sequence[Color]) -> Color:
    """A colour on the line between two neighbours of a palette, slightly tinted."""
    place = rng.uniform(0.0, len(palette) - 1.0)
    low = min(int(place), len(palette) - 2)
    share = place - low
    mixed = (1 - share) * np.asarray(palette[low]) + share * np.asarray(palette[low + 1])
    return to_color(mixed + rng.uniform(-0.02, 0.02, 3))
