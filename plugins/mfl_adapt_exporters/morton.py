"""Order along a Morton curve: neighbours in the list are neighbours in space."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

BITS = 21
"""Per axis; three of them fill the 63 bits of a signed whole number."""


def morton_order(points: NDArray[np.float32]) -> NDArray[np.int64]:
    """Return indices that sort points [N, 3] along the curve; ties keep their order."""
    low, high = points.min(axis=0), points.max(axis=0)
    # One cell size for all axes: chunks should be cubes, not slabs.
    span = float((high.astype(np.float64) - low).max()) or 1.0
    cells = ((points.astype(np.float64) - low) / span * ((1 << BITS) - 1)).astype(np.int64)
    code = np.zeros(len(points), np.int64)
    for bit in range(BITS):
        for axis in range(3):
            code |= (cells[:, axis] >> bit & 1) << (3 * bit + axis)
    return np.argsort(code, kind="stable")
