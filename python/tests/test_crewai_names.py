"""Names: what agents are called."""

from __future__ import annotations

import pytest
from crewai_parts import agent, crew_of, passed, task

from sealwire import InvalidName
from sealwire.crewai import seal
from sealwire.crewai.names import slug


@pytest.mark.parametrize(
    ("role", "name"),
    [
        ("Senior Researcher", "senior-researcher"),
        ("  Writer \n", "writer"),
        ("{topic} Researcher", "topic-researcher"),
        ("Größe & Maß", "grosse-mass"),
        ("R2-D2", "r2-d2"),
        ("Élève", "eleve"),
    ],
)
def test_a_role_becomes_a_slug(role: str, name: str) -> None:
    assert slug(role) == name


@pytest.mark.parametrize("role", ["研究员", "Аналитик", "🦀", "Analyst 研究", "x" * 200])
def test_a_role_without_a_plain_slug_gets_a_stable_name_of_its_own(role: str) -> None:
    assert slug(role) == slug(role)
    assert slug(role).isascii()
    assert len(slug(role)) <= 64
    assert slug(role) != slug(role + "研")


def test_two_agents_of_one_role_are_two_parties() -> None:
    crew = crew_of(task(agent("Writer")), task(agent("Writer")), task(agent("writer!")))
    seal(crew, home=None).kickoff()
    assert [reader for _, reader, kind in passed(crew) if kind == "task"] == [
        "writer",
        "writer-2",
        "writer-3",
    ]


def test_an_agent_called_like_the_crew_is_another_party() -> None:
    crew = crew_of(task(agent("News Desk")), name="News Desk")
    seal(crew, home=None).kickoff()
    assert passed(crew)[0] == ("news-desk", "news-desk-2", "task")


def test_names_are_chosen_by_role_or_by_agent() -> None:
    first, second = agent("Writer"), agent("Editor")
    crew = crew_of(task(first), task(second))
    seal(crew, home=None, names={"Writer": "w", second: "e.1"}).kickoff()
    assert {reader for _, reader, kind in passed(crew) if kind == "task"} == {"w", "e.1"}


@pytest.mark.parametrize(
    "names",
    [
        {"Writer": "same", "Editor": "same"},
        {"Writer": "crew"},
        {"Writer": "Not A Name"},
        {"Writer": ""},
        {"Writer": "-x"},
        {"Writer": "x" * 65},
    ],
)
def test_names_that_collide_or_are_none_are_refused(names: dict[object, str]) -> None:
    crew = crew_of(task(agent("Writer")), task(agent("Editor")))
    with pytest.raises(InvalidName):
        seal(crew, home=None, names=names)


def test_a_slug_gives_way_to_a_chosen_name() -> None:
    crew = crew_of(task(agent("Writer")), task(agent("Editor")))
    seal(crew, home=None, names={"Editor": "writer"}).kickoff()
    assert [reader for _, reader, kind in passed(crew) if kind == "task"] == ["writer-2", "writer"]


def test_the_name_is_the_role_before_inputs_and_stays() -> None:
    crew = crew_of(task(agent("{topic} expert"), "on {topic}"))
    seal(crew, home=None)
    crew.kickoff(inputs={"topic": "rust"})
    crew.kickoff(inputs={"topic": "python"})
    assert {reader for _, reader, kind in passed(crew) if kind == "task"} == {"topic-expert"}


def test_agents_made_during_runs_share_the_name_of_their_role() -> None:
    from crewai_parts import ScriptedModel, final

    model = ScriptedModel(lambda text: '{"valid": true, "feedback": null}' if "guardrail" in text else final("ok"))
    crew = crew_of(task(agent("Writer", model), guardrail="be nice"))
    seal(crew, home=None)
    crew.kickoff()
    crew.kickoff()
    assert {reader for _, reader, _ in passed(crew)} == {"crew", "writer", "guardrail-agent"}


def test_a_name_for_a_role_nobody_has_is_told() -> None:
    with pytest.warns(UserWarning, match="no agent of this crew has the role 'Reasearcher'"):
        seal(crew_of(task(agent("Researcher"))), home=None, names={"Reasearcher": "bob"})
