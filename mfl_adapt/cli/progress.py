"""Progress of a run: a live bar on a terminal, a line now and then in a log."""

from __future__ import annotations

import sys
import time
from types import TracebackType
from typing import TYPE_CHECKING, Self

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from mfl_adapt.doctor import to_lines

if TYPE_CHECKING:
    from mfl_adapt.doctor import Report
    from mfl_adapt.train.records import Step
    from mfl_adapt.train.session import Session

SECONDS_BETWEEN_LINES = 10.0


def describe_step(step: Step) -> str:
    """One line: every loss term, foreground PSNR where there are pictures, seconds per step."""
    said = [f"{name.partition('.')[2]} {value:.4f}" for name, value in step.parts.items()]
    if step.foreground_psnr_db is not None:
        said.append(f"foreground {step.foreground_psnr_db:5.2f} dB")
    return "  ".join([*said, f"{step.seconds:.2f} s/it"])


class Bars:
    """Shows on standard error how far some work is."""

    def __init__(self) -> None:
        console = Console(stderr=True)
        self._live = console.is_terminal
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=24),
            TextColumn("{task.completed}/{task.total}"),
            TimeRemainingColumn(),
            TextColumn("{task.fields[note]}"),
            console=console,
            disable=not self._live,
        )
        self._tasks: dict[str, TaskID] = {}
        self._spoken = self._started = time.monotonic()

    def __enter__(self) -> Self:
        """Start drawing."""
        self._progress.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Stop drawing and leave the last state on the screen."""
        self._progress.stop()

    def advance(self, name: str, done: int, total: int, note: str = "") -> None:
        """Move the bar of that name, or write a line now and then."""
        if not self._live:
            self._speak(name, done, total, note)
            return
        if name not in self._tasks:
            self._tasks[name] = self._progress.add_task(name, total=total, note=note)
        self._progress.update(self._tasks[name], completed=done, note=note)

    def _speak(self, name: str, done: int, total: int, note: str) -> None:
        now = time.monotonic()
        if done in {1, total} or now - self._spoken > SECONDS_BETWEEN_LINES:
            self._spoken = now
            self._say(f"{name:<8}  {done}/{total}  {note}".rstrip())

    def _say(self, line: str) -> None:
        if self._live:
            self._progress.console.print(line, highlight=False, markup=False)
        else:
            typer.echo(line, err=True)
        sys.stderr.flush()


class TrainingProgress(Bars):
    """Listens to a run and shows it on standard error."""

    def opened(self, run: Session, report: Report) -> None:
        """Say what will be trained, and what the doctor found."""
        count = run.adapter.num_parameters()
        split = run.data.split
        self._say(f"run       {run.folder.path}")
        if run.checkpoint is not None:
            self._say(f"resumed   after step {run.checkpoint.step}, from {run.checkpoint.path}")
        self._say(f"base      {run.base.id}, frozen")
        self._say(f"adapter   {count:,} weights in {len(run.adapter.layers)} layers")
        self._say(f"data      {len(split.train)} samples train, {len(split.validation)} validate")
        for line in to_lines(report):
            self._say(f"doctor    {line}")

    def step(self, step: Step) -> None:
        """Move the bar, and say what guards found."""
        self.advance("train", step.number, step.total, describe_step(step))
        for found in step.findings:
            self._say(
                f"guard     {found.severity} {found.code} at step {step.number}: {found.where}: "
                f"expected {found.expected}, got {found.value}"
            )
            self._say(f"          {found.remedy}")

    def evaluating(self, done: int, total: int) -> None:
        """Move the second bar."""
        self.advance("evaluate", done, total, "")
