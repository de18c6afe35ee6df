"""What a run leaves behind step by step: numbers, pictures and checkpoints."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import Any

from mfl_adapt.adapter import save
from mfl_adapt.train.average import MovingAverage
from mfl_adapt.train.session import Session
from mfl_adapt.train.tasks import Outcome, Task


@dataclass(frozen=True, slots=True)
class Step:
    """What one step has to report.

    Attributes:
        number: From 1.
        total: Length of the run.
        loss: Weighted sum.
        parts: Every term before its weight.
        foreground_psnr_db: Of the renders against the targets of the batch; None where a step
            makes no pictures.
        gradient_norm: Before clipping.
        lr: Learning rate of the step.
        seconds: Wall time of the step.
    """

    number: int
    total: int
    loss: float
    parts: Mapping[str, float]
    foreground_psnr_db: float | None
    gradient_norm: float
    lr: float
    seconds: float

    @classmethod
    def of(
        cls, outcome: Outcome, number: int, total: int, norm: float, lr: float, seconds: float
    ) -> Step:
        """Put the two halves of a step together."""
        loss, quality = float(outcome.loss.detach()), outcome.foreground_psnr_db
        return cls(number, total, loss, outcome.parts, quality, norm, lr, seconds)

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON values; a quality that is not a number becomes null."""
        row = asdict(self)
        del row["total"]
        quality = self.foreground_psnr_db
        if quality is not None and math.isnan(quality):
            row["foreground_psnr_db"] = None
        return row


class Recorder:
    """Writes a run's log, sample pictures and checkpoints, and tells the observers."""

    def __init__(self, run: Session, task: Task, average: MovingAverage | None = None) -> None:
        """Take the run, what draws its pictures, and what is saved instead of the last weights."""
        self._run, self._task, self._average = run, task, average
        self._observers = run.opened.host.observers

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

    def save_pictures(self, *, step: int) -> None:
        """Draw how far a few held-out samples have come."""
        with self._as_saved():
            self._task.draw(self._run.folder.path / "samples" / f"step-{step:06d}.png")

    def _save_checkpoint(self, step: int) -> None:
        path = self._run.folder.path / "checkpoints" / f"step-{step}"
        with self._as_saved():
            seeds = {"seeds": {"run": self._run.config.seed}}
            # With a slow start of the learning rate, an early one may still do nothing.
            save(self._run.adapter, path, passport=seeds, needs_effect=False)
        self._observers.checkpoint_saved(run=self._run, path=path)

    @contextmanager
    def _as_saved(self) -> Iterator[None]:
        """Put the network into the state that will be saved: averaged, and without dropout."""
        module, training = self._run.base.module, self._run.base.module.training
        module.eval()
        try:
            if self._average is None:
                yield
            else:
                with self._average.applied():
                    yield
        finally:
            module.train(training)
