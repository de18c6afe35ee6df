"""One of several processes of a run, seen from outside the training: what it says, and to whom.

Whoever starts a run in several processes wants to read everything once. Only the main one logs
and prints. Where ``mfl-adapt train --launch`` started them, each leaves a report in a folder, from
which the launcher makes one line in the end.
"""

from __future__ import annotations

import json
import logging
import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from mfl_adapt.errors import MflAdaptError, TrainingError
from mfl_adapt.files import write_atomically

REPORTS = "MFL_ADAPT_LAUNCH"
"""Environment variable with the folder for reports; not there if something else launched."""
_SIGNAL = "signal"
_LOOK_EVERY_S = 0.5


class ElsewhereError(TrainingError):
    """The error of another process, which ends this one as well."""


class LostProcessError(TrainingError):
    """Another process ended without a word."""


class Report(NamedTuple):
    """What a process leaves for the launcher.

    Attributes:
        pid: Its number.
        run: Folder of the run; None as long as there is none.
        error: That ended it; None without one of ours.
        is_lost: Whether it ended because another one had.
    """

    pid: int
    run: str | None = None
    error: str | None = None
    is_lost: bool = False


def rank() -> int:
    """Return which of several processes this one is; 0 is the main or the only one."""
    return int(os.environ.get("RANK", 0))


def is_one_of_several() -> bool:
    """Whether a launcher started this process with others."""
    return int(os.environ.get("WORLD_SIZE", 1)) > 1


@contextmanager
def as_one_of_several(*, verbose: bool = False) -> Iterator[None]:
    """Say what happens in a ``with`` block once, and not once in each process.

    Args:
        verbose: Let all processes log.

    Raises:
        SystemExit: If an error ends the block that somebody else tells of.
        MflAdaptError: If nobody else does.
        KeyboardInterrupt: Likewise.
    """
    if not is_one_of_several():
        yield
        return
    if rank() and not verbose:
        _quiet()
    tells = REPORTS not in os.environ and not rank()
    report()
    try:
        _follow_launcher()
        yield
    except MflAdaptError as error:
        report(error=str(error), is_lost=isinstance(error, LostProcessError))
        if tells:
            raise
        raise SystemExit(1) from error
    except KeyboardInterrupt as error:
        if tells:
            raise
        raise SystemExit(130) from error


def report(*, run: Path | None = None, error: str | None = None, is_lost: bool = False) -> None:
    """Leave something for the launcher, if there is one that reads it."""
    if REPORTS not in os.environ:
        return
    path = Path(os.environ[REPORTS]) / f"{rank()}.json"
    before = _read(path) if path.exists() else Report(os.getpid())
    folder = before.run if run is None else str(run)
    after = Report(os.getpid(), folder, error or before.error, is_lost or before.is_lost)
    write_atomically(path, json.dumps(after._asdict()).encode())


def read_reports(folder: Path) -> dict[int, Report]:
    """Return what processes left, by rank."""
    return {int(path.stem): _read(path) for path in sorted(folder.glob("[0-9]*.json"))}


def pass_on(folder: Path, number: int) -> None:
    """Send a signal to all processes; one that has not begun yet gets it when it does."""
    write_atomically(folder / _SIGNAL, str(number).encode())
    for one in read_reports(folder).values():
        try:
            os.kill(one.pid, number)
        except ProcessLookupError:
            continue  # it has ended by itself


def _read(path: Path) -> Report:
    return Report(**json.loads(path.read_text()))


def _quiet() -> None:
    """Log nothing from here on: the main process says the same."""
    logging.disable(logging.ERROR)


def _follow_launcher() -> None:
    """Heed a signal that the launcher got before this process was there, and notice its death."""
    if REPORTS not in os.environ:
        return
    early = Path(os.environ[REPORTS]) / _SIGNAL
    if early.exists():
        os.kill(os.getpid(), int(early.read_text()))
    threading.Thread(target=_watch_launcher, args=(os.getppid(),), daemon=True).start()


def _watch_launcher(launcher: int) -> None:
    """Do what a cluster would ask for if the launcher dies: finish the step, save, and stop."""
    while os.getppid() == launcher:
        time.sleep(_LOOK_EVERY_S)
    os.kill(os.getpid(), signal.SIGTERM)
