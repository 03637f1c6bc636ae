"""A command that runs until it is stopped hears the signal, whichever thread the system gives it to."""

from __future__ import annotations

import signal
import subprocess
import sys
import textwrap

import pytest
from remote_parts import PATIENCE, environment

from sealwire.stopping import Stopping

WAITS = """
import signal, threading, time
from sealwire.stopping import Stopping

with Stopping() as stopping:
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

OF_A_CHILD = """
import os
child = os.fork()
if not child:
    time.sleep(60)
    os._exit(0)
os.kill(child, signal.SIGTERM)
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), stopping.wait(0.1))
stopping.stop()
"""

ANOTHER_SIGNAL = """
signal.signal(signal.SIGUSR1, lambda *_: None)
signal.raise_signal(signal.SIGUSR1)
print(stopping.wait(0.1))
stopping.stop()
"""


def ended(before: str, seconds: float | None = None) -> subprocess.CompletedProcess[str]:
    waits = WAITS.format(before=textwrap.indent(before, "    "), seconds=seconds)
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


def test_a_signal_for_a_child_is_the_childs() -> None:
    done = ended(OF_A_CHILD)
    assert (done.returncode, done.stdout) == (0, "-15 False\n"), done.stderr


def test_afterwards_signals_are_left_to_who_heard_them_before() -> None:
    handler, descriptor = signal.getsignal(signal.SIGINT), signal.set_wakeup_fd(-1)
    with Stopping():
        assert signal.getsignal(signal.SIGINT) is not handler
    assert (signal.getsignal(signal.SIGINT), signal.set_wakeup_fd(descriptor)) == (handler, -1)
