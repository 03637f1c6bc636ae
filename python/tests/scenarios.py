"""Crews that use every way in which CrewAI lets one agent hand something to another.

Each scenario says which hand-offs it must cause (``hands``), written by hand from CrewAI's rules, and :class:`Record` sees what
CrewAI really did, at the calls that every hand-off goes through, without a word of sealwire. Each text that passes between
agents carries a mark that occurs nowhere else, so that a test can look for it in bytes.

The model is a script: it answers from what stands in the conversation and keeps no state, so that the same crew says the same
things in any order of threads, sealed or not.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any

import pytest
from crewai import Agent, BaseLLM, Crew, Process, Task
from crewai.tasks.llm_guardrail import LLMGuardrail
from crewai.tools.agent_tools.base_agent_tools import BaseAgentTool
from pydantic import BaseModel, PrivateAttr

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from crewai.tasks.conditional_task import ConditionalTask

DIVIDER = "\n\n----------\n\n"
"""What CrewAI puts between two outputs when it makes one context of them."""

# --- the scripted model -----------------------------------------------------------------------------------------------

Script = Callable[[str], str]


class ScriptedModel(BaseLLM):
    """Answers with what `script` says to the conversation since the current task was given."""

    _script: Any = PrivateAttr(default=None)

    def __init__(self, script: Script | None = None, **rest: Any) -> None:
        rest.setdefault("model", "scripted")
        super().__init__(**rest)
        self._script = script

    def call(
        self, messages: Any, tools: Any = None, callbacks: Any = None, available_functions: Any = None,
        from_task: Any = None, from_agent: Any = None, response_model: Any = None,
    ) -> str:  # fmt: skip
        with _llm_call_context():
            self._emit_call_started_event(messages=messages, from_task=from_task, from_agent=from_agent, tools=None, callbacks=None)
            said = conversation(messages)
            reply: str = self._script(said)
            if getattr(self, "stream", False):
                for start in range(0, len(reply), 40):
                    self._emit_stream_chunk_event(chunk=reply[start : start + 40], from_task=from_task, from_agent=from_agent)
            self._track_token_usage_internal(
                {"prompt_tokens": len(said) // 4, "completion_tokens": len(reply) // 4, "total_tokens": (len(said) + len(reply)) // 4}
            )
            self._emit_call_completed_event(
                response=reply, call_type=_llm_call(), from_task=from_task, from_agent=from_agent, messages=messages
            )
            return reply

    async def acall(self, messages: Any, *args: Any, **kwargs: Any) -> str:
        await asyncio.sleep(0)
        return self.call(messages, *args, **kwargs)

    def supports_function_calling(self) -> bool:
        return False

    def get_context_window_size(self) -> int:
        return 100_000

    def get_input_tokens_count(self, messages: Any, *args: Any, **kwargs: Any) -> int:
        return len(conversation(messages)) // 4


def _llm_call() -> Any:
    from crewai.events.types.llm_events import LLMCallType

    return LLMCallType.LLM_CALL


def _llm_call_context() -> AbstractContextManager[Any]:
    try:
        from crewai.llms.base_llm import llm_call_context
    except ImportError:
        return nullcontext()
    return llm_call_context()


def conversation(messages: Any) -> str:
    """What was said since the current task was given: CrewAI 1.9 sends what an agent did before, too."""
    if isinstance(messages, str):
        return messages
    said = [str(message.get("content") or "") for message in messages]
    starts = [place for place, text in enumerate(said) if "Current Task:" in text]
    return "\n".join(said[starts[-1] if starts else 0 :])


def final(text: str) -> str:
    return f"Thought: I now know the final answer\nFinal Answer: {text}"


def delegates(tool: str, coworker: str, context: str, **what: str) -> str:
    arguments = json.dumps({**what, "context": context, "coworker": coworker}, ensure_ascii=False)
    return f"Thought: a coworker knows better\nAction: {tool}\nAction Input: {arguments}"


# --- marks ------------------------------------------------------------------------------------------------------------


def forms(mark: str) -> list[bytes]:
    """The bytes in which `mark` could stand in a message: as text, escaped in JSON, in UTF-16, and in base64 at each alignment."""
    utf8 = mark.encode()
    found = [utf8, json.dumps(mark)[1:-1].encode(), mark.encode("utf-16-le"), mark.encode("utf-16-be")]
    for shift in range(3):
        whole = base64.b64encode(b"\0" * shift + utf8)
        # The first and the last group also hold neighbours of the mark; what is between them is the mark alone.
        found.append(whole[4 : -4 - len(whole) % 4])
        found.append(base64.urlsafe_b64encode(b"\0" * shift + utf8)[4 : -4 - len(whole) % 4])
    return found


def seen(marks: list[str], wire: list[bytes]) -> set[str]:
    """The marks that occur in one of the byte strings, in any form."""
    return {mark for mark in marks for form in forms(mark) if any(form in packet for packet in wire)}


# --- building crews ---------------------------------------------------------------------------------------------------


class Stage:
    """Makes the agents, tasks and crew of one scenario and keeps its marks and its script."""

    def __init__(self, name: str, salt: str = "a") -> None:
        self.name = name
        self.salt = salt
        self.marks: list[str] = []
        """Texts that agents hand over: an unsealed recorder sees every one of them, a sealed wire none."""
        self.kept: list[str] = []
        """Texts of the crew that are never handed over: nobody sees them."""
        self._rules: list[tuple[tuple[str, ...], tuple[str, ...], str]] = []

    def mark(self, what: str, keep: bool = False) -> str:
        """A text found nowhere else; not all of it is ASCII, so that an escaped form differs from the plain one."""
        digest = hashlib.sha256(f"{self.name}/{what}/{self.salt}".encode()).hexdigest()[:16]
        text = f"geheim-{digest}-é-{digest[::-1]}"
        kept = self.kept if keep else self.marks
        if text not in self.marks + self.kept:
            kept.append(text)
        return text

    def keep(self, *names: str) -> None:
        """The texts of these tasks are never handed over."""
        for name in names:
            for what in ("prompt", "expected", "output"):
                self.mark(f"{what} of {name}", keep=True)

    def says(self, reply: str, *needles: str, without: tuple[str, ...] = ()) -> None:
        """Adds a line to the script: `reply`, when all needles and none of `without` stand in the conversation."""
        self._rules.append((needles, without, reply))

    def script(self, said: str) -> str:
        for needles, without, reply in self._rules:
            if all(needle in said for needle in needles) and not any(word in said for word in without):
                return reply
        raise LookupError(f"the script of {self.name} has no reply to: {said[-600:]}")

    def model(self, **rest: Any) -> ScriptedModel:
        return ScriptedModel(self.script, **rest)

    def agent(self, role: str, **rest: Any) -> Agent:
        rest.setdefault("llm", self.model())
        rest.setdefault("allow_delegation", False)
        return Agent(role=role, goal=f"the goal of {role}", backstory=self.mark(f"backstory of {role}", keep=True), **rest)

    def task(self, agent: Agent | None, name: str, **rest: Any) -> Task:
        """A task with a mark in its description and one in its expected output; `answers` scripts the plain case."""
        kind = rest.pop("kind", Task)
        description = rest.pop("description", self.prompt(name))
        made: Task = kind(description=description, expected_output=self.mark(f"expected of {name}"), agent=agent, name=name, **rest)
        return made

    def prompt(self, name: str) -> str:
        return f"do {name}: {self.mark(f'prompt of {name}')}"

    def output(self, name: str) -> str:
        return f"{name} is done: {self.mark(f'output of {name}')}"

    def answers(self, *names: str) -> None:
        """The plain script: each task is answered with its output at once."""
        for name in names:
            self.says(final(self.output(name)), self.mark(f"expected of {name}"))

    def crew(self, agents: list[Any], tasks: list[Task], **rest: Any) -> Crew:
        return Crew(agents=agents, tasks=tasks, **rest)

    def three(self, **rest: Any) -> Crew:
        """Reader, analyst and writer, one task each; the usual crew."""
        reader, analyst, writer = self.agent("Reader"), self.agent("Analyst"), self.agent("Chief Writer")
        self.answers("write", "analyse", "read")
        tasks = [self.task(reader, "read"), self.task(analyst, "analyse"), self.task(writer, "write")]
        return self.crew([reader, analyst, writer], tasks, **rest)


@dataclass
class Play:
    """A built scenario: what to seal (a crew or an agent), and what to do with it."""

    subject: Any
    run: Callable[[], Any]


@dataclass(frozen=True)
class Scenario:
    """A way of handing over. `hands` lists what must be sealed, as ``author>reader kind``; a result answers each hand-off."""

    name: str
    build: Callable[[Stage], Play]
    hands: tuple[str, ...]
    missing: Callable[[], str | None]
    """Why the installed CrewAI cannot play this scenario, or None."""
    alternative: tuple[str, ...]
    """The hand-offs of releases that do otherwise."""

    def play(self, salt: str = "a") -> tuple[Stage, Play]:
        reason = self.missing()
        if reason:
            pytest.skip(reason)
        stage = Stage(self.name, salt)
        return stage, self.build(stage)


SCENARIOS: list[Scenario] = []


def scenario(
    *hands: str, alternative: tuple[str, ...] = (), missing: Callable[[], str | None] = lambda: None
) -> Callable[[Callable[[Stage], Play]], Callable[[Stage], Play]]:
    def add(build: Callable[[Stage], Play]) -> Callable[[Stage], Play]:
        SCENARIOS.append(Scenario(build.__name__, build, hands, missing, alternative))
        return build

    return add


THREE = (
    "crew>reader task",
    "crew>analyst task",
    "crew>chief-writer task",
    "reader>analyst context",
    "reader>chief-writer context",
    "analyst>chief-writer context",
)
"""What the crew of :meth:`Stage.three` hands over in one kickoff."""


@scenario(*THREE)
def sequential(stage: Stage) -> Play:
    """Each task reads every earlier output."""
    crew = stage.three()
    return Play(crew, lambda: crew.kickoff())


@scenario("crew>reader task", "crew>analyst task", "crew>writer task", "reader>writer context")
def explicit_context(stage: Stage) -> Play:
    """``context=[…]`` names the outputs a task reads; an empty list means none."""
    reader, analyst, writer = stage.agent("Reader"), stage.agent("Analyst"), stage.agent("Writer")
    stage.answers("write", "analyse", "read")
    read = stage.task(reader, "read")
    analyse = stage.task(analyst, "analyse", context=[])
    crew = stage.crew([reader, analyst, writer], [read, analyse, stage.task(writer, "write", context=[read])])
    return Play(crew, lambda: crew.kickoff())


@scenario(
    "crew>reader task",
    "crew>analyst task",
    "crew>writer task",
    "reader>writer context",
    "analyst>writer context",
)
def async_tasks(stage: Stage) -> Play:
    """Two tasks run in threads of their own; the third joins them."""
    reader, analyst, writer = stage.agent("Reader"), stage.agent("Analyst"), stage.agent("Writer")
    stage.answers("write", "analyse", "read")
    read = stage.task(reader, "read", async_execution=True)
    analyse = stage.task(analyst, "analyse", async_execution=True)
    crew = stage.crew([reader, analyst, writer], [read, analyse, stage.task(writer, "write", context=[read, analyse])])
    return Play(crew, lambda: crew.kickoff())


def _delegation(stage: Stage, tool: str, what: str) -> Crew:
    reader, analyst = stage.agent("Reader"), stage.agent("Analyst", allow_delegation=True)
    question, told = stage.mark("question"), stage.mark("delegated context")
    stage.says(final(f"counted: {stage.mark('delegated answer')}"), question, without=("delegate_work", "ask_question"))
    stage.says(final(stage.output("analyse")), stage.mark("expected of analyse"), stage.mark("delegated answer"))
    stage.says(delegates(tool, "Reader", told, **{what: question}), stage.mark("expected of analyse"))
    stage.answers("read")
    return stage.crew([reader, analyst], [stage.task(reader, "read"), stage.task(analyst, "analyse")])


@scenario("crew>reader task", "crew>analyst task", "reader>analyst context", "analyst>reader delegate")
def delegate(stage: Stage) -> Play:
    """The analyst has the reader do a piece of work."""
    crew = _delegation(stage, "delegate_work_to_coworker", "task")
    return Play(crew, lambda: crew.kickoff())


@scenario("crew>reader task", "crew>analyst task", "reader>analyst context", "analyst>reader ask")
def ask(stage: Stage) -> Play:
    """The analyst asks the reader a question."""
    crew = _delegation(stage, "ask_question_to_coworker", "question")
    return Play(crew, lambda: crew.kickoff())


@scenario("crew>analyst task", "analyst>reader delegate", "reader>archivist ask")
def nested_delegation(stage: Stage) -> Play:
    """The analyst delegates to the reader, who asks the archivist: each speaks for itself."""
    reader = stage.agent("Reader", allow_delegation=True)
    archivist = stage.agent("Archivist")
    analyst = stage.agent("Analyst", allow_delegation=True)
    work, question, found = stage.mark("work"), stage.mark("question"), stage.mark("found")
    read = stage.mark("read")
    stage.says(final(stage.output("analyse")), stage.mark("expected of analyse"), read)
    work_it_out = delegates("delegate_work_to_coworker", "Reader", stage.mark("context of work"), task=work)
    stage.says(work_it_out, stage.mark("expected of analyse"))
    stage.says(final(read), work, found)
    stage.says(delegates("ask_question_to_coworker", "Archivist", stage.mark("context of question"), question=question), work)
    stage.says(final(found), question)
    crew = stage.crew([reader, archivist, analyst], [stage.task(analyst, "analyse")])
    from crewai.tools.agent_tools.agent_tools import AgentTools

    reader.tools = AgentTools(agents=[archivist]).tools()
    return Play(crew, lambda: crew.kickoff())


@scenario("crew>crew-manager task", "crew-manager>reader delegate")
def hierarchical(stage: Stage) -> Play:
    """CrewAI makes the manager itself, inside kickoff."""
    reader, writer = stage.agent("Reader"), stage.agent("Writer")
    _manage(stage)
    crew = stage.crew([reader, writer], [stage.task(None, "manage")], process=Process.hierarchical, manager_llm=stage.model())
    return Play(crew, lambda: crew.kickoff())


@scenario("crew>head task", "head>reader delegate")
def hierarchical_with_manager(stage: Stage) -> Play:
    """The manager is an agent of the user's own."""
    reader, writer, head = stage.agent("Reader"), stage.agent("Writer"), stage.agent("Head", allow_delegation=True)
    _manage(stage)
    crew = stage.crew([reader, writer], [stage.task(None, "manage")], process=Process.hierarchical, manager_agent=head)
    return Play(crew, lambda: crew.kickoff())


