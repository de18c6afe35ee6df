"""The same views every time, in the order in which they stand around the subject."""

from mfl_adapt.errors import DataError
from mfl_adapt.types import Cameras, ViewSplit

from .config import SortedConfig
from .division import MAX_TARGETS
from .ring import pick_evenly, ring_order


class Sorted:
    """The component ``view_policies.sorted``."""

    def __init__(self, config: SortedConfig) -> None:
        self.config = config

    def train(self, cameras: Cameras, *, seed: int) -> ViewSplit:
        """Return evenly spaced inputs and targets, of the views that are not held out.

        Args:
            cameras: Cameras of one sample, [V].
            seed: Ignored.

        Returns:
            Indices into the views, in the order of the ring.

        Raises:
            DataError: If there are too few views.
        """
        _, seen = self._divide(cameras)
        targets = pick_evenly(seen, min(len(seen), MAX_TARGETS))
        return ViewSplit(tuple(pick_evenly(seen, self.config.inputs)), tuple(targets))

    def evaluate(self, cameras: Cameras) -> ViewSplit:
        """Return the same inputs, and the held-out views as targets.

        Args:
            cameras: Cameras of one sample, [V].

        Returns:
            Indices into the views, in the order of the ring.

        Raises:
            DataError: If there are too few views.
        """
        held_out, seen = self._divide(cameras)
        return ViewSplit(tuple(pick_evenly(seen, self.config.inputs)), tuple(held_out))

    def _divide(self, cameras: Cameras) -> tuple[list[int], list[int]]:
        """Split the ring.

        Raises:
            DataError: If it has too few views.
        """
        needed = self.config.inputs + self.config.held_out
        if len(cameras) < needed:
            raise DataError(
                f"view_policies.sorted: expected at least {needed} views, got {len(cameras)}: "
                f"{self.config.inputs} for training and {self.config.held_out} held out. Lower "
                "inputs or held_out, or use a recording with more cameras."
            )
        ring = ring_order(cameras, start_deg=self.config.start_deg)
        # Half a step on, so that the first view, the front of many rigs, stays an input.
        held_out = pick_evenly(ring, self.config.held_out, offset=0.5)
        return held_out, [view for view in ring if view not in held_out]
