"""Parts the CrewAI tests are made of: a scripted model, small crews, transports that misbehave."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from crewai import Agent, Crew, Task
from crewai.llms.base_llm import BaseLLM
from pydantic import PrivateAttr

from sealwire import MemoryTransport

Script = Callable[[str], str]


class ScriptedModel(BaseLLM):
    """A model that answers what its script says about the text it is given."""

    _script: Script = PrivateAttr()

    def __init__(self, script: Script) -> None:
        super().__init__(model="scripted")
        self._script = script

    def call(self, messages: Any, *args: Any, **kwargs: Any) -> str:
        if isinstance(messages, str):
            return self._script(messages)
        return self._script("\n".join(str(message["content"]) for message in messages))

    async def acall(self, messages: Any, *args: Any, **kwargs: Any) -> str:
        return self.call(messages)

    def supports_function_calling(self) -> bool:
        return False

    def supports_stop_words(self) -> bool:
        return False

    def get_context_window_size(self) -> int:
        return 100_000


def final(text: str) -> str:
    """The answer an agent ends its work with."""
    return f"Thought: I know.\nFinal Answer: {text}"


def uses(tool: str, arguments: str) -> str:
    """The answer by which an agent uses a tool."""
    return f"Thought: I need this.\nAction: {tool}\nAction Input: {arguments}\n"


def delegates(coworker: str, task: str, context: str = "none") -> str:
    """The answer by which an agent delegates."""
    return uses(
        "delegate_work_to_coworker",
        f'{{"coworker": "{coworker}", "task": "{task}", "context": "{context}"}}',
    )


def says(text: str) -> ScriptedModel:
    """A model that has one answer."""
    return ScriptedModel(lambda _: final(text))


def agent(role: str, model: BaseLLM | str = "done", **fields: Any) -> Any:
    """An agent of that role; a text as its model is all it ever says."""
    llm = says(model) if isinstance(model, str) else model
    return Agent(role=role, goal=f"be {role}", backstory=f"{role} since ever", llm=llm, **fields)


def task(worker: Agent | None, description: str = "do it", **fields: Any) -> Any:
    """A task for `worker`."""
    return Task(description=description, expected_output="a result", agent=worker, **fields)


def crew_of(*tasks: Task, **fields: Any) -> Any:
    """A crew of these tasks and the agents they name."""
    workers = list({id(each.agent): each.agent for each in tasks if each.agent is not None}.values())
    fields.setdefault("agents", workers)
    return Crew(tasks=list(tasks), **fields)


def passed(crew_or_agent: Any) -> list[tuple[str, str, str]]:
    """What passed: sender, reader and kind of each message, names without their node."""
    return [(m.sender.split("@")[0], m.reader.split("@")[0], m.kind) for m in crew_or_agent.sealwire.messages]


class RecordingTransport(MemoryTransport):
    """Keeps a copy of all it carries."""

    def __init__(self) -> None:
        super().__init__(timeout=2)
        self.carried: list[tuple[str, bytes]] = []

    def send(self, to: str, envelope: bytes) -> None:
        self.carried.append((to, envelope))
        super().send(to, envelope)


class HostileTransport(MemoryTransport):
    """Does `attack(to, envelope)` in place of delivering, from the `first` envelope to `reader` on.

    The attack returns what is delivered instead: a list of envelopes.
    """

    def __init__(self, attack: Callable[[str, bytes], list[bytes]], reader: str = "", first: int = 0) -> None:
        super().__init__(timeout=0.3)
        self._attack = attack
        self._reader = reader
        self._first = first
        self._count = 0
        self._counting = threading.Lock()

    def send(self, to: str, envelope: bytes) -> None:
        with self._counting:
            concerned = to.startswith(self._reader)
            self._count += concerned
            due = concerned and self._count > self._first
        for each in self._attack(to, envelope) if due else [envelope]:
            super().send(to, each)


def altered(to: str, envelope: bytes) -> list[bytes]:
    """One bit is flipped."""
    return [envelope[:-1] + bytes([envelope[-1] ^ 1])]


def replayed(to: str, envelope: bytes) -> list[bytes]:
    """It comes twice."""
    return [envelope, envelope]


def dropped(to: str, envelope: bytes) -> list[bytes]:
    """It does not come."""
    return []
