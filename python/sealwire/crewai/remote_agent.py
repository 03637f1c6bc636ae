"""An agent on another host, as an ordinary agent of a crew here.

Everything CrewAI does around an agent (memory, knowledge, guardrails, time
limits, events) happens here, as for any agent. Only what would run the model
and its tools is elsewhere: the executor sends the finished prompt to the other
host, and the model answers through it.
"""

from __future__ import annotations

import asyncio
import functools
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from sealwire.crewai.release import Agent, BaseLLM, LLMCallType, llm_call_context, save_to_memory
from sealwire.crewai.run import speaker
from sealwire.exceptions import NotSealed

if TYPE_CHECKING:
    from sealwire.crewai.errand import Errand

__all__ = ["RemoteAgent", "RemoteExecutor", "RemoteModel", "is_remote"]

#: What CrewAI is told that a model or an executor is; it knows none of this type.
_TYPE = "sealwire-remote"

#: The largest count of tokens that is believed; more than any model has ever used.
_MOST_TOKENS = 10**12


class RemoteModel(BaseLLM):
    """The model of an agent on another host; what CrewAI asks of an agent's model is asked there.

    CrewAI knows no model of this type, so restoring a checkpoint raises: it
    cannot bring the agent back as a local one that is not sealed.
    """

    llm_type: str = _TYPE

    def call(self, messages: Any, *args: Any, **kwargs: Any) -> str:
        """Ask the model on the other host."""
        with self.announced(messages, kwargs.get("from_task"), kwargs.get("from_agent")) as end:
            return end(_errand(self.model).ask_model(self, messages))

    async def acall(self, messages: Any, *args: Any, **kwargs: Any) -> str:
        """The same, without blocking the event loop."""
        return await asyncio.to_thread(functools.partial(self.call, messages, *args, **kwargs))

    def supports_function_calling(self) -> bool:
        """Whether tools may be given to it natively; they go through the other host's own loop instead."""
        return False

    def supports_stop_words(self) -> bool:
        """Whether CrewAI may rely on stop words."""
        return False

    def count(self, used: Any) -> None:
        """Add what a reply says was used."""
        for name, value in used.items() if isinstance(used, dict) else ():
            if name in self._token_usage and type(value) is int and 0 <= value <= _MOST_TOKENS:
                self._token_usage[name] += value

    @contextmanager
    def announced(self, messages: Any, task: Any, agent: Any) -> Iterator[Callable[[str], str]]:
        """Tell those who listen to CrewAI's events of a call; what is given is called with the answer."""
        with llm_call_context():
            self._emit_call_started_event(messages=messages, from_task=task, from_agent=agent)

            def end(said: str) -> str:
                self._emit_call_completed_event(
                    response=said, call_type=LLMCallType.LLM_CALL, from_task=task, from_agent=agent, messages=messages
                )
                return said

            try:
                yield end
            except Exception as error:
                self._emit_call_failed_event(error=str(error), from_task=task, from_agent=agent)
                raise


class RemoteAgent(Agent):
    """An agent that works on another host, under the address it has there."""

    sealwire_address: str
    sealwire_timeout: float

    def create_agent_executor(self, tools: Any = None, task: Any = None) -> None:
        """Have the other host do it instead of a model here."""
        executor: Any = RemoteExecutor(self, self.tools or [] if tools is None else tools, task)
        self.agent_executor = executor


class RemoteExecutor:
    """What stands where CrewAI runs a model: it sends the prompt away and waits for the result."""

    tools_names = ""
    tools_description = ""
    _resuming = False

    def __init__(self, agent: RemoteAgent, tools: list[Any], task: Any) -> None:
        self.agent = agent
        self.crew = agent.crew
        self.llm: Any = agent.llm
        self.task = task
        self.tools = tools
        self.messages: list[dict[str, str]] = []
        self.given_up = threading.Event()

    def model_dump(self, **_: Any) -> dict[str, str]:
        """What a checkpoint keeps of it; nothing is restored from that."""
        return {"executor_type": _TYPE}

    def invoke(self, inputs: dict[str, Any]) -> dict[str, str]:
        """Do the work of one task, within the agent's time."""
        return self._work(inputs, self.agent.max_execution_time)

    async def ainvoke(self, inputs: dict[str, Any]) -> dict[str, str]:
        """The same, without blocking the event loop; when it is cancelled, for its time or otherwise, the request is taken back."""
        try:
            return await asyncio.to_thread(self._work, inputs, None)
        except asyncio.CancelledError:
            self.given_up.set()
            raise

    def _work(self, inputs: dict[str, Any], limit: float | None) -> dict[str, str]:
        prompt = str(inputs["input"])
        said = self._ask(prompt, limit)
        while inputs.get("ask_for_human_input") and (feedback := _feedback_on(said)):
            said = self._ask(f"{prompt}\n\nYour earlier answer:\n{said}\n\nFeedback on it, to be worked in:\n{feedback}", limit)
        save_to_memory(self, said)
        return {"output": said}

    def _ask(self, prompt: str, limit: float | None) -> str:
        question = [{"role": "user", "content": prompt}]
        with self.llm.announced(question, self.task, self.agent) as end:
            said: str = end(_errand(self.agent.sealwire_address).ask(self, prompt, limit))
        self.messages = [*question, {"role": "assistant", "content": said}]
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
