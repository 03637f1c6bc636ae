"""Every way of handing over, sealed: nothing readable on the wire, and each hand-off sealed for the right pair.

What must have been handed over is known twice without sealwire: written by hand in each scenario, and recorded at CrewAI's
own methods while it runs. What was sealed is read from the core's audit and from the bytes on the wire.
"""

from __future__ import annotations

import base64
import contextlib
import json
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
from scenarios import BY_NAME, SCENARIOS, final, recorded, seen
from sealing import Sealed, Wire, bare, play_in_a_block, play_sealed, played

from sealwire import Denied, Malformed, NotAuthentic, SealwireError
from sealwire.crewai import seal

every_scenario = pytest.mark.parametrize("name", [each.name for each in SCENARIOS])


@every_scenario
def test_unsealed_the_recorder_sees_every_text(name: str) -> None:
    """The positive control: without sealing, each mark is found, and CrewAI hands over what the scenario says."""
    with recorded() as record:
        stage, play = BY_NAME[name].play()
        play.run()
    assert _without_the_crews_context(record.hands()) in map(_without_the_crews_context, _expected(name))
    assert seen(stage.marks, record.wire()) == set(stage.marks)


@every_scenario
def test_sealed_the_wire_shows_no_text(name: str) -> None:
    run = played(name)
    assert run.wire.sent
    assert seen(run.stage.marks, run.record.wire()) == set(run.stage.marks), "the crew did not say what it should have"
    assert not seen(run.stage.marks + run.stage.kept, run.wire.bytes)


@pytest.mark.parametrize(
    "disguise",
    [
        lambda text: text.encode(),
        lambda text: json.dumps({"raw": text}).encode(),
        lambda text: json.dumps({"raw": text}, ensure_ascii=False).encode(),
        lambda text: text.encode("utf-16"),
        lambda text: text.encode("utf-16-be"),
        lambda text: base64.b64encode(text.encode()),
        lambda text: base64.b64encode(b"a" + text.encode()),
        lambda text: base64.b64encode(b"ab" + text.encode() + b"xyz"),
        lambda text: base64.urlsafe_b64encode(b"a" + text.encode()),
    ],
)
def test_the_search_sees_through_disguises(disguise: Callable[[str], bytes]) -> None:
    stage, _ = BY_NAME["sequential"].play()
    for mark in stage.marks:
        assert seen([mark], [b"\x00\xff" + disguise(mark) + b"\xff"]) == {mark}
        assert not seen([mark], [disguise(mark[6:])])


@every_scenario
def test_each_hand_off_is_sealed_for_its_pair(name: str) -> None:
    _check_hands(name, played(name))


@every_scenario
def test_in_a_block_the_same_is_sealed(name: str) -> None:
    run = play_in_a_block(name)
    _check_hands(name, run)
    assert not seen(run.stage.marks + run.stage.kept, run.wire.bytes)


def _check_hands(name: str, run: Sealed) -> None:
    hands = Counter(f"{bare(each.sender)}>{bare(each.reader)} {each.kind}" for each in run.opened() if each.kind != "result")
    assert hands in _expected(name)
    assert _without_the_crews_context(hands) == _without_the_crews_context(run.record.hands())


@every_scenario
def test_each_hand_off_has_one_signed_answer(name: str) -> None:
    run = played(name)
    asked = {each.ref: each for each in run.opened() if each.kind not in ("result", "context")}
    results = [each for each in run.opened() if each.kind == "result"]
    assert Counter(each.answers for each in results) == Counter(list(asked))
    for result in results:
        assert result.answers is not None
        question = asked[result.answers]
        assert (result.sender, result.reader, result.thread) == (question.reader, question.sender, question.thread)


@every_scenario
def test_all_that_was_sealed_crossed_the_wire_once(name: str) -> None:
    run = played(name)
    assert Counter(each.ref for each in run.sealed()) == Counter(each.ref for each in run.opened())
    assert Counter(to for to, _ in run.wire.sent) == Counter(each.reader for each in run.opened())
    assert len(set(run.wire.bytes)) == len(run.wire.bytes)
    assert not [each for each in run.entries if each.decision != "allowed"]


