"""Processes that fork with endpoints and nodes in them: no lock and no journal is lost by it, in parent or child."""

from __future__ import annotations

import contextlib
import gc
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from remote_parts import PATIENCE, pair, until

import sealwire
from sealwire import Endpoint, Node

pytestmark = pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")


class Pair:
    """An endpoint with two agents."""

    def __init__(self, endpoint: Endpoint) -> None:
        self.endpoint = endpoint
        self.a = endpoint.host("a")
        self.b = endpoint.host("b")

    def seal(self, body: bytes = b"body") -> sealwire.Sealed:
        return self.endpoint.seal(self.a, self.b, body, kind="task")

    def open(self, sealed: sealwire.Sealed) -> sealwire.Message:
        return self.endpoint.open(sealed.envelope)


def in_child(check: Callable[[], None]) -> int:
    """Run `check` in a forked child; 0 if it held."""
    child = os.fork()
    if child == 0:
        signal.alarm(60)
        try:
            check()
        except BaseException:  # noqa: BLE001 - the child must end here whatever happens
            os._exit(1)
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


@pytest.mark.parametrize("kept", [False, True], ids=["memory", "home"])
def test_a_fork_does_not_open_what_its_parent_opens(kept: bool, tmp_path: Path) -> None:
    pair = Pair(Endpoint(tmp_path / "home") if kept else Endpoint())
    pair.open(pair.seal())
    opening, in_lane = pair.endpoint.seal(pair.b, pair.a, b"x", kind="task"), pair.seal()
    assert (opening.form, in_lane.form) == ("opening", "lane")

    def child() -> None:
        with pytest.raises(sealwire.UnknownLane):
            pair.open(in_lane)
        if not kept:
            with pytest.raises(sealwire.UnknownKey):
                pair.open(opening)
        own = pair.seal(b"own")
        assert own.form == "opening"
        assert pair.open(own).body == b"own"

    assert in_child(child) == 0
    assert pair.open(in_lane).body == b"body"
    assert pair.open(opening).body == b"x"


def test_a_message_whose_policy_forks_is_its_parents(pair_that_forks: Pair) -> None:
    """Else both would release it, when its key or lane is in memory."""
    pair, process = pair_that_forks, os.getpid()
    for form in ("opening", "lane"):
        sealed, outcome = pair.seal(), "nothing"
        assert sealed.form == form
        try:
            outcome = pair.open(sealed).body.decode()
        except sealwire.UnknownKey:
            outcome = "refused"
        finally:
            if os.getpid() != process:
                os._exit(outcome != "refused")
        assert outcome == "body"
        assert os.waitstatus_to_exitcode(os.wait()[1]) == 0


def test_a_batch_of_which_one_policy_forks_is_its_parents() -> None:
    """What came before it in the batch is noted in memory already, and the child has a copy of that memory."""
    process, forking = os.getpid(), []

    def forks(request: sealwire.Request) -> bool:
        if request.direction == "open" and forking and os.fork() == 0:
            signal.alarm(60)
        return True

    pair = Pair(Endpoint(policy=forks))
    pair.open(pair.seal())
    batch = [pair.seal(b"first").envelope, pair.seal(b"second").envelope]
    forking.append(True)
    opened: list[object] = []
    try:
        opened = pair.endpoint.open_all(batch)
    finally:
        if os.getpid() != process:
            os._exit(any(isinstance(each, sealwire.Message) for each in opened))
    assert [each.body for each in opened if isinstance(each, sealwire.Message)] == [b"first", b"second"]
    children = []
    with contextlib.suppress(ChildProcessError):
        while True:
            children.append(os.waitstatus_to_exitcode(os.wait()[1]))
    assert children
    assert not any(children)


@pytest.fixture
def pair_that_forks() -> Pair:
    def forks(request: sealwire.Request) -> bool:
        if request.direction == "open" and os.fork() == 0:
            signal.alarm(60)
        return True

    return Pair(Endpoint(policy=forks))


def test_a_home_is_opened_again_wherever_the_process_works_then(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "elsewhere").mkdir()
    other = Pair(Endpoint(tmp_path / "elsewhere" / "home"))
    monkeypatch.chdir(tmp_path)
    pair = Pair(Endpoint("home"))
    of_pair, of_other = pair.seal(), other.seal()
    monkeypatch.chdir("elsewhere")
    assert in_child(lambda: None) == 0
    assert pair.open(of_pair).body == b"body"
    assert other.open(of_other).body == b"body"


def test_a_store_that_was_replaced_is_not_taken_for_the_one_before(tmp_path: Path) -> None:
    pair = Pair(Endpoint(tmp_path / "home"))
    sealed, store = pair.seal(), tmp_path / "home" / "store.db"
    copy = shutil.copy2(store, tmp_path / "copy")
    store.unlink()
    os.rename(copy, store)
    assert in_child(lambda: None) == 0
    with pytest.raises(sealwire.HomeError, match="is not the file any more"):
        pair.open(sealed)