def _manage(stage: Stage) -> None:
    work, done = stage.mark("managed work"), stage.mark("managed answer")
    stage.says(final(stage.output("manage")), stage.mark("expected of manage"), done)
    order = delegates("delegate_work_to_coworker", "Reader", stage.mark("managed context"), task=work)
    stage.says(order, stage.mark("expected of manage"))
    stage.says(final(done), work)


@scenario("crew>reader task", "crew>reader task", "crew>writer task", "reader>writer context")
def callable_guardrail(stage: Stage) -> Play:
    """The first draft is refused; the retry goes through the waist with a context that the crew wrote."""
    reader, writer = stage.agent("Reader"), stage.agent("Writer")
    objection = stage.mark("objection")
    stage.answers("write")
    stage.says(final(stage.output("read")), stage.mark("expected of read"), objection)
    stage.says(final(f"draft: {stage.mark('draft')}"), stage.mark("expected of read"))

    good = stage.mark("output of read")
    judge: Any = lambda output: (True, output.raw) if good in output.raw else (False, objection)  # noqa: E731
    crew = stage.crew([reader, writer], [stage.task(reader, "read", guardrail=judge), stage.task(writer, "write")])
    return Play(crew, lambda: crew.kickoff())


@scenario("crew>reader task", "crew>writer task", "crew>writer context")
def changing_guardrail(stage: Stage) -> Play:
    """The guardrail rewrites the output: what the writer reads is no longer the reader's."""
    reader, writer = stage.agent("Reader"), stage.agent("Writer")
    stage.answers("write", "read")
    rewrite: Any = lambda output: (True, f"rewritten {stage.mark('rewritten')}")  # noqa: E731
    crew = stage.crew([reader, writer], [stage.task(reader, "read", guardrail=rewrite), stage.task(writer, "write")])
    return Play(crew, lambda: crew.kickoff())


