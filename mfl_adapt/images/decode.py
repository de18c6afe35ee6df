"""Pictures from files: straight colour and the mask that their alpha holds."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Literal, NamedTuple

import numpy as np

from mfl_adapt.errors import DataError
from mfl_adapt.files import read_bounded
from mfl_adapt.images.containers import JPEG_SIGNATURE, PNG_SIGNATURE, bare_png, check_jpeg
from mfl_adapt.images.depth import to_8_bit

if TYPE_CHECKING:
    from mfl_adapt.types import Bytes

_LARGEST_FILE = 2**30


class Picture(NamedTuple):
    """A decoded picture.

    Attributes:
        rgb: Straight (not premultiplied) sRGB colour, [H, W, 3] uint8, or uint16 where asked for.
        mask: Alpha, [H, W] uint8, 255 inside; None where the file has no alpha.
    """

    rgb: Bytes
    mask: Bytes | None


def load_picture(path: Path, bits: Literal[8, 16] = 8) -> Picture:
    """Read a PNG or JPEG file.

    Args:
        path: File to read.
        bits: 8 divides 16-bit values by 257 and rounds; 16 keeps 16-bit colour as it is. The mask
            has 8 bits always.

    Returns:
        The picture; grey becomes three channels.

    Raises:
        DataError: If the file is missing, unreadable, truncated, damaged or of another kind.
    """
    try:
        data = read_bounded(path, _LARGEST_FILE)
    except (OSError, ValueError) as error:  # a name with a null is no path
        reason = getattr(error, "strerror", None) or error
        raise DataError(
            f"{path}: expected a PNG or JPEG file, got {reason}. "
            f"Check the path and its permissions."
        ) from error
    return decode_picture(data, str(path), bits)


def decode_picture(data: bytes, source: str, bits: Literal[8, 16] = 8) -> Picture:
    """Decode a PNG or JPEG from memory.

    The pixels come as stored: an EXIF orientation is not applied, since a calibration refers to
    the stored grid, and neither gamma nor colour profile is.

    Args:
        data: The whole file.
        source: Where it came from, for messages.
        bits: 8 divides 16-bit values by 257 and rounds; 16 keeps 16-bit colour as it is. The mask
            has 8 bits always.

    Returns:
        The picture; grey becomes three channels.

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
    if pixels.dtype not in (np.uint8, np.uint16):
        raise DataError(
            f"{source}: expected 8 or 16 bits per channel, got {pixels.dtype}. "
            f"Export it as 8- or 16-bit PNG."
        )
    return _split_channels(to_8_bit(pixels) if bits == 8 else pixels)


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


def _split_channels(pixels: Bytes) -> Picture:
    """Split OpenCV's grey, BGR or BGRA."""
    if pixels.ndim == 2:
        return Picture(np.repeat(pixels[:, :, None], 3, axis=2), None)
    rgb = np.ascontiguousarray(pixels[:, :, 2::-1])
    mask = np.ascontiguousarray(to_8_bit(pixels[:, :, 3])) if pixels.shape[2] == 4 else None
    return Picture(rgb, mask)
