"""One subject in a mask."""

import numpy as np
import pytest

from mfl_adapt.errors import DataError
from mfl_adapt.predict.subject import one_subject


def blocks(*boxes, size=60):
    mask = np.zeros((size, size), np.uint8)
    for top, left, height, width in boxes:
        mask[top : top + height, left : left + width] = 255
    return mask


def test_one_subject_stays_as_it_is():
    mask = blocks((10, 10, 20, 20))
    mask[9, 10:30] = 100  # a soft edge
    assert one_subject(mask, "a") is mask


def test_no_subject():
    with pytest.raises(DataError, match=r"a\.png: expected a subject, got none"):
        one_subject(blocks(), "a.png")


def test_a_faint_mask_is_no_subject():
    with pytest.raises(DataError, match="got none"):
        one_subject(np.full((20, 20), 127, np.uint8), "a.png")


def test_a_few_pixels_are_no_subject():
    with pytest.raises(DataError, match="got 4 px"):
        one_subject(blocks((3, 3, 2, 2)), "a.png")


def test_no_background():
    with pytest.raises(DataError, match="keeps the whole picture"):
        one_subject(np.full((20, 20), 255, np.uint8), "a.png")


def test_several_subjects_are_named_with_their_sizes():
    mask = blocks((5, 5, 20, 20), (40, 40, 10, 10))
    with pytest.raises(DataError, match=r"got 2: 400 px around \(14, 14\), 100 px around") as error:
        one_subject(mask, "a.png")
    assert "--largest" in str(error.value)


def test_the_largest_of_several():
    mask = blocks((5, 5, 20, 20), (40, 40, 10, 10))
    assert np.array_equal(one_subject(mask, "a", largest=True), blocks((5, 5, 20, 20)))


def test_of_two_equal_ones_the_first_is_the_largest():
    mask = blocks((5, 5, 10, 10), (40, 40, 10, 10))
    assert np.array_equal(one_subject(mask, "a", largest=True), blocks((5, 5, 10, 10)))


def test_dust_goes_with_its_soft_edge_and_a_tail_stays():
    subject, tail = (5, 5, 30, 30), (38, 10, 2, 20)  # 900 and 40 px
    mask = blocks(subject, tail, (55, 55, 2, 2))
    mask[54, 54:58] = 90
    assert np.array_equal(one_subject(mask, "a"), blocks(subject, tail))
