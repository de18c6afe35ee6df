"""What a run leaves behind step by step: numbers, pictures, findings and checkpoints."""

from __future__ import annotations

import logging
import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from mfl_adapt.adapter import save
from mfl_adapt.errors import MflAdaptError
from mfl_adapt.plugin import Finding
from mfl_adapt.train.checkpoints import (
    check_space,
    path_of,
    read_checkpoint,
    rotate,
    write_checkpoint,
)
from mfl_adapt.train.folder import FINDINGS
from mfl_adapt.train.guards.stop import GuardError
from mfl_adapt.train.guards.table import by_code
from mfl_adapt.train.learner import Best, Learner
from mfl_adapt.train.randomness import undisturbed
from mfl_adapt.train.session import Session
from mfl_adapt.train.tasks import Outcome, Task

log = logging.getLogger(__name__)

WORTH_DB = 0.1
"""Less than this between two adapters is noise."""


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
        held_out_psnr_db: Foreground PSNR of held-out views; None where it was not measured.
        findings: What guards found.
    """

    number: int
    total: int
    loss: float
    parts: Mapping[str, float]
    foreground_psnr_db: float | None
    gradient_norm: float
    lr: float
    seconds: float
    held_out_psnr_db: float | None = None
    findings: tuple[Finding, ...] = ()

    @classmethod
    def of(
        cls, outcome: Outcome, number: int, total: int, norm: float, lr: float, seconds: float
    ) -> Step:
        """Put the two halves of a step together."""
        loss, quality = float(outcome.loss.detach()), outcome.foreground_psnr_db
        return cls(number, total, loss, outcome.parts, quality, norm, lr, seconds)

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON values; a quality that is not a number becomes null."""
        row = asdict(replace(self, findings=()))
        del row["total"], row["findings"]
        for name in ("foreground_psnr_db", "held_out_psnr_db"):
            if row[name] is not None and math.isnan(row[name]):
                row[name] = None
        return row


