"""The post: sends envelopes over a transport and gives each waiting call its own message.

Several hand-offs to one reader may be under way at the same time, and a
transport may deliver them in any order. Whoever waits first reads for all:
what is for another call is put aside for it. A message nobody here waits for
is refused, and so is one that was opened for another reader than it was
fetched for.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import repeat
from typing import TYPE_CHECKING, Any
from weakref import WeakValueDictionary

from sealwire.carrier import Carrier
from sealwire.exceptions import Misdirected, SealwireError, TransportError
from sealwire.telemetry import span

if TYPE_CHECKING:
    from sealwire._sealwire import Endpoint, Message, Sealed
    from sealwire.crewai.run import Run
    from sealwire.transport import Transport

    Ref = tuple[bytes, bytes]

__all__ = ["Delivered", "Post", "post_for"]

#: Messages of stopped calls that are still let pass unread when they arrive.
_ABANDONED = 4096


@dataclass(frozen=True)
class Delivered:
    """A message and the envelope it came in."""

    message: Message
    envelope: bytes


class Post:
    """All sealed calls of this process that use one transport."""

    def __init__(self, transport: Transport) -> None:
        self.transport = transport
        self._carrier = Carrier(transport)
        self._change = threading.Condition()
        self._reading: set[str] = set()
        self._awaited: dict[Ref, Delivered | SealwireError | None] = {}
        self._readers: dict[Ref, str] = {}
        self._abandoned: OrderedDict[Ref, None] = OrderedDict()

    def exchange(self, endpoint: Endpoint, run: Run, sent: Sequence[Sealed]) -> list[Delivered]:
        """Carry `sent`, all for one reader, across the transport and open each where it arrives."""
        reader, refs = sent[0].header.reader, [sealed.header.ref for sealed in sent]
        self._await(reader, refs)
        try:
            for sealed in sent:
                self._send(sealed)
            return self._collect(endpoint, run, reader, refs)
        finally:
            self._forget(refs)

    def wake(self) -> None:
        """Make every waiting call look again whether its run was stopped."""
        with self._change:
            self._change.notify_all()

    def _send(self, sealed: Sealed) -> None:
        try:
            self._carrier.send(sealed.header.reader, sealed.envelope)
        except SealwireError:
            raise
        except Exception as error:
            raise TransportError(f"the transport did not take an envelope: {type(error).__name__}: {error}") from error

    def _collect(self, endpoint: Endpoint, run: Run, reader: str, refs: Sequence[Ref]) -> list[Delivered]:
        while True:
            with self._change:
                self._change.wait_for(lambda: self._settled(run, reader, refs))
                run.check()
                delivered = [one for one in map(self._arrived, refs) if one is not None]
                if len(delivered) == len(refs):
                    return delivered
                self._reading.add(reader)
            self._read(endpoint, reader, len(refs) - len(delivered))

    def _settled(self, run: Run, reader: str, refs: Sequence[Ref]) -> bool:
        """Whether a waiting call can go on: its messages are there, one failed, or it may read itself."""
        arrived = [self._awaited[ref] for ref in refs]
        failed = any(isinstance(one, SealwireError) for one in arrived)
        return failed or run.refusal is not None or None not in arrived or reader not in self._reading

    def _arrived(self, ref: Ref) -> Delivered | None:
        """A message if it is there; raises what came in its place."""
        one = self._awaited[ref]
        if isinstance(one, SealwireError):
            raise one
        return one

    def _read(self, endpoint: Endpoint, reader: str, count: int) -> None:
        """Read as many envelopes as are missing and open them together; a failure concerns every call that waits at this reader."""
        try:
            brought = [self._fetch(reader) for _ in range(count)]
            envelopes = [envelope for envelope, _ in brought]
            with span("open", agent=reader, count=len(envelopes), size=sum(map(len, envelopes))):
                opened = endpoint.open_all(envelopes)
            for receipt in (receipt for _, receipt in brought if receipt is not None):
                self._carrier.acknowledge(receipt)
            with self._change:
                self._reading.discard(reader)
                refused = [no for no in map(self._hand_over, repeat(reader), envelopes, opened) if no is not None]
                self._change.notify_all()
            if refused:
                raise refused[0]
        except BaseException as error:
            self._fail(reader, error)
            raise

    def _hand_over(self, reader: str, envelope: bytes, opened: Message | SealwireError) -> SealwireError | None:
        """Put a message where its call finds it; return why it is refused, if it is."""
        if isinstance(opened, SealwireError):
            return opened
        header = opened.header
        if header.reader != reader:
            return Misdirected(f"a message for {header.reader} was delivered to {reader}")
        if header.ref in self._awaited:
            self._awaited[header.ref] = Delivered(opened, envelope)
        elif header.ref not in self._abandoned:
            return Misdirected(f"message {header.id.hex()[:8]} from {header.sender} was not expected there")
        return None

    def _fetch(self, reader: str) -> tuple[bytes, Any]:
        """The next envelope, and what is acknowledged when it was opened."""
        try:
            brought = self._carrier.receive(reader)
        except SealwireError:
            raise
        except Exception as error:
            raise TransportError(f"the transport brought nothing: {type(error).__name__}: {error}") from error
        if brought is None:
            raise TransportError("the transport brought NoneType, but an envelope is bytes")
        return brought

    def _fail(self, reader: str, error: BaseException) -> None:
        known = error if isinstance(error, SealwireError) else TransportError("reading was interrupted")
        with self._change:
            self._reading.discard(reader)
            for ref, arrived in self._awaited.items():
                if arrived is None and self._readers[ref] == reader:
                    self._awaited[ref] = known
            self._change.notify_all()

    def _await(self, reader: str, refs: Sequence[Ref]) -> None:
        with self._change:
            for ref in refs:
                self._awaited[ref] = None
                self._readers[ref] = reader

    def _forget(self, refs: Sequence[Ref]) -> None:
        """Drop what was collected; what was given up may still arrive, and is let pass then."""
        with self._change:
            for ref in refs:
                self._readers.pop(ref)
                if not isinstance(self._awaited.pop(ref), Delivered):
                    self._abandoned[ref] = None
            while len(self._abandoned) > _ABANDONED:
                self._abandoned.popitem(last=False)


# By the identity of the transport, which its post keeps alive.
_posts: WeakValueDictionary[int, Post] = WeakValueDictionary()
_lock = threading.Lock()


def post_for(transport: Transport) -> Post:
    """The post of `transport`; one for each, or two would take each other's messages."""
    with _lock:
        post = _posts.get(id(transport))
        if post is None:
            post = _posts[id(transport)] = Post(transport)
        return post
