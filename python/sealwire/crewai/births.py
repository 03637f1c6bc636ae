"""Births: agents that are made while a sealed crew runs.

CrewAI makes some itself, inside functions: the planner, the guardrail of a
string guardrail, the evaluator, the manager. They are sealed as they are made.
"""

from __future__ import annotations

from typing import Any

from sealwire.crewai.entries import watch_class
from sealwire.crewai.patch import wrap
from sealwire.crewai.release import BaseAgent
from sealwire.crewai.run import current_run

__all__ = ["watch"]


def watch() -> None:
    """Seal from now on each agent that is made during a sealed run; others are left alone."""
    wrap(BaseAgent, "__init__", _sealing)


def _sealing(make: Any) -> Any:
    def __init__(self: Any, /, *args: Any, **kwargs: Any) -> None:
        watch_class(type(self))
        make(self, *args, **kwargs)
        run = current_run()
        if run is not None:
            with run.guard():
                run.seal.adopt(self)

    # Pydantic takes a class whose __init__ lacks this mark for one that must be
    # constructed by calling it, and validates it differently. To mypy, functions have no attributes of their own.
    __init__.__pydantic_base_init__ = True  # type: ignore[attr-defined]
    return __init__
