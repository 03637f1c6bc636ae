"""Labels: on what they stand, and what a policy can do with them."""

from __future__ import annotations

import asyncio
import pickle
from typing import Any

import pytest
from crewai import Crew, Process, Task
from crewai.tasks.conditional_task import ConditionalTask
from crewai_parts import ScriptedModel, agent, crew_of, delegates, final, task

import sealwire
from sealwire import Denied, Request
from sealwire.crewai import label, seal


def only_anonymized(request: Request) -> bool | str:
    """The analyst may receive ``pii`` only with ``anonymized``."""
    if request.reader.startswith("analyst@") and "pii" in request.labels and "anonymized" not in request.labels:
        return "the analyst may receive pii only when it is anonymized"
    return True


def labels(crew: Any, reader: str, kind: str) -> list[tuple[str, ...]]:
    return [m.labels for m in crew.sealwire.messages if m.reader.startswith(f"{reader}@") and m.kind == kind]


def casework(*, anonymize: bool) -> Any:
    intake = label(task(agent("Intake", "Jane Doe, born 1980"), "take the case in"), "pii")
    between = task(agent("Clerk", "a person, born in the 80s"), "prepare it", context=[intake])
    label(between, "pii", *(["anonymized"] if anonymize else []))
    return crew_of(intake, between, task(agent("Analyst"), "analyse it", context=[between]))


def test_the_analyst_receives_what_was_anonymized() -> None:
    crew = seal(casework(anonymize=True), home=None, policy=only_anonymized)
    crew.kickoff()
    assert labels(crew, "analyst", "context") == [("anonymized", "pii")]


def test_the_analyst_does_not_receive_what_was_not() -> None:
    crew = seal(casework(anonymize=False), home=None, policy=only_anonymized)
    with pytest.raises(Denied, match="only when it is anonymized"):
        crew.kickoff()


def test_the_analyst_does_not_receive_it_from_an_earlier_task_either() -> None:
    """Without a listed context, each task reads all earlier outputs."""
    crew = casework(anonymize=True)
    crew.tasks[2].context = type(crew.tasks[2]).model_fields["context"].default
    seal(crew, home=None, policy=only_anonymized)
    with pytest.raises(Denied):
        crew.kickoff()


def test_a_block_labels_everything_inside() -> None:
    crew = seal(crew_of(task(agent("A")), task(agent("B"))), home=None)
    with sealwire.label("case-7"), sealwire.label("pii"):
        crew.kickoff()
    assert {m.labels for m in crew.sealwire.messages} == {("case-7", "pii")}
    crew.kickoff()
    assert crew.sealwire.messages[-1].labels == ()


@pytest.mark.parametrize("word", ["", "two words", "naïve", "x" * 65, "tab\t"])
def test_a_word_that_cannot_stand_in_a_header_is_no_label(word: str) -> None:
    with pytest.raises(ValueError, match="label"), sealwire.label(word):
        pass
    with pytest.raises(ValueError, match="label"):
        label(task(agent("A")), word)


@pytest.mark.parametrize("other", [agent("A"), crew_of(task(agent("A"))), "pii"])
def test_only_a_task_can_be_labelled(other: Any) -> None:
    with pytest.raises(TypeError, match=f"takes a task, not {type(other).__name__}"):
        label(other, "pii")


def test_a_list_is_not_a_label() -> None:
    with pytest.raises(ValueError, match="not a label"), sealwire.label(["pii"]):  # type: ignore[arg-type] # wrong on purpose
        pass


def test_a_label_of_a_task_is_on_prompt_result_and_forwarded_result_only() -> None:
    first = label(task(agent("A")), "secret")
    crew = seal(crew_of(first, task(agent("B"))), home=None)
    crew.kickoff()
    assert labels(crew, "a", "task") == labels(crew, "b", "context") == [("secret",)]
    assert labels(crew, "b", "task") == [()]
    assert labels(crew, "crew", "result") == [("secret",), ()]


def test_a_delegation_carries_the_labels_of_the_task() -> None:
    calls: list[str] = []

    def script(text: str) -> str:
        calls.append(text)
        return delegates("Worker", "dig") if len(calls) == 1 else final("done")

    boss = agent("Boss", ScriptedModel(script), allow_delegation=True)
    crew = crew_of(label(task(boss), "pii"), agents=[boss, agent("Worker")])
    seal(crew, home=None).kickoff()
    assert labels(crew, "worker", "delegate") == labels(crew, "boss", "result") == [("pii",)]


