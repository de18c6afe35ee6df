"""A moving average of the weights that are trained."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import torch
from torch import nn


class MovingAverage:
    """Smooths weights over many steps; early ones are forgotten quickly.

    Update k, from 0, keeps ``min(decay, (1 + k) / (10 + k))`` of the average.

    Attributes:
        means: The averages, in the order of the parameters.
        updates: How many there were.
    """

    def __init__(self, parameters: Iterable[nn.Parameter], decay: float) -> None:
        """Begin with the weights as they are.

        Args:
            parameters: What is trained.
            decay: Greatest share of the average that one step keeps.
        """
        self._live = list(parameters)
        self.means = [one.detach().clone() for one in self._live]
        self._decay = decay
        self.updates = 0

    @torch.no_grad()
    def update(self) -> None:
        """Take in the weights after an optimizer step."""
        decay = min(self._decay, (1 + self.updates) / (10 + self.updates))
        self.updates += 1
        for mean, live in zip(self.means, self._live, strict=True):
            mean.lerp_(live, 1 - decay)

    @contextmanager
    def applied(self) -> Iterator[None]:
        """Let the network run on the average inside a ``with`` block."""
        self._swap()
        try:
            yield
        finally:
            self._swap()

    def settle(self) -> None:
        """Make the average the weights; training ends here."""
        self._swap()

    @torch.no_grad()
    def _swap(self) -> None:
        # Values are copied, so that the optimizer's parameters stay the same objects.
        for mean, live in zip(self.means, self._live, strict=True):
            before = live.detach().clone()
            live.copy_(mean)
            mean.copy_(before)
