"""Laboratory mice: bent, stretched, rearing, with a tail of many segments.

All lengths are world units, all angles degrees. A mouse is built facing -y with its feet on a
plane of constant z, turned to a random heading, and shifted so that its centre of mass is at the
origin.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from mfl_adapt.synth.constants import (
    MOUSE_BEND_DEG,
    MOUSE_COATS,
    MOUSE_HEAD_TURN_DEG,
    MOUSE_REAR_DEG,
    MOUSE_REARING_SHARE,
    MOUSE_SIZE,
    MOUSE_TAIL_SEGMENTS,
)
from mfl_adapt.synth.ellipsoids import Color, Ellipsoid, Patch, rotation_about, rotation_to
from mfl_adapt.synth.parts import SIDES, to_color
from mfl_adapt.synth.textures import random_waves

if TYPE_CHECKING:
    from mfl_adapt.types import Float

_COATS: dict[str, tuple[Color, Color]] = {  # back, belly
    "black": ((0.21, 0.20, 0.19), (0.27, 0.25, 0.24)),
    "agouti": ((0.43, 0.33, 0.23), (0.60, 0.53, 0.44)),
    "white": ((0.90, 0.88, 0.86), (0.94, 0.92, 0.90)),
    "grey": ((0.46, 0.45, 0.45), (0.60, 0.58, 0.57)),
    "pied": ((0.88, 0.86, 0.83), (0.92, 0.90, 0.88)),
}
_PINK: Color = (0.78, 0.56, 0.53)

# Stations of the spine from rump to neck: place along it, half-width, half-length, half-height.
_SPINE = (
    (0.04, 0.155, 0.170, 0.155),
    (0.26, 0.210, 0.250, 0.215),
    (0.50, 0.205, 0.260, 0.205),
    (0.76, 0.160, 0.240, 0.165),
    (1.00, 0.115, 0.190, 0.125),
)
_SPINE_LENGTH = 0.46
_TAIL_LENGTH = 0.56


@dataclass(frozen=True, slots=True)
class _Look:
    """Coat and pose of one mouse."""

    coat: str
    back: Color
    belly: Color
    pink: Color
    bend: float
    arch: float
    rear: float
    stretch: float
    girth: float
    head_turn: float
    head_pitch: float
    size: float


class _Frame(NamedTuple):
    """A place on the body: position, and axes left-right, backwards, up as columns."""

    position: Float
    axes: Float

    def at(self, x: float, y: float, z: float) -> Float:
        """World point of local coordinates; -y is forwards."""
        return self.position + self.axes @ np.array([x, y, z])

    def turned(self, *, heading: float = 0.0, pitch: float = 0.0) -> _Frame:
        """Turn about the world's z axis, then raise the nose by ``pitch``."""
        axes = rotation_about(2, heading) @ self.axes @ rotation_about(0, -pitch)
        return _Frame(self.position, axes)


def make_mouse(rng: np.random.Generator) -> list[Ellipsoid]:
    """Draw one mouse of 40 parts."""
    look = _draw_look(rng)
    spine = _spine(look)
    parts = [
        *_trunk(look, spine, rng),
        *_head(look, spine[-1], rng),
        *_limbs(look, spine, rng),
        *_tail(look, spine[0], rng),
    ]
    heading = rotation_about(2, rng.uniform(0.0, 360.0))
    turned = [part.scaled(look.size).moved(heading, np.zeros(3)) for part in parts]
    # Parts overlap, so their volumes are weights and no more; the tail's count for little.
    volumes = np.array([np.prod(part.radii) for part in turned])
    middle = volumes @ np.stack([part.center for part in turned]) / volumes.sum()
    return [part.shifted(-middle) for part in turned]


def _draw_look(rng: np.random.Generator) -> _Look:
    """Draw coat and pose."""
    # One raw draw against the summed shares: numpy may change how ``choice`` draws, never this.
    place = int(np.searchsorted(np.cumsum(tuple(MOUSE_COATS.values())), rng.uniform(), "right"))
    coat = tuple(MOUSE_COATS)[min(place, len(MOUSE_COATS) - 1)]
    tone = rng.uniform(0.85, 1.12) + rng.uniform(-0.03, 0.03, 3)
    rearing = rng.uniform() < MOUSE_REARING_SHARE
    return _Look(
        coat=coat,
        back=to_color(np.asarray(_COATS[coat][0]) * tone),
        belly=to_color(np.asarray(_COATS[coat][1]) * tone),
        pink=to_color(np.asarray(_PINK) * rng.uniform(0.75, 1.05)),
        bend=rng.uniform(-MOUSE_BEND_DEG, MOUSE_BEND_DEG),
        arch=rng.uniform(5.0, 40.0),
        rear=rng.uniform(0.5, 1.0) * MOUSE_REAR_DEG if rearing else rng.uniform(-4.0, 12.0),
        stretch=rng.uniform(0.85, 1.15),
        girth=rng.uniform(0.92, 1.08),
        head_turn=rng.uniform(-MOUSE_HEAD_TURN_DEG, MOUSE_HEAD_TURN_DEG),
        head_pitch=rng.uniform(-25.0, 10.0),
        size=rng.uniform(*MOUSE_SIZE),
    )


