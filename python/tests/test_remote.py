"""Crews with agents on another host: a process of its own serves them, over TCP, after real pairing."""

from __future__ import annotations

import asyncio
import signal
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from crewai import Agent, Crew, Process, Task
from crewai.tools import tool
from crewai_parts import agent, crew_of, delegates, final, passed, task
from pydantic import BaseModel
from remote_parts import Serving, free_port, pair, until
from scenarios import ScriptedModel

import sealwire
from sealwire.crewai import remote, seal
from sealwire.crewai.remote_agent import RemoteAgent

RESEARCHER = "researcher@there"


class Hosts(NamedTuple):
    """This host's home, and the other host."""

    home: Path
    there: Serving

    def researcher(self, **options: Any) -> RemoteAgent:
        """The agent on the other host, without asking it who it is."""
        return self.agent("Researcher", **options)

    def agent(self, role: str, **options: Any) -> RemoteAgent:
        options = {"role": role, "goal": "find out", "backstory": "knows all", "home": self.home, "timeout": 60, **options}
        return remote(f"{role.lower()}@there", **options)

    def sealed(self, *tasks: Task, **fields: Any) -> Any:
        """A sealed crew of these tasks."""
        return seal(crew_of(*tasks, **fields), home=self.home)


@pytest.fixture(scope="session")
def hosts(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hosts]:
    folder = tmp_path_factory.mktemp("hosts")
    listen = f"tcp://127.0.0.1:{free_port()}"
    pair(folder / "here", folder / "there", "there", listen=listen)
    served = str(Path(__file__).with_name("remote_served.py"))
    there = Serving(folder / "there.log", "--home", "there", "--listen", listen, f"{served}:several", f"{served}:made").start()
    yield Hosts(folder / "here", there)
    assert there.end() == 0, there.said()


def test_who_it_is_is_asked_there(hosts: Hosts) -> None:
    asked = remote("researcher", home=hosts.home)
    assert (asked.role, asked.goal, asked.backstory) == ("Researcher", "be Researcher", "Researcher since ever")
    assert asked.sealwire_address == RESEARCHER
    assert remote("clerk@there", home=hosts.home, goal="mine").goal == "mine"


def test_sequential(hosts: Hosts) -> None:
    worker, writer = hosts.researcher(), agent("Writer", ScriptedModel(lambda said: final("read: " + said.split("found-")[1][:5])))
    crew = hosts.sealed(task(worker, "SAY found-12345"), task(writer, "write"))
    result = crew.kickoff()
    assert [output.raw for output in result.tasks_output] == ["found-12345", "read: 12345"]
    replies = [m for m in crew.sealwire.messages if m.sender == RESEARCHER]
    assert [(m.reader, m.kind) for m in replies] == [("crew@here", "result")]
    context = next(m for m in crew.sealwire.messages if m.kind == "context")
    assert (context.sender, context.came_from) == ("crew@here", replies[0].ref), (
        "what it said is passed on by the crew, with its own words named"
    )


def test_the_remote_reads_what_local_agents_said(hosts: Hosts) -> None:
    crew = hosts.sealed(task(agent("Writer", "SAY from-the-writer"), "write"), task(hosts.researcher(), "read"))
    assert crew.kickoff().raw == "from-the-writer"


def test_a_crew_that_is_not_sealed_seals_what_leaves_it(hosts: Hosts) -> None:
    worker = hosts.researcher()
    assert crew_of(task(worker, "SAY hello")).kickoff().raw == "hello"
    assert [(m.sender, m.kind) for m in worker.sealwire.messages] == [(RESEARCHER, "result")]


def test_an_agent_alone(hosts: Hosts) -> None:
    assert hosts.researcher().kickoff("SAY alone").raw == "alone"


def test_hierarchical_with_a_remote_worker(hosts: Hosts) -> None:
    def manage(said: str) -> str:
        return (
            final("heard " + said.rsplit("Observation: ", 1)[1].split()[0])
            if "Observation: " in said
            else delegates("Researcher", "SAY worked")
        )

    manager = agent("Manager", ScriptedModel(manage), allow_delegation=True)
    crew = Crew(agents=[hosts.researcher()], tasks=[task(None, "manage it")], process=Process.hierarchical, manager_agent=manager)
    assert seal(crew, home=hosts.home).kickoff().raw == "heard worked"
    assert ("researcher", "manager", "result") in passed(crew)


