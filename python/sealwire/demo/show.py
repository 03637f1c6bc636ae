"""Runs the crew of the demo sealed, attacks its wire, and shows both on one screen."""

from __future__ import annotations

import argparse
import json
import os
import sys
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sealwire.demo.quiet import quiet
from sealwire.demo.wire import Wire

__all__ = ["show"]

_PROJECT = Path(__file__).parent / "incident_review"
_REPORT = _PROJECT / "documents" / "incident-2026-031.md"

#: A real model may delegate as often as it likes; the rest of the screen must stay in sight.
_ROWS = 12
_LINES = 8
_ERROR_LINES = 2
_WIDTH = 100


@dataclass(frozen=True)
class Shown:
    """Everything the demo has to tell."""

    model: str
    messages: list[Any]
    carried: list[bytes]
    """The envelopes of the messages, as they went over the wire."""
    result: str
    secrets: list[str]
    """What the report says about patients: names, numbers, dates of birth."""
    written: list[str]
    """Those of them that the agents handed to each other."""
    leaked: list[str]
    """Those of them that stand on the wire."""
    attacks: list[Any]

    @property
    def wire_size(self) -> int:
        return sum(map(len, self.carried))

    @property
    def good(self) -> bool:
        return bool(self.messages) and not self.leaked and all(each.refused for each in self.attacks)


class _CrewFailed(Exception):
    """The first run, with no attacker on the wire, ended with an error: a wrong key for a model, for example."""


def show(argv: Sequence[str] | None = None) -> int:
    """See :func:`sealwire.demo.main`."""
    arguments = _arguments(argv)
    try:
        with quiet():
            shown = _run()
    except ModuleNotFoundError as missing:
        if (missing.name or "").split(".")[0] != "crewai":
            raise
        print("the demo needs CrewAI: pip install 'sealwire[crewai]'", file=sys.stderr)
        return 2
    except _CrewFailed as failed:
        print(f"the crew did not finish: {failed}", file=sys.stderr)
        return 1
    print(_as_json(shown) if arguments.json else _as_text(shown, _Paint(sys.stdout)))
    return 0 if shown.good else 1


def _arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="sealwire demo",
        description="Run a CrewAI crew sealed, and attack its wire. Uses the model that MODEL or OPENAI_API_KEY name,"
        " or else a scripted one that needs no network and no key.",
    )
    parser.add_argument("--json", action="store_true", help="print JSON for machines")
    return parser.parse_args(argv)


def _run() -> Shown:
    from sealwire.crewai import seal
    from sealwire.demo.attacks import attack_all
    from sealwire.demo.incident_review.crew import IncidentReview
    from sealwire.demo.incident_review.main import INPUTS

    wire = Wire()
    crew: Any = seal(IncidentReview().crew(), home=None, transport=wire)
    try:
        output = crew.kickoff(inputs=INPUTS)
    except Exception as error:
        raise _CrewFailed(f"{type(error).__name__}: {error}") from error
    messages, carried = list(crew.sealwire.messages), wire.envelopes
    said = "\n".join(task.raw for task in output.tasks_output)
    secrets = _secrets(_REPORT.read_text(encoding="utf-8"))
    return Shown(
        model=_model_of(crew),
        messages=messages,
        carried=_in_order(messages, list(wire.sent)),
        result=str(output.raw),
        secrets=secrets,
        written=[secret for secret in secrets if secret in said],
        leaked=[secret for secret in secrets if any(secret.encode() in envelope for envelope in carried)],
        attacks=attack_all(lambda: crew.kickoff(inputs=INPUTS), wire, messages),
    )


def _model_of(crew: Any) -> str:
    return str(getattr(crew.agents[0].llm, "model", None) or os.environ.get("MODEL", "unknown"))


def _in_order(messages: list[Any], sent: list[tuple[str, bytes]]) -> list[bytes]:
    """The envelope of each message: the first that was sent to its reader and has its size."""
    carried = []
    for message in messages:
        match = next(each for each in sent if each[0] == message.reader and len(each[1]) == message.wire_size)
        sent.remove(match)
        carried.append(match[1])
    return carried


def _secrets(report: str) -> list[str]:
    """The patients' numbers, names and dates of birth, from the table of the report."""
    rows = [line.strip("|").split("|") for line in report.splitlines() if line.startswith("| HL-")]
    return [cell.strip(" *") for row in rows for cell in row[:3]]


# --- as text ----------------------------------------------------------------------------------------------------------


