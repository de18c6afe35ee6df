"""Where the time of a step goes, seen from outside: nothing in the step knows of the watch.

Hooks on network and optimizer and a shell around every loss say when one part ends and the next
begins. On a CPU the samples of a batch are computed by several threads, each forward and
backward; what is given is then the mean over the threads, whose sum is the time on the clock.
"""

from __future__ import annotations

import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from statistics import fmean
from typing import NamedTuple

import torch
from torch import Tensor, nn

from mfl_adapt.plugin import LocalLoss, Loss, LossContext
from mfl_adapt.train.guards.watch import Look
from mfl_adapt.train.tasks import NO_LOOK, Outcome, Task

PARTS = ("data", "forward", "render", "losses", "backward", "optimizer")
_NETWORK, _AFTER_NETWORK, _LOSS, _AFTER_LOSS = "network", "network done", "loss", "loss done"
_BETWEEN = {
    (None, _NETWORK): "data",
    (_NETWORK, _AFTER_NETWORK): "forward",
    (_AFTER_NETWORK, _LOSS): "render",
    (_LOSS, _AFTER_LOSS): "losses",
    (_AFTER_LOSS, _LOSS): "losses",
    (_AFTER_LOSS, _NETWORK): "backward",
}
"""Part that lies between two marks of a thread; before the first is the begin of the step."""


class Mark(NamedTuple):
    """A moment within a step.

    Attributes:
        name: What begins or ends there.
        at: Seconds.
    """

    name: str
    at: float


class Stopwatch:
    """Takes the time of the parts of steps.

    Attributes:
        steps: Seconds by part, of every step so far.
    """

    def __init__(self, device: torch.device, *, renders: bool) -> None:
        """Take no time yet.

        Args:
            device: Waits for it at every mark, as a GPU works on its own.
            renders: Whether something is drawn between network and losses.
        """
        self._device, self._renders = device, renders
        self._marks: dict[int, list[Mark]] = defaultdict(list)
        self._begin = self._forward = self._backward = 0.0
        self.steps: list[dict[str, float]] = []

    def now(self) -> float:
        """Return the time once all work that was handed out is done."""
        if self._device.type == "cuda":
            torch.cuda.synchronize(self._device)
        return time.perf_counter()

    def mark(self, name: str) -> None:
        """Note the time in this thread."""
        self._marks[threading.get_ident()].append(Mark(name, self.now()))

    @contextmanager
    def step(self) -> Iterator[None]:
        """Take the time of a step."""
        self._marks.clear()
        self._begin = self._forward = self._backward = self.now()
        yield
        self.steps.append(self._divide(self.now()))

    def forward_done(self) -> None:
        """Note that the forward half of a step is done."""
        self._forward = self.now()

    def backward_done(self) -> None:
        """Note that the gradients are known."""
        self._backward = self.now()

    @contextmanager
    def on(self, module: nn.Module, optimizer: torch.optim.Optimizer) -> Iterator[None]:
        """Watch a network and an optimizer inside a ``with`` block."""
        hooks = [
            module.register_forward_pre_hook(lambda *_: self.mark(_NETWORK)),
            module.register_forward_hook(lambda *_: self.mark(_AFTER_NETWORK)),
            optimizer.register_step_pre_hook(lambda *_: self.backward_done()),
        ]
        try:
            yield
        finally:
            for hook in hooks:
                hook.remove()

    def _divide(self, end: float) -> dict[str, float]:
        """Seconds of the step that was just done, by part."""
        threads = [self._divide_thread(one, marks) for one, marks in self._marks.items()]
        parts = {name: fmean(one[name] for one in threads) if threads else 0.0 for name in PARTS}
        parts["backward"] += self._backward - self._forward
        parts["optimizer"] += end - self._backward
        return parts if self._renders else {k: v for k, v in parts.items() if k != "render"}

    def _divide_thread(self, thread: int, marks: list[Mark]) -> dict[str, float]:
        seconds = dict.fromkeys(PARTS, 0.0)
        before, since = None, self._begin
        for name, at in marks:
            part = _BETWEEN.get((before, name), "losses")
            part = "losses" if part == "render" and not self._renders else part
            seconds[part] += at - since
            before, since = name, at
        # Samples that are computed one by one go back at once, before the step's own backward.
        alone = sum(mark.name == _NETWORK for mark in marks) > 1 or thread != threading.get_ident()
        seconds["backward" if alone else "losses"] += self._forward - since
        return seconds


class WatchedLoss:
    """A loss whose begin and end are noted."""

    def __init__(self, loss: Loss, watch: Stopwatch) -> None:
        """Wrap a loss; whoever asks whether it is a ``LocalLoss`` gets its answer."""
        self._loss, self._watch = loss, watch
        if isinstance(loss, LocalLoss):
            self.reach_px = loss.reach_px

    def __call__(self, pred: Tensor, target: Tensor, mask: Tensor, context: LossContext) -> Tensor:
        """Return what the loss returns."""
        self._watch.mark(_LOSS)
        value = self._loss(pred, target, mask, context)
        self._watch.mark(_AFTER_LOSS)
        return value


class WatchedTask:
    """A task the end of whose forward half is noted."""

    def __init__(self, task: Task, done: Callable[[], None]) -> None:
        """Wrap a task."""
        self._task, self._done = task, done

    def forward(self, step: int, look: Look = NO_LOOK) -> Outcome:
        """Return what the task returns."""
        outcome = self._task.forward(step, look)
        self._done()
        return outcome

    def draw(self, path: Path) -> Mapping[str, float]:
        """Draw as the task does."""
        return self._task.draw(path)

    def validate(self, limit: int) -> float:
        """Measure as the task does."""
        return self._task.validate(limit)
