"""A run: what happens between a kickoff and its end.

Where code is, in which run and with which agent at work, is kept in a context
variable that follows it into threads and asyncio tasks, so all parts of a
kickoff share one run. That is how a refusal stops it: CrewAI catches exceptions
in delegations and in guardrails, so the first one is kept in the run, every
further step raises it, and the outermost sealed call raises it whatever CrewAI
made of it.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from sealwire.exceptions import SealwireError
from sealwire.labels import current_labels, label

if TYPE_CHECKING:
    from sealwire.crewai.context import Said
    from sealwire.crewai.errand import Errand
    from sealwire.crewai.prompts import Reading
    from sealwire.crewai.seal import Seal

__all__ = [
    "Frame",
    "Run",
    "carried",
    "current_run",
    "hear",
    "inherited_labels",
    "speaker",
]


class Run:
    """One kickoff: its thread id, what its agents said, and whether it was stopped."""

    def __init__(self, seal: Seal, crew: Any = None, parent: Run | None = None) -> None:
        self.seal = seal
        self.crew = crew
        self.thread = os.urandom(16)
        self._parent = parent
        self._lock = threading.Lock()
        self._open = 0
        self._refusal: SealwireError | None = None
        self._said: dict[int, tuple[Any, Said]] = {}

    @property
    def refusal(self) -> SealwireError | None:
        """Why the run, or one it is a part of, was stopped, or ``None``."""
        if self._refusal is None and self._parent is not None:
            return self._parent.refusal
        return self._refusal

    @property
    def is_open(self) -> bool:
        """Whether the kickoff is under way."""
        return self._open > 0

    def refuse(self, error: SealwireError) -> None:
        """Stop this run and every run it is a part of; the first reason is kept."""
        with self._lock:
            if self._refusal is None:
                self._refusal = error
        self.seal.post.wake()
        if self._parent is not None:
            self._parent.refuse(error)

    def check(self) -> None:
        """Raise the reason if the run was stopped."""
        refusal = self.refusal
        if refusal is not None:
            raise refusal

    def owns(self, task: Any) -> bool:
        """Whether `task` is one of the crew's own, not one that was made along the way."""
        return self.crew is not None and any(task is own for own in self.crew.tasks)

    def said(self, task: Any, words: Said) -> None:
        """Remember the latest result of `task` as its author signed it."""
        self._said[id(task)] = (task, words)

    def said_in(self, task: Any) -> Said | None:
        """The latest result of `task` in this run, if an agent gave one."""
        entry = self._said.get(id(task))
        return entry[1] if entry is not None else None

    @contextmanager
    def guard(self) -> Iterator[None]:
        """Stop the run on any failure of sealing or opening inside the block."""
        self.check()
        try:
            yield
        except SealwireError as error:
            self.refuse(error)
            raise
        except Exception as error:
            failure = SealwireError(f"sealing failed: {type(error).__name__}")
            self.refuse(failure)
            raise failure from error

    @contextmanager
    def active(self, labels: frozenset[str] = frozenset()) -> Iterator[None]:
        """Make this the run of the code inside; raise a refusal at the end.

        The crew speaks first. `labels` are those of everything it holds then.
        """
        self._count(1)
        token = _here.set(_Place(self, (), labels))
        try:
            yield
        except Exception:
            refusal = self.refusal
            if refusal is not None:
                raise refusal from None
            raise
        finally:
            _here.reset(token)
            self._count(-1)
        self.check()

    def _count(self, step: int) -> None:
        """Note that the run is entered once more, or left; its rules hold as long as it is open."""
        with self._lock:
            if not self._open:
                self.seal.shared.register(self.thread, self.seal.rules)
            self._open += step
            if not self._open:
                self.seal.shared.retire(self.thread)


@dataclass(frozen=True)
class Frame:
    """An agent at work: the one who speaks until its call ends."""

    address: str
    work: Any
    labels: frozenset[str]
    reading: Reading | None = None
    errand: Errand | None = None
    """What it was sent on, if it works on another host."""
    asked: tuple[bytes, bytes] | None = None
    """The message by which that agent asks for what is done here now."""

    @contextmanager
    def active(self) -> Iterator[None]:
        """Let this agent be the one that speaks inside the block."""
        place = _here.get()
        token = _here.set(place._replace(stack=(*place.stack, self)))
        try:
            yield
        finally:
            _here.reset(token)

    def is_at(self, address: str, work: Any) -> bool:
        """Whether this is the agent of that address, at that work: then a call is its own retry."""
        return self.address == address and self.work is work


class _Place(NamedTuple):
    """Where code is: its run, the agents at work, and the labels of what the crew holds."""

    run: Run | None
    stack: tuple[Frame, ...]
    heard: frozenset[str]


_NOWHERE = _Place(None, (), frozenset())
_here: ContextVar[_Place] = ContextVar("sealwire_here", default=_NOWHERE)


def current_run() -> Run | None:
    """The run this code is a part of; one that has ended is none.

    Threads that outlive a run, and contexts copied from one, still carry it.
    """
    run = _here.get().run
    return run if run is not None and run.is_open else None


def speaker() -> Frame | None:
    """The agent that is at work here; ``None`` when it is the crew."""
    stack = _here.get().stack
    return stack[-1] if stack else None


def hear(labels: frozenset[str]) -> None:
    """Remember that the crew now holds content under `labels`.

    A guardrail or an evaluator is called next, in the same context, with that
    content in its prompt.
    """
    _here.set(_here.get()._replace(heard=labels))


def inherited_labels() -> frozenset[str]:
    """The labels of the surrounding blocks and of what the speaker works on."""
    at_work = speaker()
    return current_labels() | (at_work.labels if at_work else _here.get().heard)


def carried(function: Callable[..., Any]) -> Callable[..., Any]:
    """`function`, to be called elsewhere as if it were called here."""
    place, labels = _here.get(), current_labels()

    def call(*args: Any, **kwargs: Any) -> Any:
        token = _here.set(place)
        try:
            with label(*labels):
                return function(*args, **kwargs)
        finally:
            _here.reset(token)

    return call