class _Paint:
    """Colours on a terminal, nothing elsewhere; NO_COLOR is respected."""

    def __init__(self, stream: Any) -> None:
        self._on = bool(stream.isatty()) and "NO_COLOR" not in os.environ

    def bold(self, text: str) -> str:
        return self._in("1", text)

    def dim(self, text: str) -> str:
        return self._in("2", text)

    def good(self, text: str) -> str:
        return self._in("32", text)

    def bad(self, text: str) -> str:
        return self._in("1;31", text)

    def _in(self, code: str, text: str) -> str:
        return f"\x1b[{code}m{text}\x1b[0m" if self._on else text


def _as_text(shown: Shown, paint: _Paint) -> str:
    model = "a scripted model, no network" if shown.model == "scripted" else shown.model
    title = f"Three agents review an incident with patients' data, sealed ({model})"
    lines = [paint.bold(title), "", *_table(shown, paint), "", *_wire(shown, paint), ""]
    lines += [paint.bold("What the crew wrote"), *_result(shown.result), ""]
    lines += [paint.bold("Three attacks on the wire, made just now"), *_attacks(shown.attacks, paint)]
    return "\n".join(lines)


def _table(shown: Shown, paint: _Paint) -> list[str]:
    row = "{:>2}  {:<16} {:<16} {:<8} {:>6}  {:<7}  {}".format
    lines = [paint.dim(row("#", "from", "to", "kind", "bytes", "form", "first and last on the wire"))]
    for number, (message, envelope) in enumerate(zip(shown.messages[:_ROWS], shown.carried, strict=False), 1):
        sender, reader = message.sender.split("@")[0], message.reader.split("@")[0]
        ends = f"{envelope[:6].hex(' ', 2)} … {envelope[-6:].hex(' ', 2)}"
        lines.append(row(number, sender[:16], reader[:16], message.kind[:8], len(envelope), message.form, paint.dim(ends)))
    if len(shown.messages) > _ROWS:
        lines.append(f"    and {len(shown.messages) - _ROWS} more")
    return lines


def _wire(shown: Shown, paint: _Paint) -> list[str]:
    count, written = len(shown.secrets), len(shown.written)
    said = f"Of {count} names, numbers and dates of birth of patients, the agents told each other {written}."
    wire = f"On the wire, {shown.wire_size:,} bytes in {len(shown.messages)} envelopes, there is"
    if shown.leaked:
        return [said, paint.bad(f"{wire} {', '.join(shown.leaked)}"[:_WIDTH])]
    return [said, paint.good(f"{wire} none.")]


def _result(result: str) -> list[str]:
    return [line for each in result.splitlines() if each.strip() for line in _wrapped(each, "  ")][:_LINES]


def _wrapped(text: str, indent: str) -> list[str]:
    return textwrap.wrap(text, _WIDTH, initial_indent=indent, subsequent_indent=indent)


def _attacks(attacks: list[Any], paint: _Paint) -> list[str]:
    lines = []
    for each in attacks:
        verdict = paint.good("refused, kickoff() raised") if each.refused else paint.bad("NOT REFUSED")
        lines.append(f"  {each.name:<9} {each.what}: {verdict}")
        if each.error is not None:
            lines += _wrapped(f"{type(each.error).__name__}: {each.error}", " " * 4)[:_ERROR_LINES]
    return lines


# --- as JSON ----------------------------------------------------------------------------------------------------------


def _as_json(shown: Shown) -> str:
    return json.dumps(
        {
            "model": shown.model,
            "messages": [_message(*each) for each in zip(shown.messages, shown.carried, strict=True)],
            "result": shown.result,
            "wire": {"bytes": shown.wire_size, "searched": shown.secrets, "written": shown.written, "found": shown.leaked},
            "attacks": [_attack(each) for each in shown.attacks],
        },
        ensure_ascii=False,
        indent=2,
    )


def _message(message: Any, envelope: bytes) -> dict[str, Any]:
    return {
        "from": message.sender,
        "to": message.reader,
        "kind": message.kind,
        "thread": message.thread.hex(),
        "id": message.id.hex(),
        "size": message.size,
        "wire_size": len(envelope),
        "form": message.form,
        "first_bytes": envelope[:32].hex(),
        "last_bytes": envelope[-32:].hex(),
    }


def _attack(outcome: Any) -> dict[str, Any]:
    error = outcome.error
    return {
        "name": outcome.name,
        "what": outcome.what,
        "refused": outcome.refused,
        "error": type(error).__name__ if error is not None else None,
        "message": str(error) if error is not None else None,
    }
