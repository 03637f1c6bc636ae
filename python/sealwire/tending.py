"""Tending: a process is started, listened to, and started again when it ends."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import IO, Any

from sealwire.tables import Table

__all__ = ["Tended", "Voice"]

#: Seconds until a process that ended is started again, doubled each time up to the second number. The first is short, as somebody may be
#: waiting; the last lets a small machine do other things than to start a program that cannot run.
_PAUSES = (0.5, 60.0)

#: Seconds after which a process counts as one that runs: the pause begins anew.
_STEADY = 60.0

#: Bytes of a line that is passed on in one piece.
_LONGEST_LINE = 65536

#: Seconds for the last words of a process that has ended. Its own children may hold its output open for longer.
_LAST_WORDS = 1.0

#: What would move the cursor, colour the screen or ring: an agent's words are shown, its commands to the terminal are not.
_CONTROLS = re.compile(r"[\x00-\x08\x0a-\x1f\x7f-\x9f]")

_SERVED = re.compile(r"sealwire: (\S+@\S+) served at ")


class Voice:
    """Says what happens: to people on standard error, to machines a JSON object a line on standard output."""

    def __init__(self, *, as_json: bool) -> None:
        self._as_json = as_json
        self._lock = threading.Lock()

    def say(self, text: str) -> None:
        """Something about all of them."""
        self._write(f"sealwire: {text}", event="note", text=text)

    def fail(self, text: str) -> None:
        """Why nothing was started."""
        self._write(f"sealwire: {text}", error=text)

    def line(self, agent: str, text: str) -> None:
        """A line that an agent has written."""
        self._write(f"{agent} | {text}", event="line", agent=agent, text=text)

    def tell(self, agent: str, event: str, text: str, **facts: Any) -> None:
        """What has become of an agent."""
        self._write(f"sealwire: {agent} {text}", event=event, agent=agent, **facts)

    def _write(self, words: str, **facts: Any) -> None:
        stream, said = (sys.stdout, json.dumps({"time": round(time.time(), 3), **facts})) if self._as_json else (sys.stderr, words)
        with self._lock, contextlib.suppress(BrokenPipeError):
            print(said, file=stream, flush=True)


class Tended:
    """The process of one agent."""

    def __init__(self, table: Table, line: list[str], environment: dict[str, str], home: Path, voice: Voice) -> None:
        self.home = home
        self._table, self._line, self._environment, self._voice = table, line, environment, voice
        self._stopping = threading.Event()
        self._process: subprocess.Popen[bytes] | None = None
        self._lock = threading.Lock()
        self._thread = threading.Thread(target=self._tend, name=f"sealwire-{table.name}", daemon=True)

    def start(self) -> None:
        """Begin, and go on until it is stopped."""
        self._thread.start()

    def stop(self) -> None:
        """Ask it to end; it is not started again."""
        self._stopping.set()
        self._signal(signal.SIGTERM)

    def join_or_kill(self, patience: float) -> None:
        """Wait until it has ended, or end it."""
        self._thread.join(patience)
        if self._thread.is_alive():
            self._voice.tell(self._table.name, "killed", f"did not end within {patience:g} s and is killed")
            self._signal(signal.SIGKILL)
            self._thread.join(patience)

    def _signal(self, number: int) -> None:
        with self._lock, contextlib.suppress(ProcessLookupError):
            if self._process is not None and self._process.poll() is None:
                # Its session is its own: a signal for all of it reaches what it has started, too.
                os.killpg(self._process.pid, number)

    def _tend(self) -> None:
        pause = _PAUSES[0]
        while not self._stopping.is_set():
            started = time.monotonic()
            how, facts = self._once()
            if self._stopping.is_set():
                return
            if time.monotonic() - started >= _STEADY:
                pause = _PAUSES[0]
            self._voice.tell(self._table.name, "ended", f"{how}; started again in {pause:g} s", pause=pause, **facts)
            self._stopping.wait(pause)
            pause = min(2 * pause, _PAUSES[1])

    def _once(self) -> tuple[str, dict[str, Any]]:
        """Run it once. Returns how it ended, in words and for machines."""
        try:
            process = self._started()
        except OSError as error:
            return f"could not be started: {error}", {"code": None, "error": str(error)}
        if process is None:
            return "was stopped", {}
        self._voice.tell(self._table.name, "started", f"starts (process {process.pid})", pid=process.pid)
        assert process.stdin is not None
        assert process.stdout is not None
        served = threading.Event()
        listening = threading.Thread(target=self._listen, args=(process.stdout, served), daemon=True)
        listening.start()
        code = process.wait()
        listening.join(_LAST_WORDS)
        process.stdin.close()
        if not listening.is_alive():
            process.stdout.close()
        if code < 0:
            return f"was ended by {_named(-code)}", {"code": None, "signal": _named(-code)}
        how = "ended" if served.is_set() else "could not start: its own words are above; it ended"
        return f"{how} with exit code {code}", {"code": code, "signal": None}

    def _started(self) -> subprocess.Popen[bytes] | None:
        account = self._table.account
        as_user: dict[str, Any] = {}
        if account is not None and os.geteuid() == 0:
            as_user = {"user": account.uid, "group": account.gid, "extra_groups": os.getgrouplist(account.name, account.gid)}
        with self._lock:
            if self._stopping.is_set():
                return None
            self._process = subprocess.Popen(
                self._line,
                cwd=self._table.folder,
                env=self._environment,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                umask=0o077,
                **as_user,
            )
            return self._process

    def _listen(self, output: IO[bytes], served: threading.Event) -> None:
        for line in iter(lambda: output.readline(_LONGEST_LINE), b""):
            text = _CONTROLS.sub("", line.decode("utf-8", "replace"))
            self._voice.line(self._table.name, text)
            if found := _SERVED.match(text):
                served.set()
                self._voice.tell(self._table.name, "up", f"is up as {found[1]}", address=found[1])


def _named(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:  # a real-time signal
        return f"signal {number}"
