"""Splits: blocks in time with a gap, whole sessions, whole animals."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mfl_adapt.data import Split, split_samples
from mfl_adapt.errors import ConfigError, DataError, RangeError
from mfl_adapt.types import Sample


def frames(count, session="", **labels):
    return [Sample(f"{session}{i}", (), session=session, **labels) for i in range(count)]


def test_order_cuts_the_last_block_after_a_gap():
    split = split_samples(frames(40), validation=0.1, gap=0.05)
    # 4 frames validate, 2 lie in the gap, 34 train.
    assert split == Split(tuple(range(34)), (36, 37, 38, 39), views_only=False)


@given(st.integers(3, 200), st.floats(0.01, 0.3), st.floats(0.0, 0.3))
def test_sides_never_touch(count, validation, gap):
    split = split_samples(frames(count), validation=validation, gap=gap)
    assert split.train
    assert split.validation
    assert not set(split.train) & set(split.validation)
    assert min(split.validation) - max(split.train) > gap * count


def test_time_cuts_within_every_session_and_sorts():
    times = [3.0, 1.0, 2.0, 0.0]
    one = [Sample(f"a{t}", (), session="a", time_s=t) for t in times]
    two = [Sample(f"b{i}", (), session="b") for i in range(4)]
    split = split_samples(one + two, by="time", validation=0.25, gap=0.25)
    # By time session a is 3, 1, 2, 0: two train, one is the gap, the last validates.
    assert split.train == (3, 1, 4, 5)
    assert split.validation == (0, 7)


def test_groups_stay_whole():
    samples = frames(6, "a") + frames(2, "b") + frames(2, "c")
    split = split_samples(samples, by="session", validation=0.2)
    assert split.train == tuple(range(8))
    assert split.validation == (8, 9)
    split = split_samples(samples, by="session", validation=0.4)
    assert split.validation == (6, 7, 8, 9)
    mixed = [Sample(str(i), (), animal="xy"[i % 2]) for i in range(6)]
    assert split_samples(mixed, by="animal") == Split((0, 2, 4), (1, 3, 5))


def test_one_sample_leaves_views_as_the_only_evidence():
    assert split_samples(frames(1)) == Split((0,), (), views_only=True)
    assert split_samples(frames(3), validation=0.0) == Split((0, 1, 2), (), views_only=True)


def test_refusals():
    with pytest.raises(DataError, match=r"left to train on beside 1 .* gap of 1, got 2 samples"):
        split_samples(frames(2))
    with pytest.raises(DataError, match="at least one sample"):
        split_samples([])
    with pytest.raises(ConfigError, match=r"got 'tme'\. Did you mean 'time'"):
        split_samples(frames(9), by="tme")
    with pytest.raises(RangeError, match=r"data\.split\.validation"):
        split_samples(frames(9), validation=1.0)
    with pytest.raises(RangeError, match=r"data\.split\.gap"):
        split_samples(frames(9), gap=-0.1)
    with pytest.raises(DataError, match="sample 0: expected a session to split by, got none"):
        split_samples(frames(9), by="session")
    with pytest.raises(DataError, match="at least two animals, got only 'm1'"):
        split_samples(frames(9, animal="m1"), by="animal")
    half_timed = [Sample("x", (), time_s=1.0), *frames(3)]
    with pytest.raises(DataError, match=r"a time for every sample .* got 1 of 4"):
        split_samples(half_timed, by="time")
