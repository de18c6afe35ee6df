"""Inputs that sometimes fail, so that the network learns to do without them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mfl_adapt.types import Cameras, ViewSplit

from .config import CameraDropoutConfig
from .division import MAX_TARGETS, divide, draw
from .spread import spread_views

_WHERE = "view_policies.camera_dropout"


class CameraDropout:
    """The component ``view_policies.camera_dropout``.

    Each input fails with one probability. What failed may still be compared with: the network has
    to show what a missing camera would have seen.
    """

    def __init__(self, config: CameraDropoutConfig) -> None:
        self.config = config

    def train(self, cameras: Cameras, *, seed: int) -> ViewSplit:
        """Draw inputs, some of which fail, and targets.

        Args:
            cameras: Cameras of one sample, [V].
            seed: Decides the draw; the same seed always gives the same views.

        Returns:
            Indices into the views, increasing; the number of inputs varies with the seed.

        Raises:
            DataError: If there are too few views.
        """
        (split,) = self.train_batch([cameras], seeds=[seed])
        return split

    def train_batch(
        self, cameras: Sequence[Cameras], *, seeds: Sequence[int]
    ) -> tuple[ViewSplit, ...]:
        """Draw for the samples of one batch, which all lose the same number of inputs.

        Args:
            cameras: Cameras of the samples, [V] each.
            seeds: One per sample; the first decides how many inputs fail, and each of them which.

        Returns:
            One split per sample.

        Raises:
            DataError: If a sample has too few views.
        """
        most, least = self.config.inputs, self.config.least
        working = np.random.default_rng(seeds[0]).binomial(most, 1 - self.config.rate)
        count = max(least, int(working))
        return tuple(self._draw(one, seed, count) for one, seed in zip(cameras, seeds, strict=True))

    def evaluate(self, cameras: Cameras) -> ViewSplit:
        """Return all inputs, which look from all sides, and the held-out views as targets.

        Args:
            cameras: Cameras of one sample, [V].

        Returns:
            Indices into the views, increasing; always the same for the same cameras.

        Raises:
            DataError: If there are too few views.
        """
        held_out, seen = self._divide(cameras)
        inputs = spread_views(cameras, seen, self.config.inputs, first=seen[0])
        return ViewSplit(tuple(inputs), tuple(held_out))

    def _draw(self, cameras: Cameras, seed: int, count: int) -> ViewSplit:
        # One view alone would be its own target, and the network would learn to copy it.
        _, seen = self._divide(cameras, least=2)
        # Another stream than that of the count, or they would hang together.
        generator = np.random.default_rng([1, seed])
        inputs = draw(generator, seen, count)
        return ViewSplit(
            inputs, draw(generator, seen, self.config.targets or min(len(seen), MAX_TARGETS))
        )

    def _divide(self, cameras: Cameras, *, least: int = 1) -> tuple[list[int], list[int]]:
        drawn = max(self.config.inputs, self.config.targets or 1, least)
        return divide(_WHERE, cameras, self.config.held_out, drawn=drawn)
