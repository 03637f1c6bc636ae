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
from typing import TYPE_CHECKING
from weakref import WeakValueDictionary

from sealwire.exceptions import Misdirected, SealwireError, TransportError

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
        self._change = threading.Condition()
        self._reading: set[str] = set()
        self._awaited: dict[Ref, Delivered | SealwireError | None] = {}
        self._readers: dict[Ref, str] = {}
        self._abandoned: OrderedDict[Ref, None] = OrderedDict()

    def exchange(self, endpoint: Endpoint, run: Run, sent: Sequence[Sealed]) -> list[Delivered]:
        """Carry `sent` across the transport and open each where it arrives."""
        refs = [sealed.header.ref for sealed in sent]
        self._await(sent)
        try:
            for sealed in sent:
                self._send(sealed)
            return [self._collect(endpoint, run, sealed.header.reader, sealed.header.ref) for sealed in sent]
        finally:
            self._forget(refs)

    def wake(self) -> None:
        """Make every waiting call look again whether its run was stopped."""
        with self._change:
            self._change.notify_all()

    def _send(self, sealed: Sealed) -> None:
        try:
            self.transport.send(sealed.header.reader, sealed.envelope)
        except SealwireError:
            raise
        except Exception as error:
            raise TransportError(f"the transport did not take an envelope: {type(error).__name__}: {error}") from error

    def _collect(self, endpoint: Endpoint, run: Run, reader: str, ref: Ref) -> Delivered:
        while True:
            with self._change:
                self._change.wait_for(lambda: self._settled(run, reader, ref))
                run.check()
                arrived = self._awaited[ref]
                if arrived is None:
                    self._reading.add(reader)
            if isinstance(arrived, SealwireError):
                raise arrived
            if arrived is not None:
                return arrived
            self._read(endpoint, reader)

    def _settled(self, run: Run, reader: str, ref: Ref) -> bool:
        """Whether a waiting call can go on: its message is there, or it may read itself."""
        return run.refusal is not None or self._awaited[ref] is not None or reader not in self._reading

    def _read(self, endpoint: Endpoint, reader: str) -> None:
        """Read one envelope; a failure concerns every call that waits at this reader."""
        try:
            delivered = self._receive(endpoint, reader)
        except BaseException as error:
            self._fail(reader, error)
            raise
        with self._change:
            self._reading.discard(reader)
            self._hand_over(delivered)
            self._change.notify_all()

    def _receive(self, endpoint: Endpoint, reader: str) -> Delivered | None:
        envelope = self._fetch(reader)
        message = endpoint.open(envelope)
        header = message.header
        if header.reader != reader:
            raise Misdirected(f"a message for {header.reader} was delivered to {reader}")
        with self._change:
            if header.ref in self._abandoned:
                return None
            if header.ref not in self._awaited:
                raise Misdirected(f"message {header.id.hex()[:8]} from {header.sender} was not expected there")
        return Delivered(message, envelope)

    def _fetch(self, reader: str) -> bytes:
        try:
            envelope = self.transport.receive(reader)
        except SealwireError:
            raise
        except Exception as error:
            raise TransportError(f"the transport brought nothing: {type(error).__name__}: {error}") from error
        if not isinstance(envelope, (bytes, bytearray, memoryview)):
            raise TransportError(f"the transport brought {type(envelope).__name__}, but an envelope is bytes")
        return bytes(envelope)

    def _hand_over(self, delivered: Delivered | None) -> None:
        if delivered is not None and delivered.message.header.ref in self._awaited:
            self._awaited[delivered.message.header.ref] = delivered

    def _fail(self, reader: str, error: BaseException) -> None:
        known = error if isinstance(error, SealwireError) else TransportError("reading was interrupted")
        with self._change:
            self._reading.discard(reader)
            for ref, arrived in self._awaited.items():
                if arrived is None and self._readers[ref] == reader:
                    self._awaited[ref] = known
            self._change.notify_all()

    def _await(self, sent: Sequence[Sealed]) -> None:
        with self._change:
            for sealed in sent:
                self._awaited[sealed.header.ref] = None
                self._readers[sealed.header.ref] = sealed.header.reader

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
