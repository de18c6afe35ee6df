"""Contact sheets: the photograph, the render and their difference, one column per view."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from mfl_adapt.checks import check_same_shape
from mfl_adapt.images import save_picture

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import Tensor

LABELS = ("truth", "render", "error x3")
LABEL_PX = 72
GAP_PX = 4
TILE_PX = 128
ERROR_GAIN = 3.0
# A grey frame keeps white pictures apart from one another.
FRAME = 204


def contact_sheet(target: "Tensor", pred: "Tensor", *, max_columns: int = 8) -> "NDArray[np.uint8]":
    """Lay truth, render and error under one another, one column per view.

    The error is the mean absolute difference over the three channels times 3, black where the
    two agree, so that a difference of a third of the range is white.

    Args:
        target: Photographs, [B, V, 3, H, W] in [0, 1].
        pred: Renders, same shape; clamped for display.
        max_columns: Views beyond this many are left out.

    Returns:
        Picture, [height, width, 3] uint8; small views are enlarged by a whole factor.

    Raises:
        ShapeError: If the two differ in shape.
    """
    check_same_shape("contact_sheet: pred", target, pred)
    truth = _to_tiles(target, max_columns)
    render = _to_tiles(pred, max_columns)
    error = np.abs(truth - render).mean(axis=-1, keepdims=True) * ERROR_GAIN
    rows = [truth, render, np.broadcast_to(error.clip(0, 1), truth.shape)]
    return lay_out(dict(zip(LABELS, rows, strict=True)))


def save_contact_sheet(path: Path, target: "Tensor", pred: "Tensor") -> None:
    """Write a contact sheet as PNG, whole or not at all."""
    save_picture(path, contact_sheet(target, pred))


def _to_tiles(images: "Tensor", max_columns: int) -> "NDArray[np.float32]":
    """The first views as [N, H, W, 3]."""
    flat = images.detach().float().clamp(0, 1).flatten(0, 1)[:max_columns]
    return flat.permute(0, 2, 3, 1).cpu().numpy()


def lay_out(
    rows: "Mapping[str, NDArray[np.float32] | Sequence[NDArray[np.float32]]]",
) -> "NDArray[np.uint8]":
    """Lay rows of pictures of one size under one another.

    Args:
        rows: By the text in the margin, pictures [H, W, 3] in [0, 1]; rows may differ in length.

    Returns:
        Picture, [height, width, 3] uint8; small pictures are enlarged by a whole factor.
    """
    height, width = next(iter(rows.values()))[0].shape[:2]
    factor = max(1, TILE_PX // height)
    height, width = height * factor, width * factor
    columns = max(len(row) for row in rows.values())
    size = (len(rows) * (height + GAP_PX) + GAP_PX, LABEL_PX + columns * (width + GAP_PX), 3)
    sheet = np.full(size, FRAME, np.uint8)
    for i, (label, row) in enumerate(rows.items()):
        top = GAP_PX + i * (height + GAP_PX)
        _write(sheet, label, top + height // 2)
        for j, tile in enumerate(row):
            pixels = np.rint(tile * 255).astype(np.uint8)
            pixels = pixels.repeat(factor, axis=0).repeat(factor, axis=1)
            left = LABEL_PX + j * (width + GAP_PX)
            sheet[top : top + height, left : left + width] = pixels
    return sheet


def _write(sheet: "NDArray[np.uint8]", text: str, baseline: int) -> None:
    """Write a row's name into the margin."""
    import cv2

    font, thickness = cv2.FONT_HERSHEY_SIMPLEX, 1
    cv2.putText(sheet, text, (GAP_PX, baseline), font, 0.4, (0, 0, 0), thickness, cv2.LINE_AA)