PREFORK = """
import os, signal, sys
from sealwire import Endpoint

signal.alarm(120)
home, (ready, written) = sys.argv[1], os.pipe()
endpoint = Endpoint(home)
a, b = endpoint.host("a"), endpoint.host("b")
exchange = lambda: endpoint.open(endpoint.seal(b, a, b"x", kind="task").envelope)
exchange()
if os.fork() == 0:
    signal.alarm(120)
    exchange()
    os.write(written, b"!")
    sys.stdin.readline()  # the parent has ended, and another process has opened and closed the home
    print(endpoint.open(bytes.fromhex(sys.stdin.readline())).body.decode(), flush=True)
    sys.stdin.readline()
    os._exit(0)
os.close(written)
os.read(ready, 1)
exchange()
if sys.argv[2] == "closes":
    del endpoint, exchange
print("ended", flush=True)
os._exit(0)
"""


@pytest.mark.parametrize("parent", ["closes", "ends"])
def test_a_child_keeps_its_part_of_the_journal_when_its_parent_is_gone(parent: str, tmp_path: Path) -> None:
    home = tmp_path / "home"
    process = subprocess.Popen([sys.executable, "-c", PREFORK, home, parent], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    with process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stdout.readline() == "ended\n"
        process.wait(60)
        between = Pair(Endpoint(home))
        waiting = between.seal(b"waits")
        del between
        gc.collect()
        process.stdin.write(f"go\n{waiting.envelope.hex()}\n")
        process.stdin.flush()
        assert process.stdout.readline() == "waits\n"
        with pytest.raises(sealwire.Duplicate):
            Pair(Endpoint(home)).open(waiting)
        process.stdin.write("end\n")


FORKING = """
import os, signal, sys, threading, time
from sealwire import Endpoint, JsonLines

home = sys.argv[1] or None
make = lambda: Endpoint(home, audit=JsonLines("audit.jsonl"), clock=lambda: int(time.time()))
endpoint = make()
a, b = endpoint.host("a"), endpoint.host("b")

def exchange():
    assert endpoint.open(endpoint.seal(a, b, b"x", kind="task").envelope).body == b"x"

def ask():
    assert endpoint.agents() == [a, b] and endpoint.certificate(a) and endpoint.members()

def begin_and_end():
    make().host("a")

done = threading.Event()
def again_and_again(work):
    while not done.is_set():
        work()

threads = [threading.Thread(target=again_and_again, args=[work]) for work in (exchange, exchange, ask, begin_and_end)]
for thread in threads:
    thread.start()
for _ in range(60):
    child = os.fork()
    if child == 0:
        signal.alarm(60)
        exchange()
        os._exit(0)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    if code:
        print("a child ended with", code)
        os._exit(1)
done.set()
for thread in threads:
    thread.join()
"""


@pytest.mark.parametrize("kept", [False, True], ids=["memory", "home"])
def test_a_fork_waits_for_threads_that_are_at_work(kept: bool, tmp_path: Path) -> None:
    """The child would wait for a lock that nobody gives back: the alarm ends it."""
    command = [sys.executable, "-W", "ignore", "-c", FORKING, str(tmp_path / "home") if kept else ""]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


class Nodes:
    """Two homes of one domain; `worker@there` is known here."""

    def __init__(self, folder: Path) -> None:
        self.here, self.there = folder / "here", folder / "there"
        pair(self.here, self.there, "there", listen="tcp://127.0.0.1:1")

    def start(self) -> tuple[Node, Node]:
        there = Node(Endpoint(self.there), listen=["tcp://127.0.0.1:0"])
        there.serve("worker", lambda incoming: incoming.message.body)
        return Node(Endpoint(self.here), peers={"there": there.listening[0]}), there


def test_nodes_go_on_while_their_process_forks(tmp_path: Path) -> None:
    here, there = Nodes(tmp_path).start()

    def ask(number: int) -> bytes:
        body = b"%d" % number
        return here.request(here.host("asker"), "worker@there", body, kind="task", timeout=PATIENCE).body

    def child() -> None:
        with pytest.raises(RuntimeError, match="before a fork"):
            here.under_way()

    with ThreadPoolExecutor(4) as threads:
        asked = [threads.submit(ask, number) for number in range(200)]
        forks = [in_child(child)]
        while len(forks) < 5 or not all(one.done() for one in asked):
            forks.append(in_child(child))
    assert [one.result() for one in asked] == [b"%d" % number for number in range(200)]
    assert not any(forks)
    here.close()
    there.close()


LEAVES_A_CHILD = """
import os, signal, sys
from sealwire import Endpoint, Node

node = Node(Endpoint(sys.argv[1]), peers={"there": "tcp://127.0.0.1:1"})
node.send(node.host("asker"), "worker@there", b"x", kind="task")
print("sent", flush=True)
if os.fork():
    sys.stdin.readline()
    os.kill(os.getpid(), signal.SIGKILL)
signal.alarm(180)
os.closerange(1, 3)
sys.stdin.read()  # ends with the test
"""


def test_work_is_taken_over_though_a_child_of_the_worker_lives(tmp_path: Path) -> None:
    homes = Nodes(tmp_path)
    here, there = homes.start()
    assert here.request(here.host("asker"), "worker@there", b"x", kind="task", timeout=PATIENCE).body == b"x"
    here.close()
    there.close()
    process = subprocess.Popen(
        [sys.executable, "-W", "ignore", "-c", LEAVES_A_CHILD, homes.here], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    with process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stdout.readline() == "sent\n"
        process.stdin.write("end\n")
        process.stdin.flush()
        assert process.wait(60) == -signal.SIGKILL
        next_one = Node(Endpoint(homes.here), peers={"there": "tcp://127.0.0.1:1"})
        assert until(lambda: next_one.under_way() == 1)
        next_one.close()
