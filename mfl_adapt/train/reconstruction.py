"""Training a base that makes Gaussians: reconstruct, render, compare with photographs."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import torch
from accelerate import Accelerator

from mfl_adapt.data import StepSampler
from mfl_adapt.evaluate.held_out import predict
from mfl_adapt.metrics import foreground_psnr
from mfl_adapt.plugin import LossContext, Reconstructor
from mfl_adapt.render import render
from mfl_adapt.report import save_contact_sheet
from mfl_adapt.train.objective import build_objective
from mfl_adapt.train.session import Session
from mfl_adapt.train.shards import open_shards
from mfl_adapt.train.tasks import Outcome
from mfl_adapt.train.views import held_out_batch, next_batch
from mfl_adapt.types import Batch


class Reconstruction:
    """Batch, forward, render, losses."""

    def __init__(self, run: Session, base: Reconstructor, accelerator: Accelerator) -> None:
        """Move the network to the device and choose the pictures that are drawn."""
        self._run, self._base, self._accelerator = run, base, accelerator
        base.module.to(accelerator.device)
        self._objective = build_objective(run.opened.losses)
        train = run.data.split.train
        self._sampler = StepSampler(train, batch=run.config.train.batch, seed=run.config.seed)
        self._shards = open_shards(base.module, accelerator.device, run.config.train.batch)
        self._shown = held_out_batch(run.data).to(accelerator.device)

    def forward(self, step: int) -> Outcome:
        """Take the batch of a step through the network, its samples side by side on a CPU."""
        batch = next_batch(self._run.data, self._sampler, step).to(self._accelerator.device)
        compute = partial(self._compute, step=step)
        if self._shards is None or len(batch.ids) < 2:
            return compute(batch)
        singles = [batch.pick(index) for index in range(len(batch.ids))]
        return self._shards.forward(compute, singles, self._run.adapter.parameters())

    def _compute(self, batch: Batch, *, step: int) -> Outcome:
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
        )
        context = LossContext(contract, step, gaussians, targets.cameras, drawn.alpha)
        loss, parts = self._objective(drawn.rgb, targets.rgb, targets.mask, context)
        # Views without a mask do not enter.
        quality = foreground_psnr(drawn.rgb.detach(), targets.rgb, targets.mask).nanmean()
        return Outcome(loss, parts, float(quality))

    @torch.no_grad()
    def draw(self, path: Path) -> None:
        """Draw the held-out views of a few samples as a contact sheet."""
        backend, background = self._run.config.train.backend, self._run.data.contract.background
        with self._accelerator.autocast():
            pred = predict(self._base, self._shown, backend, background).rgb
        save_contact_sheet(path, self._shown.targets.rgb, pred)
