"""Random inputs and targets, with some views that training never sees."""

import numpy as np

from mfl_adapt.errors import DataError
from mfl_adapt.types import Cameras, ViewSplit

from .config import HeldOutConfig
from .spread import spread_views

MAX_TARGETS = 8
"""More views in one step cost time and say little more; FaceLift too compares with eight."""


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
        _, seen = self._divide(cameras)
        generator = np.random.default_rng(seed)
        inputs = _draw(generator, seen, self.config.inputs)
        wanted = self.config.targets or min(len(seen), MAX_TARGETS)
        return ViewSplit(inputs, _draw(generator, seen, wanted))

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

    def _divide(self, cameras: Cameras) -> tuple[list[int], list[int]]:
        """Split all views into held-out ones and the rest.

        Raises:
            DataError: If there are too few views, or a listed one does not exist.
        """
        views, wanted = len(cameras), self.config.held_out
        if isinstance(wanted, float):
            wanted = max(1, int(wanted * views))
        kept = wanted if isinstance(wanted, int) else len(wanted)
        drawn = max(self.config.inputs, self.config.targets or 1)
        if views < kept + drawn:
            raise DataError(
                f"view_policies.held_out: expected at least {kept + drawn} views, got {views}: "
                f"{drawn} for training and {kept} held out. Lower inputs, targets or held_out, or "
                "use a recording with more cameras."
            )
        if isinstance(wanted, int):
            # The last view begins: view 0 is the front in many rigs, and the best input.
            held_out = spread_views(cameras, range(views), wanted, first=views - 1)
        else:
            held_out = sorted(wanted)
        if held_out[-1] >= views:
            raise DataError(
                f"view_policies.held_out: expected at least {held_out[-1] + 1} views, got {views}: "
                f"view {held_out[-1]} is listed, and views are counted from 0. List views that "
                "exist."
            )
        return held_out, [view for view in range(views) if view not in held_out]


def _draw(generator: np.random.Generator, views: list[int], count: int) -> tuple[int, ...]:
    drawn = generator.choice(views, size=count, replace=False)
    return tuple(sorted(int(view) for view in drawn))
