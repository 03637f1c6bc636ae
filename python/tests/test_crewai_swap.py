"""The swap: a sealed crew is the crew it was, and stays sealed wherever CrewAI takes it."""

from __future__ import annotations

import asyncio
import copy
import gc
import importlib.util
import pickle
import sys
import threading
import weakref
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from types import MethodType
from typing import Any

import pytest
from crewai import Agent, Crew, Process, Task
from crewai.flow.flow import Flow, start
from crewai_parts import (
    RecordingTransport,
    ScriptedModel,
    agent,
    crew_of,
    delegates,
    final,
    passed,
    says,
    task,
    uses,
)

from sealwire import Denied, HomeError, JsonLines, NotSealed, SealwireError, UnsupportedCrewAI, label
from sealwire.crewai import Seal, release, seal, sealed
from sealwire.crewai.endpoints import Rules, endpoint_for
from sealwire.crewai.release import require


def pair(**fields: Any) -> Any:
    return crew_of(task(agent("A", "from a"), "one"), task(agent("B", "from b"), "two"), **fields)


# The object stays what it was


def test_seal_returns_the_same_crew_and_agents() -> None:
    crew = pair()
    first, second = crew.agents
    before = (
        crew.model_dump(),
        hash(first),
        repr(first),
        first.model_dump(exclude={"crew"}),
        type(first).__name__,
    )
    assert seal(crew, home=None) is crew
    after = (
        crew.model_dump(),
        hash(first),
        repr(first),
        first.model_dump(exclude={"crew"}),
        type(first).__name__,
    )
    assert after == before
    assert crew.agents[0] is first
    assert crew.tasks[0].agent is first
    assert isinstance(crew, Crew)
    assert isinstance(first, Agent)
    assert first == first
    assert first != second


def test_a_sealed_crew_cannot_be_given_another_seal() -> None:
    crew = seal(pair(), home=None)
    with pytest.raises((AttributeError, ValueError)):
        crew.sealwire = "mine"
    assert isinstance(crew.sealwire, Seal)


def test_sealing_twice_is_harmless() -> None:
    crew = seal(pair(), home=None)
    once = crew.sealwire
    assert seal(crew).sealwire is once
    with sealed(home=None):
        crew.kickoff()
    assert crew.sealwire is once
    assert len(once.messages) == 5


def test_sealing_again_with_other_options_is_an_error() -> None:
    crew = seal(pair(), home=None)
    with pytest.raises(SealwireError, match="policy"):
        seal(crew, policy=lambda request: True)


def test_an_agent_added_later_is_sealed_too() -> None:
    crew = seal(pair(), home=None)
    for role in ("C", "A"):
        crew.tasks.append(task(agent(role)))
        crew.agents.append(crew.tasks[-1].agent)
    crew.kickoff()
    assert [reader for _, reader, kind in passed(crew) if kind == "task"] == ["a", "b", "c", "a-2"]


def test_only_crews_and_agents_can_be_sealed() -> None:
    with pytest.raises(TypeError, match="Task"):
        seal(task(agent("A")))


def test_two_crews_can_share_an_agent() -> None:
    shared = agent("Shared")
    left = seal(crew_of(task(shared), name="left"), home=None)
    right = seal(crew_of(task(shared), task(agent("Other")), name="right"), home=None)
    left.kickoff()
    right.kickoff()
    assert passed(left)[0] == ("left", "shared", "task")
    assert passed(right)[0] == ("right", "shared", "task")


# Copies


def test_copies_stay_sealed_and_share_names_and_messages() -> None:
    crew = seal(pair(), home=None)
    twin = crew.copy().copy()
    assert twin is not crew
    assert twin.sealwire is crew.sealwire
    twin.kickoff()
    assert passed(crew) == passed(twin)
    assert passed(crew)[0] == ("crew", "a", "task")
    assert crew.agents[0].copy().sealwire is crew.sealwire


@pytest.mark.parametrize("duplicate", [copy.copy, copy.deepcopy])
def test_a_copy_of_the_object_is_sealed(duplicate: Callable[[Agent], Agent]) -> None:
    try:
        duplicate(agent("A"))
    except TypeError:
        pytest.skip("this release of CrewAI cannot be copied that way")
    crew = seal(pair(), home=None)
    worker: Any = duplicate(crew.agents[0])
    assert worker.sealwire is crew.sealwire
    assert worker.kickoff("hello").raw == "from a"
    assert passed(crew) == [("crew", "a", "prompt"), ("a", "crew", "result")]


