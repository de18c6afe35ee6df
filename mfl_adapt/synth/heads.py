"""Heads as FaceLift sees them: facing -y, chin to crown about 1.2 units, shoulders out of frame.

All lengths are world units, all angles degrees. The subject's left is +x.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from mfl_adapt.synth.constants import HEAD_PITCH_DEG, HEAD_ROLL_DEG, HEAD_YAW_DEG
from mfl_adapt.synth.ellipsoids import Color, Ellipsoid, Patch, rotation_about
from mfl_adapt.synth.hair import HAIR_CUTS
from mfl_adapt.synth.parts import SIDES, between, mix, part, to_color
from mfl_adapt.synth.textures import random_waves

if TYPE_CHECKING:
    from mfl_adapt.types import Float

_SKINS: tuple[Color, ...] = (
    (0.98, 0.84, 0.76),
    (0.94, 0.76, 0.65),
    (0.86, 0.66, 0.52),
    (0.72, 0.51, 0.38),
    (0.54, 0.36, 0.26),
    (0.38, 0.25, 0.19),
)
_HAIRS: tuple[Color, ...] = (
    (0.11, 0.09, 0.09),
    (0.24, 0.16, 0.12),
    (0.42, 0.28, 0.18),
    (0.80, 0.64, 0.38),
    (0.60, 0.28, 0.14),
    (0.68, 0.67, 0.66),
)
_IRISES: tuple[Color, ...] = ((0.20, 0.13, 0.09), (0.25, 0.36, 0.48), (0.28, 0.36, 0.22))

# From the proportions written below to world units.
_SCALE = 1.12

# The head turns about the top of the spine.
_PIVOT = np.array([0.0, 0.12, -0.42])


@dataclass(frozen=True, slots=True)
class _Look:
    """What one person looks like."""

    skin: Color
    hair: Color
    iris: Color
    cloth: Color
    trim: Color
    hair_cut: str
    width: float
    height: float
    nose: float
    ears: float
    shoulders: float


def make_head(rng: np.random.Generator) -> list[Ellipsoid]:
    """Draw one person: about 40 to 60 parts, head turned a little on a fixed torso."""
    look = _draw_look(rng)
    # A shaved head shows its skin through the hair.
    hair = mix(look.skin, look.hair, 0.65) if look.hair_cut == "shaved" else look.hair
    head = [*_face(look, rng), *_eyes(look), *HAIR_CUTS[look.hair_cut](hair, rng)]
    turn = (
        rotation_about(2, rng.uniform(-HEAD_YAW_DEG, HEAD_YAW_DEG))
        @ rotation_about(0, rng.uniform(-HEAD_PITCH_DEG, HEAD_PITCH_DEG))
        @ rotation_about(1, rng.uniform(-HEAD_ROLL_DEG, HEAD_ROLL_DEG))
    )
    stretch = np.array([look.width, 1.0, look.height])
    posed = [_stretched(one, stretch).moved(turn, _PIVOT) for one in head]
    offset = rng.uniform(-1.0, 1.0, 3) * (0.04, 0.04, 0.03)
    whole = [*posed, *_body(look, rng)]
    return [one.scaled(_SCALE).shifted(offset) for one in whole]


def _draw_look(rng: np.random.Generator) -> _Look:
    """Draw colours, hair cut and proportions."""
    cloth, trim = _cloth_color(rng), _cloth_color(rng)
    cuts = tuple(HAIR_CUTS)
    return _Look(
        skin=between(rng, _SKINS),
        hair=between(rng, _HAIRS),
        iris=_IRISES[int(rng.integers(len(_IRISES)))],
        cloth=cloth,
        trim=trim,
        hair_cut=cuts[int(rng.integers(len(cuts)))],
        width=rng.uniform(0.92, 1.06),
        height=rng.uniform(0.94, 1.05),
        nose=rng.uniform(0.85, 1.25),
        ears=rng.uniform(0.85, 1.2),
        shoulders=rng.uniform(0.88, 1.08),
    )


def _cloth_color(rng: np.random.Generator) -> Color:
    """Any colour, mostly muted."""
    grey, chroma = rng.uniform(0.12, 0.85), rng.uniform(0.0, 0.22)
    return to_color(grey + chroma * rng.uniform(-1.0, 1.0, 3))


def _stretched(one: Ellipsoid, stretch: Float) -> Ellipsoid:
    """Move and size a part by factors along x, y and z; a turned part takes their mean."""
    weights = np.abs(one.rotation).T
    along = weights @ stretch / weights.sum(axis=1)
    return replace(one, center=one.center * stretch, radii=one.radii * along)


def _skin(one: Ellipsoid, rng: np.random.Generator, patches: Sequence[Patch] = ()) -> Ellipsoid:
    """Give a part the faint mottling of skin."""
    waves = random_waves(rng, 2, cycles=(1.0, 3.0), amplitude=0.02)
    return replace(one, waves=waves, patches=tuple(patches))


def _face(look: _Look, rng: np.random.Generator) -> list[Ellipsoid]:
    """Skull, jaw, nose, mouth, ears and neck."""
    skin, fair = look.skin, float(np.mean(look.skin))
    red = mix(look.skin, (0.78, 0.25, 0.22), 0.10 + 0.30 * fair)
    lip = mix(look.skin, (0.66, 0.16, 0.18), 0.25 + 0.35 * fair)
    shade = mix(look.skin, (0.10, 0.04, 0.03), 0.45)
    flush = [
        Patch((side * 0.22, -0.28, 0.0), (0.09, 0.12, 0.08), red, 0.55) for side in (-1.0, 1.0)
    ]
    sockets = [
        Patch((side * 0.16, -0.36, 0.20), (0.085, 0.2, 0.05), shade, 0.45) for side in (-1.0, 1.0)
    ]
    under_chin = [Patch((0.0, -0.20, 0.16), (0.3, 0.16, 0.13), shade, 0.55)]
    nose = look.nose
    parts = [
        _skin(part("skull", (0, 0.04, 0.17), (0.40, 0.47, 0.49), skin), rng),
        _skin(part("face", (0, -0.11, -0.10), (0.335, 0.365, 0.43), skin), rng, flush + sockets),
        part("chin", (0, -0.32, -0.43), (0.15, 0.13, 0.10), skin),
        part("brow", (0, -0.36, 0.17), (0.26, 0.10, 0.08), skin),
        part("nose_tip", (0, -0.50, -0.105), (0.062 * nose, 0.085 * nose, 0.055), skin),
        part("nose_left", (0.05 * nose, -0.465, -0.115), (0.036, 0.05, 0.036), red),
        part("nose_right", (-0.05 * nose, -0.465, -0.115), (0.036, 0.05, 0.036), red),
        part("upper_lip", (0, -0.445, -0.245), (0.105, 0.038, 0.020), lip),
        part("lower_lip", (0, -0.435, -0.285), (0.090, 0.040, 0.024), lip),
        part("mouth_line", (0, -0.462, -0.263), (0.090, 0.024, 0.008), mix(lip, shade, 0.7)),
        _skin(part("neck", (0, 0.09, -0.60), (0.205, 0.215, 0.42), skin), rng, under_chin),
    ]
    bridge = part("nose_bridge", (0, -0.455, 0.01), (0.038, 0.055, 0.155), skin)
    parts.append(bridge.turned(rotation_about(0, -17.0)))
    for side, name in SIDES:
        radii = (0.035, 0.085 * look.ears, 0.135 * look.ears)
        hollow = [Patch((side * 0.035, -0.01, 0.0), (0.05, 0.035, 0.06), shade, 0.7)]
        ear = _skin(part(f"{name}_ear", (side * 0.385, 0.05, 0.0), radii, red), rng, hollow)
        parts.append(ear.turned(rotation_about(2, side * 20.0)))
    return parts


def _eyes(look: _Look) -> list[Ellipsoid]:
    """Eyeballs, irises, lids and brows, each turned to follow the curve of the face."""
    white, brow = (0.93, 0.92, 0.91), mix(look.hair, (0.12, 0.08, 0.06), 0.4)
    lid = mix(look.skin, (0.25, 0.10, 0.08), 0.35)
    parts = []
    for side, name in SIDES:
        outwards = rotation_about(2, side * 18.0)
        arch = rotation_about(2, side * 22.0) @ rotation_about(1, side * 8.0)
        ball = part(f"{name}_eye", (side * 0.15, -0.385, 0.065), (0.072, 0.042, 0.036), white)
        center, radii = (side * 0.145, -0.412, 0.064), (0.032, 0.022, 0.032)
        iris = part(f"{name}_iris", center, radii, look.iris)
        upper = part(f"{name}_lid", (side * 0.15, -0.383, 0.100), (0.080, 0.048, 0.015), lid)
        hairs = part(f"{name}_brow", (side * 0.155, -0.400, 0.165), (0.100, 0.046, 0.018), brow)
        parts += [one.turned(outwards) for one in (ball, iris, upper)]
        parts.append(hairs.turned(arch))
    return parts


def _body(look: _Look, rng: np.random.Generator) -> list[Ellipsoid]:
    """Torso, shoulders, arms and collar; the picture's lower edge cuts them."""
    waves = random_waves(rng, 2, cycles=(0.8, 3.0), amplitude=rng.uniform(0.0, 0.08))
    neckline = [Patch((0.0, -0.46, 0.62), (0.10, 0.15, 0.16), look.skin, rng.uniform(0.0, 0.9))]
    wide, cloth = look.shoulders, look.cloth
    parts = [
        replace(
            part("chest", (0, 0.10, -1.38), (0.74 * wide, 0.45, 0.74), cloth), patches=neckline
        ),
        part("belly", (0, 0.10, -2.00), (0.68 * wide, 0.43, 0.70), cloth),
        part("yoke", (0, 0.11, -1.03), (0.90 * wide, 0.30, 0.25), cloth),
        part("collar", (0, 0.07, -0.78), (0.29, 0.28, 0.09), look.trim),
    ]
    for side, name in SIDES:
        slope = part(f"{name}_slope", (side * 0.36, 0.11, -0.88), (0.42, 0.26, 0.16), cloth)
        parts.append(slope.turned(rotation_about(1, side * 20.0)))
        center = (side * 0.72 * wide, 0.11, -1.18)
        parts.append(part(f"{name}_shoulder", center, (0.23, 0.26, 0.29), cloth))
        arm = part(f"{name}_arm", (side * 0.79 * wide, 0.11, -1.66), (0.20, 0.23, 0.62), look.trim)
        parts.append(arm.turned(rotation_about(1, side * -4.0)))
    return [replace(one, waves=waves) for one in parts]
