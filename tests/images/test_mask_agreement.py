"""Masks against the colours of their pictures."""

import numpy as np
import pytest

from mfl_adapt.cameras import facelift_ring
from mfl_adapt.images.agreement import measure_agreement
from mfl_adapt.types import View

CAMERA = facelift_ring(1, size=40)


def make_view(rgb, mask):
    return View("v", rgb, mask, CAMERA.c2w[0], CAMERA.fxfycxcy[0])


def square(low, high, value, background=255, size=40):
    rgb = np.full((size, size, 3), background, np.uint8)
    rgb[low:high, low:high] = value
    return rgb


def test_a_mask_that_fits_and_one_that_is_too_large():
    mask = square(10, 30, 255, 0)[:, :, 0]
    assert measure_agreement(make_view(square(10, 30, 90), mask), 1.0) == (1.0, 0.0)
    # 20 x 20 masked, 10 x 20 of them coloured.
    rgb = square(10, 30, 90)
    rgb[20:30] = 255
    assert measure_agreement(make_view(rgb, mask), 1.0).iou == 0.5


def test_sixteen_bits_are_the_same_picture():
    mask = square(10, 30, 255, 0)[:, :, 0]
    rgb = square(10, 30, 90)
    rgb[5, 5] = 251  # four levels from white
    wide = make_view(rgb.astype(np.uint16) * 257, mask)
    assert measure_agreement(wide, 1.0) == measure_agreement(make_view(rgb, mask), 1.0) == (1, 0)


def test_an_arena_behind_the_mask_cannot_be_compared():
    mask = square(10, 30, 255, 0)[:, :, 0]
    assert measure_agreement(make_view(square(10, 30, 90, 130), mask), 1.0).iou is None
    # The same grey is a plain background where the contract says so.
    assert measure_agreement(make_view(square(10, 30, 90, 130), mask), 130 / 255).iou == 1.0


def test_a_matte_is_doubtful_and_a_soft_rim_is_not():
    rgb, mask = square(10, 30, 90), square(10, 30, 255, 0)[:, :, 0]
    rim = mask.copy()
    rim[9, 10:30] = rim[30, 10:30] = 100
    assert measure_agreement(make_view(rgb, rim), 1.0).soft == 0.0
    matte = mask.copy()
    matte[15:25, 15:25] = 200
    assert measure_agreement(make_view(rgb, matte), 1.0).soft == pytest.approx(100 / 400)


def test_nothing_to_measure():
    rgb = square(10, 30, 90)
    assert measure_agreement(make_view(rgb, None), 1.0) is None
    assert measure_agreement(make_view(rgb, np.zeros((40, 40), np.uint8)), 1.0) is None
