"""A mouse that walks on a closed path, turns with it, and sways its body."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from mfl_adapt.synth.ellipsoids import Ellipsoid, rotation_about
from mfl_adapt.synth.scenes import make_scene, scene_generator

if TYPE_CHECKING:
    from mfl_adapt.types import Float

# One unit of the generator in mm: a mouse covers about as much of a picture as a real one does.
MM_PER_UNIT = 62.0
_SPEED_MM_S = 45.0
_RADIUS_MM = 16.0
_SWAY_DEG, _SWAYS_PER_ROUND = 22.0, 3.0
# The path is no circle: its radius swings twice a round by this share.
_WOBBLE = 0.3
# Paths draw from a generator of their own, so that the mouse of a seed is always the same.
_PATH_DRAWS = 2


@dataclass(frozen=True, slots=True, eq=False)
class Walk:
    """One mouse on its way; everything follows from the time.

    Attributes:
        parts: The mouse in mm, facing +x, the middle of its body at the origin.
        spine: Least and greatest x between which the body bends, in mm.
        middle: Middle of the path in the world, at the height of the body's middle, [3] in mm.
        start: Place on the path at time 0, in radians.
        round_s: Duration of one round in seconds; negative for clockwise.
    """

    parts: tuple[Ellipsoid, ...]
    spine: tuple[float, float]
    middle: Float
    start: float
    round_s: float

    def position(self, time_s: float) -> Float:
        """Middle of the body in the world, [3] in mm."""
        angle = self._angle(time_s)
        radius = _RADIUS_MM * (1.0 + _WOBBLE * np.cos(2 * angle))
        return self.middle + radius * np.array([np.cos(angle), np.sin(angle), 0.0])

    def heading_deg(self, time_s: float) -> float:
        """Direction of the walk in the world, anticlockwise from +x."""
        angle = self._angle(time_s)
        radius, slope = 1.0 + _WOBBLE * np.cos(2 * angle), -2 * _WOBBLE * np.sin(2 * angle)
        x = slope * np.cos(angle) - radius * np.sin(angle)
        y = slope * np.sin(angle) + radius * np.cos(angle)
        ahead = np.sign(self.round_s)
        return float(np.degrees(np.arctan2(ahead * y, ahead * x)))

    def ellipsoids(self, time_s: float) -> list[Ellipsoid]:
        """The mouse in the world, in mm."""
        sway = np.sin(_SWAYS_PER_ROUND * self._angle(time_s))
        bent = bend(self.parts, _SWAY_DEG * float(sway), self.spine)
        heading = rotation_about(2, self.heading_deg(time_s))
        position = self.position(time_s)
        return [part.moved(heading, np.zeros(3)).shifted(position) for part in bent]

    def _angle(self, time_s: float) -> float:
        return self.start + 2 * np.pi * time_s / self.round_s


def make_walk(seed: int, middle: Sequence[float], floor: float) -> Walk:
    """Draw a mouse and its path.

    Args:
        seed: Decides coat, build and path.
        middle: Point that the path runs about, x and y in mm.
        floor: Height of the ground that the feet stand on, in mm.

    Raises:
        RangeError: If the seed is negative.
    """
    drawn = make_scene("mice", seed).ellipsoids
    trunk = [part.center for part in drawn if part.name == "trunk"]
    ahead = trunk[-1] - trunk[0]
    turn = rotation_about(2, -float(np.degrees(np.arctan2(ahead[1], ahead[0]))))
    parts = tuple(part.moved(turn, np.zeros(3)).scaled(MM_PER_UNIT) for part in drawn)
    ends = [float((turn @ center)[0]) * MM_PER_UNIT for center in (trunk[0], trunk[-1])]
    lowest = min(
        part.center[2] - float(np.sqrt(part.rotation[2] ** 2 @ part.radii**2)) for part in parts
    )
    rng = scene_generator("mice", seed, _PATH_DRAWS)
    return Walk(
        parts=parts,
        spine=(ends[0], ends[1]),
        middle=np.array([middle[0], middle[1], floor - lowest]),
        start=float(rng.uniform(0.0, 2 * np.pi)),
        round_s=float(rng.choice([-1.0, 1.0])) * 2 * np.pi * _RADIUS_MM / _SPEED_MM_S,
    )


def bend(
    parts: Sequence[Ellipsoid], angle_deg: float, spine: tuple[float, float]
) -> list[Ellipsoid]:
    """Bend a body that lies along x sideways into an arc; each part moves as a whole.

    Args:
        parts: The body.
        angle_deg: Angle between both ends, anticlockwise seen from above.
        spine: Least and greatest x that bend; what lies beyond follows straight on.

    Returns:
        The bent parts; what is at the middle of the spine stays.
    """
    curvature = float(np.radians(angle_deg)) / (spine[1] - spine[0])
    middle = (spine[0] + spine[1]) / 2

    def bent(part: Ellipsoid) -> Ellipsoid:
        along = float(np.clip(part.center[0], *spine)) - middle
        rest = float(part.center[0]) - middle - along
        turn = rotation_about(2, float(np.degrees(curvature * along)))
        arc = np.array([_sine(curvature, along), _versine(curvature, along), 0.0])
        aside = np.array([rest, part.center[1], part.center[2]])
        center = arc + turn @ aside + np.array([middle, 0.0, 0.0])
        return replace(part, center=center, rotation=turn @ part.rotation)

    return [bent(part) for part in parts]


def _sine(curvature: float, along: float) -> float:
    """Integral of the cosine of the arc's direction."""
    return along * float(np.sinc(curvature * along / np.pi))


def _versine(curvature: float, along: float) -> float:
    """Integral of the sine of the arc's direction."""
    half = curvature * along / 2
    return along * half * float(np.sinc(half / np.pi)) ** 2
