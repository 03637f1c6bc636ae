"""``serve(agent)``: lets crews on other hosts use an agent of this one."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from sealwire._sealwire import Endpoint, Node
from sealwire.crewai.names import role_of, slug
from sealwire.crewai.release import Agent
from sealwire.crewai.seal import HOME
from sealwire.crewai.served import Served

if TYPE_CHECKING:
    from sealwire._sealwire import Entry, Request

__all__ = ["serve"]

#: Where nodes take connections unless something else is said.
LISTEN = "tcp://0.0.0.0:7451"

#: Requests one agent works on at a time; each has a copy of the agent and a thread.
AT_ONCE = 4


def serve(
    *agents: Agent,
    names: dict[str, str] | None = None,
    home: str | os.PathLike[str] = HOME,
    listen: Sequence[str] = (LISTEN,),
    policy: Callable[[Request], object] | None = None,
    audit: Callable[[Entry], object] | None = None,
    at_once: int = AT_ONCE,
) -> Node:
    """Serve agents from this process until the node that is returned is closed.

    Each is served under the slug of its role, or under the name that `names`
    gives for its role. The others know it as ``name@node``.
    """
    node = Node(Endpoint(home, policy=policy, audit=audit), listen=list(listen))
    try:
        for agent in agents:
            _serve_one(node, agent, names or {}, at_once)
    except BaseException:
        node.close()
        raise
    return node


def _serve_one(node: Node, agent: Any, names: dict[str, str], at_once: int) -> str:
    if not isinstance(agent, Agent):
        raise TypeError(f"serve() takes agents, not {type(agent).__name__}")
    role = role_of(agent)
    return node.serve(names.get(role) or slug(role), Served(node, agent), at_once=at_once)
