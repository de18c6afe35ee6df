"""The dataset in memory and the order that steps draw from it."""

from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from small_samples import CONTRACT, make_sample

from mfl_adapt.data import PreparedDataset, StepSampler, conform
from mfl_adapt.errors import DataError, RangeError, ShapeError


def test_dataset_keeps_order():
    samples = [conform(make_sample(name), CONTRACT) for name in ("a", "b", "c")]
    dataset = PreparedDataset(iter(samples))
    assert len(dataset) == 3
    assert [sample.id for sample in dataset] == ["a", "b", "c"]
    assert dataset[1] is samples[1]
    assert dataset.pick([2, 0]) == (samples[2], samples[0])
    assert dataset.size == (16, 16)


def test_dataset_refusals():
    one, two = conform(make_sample("a"), CONTRACT), conform(make_sample("b"), CONTRACT, 8)
    with pytest.raises(DataError, match="at least one sample"):
        PreparedDataset([])
    with pytest.raises(DataError, match="every sample id once, got 'a' 2 times"):
        PreparedDataset([one, one])
    with pytest.raises(ShapeError, match=r"\[\[8, 8\], \[16, 16\]\]"):
        PreparedDataset([one, two])


@settings(deadline=None, max_examples=30)
@given(count=st.integers(1, 12), batch=st.integers(1, 5), seed=st.integers(0, 2**32 - 1))
def test_every_epoch_sees_every_sample_once(count, batch, seed):
    indices = [10 * index for index in range(count)]
    sampler = StepSampler(indices, batch=batch, seed=seed)
    epochs = 3
    drawn = [draw.sample for step in range(epochs * count) for draw in sampler.draws(step)]
    for epoch in range(epochs):
        assert sorted(drawn[epoch * count : (epoch + 1) * count]) == indices


def test_a_step_is_a_pure_function_of_seed_and_step():
    one = StepSampler(range(7), batch=3, seed=5)
    walked = [one.draws(step) for step in range(20)]
    jumped = StepSampler(range(7), batch=3, seed=5)
    assert [jumped.draws(step) for step in reversed(range(20))] == walked[::-1]
    assert [StepSampler(range(7), batch=3, seed=6).draws(step) for step in range(20)] != walked


def test_orders_and_view_seeds_differ():
    sampler = StepSampler(range(50), batch=50, seed=0)
    first, second = sampler.draws(0), sampler.draws(1)
    assert [draw.sample for draw in first] != [draw.sample for draw in second]
    assert [draw.sample for draw in first] != list(range(50))
    assert max(Counter(draw.seed for draw in first + second).values()) == 1


def test_sampler_refusals():
    with pytest.raises(DataError, match="at least one training sample"):
        StepSampler([], batch=1, seed=0)
    with pytest.raises(RangeError, match=r"train\.batch"):
        StepSampler([0], batch=0, seed=0)
    with pytest.raises(RangeError, match="seed: expected a value from 0"):
        StepSampler([0], batch=1, seed=-1)
    with pytest.raises(RangeError, match="step"):
        StepSampler([0], batch=1, seed=0).draws(-1)
