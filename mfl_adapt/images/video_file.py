"""Whether a video file is whole, told from its structure.

FFmpeg reads a truncated MP4 as far as it goes and then says that the video has ended, so the
boxes that the file is made of are measured before anything is decoded.
"""

from __future__ import annotations

import os
import struct
from pathlib import Path
from typing import BinaryIO

from mfl_adapt.errors import DataError

# Types that an MP4 or MOV file may start with.
_FIRST_BOXES = {b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip", b"pnot"}


def check_video_file(path: Path) -> None:
    """Raise unless the file is there and, if it is an MP4, whole.

    Args:
        path: File to look at; only the headers of its outermost boxes are read.

    Raises:
        DataError: If it is missing, unreadable, empty, cut short, or an MP4 without its index.
    """
    try:
        with path.open("rb") as stream:
            size = os.fstat(stream.fileno()).st_size
            problem = _problem(stream, size)
    except OSError as error:
        raise DataError(
            f"{path}: expected a video file, got {error.strerror or error}. Check the path and its "
            f"permissions."
        ) from error
    if problem:
        raise DataError(
            f"{path}: expected a whole video, got {problem}. Copy or export the file again."
        )


def _problem(stream: BinaryIO, size: int) -> str | None:
    if size == 0:
        return "an empty file"
    start = 0
    boxes: list[bytes] = []
    while start < size:
        stream.seek(start)
        header = stream.read(16)
        kind = header[4:8]
        if not boxes and kind not in _FIRST_BOXES:
            return None  # another container, which has no such boxes
        length = _box_length(header, size - start)
        if length is None or start + length > size:
            return f"{size} bytes that end inside its {kind.decode('latin-1') or 'last'} box"
        boxes.append(kind)
        start += length
    return None if b"moov" in boxes else "an MP4 without its index (the moov box)"


def _box_length(header: bytes, rest: int) -> int | None:
    """Bytes of a box, header included; None where its header is cut short or senseless."""
    if len(header) < 8:
        return None
    length: int = struct.unpack_from(">I", header)[0]
    if length == 0:
        return rest  # up to the end of the file
    if length == 1:
        length = struct.unpack_from(">Q", header, 8)[0] if len(header) == 16 else 0
    return length if length >= 8 else None