def _spine(look: _Look) -> list[_Frame]:
    """Stations from rump to neck; the rump sits on the ground plane z = 0."""
    position, frames, previous = np.array([0.0, 0.0, 0.17 * look.girth]), [], 0.0
    for place, *_ in _SPINE:
        # The back is arched: it rises behind the middle and falls towards the neck.
        pitch = look.rear + look.arch * (1.0 - 2.0 * place)
        axes = rotation_about(2, look.bend * (place - 0.5)) @ rotation_about(0, -pitch)
        position = position - axes[:, 1] * (place - previous) * _SPINE_LENGTH * look.stretch
        previous = place
        frames.append(_Frame(position, axes))
    lowest = min(
        frame.position[2] - height * look.girth
        for frame, (_, _, _, height) in zip(frames, _SPINE, strict=True)
    )
    shift = np.array([0.0, 0.0, max(0.02 - lowest, 0.0)])
    return [_Frame(frame.position + shift, frame.axes) for frame in frames]


def _part(
    name: str, frame: _Frame, place: Sequence[float], radii: Sequence[float], color: Color
) -> Ellipsoid:
    """A plain part at local coordinates of a frame, along its axes."""
    center = frame.at(place[0], place[1], place[2])
    return Ellipsoid(name, center, np.array(radii, np.float64), color, frame.axes)


def _bone(
    name: str,
    start: Float,
    end: Float,
    thickness: float,
    color: Color,
    *,
    stretch: float = 0.62,
) -> Ellipsoid:
    """A slender part from one point to another; a little longer, so that neighbours overlap."""
    along = end - start
    radii = np.array([thickness, thickness, stretch * float(np.linalg.norm(along))])
    return Ellipsoid(name, (start + end) / 2, radii, color, rotation_to(along))


def _furry(part: Ellipsoid, look: _Look, rng: np.random.Generator) -> Ellipsoid:
    """Give a part fur: fine waves, a paler underside and, on pied mice, dark patches."""
    swing = 0.015 + 0.03 * float(np.mean(look.back))
    waves = random_waves(rng, 3, cycles=(3.0, 7.0), amplitude=swing, stretch=(1.0, 0.5, 1.0))
    width, length, height = (float(radius) for radius in part.radii)
    under = Patch((0.0, 0.0, -height), (width, 1.5 * length, 0.6 * height), look.belly, 0.9)
    patches = [under]
    if look.coat == "pied" and rng.uniform() < 0.6:
        side = rng.uniform(-0.9, 0.9)
        middle = (side * width, rng.uniform(-0.6, 0.6) * length, 0.7 * height)
        spread = rng.uniform(0.07, 0.12)
        patches.append(Patch(middle, (spread, spread, spread), (0.16, 0.14, 0.13), 0.97))
    return replace(part, waves=waves, patches=patches)


def _trunk(look: _Look, spine: Sequence[_Frame], rng: np.random.Generator) -> list[Ellipsoid]:
    """Overlapping ellipsoids along the spine."""
    parts = []
    for frame, (_, width, length, height) in zip(spine, _SPINE, strict=True):
        radii = (width * look.girth, length * look.stretch, height * look.girth)
        parts.append(_furry(_part("trunk", frame, (0, 0, 0), radii, look.back), look, rng))
    return parts


def _head(look: _Look, neck: _Frame, rng: np.random.Generator) -> list[Ellipsoid]:
    """Skull, snout, nose, eyes and ears; the head evens out part of the neck's pitch."""
    lifted = float(np.degrees(np.arcsin(np.clip(-neck.axes[2, 1], -1.0, 1.0))))
    frame = _Frame(neck.at(0, -0.11, 0.03), neck.axes)
    frame = frame.turned(heading=look.head_turn, pitch=look.head_pitch - 0.7 * lifted)
    muzzle = frame.turned(pitch=-9.0)
    parts = [
        _furry(_part("skull", frame, (0, -0.06, 0.0), (0.115, 0.165, 0.115), look.back), look, rng),
        _furry(
            _part("snout", muzzle, (0, -0.21, 0.0), (0.066, 0.115, 0.064), look.back), look, rng
        ),
        _part("nose", muzzle, (0, -0.315, 0.005), (0.026, 0.022, 0.022), look.pink),
    ]
    # Albino mice have red eyes.
    eye: Color = (0.55, 0.12, 0.14) if look.coat == "white" else (0.03, 0.03, 0.04)
    for side, name in SIDES:
        parts.append(
            _part(f"{name}_eye", frame, (side * 0.088, -0.135, 0.038), (0.021, 0.026, 0.025), eye)
        )
        parts.append(_ear(f"{name}_ear", frame, side, look))
    return parts