@scenario(
    "crew>reader task",
    "crew>reader task",
    "crew>guardrail-agent prompt",
    "crew>guardrail-agent prompt",
    "crew>writer task",
    "reader>writer context",
)
def string_guardrail(stage: Stage) -> Play:
    """A guardrail in words: a hidden agent judges, refuses once, and accepts the second draft."""
    reader, writer = stage.agent("Reader"), stage.agent("Writer")
    rule, objection = stage.mark("rule"), stage.mark("objection")
    output = stage.mark("output of read")
    refused = json.dumps({"valid": False, "feedback": objection}, ensure_ascii=False)
    accepted = json.dumps({"valid": True, "feedback": None})
    for verdict in (refused, accepted):
        stage.says(verdict, verdict)  # CrewAI 1.9 asks the model to put the verdict into form
    stage.says(final(accepted), rule, output)
    stage.says(final(refused), rule)
    stage.answers("write")
    stage.says(final(stage.output("read")), stage.mark("expected of read"), objection)
    stage.says(final(f"draft: {stage.mark('draft')}"), stage.mark("expected of read"))
    crew = stage.crew([reader, writer], [stage.task(reader, "read", guardrail=rule), stage.task(writer, "write")])
    return Play(crew, lambda: crew.kickoff())


class Finding(BaseModel):
    title: str
    pages: int


