"""Bootstrap intervals against what can be worked out by hand."""

import numpy as np
import pytest

from mfl_adapt.errors import RangeError, ShapeError
from mfl_adapt.evaluate.intervals import bootstrap_means, paired_difference

NAN = float("nan")


def test_two_scenes_by_hand():
    # Two draws of 0 and 1 have the mean 0, 0.5 or 1, with the shares 1/4, 1/2 and 1/4: the 2.5 %
    # point is 0 and the 97.5 % point is 1; the 30 % and 70 % points are both 0.5.
    values = np.array([[0.0], [1.0]])
    assert bootstrap_means(values) == [(0.0, 1.0)]
    assert bootstrap_means(values, level=0.4) == [(0.5, 0.5)]


def test_many_scenes_agree_with_the_normal_interval():
    values = np.random.default_rng(5).normal(20.0, 3.0, size=(400, 1))
    low, high = bootstrap_means(values)[0]
    half = 1.96 * values.std() / np.sqrt(400)
    assert low == pytest.approx(values.mean() - half, abs=0.1 * half)
    assert high == pytest.approx(values.mean() + half, abs=0.1 * half)


def test_a_constant_has_no_width():
    assert bootstrap_means(np.full((7, 2), 3.5)) == [(3.5, 3.5), (3.5, 3.5)]


def test_the_same_values_give_the_same_interval_and_another_seed_another_one():
    values = np.random.default_rng(1).normal(size=(12, 1))
    assert bootstrap_means(values) == bootstrap_means(values)
    assert bootstrap_means(values) != bootstrap_means(values, seed=1)


def test_quantities_share_their_draws():
    # A quantity and the same quantity plus 1: on the same draws, the ends are exactly 1 apart.
    values = np.random.default_rng(2).normal(size=(9, 1)).round(3)
    first, second = bootstrap_means(np.hstack([values, values + 1.0]))
    assert second == pytest.approx((first[0] + 1, first[1] + 1), abs=1e-12)


def test_a_missing_value_does_not_enter():
    with_gap = np.array([[0.0, 4.0], [1.0, NAN], [NAN, 4.0]])
    first, second = bootstrap_means(with_gap)
    assert first == (0.0, 1.0)
    assert second == (4.0, 4.0)


@pytest.mark.parametrize("values", [np.zeros((0, 2)), np.ones((1, 2)), np.full((5, 2), NAN)])
def test_fewer_than_two_scenes_have_no_interval(values):
    assert bootstrap_means(values) == [None, None]


def test_a_paired_difference_forgets_how_hard_a_scene_is():
    hard = np.random.default_rng(3).normal(20, 5, size=30).round(1)
    low, high = paired_difference(hard + 0.5, hard)
    assert (low, high) == pytest.approx((0.5, 0.5))
    # Unpaired, nothing could be said: the scenes themselves move by far more.
    alone = bootstrap_means(hard[:, None])[0]
    assert alone[1] - alone[0] > 2


def test_a_paired_difference_of_two_scenes_by_hand():
    assert paired_difference([3.0, 5.0], [1.0, 1.0]) == (2.0, 4.0)
    assert paired_difference([3.0, NAN], [1.0, 1.0]) is None


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: bootstrap_means(np.zeros(3)), ShapeError, r"\[scenes, quantities\], got \[3\]"),
        (lambda: bootstrap_means(np.zeros((3, 1)), level=1.5), RangeError, "level"),
        (lambda: bootstrap_means(np.zeros((3, 1)), resamples=0), RangeError, "resamples"),
        (lambda: paired_difference([1.0], [1.0, 2.0]), ShapeError, "got 1 and 2"),
    ],
)
def test_what_is_refused(call, error, message):
    with pytest.raises(error, match=message):
        call()
