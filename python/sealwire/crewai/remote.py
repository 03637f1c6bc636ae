"""``remote("researcher")``: an agent on another host, for a crew here."""

from __future__ import annotations

import os
from typing import Any

from sealwire.crewai.endpoints import endpoint_for
from sealwire.crewai.errand import Errand
from sealwire.crewai.names import require_name
from sealwire.crewai.remote_agent import RemoteAgent, RemoteModel
from sealwire.crewai.run import Run
from sealwire.crewai.seal import HOME, Options, Seal, seal
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
        name: its address, ``researcher@pi2``, or its name alone if only one other node of the domain may host it. A node that is listed for
            this very name comes before those that may host any.
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
    address = _found(name, endpoint.node, endpoint.members())
    told = {"role": role, "goal": goal, "backstory": backstory}
    if None in told.values():
        introduced = _introduction(address, home)
        told = {key: introduced[key] if value is None else value for key, value in told.items()}
    made = RemoteAgent(**told, **options, llm=RemoteModel(model=address), sealwire_address=address, sealwire_timeout=timeout)
    return seal(made, home=home)


def _found(name: str, own: str, members: list[tuple[str, list[str], list[str]]]) -> str:
    """The address of the one other node that may host `name`."""
    name, _, wanted = name.partition("@")
    require_name(name)
    others = [node for node, hosts, _ in members if node != own and wanted in ("", node) and _may_host(hosts, name)]
    # Who is listed for this very name comes before those who may host any.
    others = [node for node, hosts, _ in members if node in others and name in hosts] or others
    if len(others) == 1:
        return f"{name}@{others[0]}"
    if not others:
        where = f"`{wanted}` is no other node of this domain that" if wanted else "no other node of this domain"
        raise InvalidName(f"{where} may host `{name}`; `sealwire members` shows who may, `sealwire invite` lets a machine join")
    raise InvalidName(f"several nodes may host `{name}`; say which: " + " or ".join(f"{name}@{node}" for node in others))


def _may_host(hosts: list[str], name: str) -> bool:
    return any(name.startswith(pattern[:-1]) if pattern.endswith("*") else name == pattern for pattern in hosts)


def _introduction(address: str, home: str | os.PathLike[str] | None) -> dict[str, str]:
    """Who the agent says it is."""
    run = Run(Seal(Options(home), "flow"))
    with run.active():
        return Errand(run, address, "describe").introduction(_INTRODUCTION)
