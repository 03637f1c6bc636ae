"""Prompts: an agent reads the prompt that it opened, not the one its task would make again.

What was sealed is what is read, and CrewAI makes each prompt once, as without
sealing: making one takes it longer than sealing does.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from sealwire.crewai.patch import wrap
from sealwire.crewai.release import Task, require
from sealwire.crewai.run import speaker

__all__ = ["Reading", "state_of", "watch"]


class Reading(NamedTuple):
    """A prompt as it was opened, and the task's texts at that time."""

    prompt: str
    state: tuple[Any, ...]


def state_of(task: Any) -> tuple[Any, ...]:
    """The texts of a task that its prompt is made of."""
    return tuple(getattr(task, name, None) for name in ("description", "expected_output", "markdown"))


def watch() -> None:
    """Give agents at work the prompt they opened, from now on."""
    require(Task, "prompt")
    wrap(Task, "prompt", _reading)


def _reading(make: Any) -> Any:
    def prompt(self: Any, /, *args: Any, **kwargs: Any) -> Any:
        at_work = speaker()
        if at_work is None or at_work.work is not self or at_work.reading is None:
            return make(self, *args, **kwargs)
        # The agent's own layers (A2A is one) may change its task while it works.
        if state_of(self) != at_work.reading.state:
            return make(self, *args, **kwargs)
        return at_work.reading.prompt

    return prompt
