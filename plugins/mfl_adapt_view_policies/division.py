"""Which views are kept for the test: decided by the cameras alone, never by a seed."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mfl_adapt.errors import DataError
from mfl_adapt.types import Cameras

from .spread import spread_views

MAX_TARGETS = 8
"""More views in one step cost time and say little more; FaceLift too compares with eight."""


def divide(
    where: str, cameras: Cameras, wanted: int | float | Sequence[int], *, drawn: int
) -> tuple[list[int], list[int]]:
    """Split all views into held-out ones and the rest.

    Training and evaluation both call it, and so agree on the held-out views without a word.

    Args:
        where: The component, for messages.
        cameras: Cameras of one sample, [V].
        wanted: How many views are held out, spread evenly; which share of all, rounded down and at
            least one; or which ones.
        drawn: How many of the rest an example needs.

    Returns:
        Both parts, each increasing.

    Raises:
        DataError: If there are too few views, or a listed one does not exist.
    """
    views = len(cameras)
    if isinstance(wanted, float):
        wanted = max(1, int(wanted * views))
    kept = wanted if isinstance(wanted, int) else len(wanted)
    if views < kept + drawn:
        raise DataError(
            f"{where}: expected at least {kept + drawn} views, got {views}: {drawn} for training "
            f"and {kept} held out. Lower inputs, targets or held_out, or use a recording with "
            "more cameras."
        )
    if isinstance(wanted, int):
        # The last view begins: view 0 is the front in many rigs, and the best input.
        held_out = spread_views(cameras, range(views), wanted, first=views - 1)
    else:
        held_out = sorted(wanted)
    if held_out[-1] >= views:
        raise DataError(
            f"{where}: expected at least {held_out[-1] + 1} views, got {views}: view "
            f"{held_out[-1]} is listed, and views are counted from 0. List views that exist."
        )
    return held_out, [view for view in range(views) if view not in held_out]


def draw(generator: np.random.Generator, views: Sequence[int], count: int) -> tuple[int, ...]:
    """Draw different views, in increasing order."""
    drawn = generator.choice(list(views), size=count, replace=False)
    return tuple(sorted(int(view) for view in drawn))
