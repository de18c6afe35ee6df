"""Lets a tracker follow a run: from its start to its end, once per step, whatever happens to it."""

from __future__ import annotations

import atexit
import importlib
import json
import logging
import sys
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from mfl_adapt.errors import PluginError
from mfl_adapt.files import write_atomically
from mfl_adapt.plugin import hookimpl
from mfl_adapt.plugin.discovery import Candidate, isolated
from mfl_adapt_trackers.news import News, RunLog

log = logging.getLogger(__name__)

MEMORY = "followed.json"
"""In a folder of the tracker's name, in the run folder: the run's key, and how far it has come."""


@dataclass(frozen=True, slots=True)
class Start:
    """What a tracker is told of the run that it is to follow.

    Attributes:
        folder: The run folder.
        key: Names the run among all others; stays when it goes on.
        config: The resolved configuration as plain values, without this machine's paths.
        is_new: Whether the tracker never heard of this run.
        told: Last step that it was told of; a sudden end may have kept it from writing it. -1 for
            none.
        done: Step that the run goes on after; those beyond it are done again. -1 for none.
    """

    folder: Path
    key: str
    config: Mapping[str, Any]
    is_new: bool
    told: int
    done: int


class Tracker(Protocol):
    """Takes a copy of what a run leaves.

    Attributes:
        holds: Last step that it has from earlier, so that it needs only those that follow; -1 for
            none.
    """

    holds: int

    def write(self, news: News) -> None:
        """Take what one step left; steps come in order."""

    def close(self, *, failed: bool) -> None:
        """Write what is left, and stop; ``failed`` says that the run did not come to an end."""


class Follower:
    """Brings what is new in a run folder to a tracker; its hooks are those of the tracker's module.

    An error of the tracker at the start stops the run, which has cost nothing yet. A later one
    is told once, and the run goes on without it: what it would have shown is in the run folder.
    """

    def __init__(self, name: str, begin: Callable[[Start], Tracker]) -> None:
        """Prepare for a run.

        Args:
            name: Of the plugin, of the module that it needs, and of the extra that installs it.
            begin: Makes the tracker.
        """
        self._name, self._begin = name, begin
        self._source = Candidate(name, f"mfl_adapt_trackers.{name}", "mfl-adapt")
        self._followed: _Followed | None = None
        self._waits_for_exit = False

    @hookimpl
    def run_opening(self) -> None:
        """Import the package, and say how to install it.

        Raises:
            PluginError: If it cannot be imported.
        """
        try:
            with self._guarded(f"importing {self._name}"):
                importlib.import_module(self._name)
        except PluginError as error:
            raise PluginError(
                f"{self._name}: expected the package {self._name}, got {error.__cause__}. "
                f'Run: pip install "mfl-adapt[{self._name}]", or add --plugins -{self._name}.'
            ) from error

    @hookimpl
    def run_started(self, run: Any) -> None:
        """Begin to follow a run, or go on with it.

        Raises:
            PluginError: If the package is missing, or the tracker cannot begin.
        """
        self._abandon()
        self.run_opening()
        try:
            with self._guarded("starting"):
                self._followed = self._follow(run)
        except PluginError as error:
            raise PluginError(f"{error}. Mend it, or add --plugins -{self._name}.") from error
        if not self._waits_for_exit:
            # Plugins are not told of the end of a run that a guard stopped.
            atexit.register(self._abandon)
            self._waits_for_exit = True

    @hookimpl
    def step_finished(self, run: Any) -> None:
        """Bring over what the step left."""
        self._look(run)

    @hookimpl
    def checkpoint_saved(self, run: Any) -> None:
        """Bring over what is left of the step that the checkpoint holds."""
        self._look(run)

    @hookimpl
    def run_finished(self, run: Any) -> None:
        """Bring over the rest, with scores and model card, and close."""
        followed = self._of(run)
        if followed is not None:
            self._try("finishing", followed.end)
            self._followed = None

    def _look(self, run: Any) -> None:
        followed = self._of(run)
        if followed is not None:
            self._try("writing", followed.bring)

    def _follow(self, run: Any) -> _Followed:
        """Open the tracker."""
        folder: Path = run.folder.path
        memory = folder / self._name / MEMORY
        known = json.loads(memory.read_text(encoding="utf-8")) if memory.exists() else {}
        key, told = str(known.get("key", uuid.uuid4().hex[:12])), int(known.get("step", -1))
        done = -1 if run.checkpoint is None else run.checkpoint.step
        tracker = self._begin(Start(folder, key, run.public_config, not known, told, done))
        followed = _Followed(RunLog(folder, tracker.holds), tracker, memory, key)
        followed.remember(tracker.holds)
        return followed

    def _of(self, run: Any) -> _Followed | None:
        """What is followed, if it is this run."""
        one = self._followed
        return one if one is not None and one.memory.parent.parent == run.folder.path else None

    def _abandon(self) -> None:
        """Bring over the last words of a run that did not come to its end."""
        followed, self._followed = self._followed, None
        if followed is not None:
            self._try("closing", followed.abandon)

    def _try(self, action: str, act: Callable[[], None]) -> None:
        """Do something; after an error, say so once and do nothing more."""
        try:
            with self._guarded(action):
                act()
        except PluginError as error:
            log.warning(
                "%s. The run goes on and %s shows no more of it; the run folder holds everything.",
                *(error, self._name),
            )
            self._give_up()

    def _give_up(self) -> None:
        """Let go of a tracker that failed."""
        followed, self._followed = self._followed, None
        try:
            if followed is not None:
                with self._guarded("closing"):
                    followed.tracker.close(failed=True)
        except PluginError as error:
            log.debug("%s", error)

    @contextmanager
    def _guarded(self, action: str) -> Iterator[None]:
        """Turn any error into a ``PluginError``, and keep standard output for the run's results."""
        with isolated(self._source, action), redirect_stdout(sys.stderr):
            yield


@dataclass(frozen=True, slots=True, eq=False)
class _Followed:
    """A run and its tracker.

    Attributes:
        log: What is new in the run folder.
        tracker: Where it goes.
        memory: File that holds the key and the last step.
        key: Names the run.
    """

    log: RunLog
    tracker: Tracker
    memory: Path
    key: str

    def bring(self) -> None:
        """Write every step that is new."""
        for news in self.log.read():
            self.tracker.write(news)
            self.remember(news.step)

    def end(self) -> None:
        """Write all there is, and close."""
        self.bring()
        end = self.log.read_end()
        if end is not None:
            self.tracker.write(end)
        self.tracker.close(failed=False)

    def abandon(self) -> None:
        """Write the last steps and findings, and close."""
        self.bring()
        self.tracker.close(failed=True)

    def remember(self, step: int) -> None:
        """Write how far it has come."""
        text = json.dumps({"key": self.key, "step": step}) + "\n"
        write_atomically(self.memory, text.encode())
