"""The demo as a newcomer sees it, and the project it runs."""

from __future__ import annotations

import json
import os
import tempfile
from pathlib import Path

import pytest

import sealwire.demo
from sealwire.demo import quiet, show, wire

PROJECT = Path(sealwire.demo.__file__).parent / "incident_review"


def test_it_fits_on_one_screen(capsys: pytest.CaptureFixture[str]) -> None:
    assert sealwire.demo.main([]) == 0
    screen = capsys.readouterr().out.rstrip("\n").split("\n")
    assert len(screen) <= 40
    assert max(map(len, screen)) <= 100
    assert "\x1b" not in "".join(screen)
    assert sum("refused, kickoff() raised" in line for line in screen) == 3


def test_json_says_the_same(capsys: pytest.CaptureFixture[str]) -> None:
    assert sealwire.demo.main(["--json"]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert {each["kind"] for each in shown["messages"]} == {"task", "context", "result", "delegate"}
    assert {each["form"] for each in shown["messages"]} == {"opening", "lane"}
    assert [each["from"] for each in shown["messages"] if each["kind"] == "delegate"] == ["privacy-analyst@local"]
    assert shown["wire"]["written"]
    assert not shown["wire"]["found"]
    assert [(each["name"], each["refused"]) for each in shown["attacks"]] == [
        ("altered", True), ("replayed", True), ("impostor", True)]  # fmt: skip
    assert [each["error"] for each in shown["attacks"]] == ["NotAuthentic", "Duplicate", "NotAuthentic"]


def test_an_attack_that_passes_is_shown_and_fails_the_demo(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sealwire.demo.attacks.flipped", lambda envelope: envelope)
    assert sealwire.demo.main([]) == 1
    assert "NOT REFUSED" in capsys.readouterr().out


def test_text_on_the_wire_is_shown_and_fails_the_demo(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    send = wire.Wire.send

    def leaks(self: wire.Wire, to: str, envelope: bytes) -> None:
        send(self, to, envelope)
        self.sent.append((to, b"Astrid Lindqvist"))

    monkeypatch.setattr(wire.Wire, "send", leaks)
    assert sealwire.demo.main(["--json"]) == 1
    assert json.loads(capsys.readouterr().out)["wire"]["found"] == ["Astrid Lindqvist"]


def test_it_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    home, folder, temporary = tmp_path / "home", tmp_path / "folder", tmp_path / "temporary"
    for made in (home, folder, temporary):
        made.mkdir()
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setattr(tempfile, "tempdir", str(temporary))
    monkeypatch.chdir(folder)
    before = dict(os.environ)
    assert sealwire.demo.main([]) == 0
    assert dict(os.environ) == before
    assert not [*home.rglob("*"), *folder.rglob("*"), *temporary.rglob("*")]


def test_the_project_is_an_ordinary_one() -> None:
    sources = [path for path in PROJECT.rglob("*") if path.suffix in (".py", ".yaml", ".md")]
    assert len(sources) >= 8
    assert not [path for path in sources if "sealwire" in path.read_text(encoding="utf-8").lower()]


def test_the_demo_knows_the_projects_model_variables() -> None:
    from sealwire.demo.incident_review.model import ENVIRONMENT

    assert quiet._MODELS == ENVIRONMENT


def test_a_model_from_the_environment_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    from sealwire.demo.incident_review.model import ScriptedModel, model

    assert isinstance(model(), ScriptedModel)
    monkeypatch.setenv("MODEL", "openai/gpt-4.1-mini")
    assert model() is None


def test_the_scripted_model_says_what_the_report_says() -> None:
    from sealwire.demo.incident_review import model

    report = (PROJECT / "documents" / "incident-2026-031.md").read_text(encoding="utf-8")
    patients = [secret for secret in show._secrets(report) if secret.startswith("HL-") or " " in secret]
    assert len(patients) == 14
    for fact in ("Chidi Okonkwo", "09:20", "HL-19270", "01632 960952"):
        assert fact in report
        assert any(fact in reply for _, reply in model.SCRIPT)
    assert not [patient for patient in patients if patient in model.NOTICE]


def test_without_crewai_the_remedy_is_named(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def missing() -> None:
        raise ModuleNotFoundError("No module named 'crewai'", name="crewai")

    monkeypatch.setattr(show, "_run", missing)
    assert sealwire.demo.main([]) == 2
    assert "pip install 'sealwire[crewai]'" in capsys.readouterr().err
