"""The log: what passed between the agents of a sealed crew, without content."""

from __future__ import annotations

import threading
from collections import deque
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from sealwire._sealwire import Header, Message
    from sealwire.crewai.post import Delivered

__all__ = ["Log", "Record"]

#: Messages that are kept. A crew of ten tasks makes about a hundred in a
#: kickoff; a service that runs for months must not grow with them.
KEPT = 100_000

#: Bytes of each envelope that are kept, enough to show what a wire sees.
_SHOWN = 32


class Record(NamedTuple):
    """One message that was sealed, carried, opened and allowed.

    `size` is the length of the body, `wire_size` that of the envelope, both in
    bytes (``None`` for what a node carried); `form` is ``opening`` or ``lane``; `answers` and `came_from` name
    other messages by signer and id.
    """

    sender: str
    reader: str
    kind: str
    thread: bytes
    id: bytes
    signer: bytes
    labels: tuple[str, ...]
    size: int
    form: str
    answers: tuple[bytes, bytes] | None
    came_from: tuple[bytes, bytes] | None
    wire_size: int | None
    first_bytes: bytes

    @property
    def ref(self) -> tuple[bytes, bytes]:
        """How other messages name this one."""
        return (self.signer, self.id)


class _Passed(NamedTuple):
    """A message that passed, as it is kept: records are made of these for those who ask."""

    header: Header
    size: int
    form: str
    wire_size: int | None
    first_bytes: bytes

    def record(self) -> Record:
        header = self.header
        return Record(
            sender=header.sender,
            reader=header.reader,
            kind=header.kind,
            thread=header.thread,
            id=header.id,
            signer=header.signer,
            labels=tuple(header.labels),
            size=self.size,
            form=self.form,
            answers=header.answers,
            came_from=header.came_from,
            wire_size=self.wire_size,
            first_bytes=self.first_bytes,
        )


class Log:
    """The latest messages of a sealed crew, in the order they were opened; `outer` gets them too."""

    def __init__(self, outer: Log | None = None) -> None:
        self._outer = outer
        self._lock = threading.Lock()
        self._kept: deque[_Passed] = deque(maxlen=KEPT)
        self._count = 0

    @property
    def count(self) -> int:
        """How many messages passed, also those that are not kept any more."""
        return self._count

    def add(self, delivered: Delivered) -> None:
        """Note a message that passed."""
        message, envelope = delivered.message, delivered.envelope
        self._keep(_Passed(message.header, len(message.body), message.form, len(envelope), envelope[:_SHOWN]))

    def add_reply(self, message: Message) -> None:
        """Note what an agent on another host has said; its envelope has gone with the node that opened it."""
        self._keep(_Passed(message.header, len(message.body), message.form, None, b""))

    def records(self) -> list[Record]:
        """All that is kept, oldest first."""
        with self._lock:
            kept = list(self._kept)
        return [passed.record() for passed in kept]

    def _keep(self, passed: _Passed) -> None:
        with self._lock:
            self._kept.append(passed)
            self._count += 1
        if self._outer is not None:
            self._outer._keep(passed)
