"""``sealwire.toml``, the file beside a home that says how its node is reached, and what says the same in its place.

An argument comes before an environment variable, and that before the file.
Nothing has to be there: then nodes talk over TCP. What the file says is taken
as a whole or refused; a key that nobody knows is a slip, and named.
"""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sealwire import toml
from sealwire.exceptions import SettingsError

if TYPE_CHECKING:
    from sealwire._sealwire import Endpoint, Node
    from sealwire.transport import Transport

__all__ = ["FILE", "Nats", "NodeSettings", "Tls", "node_settings"]

#: The file's name; it lies beside the home, not in it.
FILE = "sealwire.toml"

#: Environment variables that come before the file.
VIA = "SEALWIRE_VIA"
_USER, _PASSWORD, _TOKEN = "SEALWIRE_NATS_USER", "SEALWIRE_NATS_PASSWORD", "SEALWIRE_NATS_TOKEN"

#: What `via` begins with if it names Python code.
_PYTHON = "python:"

_TABLES = ("agents", "node")


@dataclass(frozen=True)
class Tls:
    """Certificates of the user's own, in PEM files: for ``tls://`` in place of the nodes' keys, and for a NATS server."""

    authority: Path | None = None
    """The authority whose certificates are trusted."""
    certificate: Path | None = None
    """What this side shows."""
    key: Path | None = None
    """The key of `certificate`."""

    def __post_init__(self) -> None:
        """Refuse half of what this side shows: nothing would be shown then."""
        if (self.certificate is None) != (self.key is None):
            raise SettingsError("[node.tls], or `Tls`, needs `certificate` and `key` together")


@dataclass(frozen=True)
class Nats:
    """How to log in to a NATS server, and what a stream of JetStream keeps when it is made."""

    user: str | None = None
    password: str | None = field(default=None, repr=False)
    token: str | None = field(default=None, repr=False)
    prefix: str | None = None
    """The first word of all subjects and the name of the stream; ``sealwire`` unless something is said."""
    replicas: int | None = None
    """Servers that keep each envelope, in a cluster: 1."""
    most_bytes: int | None = None
    """Bytes of all envelopes that wait: 1 GiB."""
    most_parcels: int | None = None
    """Envelopes that wait for one agent: 16,384."""

    def __post_init__(self) -> None:
        """Refuse half a login, which would be none, and two."""
        if (self.user is None) != (self.password is None):
            raise SettingsError(
                f"a NATS server asks for a user and a password: give `user` and `password-file` in [node.nats], or {_USER} and {_PASSWORD}"
            )
        if self.user is not None and self.token is not None:
            raise SettingsError("a NATS server asks for a user and a password or for a token, and both are given")


@dataclass(frozen=True)
class NodeSettings:
    """How a node is reached and reaches others."""

    listen: tuple[str, ...] | None = None
    """Where connections are taken; ``None`` if nothing was said."""
    via: str | Transport | None = None
    """What the node goes through instead: a location such as ``jetstream://host:4222``, or a transport."""
    peers: Mapping[str, str] = field(default_factory=dict)
    """Where other nodes are, beside what the roster says; the node's own name may be among them, so that hosts can share a file."""
    tls: Tls | None = None
    nats: Nats | None = None

    def start(self, endpoint: Endpoint, *, otherwise: Sequence[str] = (), listening: bool = True) -> Node:
        """Start a node like this; it listens at `otherwise` if nothing was said, and nowhere if it is not `listening`."""
        from sealwire._sealwire import Node

        if self.via is not None:
            return Node(endpoint, via=self.via, tls=self.tls, nats=self.nats)
        listen = (otherwise if self.listen is None else self.listen) if listening else ()
        others = {name: location for name, location in self.peers.items() if name != endpoint.node}
        return Node(endpoint, listen=listen, peers=others, tls=self.tls)


def node_settings(
    home: str | os.PathLike[str] | None,
    *,
    listen: Sequence[str] | None = None,
    via: str | Transport | None = None,
    environment: Mapping[str, str] = os.environ,
) -> NodeSettings:
    """What arguments, the environment and the file beside `home` say together.

    Raises:
        SettingsError: one of them says something that cannot be done.

    """
    file = _beside(home)
    table = _Table(file, "node", _read(file).get("node", {}) if file is not None else {})
    table.only("listen", "nats", "peers", "tls", "via")
    said = NodeSettings(table.texts("listen"), table.text("via"), table.mapping("peers"), _tls(table), _nats(table, environment))
    folder = file.parent if file is not None else Path.cwd()
    if listen is not None and via is not None:
        raise SettingsError("a node either listens or goes via something: give one of the two")
    if listen is not None:
        return NodeSettings(tuple(listen), None, said.peers, said.tls)
    if via is None:
        via = environment.get(VIA) or said.via
        if via is said.via and via is not None and (said.listen is not None or said.peers):
            raise SettingsError(f"`{file}`: [node] has `via` and `listen` or `peers`; a node uses one or the other")
    if via is None:
        return NodeSettings(said.listen, None, said.peers, said.tls)
    return NodeSettings(None, _found(via, folder), {}, said.tls, said.nats)


