"""One step's samples side by side on the cores of a CPU.

The operations of a small model are too short to be divided: waking a second core costs about as
much as it saves. So each sample of a batch gets a thread of its own, forward and backward, and
every operation there runs on its share of the cores. Gradients are added in the order of the
samples, so that nothing depends on who finishes first.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from statistics import fmean
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from mfl_adapt.train.guards.measures import join_measures
from mfl_adapt.train.tasks import Outcome

T = TypeVar("T")
Gradients = tuple[Tensor | None, ...]


class Shards:
    """Threads that each take one sample through network, losses and back."""

    def __init__(self, count: int) -> None:
        """Prepare so many threads.

        Args:
            count: At most one per core.
        """
        self._share = max(1, torch.get_num_threads() // count)
        self._pool = ThreadPoolExecutor(
            count,
            thread_name_prefix="mfl_adapt.train",
            initializer=torch.set_num_threads,
            initargs=(self._share,),
        )

    def forward(
        self,
        compute: Callable[[T], Outcome],
        singles: Sequence[T],
        parameters: Sequence[nn.Parameter],
    ) -> Outcome:
        """Return the mean over the samples of a batch, with its gradients already known.

        Args:
            compute: Outcome of one sample; the samples do not know of each other.
            singles: What it takes, one for each sample.
            parameters: What gets gradients when somebody calls ``backward`` on the loss.
        """

        def learn(single: T) -> tuple[Outcome, Gradients]:
            outcome = compute(single)
            loss = outcome.loss / len(singles)
            return outcome, torch.autograd.grad(loss, parameters, allow_unused=True)

        with _threads(self._share):
            outcomes, gradients = zip(*self._pool.map(learn, singles), strict=True)
        return join_outcomes(outcomes, gradients, parameters)


def join_outcomes(
    outcomes: Sequence[Outcome], gradients: Sequence[Gradients], parameters: Sequence[nn.Parameter]
) -> Outcome:
    """Return the mean over samples that were computed apart.

    Args:
        outcomes: One for each sample.
        gradients: Of their shares in the mean, in the order in which they are to be added.
        parameters: What gets the sums when somebody calls ``backward`` on the loss.
    """
    summed = [_add(column) for column in zip(*gradients, strict=True)]
    loss = torch.stack([one.loss.detach() for one in outcomes]).mean()
    return Outcome(
        _Known.apply(loss, summed, *parameters),
        {name: fmean(one.parts[name] for one in outcomes) for name in outcomes[0].parts},
        _mean_quality(outcomes),
        join_measures([one.measures for one in outcomes]),
        _any_gradient(outcomes),
    )


def open_shards(module: nn.Module, device: torch.device, batch: int) -> Shards | None:
    """Return threads for the samples of a batch, or None where one after the other is right.

    That is on a GPU, with one sample or one core, and where dropout draws random numbers, which
    threads would share out by chance.
    """
    draws = any(isinstance(layer, nn.Dropout) and layer.p > 0 for layer in module.modules())
    count = min(batch, torch.get_num_threads())
    return None if device.type != "cpu" or draws or count < 2 else Shards(count)


class _Known(torch.autograd.Function):
    """A loss whose gradients were computed beforehand."""

    @staticmethod
    def forward(ctx: Any, loss: Tensor, gradients: Sequence[Tensor | None], *_: Tensor) -> Tensor:
        ctx.gradients = gradients
        return loss.clone()

    @staticmethod
    def backward(ctx: Any, *outer: Tensor) -> tuple[Tensor | None, ...]:
        scaled = (None if one is None else one * outer[0] for one in ctx.gradients)
        return (None, None, *scaled)


@contextmanager
def _threads(count: int) -> Iterator[None]:
    """Let every operation use so many cores: some libraries ask only what the main thread said."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _add(column: Sequence[Tensor | None]) -> Tensor | None:
    """Sum the gradients of one parameter, from the first sample to the last."""
    present = [one for one in column if one is not None]
    return sum(present[1:], start=present[0]) if present else None


def _any_gradient(outcomes: Sequence[Outcome]) -> dict[str, bool]:
    """Whether loss terms had a gradient in some sample."""
    names = dict.fromkeys(name for one in outcomes for name in one.gradients)
    return {name: any(one.gradients.get(name) for one in outcomes) for name in names}


def _mean_quality(outcomes: Sequence[Outcome]) -> float | None:
    """Mean over the samples that have a mask; the quality of others is NaN."""
    known = [one.foreground_psnr_db for one in outcomes if one.foreground_psnr_db is not None]
    return float(torch.tensor(known).nanmean()) if known else None
