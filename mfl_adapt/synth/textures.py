"""Colour of a point on an ellipsoid: smooth texture times light that is fixed in the world."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from mfl_adapt.synth.constants import AMBIENT, LIGHT_DIRECTION, MAX_CYCLES_PER_UNIT
from mfl_adapt.synth.ellipsoids import Ellipsoid, Patch, Wave

if TYPE_CHECKING:
    from mfl_adapt.types import Float

_LIGHT = np.asarray(LIGHT_DIRECTION) / np.linalg.norm(LIGHT_DIRECTION)


def paint(part: Ellipsoid, unit: Float) -> Float:
    """Shaded colours of surface points.

    Lambert's cosine is wrapped to (1 + n . l) / 2, which has no edge where the light grazes the
    surface. Nothing depends on the viewing direction.

    Args:
        part: The ellipsoid.
        unit: Surface points in the frame in which it is the unit sphere, [3, P].

    Returns:
        sRGB-encoded colours in [0, 1], [3, P].
    """
    normals = unit / part.radii[:, None]
    lengths = np.sqrt(np.einsum("ip,ip->p", normals, normals))
    cosine = (part.rotation.T @ _LIGHT) @ normals / lengths
    shade = (AMBIENT + (1.0 - AMBIENT) / 2) + (1.0 - AMBIENT) / 2 * cosine
    return np.clip(albedo(part, unit * part.radii[:, None]) * shade, 0.0, 1.0)


def albedo(part: Ellipsoid, local: Float) -> Float:
    """Texture without light, [3, P], of points [3, P] in the part's own axes and world units."""
    colors = np.empty_like(local)
    colors[:] = np.asarray(part.color)[:, None]
    for wave in part.waves:
        phase = np.asarray(wave.vector) @ local
        swing = np.sin(2 * np.pi * (phase + wave.phase))
        colors += np.multiply.outer(wave.amplitude, swing)
    for patch in part.patches:
        weight = _patch_weight(patch, local)
        colors += weight * (np.asarray(patch.color)[:, None] - colors)
    return colors


def _patch_weight(patch: Patch, local: Float) -> Float:
    """Share of the patch's colour at points, [P]."""
    offset = (local - np.asarray(patch.center)[:, None]) / np.asarray(patch.sigma)[:, None]
    return patch.strength * np.exp(-0.5 * np.einsum("ip,ip->p", offset, offset))


def random_waves(
    rng: np.random.Generator,
    count: int,
    *,
    cycles: tuple[float, float],
    amplitude: float,
    stretch: tuple[float, float, float] = (1.0, 1.0, 1.0),
) -> list[Wave]:
    """Draw waves that brighten and darken, with a little change of hue.

    Args:
        rng: Source of randomness.
        count: How many.
        cycles: Least and greatest frequency in cycles per world unit; clipped to
            ``MAX_CYCLES_PER_UNIT``.
        amplitude: Greatest change of a colour channel by one wave.
        stretch: Weight of the three own axes in the wave's direction; 0 along the strands makes
            hair.

    Returns:
        The waves.
    """
    waves = []
    for _ in range(count):
        direction = rng.uniform(-1.0, 1.0, 3) * stretch + 1e-3
        frequency = min(rng.uniform(*cycles), MAX_CYCLES_PER_UNIT)
        vector = direction / np.linalg.norm(direction) * frequency
        hue = amplitude * (0.8 + 0.2 * rng.uniform(-1.0, 1.0, 3))
        waves.append(Wave(_triple(vector), float(rng.uniform()), _triple(hue)))
    return waves


def _triple(values: Float) -> tuple[float, float, float]:
    """Three plain floats."""
    return (float(values[0]), float(values[1]), float(values[2]))
