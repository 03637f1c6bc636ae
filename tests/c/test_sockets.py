"""An agent in C and one in Python (`ffi/examples/sockets.*`), in two homes of one domain, over a Unix socket; each asks, each answers."""

from __future__ import annotations

import socket
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from programs import ROOT, SANITIZERS, build

from sealwire._sealwire import Home

QUESTION = "what is the figure for June?"
ANSWER = QUESTION.upper()
Change = Callable[[str, int, bytes], bytes]


@pytest.fixture(scope="module")
def in_c(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build("examples/sockets.c", tmp_path_factory.mktemp("c"), *SANITIZERS)


class Two:
    """`writer@one` asks, `analyst@two` answers: one of them in C, the other in Python."""

    def __init__(self, asker: list[str], answerer: list[str], folder: Path) -> None:
        Home(folder / "one", node="one").enrol(folder / "two", "two", ["*"], [])
        self._asker, self._answerer, self._folder = [*asker, "one", "one"], [*answerer, "two", "two"], folder
        self._started: list[subprocess.Popen[str]] = []

    def answer(self) -> subprocess.Popen[str]:
        answering = self._start([*self._answerer, "answer", "analyst", "socket"])
        until = time.monotonic() + 60
        while not (self._folder / "socket").exists():
            assert answering.poll() is None, "it ended"
            assert time.monotonic() < until, "it does not listen"
            time.sleep(0.01)
        return answering

    def ask(self, path: str = "socket", peer: str = "analyst@two") -> subprocess.Popen[str]:
        return self._start([*self._asker, "ask", "writer", peer, path, QUESTION])

    def _start(self, command: list[str]) -> subprocess.Popen[str]:
        process = subprocess.Popen(command, cwd=self._folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self._started.append(process)
        return process

    def between(self, change: Change) -> threading.Thread:
        """Somebody who passes on what asker and answerer send, at the socket `between`, as `change(who, number, bytes)` says."""
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(str(self._folder / "between"))
        listener.listen(1)
        carrier = threading.Thread(target=carry, args=(listener, self._folder / "socket", change))
        carrier.start()
        return carrier

    def end(self) -> None:
        for process in self._started:
            process.kill()
            process.communicate()


def carry(listener: socket.socket, path: Path, change: Change) -> None:
    with listener, listener.accept()[0] as asker, socket.socket(socket.AF_UNIX) as answerer:
        answerer.connect(str(path))
        back = threading.Thread(target=pass_on, args=("answerer", answerer, asker, change))
        back.start()
        pass_on("asker", asker, answerer, change)
        back.join()


def pass_on(who: str, source: socket.socket, drain: socket.socket, change: Change) -> None:
    number = 0
    with source.makefile("rb") as stream:
        while length := stream.read(4):
            data = change(who, number, stream.read(struct.unpack(">I", length)[0]))
            drain.sendall(struct.pack(">I", len(data)) + data)
            number += 1
    drain.shutdown(socket.SHUT_WR)


@pytest.fixture(params=["c asks python", "python asks c"])
def two(request: pytest.FixtureRequest, in_c: Path, tmp_path: Path) -> Iterator[Two]:
    programs = [[str(in_c)], [sys.executable, str(ROOT / "ffi" / "examples" / "sockets.py")]]
    asker, answerer = programs if request.param == "c asks python" else reversed(programs)
    two = Two(asker, answerer, tmp_path)
    yield two
    two.end()


def test_an_answer_comes_back_and_nobody_between_reads_along(two: Two) -> None:
    passed: list[tuple[str, int, bytes]] = []

    def listen(who: str, number: int, data: bytes) -> bytes:
        passed.append((who, number, data))
        return data

    answering, carrier = two.answer(), two.between(listen)
    asking = two.ask("between")
    assert asking.communicate(timeout=60) == (f"{ANSWER}\n", "")
    assert answering.communicate(timeout=60) == ("", "")
    assert (asking.returncode, answering.returncode) == (0, 0)
    carrier.join()
    assert sorted((who, number) for who, number, _ in passed) == [("answerer", 0), ("answerer", 1), ("asker", 0), ("asker", 1)]
    sealed = [data for _, number, data in passed if number == 1]
    assert not any(word in data for data in sealed for word in (QUESTION.encode(), ANSWER.encode()))


@pytest.mark.parametrize("altered", ["asker", "answerer"])
def test_what_is_altered_on_the_way_is_refused(two: Two, altered: str) -> None:
    def flip(who: str, number: int, data: bytes) -> bytes:
        return bytes([*data[:100], data[100] ^ 1, *data[101:]]) if (who, number) == (altered, 1) else data

    answering, carrier = two.answer(), two.between(flip)
    asking = two.ask("between")
    reader, other = (answering, asking) if altered == "asker" else (asking, answering)
    printed, said = reader.communicate(timeout=60)
    assert (reader.returncode, printed) == (1, "")
    assert said.startswith("not authentic")
    printed, _ = other.communicate(timeout=60)
    assert printed == ""
    carrier.join()


def test_another_agent_at_the_socket_is_asked_nothing(two: Two) -> None:
    answering = two.answer()
    asking = two.ask(peer="analyst@one")
    assert asking.communicate(timeout=60) == ("", "another agent is at this socket\n")
    assert answering.communicate(timeout=60)[0] == ""
    assert (asking.returncode, answering.returncode) == (1, 1)