def test_an_object_of_a_sealed_class_without_a_seal_does_not_run() -> None:
    worker = seal(agent("A"), home=None)
    other = type(worker)(role="X", goal="g", backstory="b", llm=says("x"))
    with pytest.raises(NotSealed):
        other.kickoff("hello")
    with pytest.raises(NotSealed):
        task(other).execute_sync()
    seal(other, home=None)
    assert other.kickoff("hello").raw == "x"


def test_pickling_leaves_the_seal_behind_and_the_rest_closed() -> None:
    state = seal(agent("A"), home=None).__reduce__()
    make, (base,), content = state
    assert base is Agent
    assert "_sealwire_seal" not in content["__pydantic_private__"]
    blank = make(base)
    blank.__setstate__(content)
    with pytest.raises(NotSealed):
        blank.kickoff("hello")
    assert pickle.loads(pickle.dumps(make)) is make


# Ways CrewAI calls agents


def test_delegation_goes_from_the_delegating_agent() -> None:
    calls: list[str] = []

    def script(text: str) -> str:
        calls.append(text)
        if len(calls) == 1:
            return delegates("worker", "dig")
        if len(calls) == 2:
            return uses(
                "ask_question_to_coworker",
                '{"coworker": "Worker", "question": "why", "context": "c"}',
            )
        return final("done")

    boss = agent("Boss", ScriptedModel(script), allow_delegation=True)
    crew = crew_of(task(boss), agents=[boss, agent("Worker")])
    seal(crew, home=None).kickoff()
    assert passed(crew) == [
        ("crew", "boss", "task"),
        ("boss", "worker", "delegate"),
        ("worker", "boss", "result"),
        ("boss", "worker", "ask"),
        ("worker", "boss", "result"),
        ("boss", "crew", "result"),
    ]
    first = crew.sealwire.messages
    assert first[2].answers == first[1].ref
    assert first[5].answers == first[0].ref
    assert len({m.thread for m in first}) == 1


def test_the_manager_crewai_makes_is_a_party() -> None:
    calls: list[str] = []

    def script(text: str) -> str:
        calls.append(text)
        return delegates("Worker", "dig") if len(calls) % 2 else final("managed")

    worker = agent("Worker", "dug")
    crew: Any = Crew(
        agents=[worker],
        tasks=[task(worker)],
        process=Process.hierarchical,
        manager_llm=ScriptedModel(script),
    )
    seal(crew, home=None)
    expected = [
        ("crew", "crew-manager", "task"),
        ("crew-manager", "worker", "delegate"),
        ("worker", "crew-manager", "result"),
        ("crew-manager", "crew", "result"),
    ]
    twin = crew.copy()
    crew.kickoff()
    assert passed(crew) == expected
    twin.kickoff()
    assert passed(crew) == expected * 2


def test_a_manager_assigned_later_is_sealed() -> None:
    worker = agent("Worker")
    crew: Any = Crew(
        agents=[worker],
        tasks=[task(worker)],
        process=Process.hierarchical,
        manager_agent=agent("Old"),
    )
    seal(crew, home=None)
    crew.manager_agent = agent("Boss", "managed")
    assert crew.manager_agent.sealwire is crew.sealwire
    crew.kickoff()
    assert passed(crew)[0] == ("crew", "boss", "task")


def test_the_planner_is_a_party() -> None:
    plan = '{"list_of_plans_per_task": [{"task_number": 1, "task": "one", "plan": " with care"}]}'
    crew = crew_of(task(agent("A"), "one"), planning=True, planning_llm=ScriptedModel(lambda _: final(plan)))
    seal(crew, home=None).kickoff()
    assert passed(crew)[:2] == [
        ("crew", "task-execution-planner", "task"),
        ("task-execution-planner", "crew", "result"),
    ]


def test_a_retry_after_an_error_is_one_hand_off() -> None:
    calls: list[str] = []

    def script(text: str) -> str:
        calls.append(text)
        if len(calls) == 1:
            raise RuntimeError("model is down")
        return final("up again")

    crew = crew_of(task(agent("A", ScriptedModel(script))))
    assert seal(crew, home=None).kickoff().raw == "up again"
    assert passed(crew) == [("crew", "a", "task"), ("a", "crew", "result")]