@scenario("crew>reader task", "crew>writer task", "reader>writer context")
def output_pydantic(stage: Stage) -> Play:
    """The reader returns an object; the writer's context carries it as JSON."""
    reader, writer = stage.agent("Reader"), stage.agent("Writer")
    finding = Finding(title=stage.mark("output of read"), pages=3)
    stage.answers("write")
    stage.says(final(finding.model_dump_json()), stage.mark("expected of read"))
    stage.says(final(finding.model_dump_json()), stage.mark("output of read"))
    tasks = [stage.task(reader, "read", output_pydantic=Finding), stage.task(writer, "write")]
    crew = stage.crew([reader, writer], tasks)
    return Play(crew, lambda: crew.kickoff())


def _with_inputs(stage: Stage) -> tuple[Crew, list[dict[str, str]]]:
    """A crew with a placeholder in its first prompt, and two sets of inputs for it."""
    reader, writer = stage.agent("Reader"), stage.agent("Writer")
    stage.answers("write", "read")
    description = f"read {{subject}}: {stage.mark('prompt of read')}"
    crew = stage.crew([reader, writer], [stage.task(reader, "read", description=description), stage.task(writer, "write")])
    return crew, [{"subject": stage.mark("first subject")}, {"subject": stage.mark("second subject")}]


