"""Ctrl-C once: finish the step, save and stop. Twice: stop at once.

A cluster that wants its machine back sends another signal, which means the same.
"""

import logging
import signal
import threading
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
        self._previous: dict[signal.Signals, Any] = {}

    def __enter__(self) -> "GracefulStop":
        """Take over Ctrl-C."""
        if threading.current_thread() is threading.main_thread():
            for one in SIGNALS:
                self._previous[one] = signal.signal(one, self._on_signal)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Give Ctrl-C back."""
        for one, handler in self._previous.items():
            # A handler that was not set by Python cannot be set again.
            signal.signal(one, signal.SIG_DFL if handler is None else handler)

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        if self.requested:
            raise KeyboardInterrupt
        self.requested = True
        log.warning("stopping after this step; press Ctrl-C again to stop without saving")