def test_hierarchical_with_a_remote_manager(hosts: Hosts) -> None:
    worker = agent("Writer", "written-by-hand")
    use = 'USE delegate_work_to_coworker {"coworker": "Writer", "task": "write", "context": "none"}'
    crew = Crew(agents=[worker], tasks=[task(None, use)], process=Process.hierarchical, manager_agent=hosts.agent("Boss"))
    assert seal(crew, home=hosts.home).kickoff().raw == "it said: written-by-hand"
    asked = next(m for m in crew.sealwire.messages if m.reader == "writer@here")
    assert (asked.sender, asked.kind) == ("crew@here", "delegate")
    assert asked.came_from is not None, "the crew names the message by which the manager asked for it"


@pytest.mark.parametrize(("kind", "what"), [("delegate_work_to_coworker", "task"), ("ask_question_to_coworker", "question")])
def test_the_remote_delegates_to_a_local_coworker(hosts: Hosts, kind: str, what: str) -> None:
    use = f'USE {kind} {{"coworker": "Writer", "{what}": "write", "context": "none"}}'
    crew = hosts.sealed(task(hosts.researcher(allow_delegation=True), use), agents=[])
    worker = agent("Writer", "by-the-writer")
    crew = seal(Crew(agents=[crew.tasks[0].agent, worker], tasks=crew.tasks), home=hosts.home)
    assert crew.kickoff().raw == "it said: by-the-writer"


@pytest.mark.parametrize("tool_name", ["delegate_work_to_coworker", "ask_question_to_coworker"])
def test_a_local_agent_delegates_to_the_remote(hosts: Hosts, tool_name: str) -> None:
    def script(said: str) -> str:
        if "Observation: " in said:
            return final("heard " + said.rsplit("Observation: ", 1)[1].split()[0])
        what = "task" if "delegate" in tool_name else "question"
        return f'Thought: I ask.\nAction: {tool_name}\nAction Input: {{"coworker": "Researcher", "{what}": "SAY asked", "context": "none"}}'

    writer = agent("Writer", ScriptedModel(script), allow_delegation=True)
    crew = Crew(agents=[writer, hosts.researcher()], tasks=[task(writer, "write")])
    assert seal(crew, home=hosts.home).kickoff().raw == "heard asked"
    assert ("researcher", "writer", "result") in passed(crew)


def test_a_tool_stays_with_the_caller(hosts: Hosts) -> None:
    used = []

    @tool("door")
    def door(name: str, times: int = 1) -> str:
        """Opens a door here."""
        used.append((name, times, threading.current_thread() is not threading.main_thread()))
        return f"the {name} door is open"

    crew = hosts.sealed(task(hosts.researcher(tools=[door]), 'USE door {"name": "green", "times": 2}'))
    assert crew.kickoff().raw == "it said: the green door is open"
    assert used == [("green", 2, True)]


def test_what_a_tool_raises_is_told_to_the_remote_model(hosts: Hosts) -> None:
    @tool("door")
    def door(name: str) -> str:
        """Opens a door here."""
        raise OSError(f"the {name} door is stuck")

    crew = hosts.sealed(task(hosts.researcher(tools=[door]), 'USE door {"name": "green"}'))
    assert "the green door is stuck" in crew.kickoff().raw


def test_its_own_tools_work_there(hosts: Hosts) -> None:
    raw = hosts.sealed(task(hosts.researcher(), "USE own_secret {}")).kickoff().raw
    assert raw.startswith("it said: pid ")
    assert not raw.endswith("None")


class Answer(BaseModel):
    """What a task is to make."""

    number: int
    text: str


def test_output_pydantic_of_valid_json(hosts: Hosts) -> None:
    result = hosts.sealed(task(hosts.researcher(), 'SAY {"number": 7, "text": "seven"}', output_pydantic=Answer)).kickoff()
    assert result.pydantic == Answer(number=7, text="seven")


def test_output_pydantic_of_prose_is_converted_by_the_remote_model(hosts: Hosts) -> None:
    crew = hosts.sealed(task(hosts.researcher(), 'SAY prose, and in it CONVERT {"number": 7, "text": "seven"} END', output_pydantic=Answer))
    assert crew.kickoff().pydantic == Answer(number=7, text="seven")


