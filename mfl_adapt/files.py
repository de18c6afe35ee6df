"""Files that appear whole or not at all, and JSON that is read or named as broken."""

from __future__ import annotations

import json
import os
from contextlib import suppress
from pathlib import Path
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


def read_json(path: Path, *, holds: str = "", advice: str = "Check the path.") -> Any:
    """Read what a JSON file of the user's holds.

    Args:
        path: File in UTF-8.
        holds: What it should hold, for messages (``keypoints per sample``).
        advice: What to do where it cannot be read, for messages.

    Raises:
        DataError: If it cannot be read or is no JSON, which names the line.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except json.JSONDecodeError as error:
        wanted = f"JSON of {holds}" if holds else "JSON"
        raise DataError(
            f"{path}:{error.lineno}: expected {wanted}, got {error.msg.lower()} at column "
            f"{error.colno}. Mend or write the file again."
        ) from error
    except (OSError, ValueError, RecursionError) as error:
        wanted = f"a JSON file of {holds}" if holds else "a JSON file"
        reason = getattr(error, "strerror", None) or error
        raise DataError(f"{path}: expected {wanted}, got {reason}. {advice}") from error
