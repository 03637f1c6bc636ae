"""Parts the tests of remote agents are made of: two homes that were paired by the commands, and a process that serves agents."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import sealwire

HERE = Path(__file__).parent

PATIENCE = 60.0
"""Seconds after which something that should happen soon counts as not happening."""


def until(what: Callable[[], Any], patience: float = PATIENCE) -> Any:
    """What the function returns, as soon as that is true of anything."""
    end = time.monotonic() + patience
    while not (found := what()):
        assert time.monotonic() < end, f"waited {patience} s for {what}"
        time.sleep(0.02)
    return found


def free_port() -> int:
    """A port that nobody listens on now."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def command(*arguments: str, **options: Any) -> subprocess.CompletedProcess[str]:
    """What `sealwire` did, given these arguments."""
    line = [sys.executable, "-m", "sealwire", *arguments]
    return subprocess.run(line, capture_output=True, text=True, timeout=PATIENCE, env=environment(), **options)


def environment() -> dict[str, str]:
    """That of this process, with the tests to be found, and the package where it is imported from here."""
    package = Path(sealwire.__file__).parent.parent
    return {**os.environ, "PYTHONPATH": os.pathsep.join([str(package), str(HERE)])}


def pair(one: Path, other: Path, node: str, *, listen: str, agents: str = "*") -> None:
    """Makes the home `one` if it is not there, invites `node`, and joins as `node` with the home `other`."""
    line = [
        sys.executable,
        "-m",
        "sealwire",
        "invite",
        node,
        "--agents",
        agents,
        "--listen",
        "127.0.0.1:0",
        "--home",
        str(one),
    ]
    line += [] if one.exists() else ["--name", "here"]
    inviting = subprocess.Popen(line, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment())
    assert inviting.stdout is not None
    joined = command("join", "-", "--home", str(other), "--at", listen, input=inviting.stdout.readline())
    assert joined.returncode == 0, joined.stderr
    _, said = inviting.communicate(timeout=PATIENCE)
    assert inviting.returncode == 0, said


class Serving:
    """`sealwire serve`, as a process of its own."""

    def __init__(self, log: Path, *arguments: str) -> None:
        self.log = log
        self._arguments = arguments
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> Serving:
        """Starts it, and waits until it serves."""
        before = len(self.said())
        with self.log.open("a") as log:
            line = [sys.executable, "-m", "sealwire", "serve", *self._arguments]
            self._process = subprocess.Popen(line, stdout=log, stderr=log, env=environment(), cwd=self.log.parent)
        until(lambda: "served at" in self.said()[before:] or self._process.poll() is not None)
        assert self._process.poll() is None, self.said()
        return self

    def said(self) -> str:
        """All that its processes have said so far."""
        return self.log.read_text() if self.log.exists() else ""

    def end(self, number: int = signal.SIGTERM) -> int:
        """Sends a signal; returns the exit code."""
        assert self._process is not None
        self._process.send_signal(number)
        return self._process.wait(PATIENCE)
