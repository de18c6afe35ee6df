"""Near-duplicates across a split, and what else both sides may share."""

from dataclasses import replace

import numpy as np
import pytest
from small_samples import make_sample

from mfl_adapt.data import Split
from mfl_adapt.data.duplicates import NEAR, SIDE, find_near, thumbnails
from mfl_adapt.data.splits import mixing_warnings
from mfl_adapt.errors import DataError
from mfl_adapt.synth import render_sample
from mfl_adapt.types import Sample


def mouse(index):
    return render_sample("mice", index, size=64, num_views=3)


def noisy(sample, levels):
    rng = np.random.default_rng(0)

    def spoil(view):
        rgb = view.rgb + rng.normal(0, levels, view.rgb.shape)
        return replace(view, rgb=np.clip(rgb, 0, 255).astype(np.uint8))

    return replace(sample, id="again", views=tuple(spoil(view) for view in sample.views))


def test_the_same_mouse_with_noise_is_found_and_others_are_not():
    train = [thumbnails(mouse(index)) for index in range(3)]
    held = [thumbnails(mouse(3)), thumbnails(noisy(mouse(1), 8))]
    (pair,) = find_near(train, held)
    assert (pair.train, pair.validation) == (mouse(1).id, "again")
    assert pair.difference < NEAR / 3
    others = find_near(train, held[:1], near=1e9)
    assert others[0].difference > 3 * NEAR


def test_the_difference_by_hand():
    """A subject of level 100 against one of 110, covering a quarter of one view."""
    sample = make_sample("a", size=2 * SIDE, views=1)
    mask = np.zeros((2 * SIDE, 2 * SIDE), np.uint8)
    mask[:SIDE, :SIDE] = 255

    def flat(level):
        rgb = np.full((2 * SIDE, 2 * SIDE, 3), level, np.uint8)
        return thumbnails(replace(sample, views=(replace(sample.views[0], rgb=rgb, mask=mask),)))

    (pair,) = find_near([flat(100)], [flat(110)])
    assert pair.difference == pytest.approx(10)
    assert flat(100).covered == pytest.approx(SIDE * SIDE / 4)


def test_samples_of_other_view_counts_are_not_compared():
    one, two = thumbnails(make_sample("a", views=2)), thumbnails(make_sample("b", views=3))
    assert find_near([one], [two], near=1e9) == []


def test_a_view_without_a_mask():
    sample = make_sample("a")
    sample = replace(sample, views=(replace(sample.views[0], mask=None),))
    with pytest.raises(DataError, match=r"cam_000\.png: expected a mask"):
        thumbnails(sample)


def labelled(count, **labels):
    return [
        Sample(f"s{index}", (), **{key: make(index) for key, make in labels.items()})
        for index in range(count)
    ]


def test_what_both_sides_share():
    split = Split((0, 1, 2), (3,))
    sessions = labelled(4, session=lambda i: f"day {i // 2}")
    (warning,) = mixing_warnings(sessions, split)
    assert warning.startswith("session 'day 1' is on both sides, as are 1 of 2 sessions.")
    animals = labelled(4, animal=lambda i: f"m{i // 2}")
    assert "animal 'm1' is on both sides" in mixing_warnings(animals, split)[0]
    # One session alone cannot be parted by session, so there is nothing to advise.
    assert mixing_warnings(labelled(4, session=lambda _: "day 0"), split) == []
    assert mixing_warnings(sessions, Split((0, 1), (2, 3))) == []
    assert mixing_warnings(sessions, Split((0, 1, 2, 3), (), views_only=True)) == []


def test_samples_that_are_close_in_time():
    close = labelled(4, time_s=lambda i: 0.2 * i)
    (warning,) = mixing_warnings(close, Split((0, 1), (3,)))
    assert warning.startswith("samples on either side are only 0.4 s apart")
    assert mixing_warnings(close, Split((0,), ())) == []
    apart = labelled(4, time_s=lambda i: 2.0 * i)
    assert mixing_warnings(apart, Split((0, 1), (3,))) == []
    # The same second of two sessions is not the same moment.
    other = labelled(4, time_s=lambda i: 0.0, session=lambda i: f"day {i}")
    assert mixing_warnings(other, Split((0, 1), (3,))) == []
