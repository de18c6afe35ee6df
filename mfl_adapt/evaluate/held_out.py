"""Scores a model with and without its adapter on views that the network never saw."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from mfl_adapt.adapter import Switchable
from mfl_adapt.data.collate import collate, collate_views
from mfl_adapt.evaluate.scores import Evaluation, Scores
from mfl_adapt.metrics import foreground_psnr, mask_iou, mean_colour, psnr, ssim
from mfl_adapt.pipeline import OpenData
from mfl_adapt.plugin import Reconstructor
from mfl_adapt.render import Backend, render
from mfl_adapt.types import Batch, Sample, ViewBatch


class Prediction(NamedTuple):
    """Pictures of the held-out views of one scene.

    Attributes:
        rgb: [1, V, 3, H, W].
        alpha: [1, V, 1, H, W]; None for a constant picture, which has no shape.
    """

    rgb: Tensor
    alpha: Tensor | None


Measures = Mapping[str, Tensor | None]
"""Values of the held-out views of one scene, [V], by name of the measure."""


@torch.no_grad()
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

    The mean colour is that of the pictures that training may see. Networks run in float32.

    Args:
        base: With the adapter inside.
        adapter: The adapter, or ``AllAdapters``; switched off for the frozen base.
        data: Samples, split and view policy.
        backend: Rasterizer.
        limit: Use only the first so many samples.
        report: Called with scenes done and scenes in all.

    Returns:
        Means over all held-out views.
    """
    samples, colour = data.evaluation[:limit], training_colour(data)
    device = next(base.module.parameters()).device
    measured: dict[str, list[Measures]] = {}
    for number, sample in enumerate(samples, start=1):
        batch = collate([sample], [data.policy.evaluate(sample.cameras)], data.contract).to(device)
        predictions = constant_predictions(batch.targets, colour, data.contract.background)
        with adapter.disabled():
            predictions["frozen base"] = predict(base, batch, backend, data.contract.background)
        predictions["adapted"] = predict(base, batch, backend, data.contract.background)
        for name, prediction in predictions.items():
            measured.setdefault(name, []).append(measure(prediction, batch.targets))
        if report is not None:
            report(number, len(samples))
    return summarize(samples, measured, scenes_held_out=not data.split.views_only)


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


def summarize(
    samples: Sequence[Sample],
    measured: Mapping[str, Sequence[Measures]],
    *,
    scenes_held_out: bool,
) -> Evaluation:
    """Average over all views; views whose mask is empty enter only the full-frame PSNR."""
    rows = {
        name: Scores(
            psnr_db=_mean(scenes, "psnr_db"),
            foreground_psnr_db=_mean(scenes, "foreground_psnr_db"),
            masked_ssim=_mean(scenes, "masked_ssim"),
            iou=None if scenes[0]["iou"] is None else _mean(scenes, "iou"),
        )
        for name, scenes in measured.items()
    }
    per_scene = {
        name: {
            sample.id: _mean([scene], "foreground_psnr_db")
            for sample, scene in zip(samples, scenes, strict=True)
        }
        for name, scenes in measured.items()
    }
    views = sum(len(_values(scene, "psnr_db")) for scene in measured["white"])
    return Evaluation(len(samples), views, scenes_held_out, rows, per_scene)


def _values(scene: Measures, name: str) -> Tensor:
    value = scene[name]
    assert value is not None, f"{name} was measured"
    return value


def _mean(scenes: Sequence[Measures], name: str) -> float:
    return float(torch.cat([_values(scene, name) for scene in scenes]).nanmean())
