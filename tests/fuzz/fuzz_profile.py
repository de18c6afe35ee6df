"""How parsers are fuzzed: the number of inputs, the guards, and what counts as a fault.

Every parser of the package is a ``Target``. A fault is anything but a value that keeps the
parser's promises or one ``MflAdaptError`` of one line: another exception, a hang, a file that
makes it reserve memory out of all proportion, a value that should have been refused.
"""

import os
import resource
import signal
from collections.abc import Callable
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, given, note, settings
from hypothesis.strategies import SearchStrategy

from mfl_adapt.errors import MflAdaptError

NORMAL = 200
MANY = int(os.environ.get("MFL_FUZZ_EXAMPLES", "10000"))
LONGEST_S = 20
"""No input here has more than some kilobytes; a parser that needs this long for one hangs."""
MOST_MEMORY = 2 << 30
"""Bytes of address space that parsing a few kilobytes may add."""
LONGEST_MESSAGE = 3000


@dataclass(frozen=True)
class Target:
    """A parser with what it promises.

    Attributes:
        name: What it reads.
        inputs: Contents of the file.
        parse: Takes an empty-handed folder and the content, and returns what the parser made.
        check: Holds the value to the parser's promises.
        prepare: Puts into the folder, once, what the parser finds beside its file.
    """

    name: str
    inputs: SearchStrategy[bytes]
    parse: Callable[[Path, bytes], Any]
    check: Callable[[Any], None]
    prepare: Callable[[Path], None] = lambda folder: None


def profile(examples: int) -> settings:
    """The settings of all fuzz tests.

    The normal run is the same every time; the long one looks somewhere else each time, and prints
    how to see a failing input again.
    """
    return settings(
        max_examples=examples,
        derandomize=examples <= NORMAL,
        deadline=None,
        database=None,
        print_blob=True,
        suppress_health_check=list(HealthCheck),
    )


def hunt(target: Target, examples: int, folder: Path) -> tuple[int, int]:
    """Give a parser many inputs; return how many it took and how many it refused."""
    counts = [0, 0]
    target.prepare(folder)

    @profile(examples)
    @given(target.inputs)
    def one(content: bytes) -> None:
        note(f"the file: {content[:4000]!r}")
        counts[judge(target, content, folder)] += 1

    with bounded_memory():
        one()
    return counts[0], counts[1]


def judge(target: Target, content: bytes, folder: Path) -> bool:
    """Parse one input; return whether it was refused, as it should be."""
    with bounded_time():
        try:
            value = target.parse(folder, content)
        except MflAdaptError as error:
            text = str(error)
            assert text, "a message says something"
            assert text.isprintable(), f"one line that any terminal can show: {text!r}"
            assert len(text) < LONGEST_MESSAGE, f"a message of {len(text)} characters"
            return True
        target.check(value)
    return False


@contextmanager
def bounded_time():
    """Fail where a single input takes too long."""

    def stop(*_):
        raise AssertionError(f"one input took more than {LONGEST_S} s")

    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, LONGEST_S)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


@contextmanager
def bounded_memory():
    """Let a parser that reserves far more than its input could fill meet a ``MemoryError``."""
    now = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    before = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (now + MOST_MEMORY, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, before)
