"""One reference that is always the same view, and nothing to copy from it."""

import numpy as np

from mfl_adapt.errors import DataError
from mfl_adapt.types import Cameras, ViewSplit

from .config import REFERENCE, ReferenceConfig
from .division import MAX_TARGETS, divide, draw
from .spread import spread_views

_WHERE = "view_policies.reference"


class Reference:
    """The component ``view_policies.reference``.

    No target is ever an input of the same example: a network that is shown its own target learns
    to copy it, and looks alive while it learns nothing about the other sides.
    """

    def __init__(self, config: ReferenceConfig) -> None:
        self.config = config

    def train(self, cameras: Cameras, *, seed: int) -> ViewSplit:
        """Return the reference, further inputs at random, and other views as targets.

        Args:
            cameras: Cameras of one sample, [V].
            seed: Decides the draw; the same seed always gives the same views.

        Returns:
            Indices into the views, each part increasing, so that the reference comes first.

        Raises:
            DataError: If there are too few views, or the reference is held out.
        """
        _, others = self._divide(cameras)
        generator = np.random.default_rng(seed)
        inputs = (REFERENCE, *draw(generator, others, self.config.inputs - 1))
        left = [view for view in others if view not in inputs]
        count = self.config.targets or min(len(left), MAX_TARGETS)
        return ViewSplit(inputs, draw(generator, left, count))

    def evaluate(self, cameras: Cameras) -> ViewSplit:
        """Return the reference, further inputs that look from other sides, and the held-out views.

        Args:
            cameras: Cameras of one sample, [V].

        Returns:
            Indices into the views, increasing; always the same for the same cameras.

        Raises:
            DataError: If there are too few views, or the reference is held out.
        """
        held_out, others = self._divide(cameras)
        inputs = spread_views(cameras, [REFERENCE, *others], self.config.inputs, first=REFERENCE)
        return ViewSplit(tuple(inputs), tuple(held_out))

    def _divide(self, cameras: Cameras) -> tuple[list[int], list[int]]:
        """Split all views but the reference into held-out ones and the rest.

        Raises:
            DataError: If there are too few views, or the reference is held out.
        """
        drawn = self.config.inputs + (self.config.targets or 1)
        held_out, seen = divide(_WHERE, cameras, self.config.held_out, drawn=drawn)
        if REFERENCE in held_out:
            raise DataError(
                f"{_WHERE}: expected view {REFERENCE}, the reference, among the inputs, got it "
                f"held out with {held_out}. Lower held_out."
            )
        return held_out, seen[1:]
