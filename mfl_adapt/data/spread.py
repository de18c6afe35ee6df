"""Some things out of many, evenly spread."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

T = TypeVar("T")


def spread(items: Sequence[T], most: int | None) -> list[T]:
    """Choose up to so many items, evenly spread, the first and the last among them.

    Args:
        items: To choose from; their order is kept.
        most: How many at most; None takes all. One alone is the first.
    """
    if most is None or len(items) <= most:
        return list(items)
    step = (len(items) - 1) / max(1, most - 1)
    return [items[round(place * step)] for place in range(most)]
