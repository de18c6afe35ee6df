"""One process at a time trains a run."""

from __future__ import annotations

import fcntl
import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mfl_adapt.errors import TrainingError

log = logging.getLogger(__name__)


@contextmanager
def claim(run: Path) -> Iterator[None]:
    """Hold a run folder while a block runs; the death of a process gives it up.

    Raises:
        TrainingError: If another process holds it.
    """
    handle = os.open(run, os.O_RDONLY | os.O_CLOEXEC)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        os.close(handle)
        raise TrainingError(
            f"{run}: expected a run that nobody is training, got one that another process trains. "
            "Wait for its end, or stop it first."
        ) from error
    except OSError as error:
        # Some network drives know no locks; that must not keep anybody from training there.
        log.debug("%s cannot be locked: %s", run, error)
    try:
        yield
    finally:
        os.close(handle)
