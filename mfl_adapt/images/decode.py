"""Pictures from files: straight 8-bit colour and the mask that their alpha holds."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from mfl_adapt.errors import DataError
from mfl_adapt.images.containers import JPEG_SIGNATURE, PNG_SIGNATURE, bare_png, check_jpeg

if TYPE_CHECKING:
    from mfl_adapt.types import Bytes


class Picture(NamedTuple):
    """A decoded picture.

    Attributes:
        rgb: Straight (not premultiplied) sRGB colour, [H, W, 3] uint8.
        mask: Alpha, [H, W] uint8, 255 inside; None where the file has no alpha.
    """

    rgb: Bytes
    mask: Bytes | None


def load_picture(path: Path) -> Picture:
    """Read a PNG or JPEG file.

    Args:
        path: File to read.

    Returns:
        The picture; 16-bit values are divided by 257 and rounded, grey becomes three channels.

    Raises:
        DataError: If the file is missing, unreadable, truncated, damaged or of another kind.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise DataError(
            f"{path}: expected a PNG or JPEG file, got {error.strerror or error}. "
            f"Check the path and its permissions."
        ) from error
    return decode_picture(data, str(path))


def decode_picture(data: bytes, source: str) -> Picture:
    """Decode a PNG or JPEG from memory.

    The pixels come as stored: an EXIF orientation is not applied, since a calibration refers to
    the stored grid, and neither gamma nor colour profile is.

    Args:
        data: The whole file.
        source: Where it came from, for messages.

    Returns:
        The picture; 16-bit values are divided by 257 and rounded, grey becomes three channels.

    Raises:
        DataError: If the bytes are no whole PNG or JPEG of 8 or 16 bits.
    """
    import cv2

    data = _checked(data, source)
    try:
        pixels = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    except cv2.error:
        pixels = None
    if pixels is None:
        raise DataError(
            f"{source}: expected a picture that decodes, got damaged pixel data. "
            f"Copy or export the file again."
        )
    return _split_channels(_to_8_bit(pixels, source))


def _checked(data: bytes, source: str) -> bytes:
    if data.startswith(PNG_SIGNATURE):
        return bare_png(data, source)
    if data.startswith(JPEG_SIGNATURE):
        check_jpeg(data, source)
        return data
    got = f"a file that starts with {data[:4].hex()}" if data else "an empty file"
    raise DataError(
        f"{source}: expected a PNG or JPEG picture, got {got}. Export it as 8- or 16-bit PNG."
    )


def _to_8_bit(pixels: Any, source: str) -> Bytes:
    if pixels.dtype == np.uint8:
        return pixels
    if pixels.dtype == np.uint16:
        # 65535 = 257 * 255, and adding 128 before the division rounds to nearest.
        return ((pixels.astype(np.uint32) + 128) // 257).astype(np.uint8)
    raise DataError(
        f"{source}: expected 8 or 16 bits per channel, got {pixels.dtype}. "
        f"Export it as 8- or 16-bit PNG."
    )


def _split_channels(pixels: Bytes) -> Picture:
    """Split OpenCV's grey, BGR or BGRA."""
    if pixels.ndim == 2:
        return Picture(np.repeat(pixels[:, :, None], 3, axis=2), None)
    rgb = np.ascontiguousarray(pixels[:, :, 2::-1])
    mask = np.ascontiguousarray(pixels[:, :, 3]) if pixels.shape[2] == 4 else None
    return Picture(rgb, mask)
