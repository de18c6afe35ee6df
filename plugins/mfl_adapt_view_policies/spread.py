"""Pick views that look from as different directions as possible."""

from collections.abc import Sequence

import numpy as np

from mfl_adapt.types import Cameras

TIE_RAD = float(np.deg2rad(5.0))


def spread_views(
    cameras: Cameras, candidates: Sequence[int], count: int, *, first: int
) -> list[int]:
    """Choose views one by one, each farthest from those chosen before it.

    Directions are the optical axes, so the choice does not depend on where the origin lies.
    Candidates within 5 degrees of the farthest are equally good, and the lowest index is taken:
    a rig that wobbles a little from sample to sample keeps its choice.

    Args:
        cameras: Cameras of one sample, [V], numpy or torch.
        candidates: Views to choose from, in increasing order.
        count: How many, at most as many as there are candidates.
        first: The candidate to begin with.

    Returns:
        Chosen views, in increasing order.
    """
    axes = np.asarray(cameras.forward, dtype=np.float64)
    axes = axes / np.linalg.norm(axes, axis=-1, keepdims=True)
    angles = np.arccos(np.clip(axes @ axes.T, -1, 1))
    chosen = [first]
    while len(chosen) < count:
        rest = [view for view in candidates if view not in chosen]
        nearest = angles[np.ix_(rest, chosen)].min(axis=1)
        good = nearest >= nearest.max() - TIE_RAD
        chosen.append(rest[int(np.argmax(good))])
    return sorted(chosen)
