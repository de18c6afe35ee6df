"""The views of a model with slots: the first is the input, and their order is the law."""

import numpy as np
import pytest

from mfl_adapt.cameras import FACELIFT_SLOTS_DEG, facelift_ring, facelift_slots
from mfl_adapt.data import SlotViews
from mfl_adapt.errors import DataError
from mfl_adapt.types import Cameras

SLOTS = SlotViews(FACELIFT_SLOTS_DEG)


def picked(cameras, order):
    return Cameras(
        cameras.c2w[order], cameras.fxfycxcy[order], height=cameras.height, width=cameras.width
    )


def test_the_first_view_is_the_input_and_a_target_too():
    assert SLOTS.train(facelift_slots(64), seed=5) == ((0,), (0, 1, 2, 3, 4, 5))


def test_evaluation_compares_with_all_others():
    assert SLOTS.evaluate(facelift_slots(64)) == ((0,), (1, 2, 3, 4, 5))


@pytest.mark.parametrize("order", [[0, 5, 4, 3, 2, 1], [2, 1, 0, 5, 4, 3], [1, 2, 3, 4, 5, 0]])
def test_another_order_names_both_and_the_remedy(order):
    cameras = picked(facelift_slots(64), order)
    came = ", ".join(f"{FACELIFT_SLOTS_DEG[index]:.0f}" for index in order)
    expected = rf"azimuths 270, 225, 180, 90, 0, 315 degrees in this order, got {came}\. .*slots"
    for split in (SLOTS.train, SLOTS.evaluate):
        with pytest.raises(DataError, match=expected):
            split(cameras)


@pytest.mark.parametrize("views", [1, 5, 8])
def test_another_number_of_views_is_refused(views):
    with pytest.raises(DataError, match="expected one view per slot of the model"):
        SLOTS.train(facelift_ring(views, size=64, phase_deg=270.0))


def test_cameras_a_little_off_their_slots_are_left_to_the_checks():
    cameras = facelift_slots(64)
    turn = np.radians(12.0)
    rotation = np.eye(4)
    rotation[:2, :2] = [[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]]
    turned = Cameras(rotation @ cameras.c2w, cameras.fxfycxcy, height=64, width=64)
    assert SLOTS.train(turned).inputs == (0,)


def test_without_slots_views_are_taken_as_they_are():
    assert SlotViews(()).train(facelift_ring(4, size=64)) == ((0,), (0, 1, 2, 3))
