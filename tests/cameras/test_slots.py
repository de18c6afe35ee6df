"""View slots: FaceLift's own cameras, shuffled, turned and mirrored rigs, and a brute force."""

from itertools import permutations

import numpy as np
import pytest

from mfl_adapt.cameras import FACELIFT_SLOTS_DEG, facelift_ring, facelift_slots, lab_rig
from mfl_adapt.cameras.slots import assign_slots, best_turn, turn_to_front
from mfl_adapt.errors import DataError, RangeError, ShapeError


def turned(centers, degrees):
    cos, sin = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    return centers @ np.array([[cos, -sin, 0], [sin, cos, 0], [0, 0, 1]]).T


def test_facelifts_own_cameras_stay_as_they_are():
    found = assign_slots(facelift_slots().centers)
    assert found.order == found.slots == (0, 1, 2, 3, 4, 5)
    assert found.angles_deg == pytest.approx([0.0] * 6, abs=1e-9)
    assert best_turn(facelift_slots().centers) == 0.0


def test_a_shuffled_and_turned_rig_is_put_in_order():
    order = [3, 0, 5, 1, 4, 2]
    centers = turned(facelift_slots().centers[order], 73.25)
    turn = best_turn(centers)
    assert turn == pytest.approx(-73.25, abs=1e-4)
    found = assign_slots(centers, turn_deg=turn)
    assert [order[view] for view in found.order] == [0, 1, 2, 3, 4, 5]
    assert max(found.angles_deg) < 1e-3
    assert found.turn_deg == turn


def test_facelifts_inference_file_has_the_published_permutation():
    # Azimuths in the order of FaceLift's camera file; its slots are [2, 1, 0, 5, 4, 3].
    azimuths = np.radians([180, -135, -90, -45, 0, 90])
    centers = 2.7 * np.stack([np.cos(azimuths), np.sin(azimuths), 0 * azimuths], axis=1)
    assert assign_slots(centers).order == (2, 1, 0, 5, 4, 3)


def test_the_mirrored_order_is_not_taken_for_the_right_one():
    """Front, front-left, left, back, right, front-right: counted the wrong way round."""
    mirrored = [0, 5, 4, 3, 2, 1]
    centers = facelift_slots().centers[mirrored]
    assert assign_slots(centers).order == tuple(mirrored)
    # Slots listed the wrong way round are no better.
    slots = [FACELIFT_SLOTS_DEG[slot] for slot in mirrored]
    assert assign_slots(facelift_slots().centers, slots).order == tuple(mirrored)


def test_the_assignment_is_the_best_of_all_permutations():
    centers = lab_rig().centers
    found = assign_slots(centers, turn_deg=20.0)
    azimuths = np.radians(FACELIFT_SLOTS_DEG)
    slots = np.stack([np.cos(azimuths), np.sin(azimuths), 0 * azimuths], axis=1)
    units = turned(centers, 20.0)
    units = units / np.linalg.norm(units, axis=1, keepdims=True)
    angles = np.degrees(np.arccos(slots @ units.T))
    totals = {
        order: sum(angles[slot, view] for slot, view in enumerate(order))
        for order in permutations(range(6))
    }
    assert found.order == min(totals, key=lambda order: totals[order])
    assert sum(found.angles_deg) == pytest.approx(min(totals.values()))


def test_no_turn_in_fine_steps_beats_the_best_one():
    centers = lab_rig().centers
    best = sum(assign_slots(centers, turn_deg=best_turn(centers)).angles_deg)
    tried = [
        sum(assign_slots(centers, turn_deg=turn).angles_deg) for turn in np.arange(0, 360, 0.7)
    ]
    assert best <= min(tried) + 1e-9


def test_a_named_front_gets_the_front_slot():
    centers = lab_rig().centers
    for view, center in enumerate(centers):
        turn = turn_to_front(center)
        moved = turned(center[None], turn)[0]
        assert np.degrees(np.arctan2(moved[1], moved[0])) == pytest.approx(-90.0)
        assert assign_slots(centers, turn_deg=turn, front=view).order[0] == view


def test_more_views_than_slots_leave_some_out_and_fewer_leave_slots_empty():
    found = assign_slots(facelift_ring(8, 0.0).centers)
    assert found.order == (6, 5, 4, 2, 0, 7)
    found = assign_slots(facelift_slots().centers[[5, 2, 0]])
    assert found.slots == (0, 2, 5)
    assert found.order == (2, 1, 0)


def test_refusals():
    with pytest.raises(DataError, match="distance 0"):
        assign_slots(np.zeros((6, 3)))
    with pytest.raises(ShapeError, match=r"expected \[\*, 3\]"):
        assign_slots(np.ones((6, 2)))
    with pytest.raises(RangeError, match="3 of 18 not finite"):
        assign_slots(np.concatenate([np.ones((5, 3)), np.full((1, 3), np.nan)]))
    with pytest.raises(DataError, match="straight above"):
        turn_to_front(np.array([0.0, 0.0, 2.0]))