def _beside(home: str | os.PathLike[str] | None) -> Path | None:
    return Path(home).expanduser().resolve().parent / FILE if home is not None else None


def _read(file: Path) -> dict[str, Any]:
    try:
        content = toml.read(file, SettingsError)
    except FileNotFoundError:
        return {}
    _Table(file, None, content).only(*_TABLES)
    return content


class _Table:
    """A table of the file, and where it stands."""

    def __init__(self, file: Path | None, name: str | None, content: Any) -> None:
        self._file = file
        self.name = name
        if not isinstance(content, dict):
            raise self.wrong("is a table")
        self._content: dict[str, Any] = content

    def wrong(self, what: str) -> SettingsError:
        where = f"`{self._file}`" if self.name is None else f"`{self._file}`: [{self.name}]"
        return SettingsError(f"{where} {what}")

    def only(self, *known: str) -> None:
        """Refuse other keys."""
        for name in self._content:
            if name not in known:
                raise self.wrong(f"has no `{name}`; it may have " + ", ".join(f"`{each}`" for each in known))

    def table(self, name: str, *known: str) -> _Table | None:
        if name not in self._content:
            return None
        table = _Table(self._file, f"{self.name}.{name}", self._content[name])
        table.only(*known)
        return table

    def text(self, name: str) -> str | None:
        value = self._content.get(name)
        if value is not None and not (isinstance(value, str) and value):
            raise self.wrong(f"needs a text for `{name}`")
        return value

    def texts(self, name: str) -> tuple[str, ...] | None:
        value = self._content.get(name)
        if value is None:
            return None
        if not isinstance(value, list) or not all(isinstance(each, str) for each in value):
            raise self.wrong(f'needs a list of texts for `{name}`, such as ["tcp://0.0.0.0:7451"]')
        return tuple(value)

    def mapping(self, name: str) -> dict[str, str]:
        value = self._content.get(name, {})
        if not isinstance(value, dict) or not all(isinstance(each, str) for each in value.values()):
            raise self.wrong(f"needs a table of texts for `{name}`")
        return value

    def number(self, name: str) -> int | None:
        value = self._content.get(name)
        if value is not None and (not isinstance(value, int) or isinstance(value, bool) or value < 1):
            raise self.wrong(f"needs a number from 1 on for `{name}`")
        return value

    def path(self, name: str) -> Path | None:
        """A file, relative to the folder of this one."""
        value = self.text(name)
        return self._file.parent / value if value is not None and self._file is not None else None

    def first_line(self, name: str) -> str | None:
        """The first line of the file that is named."""
        path = self.path(name)
        if path is None:
            return None
        try:
            return path.read_text(encoding="utf-8").partition("\n")[0].rstrip("\r")
        except (OSError, UnicodeDecodeError) as error:
            raise self.wrong(f"names `{path}` as `{name}`, which cannot be read: {error}") from None


def _tls(node: _Table) -> Tls | None:
    table = node.table("tls", "authority", "certificate", "key")
    return Tls(table.path("authority"), table.path("certificate"), table.path("key")) if table is not None else None


def _nats(node: _Table, environment: Mapping[str, str]) -> Nats:
    table = node.table("nats", "user", "password-file", "token-file", "prefix", "replicas", "most-bytes", "most-parcels")
    table = table or _Table(None, "node.nats", {})
    return Nats(
        environment.get(_USER) or table.text("user"),
        environment.get(_PASSWORD) or table.first_line("password-file"),
        environment.get(_TOKEN) or table.first_line("token-file"),
        table.text("prefix"),
        table.number("replicas"),
        table.number("most-bytes"),
        table.number("most-parcels"),
    )


def _found(via: str | Transport, folder: Path) -> str | Transport:
    """`via`, or the transport that it names: ``python:module:attribute``, a transport or a function that makes one."""
    if not isinstance(via, str) or not via.startswith(_PYTHON):
        return via
    place, _, name = via.removeprefix(_PYTHON).partition(":")
    if str(folder) not in sys.path:
        sys.path.append(str(folder))
    try:
        found: Any = getattr(importlib.import_module(place), name)
    except (ImportError, ValueError, AttributeError) as error:
        raise SettingsError(f"`{via}` is to name a transport as `python:module:attribute`: {error}") from None
    if callable(found) and not _carries(found):
        found = found()
    if not _carries(found):
        raise SettingsError(f"`{via}` is no transport: it needs `send` and `receive`")
    transport: Transport = found
    return transport


def _carries(found: Any) -> bool:
    return not isinstance(found, type) and all(callable(getattr(found, name, None)) for name in ("send", "receive"))
