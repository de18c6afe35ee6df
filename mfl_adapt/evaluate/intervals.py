"""Bootstrap intervals over scenes: how far a mean would move if other scenes had been recorded.

Views of one scene are alike, so whole scenes are drawn, never single views. Every quantity is
measured on the same draws, and so is the difference of two rows, scene by scene: what makes a scene
hard for both cancels.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from mfl_adapt.checks import check_range
from mfl_adapt.errors import ShapeError

if TYPE_CHECKING:
    from mfl_adapt.types import Float

RESAMPLES = 2000
SEED = 0
LEVEL = 0.95
FEW_SCENES = 6
"""Fewer scenes decide nothing: five all go the same way by chance once in sixteen times, and an
interval that draws from so few is too narrow."""

Interval = tuple[float, float]


def bootstrap_means(
    values: Float, *, level: float = LEVEL, resamples: int = RESAMPLES, seed: int = SEED
) -> list[Interval | None]:
    """Percentile intervals of the means of several quantities, on the same draws of scenes.

    Args:
        values: One row per scene and one column per quantity, [N, K]; NaN where a scene has no
            such value, which then does not enter its mean.
        level: Share of the draws that lie inside.
        resamples: How many times scenes are drawn, with replacement, as many as there are.
        seed: Of the draws; the same values always give the same intervals.

    Returns:
        K pairs of a lower and an upper end; None where fewer than two scenes have a value.

    Raises:
        ShapeError: If ``values`` is not a table.
        RangeError: If the level is not inside (0, 1), or there are no draws.
    """
    check_range("bootstrap: level", level, 0.0, 1.0)
    check_range("bootstrap: resamples", resamples, 1, 1_000_000)
    values = np.asarray(values, dtype=np.float64)
    if values.ndim != 2:
        raise ShapeError(
            f"bootstrap: expected values [scenes, quantities], got {list(values.shape)}."
        )
    present = ~np.isnan(values)
    enough = present.sum(axis=0) >= 2
    if not enough.any():
        return [None] * values.shape[1]
    means = _resample(np.where(present, values, 0.0), present, resamples, seed)
    tail = (1.0 - level) / 2
    return [
        _ends(means[:, column], tail) if enough[column] else None
        for column in range(values.shape[1])
    ]


def paired_difference(
    first: Sequence[float], second: Sequence[float], *, level: float = LEVEL
) -> Interval | None:
    """Interval of the mean of ``first - second``, scene by scene.

    Args:
        first: One value per scene.
        second: Of the same scenes, in the same order.
        level: As for ``bootstrap_means``.

    Returns:
        A lower and an upper end; None if fewer than two scenes have both values.

    Raises:
        ShapeError: If there are not as many of one as of the other.
    """
    if len(first) != len(second):
        raise ShapeError(
            f"paired difference: expected as many values of one as of the other, got "
            f"{len(first)} and {len(second)}."
        )
    difference = np.asarray(first, np.float64) - np.asarray(second, np.float64)
    return bootstrap_means(difference[:, None], level=level)[0]


def _resample(values: Float, present: Float, resamples: int, seed: int) -> Float:
    """Means of every draw, [resamples, K]; NaN where no drawn scene has the value."""
    generator = np.random.default_rng(seed)
    scenes = len(values)
    # One draw after the other: all at once would be resamples x scenes x quantities numbers.
    sums, counts = np.empty((resamples, values.shape[1])), np.empty((resamples, values.shape[1]))
    for draw in range(resamples):
        weights = np.bincount(generator.integers(scenes, size=scenes), minlength=scenes)
        sums[draw], counts[draw] = weights @ values, weights @ present
    return np.divide(sums, counts, out=np.full_like(sums, np.nan), where=counts > 0)


def _ends(means: Float, tail: float) -> Interval:
    low, high = np.nanquantile(means, [tail, 1.0 - tail])
    return float(low), float(high)
