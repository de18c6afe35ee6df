"""Scores a model of views, with and without its adapter, on scenes that training never saw."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch
from torch import Tensor

from mfl_adapt.adapter import Switchable
from mfl_adapt.errors import DataError
from mfl_adapt.evaluate.evaluation import Evaluation
from mfl_adapt.evaluate.held_out import (
    Maker,
    Pair,
    Prediction,
    constant_predictions,
    measure_scenes,
    summarize,
    training_colour,
)
from mfl_adapt.images import composite
from mfl_adapt.models.mvdiffusion.frozen import FrozenMVDiffusion
from mfl_adapt.pipeline import OpenData
from mfl_adapt.types import Batch, Sample

if TYPE_CHECKING:
    from mfl_adapt.types import Bytes


class Sampling(NamedTuple):
    """How views are made for an evaluation.

    Attributes:
        steps: Denoising steps.
        guidance: Factor on what the picture changes.
        seed: Of the run; every sample derives its own from it.
    """

    steps: int
    guidance: float
    seed: int


def evaluate_views(
    base: FrozenMVDiffusion,
    adapter: Switchable,
    data: OpenData,
    sampling: Sampling,
    *,
    limit: int | None = None,
    report: Callable[[int, int], None] | None = None,
) -> Evaluation:
    """Compare what is made of view 0 with all other views of the validation samples.

    The frozen base and the adapted model start from the same noise, which depends on nothing but
    the seed and the sample. Beside them stand white, the training pictures' mean colour, and the
    input copied into every slot, which is what a collapsed model makes. View 0, which the model
    was shown and makes again, is scored apart.

    Args:
        base: With the adapter inside.
        adapter: The adapter, or ``AllAdapters``; switched off for the frozen base.
        data: Samples and split; the view policy of slots.
        sampling: Steps, guidance and seed.
        limit: Use only the first so many samples.
        report: Called with scenes done and scenes in all.

    Returns:
        Means over all scenes.

    Raises:
        DataError: If no sample was kept for validation.
    """
    samples = data.evaluation[:limit]
    if not samples or data.split.views_only:
        raise DataError(
            "data.split: expected samples kept for validation, got none. Raise "
            "data.split.validation, or add samples."
        )
    colour = training_colour(data, views_held_out=False)
    background = data.contract.background

    def guess(batch: Batch) -> dict[str, Pair]:
        held_out = constant_predictions(batch.targets, colour, background)
        inputs = constant_predictions(batch.inputs, colour, background)
        pairs = {name: Pair(held_out[name], inputs[name]) for name in held_out}
        copied = batch.inputs.rgb.expand_as(batch.targets.rgb)
        return pairs | {"copy of the input": Pair(Prediction(copied, None), None)}

    make = view_maker(base, background, sampling)
    measured = measure_scenes(
        samples, data, adapter, make, guess, device=base.device, report=report
    )
    return summarize(samples, data, measured)


def view_maker(base: FrozenMVDiffusion, background: float, sampling: Sampling) -> Maker:
    """Return what makes all views of a scene from its first one; they have no opacity."""

    def make(sample: Sample, batch: Batch) -> Pair:
        made = make_views(base, sample, background, sampling)[None]
        return Pair(Prediction(made[:, 1:], None), Prediction(made[:, :1], None))

    return make


@torch.no_grad()
def make_views(
    base: FrozenMVDiffusion, sample: Sample, background: float, sampling: Sampling
) -> Tensor:
    """Make all views of a sample from its first one.

    Args:
        base: Adapted or not. A pose adapter is told the sample's cameras; while it is switched
            off, each view gets the prompt of the slot nearest to it.
        sample: Conformed; of its pictures, only the first is looked at.
        background: Of the input picture.
        sampling: Steps, guidance and seed.

    Returns:
        [V, 3, H, W] in [0, 1], the first view included.
    """
    pose = base.module.pose
    cameras = None if pose is None else sample.cameras
    if cameras is None:
        prompts = base.prompt_embeds
    else:
        prompts = base.prompts_for(cameras, pose.prompts if pose.strength else "nearest")
    return base.generate(
        reference_picture(sample, background),
        prompts,
        steps=sampling.steps,
        guidance=sampling.guidance,
        seed=_seed_of(sample, sampling.seed),
        cameras=cameras,
    ).images


def reference_picture(sample: Sample, background: float) -> Bytes:
    """Return the first view on a plain background, rounded to [H, W, 3] uint8.

    Raises:
        DataError: If it has no mask.
    """
    view = sample.views[0]
    if view.mask is None:
        raise DataError(
            f"{view.source or view.name}: expected a mask, got none. Run the sample through "
            "conform first."
        )
    return np.rint(composite(view.rgb, view.mask, background) * 255).astype(np.uint8)


def _seed_of(sample: Sample, seed: int) -> int:
    """A seed that depends on the sample and not on its place among others."""
    return int.from_bytes(hashlib.sha256(f"{seed}\n{sample.id}".encode()).digest()[:6])