def test_methods_set_on_an_agent_run_inside_the_seal() -> None:
    """As CrewAI's A2A layer sets them: before sealing, on copies, and again later."""
    seen: list[str] = []

    def wrap(worker: Agent) -> None:
        original = worker.execute_task.__func__  # type: ignore[attr-defined]

        @wraps(original)
        def wrapped(self: Agent, task: Task, context: str | None = None, tools: Any = None) -> Any:
            seen.append("wrapped")
            return original(self, task, context, tools)

        object.__setattr__(worker, "execute_task", MethodType(wrapped, worker))

    crew = pair()
    wrap(crew.agents[0])
    seal(crew, home=None)
    assert crew.kickoff().raw == "from b"
    assert seen == ["wrapped"]
    assert len(crew.sealwire.messages) == 5
    wrap(crew.agents[1])
    assert crew.kickoff().raw == "from b"
    assert seen == ["wrapped"] * 3
    assert len(crew.sealwire.messages) == 10


def test_a_prompt_is_made_as_often_as_without_sealing(monkeypatch: pytest.MonkeyPatch) -> None:
    """CrewAI takes longer to make one than sealing it takes; it looks for files each time."""
    looked: list[Any] = []
    monkeypatch.setattr("crewai.task.get_all_files", lambda *ids: looked.append(ids))

    def count(crew: Any) -> int:
        looked.clear()
        crew.kickoff()
        return len(looked)

    assert count(seal(pair(), home=None)) == count(pair()) > 0


def test_arguments_pass_in_the_callers_style() -> None:
    seen: list[Any] = []

    class Picky(Agent):
        def execute_task(self, *args: Any, **kwargs: Any) -> Any:
            seen.append((len(args), sorted(kwargs)))
            return "ok"

    worker = Picky(role="P", goal="g", backstory="b", llm=says("x"))
    seal(worker, home=None)
    work = task(worker)
    worker.execute_task(work)
    worker.execute_task(work, "context")
    worker.execute_task(task=work, context=None, tools=[])
    assert seen == [(1, []), (2, []), (0, ["context", "task", "tools"])]


# Agents by themselves, and Flows


def test_a_sealed_agent_kicked_off_by_itself() -> None:
    worker = seal(agent("Solo", "hi"), home=None)
    assert worker.kickoff("hello").raw == "hi"
    assert asyncio.run(worker.kickoff_async([{"role": "user", "content": "hello"}])).raw == "hi"
    assert asyncio.run(worker.akickoff("hello")).raw == "hi"
    assert passed(worker) == [("flow", "solo", "prompt"), ("solo", "flow", "result")] * 3


def test_a_sealed_agent_in_a_flow() -> None:
    worker = seal(agent("Solo", "hi"), home=None)

    class Steps(Flow):  # type: ignore[type-arg]
        @start()
        async def first(self) -> str:
            result: Any = await worker.kickoff("hello")
            return str(result.raw)

    assert Steps().kickoff() == "hi"
    assert passed(worker) == [("flow", "solo", "prompt"), ("solo", "flow", "result")]


def test_an_agent_that_calls_another_in_a_tool_is_the_one_who_asks() -> None:
    from crewai.tools import BaseTool

    helper = agent("Helper", "because")

    class Ask(BaseTool):
        name: str = "ask_helper"
        description: str = "asks the helper"

        def _run(self, question: str) -> str:
            return str(helper.kickoff(question))

    calls: list[str] = []

    def script(text: str) -> str:
        calls.append(text)
        return uses("ask_helper", '{"question": "why"}') if len(calls) == 1 else final("done")

    crew = crew_of(task(agent("A", ScriptedModel(script), tools=[Ask()])))
    crew.agents.append(helper)
    seal(crew, home=None).kickoff()
    assert passed(crew)[1:3] == [("a", "helper", "ask"), ("helper", "a", "result")]


class Own(Agent):
    """An agent that does not pass through CrewAI's own methods."""

    def execute_task(self, *args: Any, **kwargs: Any) -> Any:
        return "own way"