@every_scenario
def test_the_log_of_the_crew_says_what_the_core_says(name: str) -> None:
    run = played(name)
    logged = Counter((each.sender, each.reader, each.kind, each.id) for each in run.subject.sealwire.messages)
    assert logged == Counter((each.sender, each.reader, each.kind, each.id) for each in run.opened())


@every_scenario
def test_context_in_its_authors_envelope_names_the_result_it_repeats(name: str) -> None:
    run = played(name)
    results = {each.ref: each for each in run.opened() if each.kind == "result"}
    for piece in run.opened():
        if piece.kind == "context" and bare(piece.sender) != "crew":
            assert piece.came_from is not None
            first = results[piece.came_from]
            assert (first.sender, first.thread) == (piece.sender, piece.thread)


@every_scenario
def test_each_kickoff_is_a_thread(name: str) -> None:
    twice = {"kickoff_for_each", "kickoff_for_each_async", "copy", "replay", "agent_alone"}
    assert len({each.thread for each in played(name).opened()}) == (2 if name in twice else 1)


def test_changed_words_are_the_crews_and_name_their_origin() -> None:
    run = played("changing_guardrail")
    [result] = [each for each in run.opened() if each.kind == "result" and bare(each.sender) == "reader"]
    [piece] = [each for each in run.opened() if each.kind == "context"]
    assert (bare(piece.sender), piece.came_from) == ("crew", result.ref)


def test_a_retried_draft_is_dropped() -> None:
    run = played("callable_guardrail")
    draft, second = [each for each in run.opened() if each.kind == "result" and bare(each.sender) == "reader"]
    [piece] = [each for each in run.opened() if each.kind == "context"]
    assert piece.came_from == second.ref != draft.ref


def test_replayed_words_are_the_crews() -> None:
    opened = played("replay").opened()
    again = [each for each in opened if each.thread != opened[0].thread and each.kind != "result"]
    assert {bare(each.sender) for each in again} == {"crew"}
    assert {each.came_from for each in again} == {None}


def _flip(number: int) -> Callable[[int, bytes], bytes]:
    def attack(sent: int, envelope: bytes) -> bytes:
        return envelope[:-8] + bytes([envelope[-8] ^ 1]) + envelope[-7:] if sent == number else envelope

    return attack


@every_scenario
def test_wherever_an_envelope_is_altered_the_run_stops(name: str) -> None:
    """Also inside a delegation or a guardrail, where CrewAI swallows exceptions, in threads and in async tasks."""
    whole = len(played(name).wire.sent)
    for number in range(whole):
        with pytest.raises(SealwireError) as stopped:
            play_sealed(name, attack=_flip(number))
        assert isinstance(stopped.value, NotAuthentic), number
        run: Sealed = stopped.value.played  # type: ignore[attr-defined]
        assert len(run.opened()) < whole, number


def test_a_refusal_that_the_programs_own_code_swallows_stops_the_run() -> None:
    """The last thing that happens in this kickoff is the refusal; nothing that is sealed later could notice it."""
    sent_before: list[int] = []
    wire = Wire(attack=lambda number, envelope: b"" if [number] == sent_before else envelope)
    stage, play = BY_NAME["sequential"].play()
    stage.says(final("done"), "afterthought")

    def afterwards(output: Any) -> Any:
        sent_before.append(len(wire.sent))
        with contextlib.suppress(Exception):
            stage.agent("Helper").kickoff("afterthought")
        return output

    play.subject.after_kickoff_callbacks.append(afterwards)
    seal(play.subject, home=None, transport=wire)
    with pytest.raises(Malformed):
        play.run()
    assert len(wire.sent) == sent_before[0] + 1


@pytest.mark.parametrize("kind", ["task", "context", "result", "delegate"])
def test_a_denial_stops_the_run(kind: str) -> None:
    """A policy's no is an exception too, and its reason is named."""
    with pytest.raises(Denied, match="not on a Sunday"):
        play_sealed("delegate", policy=lambda request: "not on a Sunday" if request.kind == kind else True)


def _without_the_crews_context(hands: Counter[str]) -> Counter[str]:
    """What the crew signs itself may also stand in the task's own envelope."""
    return Counter({hand: count for hand, count in hands.items() if not (hand.startswith("crew>") and hand.endswith("context"))})


def _expected(name: str) -> list[Counter[str]]:
    scenario = BY_NAME[name]
    return [Counter(hands) for hands in (scenario.hands, scenario.alternative) if hands]
