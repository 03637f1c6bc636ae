"""Coworkers: whether an agent delegates to another one or asks it something.

Both arrive as a bare task. The tool the agent used tells them apart; it does
not matter for what is sealed, only for the kind that the message names.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from contextvars import ContextVar
from typing import Any

from sealwire.crewai.patch import wrap
from sealwire.crewai.release import coworker_tools
from sealwire.crewai.run import current_run, speaker

__all__ = ["kind_of_call", "watch"]

_tool_in_use: ContextVar[str | None] = ContextVar("sealwire_coworker_tool", default=None)


def kind_of_call(by_crew: str) -> str:
    """The kind of the message a call makes: `by_crew`, or what the agent's tool says."""
    if speaker() is None:
        return by_crew
    return _tool_in_use.get() or ("delegate" if by_crew == "task" else "ask")


def watch() -> None:
    """Notice from now on which tool an agent talks through."""
    for tool, kind in coworker_tools().items():
        wrap(tool, "_run", functools.partial(_noting, kind))


def _noting(kind: str, run: Any) -> Any:
    def noted(self: Any, /, *args: Any, **kwargs: Any) -> Any:
        _adopt(self.agents)
        token = _tool_in_use.set(kind)
        try:
            return run(self, *args, **kwargs)
        finally:
            _tool_in_use.reset(token)

    return noted


def _adopt(agents: Sequence[Any]) -> None:
    """Seal every agent a tool can reach, however it got there."""
    run = current_run()
    if run is not None:
        with run.guard():
            for agent in agents:
                run.seal.adopt(agent)
