"""Training a base that makes Gaussians: reconstruct, render, compare with photographs."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import fields
from functools import partial
from pathlib import Path

import torch
from accelerate import Accelerator
from torch import Tensor

from mfl_adapt.data import StepSampler
from mfl_adapt.data.collate import collate
from mfl_adapt.evaluate.held_out import predict
from mfl_adapt.metrics import foreground_psnr
from mfl_adapt.plugin import LossContext, PixelReconstructor, Reconstructor
from mfl_adapt.render import render
from mfl_adapt.report import save_contact_sheet
from mfl_adapt.train.boxes import boxes_around
from mfl_adapt.train.guards.measures import (
    find_gradients,
    mean_of_known,
    measure_gaussians,
    measure_pictures,
)
from mfl_adapt.train.guards.watch import Look
from mfl_adapt.train.micro import open_micro
from mfl_adapt.train.objective import build_objective
from mfl_adapt.train.session import Session
from mfl_adapt.train.shards import open_shards
from mfl_adapt.train.tasks import NO_LOOK, Outcome
from mfl_adapt.train.views import held_out_batch, next_batch
from mfl_adapt.types import Batch, Gaussians

log = logging.getLogger(__name__)


class Reconstruction:
    """Batch, forward, render, losses."""

    def __init__(self, run: Session, base: Reconstructor, accelerator: Accelerator) -> None:
        """Move the network to the device and choose the pictures that are drawn."""
        self._run, self._base, self._accelerator = run, base, accelerator
        base.module.to(accelerator.device)
        self._objective = build_objective(run.opened.losses)
        train = run.data.split.train
        self._sampler = StepSampler(train, batch=run.config.train.batch, seed=run.config.seed)
        self._share = run.processes.share(run.config.train.batch)
        self._shards = open_shards(base.module, accelerator.device, len(self._share))
        self._micro = open_micro(run.config.train, accelerator)
        self._shown = held_out_batch(run.data).to(accelerator.device)
        reach = self._objective.reach_px(run.config.train.steps - 1)
        log.debug("render: %s", "whole pictures" if reach is None else "boxes around the masks")

    def forward(self, step: int, look: Look = NO_LOOK) -> Outcome:
        """Take the batch of a step through the network, its samples side by side on a CPU."""
        batch = next_batch(self._run.data, self._sampler, step, self._share)
        batch = batch.to(self._accelerator.device)
        compute = partial(self._compute, step=step, look=look)
        if self._micro is not None:
            return self._micro.forward(compute, batch, self._run.adapter.parameters())
        if self._shards is None or len(batch.ids) < 2:
            return compute(batch)
        singles = [batch.pick(index) for index in range(len(batch.ids))]
        return self._shards.forward(compute, singles, self._run.adapter.parameters())

    def _compute(self, batch: Batch, *, step: int, look: Look) -> Outcome:
        """Reconstruct from the inputs of a batch and render its targets."""
        contract = self._run.data.contract
        with self._accelerator.autocast():
            gaussians = self._base.reconstruct(batch.inputs.rgb, batch.inputs.cameras)
        targets = batch.targets
        drawn = render(
            gaussians,
            targets.cameras,
            background=contract.background,
            backend=self._run.config.train.backend,
            depth=False,
            boxes=self._boxes(targets.mask, step, look),
        )
        context = LossContext(
            contract,
            step,
            gaussians,
            targets.cameras,
            drawn.alpha,
            inputs=batch.inputs,
            positions=pixel_positions(self._base, gaussians, batch),
        )
        summed = self._objective(drawn.rgb, targets.rgb, targets.mask, context)
        # Views without a mask do not enter.
        quality = foreground_psnr(drawn.rgb.detach(), targets.rgb, targets.mask).nanmean()
        if not look.pictures:
            return Outcome(summed.total, summed.parts, float(quality))
        measures = measure_pictures(drawn.rgb, targets.rgb, targets.mask, contract.background)
        measures |= measure_gaussians(gaussians, drawn.alpha, targets.mask, contract)
        scene = (getattr(gaussians, field.name) for field in fields(gaussians))
        inputs = (drawn.rgb, drawn.alpha), tuple(scene)
        gradients = find_gradients(summed.values, look.terms, *inputs)
        return Outcome(summed.total, summed.parts, float(quality), measures, gradients)

    def _boxes(self, mask: Tensor, step: int, look: Look) -> Tensor | None:
        """Say where target views must be rendered; None if somebody looks at whole pictures."""
        reach = self._objective.reach_px(step)
        return None if reach is None or look.pictures else boxes_around(mask, reach)

    @torch.no_grad()
    def draw(self, path: Path) -> Mapping[str, float]:
        """Draw the held-out views of a few samples as a contact sheet."""
        backend, background = self._run.config.train.backend, self._run.data.contract.background
        with self._accelerator.autocast():
            pred = predict(self._base, self._shown, backend, background).rgb
        save_contact_sheet(path, self._shown.targets.rgb, pred)
        return {}

    @torch.no_grad()
    def validate(self, limit: int) -> float:
        """Compare the held-out views of a few samples, in float32 as the evaluation does."""
        data, backend = self._run.data, self._run.config.train.backend
        scores = []
        for sample in data.evaluation[:limit]:
            split = data.policy.evaluate(sample.cameras)
            batch = collate([sample], [split], data.contract).to(self._accelerator.device)
            pred = predict(self._base, batch, backend, data.contract.background).rgb
            quality = foreground_psnr(pred, batch.targets.rgb, batch.targets.mask).nanmean()
            scores.append(float(quality))
        return mean_of_known(scores)


def pixel_positions(base: Reconstructor, gaussians: Gaussians, batch: Batch) -> Tensor | None:
    """Positions of the Gaussians that belong to input pixels, [B, V, 3, H, W], where there are."""
    if not isinstance(base, PixelReconstructor):
        return None
    _, views, _, height, width = batch.inputs.rgb.shape
    return base.pixel_positions(gaussians, views, height, width)
