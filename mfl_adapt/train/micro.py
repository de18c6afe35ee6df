"""A step's samples one part after the other, where there is no memory for all of them.

The loss is the mean over the samples of the whole batch, and gradients are added from the first
part to the last: the step is that of the whole batch, up to rounding.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import torch
from accelerate import Accelerator
from torch import nn

from mfl_adapt.config.models import Train
from mfl_adapt.errors import TrainingError
from mfl_adapt.train.shards import Gradients, join_outcomes
from mfl_adapt.train.tasks import Outcome
from mfl_adapt.types import Batch, ViewBatch


class MicroBatches:
    """Takes parts of a batch through network, losses and back."""

    def __init__(self, size: int, accelerator: Accelerator) -> None:
        """Prepare.

        Args:
            size: Most samples of a part.
            accelerator: Knows the factor on fp16 losses, without which gradients would vanish.
        """
        self.size, self._accelerator = size, accelerator

    def forward(
        self, compute: Callable[[Batch], Outcome], batch: Batch, parameters: Sequence[nn.Parameter]
    ) -> Outcome:
        """Return the mean over the samples of a batch, with its gradients already known.

        Args:
            compute: Outcome of a part.
            batch: The whole batch.
            parameters: What gets gradients when somebody calls ``backward`` on the loss.
        """
        count, scaler = len(batch.ids), self._accelerator.scaler
        factor = 1.0 if scaler is None else float(scaler.get_scale())
        outcomes: list[Outcome] = []
        gradients: list[Gradients] = []
        for first in range(0, count, self.size):
            part = take(batch, slice(first, first + self.size))
            outcome = compute(part)
            share = outcome.loss * (factor * len(part.ids) / count)
            found = torch.autograd.grad(share, parameters, allow_unused=True)
            gradients.append(tuple(None if one is None else one / factor for one in found))
            # Nothing of a part stays but its numbers, once for each of its samples.
            outcomes += [replace(outcome, loss=outcome.loss.detach())] * len(part.ids)
        return join_outcomes(outcomes, gradients, parameters)


def open_micro(settings: Train, accelerator: Accelerator) -> MicroBatches | None:
    """Return what divides a batch; None where all of it is computed at once."""
    size = settings.micro_batch
    return None if size is None or size >= settings.batch else MicroBatches(size, accelerator)


def check_micro(settings: Train, base_id: str) -> None:
    """Refuse to divide the batches of a base that cannot do so.

    Raises:
        TrainingError: If it is asked for.
    """
    if settings.micro_batch is not None:
        raise TrainingError(
            f"train.micro_batch: expected null for {base_id}, which computes all samples of a step "
            f"together, got {settings.micro_batch}. Use a smaller train.batch to save memory."
        )


def take(batch: Batch, part: slice) -> Batch:
    """Return some samples of a batch as one."""
    return Batch(batch.ids[part], _views(batch.inputs, part), _views(batch.targets, part))


def _views(views: ViewBatch, part: slice) -> ViewBatch:
    return ViewBatch(views.rgb[part], views.mask[part], views.cameras[part])
