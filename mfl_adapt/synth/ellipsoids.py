"""Textured ellipsoids: the only primitive of the analytic scenes.

A texture lives in the ellipsoid's own frame, in world units: a base colour, a few plane waves and
a few Gaussian patches of another colour. All of them are smooth and band-limited.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from mfl_adapt.types import Float

Color = tuple[float, float, float]


@dataclass(frozen=True, slots=True, eq=False)
class Wave:
    """A plane colour wave ``amplitude * sin(2 pi (vector . x + phase))``.

    Attributes:
        vector: Cycles per world unit along the ellipsoid's own axes, [3].
        phase: Shift in cycles.
        amplitude: Change of R, G and B.
    """

    vector: tuple[float, float, float]
    phase: float
    amplitude: Color


@dataclass(frozen=True, slots=True, eq=False)
class Patch:
    """A soft spot that blends towards a colour.

    Attributes:
        center: Middle in the ellipsoid's own frame, [3].
        sigma: Standard deviations along the ellipsoid's own axes, in world units.
        color: Colour at full strength.
        strength: Share of that colour in the middle, in [0, 1].
    """

    center: tuple[float, float, float]
    sigma: tuple[float, float, float]
    color: Color
    strength: float = 1.0


@dataclass(frozen=True, slots=True, eq=False)
class Ellipsoid:
    """One part of a scene.

    Attributes:
        name: What it is (``left_ear``), for tests and for reading scenes.
        center: Middle in the world, [3].
        radii: Half-lengths along its own axes, [3].
        color: Base colour, sRGB-encoded in [0, 1].
        rotation: Own axes as columns, [3, 3], det +1.
        waves: Plane colour waves added to the base colour.
        patches: Soft spots, blended in order.
    """

    name: str
    center: Float
    radii: Float
    color: Color
    rotation: Float = field(default_factory=lambda: np.eye(3))
    waves: Sequence[Wave] = ()
    patches: Sequence[Patch] = ()

    def moved(self, rotation: Float, pivot: Float) -> Ellipsoid:
        """Turn about a point of the world; the texture comes along."""
        center = rotation @ (self.center - pivot) + pivot
        return replace(self, center=center, rotation=rotation @ self.rotation)

    def turned(self, rotation: Float) -> Ellipsoid:
        """Turn about its own middle."""
        return replace(self, rotation=rotation @ self.rotation)

    def shifted(self, offset: Float) -> Ellipsoid:
        """Shift without turning."""
        return replace(self, center=self.center + offset)

    def scaled(self, factor: float) -> Ellipsoid:
        """Scale about the world origin; the texture grows with the ellipsoid."""
        waves = [replace(w, vector=_times(w.vector, 1.0 / factor)) for w in self.waves]
        patches = [
            replace(p, center=_times(p.center, factor), sigma=_times(p.sigma, factor))
            for p in self.patches
        ]
        center, radii = self.center * factor, self.radii * factor
        return replace(self, center=center, radii=radii, waves=waves, patches=patches)


def _times(vector: tuple[float, float, float], factor: float) -> tuple[float, float, float]:
    """A 3-tuple times a number."""
    return (vector[0] * factor, vector[1] * factor, vector[2] * factor)


def rotation_about(axis: int, degrees: float) -> Float:
    """Right-handed rotation about world axis 0, 1 or 2, [3, 3]."""
    cosine, sine = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    rotation = np.eye(3)
    first, second = (axis + 1) % 3, (axis + 2) % 3
    rotation[first, first] = rotation[second, second] = cosine
    rotation[second, first], rotation[first, second] = sine, -sine
    return rotation


def rotation_to(direction: Float, *, side: Float | None = None) -> Float:
    """Rotation whose third column is along ``direction`` and whose first is near ``side``, [3, 3].

    ``side`` is world x unless given; it must not be parallel to ``direction``.
    """
    third = np.asarray(direction, np.float64) / np.linalg.norm(direction)
    first = np.array([1.0, 0.0, 0.0]) if side is None else np.asarray(side, np.float64)
    if abs(first @ third) > 0.98 * np.linalg.norm(first):
        first = np.array([0.0, 1.0, 0.0])
    first = first - (first @ third) * third
    first = first / np.linalg.norm(first)
    return np.stack([first, np.cross(third, first), third], axis=-1)
