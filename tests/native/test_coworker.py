"""A crew with a coworker in Rust (`core/examples/coworker.rs`): a process of its own, over TCP, after real pairing."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "python" / "tests"))

import conftest  # noqa: E402, F401 - keeps CrewAI quiet
from crewai_parts import ScriptedModel, agent, crew_of, delegates, final, passed, task  # noqa: E402
from remote_parts import free_port, pair, until  # noqa: E402

from sealwire import RemoteError, label  # noqa: E402
from sealwire.crewai import remote, seal  # noqa: E402

COWORKER = ROOT / "target" / "debug" / "examples" / "coworker"
WATCH = "watch@there"
LOAD = re.compile(r"load: \d+\.\d\d \d+\.\d\d \d+\.\d\d")


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The home of the crew, while the coworker serves at the other one."""
    folder = tmp_path_factory.mktemp("coworker")
    listen = f"tcp://127.0.0.1:{free_port()}"
    pair(folder / "here", folder / "there", "there", listen=listen)
    log = folder / "there.log"
    with log.open("w") as said:
        process = subprocess.Popen([COWORKER, folder / "there", listen], stderr=said)
    try:
        until(lambda: "served at" in log.read_text() or process.poll() is not None)
        assert process.poll() is None, log.read_text()
        yield folder / "here"
        assert process.poll() is None, log.read_text()
    finally:
        process.kill()
        process.wait()


def watch(home: Path, **options: Any) -> Any:
    return remote("watch", home=home, timeout=60, **options)


def test_it_says_who_it_is(home: Path) -> None:
    asked = watch(home)
    assert (asked.role, asked.goal, asked.sealwire_address) == ("Watch", "tell how busy this machine is", WATCH)


def test_it_does_a_task_and_a_local_agent_reads_the_result(home: Path) -> None:
    writer = agent("Writer", ScriptedModel(lambda said: final("read " + LOAD.findall(said)[0])))
    crew = seal(crew_of(task(watch(home), "What is the load there?"), task(writer, "write it down")), home=home)
    first, second = crew.kickoff().tasks_output
    assert LOAD.match(first.raw)
    assert second.raw == "read " + LOAD.findall(first.raw)[0]
    (reply,) = [message for message in crew.sealwire.messages if message.sender == WATCH]
    assert (reply.reader, reply.kind) == ("crew@here", "result")


def test_a_local_agent_delegates_to_it(home: Path) -> None:
    def script(said: str) -> str:
        return final(found[0]) if (found := LOAD.findall(said)) else delegates("Watch", "its load")

    writer = agent("Writer", ScriptedModel(script), allow_delegation=True)
    crew = seal(crew_of(task(writer, "write"), agents=[writer, watch(home)]), home=home)
    assert LOAD.match(crew.kickoff().raw)
    assert ("watch", "writer", "result") in passed(crew)


def test_labels_come_back_with_the_answer(home: Path) -> None:
    crew = seal(crew_of(task(watch(home), "its load")), home=home)
    with label("pii"):
        crew.kickoff()
    (reply,) = [message for message in crew.sealwire.messages if message.sender == WATCH]
    assert reply.labels == ("pii",)


def test_what_it_cannot_do_is_said(home: Path) -> None:
    with pytest.raises(RemoteError, match="knows load, memory and uptime"):
        seal(crew_of(task(watch(home, max_retry_limit=0), "Write a poem.")), home=home).kickoff()
