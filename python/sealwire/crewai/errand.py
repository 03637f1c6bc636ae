"""An errand: one call of an agent that works on another host.

The caller asks over its node; the request is sealed from the caller to the
agent and the reply from the agent to the caller. Tools that stay here are
called back from there, in the context they were given in.
"""

from __future__ import annotations

import contextvars
import json
import os
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from sealwire.crewai.context import Said
from sealwire.crewai.handoff import Handoff
from sealwire.crewai.release import LLMStreamChunkEvent, crewai_event_bus
from sealwire.crewai.run import Frame, Run, current_run
from sealwire.crewai.words import JSON, canonical, decoded, encoded
from sealwire.exceptions import RemoteError, SealwireError, TransportError, Unreachable

if TYPE_CHECKING:
    from sealwire._sealwire import Incoming, Message

__all__ = ["Errand", "errand_to"]

#: Seconds a model on another host may take for one answer.
_MODEL_TIME = 300.0


class Errand(Handoff):
    """From the agent at work here, or the crew, to an agent on another host, and back."""

    def __init__(self, run: Run, agent: Any, kind: str) -> None:
        super().__init__(run, agent, kind)
        self._reply: Message | None = None

    def give_task(self, task: Any, context: str | None) -> str | None:
        """Note what the task is about; it is sent when CrewAI has made the whole prompt."""
        with self._run.guard():
            self._task = task
            self.labels = self._task_labels(task) | self._unattributed(context)
        return context

    def give_messages(self, messages: Any) -> Any:
        """Nothing is sent yet: each question to the model is."""
        return messages

    def frame(self, work: Any) -> Frame:
        """The agent at work on `work`, elsewhere."""
        return Frame(self.reader, work, self.labels, None, self)

    def take(self, result: Any) -> Any:
        """Remember whose words the result is."""
        with self._run.guard():
            if self._task is not None and self._reply is not None and isinstance(result, str):
                said = Said(self.reader, self._reply.header.ref, encoded(result), self.labels, here=False)
                self._run.said(self._task, said)
        return result

    def ask(self, agent: Any, prompt: str, tools: list[Any], task: Any) -> str:
        """Have the agent on the other host work on `prompt`."""
        with _CallBack(self._run, self.reader, tools) as back:
            body = {"prompt": prompt, "tools": back.described(), "work": back.token, "stream": _streams(agent)}
            timeout = min(filter(None, (agent.sealwire_timeout, agent.max_execution_time)))
            try:
                reply = self._request(self._kind, body, timeout, _parts(agent, task))
            except Unreachable as error:
                if agent.max_execution_time is not None and agent.max_execution_time <= agent.sealwire_timeout:
                    raise TimeoutError(f"{self.reader} did not answer within {timeout:g} s") from error
                raise
        self._reply = reply
        told = _told(reply)
        agent.llm.add_usage(told.get("usage") or {})
        return str(told["text"])

    def ask_model(self, messages: Any) -> str:
        """Ask the model of the agent on the other host."""
        return str(_told(self._request("model", {"messages": messages}, _MODEL_TIME, None))["text"])

    def _request(self, kind: str, body: dict[str, Any], timeout: float, on_part: Callable[[bytes | None], None] | None) -> Message:
        seal = self._run.seal
        self._run.check()
        try:
            node = seal.shared.node()
            node.serve(self.caller.partition("@")[0], _CallBack.answer)
            reply = node.request(
                self.caller,
                self.reader,
                canonical(body),
                kind=kind,
                timeout=timeout,
                thread=self._run.thread,
                labels=sorted(self.labels),
                content_type=JSON,
                on_part=on_part,
            )
        except (RemoteError, Unreachable) as error:
            raise type(error)(f"{self.reader}: {error}") from None
        except SealwireError as error:
            self._run.refuse(error)
            raise
        self._run.check()
        seal.log.add_reply(reply)
        return reply


def errand_to(address: str) -> Errand | None:
    """An errand for what CrewAI asks of a model outside its agent's work, such as to convert a result."""
    run = current_run()
    return None if run is None else Errand(run, _Addressee(address), "model")


class _Addressee:
    """An agent of which only the address is known."""

    def __init__(self, address: str) -> None:
        self.sealwire_address = address


class _CallBack:
    """Tools that stay here while an agent works elsewhere."""

    _lock = threading.Lock()
    _open: dict[str, _CallBack] = {}

    def __init__(self, run: Run, user: str, tools: list[Any]) -> None:
        self.token = os.urandom(16).hex()
        self._run = run
        self._user = user
        self._tools = {tool.name: tool for tool in tools}
        self._context = contextvars.copy_context()

    def __enter__(self) -> _CallBack:
        with self._lock:
            self._open[self.token] = self
        return self

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._open.pop(self.token, None)

    def described(self) -> list[dict[str, Any]]:
        """The tools as the other host shows them to its model."""
        return [
            {"name": tool.name, "description": tool.description, "parameters": tool.args_schema.model_json_schema()}
            for tool in self._tools.values()
        ]

    @classmethod
    def answer(cls, incoming: Incoming) -> bytes:
        """Use a tool for the agent that asks."""
        told = _told(incoming.message)
        with cls._lock:
            work = cls._open.get(str(told["work"]))
        if work is None or work._user != incoming.message.header.sender:
            raise RemoteError("that work is not under way here")
        return work._context.copy().run(work._use, str(told["tool"]), dict(told["arguments"]))

    def _use(self, name: str, arguments: dict[str, Any]) -> bytes:
        self._run.check()
        tool = self._tools.get(name)
        if tool is None:
            raise RemoteError(f"there is no tool {name!r} for that work")
        return canonical({"output": str(tool.run(**arguments))})


def _streams(agent: Any) -> bool:
    crew = getattr(agent, "crew", None)
    return bool(getattr(crew, "stream", False))


def _parts(agent: Any, task: Any) -> Callable[[bytes | None], None] | None:
    """What shows the model's words here as they come."""
    if not _streams(agent):
        return None
    call = os.urandom(8).hex()

    def show(part: bytes | None) -> None:
        if part is not None:
            event = LLMStreamChunkEvent(chunk=decoded(part), call_id=call, from_task=task, from_agent=agent)
            crewai_event_bus.emit(agent.llm, event=event)

    return show


def _told(message: Message) -> dict[str, Any]:
    told = json.loads(decoded(message.body))
    if not isinstance(told, dict):
        raise TransportError(f"{message.header.sender} sent what is not of the form agreed on")
    return told
