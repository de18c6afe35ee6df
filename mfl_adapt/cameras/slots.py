"""Which camera of a rig stands for which view slot of a multi-view model.

A slot is a direction from the subject: a world azimuth at elevation 0. Azimuths fix a sense of
rotation, so a rig in mirrored order finds its slots in another order, never mirrored.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from mfl_adapt.cameras.rigs import FACELIFT_SLOTS_DEG
from mfl_adapt.checks import check_finite, check_shape
from mfl_adapt.errors import DataError

if TYPE_CHECKING:
    from mfl_adapt.types import Float

# A step of the search over a full turn; the totals change by at most one degree per camera.
_STEP_DEG = 1.0
# Cost that no real angle reaches, for pairs that must not be chosen.
_FORBIDDEN_DEG = 1e4


class SlotAssignment(NamedTuple):
    """Which view takes which slot.

    Attributes:
        slots: Slots that are taken, increasing; all of them unless there are too few views.
        order: For each of those slots, the index of its view.
        angles_deg: For each of those slots, the angle between it and its view.
        turn_deg: Rotation of the world about +z that was applied before measuring.
    """

    slots: tuple[int, ...]
    order: tuple[int, ...]
    angles_deg: tuple[float, ...]
    turn_deg: float


def assign_slots(
    centers: Float,
    slots_deg: Sequence[float] = FACELIFT_SLOTS_DEG,
    *,
    turn_deg: float = 0.0,
    front: int | None = None,
) -> SlotAssignment:
    """Give each slot the view that makes the sum of all angles least.

    Args:
        centers: Camera centres relative to the subject, world +z up, [V, 3].
        slots_deg: World azimuths of the slots.
        turn_deg: Rotate the cameras about +z by this first.
        front: Index of a view that takes slot 0 whatever the others do; None leaves it free.

    Returns:
        The assignment; with fewer views than slots, each view takes one and slots stay empty.

    Raises:
        ShapeError: If the centres are not [V, 3].
        RangeError: If a centre is not finite.
        DataError: If a camera sits on the subject.
    """
    from scipy.optimize import linear_sum_assignment

    angles = _angles_deg(_directions(centers), np.asarray(slots_deg) - turn_deg)
    costs = angles.copy()
    if front is not None:
        costs[0] = _FORBIDDEN_DEG
        costs[0, front] = -_FORBIDDEN_DEG
    slots, order = linear_sum_assignment(costs)
    return SlotAssignment(
        slots=tuple(slots.tolist()),
        order=tuple(order.tolist()),
        angles_deg=tuple(angles[slots, order].tolist()),
        turn_deg=float(turn_deg),
    )


def turn_to_front(center: Float, slots_deg: Sequence[float] = FACELIFT_SLOTS_DEG) -> float:
    """Rotation about +z, in degrees, that brings a camera centre [3] to the azimuth of slot 0.

    Raises:
        DataError: If the camera is straight above or below the subject, where it has no azimuth.
    """
    x, y, z = (float(value) for value in center)
    if math.hypot(x, y) <= 1e-6 * abs(z) or x == y == 0.0:
        raise DataError(
            "turn_to_front: expected a camera beside the subject, got one straight above or below "
            "it. Choose another front."
        )
    return _wrapped(slots_deg[0] - math.degrees(math.atan2(y, x)))


def best_turn(centers: Float, slots_deg: Sequence[float] = FACELIFT_SLOTS_DEG) -> float:
    """Rotation about +z, in degrees, after which the sum of all angles to the slots is least.

    Searches in steps of one degree, then refines the best step with its assignment held. Where
    several turns are equally good, that of the smallest size is taken, positive before negative.

    Args:
        centers: Camera centres relative to the subject, world +z up, [V, 3].
        slots_deg: World azimuths of the slots.

    Returns:
        An angle in (-180, 180].

    Raises:
        ShapeError: If the centres are not [V, 3].
        RangeError: If a centre is not finite.
        DataError: If a camera sits on the subject.
    """
    from scipy.optimize import minimize_scalar

    turns = np.arange(-180.0 + _STEP_DEG, 180.0 + _STEP_DEG, _STEP_DEG)
    turns = turns[np.lexsort([-turns, np.abs(turns)])]
    totals = [sum(assign_slots(centers, slots_deg, turn_deg=turn).angles_deg) for turn in turns]
    # Rounding must not decide between equals, hence the tolerance.
    start = float(turns[int(np.argmax(np.asarray(totals) <= min(totals) + 1e-9))])
    found = assign_slots(centers, slots_deg, turn_deg=start)
    directions, azimuths = _directions(centers)[list(found.order)], np.asarray(slots_deg)
    azimuths = azimuths[list(found.slots)]

    def total(turn: float) -> float:
        return float(np.trace(_angles_deg(directions, azimuths - turn)))

    bounds = (start - _STEP_DEG, start + _STEP_DEG)
    refined = float(minimize_scalar(total, bounds=bounds, method="bounded").x)
    return _wrapped(refined if total(refined) < total(start) - 1e-9 else start)


def _wrapped(angle_deg: float) -> float:
    return 180.0 - (180.0 - angle_deg) % 360.0


def _directions(centers: Float) -> Float:
    """Unit vectors from the subject to the cameras.

    Raises:
        DataError: If a camera sits on the subject.
    """
    check_shape("assign_slots: centers", centers, [None, 3])
    check_finite("assign_slots: centers", centers)
    lengths = np.linalg.norm(centers, axis=1, keepdims=True)
    if not np.all(lengths > 0):
        raise DataError(
            "assign_slots: expected cameras away from the subject, got one at distance 0. Recentre "
            "the world on the subject."
        )
    return centers / lengths


def _angles_deg(directions: Float, azimuths_deg: Float) -> Float:
    """Angles between slots and unit vectors, [slots, V]; accurate down to 0."""
    azimuths = np.radians(azimuths_deg)
    slots = np.stack([np.cos(azimuths), np.sin(azimuths), np.zeros_like(azimuths)], axis=1)
    across = np.linalg.norm(np.cross(slots[:, None], directions[None]), axis=-1)
    return np.degrees(np.arctan2(across, slots @ directions.T))
