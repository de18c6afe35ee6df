"""The one subject of a mask: none, several and dust are told apart."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

import numpy as np

from mfl_adapt.checks import check_shape
from mfl_adapt.errors import DataError

if TYPE_CHECKING:
    from mfl_adapt.types import Bytes

log = logging.getLogger(__name__)

_HALF = 127
LEAST_PIXELS = 16
"""A subject of fewer pixels has no shape."""
SECOND = 0.1
"""A part as large as this share of the largest one is another subject."""
DUST = 0.01
"""A part below this share of the largest one is dropped; a tail behind a bar is larger."""


def one_subject(mask: Bytes, where: str, *, largest: bool = False) -> Bytes:
    """Return the mask of the one subject, without dust.

    Args:
        mask: Opacity, [H, W] uint8.
        where: The picture, for messages.
        largest: Keep the largest part and drop all others.

    Returns:
        The mask with dropped parts at 0; soft edges stay.

    Raises:
        ShapeError: If the mask is not [H, W].
        DataError: If there is no subject, there are several, or no background is left.
    """
    import cv2

    check_shape(f"{where}: mask", mask, [None, None])
    solid = (mask > _HALF).astype(np.uint8)
    _, labels, stats, centers = cv2.connectedComponentsWithStats(solid, connectivity=8)
    areas = stats[1:, cv2.CC_STAT_AREA].astype(int)
    biggest = int(areas.max(initial=0))
    _check_there(biggest, mask.size, where)
    big = np.flatnonzero(areas >= SECOND * biggest) + 1
    if len(big) > 1 and not largest:
        sizes = ", ".join(
            f"{areas[one - 1]} px around ({centers[one][0]:.0f}, {centers[one][1]:.0f})"
            for one in sorted(big, key=lambda one: -areas[one - 1])[:4]
        )
        raise DataError(
            f"{where}: expected one subject, got {len(big)}: {sizes}. Add --largest to keep the "
            "largest, or give a mask of one with --background FILE."
        )
    keep = areas == biggest if largest else areas >= DUST * biggest
    # Two parts of the very same size: the first of them.
    if largest:
        keep[np.argmax(keep) + 1 :] = False
    if keep.all():
        return mask
    log.debug("%s: dropped %d small parts of the mask", where, int((~keep).sum()))
    return _without(mask, labels, np.concatenate([[True], keep]))


def _check_there(biggest: int, pixels: int, where: str) -> None:
    """Raise unless there are a subject and a background.

    Raises:
        DataError: If one of them is missing.
    """
    if biggest < LEAST_PIXELS:
        raise DataError(
            f"{where}: expected a subject, got {'none' if not biggest else f'{biggest} px'}. "
            "Check the mask, or the way the background is found (--background)."
        )
    if biggest > 0.995 * pixels:
        raise DataError(
            f"{where}: expected a subject before a background, got a mask that keeps the whole "
            "picture. Give a mask with --background FILE."
        )


def _without(mask: Bytes, labels: Any, keep: Any) -> Bytes:
    """Drop parts together with the soft edge around them."""
    import cv2

    dropped = (~keep[labels]).astype(np.uint8)
    wide = cv2.dilate(dropped, np.ones((5, 5), np.uint8)).astype(bool)
    kept = keep[labels] & (labels > 0)
    return np.where(wide & ~kept, 0, mask).astype(np.uint8)
