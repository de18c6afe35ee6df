"""The memory of many settings from a few of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import fields
from itertools import groupby

import numpy as np

from mfl_adapt.train.planning.counted import Counted
from mfl_adapt.train.planning.setting import Setting

Count = Callable[[Setting], Counted]
_NAMES = tuple(one.name for one in fields(Counted))


def count_all(settings: Sequence[Setting], count: Count, *, linear: bool) -> dict[Setting, Counted]:
    """Count settings, one sample at a time.

    With the same number of targets, every tensor of a step on a GPU has a size that is constant,
    or grows with the pixels of a picture, or with those of all input pictures. So the corners of
    a grid tell the rest; where another operation is the greatest in between, a little too much.

    Args:
        settings: Of a few numbers of views and a few picture sizes each.
        count: Counts one.
        linear: Whether that is so. On a CPU attention takes a way of its own for few tokens.
    """
    if not linear:
        return {one: count(one) for one in settings}
    found: dict[Setting, Counted] = {}
    for _, group in groupby(sorted(settings, key=_family), _family):
        members = list(group)
        found |= _fit(members, {one: count(one) for one in _corners(members)})
    return {one: found[one] for one in settings}


def _family(setting: Setting) -> tuple[int, bool, str]:
    return setting.targets, setting.checkpointing, setting.precision


def _corners(members: Sequence[Setting]) -> list[Setting]:
    """The largest pictures with most and fewest views, and the smallest with most views."""
    by_size = sorted(members, key=lambda one: (one.size, one.views))
    fewest = min(members, key=lambda one: (one.views, -one.size))
    small = max((one for one in by_size if one.size == by_size[0].size), key=lambda o: o.views)
    return list(dict.fromkeys([by_size[-1], fewest, small]))


def _fit(members: Sequence[Setting], known: dict[Setting, Counted]) -> dict[Setting, Counted]:
    """Solve for what is constant, what grows with a picture, and what with all of them."""
    places = np.array([list(_features(one)) for one in known])
    values = np.array([[getattr(one, name) for name in _NAMES] for one in known.values()])
    # With one number of views or one size there is less to tell apart; any solution will do.
    factors = np.linalg.lstsq(places, values.astype(float), rcond=None)[0]
    fitted = {one: np.array(list(_features(one))) @ factors for one in members}
    rounded = {one: Counted(*(round(value) for value in row)) for one, row in fitted.items()}
    return rounded | known


def _features(setting: Setting) -> Iterator[float]:
    # In megapixels, so that the three are of one size.
    yield 1.0
    yield setting.size**2 / 1e6
    yield setting.pixels / 1e6
