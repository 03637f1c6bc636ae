"""Whose words are in a context.

CrewAI joins the outputs of earlier tasks into one string before it hands them
to the next agent. Here the string is taken apart again, so that each reader
gets an earlier agent's words in that agent's own envelope: piece by piece
against the outputs it was made of, never by looking for the divider, which an
output may contain.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from sealwire.crewai.release import ConditionalTask, divider
from sealwire.crewai.run import Run
from sealwire.crewai.task_labels import labels_of
from sealwire.crewai.words import encoded

__all__ = ["Piece", "Said", "joined", "labels_of_sources", "pieces"]


@dataclass(frozen=True)
class Said:
    """A result as its author signed it."""

    author: str
    ref: tuple[bytes, bytes]
    body: bytes
    labels: frozenset[str]
    here: bool = True
    """Whether its author is hosted here, and can sign it for another reader."""


@dataclass(frozen=True)
class Piece:
    """A part of a context: what it says and who signs it for the reader.

    `came_from` is the message that first said it; when the crew signs words
    that came from an agent, they are not what that agent said any more.
    """

    sender: str
    body: bytes
    labels: frozenset[str]
    came_from: tuple[bytes, bytes] | None


def pieces(run: Run, task: Any, context: str) -> list[Piece] | None:
    """The parts `context` was joined from; ``None`` when it is not a plain join of outputs.

    Without a match (a retry's text, a step hook's change, a question) the
    caller signs the context as a whole.
    """
    for outputs in _candidates(run, task):
        if joined([raw for _, raw in outputs]) == context:
            return [_piece(run, source, raw) for source, raw in outputs]
    return None


def joined(parts: list[str]) -> str:
    """Join `parts` the way CrewAI joins outputs."""
    return divider.join(parts)


def labels_of_sources(run: Run, task: Any) -> frozenset[str]:
    """The labels of everything a context of `task` may have been made of."""
    found: frozenset[str] = frozenset()
    for source in [*_sources(run, task), task]:
        said = run.said_in(source)
        found |= labels_of(source) | (said.labels if said else frozenset())
    return found


def _piece(run: Run, task: Any, raw: str) -> Piece:
    said, body = run.said_in(task), encoded(raw)
    labels = labels_of(task) | (said.labels if said else frozenset())
    if said is not None and said.body == body and said.here:
        return Piece(said.author, body, labels, said.ref)
    return Piece(run.seal.orchestrator, body, labels, said.ref if said else None)


def _candidates(run: Run, task: Any) -> Iterator[list[tuple[Any, str]]]:
    """The outputs the context may have been made of, likeliest first.

    A conditional task that was skipped counts with an empty output, and may
    still carry the output of an earlier kickoff.
    """
    sources = _sources(run, task)
    if not sources:
        return
    yield [(source, source.output.raw) for source in sources if source.output is not None]
    yield [(source, _raw_unless_skipped(run, source)) for source in sources]


def _sources(run: Run, task: Any) -> list[Any]:
    if isinstance(task.context, list):
        return list(task.context)
    tasks = list(run.crew.tasks) if run.crew is not None else []
    for index, other in enumerate(tasks):
        if other is task:
            return tasks[:index]
    return []


def _raw_unless_skipped(run: Run, task: Any) -> str:
    skipped = isinstance(task, ConditionalTask) and run.said_in(task) is None
    return "" if skipped or task.output is None else task.output.raw
