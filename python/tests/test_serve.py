"""`sealwire serve`: what it serves, what it says, how it ends."""

from __future__ import annotations

import signal
import socket
import threading
from contextlib import suppress
from pathlib import Path

import pytest
from remote_parts import Serving, command, free_port, until

import sealwire
from sealwire.serve import main

SERVED = """
from crewai import Agent, Crew, Task
from crewai.llms.base_llm import BaseLLM


class Model(BaseLLM):
    def call(self, messages, *args, **kwargs):
        return "done"


def _agent(role):
    return Agent(role=role, goal="g", backstory="b", llm=Model(model="scripted"))


researcher, writer = _agent("Researcher"), _agent("Senior Writer")
both = [researcher, writer]
number = 42


def made():
    return Crew(agents=[researcher], tasks=[Task(description="d", expected_output="e", agent=researcher)])


def needs(something):
    return researcher


class Project:
    def clerk(self):
        return _agent("Clerk")

    def crew(self):
        return made()
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "agents.py").write_text(SERVED)
    assert command("init", "--home", "keys", "--node", "pi2", cwd=tmp_path).returncode == 0
    return tmp_path


def serving(folder: Path, *arguments: str) -> Serving:
    return Serving(folder / "said.txt", "--home", "keys", "--listen", "tcp://127.0.0.1:0", *arguments).start()


@pytest.mark.parametrize(
    ("targets", "served"),
    [
        (["agents.py:researcher"], ["researcher@pi2"]),
        (["agents:both"], ["researcher@pi2", "senior-writer@pi2"]),
        (["agents.py:Project.clerk", "agents:made", "--name", "x"], None),
        (["--all", "agents.py"], ["researcher@pi2", "senior-writer@pi2"]),
    ],
)
def test_it_says_what_is_served_where(folder: Path, targets: list[str], served: list[str] | None) -> None:
    if served is None:
        done = command("serve", "--home", "keys", *targets, cwd=folder)
        assert done.returncode == 2
        assert "--name names one agent, and there are 2" in done.stderr
        return
    process = serving(folder, *targets)
    first = next(line for line in process.said().splitlines() if "served at" in line)
    assert first.startswith(f"sealwire: {' and '.join(served)} served at tcp://127.0.0.1:")
    assert "sealwire invite NODE" in process.said()
    assert process.end(signal.SIGTERM) == 0
    assert process.said().endswith("sealwire: stopped\n")


def test_the_other_things_that_make_agents(folder: Path) -> None:
    process = serving(folder, "agents.py:Project", "agents.py:Project.clerk", "agents:made")
    assert "clerk@pi2 and researcher@pi2 served at" in process.said()
    assert process.end(signal.SIGINT) == 130


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (
            ["agents.py:nobody"],
            2,
            "there is no `nobody` in `agents.py`: it has `agents.py:both` and `agents.py:researcher` and `agents.py:writer`",
        ),
        (["agents.py"], 2, "`agents.py` names no agent: it has `agents.py:both`"),
        (["agents.py:number"], 2, "`agents.py:number` is no agent and holds none"),
        (["agents.py:needs"], 2, "`agents.py:needs` cannot be called without arguments"),
        (["none.py:x"], 2, "there is no file `none.py`"),
        (["none:x"], 2, "there is no module `none`"),
        (["--all", "agents.py:researcher"], 2, "with --all, a file or module is named and nothing in it: `agents.py`"),
        (["--home", "none", "agents.py:researcher"], 2, "there is no home at none: join a domain first"),
        (["--audit", "none/log", "agents.py:researcher"], 2, "cannot write the audit log `none/log`"),
        (["--listen", "pigeon://x", "agents.py:researcher"], 2, "pigeon"),
    ],
)
def test_what_cannot_be_served_is_named_with_the_remedy(
    folder: Path, arguments: list[str], code: int, said: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(folder)
    monkeypatch.setattr("sys.path", ["", *__import__("sys").path[1:]])
    line = arguments if "--home" in arguments else ["--home", "keys", *arguments]
    assert main(line) == code
    error = capsys.readouterr().err
    assert error.startswith("sealwire: ")
    assert said in error


def test_a_port_that_is_taken_is_named(folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(folder)
    monkeypatch.setattr("sys.path", ["", *__import__("sys").path[1:]])
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert main(["--home", "keys", "--listen", f"tcp://127.0.0.1:{port}", "agents.py:researcher"]) == 2
    error = capsys.readouterr().err
    assert f"cannot listen at tcp://127.0.0.1:{port}" in error
    assert "listen elsewhere" in error


def test_the_audit_is_written_and_never_holds_content(folder: Path) -> None:
    from crewai_parts import crew_of, task
    from remote_parts import pair

    from sealwire.crewai import remote, seal

    listen = f"tcp://127.0.0.1:{free_port()}"
    pair(folder / "keys", folder / "there", "there", listen=listen)
    process = Serving(folder / "said.txt", "--home", "there", "--listen", listen, "--audit", "log.jsonl", "agents.py:researcher").start()
    worker = remote("researcher@there", home=folder / "keys", timeout=30)
    assert seal(crew_of(task(worker, "a secret task")), home=folder / "keys").kickoff().raw == "done"
    assert process.end() == 0
    log = (folder / "log.jsonl").read_text()
    assert '"task"' in log
    assert "a secret task" not in log + process.said().split("served at")[1].split("\n", 1)[0]


def test_work_that_is_not_done_does_not_keep_it_from_stopping(folder: Path) -> None:
    from crewai_parts import crew_of, task
    from remote_parts import pair

    from sealwire.crewai import remote, seal

    (folder / "slow.py").write_text(SERVED.replace('return "done"', "import time; time.sleep(60)"))
    listen = f"tcp://127.0.0.1:{free_port()}"
    pair(folder / "keys", folder / "there", "there", listen=listen)
    process = Serving(folder / "said.txt", "--home", "there", "--listen", listen, "slow.py:researcher").start()
    crew = seal(crew_of(task(remote("researcher@there", home=folder / "keys", timeout=15), "work")), home=folder / "keys")

    def kickoff() -> None:
        with suppress(sealwire.Unreachable):
            crew.kickoff()

    threading.Thread(target=kickoff, daemon=True).start()
    until(lambda: "task for crew@" in process.said())
    assert process.end() == 0


WAY = """
import os, signal, threading
from sealwire import MemoryTransport


class Way(MemoryTransport):
    def open(self):
        os.kill(os.getpid(), signal.SIGTERM)

    def close(self):
        {close}


way = Way(timeout=1)
"""


@pytest.mark.parametrize(
    ("close", "said"),
    [
        ("pass", ["sealwire: stopped"]),
        ("raise OSError('no')", ["sealwire: the transport did not close: OSError: no", "sealwire: stopped"]),
        ("threading.Event().wait()", ["sealwire: stopped, and did not wait for its transport to close"]),
    ],
)
def test_a_signal_from_before_it_serves_stops_it_whatever_its_transport_does(folder: Path, close: str, said: list[str]) -> None:
    (folder / "way.py").write_text(WAY.format(close=close))
    done = command("serve", "--home", "keys", "--via", "python:way:way", "agents.py:researcher", cwd=folder)
    assert done.returncode == 0, done.stderr
    assert done.stderr.splitlines()[-len(said) :] == said
