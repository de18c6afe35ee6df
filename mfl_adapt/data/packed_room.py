"""Room for the packed cache: folders that nobody has opened for long are deleted.

Folders are only deleted when a new one was packed, never the newest few, and never one that was
opened lately: another process may still have it mapped into its memory.
"""

from __future__ import annotations

import logging
import os
import re
import shutil
import time
from contextlib import suppress
from pathlib import Path

log = logging.getLogger(__name__)

KEPT = 4
"""Folders that stay however old they are: those opened last."""
UNUSED_DAYS = 30.0
"""Days without being opened after which one of the others goes; longer than any run takes."""

# Finished folders, and what a process that was killed left of one.
_OURS = re.compile(r"[0-9a-f]{16}|\.[0-9a-f]{16}\.\d+\.(partial|old)")


def note_use(folder: Path) -> None:
    """Remember that a folder was opened now, as its time of change; a read-only cache cannot."""
    with suppress(OSError):
        os.utime(folder)


def drop_unused(cache_folder: Path) -> list[Path]:
    """Delete folders of the cache that nobody has opened for long.

    Nothing but what this cache itself has written is touched, and what cannot be deleted stays.

    Args:
        cache_folder: Folder for all caches of the user's choice.

    Returns:
        What was deleted.
    """
    times: dict[Path, float] = {}
    with suppress(OSError):  # another process may delete the same ones
        for path in cache_folder.iterdir():
            if _OURS.fullmatch(path.name) and path.is_dir() and not path.is_symlink():
                times[path] = path.stat().st_mtime
    newest_first = sorted(times, key=lambda path: times[path], reverse=True)
    latest = time.time() - UNUSED_DAYS * 24 * 3600
    dropped = [path for path in newest_first[KEPT:] if times[path] < latest and _drop(path)]
    for path in dropped:
        log.info("data.cache: deleted %s, not used for %g days", path, UNUSED_DAYS)
    return dropped


def _drop(path: Path) -> bool:
    # Renamed first, so that no other process ever opens half a folder.
    hidden = path.with_name(f".{path.name.strip('.')[:16]}.{os.getpid()}.old")
    try:
        path.rename(hidden)
        shutil.rmtree(hidden)
    except OSError:
        return False
    return True
