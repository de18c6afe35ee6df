"""What a mask says about the subject: how large, where, and cut by which edge."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, NamedTuple

import numpy as np

from mfl_adapt.checks import check_shape

if TYPE_CHECKING:
    from mfl_adapt.types import Bytes, Float

Edge = Literal["top", "bottom", "left", "right"]
_HALF = 127


class Foreground(NamedTuple):
    """Measures of one mask.

    Attributes:
        share: Part of the picture that the subject covers, in [0, 1].
        centroid: Centre of mass (x, y) in pixels, pixel centres at +0.5; None for an empty mask.
        border_px: Pixels of each outermost row or column that are more than half covered; a
            corner pixel counts on both of its edges.
    """

    share: float
    centroid: Float | None
    border_px: dict[Edge, int]

    @property
    def touched(self) -> tuple[Edge, ...]:
        """Edges of the picture that the subject touches."""
        return tuple(edge for edge, count in self.border_px.items() if count)


def measure_foreground(mask: Bytes) -> Foreground:
    """Measure a mask; a half-covered pixel counts half.

    Args:
        mask: Alpha, [H, W] uint8.

    Returns:
        Share, centroid and contact with the picture's edges.

    Raises:
        ShapeError: If the mask is not [H, W].
    """
    import cv2

    check_shape("measure_foreground: mask", mask, [None, None])
    # Whole numbers, so that no sum depends on the order of its terms.
    across = cv2.reduce(mask, 0, cv2.REDUCE_SUM, dtype=cv2.CV_32S).ravel().astype(np.float64)
    down = cv2.reduce(mask, 1, cv2.REDUCE_SUM, dtype=cv2.CV_32S).ravel().astype(np.float64)
    total = float(across.sum())
    centroid = None
    if total > 0:
        columns, lines = np.arange(mask.shape[1]) + 0.5, np.arange(mask.shape[0]) + 0.5
        centroid = np.array([across @ columns, down @ lines]) / total
    rows: dict[Edge, Bytes] = {
        "top": mask[0],
        "bottom": mask[-1],
        "left": mask[:, 0],
        "right": mask[:, -1],
    }
    border_px = {edge: int((row > _HALF).sum()) for edge, row in rows.items()}
    return Foreground(total / (255.0 * mask.size), centroid, border_px)
