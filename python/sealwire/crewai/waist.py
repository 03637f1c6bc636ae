"""The waist: the four methods through which anything reaches an agent, sealed.

Each hands its words over, runs the agent on what the agent opened, and hands
the result back. A call of an agent by itself, for the work it is at already
(CrewAI retries that way), is part of the same hand-off.
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

from sealwire.crewai.coworkers import kind_of_call
from sealwire.crewai.errand import Errand
from sealwire.crewai.handoff import Handoff
from sealwire.crewai.remote_agent import is_remote
from sealwire.crewai.run import Frame, Run, current_run, hear, speaker

if TYPE_CHECKING:
    from sealwire.crewai.seal import Seal

__all__ = ["Call", "aexecute_task", "akickoff", "execute_task", "kickoff"]


class Call(NamedTuple):
    """A call of an agent's method: `outer` is what runs sealed, `inner` what a retry runs."""

    agent: Any
    seal: Seal
    outer: Callable[..., Any]
    inner: Callable[..., Any]
    args: tuple[Any, ...]
    kwargs: dict[str, Any]

    def argument(self, position: int, name: str) -> Any:
        """An argument, however the caller passed it; ``None`` when it was left out."""
        if name in self.kwargs:
            return self.kwargs[name]
        return self.args[position] if len(self.args) > position else None

    def with_argument(self, position: int, name: str, value: Any) -> Call:
        """The same call with another value for an argument, passed the caller's way."""
        if name in self.kwargs:
            return self._replace(kwargs={**self.kwargs, name: value})
        if len(self.args) > position:
            args = (*self.args[:position], value, *self.args[position + 1 :])
            return self._replace(args=args)
        return self

    def run_outer(self) -> Any:
        """Run what is to be sealed."""
        return self.outer(*self.args, **self.kwargs)

    def run_inner(self) -> Any:
        """Run the agent's own method."""
        return self.inner(*self.args, **self.kwargs)


def execute_task(call: Call) -> Any:
    """``agent.execute_task(task, context=None, tools=None)``."""
    task = call.argument(0, "task")
    with _run_for(call) as run:
        if _is_own_retry(run, call, task):
            return call.run_inner()
        handoff = _hand_off(run, call.agent, kind_of_call("task"))
        call = call.with_argument(1, "context", handoff.give_task(task, call.argument(1, "context")))
        with handoff.frame(task).active():
            result = call.run_outer()
        result = handoff.take(result)
        hear(handoff.labels)
        return result


async def aexecute_task(call: Call) -> Any:
    """``await agent.aexecute_task(task, context=None, tools=None)``.

    Sealing and opening run in a thread, since a transport may wait.
    """
    task = call.argument(0, "task")
    with _run_for(call) as run:
        if _is_own_retry(run, call, task):
            return await call.run_inner()
        handoff = _hand_off(run, call.agent, kind_of_call("task"))
        context = await asyncio.to_thread(handoff.give_task, task, call.argument(1, "context"))
        with handoff.frame(task).active():
            result = await call.with_argument(1, "context", context).run_outer()
        result = await asyncio.to_thread(handoff.take, result)
        hear(handoff.labels)
        return result


def kickoff(call: Call) -> Any:
    """``agent.kickoff(messages, …)``; inside an event loop it returns an awaitable."""
    messages = call.argument(0, "messages")
    with _run_for(call) as run:
        if _is_own_retry(run, call, messages):
            return call.run_inner()
        handoff = _hand_off(run, call.agent, kind_of_call("prompt"))
        opened = handoff.give_messages(messages)
        frame = handoff.frame(opened)
        with frame.active():
            result = call.with_argument(0, "messages", opened).run_outer()
        if inspect.isawaitable(result):
            return _rest_of_kickoff(run, handoff, frame, result)
        result = handoff.take(result)
        hear(handoff.labels)
        return result


async def akickoff(call: Call) -> Any:
    """``await agent.kickoff_async(messages, …)``."""
    messages = call.argument(0, "messages")
    with _run_for(call) as run:
        if _is_own_retry(run, call, messages):
            return await call.run_inner()
        handoff = _hand_off(run, call.agent, kind_of_call("prompt"))
        opened = await asyncio.to_thread(handoff.give_messages, messages)
        with handoff.frame(opened).active():
            result = await call.with_argument(0, "messages", opened).run_outer()
        result = await asyncio.to_thread(handoff.take, result)
        hear(handoff.labels)
        return result


async def _rest_of_kickoff(run: Run, handoff: Handoff, frame: Frame, coming: Any) -> Any:
    """What is left of a kickoff that CrewAI turned into an awaitable."""
    with run.active():
        with frame.active():
            result = await coming
        result = await asyncio.to_thread(handoff.take, result)
        hear(handoff.labels)
        return result


@contextmanager
def _run_for(call: Call) -> Iterator[Run]:
    """The run the call is a part of; outside any, the call is a run of its own."""
    run = current_run()
    if run is not None:
        yield run
        return
    run = Run(call.seal)
    with run.active():
        yield run


def _hand_off(run: Run, agent: Any, kind: str) -> Handoff:
    return Errand(run, agent, kind) if is_remote(agent) else Handoff(run, agent, kind)


def _is_own_retry(run: Run, call: Call, work: Any) -> bool:
    at_work = speaker()
    if at_work is None:
        return False
    with run.guard():
        return at_work.is_at(run.seal.address_of(call.agent), work)
