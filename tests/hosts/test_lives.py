"""Homes that are set back, copied, and rebooted under, between two hosts: nothing lost, nothing accepted twice.

SPEC.md, "One life of one journal", says why.
"""

from __future__ import annotations

import shutil
import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from nets import Host
from soak import Outcome, Plan, Process, Soak, new_boot

HOUR = 3600

#: Requests of one test. Asked at 100 a second, they last for some seconds, in whose middle the home is set back.
COUNT = 600


@pytest.fixture
def run(tmp_path: Path) -> Iterator[Soak]:
    """Two paired hosts over TCP, and a third that has nothing yet."""
    run = Soak(tmp_path, Plan("tcp", COUNT, 0, per_second=100))
    try:
        yield run
    finally:
        run.remove()


def begin(run: Soak, *processes: Process) -> None:
    """Start processes, and wait until something was answered."""
    for process in processes:
        process.start()
    wait_for(run, 1)


def wait_for(run: Soak, count: int) -> None:
    """Wait until so many were answered."""
    until = time.monotonic() + 120
    while (answered := run.answered()) < count:
        assert time.monotonic() < until, f"{answered} answered"
        time.sleep(0.02)


def finish(process: Process) -> None:
    """Wait until the asker has all its answers."""
    until = time.monotonic() + 180
    while (code := process.ended()) is None:
        assert time.monotonic() < until, "it does not end"
        time.sleep(0.1)
    assert code == 0


def troubles(run: Soak) -> list[str]:
    outcome = Outcome(1, {}, {})
    run.look(outcome)
    return outcome.troubles


def home(host: Host) -> Path:
    return host.folder / ".sealwire"


def copy_running(host: Host, to: Path) -> None:
    """Copy the home of a running node as of one moment, which copying file by file would not be."""
    shutil.copytree(home(host), to, ignore=shutil.ignore_patterns("store.db*"))
    (to / "store.db").touch(0o600)
    with sqlite3.connect(home(host) / "store.db", timeout=30) as store, sqlite3.connect(to / "store.db") as copy:
        store.backup(copy)


def put_back(host: Host, copy: Path) -> None:
    """Restore a home from a copy."""
    shutil.rmtree(home(host))
    shutil.copytree(copy, home(host))


def began(host: Host) -> int:
    """When the present life of a home took its first message; 0 in its first life."""
    with sqlite3.connect(home(host) / "store.db") as store:
        (began,) = store.execute("SELECT began FROM life").fetchone()
    return int(began)


def test_both_machines_reboot(run: Soak) -> None:
    """Each in the middle of its work: another boot id, nothing left in shared memory, the disk as it was."""
    asker, worker = run.an_asker(COUNT), run.a_worker()
    for process in (asker, worker):
        process.boot = new_boot(process.host.folder)
    begin(run, worker, asker)
    for number, process in enumerate((worker, asker, worker, asker), 1):
        wait_for(run, number * COUNT // 8)
        process.kill()
        process.boot = new_boot(process.host.folder)
        process.start()
    finish(asker)
    worker.end()
    assert began(run.working) > 0
    assert began(run.asking) > 0
    assert troubles(run) == []


def test_a_restart_is_no_reboot(run: Soak) -> None:
    """The control of the one above: in one boot the journal goes on, however often its process is killed.

    At rest, that is: a kill between the marker's write and the commit leaves the marker ahead, which begins a life too.
    """
    asker, worker = run.an_asker(COUNT), run.a_worker()
    worker.boot = new_boot(worker.host.folder)
    begin(run, worker, asker)
    for number in range(4):
        wait_for(run, number * COUNT // 8)
        asker.kill()
        wait_until_idle(run.working)
        worker.kill()
        worker.start()
        asker.start()
    finish(asker)
    worker.end()
    assert began(run.working) == 0
    assert troubles(run) == []


def wait_until_idle(host: Host) -> None:
    """Wait until the journal of a home has not moved for a second."""
    until, since, before = time.monotonic() + 60, time.monotonic(), -1
    while time.monotonic() < since + 1:
        assert time.monotonic() < until, "it does not come to rest"
        with sqlite3.connect(home(host) / "store.db", timeout=30) as store:
            (sequence,) = store.execute("SELECT value FROM counter WHERE of = x''").fetchone()
        if sequence != before:
            since, before = time.monotonic(), sequence
        time.sleep(0.05)


@pytest.mark.parametrize("is_clean", [False, True], ids=["running", "stopped"])
def test_a_home_is_put_back_in_the_middle_of_its_work(run: Soak, is_clean: bool, tmp_path: Path) -> None:
    """To a copy of a moment ago, of a running node or of one that was closed. What was done since comes again, marked."""
    asker, worker = run.an_asker(COUNT), run.a_worker()
    begin(run, worker, asker)
    for number in range(1, 4):
        wait_for(run, number * COUNT // 8)
        copy = tmp_path / f"copy-{number}"
        if is_clean:
            worker.end()
            shutil.copytree(home(run.working), copy)
            worker.start()
        else:
            copy_running(run.working, copy)
        wait_for(run, number * COUNT // 8 + COUNT // 16)
        worker.kill()
        put_back(run.working, copy)
        worker.start()
    finish(asker)
    worker.end()
    assert troubles(run) == []


@pytest.mark.parametrize("is_clean", [False, True], ids=["running", "stopped"])
@pytest.mark.parametrize("side", ["asking", "working"])
def test_a_home_is_restored_from_an_hour_ago(run: Soak, side: str, is_clean: bool, tmp_path: Path) -> None:
    """An hour passes between the copy and its return, on the clocks of both nodes."""
    host, copy = getattr(run, side), tmp_path / "copy"
    asker, worker = run.an_asker(COUNT // 3), run.a_worker()
    begin(run, worker, asker)
    if not is_clean:
        copy_running(host, copy)
    finish(asker)
    worker.end()
    if is_clean:
        shutil.copytree(home(host), copy)

    asker, worker = run.an_asker(COUNT * 2 // 3, HOUR), run.a_worker(ahead=HOUR)
    begin(run, worker, asker)
    finish(asker)
    worker.end()

    put_back(host, copy)
    asker, worker = run.an_asker(COUNT, HOUR), run.a_worker(ahead=HOUR)
    begin(run, worker, asker)
    finish(asker)
    worker.end()
    assert began(host) > 0
    assert troubles(run) == []


def test_a_copy_runs_on_a_second_machine(run: Soak) -> None:
    """Both at once: the copy has a newer certificate, so the original is cut off until it has made a newer one. All is answered, once."""
    asker, worker = run.an_asker(COUNT), run.a_worker()
    begin(run, worker, asker)
    wait_for(run, COUNT // 4)
    second = run.between
    copy_running(run.working, home(second))
    copied = run.a_worker(second)
    copied.boot = new_boot(second.folder)
    copied.start()
    finish(asker)
    copied.end()
    worker.end()
    assert troubles(run) == []
