"""How a command that runs until it is stopped is stopped: by SIGTERM, or by Ctrl-C."""

from __future__ import annotations

import signal
import threading
from types import FrameType

__all__ = ["Stopping"]

#: The exit code after SIGTERM.
_STOPPED = 0

#: The exit code after Ctrl-C, as a shell gives it.
_INTERRUPTED = 128 + signal.SIGINT


class Stopping:
    """From now on the two signals are heard here. `code` is the exit code of the last one."""

    def __init__(self) -> None:
        self.code = _STOPPED
        self.event = threading.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._stop)

    def _stop(self, number: int, _: FrameType | None) -> None:
        self.code = _INTERRUPTED if number == signal.SIGINT else _STOPPED
        self.event.set()