def test_a_managers_task_carries_its_labels() -> None:
    worker = agent("Worker")
    manager = ScriptedModel(lambda _: final("managed"))
    crew = Crew(
        agents=[worker],
        tasks=[label(task(worker), "pii")],
        process=Process.hierarchical,
        manager_llm=manager,
    )
    seal(crew, home=None).kickoff()
    assert labels(crew, "crew-manager", "task") == [("pii",)]


def test_a_string_guardrail_reads_under_the_labels_of_what_it_judges() -> None:
    model = ScriptedModel(lambda text: '{"valid": true, "feedback": null}' if "guardrail" in text else final("ok"))
    crew = crew_of(
        label(task(agent("A", model), guardrail="be nice"), "pii"),
        task(agent("B", model), guardrail="be brief"),
    )
    seal(crew, home=None).kickoff()
    assert labels(crew, "guardrail-agent", "prompt") == [("pii",), ()]


def test_a_planner_reads_under_the_labels_of_all_tasks() -> None:
    plan = final('{"list_of_plans_per_task": [{"task_number": 1, "task": "t", "plan": " so"}]}')
    tasks = label(task(agent("A")), "pii"), label(task(agent("B")), "secret")
    crew = crew_of(*tasks, planning=True, planning_llm=ScriptedModel(lambda _: plan))
    seal(crew, home=None).kickoff()
    assert labels(crew, "task-execution-planner", "task") == [("pii", "secret")]
    assert labels(crew, "b", "task") == [("secret",)]


def test_what_nobody_can_attribute_carries_the_labels_of_all_it_may_contain() -> None:
    drafts = iter(["draft", "better"])
    model = ScriptedModel(lambda _: final(next(drafts)))
    crew = crew_of(
        label(task(agent("A")), "pii"),
        task(agent("B", model), guardrail=lambda output: (output.raw == "better", output.raw)),
    )
    seal(crew, home=None).kickoff()
    assert labels(crew, "b", "task") == [(), ("pii",)]


@pytest.mark.parametrize("make", [Task, ConditionalTask])
def test_labels_survive_copies_of_a_task(make: type[Task]) -> None:
    fields: dict[str, Any] = {"condition": lambda output: True} if make is ConditionalTask else {}
    marked: Any = label(make(description="x", expected_output="y", agent=agent("A"), **fields), "pii")
    copies = [marked.copy([], {}), marked.model_copy(), marked.copy([], {}).copy([], {})]
    assert isinstance(marked, make)
    assert type(marked).__name__ == make.__name__
    assert [copy._sealwire_labels for copy in copies] == [frozenset({"pii"})] * 3
    assert marked.model_dump().keys() == make(description="x", expected_output="y", **fields).model_dump().keys()


def test_labels_survive_a_pickle() -> None:
    marked = label(task(None), "pii")
    restored = pickle.loads(pickle.dumps(marked))
    assert (type(restored), restored.description) == (type(marked), marked.description)
    assert [restored._sealwire_labels, restored.copy([], {})._sealwire_labels] == [frozenset({"pii"})] * 2


def test_a_replayed_output_is_forwarded_under_the_labels_of_the_block_and_its_task() -> None:
    first = label(task(agent("A"), "one"), "secret")
    crew: Any = seal(crew_of(first, task(agent("B"), "two")), home=None)
    crew.kickoff()
    with sealwire.label("pii"):
        crew.replay(str(crew.tasks[1].id))
    assert labels(crew, "b", "context") == [("secret",), ("pii", "secret")]


def test_labels_of_a_task_add_up() -> None:
    marked = task(agent("A"))
    assert label(label(marked, "a"), "b", "a") is marked
    assert marked._sealwire_labels == {"a", "b"}


def test_labels_survive_kickoffs_of_copies() -> None:
    crew = seal(crew_of(label(task(agent("A"), "on {n}"), "pii")), home=None)
    crew.kickoff_for_each([{"n": 1}, {"n": 2}])
    assert labels(crew, "a", "task") == [("pii",)] * 2


def test_labels_reach_async_kickoffs_threads_and_streams() -> None:
    crew = crew_of(task(agent("A"), async_execution=True), task(agent("B")))
    seal(crew, home=None)
    with sealwire.label("pii"):
        asyncio.run(crew.akickoff())
        asyncio.run(crew.kickoff_async())
        crew.kickoff()
        crew.stream = True
        streaming = crew.kickoff()
    for _ in streaming:
        pass
    crew.stream = False
    assert len({m.thread for m in crew.sealwire.messages}) == 4
    assert {m.labels for m in crew.sealwire.messages} == {("pii",)}
    crew.kickoff()
    assert crew.sealwire.messages[-1].labels == ()