def test_a_guardrail_sends_it_back_to_the_remote(hosts: Hosts) -> None:
    seen: list[str] = []

    def guard(output):  # type: ignore[no-untyped-def] # CrewAI reads the annotations, and not as text
        seen.append(output.raw)
        return (len(seen) > 1, output.raw if len(seen) > 1 else "SAY better")

    result = hosts.sealed(task(hosts.researcher(), "do SAY worse", guardrail=guard)).kickoff()
    assert len(seen) == 2
    assert result.raw == seen[1]


def test_a_string_guardrail_asks_the_remote_model(hosts: Hosts) -> None:
    guarded = task(hosts.researcher(), "SAY fine", guardrail="GUARDRAIL: must be fine")
    assert hosts.sealed(guarded).kickoff().raw == "fine"
    assert "model for " in hosts.there.said()


def test_async_execution(hosts: Hosts) -> None:
    first, second = hosts.researcher(), hosts.agent("Boss")
    one = task(first, "SLEEP 0.3 SAY one", async_execution=True)
    other = task(second, "SLEEP 0.3 SAY other", async_execution=True)
    last = task(
        agent("Writer", ScriptedModel(lambda said: final("one" * ("one" in said) + "other" * ("other" in said)))), "w", context=[one, other]
    )
    assert hosts.sealed(one, other, last).kickoff().raw == "oneother"


def test_kickoff_for_each_and_its_copies(hosts: Hosts) -> None:
    crew = hosts.sealed(task(hosts.researcher(), "SAY item-{item}"))
    assert [each.raw for each in crew.kickoff_for_each([{"item": 1}, {"item": 2}])] == ["item-1", "item-2"]
    assert [m.sender for m in crew.sealwire.messages] == [RESEARCHER] * 2


def test_a_copy_works_there_too(hosts: Hosts) -> None:
    worker = hosts.researcher()
    twin = worker.copy()
    assert (type(twin), twin.sealwire_address) == (type(worker), RESEARCHER)
    assert hosts.sealed(task(twin, "SAY copied")).kickoff().raw == "copied"


@pytest.mark.parametrize("how", ["akickoff", "kickoff_async"])
def test_asynchronous_kickoffs(hosts: Hosts, how: str) -> None:
    crew = hosts.sealed(task(hosts.researcher(), "SLEEP 0.2 SAY asynchronous"))

    async def both() -> tuple[Any, float]:
        beats = 0

        async def beat() -> None:
            nonlocal beats
            while True:
                await asyncio.sleep(0.01)
                beats += 1

        beating = asyncio.create_task(beat())
        result = await getattr(crew, how)()
        beating.cancel()
        return result, beats

    result, beats = asyncio.run(both())
    assert result.raw == "asynchronous"
    assert beats > 0, "the event loop was not blocked"


def test_streaming_shows_the_remote_models_chunks_in_order(hosts: Hosts) -> None:
    long = " ".join(f"word-{number}" for number in range(200))
    crew = hosts.sealed(task(hosts.researcher(), f"SAY {long}"), stream=True)
    stream = crew.kickoff()
    chunks = [chunk.content for chunk in stream]
    assert stream.result.raw == long
    assert "Final Answer: " + long in "".join(chunks)
    assert len(chunks) > 20


def test_usage_is_counted_once(hosts: Hosts) -> None:
    def usage(crew: Any) -> Any:
        return crew.kickoff().token_usage

    local = Agent(role="Researcher", goal="find out", backstory="knows all", llm=ScriptedModel(lambda _: final("counted")))
    alone, first = usage(crew_of(task(local, "SAY counted"))), usage(hosts.sealed(task(hosts.researcher(), "SAY counted")))
    again = usage(hosts.sealed(task(hosts.researcher(), "SAY counted")))
    assert first.total_tokens > 0
    assert first == again, "each crew is told what was used for it"
    assert first.successful_requests == alone.successful_requests
    assert abs(first.total_tokens - alone.total_tokens) < alone.total_tokens / 2


