"""How a command that runs until it is stopped is stopped: by SIGTERM, or by Ctrl-C."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import threading
from types import FrameType
from typing import ClassVar

__all__ = ["Stopping"]

#: The exit code after SIGTERM.
_STOPPED = 0

#: The exit code after Ctrl-C, as a shell gives it.
_INTERRUPTED = 128 + signal.SIGINT

_SIGNALS = (signal.SIGTERM, signal.SIGINT)


class Stopping:
    """While it is entered, the two signals are heard here. `code` is the exit code of the last one.

    A wait for a lock, as in ``threading.Event``, goes on when the system gives a signal to another thread, or just before the wait
    begins: Python's handler runs in the thread that waits. So what is waited for is the byte that Python's own handler writes in
    whatever thread it is (``signal.set_wakeup_fd``): the signal's number.
    """

    _entered: ClassVar[Stopping | None] = None

    def __init__(self) -> None:
        self.code = _STOPPED
        self._heard, self._told = socket.socketpair()
        self._told.setblocking(False)

    def __enter__(self) -> Stopping:
        """Begin to hear them."""
        self._told_before = signal.set_wakeup_fd(self._told.fileno(), warn_on_full_buffer=False)
        self._before = {number: signal.signal(number, _nothing_more) for number in _SIGNALS}
        Stopping._entered = self
        return self

    def __exit__(self, *_: object) -> None:
        """Leave them to whoever heard them before."""
        Stopping._entered = None
        for number, handler in self._before.items():
            signal.signal(number, signal.SIG_DFL if handler is None else handler)
        signal.set_wakeup_fd(self._told_before)
        self._heard.close()
        self._told.close()

    def wait(self, seconds: float | None = None) -> bool:
        """Wait until it is stopped, or for so many seconds. Returns whether it is stopped."""
        self._heard.settimeout(seconds)
        with contextlib.suppress(TimeoutError):
            while number := self._heard.recv(1)[0]:
                if number in _SIGNALS:
                    self.code = _INTERRUPTED if number == signal.SIGINT else _STOPPED
                    return True
        return False

    def stop(self) -> None:
        """Stop as SIGTERM does, from any thread."""
        with contextlib.suppress(BlockingIOError):  # as many bytes wait already
            self._told.send(bytes([signal.SIGTERM]))


def _nothing_more(_number: int, _frame: FrameType | None) -> None:
    pass


# --- a process that a tool forks is ended by its own signals, and writes nothing to the socket of this one ------------------------

_forking = threading.local()


def _before_fork() -> None:
    """Hold back what the child is sent until it hears it itself."""
    _forking.mask = signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)


def _in_parent() -> None:
    signal.pthread_sigmask(signal.SIG_SETMASK, _forking.mask)


def _in_child() -> None:
    if Stopping._entered is not None:
        Stopping._entered.__exit__()
    signal.pthread_sigmask(signal.SIG_SETMASK, _forking.mask)


if hasattr(os, "register_at_fork"):  # not on Windows, where nothing forks
    os.register_at_fork(before=_before_fork, after_in_parent=_in_parent, after_in_child=_in_child)
