"""Random inputs and targets, with some views that training never sees."""

import numpy as np

from mfl_adapt.types import Cameras, ViewSplit

from .config import HeldOutConfig
from .division import MAX_TARGETS, divide, draw
from .spread import spread_views

_WHERE = "view_policies.held_out"


class HeldOut:
    """The component ``view_policies.held_out``.

    The held-out views follow from the cameras alone, never from the seed: training and
    evaluation agree on them without a word.
    """

    def __init__(self, config: HeldOutConfig) -> None:
        self.config = config

    def train(self, cameras: Cameras, *, seed: int) -> ViewSplit:
        """Draw inputs and targets from the views that are not held out.

        Args:
            cameras: Cameras of one sample, [V].
            seed: Decides the draw; the same seed always gives the same views.

        Returns:
            Indices into the views, increasing; targets may contain inputs.

        Raises:
            DataError: If there are too few views.
        """
        # One view alone would be its own target, and the network would learn to copy it.
        _, seen = self._divide(cameras, least=2)
        generator = np.random.default_rng(seed)
        inputs = draw(generator, seen, self.config.inputs)
        wanted = self.config.targets or min(len(seen), MAX_TARGETS)
        return ViewSplit(inputs, draw(generator, seen, wanted))

    def evaluate(self, cameras: Cameras) -> ViewSplit:
        """Return inputs that look from all sides, and the held-out views as targets.

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

    def _divide(self, cameras: Cameras, *, least: int = 1) -> tuple[list[int], list[int]]:
        drawn = max(self.config.inputs, self.config.targets or 1, least)
        return divide(_WHERE, cameras, self.config.held_out, drawn=drawn)
