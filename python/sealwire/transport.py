"""Transports: what carries envelopes from one agent to another.

Any object with these two methods will do; sealwire hands it nothing but
sealed bytes, so a transport needs to be trusted with nothing but delivery.
"""

from __future__ import annotations

import threading
from collections import deque
from typing import Protocol, runtime_checkable

from sealwire.exceptions import TransportError

__all__ = ["MemoryTransport", "Transport"]

#: Envelopes that may wait for one reader. A crew keeps about one in flight for
#: each task that runs at the same time; a longer queue means nobody reads.
CAPACITY = 1024

#: Seconds to wait for an envelope. Within one process it is there at once;
#: when it is not, it was lost, and waiting longer would only look like a hang.
TIMEOUT = 10.0


@runtime_checkable
class Transport(Protocol):
    """Carries envelopes. Both methods are called from several threads."""

    def send(self, to: str, envelope: bytes) -> None:
        """Take `envelope` for the reader whose address is `to`, or raise."""

    def receive(self, to: str) -> bytes:
        """Wait for the next envelope for `to` and return it.

        Raise :class:`~sealwire.TransportError` when none comes in time: a
        transport that waits for ever keeps a crew waiting for ever.
        """


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
