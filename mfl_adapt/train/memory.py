"""How much memory there is, was and may be: sizes as people write them, and peaks."""

from __future__ import annotations

import re
import resource
import sys
import threading
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import torch

from mfl_adapt.errors import RangeError

_UNITS = {"KB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12} | {
    "KiB": 2**10,
    "MiB": 2**20,
    "GiB": 2**30,
    "TiB": 2**40,
}
_SIZE = re.compile(r"([0-9]+(?:\.[0-9]+)?) ?([KMGT]i?B)")
_LOOK_S = 0.002
"""Seconds between two looks at the memory of the process."""


def parse_size(text: str, where: str) -> int:
    """Read a size in bytes as people write it: ``12GB``, ``12GiB``, ``1.5 GB``, ``800MB``.

    Args:
        text: A number and a unit, of which GB counts in thousands and GiB in 1024s.
        where: What it is for, for the message.

    Raises:
        RangeError: If it is anything else, or 0.
    """
    match = _SIZE.fullmatch(text.strip())
    size = int(float(match[1]) * _UNITS[match[2]]) if match else 0
    if size <= 0:
        raise RangeError(
            f"{where}: expected a size above 0 such as 12GB, 12GiB or 800MB, got {text!r}. "
            "Write a number and a unit."
        )
    return size


def show_size(size: float) -> str:
    """Return a size in bytes with three digits and a unit of thousands."""
    for unit in ("GB", "MB"):
        if size >= _UNITS[unit]:
            value = size / _UNITS[unit]
            return f"{value:.{max(0, 2 - len(str(int(value))) + 1)}f} {unit}"
    return f"{size / 1000:.0f} kB"


def resident() -> int:
    """Return the bytes of memory that this process holds now; where unknown, its greatest."""
    try:
        pages = Path("/proc/self/statm").read_text(encoding="ascii").split()[1]
    except OSError:
        return _most_ever()
    return int(pages) * resource.getpagesize()


class PeakMemory:
    """Watches the memory of a ``with`` block: of a CUDA device, else of this process.

    Attributes:
        before: Bytes in use at its begin.
        peak: Most bytes in use meanwhile.
        reserved: Most bytes that torch held on a CUDA device; elsewhere the same as ``peak``.
    """

    def __init__(self, device: torch.device) -> None:
        """Watch a device."""
        self._device = device
        self.before = self.peak = self.reserved = 0
        self._done = threading.Event()
        self._watcher = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> Self:
        """Begin to watch."""
        if self._device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(self._device)
            self.before = torch.cuda.memory_allocated(self._device)
            return self
        self.before = self.peak = resident()
        self._highest = _most_ever()
        self._watcher.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Take the peak."""
        if self._device.type == "cuda":
            self.peak = torch.cuda.max_memory_allocated(self._device)
            self.reserved = torch.cuda.max_memory_reserved(self._device)
            return
        self._done.set()
        self._watcher.join()
        highest = _most_ever()
        # The system's own record is exact, but it is that of the whole life of the process.
        self.peak = max(self.peak, resident(), highest if highest > self._highest else 0)
        self.reserved = self.peak

    @property
    def growth(self) -> int:
        """Bytes that the block took beside what was there."""
        return max(0, self.peak - self.before)

    @property
    def on_device(self) -> bool:
        """Whether it is the memory of a CUDA device, not that of the process."""
        return self._device.type == "cuda"

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON values."""
        whose = "device" if self.on_device else "process"
        sizes = {"before": self.before, "peak": self.peak, "reserved": self.reserved}
        return {"of": whose, **{f"{name}_bytes": size for name, size in sizes.items()}}

    def _watch(self) -> None:
        while not self._done.wait(_LOOK_S):
            self.peak = max(self.peak, resident())


def _most_ever() -> int:
    """Most memory that this process ever held."""
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most if sys.platform == "darwin" else most * 1024