def _ear(name: str, frame: _Frame, side: float, look: _Look) -> Ellipsoid:
    """A thin upright disc that opens forwards and outwards."""
    skin = to_color(0.65 * np.asarray(look.pink) + 0.35 * np.asarray(look.back))
    rim = Patch((0.0, 0.05, 0.0), (0.2, 0.04, 0.2), look.back, 0.7)
    axes = frame.axes @ rotation_about(1, side * 28.0) @ rotation_about(2, side * 30.0)
    radii = np.array([0.078, 0.020, 0.090])
    center = frame.at(side * 0.105, 0.015, 0.125)
    return Ellipsoid(name, center, radii, skin, axes, patches=[rim])


def _limbs(look: _Look, spine: Sequence[_Frame], rng: np.random.Generator) -> list[Ellipsoid]:
    """Two hind legs at the hips and two arms at the chest."""
    hips, chest = spine[1], spine[3]
    parts = []
    for side, name in SIDES:
        parts += _hind_leg(name, side, hips, look, rng)
        parts += _arm(name, side, chest, look, rng)
    return parts


def _hind_leg(
    name: str, side: float, hips: _Frame, look: _Look, rng: np.random.Generator
) -> list[Ellipsoid]:
    """A thigh at the flank, a shank down to the ground and a long foot that lies on it."""
    center, radii = (side * 0.15, -0.02, -0.07), (0.085, 0.15, 0.135)
    thigh = _furry(_part(f"{name}_thigh", hips, center, radii, look.back), look, rng)
    level = _level(hips).axes
    heel = hips.position + level @ np.array([side * 0.16, rng.uniform(-0.05, 0.07), 0.0])
    heel[2] = 0.03
    knee = hips.at(side * 0.16, -0.02, -0.08)
    shank = _furry(_bone(f"{name}_shank", knee, heel, 0.055, look.back), look, rng)
    toes = heel + level @ np.array([side * 0.04, -0.17, -0.008])
    return [thigh, shank, _bone(f"{name}_foot", heel, toes, 0.028, look.pink)]


def _arm(
    name: str, side: float, chest: _Frame, look: _Look, rng: np.random.Generator
) -> list[Ellipsoid]:
    """An arm that reaches the ground, or hangs before the chest of a rearing mouse."""
    level = _level(chest).axes
    shoulder = chest.at(side * 0.09, -0.03, -0.05)
    reach = rng.uniform(-0.10, 0.03)
    paw = shoulder + level @ np.array([side * 0.03, reach - 0.04, 0.0])
    hanging = shoulder[2] > 0.30
    paw[2] = shoulder[2] - 0.15 if hanging else 0.022
    paw += level @ np.array([0.0, -0.07 * hanging, 0.0])
    arm = _bone(f"{name}_arm", shoulder, 0.25 * shoulder + 0.75 * paw, 0.045, look.back)
    toes = paw + level @ np.array([0.0, -0.06, -0.01])
    return [
        _furry(arm, look, rng),
        _bone(f"{name}_wrist", 0.4 * shoulder + 0.6 * paw, paw, 0.026, look.pink),
        _bone(f"{name}_paw", paw, toes, 0.026, look.pink),
    ]


def _level(frame: _Frame) -> _Frame:
    """The same place with upright axes and the same heading."""
    heading = float(np.degrees(np.arctan2(frame.axes[1, 0], frame.axes[0, 0])))
    return _Frame(frame.position, rotation_about(2, heading))


def _tail(look: _Look, rump: _Frame, rng: np.random.Generator) -> list[Ellipsoid]:
    """A tapering chain that sinks to the ground and winds there, its tip sometimes lifted."""
    color = to_color(0.8 * np.asarray(look.pink) + 0.2 * np.asarray(look.back))
    start = rump.at(0.0, 0.12, -0.06)
    heading = float(np.degrees(np.arctan2(rump.axes[1, 1], rump.axes[0, 1])))
    turn, wiggle = rng.uniform(-130.0, 130.0), rng.uniform(-30.0, 30.0)
    lift, length = max(rng.uniform(-0.25, 0.25), 0.0), _TAIL_LENGTH * rng.uniform(0.9, 1.1)
    step = length / MOUSE_TAIL_SEGMENTS
    points = [start]
    for number in range(MOUSE_TAIL_SEGMENTS):
        place = (number + 0.5) / MOUSE_TAIL_SEGMENTS
        angle = np.radians(heading + turn * place + wiggle * np.sin(2 * np.pi * place))
        ahead = points[-1] + step * np.array([np.cos(angle), np.sin(angle), 0.0])
        ahead[2] = 0.03 + (start[2] - 0.03) * np.exp(-7.0 * place) + lift * place**2
        points.append(ahead)
    taper = np.linspace(0.036, 0.013, MOUSE_TAIL_SEGMENTS)
    return [
        _bone("tail", points[number], points[number + 1], float(taper[number]), color, stretch=0.9)
        for number in range(MOUSE_TAIL_SEGMENTS)
    ]
