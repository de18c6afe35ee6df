"""Hair cuts of the heads: caps, clumps, curtains and curls that lie on the skull."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from mfl_adapt.synth.ellipsoids import Color, Ellipsoid, rotation_about, rotation_to
from mfl_adapt.synth.parts import part, to_color
from mfl_adapt.synth.textures import random_waves


def _strands(
    hair: Color,
    rng: np.random.Generator,
    name: str,
    center: Sequence[float],
    radii: Sequence[float],
) -> Ellipsoid:
    """A hair part whose streaks run along its own z axis."""
    tint = to_color(np.asarray(hair) * rng.uniform(0.92, 1.08))
    swing = 0.05 + 0.10 * float(np.mean(hair))
    waves = random_waves(
        rng, 3, cycles=(3.0, 7.5), amplitude=0.45 * swing, stretch=(1.0, 1.0, 0.15)
    )
    return replace(part(name, center, radii, tint), waves=waves)


def _clump(
    hair: Color,
    rng: np.random.Generator,
    name: str,
    azimuth_deg: float,
    height: float,
    size: Sequence[float],
) -> Ellipsoid:
    """A clump lying on the skull; its streaks run downwards.

    ``azimuth_deg`` is 270 in front; ``height`` is the sine of the latitude on the skull.
    """
    azimuth, flat = np.radians(azimuth_deg), np.sqrt(1.0 - height**2)
    outward = np.array([np.cos(azimuth) * flat, np.sin(azimuth) * flat, height])
    center = np.array([0.0, 0.07, 0.19]) + outward * (0.40, 0.46, 0.47)
    clump = _strands(hair, rng, name, (0.0, 0.0, 0.0), size)
    downwards = np.array([0.0, 0.0, -1.0]) + 0.25 * rng.uniform(-1.0, 1.0, 3)
    tangent = downwards - (downwards @ outward) * outward + 1e-3
    return clump.turned(rotation_to(tangent, side=outward)).shifted(center)


def _cap(hair: Color, rng: np.random.Generator, puff: float) -> list[Ellipsoid]:
    """Crown, back and sides: the hair that every cut but the shaved one has."""
    crown = _strands(hair, rng, "crown", (0, 0.09, 0.25), (0.43 + puff, 0.47 + puff, 0.46 + puff))
    back = _strands(hair, rng, "back_hair", (0, 0.20, 0.04), (0.39 + puff, 0.36 + puff, 0.42))
    parts = [crown, back]
    for side in (1.0, -1.0):
        center, radii = (side * (0.33 + puff / 2), 0.08, 0.14), (0.10, 0.20, 0.22)
        parts.append(_strands(hair, rng, "side_hair", center, radii))
    return parts


def _fringe(hair: Color, rng: np.random.Generator, count: int, drop: float) -> list[Ellipsoid]:
    """Clumps over the forehead, parted at a random place."""
    parting = rng.uniform(-20.0, 20.0)
    parts = []
    for number in range(count):
        angle = 270.0 + parting + (number - (count - 1) / 2) * 100.0 / count
        size = (0.055, 0.13, rng.uniform(0.15, 0.21))
        height = 0.72 - drop + rng.uniform(-0.05, 0.05)
        parts.append(_clump(hair, rng, "fringe", angle, height, size))
    return parts


def _short_hair(hair: Color, rng: np.random.Generator) -> list[Ellipsoid]:
    """A cap with a fringe and a ruffled top."""
    top = [
        _clump(hair, rng, "tuft", rng.uniform(0, 360), rng.uniform(0.6, 0.95), (0.06, 0.12, 0.17))
        for _ in range(7)
    ]
    return [*_cap(hair, rng, rng.uniform(0.0, 0.03)), *top, *_fringe(hair, rng, 5, 0.0)]


def _long_hair(hair: Color, rng: np.random.Generator) -> list[Ellipsoid]:
    """A cap with curtains down to the shoulders."""
    length = rng.uniform(0.45, 0.70)
    parts = [*_cap(hair, rng, rng.uniform(0.01, 0.04)), *_fringe(hair, rng, 4, rng.uniform(0, 0.1))]
    for side in (1.0, -1.0):
        for forward, out in ((-0.06, 0.40), (0.10, 0.41), (0.24, 0.33)):
            center = (side * out, forward, 0.15 - length * 0.75)
            parts.append(_strands(hair, rng, "curtain", center, (0.10, 0.13, length)))
    parts.append(_strands(hair, rng, "mane", (0, 0.36, 0.1 - length * 0.75), (0.30, 0.17, length)))
    return parts


def _curly_hair(hair: Color, rng: np.random.Generator) -> list[Ellipsoid]:
    """A cap covered with curls."""
    parts = _cap(hair, rng, 0.02)
    for number in range(26):
        # The golden angle spreads the curls evenly; the front stays free below the hairline.
        angle, height = 137.5 * number + rng.uniform(-12, 12), 0.95 - 1.25 * number / 26
        in_front = abs((angle - 270.0 + 180.0) % 360.0 - 180.0) < 65.0
        radius = rng.uniform(0.10, 0.15)
        size = (radius, radius, radius)
        height = max(height, 0.72) if in_front else height
        parts.append(_clump(hair, rng, "curl", angle, height, size))
    return parts


def _tied_hair(hair: Color, rng: np.random.Generator) -> list[Ellipsoid]:
    """Hair drawn back into a bun or a tail."""
    parts = [*_cap(hair, rng, 0.0), *_fringe(hair, rng, 4, -0.12)]
    if rng.uniform() < 0.5:
        parts.append(_strands(hair, rng, "bun", (0, 0.52, 0.42), (0.17, 0.15, 0.16)))
    else:
        tail = _strands(hair, rng, "tail", (0, 0.62, 0.02), (0.10, 0.10, 0.36))
        parts.append(tail.turned(rotation_about(0, 12.0)))
    return parts


def _shaved_hair(hair: Color, rng: np.random.Generator) -> list[Ellipsoid]:
    """A shadow of hair that hugs the skull; its colour is already mixed with the skin's."""
    waves = random_waves(rng, 3, cycles=(4.0, 7.5), amplitude=0.025)
    stubble = part("stubble", (0, 0.052, 0.225), (0.406, 0.466, 0.462), hair)
    nape = part("nape", (0, 0.125, 0.03), (0.386, 0.402, 0.40), hair)
    return [replace(stubble, waves=waves), nape]


# What a cut makes from a hair colour, in head coordinates before posing.
HAIR_CUTS: dict[str, Callable[[Color, np.random.Generator], list[Ellipsoid]]] = {
    "short": _short_hair,
    "long": _long_hair,
    "curly": _curly_hair,
    "tied": _tied_hair,
    "shaved": _shaved_hair,
}