def test_what_a_run_meets_is_sealed_though_nobody_sealed_it() -> None:
    """An agent and a crew that existed before, reached through a tool; an agent a callback slips in."""
    from crewai.tools import BaseTool

    helper = agent("Helper", "because")
    own = Own(role="Own", goal="g", backstory="b", llm=says("x"))
    inner = crew_of(task(agent("I1", "i1")), task(agent("I2", "i2")), name="inner")

    class Ask(BaseTool):
        name: str = "ask_helper"
        description: str = "asks the helper"

        def _run(self, question: str) -> str:
            return str(helper.kickoff(question)) + str(inner.kickoff()) + own.execute_task(task(own, question))

    calls: list[str] = []

    def script(text: str) -> str:
        calls.append(text)
        return uses("ask_helper", '{"question": "why"}') if len(calls) == 1 else final("done")

    first, second = (
        task(agent("A", ScriptedModel(script), tools=[Ask()]), "one"),
        task(agent("B"), "two"),
    )
    crew = crew_of(first, second)
    late = Own(role="Late", goal="g", backstory="b", llm=says("x"))

    def slip_in(inputs: Any) -> Any:
        second.agent = late
        return inputs

    crew.before_kickoff_callbacks = [slip_in]
    seal(crew, home=None).kickoff()
    assert passed(crew)[1:3] == [("a", "helper", "ask"), ("helper", "a", "result")]
    assert passed(crew)[3:8] == [
        ("inner", "i1", "task"),
        ("i1", "inner", "result"),
        ("i1", "i2", "context"),
        ("inner", "i2", "task"),
        ("i2", "inner", "result"),
    ]
    assert passed(crew)[8:10] == [("a", "own", "delegate"), ("own", "a", "result")]
    assert ("crew", "late", "task") in passed(crew)
    assert len({m.thread for m in crew.sealwire.messages}) == 2


def test_an_agent_made_during_a_run_is_sealed_though_it_works_its_own_way() -> None:
    def consult() -> str:
        return str(task(Own(role="Own", goal="g", backstory="b", llm=says("x"))).execute_sync().raw)

    crew = crew_of(task(agent("A"), guardrail=lambda output: (True, consult())))
    assert seal(crew, home=None).kickoff().raw == "own way"
    assert passed(crew)[2:] == [("crew", "own", "task"), ("own", "crew", "result")]


def test_outside_runs_and_blocks_nothing_is_sealed() -> None:
    seal(pair(), home=None).kickoff()
    bystander = agent("Bystander", "x")
    assert bystander.kickoff("hello").raw == "x"
    assert type(bystander) is Agent
    assert not hasattr(bystander, "sealwire")


# The block


def test_a_block_seals_every_crew_and_agent_in_it() -> None:
    one, two, three = (pair(name=name) for name in ("one", "two", "three"))
    solo, bare = agent("Solo"), agent("Bare")
    with sealed(home=None) as block:
        one.kickoff()
        asyncio.run(two.akickoff())
        asyncio.run(three.kickoff_async())
        solo.kickoff("hello")
        task(bare).execute_sync()
    assert [seal.orchestrator for seal in block.seals] == [f"{n}@local" for n in ("one", "two", "three", "flow", "flow")]
    assert len(block.messages) == 5 * 3 + 2 * 2
    assert pair().kickoff().raw == "from b"
    assert len(block.messages) == 19


def test_a_block_seals_a_subclass_with_a_kickoff_of_its_own() -> None:
    class Mine(Crew):
        def kickoff(self, *args: Any, **kwargs: Any) -> Any:
            entered.append(1)
            return super().kickoff(*args, **kwargs)

    entered: list[int] = []
    worker = agent("A")
    with sealed(home=None) as block:
        mine = Mine(agents=[worker], tasks=[task(worker)])
        mine.kickoff()
        mine.kickoff()
    assert len(entered) == 2
    assert len(block.messages) == 4
    assert isinstance(mine, Mine)


def test_a_block_reaches_threads() -> None:
    with sealed(home=None) as block:
        thread = threading.Thread(target=lambda: pair().kickoff())
        thread.start()
        thread.join()
    assert len(block.messages) == 5


def test_of_several_blocks_the_one_around_the_code_decides() -> None:
    """Two threads, each with a block of its own: the one opened last must not decide for the other."""
    opened, other_is_open = threading.Event(), threading.Event()
    refusals: list[Exception] = []

    def strictly() -> None:
        with sealed(home=None, policy=lambda request: "never"):
            opened.set()
            other_is_open.wait()
            with pytest.raises(Denied) as caught:
                pair().kickoff()
            refusals.append(caught.value)

    strict = threading.Thread(target=strictly)
    strict.start()
    opened.wait()
    with sealed(home=None) as block:
        other_is_open.set()
        strict.join()
        assert not block.is_used
        pair().kickoff()
        with sealed(home=None) as inner:
            pair().kickoff()
    assert len(refusals) == 1
    assert (len(block.messages), len(inner.messages)) == (5, 5)


