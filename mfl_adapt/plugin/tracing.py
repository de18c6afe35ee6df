"""Shows what plugins do while a program runs: every hook, and every call of a component.

    calls = []
    with trace(calls.append):
        run_training(...)

What is loaded and built while a trace is on reports to it, wherever that happens; without one,
nothing is wrapped and nothing costs time. Calls in other processes are not seen.
"""

from __future__ import annotations

import inspect
import itertools
import os
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from types import ModuleType
from typing import TYPE_CHECKING, Any, TypeVar

from mfl_adapt.plugin.described import Described, describe_value
from mfl_adapt.plugin.hookspecs import PROJECT
from mfl_adapt.plugin.wrapping import arguments_of, wrap_component, wrap_function

if TYPE_CHECKING:
    import pluggy

    from mfl_adapt.plugin.discovery import Candidate
    from mfl_adapt.plugin.registry import Resolved

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """Whose code is called.

    Attributes:
        plugin: Name of the plugin; empty for a hook that no active plugin implements.
        distribution: Distribution or file that supplies it.
        version: Version of the distribution; empty for a file.
        slot: Word for the component's slot; empty for a hook.
        component: Full name of the component; empty for a hook.
    """

    plugin: str = ""
    distribution: str = ""
    version: str = ""
    slot: str = ""
    component: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One call, once it has ended.

    Attributes:
        number: Position in the order in which calls began, from 1.
        source: Whose code ran.
        method: Name of the hook or method; ``build`` makes a component, ``read`` is a reader's.
        arguments: What was given, by name.
        result: What came back; None after an error.
        error: Type and message of what was raised; else empty.
        at_s: Seconds from the start of the trace to the call's.
        seconds: How long it took.
        own_seconds: The same without calls that were made from within.
        depth: How many other calls it was made from within.
    """

    number: int
    source: Source
    method: str
    arguments: Mapping[str, Described]
    result: Described
    error: str
    at_s: float
    seconds: float
    own_seconds: float
    depth: int


class _Frame:
    """A call that runs, on top of those it was made from within; afterwards, how it went."""

    def __init__(self, key: tuple[Source, str], frames: list[_Frame]) -> None:
        self.key, self.depth, self.error = key, len(frames), ""
        self.started = self.seconds = self.inner_seconds = 0.0
        self._frames = frames

    def __enter__(self) -> None:
        self._frames.append(self)
        self.started = time.perf_counter()

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        self.seconds = time.perf_counter() - self.started
        self._frames.pop()
        if self._frames:
            self._frames[-1].inner_seconds += self.seconds
        if error is not None:
            self.error = f"{type(error).__name__}: {' '.join(str(error).split())}"


class Tracer:
    """Measures calls and hands each to a sink when it ends."""

    def __init__(self, sink: Callable[[Call], None]) -> None:
        """Start the clock.

        Args:
            sink: Gets every call, one at a time; of nested ones the inner first.
        """
        self._sink, self._lock = sink, threading.Lock()
        self._numbers, self._started = itertools.count(1), time.perf_counter()
        self._process, self._threads = os.getpid(), threading.local()

    def call(
        self,
        source: Source,
        method: str,
        arguments: Mapping[str, Any],
        run: Callable[[], T],
        *,
        ends_with: object = None,
    ) -> T:
        """Run something and report it.

        A method that calls itself is one call. In a process that was forked it runs unseen.

        Args:
            source: Whose code it is.
            method: How the report calls it.
            arguments: What it was given; described before it runs.
            run: Does it.
            ends_with: A result that means that there was nothing to do, and is not reported.
        """
        frames: list[_Frame] = self._threads.__dict__.setdefault("frames", [])
        key = (source, method)
        if os.getpid() != self._process or (frames and frames[-1].key == key):
            return run()
        described = {name: describe_value(value) for name, value in arguments.items()}
        number, frame, result = next(self._numbers), _Frame(key, frames), None
        try:
            with frame:
                result = run()
        finally:
            if ends_with is None or result is not ends_with:
                self._report(number, frame, described, describe_value(result))
        return result

    def _report(
        self, number: int, frame: _Frame, arguments: dict[str, Described], result: Described
    ) -> None:
        source, method = frame.key
        done = Call(
            number=number,
            source=source,
            method=method,
            arguments=arguments,
            result=result,
            error=frame.error,
            at_s=frame.started - self._started,
            seconds=frame.seconds,
            own_seconds=max(0.0, frame.seconds - frame.inner_seconds),
            depth=frame.depth,
        )
        with self._lock:
            self._sink(done)

    def hook_called(
        self, name: str, listeners: Sequence[Any], arguments: Mapping[str, Any]
    ) -> None:
        """Report a hook that nobody implements; whoever does reports for himself."""
        if not listeners:
            self.call(Source(), name, arguments, lambda: None)

    def hook_returned(
        self, outcome: Any, name: str, listeners: Sequence[Any], arguments: Mapping[str, Any]
    ) -> None:
        """Do nothing: pluggy asks for both ends of a call."""


_CURRENT: ContextVar[Tracer | None] = ContextVar("mfl_adapt_tracer", default=None)


@contextmanager
def trace(sink: Callable[[Call], None]) -> Iterator[Tracer]:
    """Report what plugins that are loaded and built from here on do, to the end of the block.

    Args:
        sink: Gets every call when it ends.

    Yields:
        The tracer.
    """
    tracer = Tracer(sink)
    token = _CURRENT.set(tracer)
    try:
        yield tracer
    finally:
        _CURRENT.reset(token)


def watch(manager: pluggy.PluginManager) -> None:
    """Let a new manager report its hook calls, if a trace is on."""
    tracer = _CURRENT.get()
    if tracer is not None:
        manager.add_hookcall_monitoring(tracer.hook_called, tracer.hook_returned)


def hear(module: ModuleType, candidate: Candidate) -> ModuleType:
    """Return a plugin's module to be registered: itself, or with hooks that report to the trace."""
    tracer = _CURRENT.get()
    if tracer is None:
        return module
    source = Source(
        plugin=candidate.name, distribution=candidate.distribution, version=candidate.version
    )
    heard = ModuleType(module.__name__, module.__doc__)
    for name, value in vars(module).items():
        if inspect.isroutine(value) and hasattr(value, f"{PROJECT}_impl"):
            setattr(heard, name, wrap_function(value, tracer, source, name))
    return heard


def build(found: Resolved[Any], make: Callable[[Any], Any], settings: Any) -> Any:
    """Make a component; if a trace is on, one whose calls are reported."""
    tracer = _CURRENT.get()
    if tracer is None:
        return make(settings)
    from mfl_adapt.plugin.validation import slot_of

    source = Source(
        plugin=found.plugin,
        distribution=found.distribution,
        version=found.version,
        slot=slot_of(found.spec),
        component=found.name,
    )
    built = tracer.call(source, "build", arguments_of(make, settings), lambda: make(settings))
    return wrap_component(built, tracer, source)
