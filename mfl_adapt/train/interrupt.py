"""Ctrl-C once: finish the step, save and stop. Twice: stop at once.

A cluster that wants its machine back sends another signal, which means the same.
"""

import logging
import signal
import threading
from collections.abc import Sequence
from types import FrameType, TracebackType
from typing import Any

log = logging.getLogger(__name__)

SIGNALS = (signal.SIGINT, signal.SIGTERM)


class GracefulStop:
    """Context in which the first Ctrl-C only raises a flag.

    Outside the main thread signals cannot be caught; there the flag simply stays down.

    Attributes:
        requested: True once the user asked to stop.
    """

    def __init__(self) -> None:
        self.requested = False
        self._is_late = False
        self._previous: dict[signal.Signals, Any] = {}

    def __enter__(self) -> "GracefulStop":
        """Take over Ctrl-C."""
        if threading.current_thread() is threading.main_thread():
            for one in SIGNALS:
                # A handler that was not set by Python cannot be set again.
                self._previous[one] = signal.signal(one, self._on_signal) or signal.SIG_DFL
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Give Ctrl-C back."""
        for one, handler in self._previous.items():
            signal.signal(one, self._on_late_signal if self._is_late else handler)

    def agreed(self, requested: Sequence[bool]) -> bool:
        """Return whether any process was asked to stop, as each may be, one after the other.

        Args:
            requested: What the flags of all processes were at the same moment.
        """
        self._is_late = any(requested) and not self.requested
        return any(requested)

    def _on_late_signal(self, number: int, frame: FrameType | None) -> None:
        """Let the signal pass that made other processes stop before; the next one is meant."""
        for one, handler in self._previous.items():
            signal.signal(one, handler)

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        if self.requested:
            raise KeyboardInterrupt
        self.requested = True
        log.warning("stopping after this step; press Ctrl-C again to stop without saving")
