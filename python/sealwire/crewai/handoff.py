"""A hand-off: one call of an agent, sealed on the way in and on the way out.

The caller seals what the agent will read, the bytes cross the transport, the
agent opens them and works on what it opened. Its result goes back the same
way, as the answer to that message.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from sealwire.crewai.context import Piece, Said, joined, labels_of_sources, pieces
from sealwire.crewai.prompts import Reading, state_of
from sealwire.crewai.release import divider
from sealwire.crewai.run import Frame, Run, inherited_labels, speaker
from sealwire.crewai.task_labels import labels_of
from sealwire.crewai.words import JSON, TEXT, canonical, decoded, result_words
from sealwire.exceptions import NotAuthentic
from sealwire.labels import current_labels
from sealwire.telemetry import span

if TYPE_CHECKING:
    from sealwire._sealwire import Message, Sealed

__all__ = ["Handoff"]


class Handoff:
    """From the agent at work here, or the crew, to `agent`, and back."""

    def __init__(self, run: Run, agent: Any, kind: str) -> None:
        at_work = speaker()
        self._run = run
        self._kind = kind
        self._by_crew = at_work is None
        self._task: Any = None
        self._reading: Reading | None = None
        self._asked: tuple[bytes, bytes] | None = None
        self.labels = inherited_labels()
        with run.guard():
            self.reader = run.seal.address_of(agent)
            self.caller = at_work.address if at_work and not at_work.errand else run.seal.orchestrator
            # The crew signs for an agent on another host, and names what that agent has signed itself.
            self._came_from = at_work.asked if at_work else None

    def give_task(self, task: Any, context: str | None) -> str | None:
        """Seal the prompt of `task` and its context for the agent; return the context it opened."""
        state, prompt = state_of(task), _prompt(task)
        with self._run.guard():
            self._task = task
            self.labels = self._task_labels(task)
            opened, opened_context = self._carry(prompt, context)
            if opened != prompt or state_of(task) != state:
                raise NotAuthentic("the task is not the one that was sealed for the agent")
            self._reading = Reading(opened, state)
        return opened_context if context is None or isinstance(context, str) else context

    def give_messages(self, messages: Any) -> Any:
        """Seal the messages of ``Agent.kickoff`` for the agent; return what it opened."""
        with self._run.guard():
            [message] = self._exchange([self._ask(canonical(messages), self.labels)])
            if canonical(messages) != message.body:
                raise NotAuthentic("the messages the agent would read are not those that were sealed for it")
            return json.loads(decoded(message.body)) if type(messages) is str else messages

    def frame(self, work: Any) -> Frame:
        """The agent at work on `work`."""
        return Frame(self.reader, work, self.labels, self._reading)

    def take(self, result: Any) -> Any:
        """Seal what the agent returned for its caller; return what the caller opened."""
        with self._run.guard():
            body, content_type = result_words(result)
            [message] = self._exchange([self._answer(body, content_type)])
            if self._task is not None:
                said = Said(self.reader, message.header.ref, message.body, self.labels)
                self._run.said(self._task, said)
            return _returned(result, message.body)

    def _task_labels(self, task: Any) -> frozenset[str]:
        """A crew's own task starts afresh; everything else inherits from what it is about."""
        if self._by_crew and self._run.owns(task):
            return current_labels() | labels_of(task)
        return self.labels | labels_of(task)

    def _carry(self, prompt: str, context: str | None) -> tuple[str, str | None]:
        """Bring prompt and context to the reader, earlier words in their authors' envelopes."""
        parts = pieces(self._run, self._task, context) if self._by_crew and context else None
        if parts is None:
            labels = self.labels | self._unattributed(context)
            [message] = self._exchange([self._ask(canonical({"context": context, "prompt": prompt}), labels)])
            told = json.loads(decoded(message.body))
            return told["prompt"], told["context"]
        sent = [self._forward(part) for part in parts]
        sent.append(self._ask(canonical({"context": _references(sent), "prompt": prompt}), self.labels))
        return _read(self._exchange(sent))

    def _unattributed(self, context: str | None) -> frozenset[str]:
        """Labels of all a context may contain when nobody can tell what it was made of."""
        return labels_of_sources(self._run, self._task) if self._by_crew and context else frozenset()

    def _forward(self, part: Piece) -> Sealed:
        labels = part.labels | current_labels()
        return self._seal(part.sender, self.reader, part.body, "context", labels, TEXT, came_from=part.came_from)

    def _ask(self, body: bytes, labels: frozenset[str]) -> Sealed:
        sealed = self._seal(self.caller, self.reader, body, self._kind, labels, JSON, came_from=self._came_from)
        self._asked = sealed.header.ref
        return sealed

    def _answer(self, body: bytes, content_type: str) -> Sealed:
        return self._seal(self.reader, self.caller, body, "result", self.labels, content_type, answers=self._asked)

    def _seal(
        self,
        sender: str,
        reader: str,
        body: bytes,
        kind: str,
        labels: frozenset[str],
        content_type: str,
        *,
        answers: tuple[bytes, bytes] | None = None,
        came_from: tuple[bytes, bytes] | None = None,
    ) -> Sealed:
        with span("seal", **{"from": sender}, to=reader, kind=kind, size=len(body)) as noted:
            sealed = self._run.seal.endpoint.seal(
                sender,
                reader,
                body,
                kind=kind,
                thread=self._run.thread,
                labels=sorted(labels),
                content_type=content_type,
                answers=answers,
                came_from=came_from,
            )
            noted.note(id=sealed.header.id.hex())
        return sealed

    def _exchange(self, sent: Sequence[Sealed]) -> list[Message]:
        """Carry envelopes across the transport, and list what passed."""
        seal = self._run.seal
        delivered = seal.post.exchange(seal.endpoint, self._run, sent)
        for one in delivered:
            seal.log.add(one)
        return [one.message for one in delivered]


def _prompt(task: Any) -> str:
    """What the agent will read of `task`."""
    prompt = getattr(task, "prompt", None)
    return str(prompt() if callable(prompt) else getattr(task, "description", task))


def _references(sent: Sequence[Sealed]) -> dict[str, Any]:
    """The messages a context is joined from, by signer and id."""
    return {
        "divider": divider,
        "messages": [[part.hex() for part in sealed.header.ref] for sealed in sent],
    }


def _read(messages: Sequence[Message]) -> tuple[str, str]:
    """What a reader makes of the context messages and the task message that lists them."""
    *parts, task = messages
    told = json.loads(decoded(task.body))
    listed = [[part.hex() for part in message.header.ref] for message in parts]
    if told["context"]["messages"] != listed:
        raise NotAuthentic("the context is not made of the messages the task names")
    return told["prompt"], joined([decoded(message.body) for message in parts])


def _returned(result: Any, body: bytes) -> Any:
    """What the caller gets: the opened text, or the object those bytes were made of."""
    if type(result) is str:
        return decoded(body)
    if result_words(result)[0] != body:
        raise NotAuthentic("the result is not the one that was sealed")
    return result
