"""A subject cut out of white gives its picture back, softly, and keeps its own white parts."""

import numpy as np
import pytest

from mfl_adapt.errors import DataError, RangeError
from mfl_adapt.images import composite
from mfl_adapt.predict.matting import LEVEL, cut_from_white
from mfl_adapt.synth import render_sample


def over_white(rgb, alpha):
    return np.round(255 * composite(rgb, alpha, 1.0)).astype(np.uint8)


def square(value=60, size=24, low=8, high=16):
    picture = np.full((size, size, 3), 255, np.uint8)
    picture[low:high, low:high] = value
    return picture


@pytest.mark.parametrize("species", ["heads", "mice"])
def test_exact_outlines_come_back(species):
    """Alpha is known here; a hard threshold is several times as far from it."""
    for index in range(2):
        for view in render_sample(species, index, rig="slots", size=64).views:
            flat = over_white(view.rgb, view.mask)
            cut = cut_from_white(flat, "view")
            hard = np.where((flat <= 250).any(axis=2), 255, 0)
            error = np.abs(cut.alpha.astype(float) - view.mask).mean()
            assert error < 0.6 * np.abs(hard - view.mask.astype(float)).mean()
            inside, there = cut.alpha > 127, view.mask > 127
            assert (inside & there).sum() / (inside | there).sum() > 0.9


def test_what_is_cut_out_gives_the_picture_back():
    for view in render_sample("heads", 1, rig="slots", size=64).views:
        flat = over_white(view.rgb, view.mask)
        cut = cut_from_white(flat, "view")
        back = over_white(cut.rgb, cut.alpha).astype(int)
        error = np.abs(back - flat).max(axis=2)
        assert error[cut.alpha > 0].max() <= 1
        # Nothing but near-white pixels became white.
        assert error[cut.alpha == 0].max() <= 255 - LEVEL


def test_a_mixed_rim_is_mixed():
    picture = square(60)
    # Two fifths subject: 0.4 * 60 + 0.6 * 255.
    picture[8:16, 7] = 177
    cut = cut_from_white(picture, "square")
    assert (cut.alpha[10, 7], cut.alpha[10, 8]) == (102, 255)
    assert cut.rgb[10, 7] == pytest.approx([60, 60, 60], abs=1)
    assert cut.alpha[10, 6] == 0


def test_a_rim_keeps_its_own_hue():
    """Red beside a dark inside cannot be less than opaque, as no red over white is as red."""
    picture = square(0)
    picture[8:16, 8] = (255, 0, 0)
    cut = cut_from_white(picture, "square")
    assert cut.alpha[10, 8] == 255
    assert tuple(cut.rgb[10, 8]) == (255, 0, 0)


def test_white_inside_stays_and_white_from_outside_does_not():
    picture = square(60)
    picture[11:13, 11:13] = 255
    assert (cut_from_white(picture, "eye").alpha[11:13, 11:13] == 255).all()
    picture[11:13, 8:13] = 255
    assert (cut_from_white(picture, "mouth").alpha[11:13, 8:13] == 0).all()


def test_thin_parts_stay_opaque():
    """A tail of one pixel has no inside, and the body far away says nothing about its colour."""
    picture = square(60)
    picture[12, 16:23] = (230, 170, 160)
    cut = cut_from_white(picture, "tail")
    assert (cut.alpha[12, 19:23] == 255).all()
    assert tuple(cut.rgb[12, 22]) == (230, 170, 160)


def test_pale_subjects_stay_opaque():
    cut = cut_from_white(square(232), "pale")
    assert (cut.alpha[8:16, 8:16] == 255).all()


def test_specks_are_background():
    picture = square(60)
    picture[2, 2] = 100
    cut = cut_from_white(picture, "speck")
    assert cut.alpha[2, 2] == 0
    kept = cut_from_white(picture, "speck", speck=0.0)
    assert kept.alpha[2, 2] == 255


def test_off_white_background_is_background_up_to_the_level():
    picture = square(60)
    picture[picture[:, :, 0] == 255] = LEVEL
    assert (cut_from_white(picture, "grey").alpha > 0).sum() == 64
    with pytest.raises(DataError, match=r"grey: expected .* got no background around it"):
        cut_from_white(picture, "grey", level=LEVEL + 1)


def test_cut_by_the_edge_is_no_rim():
    """Pixels at the picture's edge have no background beyond them."""
    picture = square(60, low=8, high=24)
    picture[23, 12:20] = 120
    cut = cut_from_white(picture, "neck")
    assert (cut.alpha[23, 12:20] == 255).all()


@pytest.mark.parametrize(
    ("picture", "settings", "error", "match"),
    [
        (np.full((8, 8, 3), 255, np.uint8), {}, DataError, "a: .* got no subject in it"),
        (np.zeros((8, 8, 3), np.uint8), {}, DataError, "a: .* got no background around it"),
        (square(), {"level": 0}, RangeError, "white"),
        (square(), {"speck": 2.0}, RangeError, "speck"),
    ],
)
def test_what_cannot_be_cut(picture, settings, error, match):
    with pytest.raises(error, match=match):
        cut_from_white(picture, "a", **settings)
