"""The kickoff of a sealed crew: one run, stopped by the first refusal."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from typing import TYPE_CHECKING, Any

from sealwire.crewai.run import Run, current_run, speaker
from sealwire.crewai.task_labels import labels_of
from sealwire.labels import current_labels, label

if TYPE_CHECKING:
    from sealwire.crewai.seal import Seal

__all__ = ["akickoff_sealed", "carry_note", "kickoff_sealed", "note_stream", "take_note"]

_STREAM = "_sealwire_stream"


def kickoff_sealed(crew: Any, seal: Seal, forward: Callable[[], Any]) -> Any:
    """Run `forward`, a kickoff or a replay of `crew`, as a sealed run."""
    if _is_under_way(crew):
        return forward()
    with _run_of(crew, seal):
        return forward()


async def akickoff_sealed(crew: Any, seal: Seal, forward: Callable[[], Any]) -> Any:
    """The same for an asynchronous kickoff."""
    if _is_under_way(crew):
        return await forward()
    with _run_of(crew, seal):
        return await forward()


def note_stream(crew: Any) -> None:
    """Keep the labels of this code for a crew that only starts when its stream is read."""
    if getattr(crew, "stream", False):
        crew.__pydantic_private__[_STREAM] = current_labels() | _note_of(crew)


def carry_note(crew: Any, twin: Any) -> None:
    """Keep the labels for a copy too, in case that is what starts."""
    twin.__pydantic_private__[_STREAM] = _note_of(crew)


def take_note(crew: Any) -> frozenset[str]:
    """Return the labels that were kept, and keep them no longer."""
    noted = _note_of(crew)
    crew.__pydantic_private__.pop(_STREAM, None)
    return noted


def _note_of(crew: Any) -> frozenset[str]:
    noted: frozenset[str] = crew.__pydantic_private__.get(_STREAM, frozenset())
    return noted


@contextmanager
def _run_of(crew: Any, seal: Seal) -> Iterator[None]:
    outer = current_run()
    with outer.guard() if outer is not None else nullcontext():
        seal.cover(crew)
        run = Run(seal, crew, outer)
    note_stream(crew)
    with label(*_noted_labels(crew)), run.active(_labels_of_tasks(crew)):
        yield


def _is_under_way(crew: Any) -> bool:
    """Whether this call is the same kickoff, seen again on its way to CrewAI's own method."""
    run = current_run()
    return run is not None and run.crew is crew and speaker() is None


def _noted_labels(crew: Any) -> frozenset[str]:
    """Labels of a stream that starts now."""
    return frozenset() if getattr(crew, "stream", False) else take_note(crew)


def _labels_of_tasks(crew: Any) -> frozenset[str]:
    """The labels of all tasks: a planner reads them before any agent starts."""
    return frozenset().union(*(labels_of(task) for task in crew.tasks))