TWO = ("crew>reader task", "crew>writer task", "reader>writer context")


@scenario(*TWO, *TWO)
def kickoff_for_each(stage: Stage) -> Play:
    """A copy of the crew per set of inputs."""
    crew, inputs = _with_inputs(stage)
    return Play(crew, lambda: crew.kickoff_for_each(inputs=inputs))


@scenario(*TWO, *TWO)
def kickoff_for_each_async(stage: Stage) -> Play:
    """The copies run at the same time."""
    crew, inputs = _with_inputs(stage)
    return Play(crew, lambda: asyncio.run(crew.kickoff_for_each_async(inputs=inputs)))


@scenario(*THREE, missing=lambda: None if hasattr(Crew, "akickoff") else "this release has no akickoff")
def akickoff(stage: Stage) -> Play:
    """Native asyncio all the way down."""
    crew = stage.three()
    return Play(crew, lambda: asyncio.run(crew.akickoff()))


@scenario(
    "crew>reader task",
    "crew>analyst task",
    "crew>writer task",
    "reader>writer context",
    "analyst>writer context",
    missing=lambda: None if hasattr(Crew, "akickoff") else "this release has no akickoff",
)
def akickoff_with_async_tasks(stage: Stage) -> Play:
    """Two tasks of one event loop at the same time."""
    play = async_tasks(stage)
    crew = play.subject
    return Play(crew, lambda: asyncio.run(crew.akickoff()))


@scenario(*THREE)
def kickoff_async(stage: Stage) -> Play:
    """The synchronous kickoff in a thread."""
    crew = stage.three()
    return Play(crew, lambda: asyncio.run(crew.kickoff_async()))


AGAIN = (*THREE, "crew>chief-writer task")


@scenario(*AGAIN, "crew>chief-writer context", "crew>chief-writer context", alternative=AGAIN)
def replay(stage: Stage) -> Play:
    """The last task again, with outputs from CrewAI's database, for which no author's envelope is left.

    CrewAI 1.9 then gives the task the last output only, which the crew hands over in the task's own envelope.
    """
    crew = stage.three()

    def run() -> Any:
        crew.kickoff()
        return crew.replay(task_id=str(crew.tasks[-1].id))

    return Play(crew, run)


def _train_broken() -> str | None:
    executor = Agent.model_fields["executor_class"].default
    broken = executor.__name__ == "AgentExecutor" and not hasattr(executor, "_format_feedback_message")
    return "CrewAI 1.14's executor lacks a method that its own training calls" if broken else None


