"""The native half of `sealwire`: keys, formats and checks."""

import os
from collections.abc import Callable, Mapping, Sequence
from typing import final

from sealwire.exceptions import SealwireError
from sealwire.settings import Nats, Tls
from sealwire.transport import Transport

__all__ = [
    "Endpoint",
    "Entry",
    "Header",
    "Home",
    "Incoming",
    "Message",
    "Node",
    "Request",
    "Sealed",
    "after_fork",
    "before_fork",
    "command",
    "python_ends",
]

_Ref = tuple[bytes, bytes]

def command(line: Sequence[str]) -> int | tuple[str, list[str]]:
    """Do what a command line says; what needs Python is returned as a module and the arguments of its `main`."""

def python_ends() -> None:
    """Let no thread of the core call Python any more, and wait, for at most 2 seconds, for those that do."""

def before_fork() -> None:
    """Wait until no thread is inside an endpoint, and close homes: they are opened again when they are used next."""

def after_fork() -> None:
    """End what :func:`before_fork` began, in parent and child."""

@final
class Endpoint:
    """Hosts agents, seals what they write and opens what is sealed for them."""

    def __new__(
        cls,
        home: str | os.PathLike[str] | None = None,
        *,
        node: str | None = None,
        policy: Callable[[Request], object] | None = None,
        audit: Callable[[Entry], object] | None = None,
        clock: Callable[[], int] | None = None,
    ) -> Endpoint: ...
    @property
    def node(self) -> str: ...
    @property
    def domain(self) -> bytes: ...
    @property
    def home(self) -> str | None: ...
    @property
    def created(self) -> bool: ...
    def host(self, name: str) -> str: ...
    def agents(self) -> list[str]: ...
    def seal(
        self,
        sender: str,
        reader: str,
        body: bytes,
        *,
        kind: str,
        thread: bytes | None = None,
        labels: Sequence[str] = ...,
        content_type: str | None = None,
        answers: _Ref | None = None,
        came_from: _Ref | None = None,
        lifetime: int | None = None,
    ) -> Sealed: ...
    def open(self, envelope: bytes) -> Message: ...
    def open_all(self, envelopes: Sequence[bytes]) -> list[Message | SealwireError]: ...
    def certificate(self, address: str) -> bytes: ...
    def introduce(self, certificate: bytes) -> str: ...
    def members(self) -> list[tuple[str, list[str], list[str]]]: ...

@final
class Home:
    """A folder with a node's keys, for what is done with it before anything is sealed."""

    def __new__(cls, path: str | os.PathLike[str], *, node: str | None = None) -> Home: ...
    @property
    def created(self) -> bool: ...
    @property
    def holds_root(self) -> bool: ...
    @property
    def node(self) -> str: ...
    def enrol(self, path: str | os.PathLike[str], node: str, agents: Sequence[str], addresses: Sequence[str]) -> None: ...
    def members(self) -> list[tuple[str, list[str], list[str]]]: ...
    def share_roster(self, path: str | os.PathLike[str]) -> bool: ...

@final
class Node:
    """Sends and receives for the agents of one endpoint, and keeps what is under way through a restart."""

    def __new__(
        cls,
        endpoint: Endpoint,
        *,
        listen: Sequence[str] = ...,
        peers: Mapping[str, str] = ...,
        via: str | Transport | None = None,
        tls: Tls | None = None,
        nats: Nats | None = None,
    ) -> Node: ...
    @property
    def endpoint(self) -> Endpoint: ...
    @property
    def listening(self) -> list[str]: ...
    @property
    def via(self) -> str | None: ...
    def host(self, name: str) -> str: ...
    def serve(
        self,
        name: str,
        handler: Callable[[Incoming], bytes | tuple[str, bytes, str | None, Sequence[str]] | None],
        *,
        at_once: int = 8,
    ) -> str: ...
    def request(
        self,
        sender: str,
        reader: str,
        body: bytes,
        *,
        kind: str,
        timeout: float,
        thread: bytes | None = None,
        labels: Sequence[str] = ...,
        content_type: str | None = None,
        answers: _Ref | None = None,
        came_from: _Ref | None = None,
        on_sent: Callable[[_Ref], object] | None = None,
        on_part: Callable[[bytes | None], object] | None = None,
        given_up: Callable[[], bool] | None = None,
    ) -> Message: ...
    def send(
        self,
        sender: str,
        reader: str,
        body: bytes,
        *,
        kind: str,
        thread: bytes | None = None,
        labels: Sequence[str] = ...,
        content_type: str | None = None,
        answers: _Ref | None = None,
        came_from: _Ref | None = None,
    ) -> _Ref: ...
    def under_way(self) -> int: ...
    def peers(self) -> list[tuple[str, str | None, bool, str | None]]: ...
    def close(self) -> None: ...

@final
class Incoming:
    """A message for a handler, which is given each at least once."""

    @property
    def message(self) -> Message: ...
    @property
    def redelivered(self) -> bool: ...
    @property
    def deadline(self) -> int: ...
    @property
    def cancelled(self) -> bool: ...
    def part(self, part: bytes) -> None: ...

@final
class Sealed:
    """An envelope and the header that was signed in it."""

    @property
    def envelope(self) -> bytes: ...
    @property
    def header(self) -> Header: ...
    @property
    def form(self) -> str: ...

@final
class Message:
    """An opened envelope."""

    @property
    def header(self) -> Header: ...
    @property
    def body(self) -> bytes: ...
    @property
    def form(self) -> str: ...

@final
class Header:
    """What the author signed."""

    @property
    def sender(self) -> str: ...
    @property
    def reader(self) -> str: ...
    @property
    def kind(self) -> str: ...
    @property
    def thread(self) -> bytes: ...
    @property
    def id(self) -> bytes: ...
    @property
    def signer(self) -> bytes: ...
    @property
    def ref(self) -> _Ref: ...
    @property
    def labels(self) -> tuple[str, ...]: ...
    @property
    def content_type(self) -> str | None: ...
    @property
    def answers(self) -> _Ref | None: ...
    @property
    def came_from(self) -> _Ref | None: ...
    @property
    def issued(self) -> int: ...
    @property
    def expires(self) -> int: ...
    def __eq__(self, other: object, /) -> bool: ...

@final
class Request:
    """What a policy function is asked."""

    @property
    def direction(self) -> str: ...
    @property
    def header(self) -> Header: ...
    @property
    def size(self) -> int: ...
    @property
    def sender(self) -> str: ...
    @property
    def reader(self) -> str: ...
    @property
    def kind(self) -> str: ...
    @property
    def labels(self) -> frozenset[str]: ...

@final
class Entry:
    """One decision, as an audit function gets it."""

    @property
    def time(self) -> int: ...
    @property
    def direction(self) -> str: ...
    @property
    def decision(self) -> str: ...
    @property
    def reason(self) -> str | None: ...
    @property
    def header(self) -> Header | None: ...
    @property
    def size(self) -> int: ...
    @property
    def form(self) -> str | None: ...
