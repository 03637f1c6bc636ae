"""Transports: what carries envelopes from one agent to another.

Any object with these two methods will do; sealwire hands it nothing but
sealed bytes, so a transport needs to be trusted with nothing but delivery.
:mod:`sealwire.conformance` tells whether one does what is expected of it.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Awaitable
from typing import Protocol, runtime_checkable

from sealwire.exceptions import TransportError

__all__ = ["Delivery", "MemoryTransport", "Transport"]

#: Envelopes that may wait for one reader. A crew keeps about one in flight for
#: each task that runs at the same time; a longer queue means nobody reads.
CAPACITY = 1024

#: Seconds to wait for an envelope. Within one process it is there at once;
#: when it is not, it was lost, and waiting longer would only look like a hang.
TIMEOUT = 10.0


@runtime_checkable
class Transport(Protocol):
    """Carries envelopes. Both methods are called from several threads.

    As the transport of a crew in one process, both return what is said here.
    As the transport of a :class:`~sealwire.Node` (`via=`) they may be
    coroutine functions, too: all of them run on one event loop of the node's.
    There, `receive` may return a :class:`Delivery`, and methods `open()` and
    `close()` are called before the first and after the last envelope if there
    are any.
    """

    def send(self, to: str, envelope: bytes) -> Awaitable[None] | None:
        """Take `envelope` for the reader whose address is `to`, or raise. A node tries again what raised."""

    def receive(self, to: str) -> bytes | Delivery | Awaitable[bytes | Delivery | None] | None:
        """Wait for the next envelope for `to` and return it.

        Raise :class:`~sealwire.TransportError` when none comes in time: a
        transport that waits for ever keeps a crew waiting for ever. A node
        asks again, and takes ``None`` and :class:`TimeoutError` for the same.
        """


@runtime_checkable
class Delivery(Protocol):
    """An envelope that is brought again until it was acknowledged, by a transport that can do so."""

    @property
    def envelope(self) -> bytes:
        """The envelope."""

    def acknowledge(self) -> Awaitable[None] | None:
        """It was processed. Until then, a process that dies or is killed leaves it to the next one."""


class MemoryTransport:
    """Envelopes wait in this process, in one bounded queue for each reader."""

    def __init__(self, *, capacity: int = CAPACITY, timeout: float = TIMEOUT) -> None:
        self._capacity = capacity
        self._timeout = timeout
        self._queues: dict[str, deque[bytes]] = {}
        self._arrival = threading.Condition()

    def send(self, to: str, envelope: bytes) -> None:
        """Queue `envelope` for `to`; refuse when the queue is full."""
        with self._arrival:
            queue = self._queues.setdefault(to, deque())
            if len(queue) >= self._capacity:
                raise TransportError(f"{len(queue)} envelopes already wait for {to}")
            queue.append(bytes(envelope))
            self._arrival.notify_all()

    def receive(self, to: str) -> bytes:
        """Return the envelope that has waited longest for `to`."""
        with self._arrival:
            if not self._arrival.wait_for(lambda: self._queues.get(to), self._timeout):
                raise TransportError(f"no envelope for {to} within {self._timeout:g} s")
            return self._queues[to].popleft()
