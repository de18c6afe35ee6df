"""Pictures to files: PNG of 8 or 16 bits with straight alpha."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mfl_adapt.checks import check_shape
from mfl_adapt.errors import StorageError
from mfl_adapt.files import write_atomically

if TYPE_CHECKING:
    from mfl_adapt.types import Bytes


def encode_png(rgb: Bytes, mask: Bytes | None = None) -> bytes:
    """Encode a picture so that decoding it gives the same bytes back.

    Args:
        rgb: Straight sRGB colour, [H, W, 3] uint8 or uint16; kept under a mask of 0 too.
        mask: Alpha, [H, W] uint8; None writes a picture without alpha.

    Returns:
        An RGBA or RGB PNG with the colour's bits per channel.

    Raises:
        ShapeError: If the shapes are others.
        StorageError: If OpenCV cannot encode it.
    """
    import cv2

    check_shape("encode_png: rgb", rgb, [None, None, 3])
    deep = rgb.dtype == np.uint16
    layers: list[Any] = [rgb[:, :, ::-1]]
    if mask is not None:
        check_shape("encode_png: mask", mask, list(rgb.shape[:2]))
        # 257 * 255 = 65535, so that a 16-bit alpha reads back as the same mask.
        layers.append((mask.astype(np.uint16) * 257 if deep else mask)[:, :, None])
    whole, data = cv2.imencode(".png", np.concatenate(layers, axis=2))
    if not whole:
        raise StorageError(
            f"encode_png: expected a picture that PNG can hold, got {list(rgb.shape)}."
        )
    return data.tobytes()


def save_picture(path: Path, rgb: Bytes, mask: Bytes | None = None) -> None:
    """Write a picture as PNG, whole or not at all.

    Args:
        path: File to write; replaced if it exists.
        rgb: Straight sRGB colour, [H, W, 3] uint8 or uint16.
        mask: Alpha, [H, W] uint8; None writes a picture without alpha.

    Raises:
        ShapeError: If the shapes are others.
        StorageError: If the file cannot be written.
    """
    write_atomically(path, encode_png(rgb, mask))