def test_a_block_lists_what_passed_and_does_not_keep_its_crews() -> None:
    with sealed(home=None) as block:
        for _ in range(4):
            pair().kickoff()
    gc.collect()
    assert len(block.seals) <= 1  # some releases of CrewAI remember a crew themselves
    assert len(block.messages) == block.count == 20


def test_a_block_seals_an_agent_that_works_its_own_way() -> None:
    class Late(Own):
        """Defined and made when the block is open."""

    with sealed(home=None) as block:
        for cls in (Own, Late):
            task(cls(role="Own", goal="g", backstory="b", llm=says("x"))).execute_sync()
    assert len(block.messages) == 4


def test_a_crew_sealed_in_a_block_stays_sealed_when_its_stream_is_read_later() -> None:
    with sealed(home=None) as block:
        streaming = pair(stream=True).kickoff()
    for _ in streaming:
        pass
    assert streaming.result.raw == "from b"
    assert len(block.messages) == 5


@pytest.mark.parametrize("kickoff", ["kickoff_async", "akickoff", "kickoff_for_each_async"])
def test_an_asynchronous_stream_that_is_read_after_its_block_is_sealed(kickoff: str) -> None:
    arguments = [[{"n": 1}]] if "each" in kickoff else []

    async def start_it() -> tuple[Any, Any]:
        crew = pair(stream=True)
        with sealed(home=None) as block, label("pii"):
            return block, await getattr(crew, kickoff)(*arguments)

    async def run() -> Any:
        block, streaming = await start_it()
        async for _ in streaming:
            pass
        return block

    block = asyncio.run(run())
    assert len(block.messages) == 5
    assert {message.labels for message in block.messages} == {("pii",)}


def test_a_block_seals_a_crew_once_for_all_its_copies() -> None:
    crew = pair()
    with sealed(home=None) as block:
        crew.kickoff_for_each([{"n": 1}, {"n": 2}])
    assert len(block.seals) == 1
    assert len(crew.sealwire.messages) == 10


def test_a_restored_checkpoint_runs_sealed(tmp_path: Path) -> None:
    checkpoint = pytest.importorskip("crewai.state.checkpoint_config")
    config = checkpoint.CheckpointConfig(location=str(tmp_path), on_events=["task_completed"])
    crew = seal(pair(checkpoint=config), home=None)
    crew.kickoff()
    [first] = tmp_path.rglob("*_p-none.json")
    restored: list[Any] = []
    restore: Any = vars(Crew)["from_checkpoint"].__func__

    def with_models(cls: type[Crew], config: Any) -> Any:
        """Models are not stored in a checkpoint."""
        restored.append(restore(cls, config))
        for worker in restored[0].agents:
            worker.llm = says("again")
        return restored[0]

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OPENAI_API_KEY", "none")
        patch.setattr(Crew, "from_checkpoint", classmethod(with_models))
        again = crew.kickoff(from_checkpoint=checkpoint.CheckpointConfig(restore_from=str(first)))
    assert again.raw == "again"
    assert restored[0].sealwire is crew.sealwire
    assert passed(crew)[5:] == [
        ("crew", "b", "context"),
        ("crew", "b", "task"),
        ("b", "crew", "result"),
    ]


def test_what_others_take_away_is_put_back(monkeypatch: pytest.MonkeyPatch) -> None:
    """A test tool that patched CrewAI before sealwire did takes sealwire's wrapper with it."""
    with sealed(home=None):
        pass
    monkeypatch.setattr(Agent, "kickoff", Agent.kickoff.__wrapped__)  # type: ignore[attr-defined]
    monkeypatch.setattr(Crew, "kickoff", Crew.kickoff.__wrapped__)  # type: ignore[attr-defined]
    with sealed(home=None) as block:
        agent("Solo").kickoff("hello")
        pair().kickoff()
    assert len(block.messages) == 2 + 5


# Home, transport, audit


