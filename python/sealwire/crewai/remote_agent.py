"""An agent on another host, as an ordinary agent of a crew here.

Everything CrewAI does around an agent (memory, knowledge, guardrails, time
limits, events) happens here, as for any agent. Only what would run the model
and its tools is elsewhere: the executor sends the finished prompt to the other
host, and the model answers through it.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from pydantic import PrivateAttr

from sealwire.crewai.release import Agent, BaseLLM, UsageMetrics
from sealwire.crewai.run import speaker
from sealwire.exceptions import NotSealed

if TYPE_CHECKING:
    from sealwire.crewai.errand import Errand

__all__ = ["RemoteAgent", "RemoteModel", "is_remote"]


class RemoteModel(BaseLLM):  # type: ignore[misc]
    """The model of an agent on another host; what CrewAI asks of an agent's model is asked there.

    CrewAI knows no model of this type, so restoring a checkpoint raises: it
    cannot bring the agent back as a local one that is not sealed.
    """

    llm_type: str = "sealwire-remote"
    _used: UsageMetrics = PrivateAttr(default_factory=UsageMetrics)

    def call(self, messages: Any, *args: Any, **kwargs: Any) -> Any:
        """Ask the model on the other host."""
        return _errand(self.model).ask_model(messages)

    async def acall(self, messages: Any, *args: Any, **kwargs: Any) -> Any:
        """The same, without blocking the event loop."""
        return await asyncio.to_thread(self.call, messages)

    def supports_function_calling(self) -> bool:
        """Whether tools may be given to it natively; they go through the other host's own loop instead."""
        return False

    def supports_stop_words(self) -> bool:
        """Whether CrewAI may rely on stop words."""
        return False

    def get_token_usage_summary(self) -> UsageMetrics:
        """What the other host says it used for this crew."""
        return self._used.model_copy()

    def add_usage(self, used: dict[str, Any]) -> None:
        """Count what a reply says was used."""
        known = {name: value for name, value in used.items() if name in UsageMetrics.model_fields and isinstance(value, int)}
        self._used.add_usage_metrics(UsageMetrics(**known))


class RemoteAgent(Agent):  # type: ignore[misc]
    """An agent that works on another host, under the address it has there."""

    sealwire_address: str
    sealwire_timeout: float

    def create_agent_executor(self, tools: Any = None, task: Any = None) -> None:
        """Have the other host do it instead of a model here."""
        self.agent_executor = RemoteExecutor(self, tools or [], task)


class RemoteExecutor:
    """What stands where CrewAI runs a model: it sends the prompt away and waits for the result."""

    tools_names = ""
    tools_description = ""
    _resuming = False

    def __init__(self, agent: RemoteAgent, tools: list[Any], task: Any) -> None:
        self._agent = agent
        self._tools = tools
        self.task = task
        self.llm = agent.llm
        self.messages: list[dict[str, str]] = []

    def invoke(self, inputs: dict[str, Any]) -> dict[str, str]:
        """Do the work of one task."""
        said = self._ask(str(inputs["input"]))
        while inputs.get("ask_for_human_input"):
            feedback = _feedback_on(said)
            if not feedback:
                break
            said = self._ask(f"{inputs['input']}\n\nYour earlier answer:\n{said}\n\nFeedback on it, to be worked in:\n{feedback}")
        return {"output": said}

    async def ainvoke(self, inputs: dict[str, Any]) -> dict[str, str]:
        """The same, without blocking the event loop."""
        return await asyncio.to_thread(self.invoke, inputs)

    def _ask(self, prompt: str) -> str:
        said = _errand(self._agent.sealwire_address).ask(self._agent, prompt, self._tools, self.task)
        self.messages = [{"role": "user", "content": prompt}, {"role": "assistant", "content": said}]
        return said


def is_remote(agent: Any) -> bool:
    """Whether `agent` works on another host."""
    return isinstance(agent, RemoteAgent)


def _errand(address: str) -> Errand:
    """The errand to that address that this code is a part of."""
    from sealwire.crewai.errand import errand_to

    at_work = speaker()
    errand = at_work.errand if at_work is not None else None
    if errand is not None and errand.reader == address:
        return errand
    found = errand_to(address)
    if found is None:
        raise NotSealed(f"`{address}` is on another host and this crew is not sealed: seal(crew) first, from sealwire.crewai")
    return found


def _feedback_on(said: str) -> str:
    """What the person at this host thinks of it; nothing means that it is good."""
    print(f"\n{said}\n")
    return input("Feedback (enter to accept): ").strip()
