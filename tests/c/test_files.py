"""An agent in C (`ffi/examples/files.c`) and one in Python, in two homes of one domain, whose messages are files."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from programs import build

from sealwire import Duplicate, Endpoint, NotAuthentic
from sealwire._sealwire import Home


class Agent:
    """The agent `writer@c` and the files it shares with `researcher@local`."""

    def __init__(self, program: Path, folder: Path) -> None:
        self._program, self.folder = program, folder
        Home(folder / "python").enrol(folder / "c", "c", ["*"], [])
        self.python = Endpoint(folder / "python")
        self.researcher = self.python.host("researcher")
        self.write("researcher.cert", self.python.certificate(self.researcher))
        self.run("certify", "writer", "writer.cert")
        self.writer = self.python.introduce(self.read("writer.cert"))

    def run(self, verb: str, *arguments: str) -> str:
        command = [str(self._program), "c", "c", verb, *arguments]
        return subprocess.run(command, cwd=self.folder, check=True, capture_output=True, text=True, timeout=60).stdout

    def read(self, name: str) -> bytes:
        return (self.folder / name).read_bytes()

    def write(self, name: str, data: bytes) -> None:
        (self.folder / name).write_bytes(data)


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build("examples/files.c", tmp_path_factory.mktemp("c"))


@pytest.fixture
def agent(program: Path, tmp_path: Path) -> Agent:
    return Agent(program, tmp_path)


def test_python_opens_what_c_seals(agent: Agent) -> None:
    agent.write("body", b"what is 6 * 7?")
    agent.run("seal", "writer", "researcher.cert", "body", "envelope")
    message = agent.python.open(agent.read("envelope"))
    assert (message.body, message.header.sender, message.header.kind) == (b"what is 6 * 7?", "writer@c", "task")
    assert "from-c" in message.header.labels
    with pytest.raises(Duplicate):
        agent.python.open(agent.read("envelope"))


def test_c_opens_what_python_seals(agent: Agent) -> None:
    agent.write("envelope", agent.python.seal(agent.researcher, agent.writer, b"42", kind="result").envelope)
    assert agent.run("open", "writer", "envelope", "body") == "result from researcher@local, 2 bytes\n"
    assert agent.read("body") == b"42"
    # Another process with the same home: it was opened before.
    with pytest.raises(subprocess.CalledProcessError, match="exit status 1") as refused:
        agent.run("open", "writer", "envelope", "again")
    assert "already opened" in refused.value.stderr
    assert not (agent.folder / "again").exists()


def test_each_refuses_what_was_changed_and_opens_the_genuine(agent: Agent) -> None:
    genuine = agent.python.seal(agent.researcher, agent.writer, b"42", kind="result").envelope
    agent.write("forged", genuine[:-1] + bytes([genuine[-1] ^ 1]))
    with pytest.raises(subprocess.CalledProcessError) as refused:
        agent.run("open", "writer", "forged", "body")
    assert "not authentic" in refused.value.stderr
    agent.write("envelope", genuine)
    agent.run("open", "writer", "envelope", "body")

    agent.write("text", b"hello")
    agent.run("seal", "writer", "researcher.cert", "text", "answer")
    answer = agent.read("answer")
    with pytest.raises(NotAuthentic):
        agent.python.open(answer[:-1] + bytes([answer[-1] ^ 1]))
    assert agent.python.open(answer).body == b"hello"
