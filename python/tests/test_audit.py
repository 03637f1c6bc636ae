"""The audit that writes JSON lines."""

from __future__ import annotations

import json
import os
import threading
from pathlib import Path
from typing import Any

import pytest

from sealwire import AuditFailed, Denied, Endpoint, JsonLines, NotAuthentic, Request


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def endpoint(audit: Any, policy: Any = None) -> tuple[Endpoint, str, str]:
    made = Endpoint(None, audit=audit, policy=policy)
    return made, made.host("alice"), made.host("bob")


def test_it_says_who_to_whom_what_kind_and_what_was_decided(tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"
    here, alice, bob = endpoint(JsonLines(path))
    sealed = here.seal(alice, bob, b"a secret", kind="task", labels=["pii"], thread=b"t" * 16)
    here.open(sealed.envelope)
    first, second = lines(path)
    assert first["direction"] == "seal"
    assert second["direction"] == "open"
    assert (first["from"], first["to"], first["kind"]) == (alice, bob, "task")
    assert first["labels"] == ["pii"]
    assert first["size"] == len(b"a secret")
    assert first["thread"] == (b"t" * 16).hex()
    assert first["id"] == second["id"] == sealed.header.id.hex()
    assert first["decision"] == second["decision"] == "allowed"
    assert first["time"].endswith("Z")
    assert "secret" not in path.read_text()


def test_it_says_why_something_was_denied_or_refused(tmp_path: Path) -> None:
    def never(request: Request) -> str:
        return "not today"

    path = tmp_path / "audit.jsonl"
    here, alice, bob = endpoint(JsonLines(path), never)
    with pytest.raises(Denied):
        here.seal(alice, bob, b"x", kind="task")
    assert (lines(path)[0]["decision"], lines(path)[0]["reason"]) == ("denied", "not today")

    path = tmp_path / "refused.jsonl"
    here, alice, bob = endpoint(JsonLines(path))
    envelope = here.seal(alice, bob, b"x", kind="task").envelope
    with pytest.raises(NotAuthentic):
        here.open(envelope[:-1] + bytes([envelope[-1] ^ 1]))
    assert lines(path)[-1]["decision"] == "refused"
    assert "from" not in lines(path)[-1]


def test_it_is_for_its_owner_only_and_appends(tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"
    before = os.umask(0)
    try:
        for _ in range(2):
            here, alice, bob = endpoint(JsonLines(path))
            here.seal(alice, bob, b"x", kind="task")
    finally:
        os.umask(before)
    assert path.stat().st_mode & 0o777 == 0o600
    assert len(lines(path)) == 2


def test_when_it_cannot_write_nothing_is_released(tmp_path: Path) -> None:
    audit = JsonLines(tmp_path / "audit.jsonl")
    here, alice, bob = endpoint(audit)
    sealed = here.seal(alice, bob, b"x", kind="task")
    audit.close()
    with pytest.raises(AuditFailed):
        here.open(sealed.envelope)
    with pytest.raises(AuditFailed):
        here.seal(alice, bob, b"x", kind="task")


def test_a_file_that_nobody_writes_to_any_more_is_closed(tmp_path: Path) -> None:
    def written_in_turn() -> int:
        log = JsonLines(tmp_path / "audit.jsonl")
        return log._fd

    assert written_in_turn() == written_in_turn()


def test_lines_of_many_threads_stay_whole(tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"
    here, alice, bob = endpoint(JsonLines(path))

    def work() -> None:
        for _ in range(20):
            here.open(here.seal(alice, bob, b"x" * 100, kind="task").envelope)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(lines(path)) == 4 * 20 * 2


def test_a_file_that_cannot_be_made_is_an_error_at_once(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        JsonLines(tmp_path / "missing" / "audit.jsonl")
