"""What sealing needs of CrewAI, taken from the installed release.

Features are looked for, versions are not. If something that sealing relies on
is missing, that is an error here, before anything could run unsealed.
"""

from __future__ import annotations

from contextlib import nullcontext
from importlib import import_module, metadata
from typing import Any

from sealwire.exceptions import UnsupportedCrewAI

try:
    from crewai import Agent, Crew, Task
except ModuleNotFoundError as error:
    if error.name != "crewai":
        raise
    raise ModuleNotFoundError("sealwire.crewai needs CrewAI: pip install 'sealwire[crewai]'", name="crewai") from None

__all__ = [
    "Agent",
    "BaseAgent",
    "BaseLLM",
    "BaseTool",
    "ConditionalTask",
    "Crew",
    "LLMCallType",
    "LLMStreamChunkEvent",
    "LiteAgent",
    "Task",
    "coworker_tools",
    "crewai_event_bus",
    "divider",
    "llm_call_context",
    "require",
    "save_to_memory",
]


def _missing(what: str) -> UnsupportedCrewAI:
    try:
        version = metadata.version("crewai")
    except metadata.PackageNotFoundError:
        version = "of unknown version"
    return UnsupportedCrewAI(f"CrewAI {version} has no {what}, so crews cannot be sealed; sealwire supports crewai>=1.9,<2")


try:
    from crewai.agents.agent_builder.base_agent import BaseAgent
    from crewai.events import LLMStreamChunkEvent, crewai_event_bus
    from crewai.events.types.llm_events import LLMCallType
    from crewai.llms.base_llm import BaseLLM
    from crewai.tasks.conditional_task import ConditionalTask
    from crewai.tools import BaseTool
except ImportError as error:
    raise _missing(str(error.name or error)) from error

llm_call_context: Any
try:
    from crewai.llms.base_llm import llm_call_context
except ImportError:  # its events have no ids yet
    llm_call_context = nullcontext

try:
    from crewai.utilities import formatter
except ImportError:
    # mypy does not let a module's name be bound to anything else.
    formatter = None  # type: ignore[assignment]

LiteAgent: Any
try:
    from crewai.lite_agent import LiteAgent
except ImportError:
    LiteAgent = None

#: What CrewAI puts between outputs. Only a hint: a context that is not joined
#: this way is signed as a whole.
divider: str = getattr(formatter, "DIVIDERS", "\n\n----------\n\n")


def coworker_tools() -> dict[type, str]:
    """The tools through which agents talk to each other, and the kind of message each makes."""
    try:
        from crewai.tools.agent_tools.ask_question_tool import AskQuestionTool
        from crewai.tools.agent_tools.delegate_work_tool import DelegateWorkTool
    except ImportError as error:
        raise _missing(str(error.name or error)) from error
    return {DelegateWorkTool: "delegate", AskQuestionTool: "ask"}


#: What CrewAI's executors save a result to memory with; newer releases have the first, older ones the others.
_SAVERS = ("_save_to_memory", "_create_short_term_memory", "_create_long_term_memory", "_create_external_memory")

#: Where they are.
_EXECUTORS = {"base_agent_executor": "BaseAgentExecutor", "base_agent_executor_mixin": "CrewAgentExecutorMixin"}


def save_to_memory(executor: Any, said: str) -> None:
    """Save what an agent said to the memory of its crew, as CrewAI's executors do after a task."""
    finish = import_module("crewai.agents.parser").AgentFinish(thought="", output=said, text=said)
    for module, name in _EXECUTORS.items():
        try:
            cls = getattr(import_module(f"crewai.agents.agent_builder.{module}"), name)
        except ImportError:
            continue
        for saver in filter(None, (getattr(cls, name, None) for name in _SAVERS)):
            saver(executor, finish)
        return
    raise _missing("executor that saves to memory")


def require(cls: type, *names: str) -> None:
    """Raise :class:`~sealwire.UnsupportedCrewAI` unless `cls` has all of these methods."""
    for name in names:
        if not callable(getattr(cls, name, None)):
            raise _missing(f"{cls.__name__}.{name}")
