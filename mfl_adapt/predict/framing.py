"""A picture's subject, brought to the place and size that the views base was trained with."""

from __future__ import annotations

import logging
import math
from typing import TYPE_CHECKING, Any

import numpy as np

from mfl_adapt.errors import DataError
from mfl_adapt.images import resize_map
from mfl_adapt.images.warp import warp_view
from mfl_adapt.predict.faces import find_face, frame_face
from mfl_adapt.predict.framed import Framed, FramingSettings, over_background
from mfl_adapt.types import View

if TYPE_CHECKING:
    from mfl_adapt.predict.picture import RawPicture
    from mfl_adapt.types import Bytes, Float, RigContract

log = logging.getLogger(__name__)

_HALF = 127
# The subject's box never fills more of the side than this, whatever share is asked for.
_MOST_FILL = 0.95
# Contact with the picture's edge, as a share of the box's side, from which the subject is cut.
_CUT = 0.05


def frame_picture(
    picture: RawPicture, mask: Bytes, contract: RigContract, settings: FramingSettings
) -> Framed:
    """Bring a subject to its place.

    Args:
        picture: Upright.
        mask: Its one subject, [H, W] uint8.
        contract: Of the views base.
        settings: How.

    Raises:
        DataError: If there is no face where one is asked for, or a picture is not square where
            it is only resized.
    """
    if settings.by == "none":
        framed = _frame_whole(picture, mask, contract)
    elif settings.by == "face":
        framed = frame_face(picture, mask, contract, find_face(picture, settings))
    else:
        framed = _frame_mask(picture, mask, contract, settings)
    # A line for each frame of a video would say the same thousands of times.
    level = logging.INFO if picture.frame is None else logging.DEBUG
    log.log(level, "%s: %s", picture.source, framed.note)
    return framed


def mask_scale(mask: Bytes, contract: RigContract, share: float | None = None) -> float:
    """New pixels per old one that give a subject its share of the picture.

    Args:
        mask: Of one subject, [H, W] uint8.
        contract: Of the views base.
        share: Of the new picture; None takes the middle of the contract's range.
    """
    share = sum(contract.foreground) / 2 if share is None else share
    left, top, right, bottom = _bounds(mask)
    wanted = contract.size * math.sqrt(share / (float(mask.sum()) / 255.0))
    return min(wanted, _MOST_FILL * contract.size / max(right - left, bottom - top))


def _frame_mask(
    picture: RawPicture, mask: Bytes, contract: RigContract, settings: FramingSettings
) -> Framed:
    size = contract.size
    scale = settings.scale or mask_scale(mask, contract, settings.share)
    left, top, right, bottom = _bounds(mask)
    cut = _cut_edges(mask, (left, top, right, bottom))
    x = _shift((left, right), scale, size, "left" in cut, "right" in cut, contract, "left", "right")
    y = _shift((top, bottom), scale, size, "top" in cut, "bottom" in cut, contract, "top", "bottom")
    pixel_map = np.array([[scale, 0.0, x], [0.0, scale, y], [0.0, 0.0, 1.0]])
    straight, moved = _warp(picture.rgb, mask, pixel_map, size)
    odd = sorted(cut - set(contract.cut_edges))
    if odd:
        log.warning(
            "%s: the picture's %s edge cuts the subject; the missing part will be made up",
            picture.source,
            " and ".join(odd),
        )
    note = (
        f"framed by the mask: scaled by {scale:.4g} so that the subject covers "
        f"{100 * float(moved.mean()) / 255:.0f} % of the picture, its box centred"
    )
    kept = sorted(cut & set(contract.cut_edges))
    note += f" and kept at the {' and '.join(kept)} edge that cuts it" if kept else ""
    return Framed(over_background(straight, moved, contract), straight, moved, pixel_map, note)


def _bounds(mask: Bytes) -> tuple[int, int, int, int]:
    """Left, top, right and bottom of what is more than half opaque; the last two exclusive."""
    rows = np.flatnonzero((mask > _HALF).any(axis=1))
    columns = np.flatnonzero((mask > _HALF).any(axis=0))
    return int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1


def _cut_edges(mask: Bytes, bounds: tuple[int, int, int, int]) -> set[str]:
    """Edges of the picture that the subject touches with more than a tip."""
    left, top, right, bottom = bounds
    solid = mask > _HALF
    touching = {
        "left": solid[:, 0].sum() / (bottom - top),
        "right": solid[:, -1].sum() / (bottom - top),
        "top": solid[0].sum() / (right - left),
        "bottom": solid[-1].sum() / (right - left),
    }
    return {edge for edge, share in touching.items() if share > _CUT}


def _shift(
    ends: tuple[int, int],
    scale: float,
    size: int,
    cut_low: bool,
    cut_high: bool,
    contract: RigContract,
    low: Any,
    high: Any,
) -> float:
    """Offset along one axis: centred, or at the edge where training subjects are cut as well."""
    if cut_high and not cut_low and high in contract.cut_edges:
        return size - scale * ends[1]
    if cut_low and not cut_high and low in contract.cut_edges:
        return -scale * ends[0]
    return size / 2 - scale * (ends[0] + ends[1]) / 2


def _warp(rgb: Bytes, mask: Bytes, pixel_map: Float, size: int) -> tuple[Bytes, Bytes]:
    """Move straight colour and mask to a square picture."""
    height, width = mask.shape
    # The map does not depend on a camera, but a view has one.
    lens = np.array([float(width), float(width), width / 2, height / 2])
    moved = warp_view(View("picture", rgb, mask, np.eye(4), lens), pixel_map, size, size, bits=8)
    assert moved.mask is not None, "a mask went in"
    return moved.rgb, moved.mask


def _frame_whole(picture: RawPicture, mask: Bytes, contract: RigContract) -> Framed:
    """Resize a square picture as FaceLift's data set does.

    Raises:
        DataError: If it is not square.
    """
    from PIL import Image

    height, width = mask.shape
    size = contract.size
    if height != width:
        raise DataError(
            f"{picture.source}: expected a square picture with --framing none, got {width} x "
            f"{height}. Cut a square, or leave out --framing none to have the subject centred."
        )
    straight = picture.rgb
    if height != size:
        # Pillow multiplies colour by alpha for this and divides afterwards.
        whole = Image.fromarray(np.dstack([straight, mask]))
        resized = np.asarray(whole.resize((size, size), Image.Resampling.LANCZOS))
        straight, mask = resized[..., :3].copy(), resized[..., 3].copy()
    note = "not framed: the whole picture" + (f", resized to {size} px" if height != size else "")
    pixel_map = resize_map((height, width), (size, size))
    return Framed(over_background(straight, mask, contract), straight, mask, pixel_map, note)
