"""Rotations that bring one direction onto another, and similarities made of them."""

from typing import TYPE_CHECKING

import numpy as np

from mfl_adapt.cameras import similarity
from mfl_adapt.types import Similarity

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from mfl_adapt.types import Float

# Below this length of the sum of two unit vectors, the axis between them is rounding noise.
_OPPOSITE = 1e-9


def rotation_between(start: "ArrayLike", end: "ArrayLike") -> "Float":
    """Smallest rotation that takes the direction ``start`` to ``end``.

    It is the product of two reflections, which keeps det +1 and orthonormality to the last bits
    at any angle. For opposite directions the axis is any one across them.

    Args:
        start: Direction, [3]; need not have length 1.
        end: Direction, [3]; need not have length 1.

    Returns:
        Rotation, [3, 3].
    """
    start = np.asarray(start, np.float64) / np.linalg.norm(start)
    end = np.asarray(end, np.float64) / np.linalg.norm(end)
    middle = start + end
    if np.linalg.norm(middle) < _OPPOSITE:
        middle = np.cross(start, np.eye(3)[np.argmin(np.abs(start))])
    return _reflection(middle) @ _reflection(start)


def _reflection(vector: "Float") -> "Float":
    """Half turn about a vector; two of them make a rotation by twice the angle between."""
    unit = vector / np.linalg.norm(vector)
    return 2.0 * np.outer(unit, unit) - np.eye(3)


def rotation_about_z(degrees: float) -> "Float":
    """Rotation about +z, counterclockwise seen from above, [3, 3]."""
    cos, sin = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    return np.array([[cos, -sin, 0.0], [sin, cos, 0.0], [0.0, 0.0, 1.0]])


def similarity_about(
    center: "ArrayLike", *, scale: float = 1.0, rotation: "Float | None" = None
) -> Similarity:
    """Change of world that takes ``center`` to the origin, then rotates and scales about it.

    Args:
        center: Point of the old world, [3].
        scale: Positive factor.
        rotation: [3, 3]; None leaves the axes alone.

    Returns:
        Old world to new world.
    """
    turn = np.eye(3) if rotation is None else rotation
    # Subtracting from 0 keeps an untouched origin free of -0.
    return similarity.from_parts(scale, turn, 0.0 - scale * (turn @ np.asarray(center)))