def test_a_home_is_made_at_first_use_and_one_line_says_so(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    first = seal(pair())
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert str(tmp_path / ".sealwire") in said
    assert (tmp_path / ".sealwire" / ".gitignore").read_text().strip() == "*"
    second = seal(pair())
    assert capsys.readouterr().err == ""
    assert first.sealwire.endpoint is second.sealwire.endpoint
    assert first.sealwire.home == tmp_path / ".sealwire"
    second.kickoff()
    first.kickoff()


def test_an_endpoint_in_memory_is_dropped_when_nobody_uses_it() -> None:
    """No cycle through the native part, which a garbage collector could not see."""
    shared = endpoint_for(None)
    shared.register(b"t" * 16, Rules())
    gone = weakref.ref(shared), weakref.ref(shared._book)
    del shared
    assert [each() for each in gone] == [None, None]


def test_a_kickoff_keeps_its_rules_however_many_end_meanwhile() -> None:
    shared = endpoint_for(None)
    reader = shared.endpoint.host("a")
    shared.register(b"t" * 16, Rules())
    for number in range(5000):
        shared.register(number.to_bytes(16, "big"), Rules())
        shared.retire(number.to_bytes(16, "big"))
    shared.endpoint.seal(reader, reader, b"", kind="task", thread=b"t" * 16)
    shared.endpoint.seal(reader, reader, b"", kind="task", thread=(4999).to_bytes(16, "big"))
    with pytest.raises(Denied, match="not a kickoff"):
        shared.endpoint.seal(reader, reader, b"", kind="task", thread=(0).to_bytes(16, "big"))


def test_a_home_that_cannot_be_made_is_an_error_that_names_it(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a folder")
    with pytest.raises(HomeError, match="file"):
        seal(pair(), home=tmp_path / "file" / "home")


def test_without_a_home_nothing_is_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    crew = seal(pair(), home=None)
    assert crew.sealwire.home is None
    crew.kickoff()
    assert not (tmp_path / ".sealwire").exists()
    assert "sealwire" not in capsys.readouterr().err


def test_each_crew_keeps_its_own_policy_on_a_shared_home() -> None:
    strict = seal(pair(name="strict"), policy=lambda request: "never")
    free = seal(pair(name="free"))
    free.kickoff()
    with pytest.raises(SealwireError, match="never"):
        strict.kickoff()


def test_every_envelope_crosses_the_transport_and_none_shows_a_text() -> None:
    transport = RecordingTransport()
    crew = seal(pair(), home=None, transport=transport)
    crew.kickoff()
    wire = b"".join(envelope for _, envelope in transport.carried)
    assert len(transport.carried) == len(crew.sealwire.messages)
    assert [to for to, _ in transport.carried] == [m.reader for m in crew.sealwire.messages]
    assert [e[:32] for _, e in transport.carried] == [m.first_bytes for m in crew.sealwire.messages]
    for text in ("from a", "from b", "one", "a result"):
        assert text.encode() not in wire


def test_an_audit_writes_each_decision_and_no_content(tmp_path: Path) -> None:
    import json

    path = tmp_path / "audit.jsonl"
    crew = seal(pair(), home=None, audit=JsonLines(path))
    crew.kickoff()
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert path.stat().st_mode & 0o777 == 0o600
    assert len(lines) == 2 * len(crew.sealwire.messages)
    assert {line["decision"] for line in lines} == {"allowed"}
    assert {(line["from"], line["to"]) for line in lines} >= {
        ("crew@local", "a@local"),
        ("a@local", "b@local"),
    }
    assert "from a" not in path.read_text()


# Releases


def test_a_release_that_lacks_something_is_refused_by_name() -> None:
    with pytest.raises(UnsupportedCrewAI, match=r"Crew\.launch.*crewai>=1\.9"):
        require(Crew, "kickoff", "launch")


@pytest.mark.parametrize(
    ("missing", "error", "says"),
    [
        ("crewai", ModuleNotFoundError, r"pip install 'sealwire\[crewai\]'"),
        ("crewai.agents.agent_builder.base_agent", UnsupportedCrewAI, r"base_agent.*crewai>=1\.9"),
    ],
)
def test_without_what_is_needed_there_is_no_import(
    missing: str, error: type[Exception], says: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Never an unsealed run: what cannot be sealed cannot be imported."""
    monkeypatch.setitem(sys.modules, missing, None)
    spec = importlib.util.spec_from_file_location("fresh", release.__file__)
    assert spec is not None
    assert spec.loader is not None
    with pytest.raises(error, match=says):
        spec.loader.exec_module(importlib.util.module_from_spec(spec))
