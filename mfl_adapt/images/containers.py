"""Whether a PNG or JPEG file is whole, told from its structure.

OpenCV decodes a truncated picture as far as it goes and fills the rest with grey, and reports
it at most on stderr. So the structure is checked before anything is decoded.
"""

from __future__ import annotations

import struct
import zlib

from mfl_adapt.errors import DataError

PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
JPEG_SIGNATURE = b"\xff\xd8\xff"
_JPEG_SCAN, _JPEG_END = 0xDA, b"\xff\xd9"
# Size, palette, transparency, pixels, end: all that the pixel values depend on.
_PIXEL_CHUNKS = {b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND"}


def bare_png(data: bytes, source: str) -> bytes:
    """Return the PNG with its pixel chunks alone, once they are known to be whole.

    Text, colour-profile and EXIF chunks go, because libpng complains about odd ones on stderr
    (FaceLift's own sample has a duplicate EXIF chunk) and they must not change pixel values.

    Raises:
        DataError: If the file ends early or a pixel chunk fails its checksum.
    """
    kept, position, name = [PNG_SIGNATURE], len(PNG_SIGNATURE), b""
    while name != b"IEND":
        if position + 12 > len(data):
            raise DataError(_cut_short("PNG", data, source))
        length, name = struct.unpack_from(">I4s", data, position)
        end = position + 12 + length
        if end > len(data):
            raise DataError(_cut_short("PNG", data, source))
        if name in _PIXEL_CHUNKS:
            _check_crc(data[position + 4 : end - 4], data[end - 4 : end], name, source)
            kept.append(data[position:end])
        position = end
    return b"".join(kept)


def check_jpeg(data: bytes, source: str) -> None:
    """Raise unless the JPEG's pixel data are followed by the end marker.

    The marker alone would prove nothing: an embedded thumbnail has one of its own, so the
    segments before the pixel data are stepped over.

    Raises:
        DataError: If the file ends early.
    """
    position, marker = len(JPEG_SIGNATURE) - 1, 0
    while marker != _JPEG_SCAN:
        if position + 4 > len(data):
            raise DataError(_cut_short("JPEG", data, source))
        marker, length = struct.unpack_from(">xBH", data, position)
        # A marker may be padded with any number of 0xFF.
        position += 1 if marker == 0xFF else 2 + length
    if data.find(_JPEG_END, position) < 0:
        raise DataError(_cut_short("JPEG", data, source))


def _check_crc(content: bytes, crc: bytes, name: bytes, source: str) -> None:
    if zlib.crc32(content) != int.from_bytes(crc, "big"):
        raise DataError(
            f"{source}: expected an intact PNG, got a {name.decode()} chunk that fails its "
            f"checksum. The file is damaged; copy or export it again."
        )


def _cut_short(kind: str, data: bytes, source: str) -> str:
    return (
        f"{source}: expected a whole {kind} up to its end marker, got {len(data)} bytes without "
        f"one. The file is truncated; copy or export it again."
    )
