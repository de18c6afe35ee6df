"""One writer at a time, across processes."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mfl_adapt.errors import StorageError

PATIENCE_S = 60.0
_BETWEEN_TRIES_S = 0.05


@contextmanager
def alone(path: Path, *, patience_s: float | None = None) -> Iterator[None]:
    """Hold the lock of a file while a block runs.

    The death of a process gives its lock up.

    Args:
        path: Lock file, made where missing and never deleted.
        patience_s: How long to wait for others; a minute if None.

    Raises:
        StorageError: If it cannot be made, or others hold it for too long.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o666)
    except OSError as error:
        raise StorageError(
            f"{path}: expected to make this lock file, got {error.strerror}. Choose a folder that "
            "you may write."
        ) from error
    try:
        _take(handle, path, PATIENCE_S if patience_s is None else patience_s)
        yield
    finally:
        os.close(handle)


def _take(handle: int, path: Path, patience_s: float) -> None:
    """Wait for a lock.

    Raises:
        StorageError: If others hold it for too long.
    """
    until = time.monotonic() + patience_s
    while True:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if time.monotonic() >= until:
                raise StorageError(
                    f"{path}: expected to write here alone, got another process that does "
                    f"({error.strerror}). Wait for it."
                ) from error
            time.sleep(_BETWEEN_TRIES_S)
        else:
            return
