"""What is told to OpenTelemetry and to `logging`: who, which kind and how large; never what."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from pathlib import Path

import pytest
from crewai_parts import crew_of, task
from opentelemetry import trace
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from remote_parts import until

import sealwire
from sealwire.crewai import remote, seal, serve

SECRETS = ("Arbuthnot", "sarcoidosis", "label-that-is-read", "a-token")


def exporting(monkeypatch: pytest.MonkeyPatch, service: str) -> InMemorySpanExporter:
    """A program that has set a provider, whose spans are kept."""
    monkeypatch.delenv("OTEL_SDK_DISABLED", raising=False)
    provider, exporter = TracerProvider(resource=Resource({"service.name": service})), InMemorySpanExporter()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    monkeypatch.setattr(trace, "get_tracer_provider", lambda: provider)
    monkeypatch.setattr(trace, "get_tracer", provider.get_tracer)
    return exporter


@pytest.fixture
def nodes(tmp_path: Path) -> Iterator[str]:
    """An agent that is served in this process by another node; its address."""
    from crewai_parts import agent

    here = sealwire._sealwire.Home(tmp_path / "here")
    location = "tcp://127.0.0.1:0"
    here.enrol(tmp_path / "there", "there", ["worker"], [location])
    node = serve(agent("Worker", "Arbuthnot has sarcoidosis"), home=tmp_path / "there", listen=[location])
    here.enrol(tmp_path / "there", "there", ["worker"], node.listening)
    yield "worker@there"
    node.close()


def test_spans_name_the_messages_and_hold_nothing_of_them(nodes: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    exporter = exporting(monkeypatch, "a program")
    worker = remote(nodes, home=tmp_path / "here", timeout=60, role="Remote", goal="g", backstory="b")
    from crewai_parts import agent

    writer = agent("Writer", "Arbuthnot is well")
    with sealwire.label("label-that-is-read"):
        crew = seal(crew_of(task(worker, "How is Arbuthnot?"), task(writer, "Write to Arbuthnot.")), home=tmp_path / "here")
        crew.kickoff()
    spans = exporter.get_finished_spans()
    named = {span.name for span in spans if span.name.startswith("sealwire.")}
    assert named == {"sealwire.seal", "sealwire.open", "sealwire.request", "sealwire.handle"}
    told = {span.name: dict(span.attributes or {}) for span in spans}
    assert told["sealwire.request"]["sealwire.to"] == told["sealwire.handle"]["sealwire.to"] == nodes
    assert told["sealwire.request"]["sealwire.id"] == told["sealwire.handle"]["sealwire.id"]
    everything = json.dumps([json.loads(span.to_json()) for span in spans if span.name.startswith("sealwire.")])
    assert [secret for secret in SECRETS if secret in everything] == []


def test_an_exception_is_named_and_not_quoted(monkeypatch: pytest.MonkeyPatch) -> None:
    from sealwire.telemetry import span

    exporter = exporting(monkeypatch, "a program")
    with pytest.raises(ValueError, match="Arbuthnot"), span("handle", kind="task"):
        raise ValueError("Arbuthnot has sarcoidosis")
    (failed,) = exporter.get_finished_spans()
    assert failed.status.description == "ValueError"
    assert "Arbuthnot" not in failed.to_json()


def test_crewais_own_telemetry_is_told_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    from sealwire.telemetry import span

    exporter = exporting(monkeypatch, "crewAI-telemetry")
    with span("handle", kind="task"):
        pass
    assert exporter.get_finished_spans() == ()


def test_what_the_core_tells_is_logged(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "sealwire.core")
    home = sealwire._sealwire.Home(tmp_path / "home")
    node = sealwire.Node(sealwire.Endpoint(tmp_path / "home"))
    node.serve("worker", lambda incoming: b"sarcoidosis")
    node.request(node.host("boss"), "worker@local", b"Arbuthnot", kind="task", timeout=60, labels=["label-that-is-read"])
    home.enrol(tmp_path / "other", "other", ["x"], [])
    until(lambda: "a newer roster is in force, version: 2" in caplog.text)
    node.close()
    assert "arrived, from: boss@local, to: worker@local, kind: task" in caplog.text
    assert [secret for secret in SECRETS if secret in caplog.text] == []