@scenario("crew>reader task", "crew>writer task", "reader>writer context", missing=_train_broken)
def crew_train(stage: Stage) -> Play:
    """Training copies the crew, asks a human about each output and lets the agent improve it."""
    reader, writer = stage.agent("Reader"), stage.agent("Writer")
    judged = {"suggestions": ["be brief"], "quality": 7.0, "final_summary": "brief"}
    stage.says(json.dumps(judged), "Assess the quality of the training data")
    stage.answers("write", "read")
    stage.says(final(f"improved {stage.mark('output of read')}"), "feedback")
    stage.says(final(f"improved {stage.mark('output of read')}"), "geheim")
    crew = stage.crew([reader, writer], [stage.task(reader, "read"), stage.task(writer, "write")])

    def run() -> Any:
        with _a_human_who_says("say it shorter"):
            return crew.train(n_iterations=1, filename="trained.pkl", inputs={})

    return Play(crew, run)


@contextmanager
def _a_human_who_says(feedback: str) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("builtins.input", lambda *_: feedback)
        yield


@scenario(
    *TWO,
    "crew>task-execution-evaluator task",
    "crew>task-execution-evaluator task",
)
def crew_test(stage: Stage) -> Play:
    """``Crew.test`` lets a hidden agent grade each output."""
    reader, writer = stage.agent("Reader"), stage.agent("Writer")
    grade = stage.model()
    grade._script = lambda said: final(json.dumps({"quality": 8.0}))
    stage.answers("write", "read")
    crew = stage.crew([reader, writer], [stage.task(reader, "read"), stage.task(writer, "write")])
    return Play(crew, lambda: crew.test(n_iterations=1, eval_llm=grade))


@scenario(*THREE, *THREE)
def copy(stage: Stage) -> Play:
    """A copy runs as its original does; the copy of a copy too."""
    crew = stage.three()

    def run() -> Any:
        crew.copy().kickoff()
        return crew.copy().copy().kickoff()

    return Play(crew, run)


def _a2a_missing() -> str | None:
    try:
        import crewai.a2a.wrapper  # noqa: F401
        from crewai.a2a.config import A2AClientConfig  # noqa: F401
    except ImportError:
        return "the extra crewai[a2a] is not installed"
    return None


@scenario(*TWO, missing=_a2a_missing)
def a2a_patched(stage: Stage) -> Play:
    """CrewAI's A2A layer replaces the methods of the instance; its remote is not reachable, so the agent works alone."""
    from crewai.a2a.config import A2AClientConfig

    remote = A2AClientConfig(endpoint="http://127.0.0.1:9/nothing-here", fail_fast=False, timeout=1)
    reader, writer = stage.agent("Reader", a2a=remote), stage.agent("Writer")
    stage.answers("write", "read")
    assert "execute_task" in vars(reader), "the A2A layer no longer patches the instance"
    crew = stage.crew([reader, writer], [stage.task(reader, "read"), stage.task(writer, "write")])
    return Play(crew, lambda: crew.kickoff())


@scenario(*THREE)
def streaming(stage: Stage) -> Play:
    """The kickoff runs while its chunks are read."""
    crew = stage.three(stream=True)

    def run() -> Any:
        stream: Any = crew.kickoff()
        chunks = [chunk.content for chunk in stream]
        assert any(stage.mark("output of write")[:12] in chunk for chunk in ["".join(chunks)])
        return stream.result

    return Play(crew, run)


@scenario(*TWO, "crew>task-execution-planner task")
def planning(stage: Stage) -> Play:
    """A hidden agent plans; its plan is appended to the prompts."""
    reader, writer = stage.agent("Reader"), stage.agent("Writer")
    plans = [{"task_number": n, "task": name, "plan": stage.mark(f"plan of {name}")} for n, name in [(1, "read"), (2, "write")]]
    planner = stage.model()
    planned = json.dumps({"list_of_plans_per_task": plans}, ensure_ascii=False)
    planner._script = lambda said: final(planned)
    stage.answers("write", "read")
    tasks = [stage.task(reader, "read"), stage.task(writer, "write")]
    crew = stage.crew([reader, writer], tasks, planning=True, planning_llm=planner)
    return Play(crew, lambda: crew.kickoff())


@scenario(*THREE)
def divider_in_outputs(stage: Stage) -> Play:
    """Outputs that contain CrewAI's divider, and one that looks like another's output."""
    reader, analyst, writer = stage.agent("Reader"), stage.agent("Analyst"), stage.agent("Chief Writer")
    stage.answers("write")
    first = f"{stage.mark('output of read')}{DIVIDER}{stage.mark('second half of read')}"
    stage.says(final(f"{stage.mark('output of analyse')}{DIVIDER}{first}"), stage.mark("expected of analyse"))
    stage.says(final(first), stage.mark("expected of read"))
    tasks = [stage.task(reader, "read"), stage.task(analyst, "analyse"), stage.task(writer, "write")]
    crew = stage.crew([reader, analyst, writer], tasks)
    return Play(crew, lambda: crew.kickoff())


