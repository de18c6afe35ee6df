"""The same views every time."""

from mfl_adapt.errors import DataError
from mfl_adapt.types import Cameras, ViewSplit

from .config import FixedConfig


class Fixed:
    """The component ``view_policies.fixed``."""

    def __init__(self, config: FixedConfig) -> None:
        self.config = config

    def train(self, cameras: Cameras, *, seed: int) -> ViewSplit:
        """Return the listed inputs and targets; the seed has no effect.

        Args:
            cameras: Cameras of one sample, [V].
            seed: Ignored.

        Returns:
            Indices into the views; held-out ones are in neither part.

        Raises:
            DataError: If a listed view does not exist, or the only input is the only target.
        """
        self._check(cameras)
        if self.config.targets != "all":
            return ViewSplit(self.config.inputs, self.config.targets)
        held_out = set(self.config.held_out)
        targets = tuple(view for view in range(len(cameras)) if view not in held_out)
        if targets == self.config.inputs and len(targets) == 1:
            raise DataError(
                f"view_policies.fixed: expected another target than view {targets[0]}, the only "
                f"input, which the network would learn to copy, got {len(cameras)} views of which "
                "the rest is held out. Hold out fewer, or use a recording with more cameras."
            )
        return ViewSplit(self.config.inputs, targets)

    def evaluate(self, cameras: Cameras) -> ViewSplit:
        """Return the listed inputs, and the held-out views as targets.

        Args:
            cameras: Cameras of one sample, [V].

        Returns:
            Indices into the views.

        Raises:
            DataError: If a listed view does not exist.
        """
        self._check(cameras)
        return ViewSplit(self.config.inputs, self.config.held_out)

    def _check(self, cameras: Cameras) -> None:
        listed = self.config.targets if self.config.targets != "all" else ()
        needed = 1 + max(*self.config.inputs, *self.config.held_out, *listed)
        if len(cameras) < needed:
            raise DataError(
                f"view_policies.fixed: expected at least {needed} views, got {len(cameras)}: "
                f"view {needed - 1} is listed, and views are counted from 0. List views that exist."
            )
