"""A transport of the user's as a node uses it: synchronous or asynchronous, with acknowledgement or without.

The node calls `send`; what `receive` brings is fetched for each reader by a
thread of its own and put where the node finds it. Coroutines run on one event
loop in a thread of the carrier's, whatever thread asked for them.
"""

from __future__ import annotations

import asyncio
import atexit
import concurrent.futures
import inspect
import logging
import os
import threading
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any
from weakref import WeakSet, finalize

from sealwire.exceptions import TransportError

__all__ = ["Carrier"]

_log = logging.getLogger("sealwire.transport")

#: Seconds before a `receive` that failed is called again: at first, and at most.
_PAUSES = (0.1, 5.0)

#: A `receive` that took that many seconds is called again at once.
_WAITED = 1.0

_carriers: WeakSet[Carrier] = WeakSet()


class Carrier:
    """One transport."""

    def __init__(self, transport: Any) -> None:
        for name in ("send", "receive"):
            if not callable(getattr(transport, name, None)):
                raise TypeError(f"a transport has `send` and `receive`; {type(transport).__name__} has no `{name}`")
        self._transport = transport
        self._loop: asyncio.AbstractEventLoop | None = None
        self._lock = threading.Lock()
        self._closed = threading.Event()
        self._process = os.getpid()
        self._opened = False

    def open(self) -> None:
        """Begin: the transport's own `open` is called if it has one, and `close` when this is closed or Python ends."""
        self._call("open")
        self._opened = True
        _carriers.add(self)

    def send(self, to: str, envelope: bytes) -> None:
        """Give an envelope to the transport; raises what it raises."""
        if self._closed.is_set():
            raise TransportError("the transport is closed")
        self._wait(self._transport.send(to, envelope))

    def receive(self, to: str) -> tuple[bytes, Any] | None:
        """The next envelope for `to`, and what :meth:`acknowledge` is given for it; ``None`` if the transport gave up waiting."""
        brought = self._wait(self._transport.receive(to))
        if brought is None:
            return None
        envelope = getattr(brought, "envelope", brought)
        if not isinstance(envelope, bytes | bytearray | memoryview):
            raise TransportError(f"the transport brought {type(envelope).__name__}, but an envelope is bytes")
        return bytes(envelope), brought if callable(getattr(brought, "acknowledge", None)) else None

    def acknowledge(self, brought: Any) -> None:
        """Tell the transport that what it brought was processed."""
        self._wait(brought.acknowledge())

    def listen(self, to: str, put: Callable[[bytes, Any], bool]) -> threading.Thread:
        """Fetch what comes for `to` and `put` it, until that returns ``False`` or the carrier is closed."""
        fetching = threading.Thread(target=self._fetch, args=(to, put), name=f"sealwire {to}", daemon=True)
        fetching.start()
        return fetching

    def close(self) -> None:
        """End: nothing is sent or fetched any more, and the transport's own `close` is called if it has one. Again: nothing."""
        with self._lock:
            if self._closed.is_set() or self._process != os.getpid():
                return
            self._closed.set()
        try:
            if self._opened:
                self._call("close")
        finally:
            if self._loop is not None:
                _end(self._loop)

    def _fetch(self, to: str, put: Callable[[bytes, Any], bool]) -> None:
        pause, said = _PAUSES[0], ""
        while not self._closed.is_set():
            began, brought, trouble = time.monotonic(), None, ""
            try:
                brought = self.receive(to)
            except (asyncio.CancelledError, concurrent.futures.CancelledError):
                return
            except Exception as error:  # noqa: BLE001 -- a user's transport may raise anything, and the next call may go well
                trouble = f"{type(error).__name__}: {error}"
                waited = time.monotonic() - began > _WAITED and isinstance(error, TransportError)
                if waited or isinstance(error, TimeoutError | asyncio.TimeoutError):
                    trouble = ""  # it gave up waiting, as it may
            if brought is not None:
                pause = _PAUSES[0]
                if not put(*brought):
                    return
            elif time.monotonic() - began < _WAITED:
                self._closed.wait(pause)
                pause = min(2 * pause, _PAUSES[1])
            if trouble and trouble != said and not self._closed.is_set():
                _log.warning("the transport brings nothing for %s: %s", to, trouble)
            said = trouble

    def _call(self, name: str) -> None:
        """Call a method that a transport may have."""
        method = getattr(self._transport, name, None)
        if callable(method):
            self._wait(method())

    def _wait(self, result: Any) -> Any:
        """`result`, or what it comes to if it is to be awaited."""
        if not inspect.isawaitable(result):
            return result
        return asyncio.run_coroutine_threadsafe(_awaited(result), self._running()).result()

    def _running(self) -> asyncio.AbstractEventLoop:
        with self._lock:
            if self._loop is None:
                self._loop = asyncio.new_event_loop()
                threading.Thread(target=_run, args=(self._loop,), name="sealwire transport", daemon=True).start()
                finalize(self, _end, self._loop)
            return self._loop


async def _awaited(awaitable: Awaitable[Any]) -> Any:
    return await awaitable


def _run(loop: asyncio.AbstractEventLoop) -> None:
    asyncio.set_event_loop(loop)
    loop.run_forever()
    loop.close()


def _end(loop: asyncio.AbstractEventLoop) -> None:
    """Cancel what waits in the transport, so that the threads that wait for it end, and stop the loop."""

    async def end() -> None:
        waiting = asyncio.all_tasks() - {asyncio.current_task()}
        for task in waiting:
            task.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)
        loop.stop()

    with suppress(RuntimeError):  # it has ended before
        loop.call_soon_threadsafe(lambda: loop.create_task(end()))


@atexit.register
def _close_all() -> None:
    for carrier in list(_carriers):
        try:
            carrier.close()
        except Exception as error:  # noqa: BLE001 -- the others are to be closed, too
            _log.warning("the transport did not close: %s: %s", type(error).__name__, error)
