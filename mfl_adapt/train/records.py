"""What a run leaves behind step by step: numbers, pictures and checkpoints."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import torch
from accelerate import Accelerator
from torch import Tensor

from mfl_adapt.adapter import save
from mfl_adapt.evaluate.held_out import predict
from mfl_adapt.metrics import foreground_psnr
from mfl_adapt.report import save_contact_sheet
from mfl_adapt.train.session import Session
from mfl_adapt.train.views import held_out_batch
from mfl_adapt.types import Batch


@dataclass(frozen=True, slots=True)
class Step:
    """What one step has to report.

    Attributes:
        number: From 1.
        total: Length of the run.
        loss: Weighted sum.
        parts: Every term before its weight.
        foreground_psnr_db: Of the renders against the targets of the batch.
        gradient_norm: Before clipping.
        lr: Learning rate of the step.
        seconds: Wall time of the step.
    """

    number: int
    total: int
    loss: float
    parts: Mapping[str, float]
    foreground_psnr_db: float
    gradient_norm: float
    lr: float
    seconds: float

    @classmethod
    def measure(
        cls,
        number: int,
        total: int,
        loss: Tensor,
        parts: Mapping[str, float],
        pred: Tensor,
        batch: Batch,
        gradient_norm: float,
        lr: float,
        seconds: float,
    ) -> Step:
        """Add the foreground PSNR of a step's renders, which views without a mask do not enter."""
        targets = batch.targets
        quality = foreground_psnr(pred.detach(), targets.rgb, targets.mask).nanmean()
        return cls(
            number, total, float(loss.detach()), parts, float(quality), gradient_norm, lr, seconds
        )

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON values; a quality that is not a number becomes null."""
        row = asdict(self)
        del row["total"]
        if row["foreground_psnr_db"] != row["foreground_psnr_db"]:
            row["foreground_psnr_db"] = None
        return row


class Recorder:
    """Writes a run's log, sample pictures and checkpoints, and tells the observers."""

    def __init__(self, run: Session, accelerator: Accelerator) -> None:
        self._run, self._accelerator = run, accelerator
        self._observers = run.opened.host.observers
        self._batch = held_out_batch(run.data).to(accelerator.device)

    def finish_step(self, step: Step) -> None:
        """Log a step, and draw and save where it is time for that."""
        settings = self._run.config.train
        last = step.number == step.total
        if step.number % settings.log_every == 0 or step.number == 1 or last:
            self._run.folder.append_metrics(step.to_json())
        if step.number % settings.sample_every == 0 or last:
            self.save_pictures(step=step.number)
        if step.number % settings.save_every == 0 and not last:
            self._save_checkpoint(step.number)
        self._observers.step_finished(run=self._run, step=step.number)

    @torch.no_grad()
    def save_pictures(self, *, step: int) -> None:
        """Draw the held-out views of a few samples as a contact sheet."""
        batch, settings = self._batch, self._run.config.train
        background = self._run.data.contract.background
        with self._accelerator.autocast():
            pred = predict(self._run.base, batch, settings.backend, background).rgb
        path = self._run.folder.path / "samples" / f"step-{step:06d}.png"
        save_contact_sheet(path, batch.targets.rgb, pred)

    def _save_checkpoint(self, step: int) -> None:
        path = self._run.folder.path / "checkpoints" / f"step-{step}"
        save(self._run.adapter, path, passport={"seeds": {"run": self._run.config.seed}})
        self._observers.checkpoint_saved(run=self._run, path=path)
