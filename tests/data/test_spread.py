"""Evenly spread items: the ends, the gaps, and the small cases."""

from itertools import pairwise

import pytest

from mfl_adapt.data.spread import spread


@pytest.mark.parametrize(
    ("count", "most", "expected"),
    [
        (0, 3, []),
        (3, 0, []),
        (5, 1, [0]),
        (5, 2, [0, 4]),
        (5, 3, [0, 2, 4]),
        (10, 4, [0, 3, 6, 9]),
        (3, 3, [0, 1, 2]),
        (3, 9, [0, 1, 2]),
        (3, None, [0, 1, 2]),
    ],
)
def test_known_places(count, most, expected):
    assert spread(range(count), most) == expected


def test_items_of_any_kind_keep_their_order():
    assert spread("edcba", 3) == ["e", "c", "a"]


@pytest.mark.parametrize("count", range(2, 40))
def test_both_ends_no_repeats_and_gaps_that_hardly_differ(count):
    for most in range(2, count + 1):
        places = spread(range(count), most)
        gaps = {after - before for before, after in pairwise(places)}
        assert (places[0], places[-1], len(places)) == (0, count - 1, most)
        assert min(gaps) >= 1
        assert max(gaps) - min(gaps) <= 2
