"""Hashes over what a dataset is made from, to tell whether anything upstream has changed."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from mfl_adapt.errors import DataError

# Pictures and camera files are hashed whole. A longer file is a video: its size, time of change
# and some pieces stand for it, as hashing hours of video would cost more than reading a frame.
_WHOLE = 8 << 20
_PIECES, _PIECE = 16, 64 << 10
_LONGEST_LIST = 10_000_000


class SourceFiles(NamedTuple):
    """The files behind a path, as one hash.

    Attributes:
        files: How many there are.
        size: Their bytes together.
        sha256: Over their names and contents, 64 hexadecimal digits.
    """

    files: int
    size: int
    sha256: str


def hash_source(path: Path, *, without: Iterable[Path] = ()) -> SourceFiles:
    """Hash the files that a dataset's path stands for.

    A folder stands for all files in it, a list file for itself and for all that it lists, and any
    other file for the folder around it. Names count relative to the path, so that a dataset may
    move. Hidden files do not count.

    Args:
        path: Folder or file.
        without: Folders to leave out, for instance a cache among the data.

    Raises:
        DataError: If the path or a file in it cannot be read.
    """
    skipped = [folder.resolve() for folder in without]
    digest, count, size = hashlib.sha256(), 0, 0
    try:
        for root, name in _roots(path):
            for file in _files(root, skipped):
                length = file.stat().st_size
                shown = file.relative_to(root).as_posix() if file != root else ""
                digest.update(f"{name}\0{shown}\0{length}\0{_hash_file(file)}\n".encode())
                count, size = count + 1, size + length
    except OSError as error:
        raise DataError(
            f"{error.filename or path}: expected a readable file, got {error.strerror or error}. "
            f"Check the path and its permissions."
        ) from error
    return SourceFiles(count, size, digest.hexdigest())


def hash_code(folders: Iterable[Path]) -> str:
    """SHA-256 over the Python files of folders (or over single files), by their names there."""
    digest = hashlib.sha256()
    for folder in folders:
        files = sorted(folder.rglob("*.py")) if folder.is_dir() else [folder]
        for file in files:
            name = file.relative_to(folder.parent).as_posix()
            digest.update(f"{name}\0{hashlib.sha256(file.read_bytes()).hexdigest()}\n".encode())
    return digest.hexdigest()


def hash_json(content: Mapping[str, Any]) -> str:
    """SHA-256 over plain JSON values; the order of keys does not count."""
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def _roots(path: Path) -> Iterator[tuple[Path, str]]:
    # Files and folders behind a path, each with the name that counts.
    if path.is_dir():
        yield path, ""
        return
    listed = _listed(path)
    if not listed:
        yield path.parent, path.name
        return
    yield path, ""
    yield from listed


def _listed(path: Path) -> list[tuple[Path, str]]:
    # Entries of a list file; none where the file is anything else.
    if path.suffix != ".txt" or path.stat().st_size > _LONGEST_LIST:
        return []
    lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    entries = [(path.parent / line.strip(), line.strip()) for line in lines if line.strip()]
    return entries if all(entry.exists() for entry, _ in entries) else []


def _files(root: Path, skipped: list[Path]) -> list[Path]:
    if root.is_file():
        return [root]
    found: list[Path] = []
    seen = set(skipped)  # resolved, so that a link to a folder above ends the walk there
    waiting = [root]
    while waiting:
        folder = waiting.pop()
        if folder.resolve() in seen:
            continue
        seen.add(folder.resolve())
        for entry in folder.iterdir():
            if not entry.name.startswith("."):
                (waiting if entry.is_dir() else found).append(entry)
    return sorted(found)


def _hash_file(path: Path) -> str:
    size = path.stat().st_size
    if size <= _WHOLE:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    digest = hashlib.sha256(str(path.stat().st_mtime_ns).encode())
    with path.open("rb") as stream:
        for piece in range(_PIECES):
            stream.seek((size - _PIECE) * piece // (_PIECES - 1))
            digest.update(stream.read(_PIECE))
    return digest.hexdigest()
