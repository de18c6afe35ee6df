"""One picture from a file, upright, as everybody would see it."""

from __future__ import annotations

import io
import logging
import struct
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mfl_adapt.errors import DataError
from mfl_adapt.images import decode_picture

if TYPE_CHECKING:
    from mfl_adapt.types import Bytes, Float

log = logging.getLogger(__name__)

MOST_PIXELS = 80_000_000
"""A header that claims more is refused before anything is decoded."""
LEAST_SIDE = 8
LARGEST_SIDE = 32_000
_ORIENTATION = 0x0112
# Of each EXIF orientation: swap x and y first, then mirror x, then mirror y.
_TURNS = {
    1: (False, False, False),
    2: (False, True, False),
    3: (False, True, True),
    4: (False, False, True),
    5: (True, False, False),
    6: (True, True, False),
    7: (True, True, True),
    8: (True, False, True),
}
_PNG, _JPEG = b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff"
_FRAMES = "Extract a frame first: ffmpeg -i {name} -frames:v 1 frame.png"


@dataclass(frozen=True, slots=True, eq=False)
class RawPicture:
    """A picture before anything was cut out or moved.

    Attributes:
        rgb: Straight sRGB colour, [H, W, 3] uint8, upright.
        alpha: [H, W] uint8; None where the file has none.
        upright: 3x3 from the file's pixels to those of ``rgb``; the EXIF orientation.
        path: The file.
        frame: Index of the frame where the file is a video.
    """

    rgb: Bytes
    alpha: Bytes | None
    upright: Float
    path: Path
    frame: int | None = None

    @property
    def source(self) -> str:
        """The file, with the frame where it is a video, for messages."""
        return str(self.path) if self.frame is None else f"{self.path}: frame {self.frame}"


def read_picture(path: Path) -> RawPicture:
    """Read a PNG or JPEG file and turn it upright.

    Sixteen bits per channel are rounded to eight. No colour profile is applied.

    Args:
        path: File to read.

    Raises:
        DataError: If it is missing, no picture, cut short, animated, CMYK, or too small or large.
    """
    if path.is_dir():
        raise DataError(f"{path}: expected a picture, got a folder. Name a file in it.")
    try:
        data = path.read_bytes()
    except OSError as error:
        raise DataError(
            f"{path}: expected a PNG or JPEG file, got {error.strerror or error}. Check the path "
            "and its permissions."
        ) from error
    return parse_picture(data, path)


def parse_picture(data: bytes, path: Path) -> RawPicture:
    """Do what ``read_picture`` does with bytes that were read already.

    Raises:
        DataError: As ``read_picture``.
    """
    _check_container(data, path)
    _check_size(*_claimed_size(data, path), path)
    rgb, alpha = decode_picture(data, str(path))
    turn = _TURNS[_orientation(data)]
    upright = _turn_map(turn, *rgb.shape[:2])
    alpha = None if alpha is None else _turned(alpha, turn)
    return RawPicture(_turned(rgb, turn), alpha, upright, path)


def _check_container(data: bytes, path: Path) -> None:
    """Refuse, by name, what people are likely to hand over instead of a PNG or JPEG.

    Raises:
        DataError: If it is something else, or animated.
    """
    if data.startswith(_PNG):
        if b"acTL" in data[: data.find(b"IDAT")]:
            raise DataError(
                f"{path}: expected one picture, got an animated PNG. "
                + _FRAMES.format(name=path.name)
            )
        return
    if data.startswith(_JPEG):
        return
    kind = _kind(data)
    if kind in {"GIF", "animated WebP"}:
        raise DataError(
            f"{path}: expected one PNG or JPEG picture, got a file of kind {kind}, which holds "
            f"frames. {_FRAMES.format(name=path.name)}"
        )
    if kind:
        raise DataError(
            f"{path}: expected a PNG or JPEG picture, got {kind}. Convert it: ffmpeg -i "
            f"{path.name} picture.png"
        )


