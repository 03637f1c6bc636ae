"""A page of the documentation, followed word for word on hosts that it names.

A block of code says in its first line where it belongs: ```` ```sh pi1 ```` is
typed on `pi1`, ```` ```python pi2 agents.py ```` is put into a file there, and
```` ```text pi1 ```` is what is seen there next. In the latter, `…` stands for
anything. A block that names no host is no step.
"""

from __future__ import annotations

import re
import signal
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

from nets import Host

__all__ = ["Follower", "Step", "steps_of"]

#: Seconds for what is to be seen.
_PATIENCE = 120.0

#: Lines that change what later ones find, as a shell that stays open would remember them.
_REMEMBERED = re.compile(r"(cd|source|export|\.) ")


@dataclass(frozen=True)
class Step:
    """A block of code."""

    kind: str
    hosts: tuple[str, ...]
    rest: tuple[str, ...]
    """What stands behind the hosts: a file's name, or `install`."""
    text: str


def steps_of(page: Path, hosts: set[str]) -> list[Step]:
    """The blocks that name one of `hosts`, in order."""
    found = []
    for first, text in re.findall(r"^```(.+)\n((?:.*\n)*?)^```$", page.read_text(encoding="utf-8"), re.M):
        kind, *words = first.split()
        named = tuple(word for word in words if word in hosts)
        if named:
            found.append(Step(kind, named, tuple(words[len(named) :]), text))
    return found


class Follower:
    """Somebody at one host, who types what the page says and looks at what comes."""

    def __init__(self, host: Host, others: dict[str, str]) -> None:
        self._host = host
        self._others = others
        self._before: list[str] = []
        self._screen = host.folder / "screen.txt"
        self._screen.touch()
        self._seen = 0
        self._running: list[subprocess.Popen[str]] = []
        self.typed: list[str] = []

    def type(self, text: str, pasted: str | None) -> None:
        """Type lines; the last one may go on running. What it reads, if it reads something, is `pasted`."""
        lines = self._meant(text).splitlines()
        self.typed += lines
        commands = [line for line in lines if not _REMEMBERED.match(line)]
        self._before += [line for line in lines if _REMEMBERED.match(line)]
        if not commands:
            return
        with self._screen.open("a") as screen:
            shell = ["bash", "-ec", "\n".join([*self._before, *commands])]
            process = self._host.start(*shell, stdin=subprocess.PIPE, stdout=screen, stderr=screen)
        assert process.stdin is not None
        if pasted is not None:
            process.stdin.write(pasted)
        process.stdin.close()
        self._running.append(process)

    def save(self, name: str, text: str) -> None:
        """Put a text into a file, in the folder where one is by now."""
        self._host.run("bash", "-ec", "\n".join([*self._before, f"cat > {name}"]), stdin=text)

    def see(self, text: str) -> None:
        """Wait until the screen shows it, below what was seen before."""
        pattern = re.compile(".*?".join(map(re.escape, self._meant(text).strip().split("…"))), re.S)
        until = time.monotonic() + _PATIENCE
        while not (found := pattern.search(self._screen.read_text(), self._seen)):
            assert time.monotonic() < until, f"on {self._host.namespace} is to be seen:\n{text}\nand there is:\n{self._screen.read_text()}"
            time.sleep(0.05)
        self._seen = found.end()

    def invite(self) -> str | None:
        """The last invite on the screen."""
        found = re.findall(r"^sealwire-invite-\S+\n", self._screen.read_text(), re.M)
        return found[-1] if found else None

    def leave(self) -> None:
        """End what is still running."""
        for process in self._running:
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
                process.wait(30)

    def _meant(self, text: str) -> str:
        for written, meant in self._others.items():
            text = text.replace(written, meant)
        return text
