"""The same script sealed and not, compared field by field: what a program sees of CrewAI must not change."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import pytest
from crewai import Agent, Crew, Task
from crewai.events.event_bus import crewai_event_bus
from pydantic import BaseModel
from scenarios import BY_NAME, SCENARIOS

from sealwire import MemoryTransport
from sealwire.crewai import seal

every_scenario = pytest.mark.parametrize("name", [each.name for each in SCENARIOS])

AT_THE_SAME_TIME = {"async_tasks", "akickoff_with_async_tasks", "kickoff_for_each_async"}
"""Scenarios whose threads or coroutines interleave as they like; what they do is compared in sorted order."""

_COUNTED = {"token_usage", "usage_metrics", "total_tokens", "json", "strings"}
"""Where counts of tokens stand. Copies that run at the same time count on one model, and each reads what the others have
added by then."""

_ID = re.compile(r"[0-9a-f]{8}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{12}")
_ADDRESS = re.compile(r"0x[0-9a-f]{6,}")
_CLOCK = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d[.\d+:Z]*|datetime\.datetime\([^)]*\)")
_ONCE = {"default_env"}
"""Events that come once in a process."""
_TIMED = re.compile(r"time|duration|_ms$|latency|emission_sequence")


def plain(value: Any, seen: tuple[int, ...] = ()) -> Any:
    """`value` as plain data, without ids, addresses in memory, and times."""
    if id(value) in seen:
        return f"<{type(value).__name__} again>"
    deeper = (*seen, id(value))
    if isinstance(value, str):
        return _CLOCK.sub("<time>", _ADDRESS.sub("<address>", _ID.sub("<id>", value)))
    if isinstance(value, bool | int | float | type(None)):
        return value
    if isinstance(value, datetime):
        return "<time>"
    if isinstance(value, Agent | Crew | Task) and seen:
        return f"<{type(value).__name__} {plain(str(getattr(value, 'role', '') or getattr(value, 'name', '')))}>"
    if isinstance(value, BaseModel):
        return {"<type>": _type(value), **_fields(dict(value), deeper)}
    if isinstance(value, dict):
        return _fields(value, deeper)
    if isinstance(value, list | tuple):
        return [plain(each, deeper) for each in value]
    if isinstance(value, set | frozenset):
        return sorted((plain(each, deeper) for each in value), key=repr)
    if callable(value):
        return f"<callable {getattr(value, '__qualname__', type(value).__qualname__)}>"
    return plain(repr(value))


def _type(value: Any) -> str:
    return f"{type(value).__module__}.{type(value).__qualname__}"


def _fields(fields: dict[Any, Any], seen: tuple[int, ...]) -> dict[str, Any]:
    return {
        plain(str(key)): "<time>" if _TIMED.search(str(key)) and value is not None else plain(value, seen) for key, value in fields.items()
    }


@dataclass
class Ran:
    """All that a program could see of one run."""

    subject: Any
    result: Any = None
    before: Any = None
    after: Any = None
    usage: Any = None
    events: list[Any] = field(default_factory=list)
    callbacks: list[Any] = field(default_factory=list)


def run(name: str, sealing: bool) -> Ran:
    """Plays the scenario with every callback set and every event noted."""
    _, play = BY_NAME[name].play()
    ran = Ran(play.subject)
    _listen(play.subject, ran.callbacks)
    if sealing:
        assert seal(play.subject, home=None, transport=MemoryTransport()) is play.subject
    ran.before = state(play.subject)
    with pytest.MonkeyPatch.context() as patch:
        _note_events(patch, ran.events)
        ran.result = plain(play.run())
        crewai_event_bus.flush() if hasattr(crewai_event_bus, "flush") else None
    ran.after = state(play.subject)
    ran.usage = plain(getattr(play.subject, "usage_metrics", None))
    if name == "kickoff_for_each_async":
        ran = Ran(ran.subject, *map(_uncounted, (ran.result, ran.before, ran.after, None, ran.events, ran.callbacks)))
    return ran


def _uncounted(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _uncounted(each) for key, each in value.items() if key not in _COUNTED}
    if isinstance(value, list | tuple):
        return [_uncounted(each) for each in value]
    return value


def state(subject: Any) -> dict[str, Any]:
    """What a crew and its parts say of themselves."""
    things = [subject, *subject.agents, *subject.tasks] if isinstance(subject, Crew) else [subject]
    return {
        "dumps": [plain(_tried(each.model_dump)) for each in things],
        "json": [plain(_tried(each.model_dump_json)) for each in things],
        "fields": [sorted(type(each).model_fields) for each in things],
        "set": [sorted(each.model_fields_set) for each in things],
        "types": [(_type(each), isinstance(each, (Crew, Agent, Task))) for each in things],
        "reprs": [plain(repr(each)) for each in things],
        "strings": [plain(str(each)) for each in things],
        "equal": [[left == right for right in things] for left in things],
        "hashes": [isinstance(_tried(functools.partial(hash, each)), int) for each in things],
        "keys": [getattr(each, "key", None) for each in things],
        "copies": [_copy(each) for each in things if not isinstance(each, Task)],
    }


def _copy(thing: Any) -> Any:
    twin = thing.copy()
    return [_type(twin), plain(_tried(twin.model_dump)), twin == thing, twin is thing]


def _tried(call: Callable[[], Any]) -> Any:
    try:
        return call()
    except Exception as error:  # noqa: BLE001 - that both raise the same is what is compared
        return f"{type(error).__name__}: {plain(str(error))}"


def _listen(subject: Any, notes: list[Any]) -> None:
    def noting(what: str, passes: bool = False) -> Callable[..., Any]:
        def note(*args: Any) -> Any:
            notes.append((what, [plain(each) for each in args]))
            return args[0] if passes else None

        return note

    if not isinstance(subject, Crew):
        subject.step_callback = noting("step")
        return
    subject.step_callback = noting("step")
    subject.task_callback = noting("task of crew")
    subject.before_kickoff_callbacks.append(noting("before", passes=True))
    subject.after_kickoff_callbacks.append(noting("after", passes=True))
    for task in subject.tasks:
        task.callback = noting("task")


def _note_events(patch: pytest.MonkeyPatch, notes: list[Any]) -> None:
    emit = type(crewai_event_bus).emit

    def noting(self: Any, source: Any, event: Any = None) -> Any:
        if event.type not in _ONCE:
            notes.append((_type(source), event.type, plain(event)))
        return emit(self, source, event)

    patch.setattr(type(crewai_event_bus), "emit", noting)


@functools.cache
def both(name: str) -> tuple[Ran, Ran]:
    """The scenario unsealed and sealed."""
    return run(name, sealing=False), run(name, sealing=True)


def in_order(name: str, notes: list[Any]) -> list[Any]:
    return sorted(notes, key=repr) if name in AT_THE_SAME_TIME else notes


@every_scenario
def test_results_are_the_same(name: str) -> None:
    unsealed, sealed = both(name)
    assert sealed.result == unsealed.result


@every_scenario
@pytest.mark.parametrize("when", ["before", "after"])
def test_identity_equality_and_dumps_are_the_same(name: str, when: str) -> None:
    unsealed, sealed = (getattr(each, when) for each in both(name))
    for what in unsealed:
        assert sealed[what] == unsealed[what], what


@every_scenario
def test_callbacks_are_called_alike(name: str) -> None:
    unsealed, sealed = (in_order(name, each.callbacks) for each in both(name))
    assert sealed == unsealed
    assert unsealed or name == "agent_alone"


@every_scenario
def test_usage_metrics_are_the_same(name: str) -> None:
    unsealed, sealed = both(name)
    assert sealed.usage == unsealed.usage


def test_the_model_counts_tokens() -> None:
    """Equal usage would say nothing if it were always nought."""
    unsealed, _ = both("sequential")
    assert unsealed.usage["total_tokens"] > 0


@every_scenario
def test_events_are_the_same(name: str) -> None:
    unsealed, sealed = (in_order(name, each.events) for each in both(name))
    assert [(source, kind) for source, kind, _ in sealed] == [(source, kind) for source, kind, _ in unsealed]
    for (_, kind, ours), (_, _, theirs) in zip(sealed, unsealed, strict=True):
        assert ours == theirs, kind


def test_two_runs_without_sealing_compare_equal() -> None:
    """The comparison itself: it forgives what differs between any two runs, and nothing else."""
    first, second = run("delegate", sealing=False), run("delegate", sealing=False)
    assert (first.result, first.before, first.after, first.events, first.callbacks) == (
        second.result, second.before, second.after, second.events, second.callbacks)  # fmt: skip
    other = run("ask", sealing=False)
    assert (first.result, first.events, first.callbacks) != (other.result, other.events, other.callbacks)


def test_sealing_leaves_every_object_the_same_object() -> None:
    _, play = BY_NAME["hierarchical_with_manager"].play()
    crew: Crew = play.subject
    parts = [crew, *crew.agents, crew.manager_agent, *crew.tasks]
    values = [dict(vars(each)) for each in parts]
    assert seal(crew, home=None) is crew
    for part, value in zip(parts, values, strict=True):
        assert vars(part).keys() == value.keys()
        assert all(vars(part)[key] is value[key] for key in value)
    assert [crew, *crew.agents, crew.manager_agent, *crew.tasks] == parts