@scenario("crew>reader task", "crew>writer task", "reader>writer context", "crew>writer context")
def conditional(stage: Stage) -> Play:
    """A skipped task leaves an empty output that nobody has written."""
    stage.keep("analyse")
    reader, analyst, writer = stage.agent("Reader"), stage.agent("Analyst"), stage.agent("Writer")
    stage.answers("write", "read")
    skipped = stage.task(analyst, "analyse", kind=ConditionalTask, condition=lambda _: False)
    crew = stage.crew([reader, analyst, writer], [stage.task(reader, "read"), skipped, stage.task(writer, "write")])
    return Play(crew, lambda: crew.kickoff())


@scenario("flow>reader prompt", "flow>reader prompt")
def agent_alone(stage: Stage) -> Play:
    """``Agent.kickoff`` and ``kickoff_async``, as Flows call them."""
    reader = stage.agent("Reader")
    stage.says(final(stage.output("alone")), stage.mark("request"))

    def run() -> Any:
        request = stage.mark("request")
        first = reader.kickoff(request)
        return [first, asyncio.run(reader.kickoff_async(request))]

    return Play(reader, run)


BY_NAME = {each.name: each for each in SCENARIOS}

# --- what CrewAI did --------------------------------------------------------------------------------------------------


def slug(role: str) -> str:
    return "-".join("".join(letter if letter.isalnum() else " " for letter in role.lower()).split())


@dataclass
class Call:
    """One call of an agent: who called whom, through which method, with what, and what came back."""

    caller: str
    reader: str
    kind: str
    prompt: str
    context: str
    authors: list[str]
    """Who wrote the pieces of the context."""
    result: Any = None

    def words(self) -> str:
        """The result as the text that later contexts carry."""
        return self.result.model_dump_json() if isinstance(self.result, BaseModel) else str(self.result)


@dataclass
class Record:
    """Every hand-off of a run, seen at CrewAI's own methods."""

    calls: list[Call] = field(default_factory=list)
    _gathered: dict[int, tuple[Any, list[Any]]] = field(default_factory=dict)
    _said: dict[int, tuple[Any, Call]] = field(default_factory=dict)

    def hands(self) -> Counter[str]:
        """What was handed from whom to whom, the way scenarios write it."""
        hands = Counter(f"{call.caller}>{call.reader} {call.kind}" for call in self.calls)
        hands.update(f"{author}>{call.reader} context" for call in self.calls for author in call.authors)
        return hands

    def wire(self) -> list[bytes]:
        """What a wire without sealing would have carried: the positive control of every search for marks."""
        return [text.encode() for call in self.calls for text in (call.prompt, call.context, call.words())]

    def gathers(self, task: Any, outputs: list[Any]) -> None:
        """CrewAI is about to make one context for `task` of these outputs, or of those that the task names."""
        sources = task.context if isinstance(task.context, list) else None
        pieces = [(each, each.output) for each in sources] if sources is not None else [(None, each) for each in outputs]
        self._gathered[id(task)] = (task, pieces)

    def forgets(self, crew: Any) -> None:
        """A replay reads outputs from CrewAI's database: what their authors said in this process counts no more."""
        for task in crew.tasks:
            self._said.pop(id(task), None)

    def says(self, task: Any, call: Call) -> None:
        self._said[id(task)] = (task, call)

    def authors(self, task: Any, context: str, caller: str) -> list[str]:
        """Who wrote the pieces of `context`: an agent whose last words on its task a piece is, or else the caller.

        A context that CrewAI has not joined from outputs (a retry's, a delegation's) is the caller's own and has no pieces.
        """
        if not context:
            return []
        gathered = self._gathered.get(id(task))
        pieces = [output.raw for _, output in gathered[1]] if gathered else []
        if gathered is None or DIVIDER.join(pieces) != context:
            return []
        return [self._author(output, caller) for _, output in gathered[1]]

    def _author(self, output: Any, caller: str) -> str:
        for _, call in self._said.values():
            if slug(output.agent) == call.reader and output.raw == call.words():
                return call.reader
        return caller


