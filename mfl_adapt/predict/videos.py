"""Videos that are opened and hashed once, however many of their frames are read."""

from __future__ import annotations

import hashlib
from functools import lru_cache
from pathlib import Path

from mfl_adapt.errors import DataError
from mfl_adapt.images.video import VideoReader

VIDEOS = {".mp4", ".avi", ".mov", ".mkv", ".m4v", ".webm"}
"""Endings that a video is known by."""


def open_video(path: Path) -> VideoReader:
    """Open a video.

    Raises:
        DataError: If it cannot be read.
    """
    return _open(path, *_version(path))


def hash_video(path: Path) -> str:
    """SHA-256 of the file.

    Raises:
        DataError: If it cannot be read.
    """
    return _hash(path, *_version(path))


def hash_file(path: Path) -> str:
    """SHA-256 of a file.

    Raises:
        DataError: If it cannot be read.
    """
    try:
        with path.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError as error:
        raise DataError(
            f"{path}: expected a file that can be read, got {error.strerror or error}."
        ) from error


def _version(path: Path) -> tuple[int, int]:
    """What changes with the file: its size and time; zeros where there is none."""
    try:
        found = path.stat()
    except OSError:
        return 0, 0  # opening it says why
    return found.st_size, found.st_mtime_ns


# Two videos of one recording: the pictures and their masks.
@lru_cache(maxsize=4)
def _open(path: Path, size: int, time_ns: int) -> VideoReader:
    return VideoReader(path)


@lru_cache(maxsize=4)
def _hash(path: Path, size: int, time_ns: int) -> str:
    return hash_file(path)
