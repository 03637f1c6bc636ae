"""Whose words are in a context: earlier outputs reach a reader in their authors' envelopes."""

from __future__ import annotations

from typing import Any

from crewai.tasks.conditional_task import ConditionalTask
from crewai_parts import ScriptedModel, agent, crew_of, final, says, task
from pydantic import BaseModel

from sealwire.crewai import Record, seal

DIVIDER = "\n\n----------\n\n"


def heard(model_texts: list[str], needle: str) -> bool:
    return any(needle in text for text in model_texts)


def listening(answer: str) -> tuple[ScriptedModel, list[str]]:
    """A model and everything it was told."""
    told: list[str] = []

    def script(text: str) -> str:
        told.append(text)
        return final(answer)

    return ScriptedModel(script), told


def contexts(crew: Any, reader: str) -> list[Record]:
    return [m for m in crew.sealwire.messages if m.kind == "context" and m.reader.startswith(f"{reader}@")]


def authors(crew: Any, reader: str) -> list[str]:
    return [m.sender.split("@")[0] for m in contexts(crew, reader)]


def result_of(crew: Any, author: str) -> Any:
    return [m for m in crew.sealwire.messages if m.kind == "result" and m.sender.startswith(f"{author}@")][-1]


def test_each_earlier_author_is_heard_in_its_own_envelope() -> None:
    model, told = listening("c")
    crew = crew_of(task(agent("A", "from a")), task(agent("B", "from b")), task(agent("C", model)))
    seal(crew, home=None).kickoff()
    assert authors(crew, "c") == ["a", "b"]
    assert [m.came_from for m in contexts(crew, "c")] == [
        result_of(crew, "a").ref,
        result_of(crew, "b").ref,
    ]
    assert heard(told, f"from a{DIVIDER}from b")


def test_outputs_that_contain_the_divider_are_not_taken_apart() -> None:
    odd = f"one{DIVIDER}two"
    model, told = listening("c")
    crew = crew_of(task(agent("A", odd)), task(agent("B", f"{DIVIDER}x")), task(agent("C", model)))
    seal(crew, home=None).kickoff()
    assert authors(crew, "c") == ["a", "b"]
    assert heard(told, "one\n\n----------\n\ntwo")
    assert [m.size for m in contexts(crew, "c")] == [len(odd), len(crew.tasks[1].output.raw)]


def test_a_listed_context_names_its_authors_only() -> None:
    first, second = task(agent("A", "from a")), task(agent("B", "from b"))
    third = task(agent("C"), context=[second])
    crew = crew_of(first, second, third)
    seal(crew, home=None).kickoff()
    assert authors(crew, "c") == ["b"]


def test_an_empty_listed_context_carries_nothing() -> None:
    crew = crew_of(task(agent("A", "from a")), task(agent("C"), context=[]))
    seal(crew, home=None).kickoff()
    assert authors(crew, "c") == []


def test_what_a_guardrail_changed_is_signed_by_the_crew_and_names_its_origin() -> None:
    shout = task(agent("A", "from a"), guardrail=lambda output: (True, output.raw.upper()))
    crew = crew_of(shout, task(agent("B", "from b")), task(agent("C")))
    seal(crew, home=None).kickoff()
    assert authors(crew, "c") == ["crew", "b"]
    assert contexts(crew, "c")[0].came_from == result_of(crew, "a").ref


def test_a_retried_draft_is_dropped_for_the_one_that_passed() -> None:
    drafts = iter(["draft", "better"])
    model = ScriptedModel(lambda _: final(next(drafts)))
    told_model, told = listening("b")
    picky = task(agent("A", model), guardrail=lambda output: (output.raw == "better", output.raw))
    crew = crew_of(picky, task(agent("B", told_model)))
    seal(crew, home=None).kickoff()
    assert authors(crew, "b") == ["a"]
    assert contexts(crew, "b")[0].came_from == result_of(crew, "a").ref
    assert heard(told, "better")
    assert not heard(told, "draft")


def test_the_text_of_a_retry_is_signed_by_the_crew() -> None:
    drafts = iter(["draft", "better"])
    model = ScriptedModel(lambda _: final(next(drafts)))
    crew = crew_of(
        task(agent("Z", "from z")),
        task(agent("A", model), guardrail=lambda output: (output.raw == "better", output.raw)),
    )
    seal(crew, home=None).kickoff()
    kinds = [(m.sender.split("@")[0], m.kind) for m in crew.sealwire.messages if m.reader.startswith("a@")]
    assert kinds == [("z", "context"), ("crew", "task"), ("crew", "task")]


def test_a_skipped_task_leaves_an_empty_piece_signed_by_the_crew() -> None:
    skipped = ConditionalTask(description="maybe", expected_output="x", agent=agent("B"), condition=lambda output: False)
    crew = crew_of(task(agent("A", "from a")), skipped, task(agent("C")))
    seal(crew, home=None).kickoff()
    assert authors(crew, "c") == ["a", "crew"]
    assert contexts(crew, "c")[1].size == 0


def test_an_output_of_an_earlier_kickoff_is_not_taken_for_a_skipped_task() -> None:
    answers = iter([True, False])
    maybe = ConditionalTask(
        description="maybe",
        expected_output="x",
        agent=agent("B", "from b"),
        condition=lambda output: next(answers),
    )
    crew = crew_of(task(agent("A", "from a")), maybe, task(agent("C")))
    seal(crew, home=None)
    crew.kickoff()
    assert authors(crew, "c") == ["a", "b"]
    crew.kickoff()
    assert authors(crew, "c") == ["a", "b", "a", "crew"]


def test_a_model_result_is_signed_as_the_raw_text_it_becomes() -> None:
    class Finding(BaseModel):
        title: str
        score: int

    crew = crew_of(
        task(agent("A", '{"title": "t", "score": 3}'), output_pydantic=Finding),
        task(agent("B")),
    )
    output = seal(crew, home=None).kickoff()
    assert isinstance(output.tasks_output[0].pydantic, Finding)
    assert authors(crew, "b") == ["a"]


def test_a_replayed_output_is_signed_by_the_crew() -> None:
    crew = crew_of(task(agent("A", "from a"), "one"), task(agent("B", "from b"), "two"))
    seal(crew, home=None).kickoff()
    count = len(crew.sealwire.messages)
    crew.replay(str(crew.tasks[1].id))
    again = crew.sealwire.messages[count:]
    assert [(m.sender.split("@")[0], m.kind, m.came_from) for m in again][:1] == [("crew", "context", None)]


def test_an_agent_reads_its_own_earlier_words_in_its_own_envelope() -> None:
    worker = agent("A", says("from a"))
    crew = crew_of(task(worker, "one"), task(worker, "two"))
    seal(crew, home=None).kickoff()
    assert authors(crew, "a") == ["a"]


def test_text_that_is_hard_to_encode_arrives_as_it_was() -> None:
    odd = "naïve \ud800 研究 \x00 🦀"
    model, told = listening("b")
    crew = crew_of(task(agent("A", odd.replace("\ud800", ""))), task(agent("B", model), description="x \x7f é"))
    assert seal(crew, home=None).kickoff().tasks_output[0].raw == odd.replace("\ud800", "")
    assert heard(told, "naïve")
