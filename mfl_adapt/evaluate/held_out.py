"""Scores a model with and without its adapter on views that the network never saw."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from mfl_adapt.adapter import Switchable
from mfl_adapt.data.collate import collate, collate_views
from mfl_adapt.evaluate.evaluation import Evaluation
from mfl_adapt.evaluate.groups import find_groups
from mfl_adapt.evaluate.scores import Scores, average, find_intervals
from mfl_adapt.images import digest_views
from mfl_adapt.metrics import foreground_psnr, mask_iou, mean_colour, psnr, ssim
from mfl_adapt.pipeline import OpenData
from mfl_adapt.plugin import Reconstructor
from mfl_adapt.render import Backend, render
from mfl_adapt.types import Batch, Sample, ViewBatch


class Prediction(NamedTuple):
    """Pictures of some views of one scene.

    Attributes:
        rgb: [1, V, 3, H, W].
        alpha: [1, V, 1, H, W]; None for a constant picture, which has no shape.
    """

    rgb: Tensor
    alpha: Tensor | None


Measures = Mapping[str, Tensor | None]
"""Values of some views of one scene, [V], by name of the measure."""


class Pair(NamedTuple):
    """Pictures of one scene.

    Attributes:
        held_out: Of the views that the network did not see.
        inputs: Of those it saw; None where repeating them says nothing.
    """

    held_out: Prediction
    inputs: Prediction | None


Maker = Callable[[Sample, Batch], Pair]
"""Draws what a base, as it is now, makes of a scene."""
Guesses = Callable[[Batch], dict[str, Pair]]
"""Draws what somebody would guess without a model, by name of the guess."""


class Measured(NamedTuple):
    """Values of all scenes by predictor, in the order of the scenes.

    Attributes:
        held_out: Of the held-out views.
        inputs: Of the input views.
    """

    held_out: dict[str, list[Measures]]
    inputs: dict[str, list[Measures]]


def evaluate(
    base: Reconstructor,
    adapter: Switchable,
    data: OpenData,
    *,
    backend: Backend = "auto",
    limit: int | None = None,
    report: Callable[[int, int], None] | None = None,
) -> Evaluation:
    """Compare white, mean colour, frozen base and adapted model on held-out views.

    The mean colour is that of the pictures that training may see. Networks run in float32. The
    input views are scored too, apart from the held-out ones.

    Args:
        base: With the adapter inside.
        adapter: The adapter, or ``AllAdapters``; switched off for the frozen base.
        data: Samples, split and view policy.
        backend: Rasterizer.
        limit: Use only the first so many samples.
        report: Called with scenes done and scenes in all.

    Returns:
        Means over all scenes.
    """
    samples, colour = data.evaluation[:limit], training_colour(data)
    background = data.contract.background

    def guess(batch: Batch) -> dict[str, Pair]:
        held_out = constant_predictions(batch.targets, colour, background)
        inputs = constant_predictions(batch.inputs, colour, background)
        return {name: Pair(held_out[name], inputs[name]) for name in held_out}

    make = reconstruction_maker(base, backend, background)
    device = next(base.module.parameters()).device
    measured = measure_scenes(samples, data, adapter, make, guess, device=device, report=report)
    return summarize(samples, data, measured)


def reconstruction_maker(base: Reconstructor, backend: Backend, background: float) -> Maker:
    """Return what reconstructs a scene from its inputs and draws all its views."""

    def make(sample: Sample, batch: Batch) -> Pair:
        gaussians = base.reconstruct(batch.inputs.rgb, batch.inputs.cameras)
        drawn = [
            render(gaussians, views.cameras, background=background, backend=backend, depth=False)
            for views in (batch.targets, batch.inputs)
        ]
        held_out, inputs = (Prediction(one.rgb, one.alpha) for one in drawn)
        return Pair(held_out, inputs)

    return make


@torch.no_grad()
def measure_scenes(
    samples: Sequence[Sample],
    data: OpenData,
    adapter: Switchable,
    make: Maker,
    guess: Guesses | None = None,
    *,
    device: torch.device | str = "cpu",
    report: Callable[[int, int], None] | None = None,
) -> Measured:
    """Score guesses, frozen base and adapted model scene by scene.

    Args:
        samples: Scenes to measure.
        data: View policy and contract.
        adapter: Switched off for the frozen base.
        make: What draws the pictures of a model.
        guess: What draws pictures without one; None draws none.
        device: Where the base is.
        report: Called with scenes done and scenes in all.
    """
    measured = Measured({}, {})
    for number, sample in enumerate(samples, start=1):
        batch = collate([sample], [data.policy.evaluate(sample.cameras)], data.contract).to(device)
        pictures = {} if guess is None else guess(batch)
        with adapter.disabled():
            pictures["frozen base"] = make(sample, batch)
        pictures["adapted"] = make(sample, batch)
        for name, pair in pictures.items():
            values = measure(pair.held_out, batch.targets)
            measured.held_out.setdefault(name, []).append(values)
            if pair.inputs is not None:
                values = measure(pair.inputs, batch.inputs)
                measured.inputs.setdefault(name, []).append(values)
        if report is not None:
            report(number, len(samples))
    return measured


def predict(base: Reconstructor, batch: Batch, backend: Backend, background: float) -> Prediction:
    """Reconstruct a scene from its inputs and draw its held-out views."""
    gaussians = base.reconstruct(batch.inputs.rgb, batch.inputs.cameras)
    drawn = render(
        gaussians, batch.targets.cameras, background=background, backend=backend, depth=False
    )
    return Prediction(drawn.rgb, drawn.alpha)


def constant_predictions(
    targets: ViewBatch, colour: Tensor, background: float
) -> dict[str, Prediction]:
    """What somebody would score who knows only the background, or only the mean colour."""
    white = torch.full_like(targets.rgb, background)
    mean = colour.to(white).view(3, 1, 1).expand_as(white)
    return {"white": Prediction(white, None), "mean colour": Prediction(mean, None)}


def training_colour(data: OpenData, *, views_held_out: bool = True) -> Tensor:
    """Mean colour of the training pictures on the contract's background, [3].

    Args:
        data: Samples, split and view policy.
        views_held_out: Leave the held-out views of training scenes out, where there are some.
    """
    colours = []
    for sample in data.samples.pick(data.split.train):
        hidden = data.policy.evaluate(sample.cameras).targets if views_held_out else ()
        seen = [view for view in range(len(sample.views)) if view not in hidden]
        colours.append(mean_colour(collate_views([sample], [seen], data.contract).rgb))
    return torch.stack(colours).mean(dim=0)


def measure(prediction: Prediction, targets: ViewBatch) -> Measures:
    """Score the pictures of one scene, view by view."""
    rgb, alpha = prediction
    iou = None if alpha is None else mask_iou(alpha, targets.mask)[0]
    return {
        "psnr_db": psnr(rgb, targets.rgb)[0],
        "foreground_psnr_db": foreground_psnr(rgb, targets.rgb, targets.mask)[0],
        "masked_ssim": ssim(rgb.clamp(0, 1), targets.rgb, targets.mask)[0],
        "iou": iou,
    }


def summarize(samples: Sequence[Sample], data: OpenData, measured: Measured) -> Evaluation:
    """Average over the views of each scene, then over scenes; find the intervals."""
    per_scene = to_per_scene(samples, measured.held_out)
    return Evaluation(
        scenes=len(samples),
        views=_count_views(measured.held_out),
        scenes_held_out=not data.split.views_only,
        rows=average(per_scene),
        per_scene=per_scene,
        input_views=_count_views(measured.inputs),
        input_rows=average(to_per_scene(samples, measured.inputs)),
        intervals=find_intervals(per_scene),
        groups=find_groups(samples, data),
        digests={sample.id: _digest_targets(sample, data) for sample in samples},
    )


def _digest_targets(sample: Sample, data: OpenData) -> str:
    """Digest of the pictures that the held-out views of a scene are compared with."""
    targets = data.policy.evaluate(sample.cameras).targets
    return digest_views(sample.views[view] for view in targets)


def to_per_scene(
    samples: Sequence[Sample], measured: Mapping[str, Sequence[Measures]]
) -> dict[str, dict[str, Scores]]:
    """Average over the views of each scene; those whose mask is empty have no foreground."""
    return {
        name: {sample.id: to_scores(scene) for sample, scene in zip(samples, scenes, strict=True)}
        for name, scenes in measured.items()
    }


def to_scores(scene: Measures) -> Scores:
    """Average over the views of one scene."""
    iou = scene["iou"]
    return Scores(
        psnr_db=_mean(scene["psnr_db"]),
        foreground_psnr_db=_mean(scene["foreground_psnr_db"]),
        masked_ssim=_mean(scene["masked_ssim"]),
        iou=None if iou is None else _mean(iou),
    )


def _mean(values: Tensor | None) -> float:
    assert values is not None, "only the overlap of masks can be missing"
    return float(values.double().nanmean())


def _count_views(measured: Mapping[str, Sequence[Measures]]) -> int:
    scenes = next(iter(measured.values()), ())
    return sum(0 if one["psnr_db"] is None else len(one["psnr_db"]) for one in scenes)