def _kind(data: bytes) -> str:
    """Name a picture format by its first bytes; empty where it is none that we know."""
    if data.startswith(b"GIF8"):
        return "GIF"
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "animated WebP" if b"ANIM" in data[12:64] else "WebP"
    if data[:4] in {b"II*\0", b"MM\0*"}:
        return "TIFF"
    if data[4:8] == b"ftyp":
        brand = data[8:12]
        return {b"avif": "AVIF", b"heic": "HEIC", b"mif1": "HEIC"}.get(brand, "a video")
    return "BMP" if data.startswith(b"BM") else ""


def _claimed_size(data: bytes, path: Path) -> tuple[int, int]:
    """Height and width that the header claims; 1 and 1 where it has none, which decoding tells.

    Raises:
        DataError: If a JPEG has four channels, which are printers' inks.
    """
    if data.startswith(_PNG):
        width, height = struct.unpack_from(">II", data.ljust(24, b"\0"), 16)
        return height, width
    for marker, start in _jpeg_segments(data):
        if 0xC0 <= marker <= 0xCF and marker not in {0xC4, 0xC8, 0xCC}:
            height, width, channels = struct.unpack_from(">HHB", data.ljust(start + 8), start + 1)
            if channels == 4:
                raise DataError(
                    f"{path}: expected red, green and blue, got CMYK, whose colours depend on a "
                    f"printer. Convert it: magick {path.name} -colorspace sRGB picture.png"
                )
            return height, width
    return LEAST_SIDE, LEAST_SIDE


def _jpeg_segments(data: bytes) -> Iterator[tuple[int, int]]:
    """Marker and first byte of the content of the segments before the pixels."""
    position = 2
    while position + 4 <= len(data):
        marker, length = struct.unpack_from(">xBH", data, position)
        if marker == 0xFF:  # padding
            position += 1
            continue
        yield marker, position + 4
        if marker == 0xDA:
            return
        position += 2 + length


def _check_size(height: int, width: int, path: Path) -> None:
    """Hold a picture's size to what can be worked on.

    Raises:
        DataError: If it is too small to show a subject, or too large to decode safely.
    """
    if min(height, width) < LEAST_SIDE:
        raise DataError(
            f"{path}: expected a picture of at least {LEAST_SIDE} x {LEAST_SIDE} px, got "
            f"{width} x {height}. There is no subject to see in it."
        )
    if height * width > MOST_PIXELS or max(height, width) > LARGEST_SIDE:
        raise DataError(
            f"{path}: expected at most {MOST_PIXELS // 1_000_000} megapixels and {LARGEST_SIDE} px "
            f"a side, got {width} x {height}. Scale it down, or cut the subject out."
        )


def _orientation(data: bytes) -> int:
    """EXIF orientation, 1 to 8; 1 where the file says nothing that can be understood."""
    from PIL import Image

    try:
        # Pillow warns of damaged EXIF data, which nobody can mend.
        with warnings.catch_warnings(action="ignore"), Image.open(io.BytesIO(data)) as picture:
            found = picture.getexif().get(_ORIENTATION, 1)
    except (OSError, ValueError, SyntaxError, struct.error) as error:
        log.debug("no orientation: %s", error)
        return 1
    return found if found in _TURNS else 1


def _turned(pixels: Bytes, turn: tuple[bool, bool, bool]) -> Bytes:
    swap, mirror_x, mirror_y = turn
    turned: Any = pixels.swapaxes(0, 1) if swap else pixels
    turned = turned[:, ::-1] if mirror_x else turned
    return np.ascontiguousarray(turned[::-1] if mirror_y else turned)


def _turn_map(turn: tuple[bool, bool, bool], height: int, width: int) -> Float:
    """3x3 from stored to upright pixel coordinates."""
    swap, mirror_x, mirror_y = turn
    matrix = np.eye(3)
    if swap:
        matrix, height, width = matrix[[1, 0, 2]], width, height
    if mirror_x:
        matrix = np.array([[-1.0, 0, width], [0, 1, 0], [0, 0, 1]]) @ matrix
    if mirror_y:
        matrix = np.array([[1.0, 0, 0], [0, -1, height], [0, 0, 1]]) @ matrix
    return matrix
