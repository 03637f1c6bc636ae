"""A command that runs until it is stopped hears the signal, whichever thread the system gives it to."""

from __future__ import annotations

import subprocess
import sys

import pytest
from remote_parts import PATIENCE, environment

WAITS = """
import signal, threading, time
from sealwire.stopping import Stopping

stopping = Stopping()
{before}
while not stopping.wait({seconds}):
    pass
raise SystemExit(stopping.code)
"""

OTHER_THREAD = """
def other():
    time.sleep(0.2)  # by then the main thread waits
    signal.pthread_kill(threading.get_ident(), signal.{name})

threading.Thread(target=other).start()
"""


ANOTHER_SIGNAL = """
signal.signal(signal.SIGUSR1, lambda *_: None)
signal.raise_signal(signal.SIGUSR1)
print(stopping.wait(0.1))
stopping.stop()
"""


def ended(before: str, seconds: float | None = None) -> subprocess.CompletedProcess[str]:
    waits = WAITS.format(before=before, seconds=seconds)
    return subprocess.run([sys.executable, "-c", waits], timeout=PATIENCE, env=environment(), check=False, capture_output=True, text=True)


@pytest.mark.parametrize(("name", "code"), [("SIGTERM", 0), ("SIGINT", 130)])
@pytest.mark.parametrize("seconds", [None, 5])
@pytest.mark.parametrize("before", ["signal.raise_signal(signal.{name})", OTHER_THREAD], ids=["early", "in another thread"])
def test_a_signal_ends_the_wait(name: str, code: int, seconds: float | None, before: str) -> None:
    assert ended(before.format(name=name), seconds).returncode == code


def test_a_thread_ends_the_wait() -> None:
    assert ended("threading.Timer(0.2, stopping.stop).start()").returncode == 0


def test_another_signal_does_not() -> None:
    done = ended(ANOTHER_SIGNAL)
    assert (done.returncode, done.stdout) == (0, "False\n"), done.stderr