class Recorder:
    """Writes a run's log, pictures, findings and checkpoints, and tells the observers."""

    def __init__(self, run: Session, task: Task, learner: Learner) -> None:
        """Take the run, what draws its pictures, and what its checkpoints hold."""
        self._run, self._task, self._learner = run, task, learner
        self._observers = run.opened.host.observers
        self._saved: int | None = None
        self._last: float | None = None

    def begin(self) -> None:
        """Draw the first pictures and write a first checkpoint, or go on from one.

        Where several processes train, all go on, but only the main one writes. A first
        checkpoint shows before the first step, and not hundreds of steps later, that checkpoints
        can be written here and read again.
        """
        checkpoint = self._run.checkpoint
        if checkpoint is None and not self._run.processes.is_main:
            return
        if checkpoint is None:
            # While a new one is written, all that are kept and the best one are still there.
            room = self._run.config.train.keep + 2
            check_space(self._run.folder.path, self._learner.num_bytes, count=room)
            self.save_pictures(step=0)
            self.save_checkpoint()
            read_checkpoint(path_of(self._run.folder.path, 0))
            return
        self._learner.restore(checkpoint.state, checkpoint.step)
        self._saved = checkpoint.step

    def finish_step(self, step: Step) -> Step:
        """Log a step, and measure, draw and save where it is time for that.

        Returns:
            The step, with what was measured and found on the way.
        """
        settings, last = self._run.config.train, step.number == step.total
        step = replace(step, held_out_psnr_db=self._validate(step))
        if step.number % settings.sample_every == 0 or last:
            self.save_pictures(step=step.number)
        step = replace(step, findings=self._learner.watch.new_findings())
        for finding in step.findings:
            self.write_finding(finding, step.number)
        measured = step.held_out_psnr_db is not None
        if step.number % settings.log_every == 0 or step.number == 1 or last or measured:
            self._run.folder.append_metrics(step.to_json())
        self._observers.step_finished(run=self._run, step=step.number)
        best = self._learner.best
        if step.number % settings.save_every == 0 or last or _is_at(best, step.number):
            self.save_checkpoint()
        return step

    def notes(self) -> tuple[str, ...]:
        """Say what is worth knowing at the end: a better checkpoint, and findings of guards."""
        folder, best, notes = self._run.folder, self._learner.best, []
        if best is not None and self._last is not None and best.psnr_db > self._last + WORTH_DB:
            notes.append(
                f"best: {best.psnr_db:.2f} dB foreground on held-out views at step {best.step}, "
                f"{self._last:.2f} dB at the end; that adapter is in "
                f"{path_of(folder.path, best.step)}"
            )
        findings = folder.count_findings()
        if findings:
            word = "finding" if findings == 1 else "findings"
            notes.append(f"guards: {findings} {word}, in {folder.path / FINDINGS}")
        return tuple(notes)

    def save_pictures(self, *, step: int) -> None:
        """Draw how far a few held-out samples have come."""
        with self._as_saved():
            path = self._run.folder.path / "samples" / f"step-{step:06d}.png"
            self._learner.watch.take_drawn(step, self._task.draw(path))

    def save_checkpoint(self) -> None:
        """Write a checkpoint of the step that was done last, unless there is one."""
        run, step, settings = self._run, self._learner.done, self._run.config.train
        if self._saved == step:
            if step == settings.steps:
                # Whoever was killed right after writing the last one left one too many.
                self._rotate()
            return
        folder = run.folder
        check_space(folder.path, self._learner.num_bytes)
        state = self._learner.capture()
        state = state._replace(plain={"identity": run.identity} | dict(state.plain))
        folder.settle()
        with undisturbed():
            path = write_checkpoint(folder.path, step, self._save_adapter, state)
            self._saved = step
            self._rotate()
            if step > 0:
                self._observers.checkpoint_saved(run=run, path=path)

    def _rotate(self) -> None:
        best, keep = self._learner.best, self._run.config.train.keep
        rotate(self._run.folder.path, keep=keep, best=None if best is None else best.step)

    def write_finding(self, finding: Finding, step: int) -> None:
        """Write what a guard found, with a picture where that helps."""
        row = {"step": step} | asdict(finding)
        del row["excess"]
        guard = by_code(finding.code)
        row["name"], row["summary"] = guard.name, guard.summary
        row["picture"] = self._draw_evidence(finding, step) if guard.picture else None
        self._run.folder.append_finding(row)

    @contextmanager
    def recording_stops(self) -> Iterator[None]:
        """Write the finding of a guard that stops the run, once.

        Raises:
            GuardError: The same again, with the place of what was written.
        """
        try:
            yield
        except GuardError as stopped:
            if not self._run.processes.is_main:
                raise
            for finding in (*self._learner.watch.new_findings(), stopped.finding):
                self.write_finding(finding, stopped.step)
            evidence = self._run.folder.path / FINDINGS
            raise GuardError(stopped.finding, stopped.step, evidence) from stopped

    def _draw_evidence(self, finding: Finding, step: int) -> str | None:
        name = f"guards/step-{step:06d}-{finding.code}.png"
        try:
            with undisturbed(), self._as_saved():
                self._task.draw(self._run.folder.path / name)
        except (MflAdaptError, ArithmeticError, RuntimeError, ValueError) as error:
            # What broke the run may break its pictures, anywhere; the finding matters more.
            log.debug("no picture for %s: %s", finding.code, error)
            return None
        return name

    def _validate(self, step: Step) -> float | None:
        """Measure held-out views where it is time for that, and remember the best step."""
        settings, every = self._run.config.train, self._run.config.train.validate_every
        known = self._learner.best
        due = every is not None and step.number % every == 0
        # Once there is something to compare with, the end is measured too.
        if not (due or (known is not None and step.number == step.total)):
            return None
        with undisturbed(), self._as_saved():
            quality = self._task.validate(settings.validate_samples)
        self._last = quality
        if not math.isnan(quality) and (known is None or quality > known.psnr_db):
            self._learner.best = Best(step.number, quality)
        return quality

    def _save_adapter(self, folder: Path) -> None:
        seeds = {"seeds": {"run": self._run.config.seed}}
        with self._as_saved():
            # With a slow start of the learning rate, an early one may still do nothing.
            save(self._run.adapter, folder, passport=seeds, needs_effect=False)

    @contextmanager
    def _as_saved(self) -> Iterator[None]:
        """Put the network into the state that will be saved: averaged, and without dropout."""
        module, training = self._run.base.module, self._run.base.module.training
        average = self._learner.average
        module.eval()
        try:
            if average is None:
                yield
            else:
                with average.applied():
                    yield
        finally:
            module.train(training)


def _is_at(best: Best | None, step: int) -> bool:
    return best is not None and best.step == step
