"""A zebra finch of coloured ellipsoids, in millimetres.

A bird is built with the perch under its feet at the origin, looking along +x, +y to its left and
+z up, and then turned and put on its perch.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from scipy.spatial.transform import Rotation

if TYPE_CHECKING:
    from mfl_adapt.types import Float

Colour = tuple[float, float, float]

# Back, wing, belly and crown of the plumages that breeders know, and how common they are here.
_PLUMAGES: dict[str, tuple[float, Colour, Colour, Colour, Colour]] = {
    "wild": (0.5, (0.47, 0.42, 0.38), (0.40, 0.33, 0.27), (0.88, 0.85, 0.79), (0.50, 0.50, 0.51)),
    "fawn": (0.2, (0.68, 0.55, 0.42), (0.60, 0.46, 0.33), (0.92, 0.87, 0.79), (0.70, 0.59, 0.47)),
    "black": (0.2, (0.20, 0.18, 0.18), (0.15, 0.13, 0.13), (0.36, 0.33, 0.31), (0.22, 0.21, 0.22)),
    "pied": (0.1, (0.80, 0.77, 0.72), (0.45, 0.38, 0.32), (0.92, 0.90, 0.86), (0.62, 0.60, 0.58)),
}
_CHEEK, _FLANK = (0.84, 0.44, 0.15), (0.60, 0.30, 0.16)
_RED_BEAK, _ORANGE_BEAK = (0.86, 0.24, 0.12), (0.91, 0.46, 0.16)
_BLACK, _LEG = (0.07, 0.06, 0.06), (0.86, 0.50, 0.28)

# Height of the body's middle above the top of the perch.
_STANDING = 25.0


@dataclass(frozen=True, slots=True, eq=False)
class Ellipsoid:
    """A part of a bird, or a perch.

    Attributes:
        center: In mm, [3].
        radii: Along its own axes, in mm, [3].
        axes: Its axes as columns, [3, 3].
        colour: Above and on the sides.
        under: Where its surface looks down its own z axis.
    """

    center: "Float"
    radii: "Float"
    axes: "Float"
    colour: Colour
    under: Colour

    def placed(self, turn: "Float", scale: float, shift: "Float") -> "Ellipsoid":
        """Scale about the origin, turn, and shift."""
        center = scale * turn @ self.center + shift
        return replace(self, center=center, radii=scale * self.radii, axes=turn @ self.axes)


@dataclass(frozen=True, slots=True)
class Looks:
    """What stays the same about one bird.

    Attributes:
        back: Colour.
        wing: Colour.
        belly: Colour.
        crown: Colour.
        male: Has orange cheeks, chestnut flanks and a red beak.
        size: Factor on all lengths.
        girth: Factor on the body's width and height.
    """

    back: Colour
    wing: Colour
    belly: Colour
    crown: Colour
    male: bool
    size: float
    girth: float


def draw_looks(rng: np.random.Generator) -> Looks:
    """Draw a bird."""
    shares = np.cumsum([plumage[0] for plumage in _PLUMAGES.values()])
    kind = min(int(np.searchsorted(shares, rng.uniform(), side="right")), len(shares) - 1)
    tone = rng.uniform(0.9, 1.08) + rng.uniform(-0.03, 0.03, 3)
    back, wing, belly, crown = (_toned(one, tone) for one in list(_PLUMAGES.values())[kind][1:])
    size, girth = rng.uniform(0.92, 1.08), rng.uniform(0.93, 1.1)
    return Looks(back, wing, belly, crown, bool(rng.uniform() < 0.5), size, girth)


def pose_bird(looks: Looks, rng: np.random.Generator, perch_top: "Float") -> list[Ellipsoid]:
    """Put a bird on a perch in a random pose.

    Args:
        looks: Which bird.
        rng: Where the pose comes from.
        perch_top: Where its feet are, [3] in mm.

    Returns:
        Its parts in the world.
    """
    body = _Joint(np.array([0.0, 0.0, _STANDING]), _turned(pitch=rng.uniform(4.0, 26.0)))
    turn = {"yaw": rng.uniform(-65.0, 65.0), "pitch": rng.uniform(-18.0, 14.0)}
    spread, droop = max(0.0, rng.uniform(-30.0, 40.0)), rng.uniform(-4.0, 14.0)
    parts = [
        *_trunk(looks, body),
        *_head(looks, _Joint(body.at(25.0, 0.0, 15.0), _turned(**turn))),
        *_wings(looks, body, spread),
        *_tail(looks, body, droop),
        *_legs(looks),
    ]
    # Birds sit across the perch, which runs along x, and look to either side.
    heading = rng.choice([-90.0, 90.0]) + rng.uniform(-50.0, 50.0)
    world = _turned(yaw=heading)
    return [part.placed(world, looks.size, perch_top) for part in parts]


@dataclass(frozen=True, slots=True, eq=False)
class _Joint:
    """A place on the bird with axes ahead, left and up as columns."""

    position: "Float"
    axes: "Float"

    def at(self, x: float, y: float, z: float) -> "Float":
        return self.position + self.axes @ np.array([x, y, z])

    def part(
        self,
        place: Sequence[float],
        radii: Sequence[float],
        colour: Colour,
        *,
        under: Colour | None = None,
        turn: "Float | None" = None,
    ) -> Ellipsoid:
        axes = self.axes if turn is None else self.axes @ turn
        return Ellipsoid(self.at(*place), np.array(radii), axes, colour, under or colour)


def _turned(*, yaw: float = 0.0, pitch: float = 0.0, roll: float = 0.0) -> "Float":
    """Rotation by degrees: yaw to the left, pitch with the beak up, roll with the left side up."""
    turn = Rotation.from_euler("ZYX", [yaw, -pitch, roll], degrees=True)
    return np.asarray(turn.as_matrix())


def _toned(colour: Colour, tone: "Float") -> Colour:
    red, green, blue = np.clip(np.array(colour) * tone, 0.0, 1.0).tolist()
    return red, green, blue


def _trunk(looks: Looks, body: _Joint) -> list[Ellipsoid]:
    width, height = 18.0 * looks.girth, 19.0 * looks.girth
    parts = [
        body.part((0, 0, 0), (30, width, height), looks.back, under=looks.belly),
        body.part((14, 0, 1), (17, 0.92 * width, 0.95 * height), looks.back, under=looks.belly),
        body.part((-20, 0, 2), (20, 0.66 * width, 0.62 * height), looks.back, under=looks.belly),
    ]
    if looks.male:
        for side in (-1.0, 1.0):
            place = (-4, side * 0.62 * width, -0.42 * height)
            parts.append(body.part(place, (19, 0.38 * width, 0.42 * height), _FLANK))
        parts.append(body.part((24, 0, -3), (8.5, 0.62 * width, 4.5), _BLACK))
    return parts


def _head(looks: Looks, neck: _Joint) -> list[Ellipsoid]:
    throat = looks.crown if looks.male else looks.belly
    beak = _RED_BEAK if looks.male else _ORANGE_BEAK
    parts = [
        neck.part((0, 0, -6), (12, 12, 13), looks.back, under=looks.belly),
        neck.part((4, 0, 5), (14.5, 12.5, 12.5), looks.crown, under=throat),
        neck.part((18.5, 0, 3), (8.5, 4.6, 4.8), beak),
    ]
    for side in (-1.0, 1.0):
        parts.append(neck.part((9.5, side * 10.2, 8), (2.6, 2.0, 2.6), _BLACK))
        if looks.male:
            parts.append(neck.part((3.5, side * 7.6, 1), (6.5, 5.6, 6.0), _CHEEK))
        else:
            parts.append(neck.part((12, side * 7.0, 2), (2.0, 3.4, 5.0), _BLACK))
    return parts


def _wings(looks: Looks, body: _Joint, spread: float) -> list[Ellipsoid]:
    """Wings at the sides; ``spread`` in degrees lifts and opens them."""
    parts = []
    for side in (-1.0, 1.0):
        turn = _turned(yaw=side * (4.0 - 0.6 * spread), pitch=6.0, roll=side * (0.6 * spread - 8.0))
        hinge = _Joint(body.at(10.0, side * 15.0 * looks.girth, 6.0), body.axes @ turn)
        parts.append(hinge.part((-17, 0, -1), (27, 4.5, 12), looks.wing))
        parts.append(hinge.part((-36, 0, -1), (20, 2.6, 6), _toned(looks.wing, np.full(3, 0.62))))
    return parts


def _tail(looks: Looks, body: _Joint, droop: float) -> list[Ellipsoid]:
    """Black feathers with a white base; they stay above the perch, so that it never hides them."""
    tail = _Joint(body.at(-30.0, 0.0, 5.0), body.axes @ _turned(pitch=-droop))
    return [
        tail.part((-4, 0, 0), (11, 8, 4.5), looks.belly),
        tail.part((-24, 0, 0), (23, 6.5, 2.8), _BLACK),
    ]


def _legs(looks: Looks) -> list[Ellipsoid]:
    ground = _Joint(np.zeros(3), np.eye(3))
    return [
        leg
        for side in (-1.0, 1.0)
        for leg in (
            ground.part((-1, side * 7.0, 6.0), (1.7, 1.7, 7.0), _LEG),
            ground.part((2, side * 7.0, 0.5), (5.0, 1.8, 1.6), _LEG),
        )
    ]
