"""A served agent: it works on this host for callers on others.

Each request is a prompt that a caller's CrewAI has finished. The agent, a copy
of it for each request, runs it with its own model, tools and secrets; tools
that stayed with the caller are called back there.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, PrivateAttr

from sealwire.crewai.release import (
    BaseTool,
    LLMStreamChunkEvent,
    Task,
    create_model_from_schema,
    crewai_event_bus,
)
from sealwire.crewai.words import JSON, canonical, decoded, encoded

if TYPE_CHECKING:
    from sealwire._sealwire import Incoming, Node

__all__ = ["Served"]

_Reply = tuple[str, bytes, str, list[str]]


class Served:
    """What answers for one agent."""

    def __init__(self, node: Node, agent: Any) -> None:
        self._node = node
        self._agent = agent
        self._does: dict[str, Callable[[Incoming, dict[str, Any]], dict[str, Any]]] = {
            "task": self._work,
            "delegate": self._work,
            "ask": self._work,
            "model": self._model,
            "describe": self._describe,
        }

    def __call__(self, incoming: Incoming) -> _Reply:
        """Answer one request."""
        header = incoming.message.header
        does = self._does.get(header.kind)
        told = json.loads(decoded(incoming.message.body))
        if does is None or not isinstance(told, dict):
            raise ValueError(f"this agent has no answer to a message of kind {header.kind!r}")
        return "result", canonical(does(incoming, told)), JSON, sorted(header.labels)

    def _work(self, incoming: Incoming, told: dict[str, Any]) -> dict[str, Any]:
        agent = self._agent.copy()
        task = _Given(description="work for another host", expected_output="a result", agent=agent)
        task._prompt = str(told["prompt"])
        tools = [_CallersTool.made(self._node, incoming, str(told["work"]), tool) for tool in told["tools"]]
        before = _usage(agent)
        with _streaming(agent, incoming if told.get("stream") else None):
            result = agent.execute_task(task, None, [*(agent.tools or []), *tools])
        text = result.model_dump_json() if isinstance(result, BaseModel) else str(result)
        used = {name: value - before.get(name, 0) for name, value in _usage(agent).items()}
        return {"text": text, "usage": used}

    def _model(self, _: Incoming, told: dict[str, Any]) -> dict[str, Any]:
        return {"text": str(self._agent.llm.call(told["messages"]))}

    def _describe(self, _: Incoming, __: dict[str, Any]) -> dict[str, Any]:
        return {name: getattr(self._agent, name) for name in ("role", "goal", "backstory")}


class _Given(Task):  # type: ignore[misc]
    """A task whose prompt was made elsewhere."""

    _prompt: str = PrivateAttr(default="")

    def prompt(self) -> str:
        """The prompt as it came."""
        return self._prompt


class _CallersTool(BaseTool):  # type: ignore[misc]
    """A tool that stayed with the caller."""

    _call: Callable[[dict[str, Any]], str] = PrivateAttr()

    @classmethod
    def made(cls, node: Node, incoming: Incoming, work: str, described: dict[str, Any]) -> _CallersTool:
        """The tool as the caller described it."""
        name = str(described["name"])
        schema = create_model_from_schema(described["parameters"])
        tool = cls(name=name, description=str(described["description"]), args_schema=schema)
        header = incoming.message.header

        def call(arguments: dict[str, Any]) -> str:
            body = canonical({"arguments": arguments, "tool": name, "work": work})
            reply = node.request(
                header.reader,
                header.sender,
                body,
                kind="tool",
                timeout=max(1.0, incoming.deadline - time.time()),
                thread=header.thread,
                labels=sorted(header.labels),
                content_type=JSON,
            )
            return str(json.loads(decoded(reply.body))["output"])

        tool._call = call
        return tool

    def _run(self, **arguments: Any) -> str:
        return self._call(arguments)


def _usage(agent: Any) -> dict[str, int]:
    summary = getattr(agent.llm, "get_token_usage_summary", None)
    if summary is None:
        return {}
    return {name: value for name, value in summary().model_dump().items() if isinstance(value, int)}


class _streaming:  # noqa: N801 -- used like a function
    """While an agent works, its model's words go ahead to who asked."""

    _lock = threading.Lock()
    _listening: dict[str, Incoming] = {}
    _watching = False

    def __init__(self, agent: Any, incoming: Incoming | None) -> None:
        self._agent = agent
        self._incoming = incoming

    def __enter__(self) -> None:
        if self._incoming is None:
            return
        if hasattr(self._agent.llm, "stream"):
            self._agent.llm.stream = True
        with self._lock:
            self._listening[str(self._agent.id)] = self._incoming
            if not _streaming._watching:
                crewai_event_bus.register_handler(LLMStreamChunkEvent, self._heard)
                _streaming._watching = True

    def __exit__(self, *_: object) -> None:
        flush = getattr(crewai_event_bus, "flush", None)
        if self._incoming is not None and flush is not None:
            flush()
        with self._lock:
            self._listening.pop(str(self._agent.id), None)

    @classmethod
    def _heard(cls, _: Any, event: Any) -> None:
        with cls._lock:
            incoming = cls._listening.get(str(event.agent_id))
        if incoming is not None and event.chunk:
            incoming.part(encoded(event.chunk))
