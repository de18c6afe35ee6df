"""Masks without specks, pinholes and threads."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from mfl_adapt.errors import DataError
from mfl_adapt.images import replace_pixels

from .config import CleanMaskConfig
from .masks import HALF, name_view, subject_mask

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from mfl_adapt.types import Bytes, Sample, View

    Flags = NDArray[np.bool_]


class CleanMask:
    """Closing, opening, largest piece and small holes, in that order.

    The decisions are taken on the half-covered outline. Where they change nothing, soft opacities
    stay as they are; faint ones further than a pixel from the subject become 0.
    """

    def __init__(self, config: CleanMaskConfig) -> None:
        """Keep the settings."""
        self._config = config

    def __call__(self, sample: Sample) -> Sample:
        """Return the sample with clean masks.

        Raises:
            DataError: If a view has no mask, or nothing of it is left.
        """
        views, removed, filled = [], [], []
        for view in sample.views:
            before = subject_mask(sample, view) > HALF
            after = self._clean(before, sample, view)
            removed.append(int((before & ~after).sum()))
            filled.append(int((after & ~before).sum()))
            views.append(replace(view, mask=_keep_soft(view.mask, before, after)))
        params: dict[str, Any] = self._config.model_dump(mode="json")
        params |= {"removed_px": removed, "filled_px": filled}
        return replace_pixels(sample, views, step="preprocess.clean_mask", params=params)

    def _clean(self, inside: Flags, sample: Sample, view: View) -> Flags:
        import cv2

        config = self._config
        inside = _morph(inside, cv2.MORPH_CLOSE, config.close_px)
        inside = _morph(inside, cv2.MORPH_OPEN, config.open_px)
        found = _keep_pieces(inside, largest=config.largest, min_area_px=config.min_area_px)
        if not found.any():
            raise DataError(
                f"{name_view(sample, view)}: expected something left of the mask after cleaning, "
                f"got nothing, as its pieces are too small or thin. Lower open_px or min_area_px "
                f"of preprocess.clean_mask, or leave this view out."
            )
        return _fill_holes(found, int(config.max_hole_share * found.sum()))


def _morph(inside: Flags, operation: int, radius: int) -> Flags:
    import cv2

    if radius == 0:
        return inside
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * radius + 1, 2 * radius + 1))
    # What the picture's edge cuts goes on outside it: neither operation may start there.
    pad = 2 * radius
    padded = np.pad(inside.astype(np.uint8), pad, mode="edge")
    return cv2.morphologyEx(padded, operation, disc)[pad:-pad, pad:-pad] > 0


def _keep_pieces(inside: Flags, *, largest: bool, min_area_px: int) -> Flags:
    """Pieces of at least so many pixels, or the largest of them; corners connect."""
    import cv2

    _, labels, stats, _ = cv2.connectedComponentsWithStats(inside.astype(np.uint8), connectivity=8)
    areas = stats[:, cv2.CC_STAT_AREA].copy()
    areas[0] = 0  # the background
    kept = areas >= min_area_px
    if largest:
        kept &= np.arange(len(areas)) == areas.argmax()
    return kept[labels]


def _fill_holes(inside: Flags, most_px: int) -> Flags:
    """Fill what is enclosed and not larger than ``most_px``."""
    import cv2

    # Around the subject's corner-connected pixels, background connects along edges alone. The
    # frame of background makes everything outside one piece, whatever the subject cuts off.
    outside = np.pad(~inside, 1, constant_values=True).astype(np.uint8)
    _, labels, stats, _ = cv2.connectedComponentsWithStats(outside, connectivity=4)
    holes = stats[:, cv2.CC_STAT_AREA] <= most_px
    holes[0] = holes[labels[0, 0]] = False
    return inside | holes[labels[1:-1, 1:-1]]


def _keep_soft(mask: Bytes | None, before: Flags, after: Flags) -> Bytes:
    """The old opacities where nothing changed, hard ones around every change."""
    assert mask is not None
    changed = _grow(before != after)
    hard = np.where(after, 255, 0)
    soft = np.where(_grow(after), mask, 0)
    return np.where(changed, hard, soft).astype(np.uint8)


def _grow(flags: Flags) -> Flags:
    import cv2

    return cv2.dilate(flags.astype(np.uint8), np.ones((3, 3), np.uint8)) > 0
