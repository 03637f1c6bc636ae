"""``serve(agent)``: lets crews on other hosts use an agent of this one."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sealwire._sealwire import Endpoint
from sealwire.crewai.names import role_of, slug
from sealwire.crewai.release import Agent
from sealwire.crewai.seal import HOME
from sealwire.crewai.served import Served
from sealwire.exceptions import HomeError, InvalidName, TransportError
from sealwire.settings import NodeSettings, node_settings

if TYPE_CHECKING:
    from sealwire._sealwire import Entry, Node, Request
    from sealwire.transport import Transport

__all__ = ["LISTEN", "serve"]

#: Where nodes take connections unless something else is said.
LISTEN = "tcp://0.0.0.0:7451"

#: Requests one agent works on at a time; each has a copy of the agent and a thread.
AT_ONCE = 4


def serve(
    *agents: Agent,
    names: dict[str, str] | None = None,
    home: str | os.PathLike[str] = HOME,
    listen: Sequence[str] | None = None,
    via: str | Transport | None = None,
    policy: Callable[[Request], object] | None = None,
    audit: Callable[[Entry], object] | None = None,
    at_once: int = AT_ONCE,
) -> Node:
    """Serve agents from this process until the node that is returned is closed.

    Args:
        agents: the agents; each request is worked on by a copy.
        names: names of agents by role, in place of their roles' slugs; the others know an agent as ``name@node``.
        home: the folder with this node's keys; it must be there, made by ``sealwire join`` or ``sealwire invite``.
        listen: where connections are taken: at tcp://0.0.0.0:7451, unless `sealwire.toml` says something else.
        via: what the node goes through instead: a NATS server, such as ``"jetstream://host:4222"``, or a transport.
        policy: a function that sees each message's header and allows it by returning ``True``, as for :func:`seal`.
        audit: a function that gets an entry for each decision.
        at_once: requests that one agent works on at a time; others wait.

    Raises:
        HomeError: there is no home, or it cannot be read.
        InvalidName: two agents have one name, or this node may not host a name.
        SettingsError: `sealwire.toml` or the environment say something that cannot be done.
        TransportError: connections cannot be taken there, or the server is not reached.

    """
    named = _named(agents, names or {})
    if not (Path(home).expanduser() / "node.pem").is_file():
        raise HomeError(f"there is no home at {home}: join a domain first, with `sealwire join` and the line that `sealwire invite` prints")
    settings = node_settings(home, listen=listen, via=via)
    node = _started(settings, Endpoint(home, policy=policy, audit=audit))
    try:
        for name, agent in named.items():
            node.serve(name, Served(node, agent), at_once=at_once)
    except BaseException:
        node.close()
        raise
    return node


def _named(agents: Sequence[Any], names: dict[str, str]) -> dict[str, Any]:
    named: dict[str, Any] = {}
    for agent in agents:
        if not isinstance(agent, Agent):
            raise TypeError(f"serve() takes agents, not {type(agent).__name__}")
        role = role_of(agent)
        name = names.get(role) or slug(role)
        if named.setdefault(name, agent) is not agent:
            raise InvalidName(f"two agents would be served as {name!r}: give them names, or serve one of them")
    return named


def _started(settings: NodeSettings, endpoint: Endpoint) -> Node:
    try:
        return settings.start(endpoint, otherwise=(LISTEN,))
    except TransportError as error:
        if settings.via is not None:
            raise
        raise TransportError(f"{error}; end what uses it, or listen elsewhere") from None