class Memory:
    """A crew's memory, newer releases' and older ones', that needs no model."""

    read_only = False
    root_scope = None

    def __init__(self) -> None:
        self.kept: list[str] = []

    def recall(self, *_: Any, **__: Any) -> list[Any]:
        return [Recalled()]

    def extract_memories(self, raw: str) -> list[str]:
        return [raw]

    def remember_many(self, extracted: list[str], **_: Any) -> None:
        self.kept += extracted

    def search(self, *_: Any, **__: Any) -> list[dict[str, str]]:
        return [{"content": "SAY remembered"}]

    async def asearch(self, *_: Any, **__: Any) -> list[dict[str, str]]:
        return self.search()

    def save(self, value: str, metadata: Any) -> None:
        self.kept.append(value)


class Recalled:
    """What is found in it."""

    def format(self) -> str:
        return "SAY remembered"


def test_memory_is_on_the_crews_side(hosts: Hosts) -> None:
    crew, memory = hosts.sealed(task(hosts.researcher(), "what do you remember?")), Memory()
    name = "_memory" if "_memory" in type(crew).__private_attributes__ else "_external_memory"
    if name == "_external_memory":
        crew.memory = True
    crew.__pydantic_private__[name] = memory
    assert crew.kickoff().raw == "remembered", "what is recalled here stands in the prompt there"
    assert any("remembered" in kept for kept in memory.kept), "what it says is saved here"


def test_human_input_is_asked_for_here(hosts: Hosts, monkeypatch: pytest.MonkeyPatch) -> None:
    answers = iter(["SAY second-draft", ""])
    monkeypatch.setattr("builtins.input", lambda *_: next(answers))
    result = hosts.sealed(task(hosts.researcher(), "SLEEP 0", human_input=True)).kickoff()
    assert result.raw == "second-draft"
    assert next(answers, "all used") == "all used"


def test_max_execution_time_ends_the_work_there_too(hosts: Hosts) -> None:
    use = "SLEEP 8 USE own_secret {}"
    before = len(hosts.there.said())
    with pytest.raises(TimeoutError):
        hosts.sealed(task(hosts.researcher(max_execution_time=1), use)).kickoff()
    assert "failed" not in hosts.there.said()[before:], "nobody waits for the work to end"
    until(lambda: "failed: RemoteError" in hosts.there.said()[before:])


def test_a_cancelled_kickoff_takes_the_request_back(hosts: Hosts) -> None:
    crew, before = hosts.sealed(task(hosts.researcher(), "SLEEP 3 USE own_secret {}")), len(hosts.there.said())

    async def cancelled() -> None:
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(crew.akickoff(), 1)

    asyncio.run(cancelled())
    until(lambda: "failed: RemoteError" in hosts.there.said()[before:])


def test_an_error_of_the_remote_model_is_an_ordinary_error_of_the_agent(hosts: Hosts) -> None:
    before = hosts.there.said().count("task for crew@here")
    with pytest.raises(sealwire.RemoteError, match=f"`{RESEARCHER}`.*the model is exhausted") as caught:
        hosts.sealed(task(hosts.researcher(max_retry_limit=1), "FAIL exhausted")).kickoff()
    assert "Traceback" not in str(caught.value)
    assert hosts.there.said().count("task for crew@here") - before == 2, "the crew's side tries again, as often as its agent says"


def test_an_error_of_the_remote_does_not_end_a_crew_that_can_do_without(hosts: Hosts) -> None:
    def script(said: str) -> str:
        return final("did it myself") if "Observation: " in said else delegates("Researcher", "FAIL exhausted")

    writer = agent("Writer", ScriptedModel(script), allow_delegation=True)
    crew = Crew(agents=[writer, hosts.researcher(max_retry_limit=0)], tasks=[task(writer, "write")])
    assert seal(crew, home=hosts.home).kickoff().raw == "did it myself"


def test_work_goes_on_in_the_next_process_after_a_crash(hosts: Hosts) -> None:
    before, done = len(hosts.there.said()), []
    crew = hosts.sealed(task(hosts.researcher(), "SLEEP 2 SAY survived"))
    working = threading.Thread(target=lambda: done.append(crew.kickoff().raw))
    working.start()
    until(lambda: "task for crew@here" in hosts.there.said()[before:])
    hosts.there.end(signal.SIGKILL)
    hosts.there.start()
    working.join(60)
    assert done == ["survived"]
    assert "again, after a restart" in hosts.there.said()[before:]
    assert len([m for m in crew.sealwire.messages if m.kind == "result"]) == 1
