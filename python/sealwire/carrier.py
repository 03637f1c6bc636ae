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
from typing import Any
from weakref import WeakSet, finalize

import sealwire.ending  # noqa: F401 -- registers before this does, so it is called after
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
        self._loop: _Loop | None = None
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
                self._loop.end()

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
        return self._running().submit(result).result()

    def _running(self) -> _Loop:
        with self._lock:
            if self._loop is None:
                self._loop = _Loop()
                # Not when Python ends: that comes before `_close_all`, and the transport's own `close` still needs the loop.
                finalize(self, self._loop.end).atexit = False
            return self._loop


class _Loop:
    """An event loop in a thread of its own, until it is ended."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._lock = threading.Lock()
        self._ended = False
        threading.Thread(target=self._run, name="sealwire transport", daemon=True).start()

    def submit(self, awaitable: Awaitable[Any]) -> concurrent.futures.Future[Any]:
        """Await it there. Under the lock: what comes after the end would never run, and who waits for it would wait forever."""
        coroutine = awaitable if inspect.iscoroutine(awaitable) else _awaited(awaitable)
        with self._lock:
            if not self._ended:
                return asyncio.run_coroutine_threadsafe(coroutine, self._loop)
        coroutine.close()
        raise TransportError("the transport is closed")

    def end(self) -> None:
        """Stop, after what was submitted has begun. What waits is cancelled, so that the threads that wait for it end. Again: nothing."""
        with self._lock:
            if not self._ended:
                self._ended = True
                self._loop.call_soon_threadsafe(self._loop.stop)

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_forever()
        while waiting := asyncio.all_tasks(self._loop):
            for task in waiting:
                task.cancel()
            self._loop.run_until_complete(asyncio.gather(*waiting, return_exceptions=True))
        # What had ended by itself in the last round is still to be told to who waits for it.
        self._loop.run_until_complete(asyncio.sleep(0))
        self._loop.close()


async def _awaited(awaitable: Awaitable[Any]) -> Any:
    return await awaitable


@atexit.register
def _close_all() -> None:
    for carrier in list(_carriers):
        try:
            carrier.close()
        except Exception as error:  # noqa: BLE001 -- the others are to be closed, too
            _log.warning("the transport did not close: %s: %s", type(error).__name__, error)