_running: ContextVar[tuple[Any, ...]] = ContextVar("_running", default=())
_judging: ContextVar[bool] = ContextVar("_judging", default=False)
_tool: ContextVar[str] = ContextVar("_tool", default="task")
_TOOLS = {"DelegateWorkTool": "delegate", "AskQuestionTool": "ask"}


@contextmanager
def recorded() -> Iterator[Record]:
    """Records the calls of all agents in the block. Agents must be made inside it: CrewAI's A2A layer keeps the methods it finds."""
    record = Record()
    with pytest.MonkeyPatch.context() as patch:
        for name in ("execute_task", "kickoff"):
            patch.setattr(Agent, name, _recording(record, getattr(Agent, name)))
        for name in ("aexecute_task", "kickoff_async"):
            if hasattr(Agent, name):
                patch.setattr(Agent, name, _arecording(record, getattr(Agent, name)))
        patch.setattr(BaseAgentTool, "_execute", _naming(BaseAgentTool._execute))
        patch.setattr(Crew, "_get_context", staticmethod(_gathering(record, Crew._get_context)))
        patch.setattr(Crew, "replay", _forgetting(record, Crew.replay))
        patch.setattr(LLMGuardrail, "__call__", _as_judge(LLMGuardrail.__call__))
        yield record


def _gathering(record: Record, original: Any) -> Any:
    def _get_context(task: Any, task_outputs: list[Any]) -> Any:
        record.gathers(task, list(task_outputs))
        return original(task, task_outputs)

    return _get_context


def _forgetting(record: Record, original: Any) -> Any:
    def replay(self: Any, *args: Any, **kwargs: Any) -> Any:
        record.forgets(self)
        return original(self, *args, **kwargs)

    return replay


def _as_judge(original: Any) -> Any:
    """A guardrail in words kicks an agent off, as a Flow does, but it is a part of the crew."""

    def __call__(self: Any, *args: Any, **kwargs: Any) -> Any:
        token = _judging.set(True)
        try:
            return original(self, *args, **kwargs)
        finally:
            _judging.reset(token)

    return __call__


def _naming(original: Any) -> Any:
    def _execute(self: Any, *args: Any, **kwargs: Any) -> Any:
        token = _tool.set(_TOOLS[type(self).__name__])
        try:
            return original(self, *args, **kwargs)
        finally:
            _tool.reset(token)

    return _execute


def _begin(record: Record, agent: Any, method: str, first: Any, rest: tuple[Any, ...], named: dict[str, Any]) -> Call | None:
    running = _running.get()
    if running and running[-1] is agent:
        return None  # the same agent, further down: a retry or an alias
    outside = "crew" if method.endswith("execute_task") or _judging.get() else "flow"
    caller = slug(running[-1].role) if running else outside
    if method.endswith("execute_task"):
        context = named.get("context", rest[0] if rest else None) or ""
        kind = _tool.get()
        authors = record.authors(first, context, caller)
        call = Call(caller, slug(agent.role), kind, first.prompt(), context, authors)
    else:
        call = Call(caller, slug(agent.role), "prompt", str(first), "", [])
    record.calls.append(call)
    return call


def _end(record: Record, call: Call | None, subject: Any, result: Any) -> Any:
    if call:
        call.result = result
        record.says(subject, call)
    return result


def _subject(args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Any, tuple[Any, ...]]:
    if args:
        return args[0], args[1:]
    return kwargs.get("task", kwargs.get("messages")), ()


@contextmanager
def _inside(agent: Any) -> Iterator[None]:
    running, tool = _running.set((*_running.get(), agent)), _tool.set("task")
    try:
        yield
    finally:
        _tool.reset(tool)
        _running.reset(running)


def _recording(record: Record, original: Any) -> Any:
    def method(self: Any, *args: Any, **kwargs: Any) -> Any:
        call = _begin(record, self, original.__name__, *_subject(args, kwargs), kwargs)
        with _inside(self):
            result = original(self, *args, **kwargs)
        return _end(record, call, _subject(args, kwargs)[0], result)

    method.__name__ = original.__name__
    return method


def _arecording(record: Record, original: Any) -> Any:
    async def method(self: Any, *args: Any, **kwargs: Any) -> Any:
        call = _begin(record, self, original.__name__, *_subject(args, kwargs), kwargs)
        with _inside(self):
            result = await original(self, *args, **kwargs)
        return _end(record, call, _subject(args, kwargs)[0], result)

    method.__name__ = original.__name__
    return method
