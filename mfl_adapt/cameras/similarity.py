"""Changes of world coordinates: apply, invert, chain, and move cameras along."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from mfl_adapt.types import Similarity

if TYPE_CHECKING:
    from mfl_adapt.types import Float


def apply(similarity: Similarity, points: Float) -> Float:
    """Move world points [..., 3] from the old world to the new one."""
    scale, rotation, translation = _parts(similarity)
    return np.asarray(points, np.float64) @ (scale * rotation).T + translation


def invert(similarity: Similarity) -> Similarity:
    """Return the change from the new world back to the old one."""
    scale, rotation, translation = _parts(similarity)
    return from_parts(1.0 / scale, rotation.T, -(rotation.T @ translation) / scale)


def compose(first: Similarity, second: Similarity) -> Similarity:
    """Return the one change that does ``first`` and then ``second``."""
    scale, rotation, translation = _parts(second)
    inner_scale, inner_rotation, inner_translation = _parts(first)
    return from_parts(
        scale * inner_scale,
        rotation @ inner_rotation,
        scale * (rotation @ inner_translation) + translation,
    )


def move_cameras(similarity: Similarity, c2w: Float) -> Float:
    """Poses of the same cameras in the new world; every picture stays as it is.

    Args:
        similarity: Old world to new world.
        c2w: Camera to old world, [..., 4, 4].

    Returns:
        Camera to new world, [..., 4, 4].
    """
    moved = np.array(c2w, dtype=np.float64)
    if similarity == Similarity():  # keeps the very bits, so that digests do not change
        return moved
    _, rotation, _ = _parts(similarity)
    moved[..., :3, 3] = apply(similarity, moved[..., :3, 3])
    moved[..., :3, :3] = rotation @ moved[..., :3, :3]
    return moved


def from_parts(scale: float, rotation: Float, translation: Float) -> Similarity:
    """Build the record from a factor, a rotation [3, 3] and a translation [3] in new units."""
    first, second, third = ((float(x), float(y), float(z)) for x, y, z in rotation)
    x, y, z = (float(value) for value in translation)
    return Similarity(float(scale), (first, second, third), (x, y, z))


def _parts(similarity: Similarity) -> tuple[float, Float, Float]:
    rotation, translation = np.array(similarity.rotation), np.array(similarity.translation)
    return similarity.scale, rotation, translation
