"""Files that appear whole or not at all, and files of strangers, read within bounds."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import unicodedata
from contextlib import suppress
from itertools import pairwise
from pathlib import Path, PurePosixPath
from typing import Any

from mfl_adapt.errors import DataError, StorageError


def write_atomically(path: Path, data: bytes) -> None:
    """Write a file so that a reader, or a crash, never sees half of it.

    The bytes go to a hidden file beside the target, reach the disk, and take the target's name
    in one step. A file that was there before is replaced.

    Args:
        path: File to write; its folder is made where missing.
        data: The whole content.

    Raises:
        StorageError: If the file cannot be written; nothing is left behind.
    """
    # Opened by name, not with tempfile, so that the usual file permissions apply to the result.
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_through(partial, data)
        partial.replace(path)
    except OSError as error:
        raise StorageError(
            f"{path}: expected to write {len(data)} bytes, got {error.strerror or error}. "
            f"Check the folder's permissions and the free space."
        ) from error
    finally:  # also after Ctrl-C; where all went well there is nothing to delete
        with suppress(OSError):
            partial.unlink()


def write_through(path: Path, data: bytes) -> None:
    """Write a file and wait until it is on the disk.

    Raises:
        OSError: If that fails; half a file may be left.
    """
    with path.open("wb") as stream:
        stream.write(data)
        stream.flush()
        os.fsync(stream.fileno())


LARGEST_JSON = 256 * 2**20
"""A camera file of ten thousand frames takes some 10 MB."""


def read_bounded(path: Path, most: int) -> bytes:
    """Read a whole file that may come from anybody.

    Args:
        path: File to read.
        most: Greatest size in bytes.

    Raises:
        OSError: If it cannot be read, is larger, or is a pipe or device, which might never end.
    """
    if path.exists() and not (path.is_file() or path.is_dir()):
        raise OSError(errno.EINVAL, "a pipe or device")
    with path.open("rb") as stream:
        size = os.fstat(stream.fileno()).st_size
        # Python reserves what it is asked to read; some files of the system state no size.
        content = stream.read(min(size or most, most) + 1)
    if len(content) > most:
        raise OSError(errno.EFBIG, f"more than {most} bytes")
    return content


def find_inside(folder: Path, name: str) -> Path:
    """Return the path of something that a file says lies in a folder.

    Args:
        folder: The folder.
        name: Path relative to it, with forward slashes.

    Raises:
        ValueError: If the name leads out of the folder or could be no path; a link in it may still
            point elsewhere.
    """
    parts = PurePosixPath(name).parts
    odd = any(unicodedata.category(letter) in {"Cc", "Cs"} for letter in name[:1001])
    odd = odd or len(name) > 1000 or any(len(part.encode()) > 255 for part in parts)
    if not parts or name.startswith("/") or ".." in parts or odd:
        raise ValueError(f"expected a path inside {folder}, got {name[:200]!r}")
    return folder / name


def read_json(path: Path, *, holds: str = "", advice: str = "Check the path.") -> Any:
    """Read what a JSON file of the user's holds.

    Stricter than Python: a key may come only once, and texts and whole numbers must be such that
    they can be written and computed with. NaN and infinities pass, for the caller to name.

    Args:
        path: File in UTF-8.
        holds: What it should hold, for messages (``keypoints per sample``).
        advice: What to do where it cannot be read, for messages.

    Raises:
        DataError: If it cannot be read or is no JSON, which names the line.
    """
    try:
        text = read_bounded(path, LARGEST_JSON).decode()
        content = json.loads(text, object_pairs_hook=_once, parse_int=_whole_number)
        if "\\u" in text:  # half of a surrogate pair could not be written or shown
            json.dumps(content, ensure_ascii=False).encode()
        return content
    except json.JSONDecodeError as error:
        wanted = f"JSON of {holds}" if holds else "JSON"
        raise DataError(
            f"{path}:{error.lineno}: expected {wanted}, got {error.msg.lower()} at column "
            f"{error.colno}. Mend or write the file again."
        ) from error
    except (OSError, ValueError, RecursionError) as error:
        wanted = f"a JSON file of {holds}" if holds else "a JSON file"
        reason = getattr(error, "strerror", None) or error
        if isinstance(error, UnicodeDecodeError):
            reason = "bytes that are no text in UTF-8"
        raise DataError(f"{path}: expected {wanted}, got {reason}. {advice}") from error


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """A mapping; two readers of one file might each take another one of two equal keys.

    Raises:
        ValueError: If a key comes twice.
    """
    found = dict(pairs)
    if len(found) < len(pairs):
        keys = sorted(key for key, _ in pairs)
        twice = next(one for one, other in pairwise(keys) if one == other)
        raise ValueError(f"the key {twice[:60]!r} twice")
    return found


def _whole_number(digits: str) -> int:
    """A whole number of at most 64 bits.

    Raises:
        ValueError: If it has more.
    """
    if len(digits) > 20 or not -(2**63) <= int(digits) < 2**64:
        raise ValueError(f"a whole number of more than 64 bits, {digits[:20]}...")
    return int(digits)


def digest_source(file: Path) -> str:
    """Return a hash of a module's source, or of a whole package's if it is ``__init__.py``.

    Args:
        file: What a module's ``__file__`` says.

    Returns:
        16 hexadecimal digits over the content and the names of all files of Python.

    Raises:
        OSError: If a file cannot be read.
    """
    files = sorted(file.parent.rglob("*.py")) if file.name == "__init__.py" else [file]
    digest = hashlib.sha256()
    for one in files:
        content = one.read_bytes()
        digest.update(f"{one.relative_to(file.parent).as_posix()}\0{len(content)}\0".encode())
        digest.update(content)
    return digest.hexdigest()[:16]
