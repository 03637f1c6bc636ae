"""A served agent: it works on this host for callers on others.

Each request is a prompt that a caller's CrewAI has finished. A copy of the
agent, one for each request, runs it with its own model, tools and secrets;
tools that stayed with the caller are called back there. What a caller sends is
text for the model, and the schemas of such tools; nothing of it is run.
"""

from __future__ import annotations

import copy
import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict, PrivateAttr

from sealwire.crewai.release import BaseLLM, BaseTool, LLMStreamChunkEvent, Task, crewai_event_bus
from sealwire.crewai.words import JSON, canonical, encoded, fields
from sealwire.exceptions import RemoteError
from sealwire.telemetry import span

if TYPE_CHECKING:
    from sealwire._sealwire import Incoming, Node

__all__ = ["Served", "incoming"]

_Reply = tuple[str, bytes, str, list[str]]

#: Tools a caller may keep on its side: more than a model can choose among, few enough that nobody fills the memory with them.
_MOST_TOOLS = 256

#: Seconds by which the clocks of two hosts may differ (SPEC, "Limits").
_CLOCKS_DIFFER = 120

#: Bytes of a reply: an envelope has 16 MiB for it, the header and the certificate.
_MOST_BYTES = 16 * 2**20 - 2**16

#: Where a schema may refer to: into itself. Anything else would have this host fetch what a caller names.
_INSIDE = "#/"

_log = logging.getLogger("sealwire.serve")
_at_work: ContextVar[Incoming | None] = ContextVar("sealwire_incoming", default=None)


def incoming() -> Incoming | None:
    """The request that the agent works on here: for tools, which find effects of an earlier try under its message's id.

    ``incoming().redelivered`` says that this may be a second try, after a crash.
    """
    return _at_work.get()


class Served:
    """What answers for one agent."""

    def __init__(self, node: Node, agent: Any) -> None:
        self._node = node
        self._agent = agent
        self._does: dict[str, Callable[[Incoming], dict[str, Any]]] = {
            "task": self._work,
            "delegate": self._work,
            "ask": self._work,
            "model": self._model,
            "describe": self._describe,
        }

    def __call__(self, request: Incoming) -> _Reply:
        """Answer one request."""
        header = request.message.header
        does = self._does.get(header.kind)
        if does is None:
            raise RemoteError(f"this agent has no answer to a message of kind {header.kind!r}")
        again = " again, after a restart" if request.redelivered else ""
        _log.info("%s: %s for %s, message %s%s", header.reader, header.kind, header.sender, header.id.hex(), again)
        token = _at_work.set(request)
        told: dict[str, str | int] = {
            "from": header.sender,
            "to": header.reader,
            "kind": header.kind,
            "id": header.id.hex(),
            "size": len(request.message.body),
        }
        try:
            with span("handle", **told, redelivered=request.redelivered):
                return "result", _sendable(does(request)), JSON, sorted(header.labels)
        except Exception as error:
            _log.warning("%s: message %s failed: %s", header.reader, header.id.hex(), type(error).__name__)
            raise
        finally:
            _at_work.reset(token)

    def _work(self, request: Incoming) -> dict[str, Any]:
        told = fields(request.message, prompt=str, tools=list, work=str)
        tools = _callers_tools(self._node, request, told["work"], told["tools"])
        agent = _copy(self._agent)
        _stop_with(request, agent)
        task = _Given(description="work for another host", expected_output="a result", agent=agent)
        task._prompt = told["prompt"]
        with _streaming(agent, request if told.get("stream") is True else None):
            result = agent.execute_task(task, None, [*(agent.tools or []), *tools])
        text = result.model_dump_json() if isinstance(result, BaseModel) else str(result)
        return {"text": text, "usage": _usage(agent.llm)}

    def _model(self, request: Incoming) -> dict[str, Any]:
        messages = fields(request.message).get("messages")
        if not isinstance(messages, str) and not _are_messages(messages):
            raise RemoteError("a question to a model is a text, or a list of messages with a role and a content")
        model = _uncounted(self._agent.llm)
        return {"text": str(model.call(messages)), "usage": _usage(model)}

    def _describe(self, _: Incoming) -> dict[str, Any]:
        return {name: getattr(self._agent, name) for name in ("role", "goal", "backstory")}


def _sendable(told: dict[str, Any]) -> bytes:
    body = canonical(told)
    if len(body) > _MOST_BYTES:
        raise RemoteError(f"its result of {len(body)} bytes is larger than the {_MOST_BYTES} that fit into one message")
    return body


class _Given(Task):
    """A task whose prompt was made elsewhere."""

    _prompt: str = PrivateAttr(default="")

    def prompt(self) -> str:
        """The prompt as it came."""
        return self._prompt


def _copy(agent: Any) -> Any:
    """A copy of `agent` for one request, which begins to count tokens at nought; whether to try again is for the caller to say."""
    twin = agent.copy()
    for left_out in ("apps", "mcps"):
        if getattr(agent, left_out, None):
            setattr(twin, left_out, getattr(agent, left_out))
    twin.max_retry_limit = 0
    twin.llm = _uncounted(twin.llm)
    return twin


