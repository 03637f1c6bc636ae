"""``remote("researcher")``: an agent on another host, for a crew here."""

from __future__ import annotations

import json
import os
from typing import Any

from sealwire.crewai.endpoints import endpoint_for
from sealwire.crewai.remote_agent import RemoteAgent, RemoteModel
from sealwire.crewai.run import Run
from sealwire.crewai.seal import HOME, Options, Seal, seal
from sealwire.crewai.words import JSON, canonical, decoded
from sealwire.exceptions import InvalidName

__all__ = ["remote"]

#: Seconds an agent on another host may take for a task: longer than most models, shorter than a person's patience with a hung one.
TIMEOUT = 600.0

#: Seconds to ask it who it is.
_INTRODUCTION = 15.0


def remote(
    name: str,
    *,
    role: str | None = None,
    goal: str | None = None,
    backstory: str | None = None,
    home: str | os.PathLike[str] | None = HOME,
    timeout: float = TIMEOUT,
    **options: Any,
) -> RemoteAgent:
    """An agent that ``sealwire serve`` runs on another host.

    Args:
        name: its address, ``researcher@pi2``, or its name alone if only one other node of the domain may host it.
        role: what this crew knows it as; asked of the agent if role, goal or backstory is left out.
        goal: likewise.
        backstory: likewise.
        home: the folder with this node's keys, as for :func:`seal`; it must have joined the agent's domain.
        timeout: seconds one task may take.
        options: other options of ``crewai.Agent`` that concern this side: `memory`, `max_execution_time`, `tools` that stay here.

    Raises:
        InvalidName: nobody in the domain may host that name, or several may.
        Unreachable: the agent did not say who it is.

    """
    endpoint = endpoint_for(home).endpoint
    address = name if "@" in name else _found(name, endpoint.node, endpoint.members())
    told = {"role": role, "goal": goal, "backstory": backstory}
    if None in told.values():
        introduced = _introduction(address, home)
        told = {key: introduced[key] if value is None else value for key, value in told.items()}
    made = RemoteAgent(**told, **options, llm=RemoteModel(model=address), sealwire_address=address, sealwire_timeout=timeout)
    return seal(made, home=home)


def _found(name: str, own: str, members: list[tuple[str, list[str], list[str]]]) -> str:
    """The address of the one other node that may host `name`."""
    others = [node for node, hosts, _ in members if node != own and _may_host(hosts, name)]
    if len(others) == 1:
        return f"{name}@{others[0]}"
    if not others:
        raise InvalidName(f"no other node of this domain may host {name!r}; see `sealwire members`")
    raise InvalidName(f"several nodes may host {name!r}; say which: " + " or ".join(f"{name}@{node}" for node in others))


def _may_host(hosts: list[str], name: str) -> bool:
    return any(name.startswith(pattern[:-1]) if pattern.endswith("*") else name == pattern for pattern in hosts)


def _introduction(address: str, home: str | os.PathLike[str] | None) -> dict[str, str]:
    """Who the agent says it is."""
    asking = Seal(Options(home), "flow")
    run = Run(asking)
    with run.active():
        reply = asking.shared.node().request(
            asking.orchestrator, address, canonical({}), kind="describe", timeout=_INTRODUCTION, thread=run.thread, content_type=JSON
        )
    told = json.loads(decoded(reply.body))
    return {key: str(told[key]) for key in ("role", "goal", "backstory")}
