"""Whether a mask agrees with the picture it belongs to."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from mfl_adapt.types import Bytes, View

# Levels of 255 within which a colour is that of the background; white thresholds in use are 250.
_TOLERANCE = 5
# From this share of background-coloured pixels on, what is outside of the mask is a plain wall.
_PLAIN = 0.5
_RIM_PX = 2.0


class Agreement(NamedTuple):
    """Measures of one mask against its picture.

    Attributes:
        iou: Intersection over union of all pixels that the mask keeps at least in part with all
            that are not background-coloured; None where the picture has no plain background to
            compare with, as after any step that moves pixels, which drops what is behind a mask.
        soft: Share of the mask that is neither clearly in nor clearly out further than 2 px from
            the outline: a matte, a blur or a doubtful segmentation.
    """

    iou: float | None
    soft: float


def measure_agreement(view: View, background: float) -> Agreement | None:
    """Compare a mask with the colours of its picture.

    Args:
        view: View with a mask; 8- or 16-bit colours.
        background: Colour of the background in [0, 1].

    Returns:
        The measures; None without a mask or with an empty one.
    """
    mask = view.mask
    if mask is None or not mask.any():
        return None
    return Agreement(_iou(view, mask > 0, background), _soft(mask))


def _iou(view: View, kept: Any, background: float) -> float | None:
    full = np.iinfo(view.rgb.dtype).max
    away = np.abs(view.rgb.astype(np.float32) - np.float32(background * full)).max(axis=2)
    other = away > _TOLERANCE / 255 * full
    outside = ~kept
    if not outside.any() or (~other[outside]).mean() < _PLAIN:
        return None
    return float((kept & other).sum() / (kept | other).sum())


def _soft(mask: Bytes) -> float:
    import cv2

    inside = (mask > 127).astype(np.uint8)
    near = cv2.distanceTransform(1 - inside, cv2.DIST_L2, 5) <= _RIM_PX
    near &= cv2.distanceTransform(inside, cv2.DIST_L2, 5) <= _RIM_PX
    doubtful = (mask > 10) & (mask < 245) & ~near
    return float(doubtful.sum() / (mask > 10).sum()) if (mask > 10).any() else 0.0
