"""An errand: one call of an agent that works on another host.

The caller asks over its node; the request is sealed from the caller to the
agent and the reply from the agent to the caller. What comes back is text and
counts, and nothing of it is run. Tools that stay here are called back from
there, in the context they were given in.
"""

from __future__ import annotations

import concurrent.futures
import contextvars
import dataclasses
import functools
import os
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ClassVar, NoReturn

from sealwire.crewai.context import Said
from sealwire.crewai.handoff import Handoff
from sealwire.crewai.run import Frame, Run, current_run, speaker
from sealwire.crewai.words import JSON, canonical, encoded, fields
from sealwire.exceptions import RemoteError, Revoked, SealwireError, Unreachable
from sealwire.telemetry import span

if TYPE_CHECKING:
    from sealwire._sealwire import Incoming, Message
    from sealwire.crewai.remote_agent import RemoteExecutor, RemoteModel

__all__ = ["Errand", "errand_to"]

#: Seconds a model on another host may take for one answer.
_MODEL_TIME = 300.0


#: Call-backs that one caller answers at a time. Each has a thread, and may wait for an agent that calls back in turn.
_CALL_BACKS = 64


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

    def ask(self, executor: RemoteExecutor, prompt: str, limit: float | None) -> str:
        """Have the agent on the other host work on `prompt`; for `limit` seconds, if CrewAI sets one."""
        agent, on_part = executor.agent, _shown(executor)
        with _CallBack(self._run, self.reader, executor.tools) as back:
            body = {"prompt": prompt, "stream": on_part is not None, "tools": back.described(), "work": back.token}
            timeout = min(agent.sealwire_timeout, limit or agent.sealwire_timeout)
            try:
                reply = self._request(self._kind, body, timeout, on_part, executor.given_up.is_set)
            except Unreachable as error:
                if timeout == limit:
                    # CrewAI takes this class, on every Python it runs on, for its own time limit.
                    raise concurrent.futures.TimeoutError(str(error)) from None
                raise
        self._reply = reply
        return _text(reply, executor.llm)

    def ask_model(self, model: RemoteModel, messages: Any) -> str:
        """Ask the model of the agent on the other host."""
        return _text(self._request("model", {"messages": messages}, _MODEL_TIME), model)

    def introduction(self, timeout: float) -> dict[str, str]:
        """Who the agent on the other host says it is."""
        told = fields(self._request("describe", {}, timeout), role=str, goal=str, backstory=str)
        return {name: told[name] for name in ("role", "goal", "backstory")}

    def _request(
        self,
        kind: str,
        body: dict[str, Any],
        timeout: float,
        on_part: Callable[[bytes | None], None] | None = None,
        given_up: Callable[[], bool] | None = None,
    ) -> Message:
        seal = self._run.seal
        self._run.check()
        try:
            self._require_member()
            node = seal.shared.node()
            node.serve(self.caller.partition("@")[0], _CallBack.answer, at_once=_CALL_BACKS)
            sent = canonical(body)
            with span("request", **{"from": self.caller}, to=self.reader, kind=kind, size=len(sent)) as noted:
                reply = node.request(
                    self.caller,
                    self.reader,
                    sent,
                    kind=kind,
                    timeout=timeout,
                    thread=self._run.thread,
                    labels=sorted(self.labels),
                    content_type=JSON,
                    came_from=self._came_from,
                    on_sent=lambda ref: noted.note(id=ref[1].hex()),
                    on_part=on_part,
                    given_up=given_up,
                )
        except (RemoteError, Unreachable) as error:
            # The agent's own matter: what becomes of the crew is for CrewAI to say.
            self._explain(error, timeout)
        except SealwireError as error:
            self._run.refuse(error)
            raise
        self._run.check()
        seal.log.add_reply(reply)
        self.labels |= frozenset(reply.header.labels)
        return reply

    def _require_member(self) -> None:
        node = self.reader.partition("@")[2]
        if all(name != node for name, *_ in self._run.seal.endpoint.members()):
            raise Revoked(f"`{node}` is no node of this domain, or not any more, so `{self.reader}` is not asked; see `sealwire members`")

    def _explain(self, error: SealwireError, timeout: float) -> NoReturn:
        if isinstance(error, RemoteError):
            raise RemoteError(f"`{self.reader}`: {error}") from None
        node = self.reader.partition("@")[2]
        for name, location, connected, trouble in self._run.seal.shared.node().peers():
            if name == node and not connected:
                why = trouble or "there is no connection"
                raise Unreachable(
                    f"`{self.reader}` was not reached within {timeout:g} s at {location or 'any address'}: {why}. "
                    "Start `sealwire serve` there; "
                    f"if its address is another one now, `sealwire members {node} --at tcp://HOST:PORT`; `sealwire doctor` looks further"
                ) from None
        raise Unreachable(
            f"`{self.reader}` did not answer within {timeout:g} s: it is still at work, or its host does not serve it, or refuses what is "
            "sent to it (then what it says there tells why). More time: remote(…, timeout=…)"
        ) from None


