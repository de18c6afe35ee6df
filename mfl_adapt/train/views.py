"""The batch of a step: which samples, and which of their views."""

from __future__ import annotations

from collections.abc import Sequence

from mfl_adapt.data import StepSampler
from mfl_adapt.data.collate import collate
from mfl_adapt.pipeline import OpenData
from mfl_adapt.plugin import BatchViewPolicy
from mfl_adapt.types import Batch


def next_batch(
    data: OpenData, sampler: StepSampler, step: int, share: Sequence[int] | None = None
) -> Batch:
    """Return the batch of one step; a pure function of the seed and the step.

    Args:
        data: Samples and view policy.
        sampler: Says which samples a step sees.
        step: From 0.
        share: Places in the batch that are wanted; all of them if None. The policy is asked about
            the whole batch in any case, as what it remembers must be the same in all processes.
    """
    draws = sampler.draws(step)
    samples = data.samples.pick([draw.sample for draw in draws])
    cameras, seeds = [sample.cameras for sample in samples], [draw.seed for draw in draws]
    policy = data.policy
    if isinstance(policy, BatchViewPolicy):
        splits = policy.train_batch(cameras, seeds=seeds)
    else:
        splits = [policy.train(one, seed=seed) for one, seed in zip(cameras, seeds, strict=True)]
    if share is not None:
        samples, splits = tuple(samples[one] for one in share), [splits[one] for one in share]
    return collate(samples, splits, data.contract)


def held_out_batch(data: OpenData, *, limit: int = 4) -> Batch:
    """Return the first samples to evaluate on, with their fixed inputs and held-out views.

    Samples with another number of views than the first do not fit into one batch and are left out.
    """
    first = data.evaluation[0]
    samples = [one for one in data.evaluation if len(one.views) == len(first.views)][:limit]
    splits = [data.policy.evaluate(sample.cameras) for sample in samples]
    return collate(samples, splits, data.contract)
