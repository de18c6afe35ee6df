"""Inputs at random, and further targets that see something of what the inputs see.

The choice is the one that the published GS-LRM was trained with: a target may be added if the
direction to its camera and that to some input have a scalar product of at least cos 60 degrees. The
published program forgot to make these directions unit vectors: at its distance of 2.7 the limit is
86 degrees.
"""

from __future__ import annotations

import random
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from mfl_adapt.errors import DataError
from mfl_adapt.types import Cameras, ViewSplit

from .config import OverlapConfig
from .division import divide
from .spread import spread_views

_WHERE = "view_policies.maximize_view_overlap"
_PUBLISHED_LIMIT = 0.5
# In a ring of any density nearly every draw has candidates; a rig that fails so often never will.
_ATTEMPTS = 100


def near_enough(
    centers: NDArray[np.float64], inputs: Sequence[int], *, max_angle_deg: float | None = None
) -> list[int]:
    """Return the views whose cameras stand near some input's, in increasing order.

    Args:
        centers: Camera centres, [V, 3]; the subject is at the origin.
        inputs: Views that feed the network; they are not returned.
        max_angle_deg: Greatest angle between the two directions; None compares the product of the
            centres as they are with 0.5, as the published program does.
    """
    limit = _PUBLISHED_LIMIT
    if max_angle_deg is not None:
        limit = float(np.cos(np.deg2rad(max_angle_deg)))
        # A camera at the origin has no direction, and is near nothing.
        lengths = np.linalg.norm(centers, axis=-1, keepdims=True)
        centers = centers / np.where(lengths > 0, lengths, np.inf)
    best = (centers @ centers[list(inputs)].T).max(axis=1)
    # One part in 10^9: a camera that stands exactly at the limit is near enough.
    return [
        view for view in range(len(centers)) if view not in inputs and best[view] >= limit - 1e-9
    ]


def choose_overlapping(
    centers: NDArray[np.float64],
    num_inputs: int,
    num_extra: int,
    generator: random.Random,
    *,
    max_angle_deg: float | None = None,
) -> tuple[list[int], list[int]] | None:
    """Draw inputs, and further targets among the views near them.

    Args:
        centers: Camera centres, [V, 3].
        num_inputs: How many inputs.
        num_extra: How many further targets.
        generator: Source of the draw; one that was seeded alike repeats the published choice.
        max_angle_deg: See ``near_enough``.

    Returns:
        Both, in the order drawn; None if too few views are near these inputs.
    """
    inputs = generator.sample(range(len(centers)), num_inputs)
    candidates = near_enough(centers, inputs, max_angle_deg=max_angle_deg)
    if len(candidates) < num_extra:
        return None
    return inputs, generator.sample(candidates, num_extra)


class MaximizeViewOverlap:
    """The component ``view_policies.maximize_view_overlap``."""

    def __init__(self, config: OverlapConfig) -> None:
        self.config = config

    def train(self, cameras: Cameras, *, seed: int) -> ViewSplit:
        """Draw inputs and targets from the views that are not held out.

        Args:
            cameras: Cameras of one sample, [V].
            seed: Decides the draw; the same seed always gives the same views.

        Returns:
            Indices into the views; targets are the inputs and the further views, each part
            increasing.

        Raises:
            DataError: If there are too few views, or too few near each other.
        """
        config = self.config
        _, seen = self._divide(cameras)
        centers = np.asarray(cameras.centers, dtype=np.float64)[seen]
        generator = random.Random(seed)
        for _ in range(_ATTEMPTS):
            found = choose_overlapping(
                centers, config.inputs, config.extra, generator, max_angle_deg=config.max_angle_deg
            )
            if found is not None:
                inputs, extra = (tuple(sorted(seen[place] for place in part)) for part in found)
                return ViewSplit(inputs, inputs + extra)
        raise DataError(
            f"{_WHERE}: expected {config.extra} views near {config.inputs} inputs, got fewer in "
            f"{_ATTEMPTS} draws from {len(seen)} views. Lower inputs or extra, raise "
            "max_angle_deg, or use view_policies.held_out."
        )

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
        drawn = self.config.inputs + self.config.extra
        return divide(_WHERE, cameras, self.config.held_out, drawn=drawn)
