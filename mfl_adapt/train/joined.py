"""One step of several processes: from each one's share of a batch to what the batch came to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import torch
from torch import Tensor, nn

from mfl_adapt.train.processes import Processes
from mfl_adapt.train.randomness import RandomState, capture_random
from mfl_adapt.train.tasks import Outcome


class Part(NamedTuple):
    """What a process says of its share.

    Attributes:
        weight: Its share of the batch.
        loss: Mean over its samples.
        parts: Terms of it.
        quality: Foreground PSNR in dB; None where a step makes no pictures.
        measures: Of guards.
        gradients: Which terms had one.
        present: Which parameters have a gradient.
        random: Where its random generators are.
    """

    weight: float
    loss: float
    parts: dict[str, float]
    quality: float | None
    measures: dict[str, float]
    gradients: dict[str, bool]
    present: tuple[bool, ...]
    random: RandomState


@dataclass(slots=True, eq=False)
class Joiner:
    """Puts the shares of a step together.

    Attributes:
        processes: All of them.
        batch: Samples of a step, of all processes.
        random: Where the generators of all of them were after their last step; empty before
            the first one, and for one process.
    """

    processes: Processes = field(default_factory=Processes)
    batch: int = 1
    random: tuple[RandomState, ...] = ()

    def weigh(self, loss: Tensor) -> Tensor:
        """Return the share of a mean over this process's samples in that over the batch."""
        return loss if self.processes.count == 1 else loss * self._weight

    def join(
        self, outcome: Outcome, parameters: Sequence[nn.Parameter], buffers: Sequence[Tensor]
    ) -> Outcome:
        """Return what the whole batch came to, and leave its gradients in the parameters.

        Args:
            outcome: Of this process's share; its weighed gradients are in the parameters.
            parameters: The adapter's.
            buffers: What of the adapter changes without a gradient: the main process's counts.
        """
        if self.processes.count == 1:
            return outcome
        given = self.processes.exchange(self._describe(outcome, parameters))
        self.random = tuple(part.random for part in given)
        self._add_up(parameters, [part.present for part in given])
        if buffers:
            self._copy_main(buffers)
        weights = [part.weight for part in given]
        names = dict.fromkeys(name for part in given for name in part.gradients)
        loss = sum(weight * part.loss for weight, part in zip(weights, given, strict=True))
        return Outcome(
            torch.tensor(loss, dtype=torch.float64),
            _mean([part.parts for part in given], weights),
            _mean_quality([part.quality for part in given], weights),
            _mean([part.measures for part in given], weights),
            {name: any(part.gradients.get(name) for part in given) for name in names},
        )

    @property
    def _weight(self) -> float:
        return len(self.processes.share(self.batch)) / self.batch

    def _describe(self, outcome: Outcome, parameters: Sequence[nn.Parameter]) -> Part:
        return Part(
            self._weight,
            float(outcome.loss.detach()),
            dict(outcome.parts),
            outcome.foreground_psnr_db,
            dict(outcome.measures),
            dict(outcome.gradients),
            tuple(one.grad is not None for one in parameters),
            capture_random(),
        )

    def _add_up(
        self, parameters: Sequence[nn.Parameter], present: Sequence[tuple[bool, ...]]
    ) -> None:
        """Sum the gradients of parameters that have one in any process."""
        used = [
            parameter
            for parameter, somewhere in zip(
                parameters, map(any, zip(*present, strict=True)), strict=True
            )
            if somewhere
        ]
        for parameter in used:
            if parameter.grad is None:
                parameter.grad = torch.zeros_like(parameter)
        if used:
            self.processes.add_up([one.grad for one in used if one.grad is not None])

    def _copy_main(self, buffers: Sequence[Tensor]) -> None:
        values = self.processes.tell([one.detach().cpu() for one in buffers])
        for buffer, value in zip(buffers, values, strict=True):
            buffer.copy_(value)


def _mean(columns: Sequence[Mapping[str, float]], weights: Sequence[float]) -> dict[str, float]:
    """Weighted means by name, each over those that have a number."""
    names = dict.fromkeys(name for one in columns for name in one)
    return {name: _known([one.get(name) for one in columns], weights) for name in names}


def _mean_quality(values: Sequence[float | None], weights: Sequence[float]) -> float | None:
    return None if all(one is None for one in values) else _known(values, weights)


def _known(values: Sequence[float | None], weights: Sequence[float]) -> float:
    """Weighted mean of the values that are numbers; NaN if none is."""
    pairs = zip(values, weights, strict=True)
    known = [(one, weight) for one, weight in pairs if one is not None and one == one]
    total = sum(weight for _, weight in known)
    return sum(one * weight for one, weight in known) / total if known else float("nan")
