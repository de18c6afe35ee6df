"""A fresh process that does what worker processes, and ``plugins list``, will do.

    python -m mfl_adapt.plugin.testing.worker < jobs > answers

Jobs are pickles that this very session wrote, each after its length; answers are lines of JSON.
The process has another hash seed and none of the session's modules, so an order that hangs on
either shows. It lists the plugin first, while nothing else has been imported.
"""

from __future__ import annotations

import json
import os
import pickle
import select
import subprocess
import sys
import time
import weakref
from collections.abc import Callable, Mapping
from contextlib import ExitStack, suppress
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from mfl_adapt.errors import PluginError
from mfl_adapt.plugin.discovery import isolated, plugin_name
from mfl_adapt.plugin.manager import Plugin, collect
from mfl_adapt.plugin.testing.outcome import fail

if TYPE_CHECKING:
    from mfl_adapt.plugin.testing.rule import Case

HEAVY = ("torch", "cv2", "numba", "diffusers", "transformers", "peft", "gsplat")
"""What listing plugins must not import."""

_LIMIT_S = 300
_LENGTH_BYTES = 8


class Worker:
    """Starts the process when it is first asked, and anew where it has died.

    Attributes:
        listing: What it saw when it listed the plugin: ``seconds`` and ``heavy``, or ``error``.
    """

    def __init__(self, entry: str) -> None:
        """Remember the plugin, as the user names it."""
        self._entry = entry
        self._stop: Callable[[], Any] | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._log: Path | None = None

    @property
    def listing(self) -> dict[str, Any]:
        """What listing the plugin imports; the process is started for it if need be."""
        if self._process is None:
            self._listing = self._start()
        return self._listing

    def ask(self, **job: Any) -> dict[str, Any]:
        """Run one job, see ``_apply``.

        Returns:
            ``value``, or ``error`` with what went wrong.
        """
        listing = self.listing
        return listing if "error" in listing else self._exchange(job)

    def close(self) -> None:
        """End the process."""
        if self._stop is not None:
            self._stop()
        self._process = self._stop = None

    def _start(self) -> dict[str, Any]:
        command = [sys.executable, "-m", "mfl_adapt.plugin.testing.worker"]
        # Where this package was found by a path of this process alone, the other must find it too.
        environ = os.environ | {"PYTHONPATH": os.pathsep.join(one for one in sys.path if one)}
        stack = ExitStack()
        pipe = subprocess.PIPE
        self._log = Path(stack.enter_context(TemporaryDirectory())) / "log.txt"
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                command, stdin=pipe, stdout=pipe, stderr=log, env=environ
            )
        stack.callback(_end, self._process)
        self._stop = weakref.finalize(self, stack.close)
        return self._exchange({"path": sys.path, "entry": self._entry})

    def _exchange(self, job: Mapping[str, Any]) -> dict[str, Any]:
        assert self._process is not None
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        text = pickle.dumps(job)
        line = b""
        with suppress(BrokenPipeError):
            self._process.stdin.write(len(text).to_bytes(_LENGTH_BYTES, "big") + text)
            self._process.stdin.flush()
            if select.select([self._process.stdout], [], [], _LIMIT_S)[0]:
                line = self._process.stdout.readline()
        if not line:
            error = self._last_words()
            self.close()
            return {"error": error}
        answer: dict[str, Any] = json.loads(line)
        return answer

    def _last_words(self) -> str:
        assert self._process is not None
        assert self._log is not None
        if self._process.poll() is None:
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(1)
        if self._process.poll() is None:
            return f"no answer within {_LIMIT_S} s"
        lines = self._log.read_text(errors="replace").strip().splitlines()
        return f"a process that ended: {lines[-1] if lines else 'without a word'}"


def _end(process: subprocess.Popen[bytes]) -> None:
    process.kill()
    process.wait()
    for stream in (process.stdin, process.stdout):
        if stream is not None:
            with suppress(BrokenPipeError):
                stream.close()


def apply_away(case: Case, call: Callable[..., Any], **values: Any) -> Any:
    """Send what belongs to a plugin to a fresh process, and return what a function makes of it.

    The rule ends as broken where something does not pickle, does not unpickle, or fails there.

    Args:
        case: The component.
        call: A function of the kit, at the top of its module; what it returns must be JSON.
        **values: Arguments of the function.
    """
    blobs = {}
    for name, value in values.items():
        sent = case.attempt("pickling", partial(pickle.dumps, value))
        if sent.error is not None:
            fail(
                f"{case.name}: {name}",
                expected="to pickle, as worker processes need",
                got=f"{type(sent.error).__name__}: {sent.error}",
                remedy="Keep no lambda, open file or lock in it; functions belong at the top of a "
                "module.",
            )
        blobs[name] = sent.value
    found = case.worker.ask(call=call, blobs=blobs)
    if "error" in found:
        fail(
            f"{case.name}: in another process",
            expected="to work as it does here",
            got=found["error"],
            remedy="Import all that it needs, and depend on nothing that this process has set.",
        )
    return found["value"]


def main() -> None:
    """Answer jobs until there are no more."""
    # Whatever a plugin prints, native code included, goes to the log instead.
    with os.fdopen(os.dup(1), "w") as answers:
        os.dup2(2, 1)
        first = _receive()
        sys.path[:] = first["path"]
        plugin, answer = _list(first["entry"])
        while True:
            answers.write(json.dumps(answer) + "\n")
            answers.flush()
            job = _receive()
            if not job:
                return
            answer = _apply(plugin, **job)


def _receive() -> dict[str, Any]:
    """Read one job; an empty one where there are no more."""
    length = sys.stdin.buffer.read(_LENGTH_BYTES)
    if not length:
        return {}
    job: dict[str, Any] = pickle.loads(sys.stdin.buffer.read(int.from_bytes(length, "big")))
    return job


def _list(entry: str) -> tuple[Plugin, dict[str, Any]]:
    start, before = time.perf_counter(), set(sys.modules)
    wanted = plugin_name(entry)
    plugin = next(one for one in collect([entry]) if one.name == wanted)
    seconds = time.perf_counter() - start
    heavy = [name for name in HEAVY if name in set(sys.modules) - before]
    return plugin, {"seconds": seconds, "heavy": heavy}


def _apply(
    plugin: Plugin, *, call: Callable[..., Any], blobs: Mapping[str, bytes]
) -> dict[str, Any]:
    """Unpickle what belongs to the plugin, and call a function of the kit with it."""
    try:
        with isolated(plugin.source, "working in another process"):
            values = {name: pickle.loads(blob) for name, blob in blobs.items()}
            return {"value": call(**values)}
    except PluginError as error:
        cause = error.__cause__ or error
        return {"error": " ".join(f"{type(cause).__name__}: {cause}".split())}


if __name__ == "__main__":
    main()
