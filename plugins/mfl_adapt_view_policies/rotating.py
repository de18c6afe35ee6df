"""Every example hides other views from the network, and every fold other views from training."""

import numpy as np

from mfl_adapt.errors import DataError
from mfl_adapt.types import Cameras, ViewSplit

from .config import RotatingConfig
from .division import MAX_TARGETS, draw
from .ring import ring_order
from .spread import spread_views

_WHERE = "view_policies.rotating"


class Rotating:
    """The component ``view_policies.rotating``.

    Two rotations, which have nothing to do with each other. From example to example, other views
    are left out of the inputs and compared with: so no camera is always an input, and none never.
    From fold to fold, that is from run to run, other views are held out of training altogether.
    """

    def __init__(self, config: RotatingConfig) -> None:
        self.config = config

    def train(self, cameras: Cameras, *, seed: int) -> ViewSplit:
        """Leave some views out of the inputs, and compare with them.

        Args:
            cameras: Cameras of one sample, [V].
            seed: Decides which; the same seed always gives the same views.

        Returns:
            Indices into the views, increasing.

        Raises:
            DataError: If there are too few views, or the fold does not exist.
        """
        _, seen = self._divide(cameras)
        generator = np.random.default_rng(seed)
        left_out = draw(generator, seen, self.config.left_out)
        rest = [view for view in seen if view not in left_out]
        inputs = draw(generator, rest, self.config.inputs)
        if self.config.targets == "left_out":
            return ViewSplit(inputs, left_out)
        others = draw(generator, rest, min(len(rest), max(0, MAX_TARGETS - len(left_out))))
        return ViewSplit(inputs, tuple(sorted(left_out + others)))

    def evaluate(self, cameras: Cameras) -> ViewSplit:
        """Return inputs that look from all sides, and the views of the fold as targets.

        Args:
            cameras: Cameras of one sample, [V].

        Returns:
            Indices into the views, increasing; always the same for the same cameras.

        Raises:
            DataError: If there are too few views, or the fold does not exist.
        """
        held_out, seen = self._divide(cameras)
        inputs = spread_views(cameras, seen, self.config.inputs, first=seen[0])
        return ViewSplit(tuple(inputs), tuple(held_out))

    def _divide(self, cameras: Cameras) -> tuple[list[int], list[int]]:
        """Split all views into those of the fold, evenly spaced around the ring, and the rest.

        Raises:
            DataError: If there are too few views, or the fold does not exist.
        """
        config, views = self.config, len(cameras)
        needed = config.held_out + config.left_out + config.inputs
        if views < needed:
            raise DataError(
                f"{_WHERE}: expected at least {needed} views, got {views}: {config.inputs} "
                f"inputs, {config.left_out} left out and {config.held_out} held out. Lower them, "
                "or use a recording with more cameras."
            )
        folds = views // config.held_out
        if config.fold >= folds:
            raise DataError(
                f"{_WHERE}: expected fold from 0 to {folds - 1}, as {views} views make {folds} "
                f"folds of {config.held_out}, got {config.fold}. Choose one of them."
            )
        ring = ring_order(cameras)
        held_out = sorted(ring[config.fold + folds * place] for place in range(config.held_out))
        return held_out, [view for view in range(views) if view not in held_out]
