"""Entries: CrewAI's own methods, watched for what starts unsealed where it must not.

The wrappers do nothing unless a run is under way or a ``sealed()`` block is
open. Then an agent or a crew that nobody sealed is sealed as it starts: inside
a run with the run's own options, so that a tool cannot hand anything to an
agent in the clear; inside a block with those of the block.
"""

from __future__ import annotations

import functools
import inspect
import threading
from collections.abc import Iterator
from contextvars import ContextVar
from typing import Any, Protocol

from sealwire.crewai import swap
from sealwire.crewai.kickoff import akickoff_sealed, kickoff_sealed, note_stream, take_note
from sealwire.crewai.patch import wrap
from sealwire.crewai.release import Agent, BaseAgent, Crew, LiteAgent, require
from sealwire.crewai.run import current_run
from sealwire.exceptions import NotSealed

__all__ = ["Coverer", "close", "open", "watch", "watch_class"]


class Coverer(Protocol):
    """What seals crews and agents that start."""

    def cover(self, crew_or_agent: Any) -> None:
        """Seal an object unless it is."""


#: What starts a crew, or copies of it, through the entries above, and perhaps
#: later: a stream starts when it is read. Sealed at once, it stays sealed.
_ROUNDABOUT = (
    "kickoff_async",
    "kickoff_for_each",
    "kickoff_for_each_async",
    "akickoff_for_each",
    "train",
    "test",
)

#: How an agent is called. Classes of agents may have ways of their own.
_AGENT_ENTRIES = frozenset({"execute_task", "aexecute_task", "kickoff", "kickoff_async", "akickoff"})

_blocks: list[Coverer] = []
_lock = threading.Lock()

#: The blocks around this code; code of another block must not fall under these.
_blocks_here: ContextVar[tuple[Coverer, ...]] = ContextVar("sealwire_blocks", default=())


def open(block: Coverer) -> None:
    """Let `block` seal what starts, in all threads, until it is closed."""
    with _lock:
        _blocks.append(block)
    _blocks_here.set((*_blocks_here.get(), block))


def close(block: Coverer) -> None:
    """End what :func:`open` began."""
    with _lock:
        _blocks.remove(block)
    _blocks_here.set(tuple(each for each in _blocks_here.get() if each is not block))


def watch() -> None:
    """Wrap CrewAI's methods from now on."""
    require(Crew, "kickoff", "akickoff", "replay")
    require(Agent, "execute_task", "aexecute_task", "kickoff", "kickoff_async")
    for name in ("kickoff", "replay"):
        wrap(Crew, name, _crew_entry)
    wrap(Crew, "akickoff", _crew_async_entry)
    for name in _ROUNDABOUT:
        if hasattr(Crew, name):
            wrap(Crew, name, functools.partial(_roundabout_entry, name))
    for cls in {each for sub in _subclasses(BaseAgent) for each in sub.__mro__}:
        _watch_own(cls)
    if LiteAgent is not None:
        wrap(LiteAgent, "kickoff", _refusing_entry)


def watch_class(cls: type) -> None:
    """Wrap the methods that a class of agents, and each class it is made of, defines itself."""
    for each in cls.__mro__:
        _watch_own(each)


def _watch_own(cls: type) -> None:
    for name in _AGENT_ENTRIES & vars(cls).keys():
        own = vars(cls)[name]
        if inspect.isfunction(own):
            entry = _agent_async_entry if inspect.iscoroutinefunction(own) else _agent_entry
            wrap(cls, name, functools.partial(entry, name))


def _subclasses(cls: type) -> Iterator[type]:
    sub: type
    for sub in cls.__subclasses__():
        yield sub
        yield from _subclasses(sub)


def _block() -> Coverer | None:
    """The innermost block around this code; where there is none, as in a thread, the one opened last."""
    with _lock:
        return next((each for each in (*reversed(_blocks_here.get()), *reversed(_blocks)) if each in _blocks), None)


def _cover(crew_or_agent: Any) -> None:
    """Seal what is being started, by the run it is in or by the block it is in."""
    if swap.seal_of(crew_or_agent) is not None:
        return
    run = current_run()
    if run is not None:
        with run.guard():
            run.seal.cover_nested(crew_or_agent)
        return
    block = _block()
    if block is not None:
        block.cover(crew_or_agent)


def _crew_entry(original: Any) -> Any:
    def entry(self: Any, /, *args: Any, **kwargs: Any) -> Any:
        _cover(self)
        seal, forward = swap.seal_of(self), functools.partial(original, self, *args, **kwargs)
        return forward() if seal is None else kickoff_sealed(self, seal, forward)

    return entry


def _crew_async_entry(original: Any) -> Any:
    async def entry(self: Any, /, *args: Any, **kwargs: Any) -> Any:
        _cover(self)
        seal, forward = swap.seal_of(self), functools.partial(original, self, *args, **kwargs)
        return await (forward() if seal is None else akickoff_sealed(self, seal, forward))

    return entry


def _roundabout_entry(name: str, original: Any) -> Any:
    def entry(self: Any, /, *args: Any, **kwargs: Any) -> Any:
        _cover(self)
        return original(self, *args, **kwargs)

    async def async_entry(self: Any, /, *args: Any, **kwargs: Any) -> Any:
        _cover(self)
        if not swap.is_sealed(self):
            return await original(self, *args, **kwargs)
        note_stream(self)
        result = await original(self, *args, **kwargs)
        if "for_each" in name:
            take_note(self)  # the copies have it
        return result

    return async_entry if inspect.iscoroutinefunction(original) else entry


def _agent_entry(name: str, original: Any) -> Any:
    """An agent that gets sealed here is called again, through its sealed method."""

    def entry(self: Any, /, *args: Any, **kwargs: Any) -> Any:
        method = _sealed_now(self, name)
        return original(self, *args, **kwargs) if method is None else method(*args, **kwargs)

    return entry


def _agent_async_entry(name: str, original: Any) -> Any:
    async def entry(self: Any, /, *args: Any, **kwargs: Any) -> Any:
        method = _sealed_now(self, name)
        return await (original(self, *args, **kwargs) if method is None else method(*args, **kwargs))

    return entry


def _refusing_entry(original: Any) -> Any:
    """A ``LiteAgent`` is no agent a crew could hold, and CrewAI is giving it up: it cannot be sealed."""

    def entry(self: Any, /, *args: Any, **kwargs: Any) -> Any:
        run = current_run()
        if run is None and not _blocks:
            return original(self, *args, **kwargs)
        error = NotSealed("a LiteAgent cannot be sealed: use an Agent")
        if run is not None:
            run.refuse(error)
        raise error

    return entry


def _sealed_now(agent: Any, name: str) -> Any:
    """The sealed method of an agent that was not sealed before this call."""
    if swap.is_sealed(agent):
        return None
    _cover(agent)
    return getattr(agent, name) if swap.is_sealed(agent) else None