def _uncounted(model: Any) -> Any:
    """A copy of `model` that has counted nothing yet."""
    if not isinstance(model, BaseLLM):
        return model
    twin = copy.copy(model)
    twin._token_usage = dict.fromkeys(twin._token_usage, 0)
    return twin


def _usage(model: Any) -> dict[str, int]:
    return {name: value for name, value in (getattr(model, "_token_usage", None) or {}).items() if isinstance(value, int)}


def _stop_with(request: Incoming, agent: Any) -> None:
    """Let `agent` end at its next step when nobody waits for it any more."""
    own = agent.step_callback

    def step(said: Any) -> Any:
        _require_waiting(request)
        return own(said) if own is not None else None

    agent.step_callback = step


def _require_waiting(request: Incoming) -> None:
    if request.cancelled or _left(request) <= 0:
        raise RemoteError("who asked does not wait any more")


def _left(request: Incoming) -> float:
    """Seconds for which somebody may still be waiting, if the clocks differ as far as they may."""
    return request.deadline + _CLOCKS_DIFFER - time.time()


def _are_messages(messages: Any) -> bool:
    return isinstance(messages, list) and all(isinstance(each, dict) and {"role", "content"} <= each.keys() for each in messages)


# --- tools that stay with the caller ----------------------------------------------------------------------------------


class _CallersTool(BaseTool):
    """A tool that stayed with the caller."""

    _call: Callable[[dict[str, Any]], str] = PrivateAttr()
    _known: frozenset[str] = PrivateAttr(default=frozenset())

    def _run(self, **arguments: Any) -> str:
        # CrewAI adds arguments of its own on some releases; they stay here.
        return self._call({name: value for name, value in arguments.items() if name in self._known})


def _callers_tools(node: Node, request: Incoming, work: str, described: list[Any]) -> list[_CallersTool]:
    if len(described) > _MOST_TOOLS:
        raise RemoteError(f"{len(described)} tools are more than the {_MOST_TOOLS} that may stay with a caller")
    return [_callers_tool(node, request, work, each) for each in described]


def _callers_tool(node: Node, request: Incoming, work: str, described: Any) -> _CallersTool:
    """The tool as the caller described it."""
    try:
        name, about, parameters = (described[key] for key in ("name", "description", "parameters"))
        schema = _schema(parameters)
    except (KeyError, TypeError, AttributeError, ValueError, RecursionError):
        raise RemoteError("a tool is described by its name, its description and the JSON schema of its parameters") from None
    tool = _CallersTool(name=str(name), description=str(about), args_schema=schema, result_as_answer=described.get("final") is True)
    header = request.message.header

    def call(arguments: dict[str, Any]) -> str:
        _require_waiting(request)
        reply = node.request(
            header.reader,
            header.sender,
            canonical({"arguments": arguments, "tool": name, "work": work}),
            kind="tool",
            timeout=max(1.0, _left(request)),
            thread=header.thread,
            labels=sorted(header.labels),
            content_type=JSON,
            given_up=lambda: request.cancelled,
        )
        return str(fields(reply, output=str)["output"])

    tool._call, tool._known = call, frozenset(schema.model_json_schema()["properties"])
    return tool


class _Arguments(BaseModel):
    """Whatever a model gives; the tool itself checks it, where it is."""

    model_config = ConfigDict(extra="allow")


def _schema(parameters: Any) -> type[BaseModel]:
    """A model that shows the caller's JSON schema; nothing is made of the schema here."""
    shown = {"type": "object", "properties": dict(parameters.get("properties") or {}), **dict(parameters)}
    if not _is_self_contained(shown):
        raise TypeError("refers to something outside of itself")

    class Arguments(_Arguments):
        @classmethod
        def model_json_schema(cls, *_: Any, **__: Any) -> dict[str, Any]:
            return copy.deepcopy(shown)

    return Arguments


def _is_self_contained(schema: Any) -> bool:
    if isinstance(schema, list):
        return all(map(_is_self_contained, schema))
    if not isinstance(schema, dict):
        return True
    where = schema.get("$ref", _INSIDE)
    return str(where).startswith(_INSIDE) and all(map(_is_self_contained, schema.values()))


# --- the model's words as they come -----------------------------------------------------------------------------------

_listening: dict[str, Incoming] = {}
_lock = threading.Lock()
_watching = False


@contextmanager
def _streaming(agent: Any, request: Incoming | None) -> Iterator[None]:
    """While an agent works, its model's words go ahead to who asked."""
    if request is None:
        yield
        return
    if isinstance(agent.llm, BaseLLM):
        agent.llm.stream = True
    _watch()
    with _lock:
        _listening[str(agent.id)] = request
    try:
        yield
    finally:
        with _lock:
            _listening.pop(str(agent.id), None)


def _watch() -> None:
    global _watching
    with _lock:
        if not _watching:
            crewai_event_bus.register_handler(LLMStreamChunkEvent, _heard)
            _watching = True


def _heard(_: Any, event: Any) -> None:
    """CrewAI calls this where the chunk is made, one after the other, so that they stay in order."""
    with _lock:
        request = _listening.get(str(event.agent_id))
    if request is not None and event.chunk:
        request.part(encoded(event.chunk))