def errand_to(address: str) -> Errand | None:
    """An errand for what CrewAI asks of a model outside its agent's work, such as to convert a result."""
    run = current_run()
    return None if run is None else Errand(run, address, "model")


class _CallBack:
    """Tools that stay here while an agent works elsewhere."""

    _lock = threading.Lock()
    _open: ClassVar[dict[str, _CallBack]] = {}

    def __init__(self, run: Run, user: str, tools: list[Any]) -> None:
        self.token = os.urandom(16).hex()
        self._run = run
        self._user = user
        # In this form CrewAI checks what a model gives against the tool's schema, on every release.
        self._tools = {tool.name: tool.to_structured_tool() for tool in tools}
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
            {
                "description": tool.description,
                "final": bool(getattr(tool, "result_as_answer", False)),
                "name": tool.name,
                "parameters": tool.args_schema.model_json_schema(),
            }
            for tool in self._tools.values()
        ]

    @classmethod
    def answer(cls, incoming: Incoming) -> bytes:
        """Use a tool for the agent that asks."""
        message = incoming.message
        if message.header.kind != "tool":
            raise RemoteError(f"a caller has no answer to a message of kind {message.header.kind!r}")
        told = fields(message, work=str, tool=str, arguments=dict)
        with cls._lock:
            work = cls._open.get(told["work"])
        if work is None or work._user != message.header.sender:
            raise RemoteError("that work is not under way here")
        return work._context.copy().run(work._use, message, told["tool"], told["arguments"])

    def _use(self, message: Message, name: str, arguments: dict[str, Any]) -> bytes:
        self._run.check()
        tool = self._tools.get(name)
        if tool is None:
            raise RemoteError(f"there is no tool {name!r} for that work")
        frame = speaker()
        if frame is None:
            raise RemoteError("that work is not under way here")
        header = message.header
        asking = dataclasses.replace(frame, labels=frame.labels | frozenset(header.labels), asked=header.ref)
        with asking.active():
            return canonical({"output": str(tool.invoke(arguments))})


def _shown(executor: RemoteExecutor) -> Callable[[bytes | None], None] | None:
    """What shows the model's words here as they come, if CrewAI has told the model to stream."""
    if not getattr(executor.llm, "stream", False):
        return None
    emit = functools.partial(executor.llm._emit_stream_chunk_event, from_task=executor.task, from_agent=executor.agent)

    def show(part: bytes | None) -> None:
        if part is not None:
            emit(chunk=part.decode("utf-8", "replace"))

    return show


def _text(reply: Message, model: RemoteModel) -> str:
    """What a reply says; what it says was used is counted."""
    told = fields(reply, text=str)
    model.count(told.get("usage"))
    return str(told["text"])
