"""Many requests between two hosts while everything fails that can: nothing may be lost, and nothing done twice.

``python3 tests/hosts/soak.py --over tcp --requests 100000`` as root; needs iproute2, nftables and, over JetStream, nats-server. Real
processes on paired homes, each host a network namespace. Packets are dropped, cables pulled, processes and the broker killed; which and
when follows from the seed, where the processes are then does not.
"""

from __future__ import annotations

import argparse
import random
import shutil
import signal
import sqlite3
import subprocess
import tempfile
import time
import uuid
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from nets import Host, Net

ROOT = Path(__file__).parents[2]
NODE = ROOT / "target" / "debug" / "soak-node"
SEALWIRE = ROOT / "target" / "debug" / "sealwire"

#: What builds them.
BUILD = "cargo build --locked -p sealwire-tests -p sealwire-cli --features sealwire-tests/soak --bin soak-node --bin sealwire"

PORT = 7451

#: Bytes of memory that a process of the harness may take. An idle node takes some 15 MB; 64 requests at a time of 2 KiB are nothing.
MOST_MEMORY = 128 * 1024 * 1024

#: Percent of packets that each host loses of those that come to it.
LOSS = 5

#: Seconds that a cable is out.
CUT = 10

#: Runs a command in a boot of its own: its first argument is a folder with a boot id and what shared memory holds.
IN_BOOT = 'mount --bind "$1/boot_id" /proc/sys/kernel/random/boot_id && mount --bind "$1/shm" /dev/shm && shift && exec "$@"'


def new_boot(folder: Path) -> Path:
    """What a machine that has just started finds: another boot id, and nothing in shared memory."""
    boot = folder / f"boot-{uuid.uuid4()}"
    (boot / "shm").mkdir(parents=True)
    (boot / "boot_id").write_text(f"{uuid.uuid4()}\n")
    return boot


def pair(here: Host, there: Host, name: str) -> None:
    """Make a domain here and let the other join, with the real commands."""
    here.run(str(SEALWIRE), "init", "--name", "pi1")
    inviting = here.start(str(SEALWIRE), "invite", name, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    assert inviting.stdout is not None
    line = inviting.stdout.readline()
    there.run(str(SEALWIRE), "join", "-", stdin=line)
    assert inviting.wait(60) == 0


@dataclass
class Process:
    """A process on a host that is started again when it was killed."""

    host: Host
    line: tuple[str, ...]
    #: Where what a boot of its machine makes is kept, if it is not that of this machine: the boot id and shared memory.
    boot: Path | None = None
    most_memory: int = 0
    _running: subprocess.Popen[str] | None = None

    def start(self) -> None:
        """Start it, now or again."""
        line = self.line if self.boot is None else ("unshare", "-m", "sh", "-c", IN_BOOT, "sh", str(self.boot), *self.line)
        with (self.host.folder / "stderr").open("a") as complaints:
            self._running = self.host.start(*line, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=complaints)

    def kill(self) -> None:
        """Kill it as ``kill -9`` does."""
        assert self._running is not None
        self._running.kill()
        self._running.communicate()
        self._running = None

    @property
    def runs(self) -> bool:
        """Whether it runs, and has not ended by itself."""
        return self._running is not None and self._running.poll() is None

    def ended(self) -> int | None:
        """Its exit code, once it has ended by itself."""
        return None if self._running is None else self._running.poll()

    def end(self) -> None:
        """Close its input and wait until it has ended in order."""
        assert self._running is not None
        said, _ = self._running.communicate(timeout=60)
        assert self._running.returncode == 0, said

    def measure(self) -> None:
        """Look at its memory."""
        if self._running is None:
            return
        try:
            status = Path(f"/proc/{self._running.pid}/status").read_text()
        except OSError:
            return
        for line in status.splitlines():
            if line.startswith("VmRSS:"):
                self.most_memory = max(self.most_memory, int(line.split()[1]) * 1024)


@dataclass
class Broker:
    """A real nats-server with JetStream."""

    host: Host
    _running: subprocess.Popen[str] | None = None

    def start(self) -> None:
        """Start it, now or again, on what it has kept."""
        store = self.host.folder / "jetstream"
        line = ("nats-server", "-a", self.host.address, "-p", "4222", "-js", "-sd", str(store))
        self._running = self.host.start(*line, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def kill(self) -> None:
        """Kill it as ``kill -9`` does."""
        assert self._running is not None
        self._running.kill()
        self._running.wait()


@dataclass
class Plan:
    """What is done, and how often."""

    over: str
    requests: int
    seed: int
    per_second: int = 0
    workers: int = 1
    #: Seconds between two faults, at least and at most.
    every: tuple[float, float] = (1.0, 4.0)
    #: After so many seconds without an end, something hangs.
    longest: float = 3600
    #: Seconds of the run in which things fail; zero: to the end.
    failing: float = 0
    #: The negative control: a worker that is started again has forgotten what it had taken in.
    forgets: bool = False
    loses_packets: bool = True
    #: What may fail, as often as it is named; the broker only where there is one.
    kinds: tuple[str, ...] = (*("asker killed", "worker killed") * 4, "cut", *("broker killed",) * 2)


@dataclass
class Outcome:
    """What came of it."""

    seconds: float
    faults: Counter[str]
    most_memory: dict[str, int]
    troubles: list[str] = field(default_factory=list)
    #: Milliseconds from asking to the answer, of those whose process was not killed meanwhile, in order.
    took: list[int] = field(default_factory=list)
    again: int = 0

    def describe(self, plan: Plan) -> str:
        """One line for people."""
        rate = plan.requests / self.seconds
        median, slow, slowest = (self.took[int((len(self.took) - 1) * part)] for part in (0.5, 0.99, 1))
        memory = ", ".join(f"{name} {most // 1_000_000} MB" for name, most in self.most_memory.items())
        faults = ", ".join(f"{count} x {fault}" for fault, count in sorted(self.faults.items())) or "no fault"
        return (
            f"{plan.over}, seed {plan.seed}: {plan.requests} in {self.seconds:.0f} s, {rate:.0f} a second; "
            f"median {median} ms, 99 % {slow} ms, longest {slowest} ms; {faults}; {self.again} runs found their effect; at most {memory}"
        )


class Soak:
    """Two hosts with paired homes, and a third for the broker."""

    def __init__(self, folder: Path, plan: Plan) -> None:
        assert NODE.exists(), f"it is not built: {BUILD}"
        assert SEALWIRE.exists(), f"it is not built: {BUILD}"
        self.plan = plan
        self._made: list[Process] = []
        self.net = Net(("pi1", "pi2", "pi3"), folder)
        self.asking, self.working, self.between = (self.net.hosts[name] for name in ("pi1", "pi2", "pi3"))
        pair(self.asking, self.working, "pi2")
        self.broker = Broker(self.between) if plan.over == "jetstream" else None
        self.asker = self.an_asker(plan.requests)
        self.workers = [self.a_worker() for _ in range(plan.workers)]

    def an_asker(self, count: int, ahead: int = 0) -> Process:
        """A process that asks up to so many, by a clock that is so many seconds ahead."""
        host = self.asking
        work = ("ask", self.home(host), self.log(host), str(ahead), self.way(host), "worker@pi2", str(count), str(self.plan.per_second))
        return self._process(host, *work)

    def a_worker(self, host: Host | None = None, ahead: int = 0) -> Process:
        """A process that works, on its own host or where a copy of its home is."""
        host = host or self.working
        return self._process(host, "work", self.home(host), self.log(host), str(ahead), self.way(host))

    def _process(self, host: Host, *work: str) -> Process:
        self._made.append(Process(host, (str(NODE), *work)))
        return self._made[-1]

    def home(self, host: Host) -> str:
        return str(host.folder / ".sealwire")

    def log(self, host: Host) -> str:
        return str(host.folder / "log")

    def way(self, host: Host) -> str:
        if self.broker:
            return f"jetstream,nats://{self.between.address}:4222"
        # A copy of the worker's home, on the third host, calls and is not called.
        other, name = (self.working, "pi2") if host is self.asking else (self.asking, "pi1")
        return f"tcp,tcp://{host.address}:{PORT},{name}=tcp://{other.address}:{PORT}"

    def run(self) -> Outcome:
        """Run it to its end and look at what came of it."""
        if self.plan.loses_packets:
            for host in self.net.hosts:
                self.net.lose(host, LOSS)
        if self.broker:
            self.broker.start()
        since = time.monotonic()
        for process in (*self.workers, self.asker):
            process.start()
        faults = self._fail_until_done(since)
        seconds = time.monotonic() - since
        for worker in self.workers:
            worker.end()
        memory = {"asker": self.asker.most_memory, "worker": max(worker.most_memory for worker in self.workers)}
        outcome = Outcome(seconds, faults, memory)
        self.look(outcome)
        return outcome

    def _fail_until_done(self, since: float) -> Counter[str]:
        """Let things fail until all is answered."""
        chance, faults = random.Random(self.plan.seed), Counter[str]()
        plan: list[tuple[float, Callable[[], None]]] = []
        next_fault = since + chance.uniform(*self.plan.every)
        while (code := self.asker.ended()) is None:
            now = time.monotonic()
            assert now - since < self.plan.longest, f"{self.answered()} of {self.plan.requests} answered, then nothing"
            for due, step in [step for step in plan if step[0] <= now]:
                plan.remove((due, step))
                step()
            may_fail = self.plan.kinds and not (self.plan.failing and now - since > self.plan.failing)
            if may_fail and now >= next_fault and not plan:
                name, length, end = self._fault(chance)
                faults[name] += 1
                plan.append((now + length, end))
                next_fault = now + length + chance.uniform(*self.plan.every)
            for process in (self.asker, *self.workers):
                process.measure()
            time.sleep(0.05)
        for _, step in plan:
            step()
        assert code == 0, f"the asker ended with {code}: see {self.asking.folder}/stderr"
        return faults

    def _fault(self, chance: random.Random) -> tuple[str, float, Callable[[], None]]:
        """Let one thing fail. Returns what, for how long, and what ends it."""
        kind = chance.choice([kind for kind in self.plan.kinds if self.broker or kind != "broker killed"])
        if kind == "cut":
            host = chance.choice(("pi1", "pi2", "pi3") if self.broker else ("pi1", "pi2"))
            self.net.link(host, "down")
            return kind, CUT, lambda: self.net.link(host, "up")
        down = chance.uniform(0, 1.5)
        if kind == "broker killed":
            assert self.broker is not None
            self.broker.kill()
            return kind, down, self.broker.start
        process = self.asker if kind == "asker killed" else chance.choice(self.workers)
        if not process.runs:
            return "too late", 0, lambda: None
        process.kill()
        if self.plan.forgets and process is not self.asker:
            forget(Path(self.home(self.working)))
        return kind, down, process.start

    def answered(self) -> int:
        """Lines in the book of answers."""
        return len(lines(Path(self.log(self.asking)) / "answers"))

    def look(self, outcome: Outcome) -> None:
        """Hold what both sides have noted against what must be so."""
        troubles, wanted = outcome.troubles, set(range(self.plan.requests))
        log = Path(self.log(self.asking))
        troubles += [" ".join(line) for line in lines(log / "failures")]
        answers = lines(log / "answers")
        outcome.took = sorted(int(line[3]) for line in answers if line[3] != "-") or [0]
        answered = Counter(int(line[0]) for line in answers)
        asked = {int(number) for number in answered if number % 8 != 7}
        effects = sqlite3.connect(Path(self.log(self.working)) / "effects.db")
        done = Counter(number for (number,) in effects.execute("SELECT number FROM effect"))
        outcome.again, untold = effects.execute("SELECT count(*), coalesce(sum(1 - told), 0) FROM again").fetchone()
        must = {
            "never answered": wanted - answered.keys(),
            "answered more than once": {number for number in asked if answered[number] != 1},
            "without effect": wanted - done.keys(),
            "done for two requests": {number for number in asked if done[number] > 1},
        }
        troubles += [f"{len(numbers)} {what}: {sorted(numbers)[:10]}" for what, numbers in must.items() if numbers]
        if untold:
            troubles.append(f"{untold} runs found their effect and were not told that they may")
        for name, most in outcome.most_memory.items():
            if most > MOST_MEMORY:
                troubles.append(f"{name} took {most} bytes of memory")
        for host in (self.asking, self.working):
            troubles += [f"{host.namespace}: {left}" for left in under_way(Path(self.home(host)))]

    def remove(self) -> None:
        """Take everything down."""
        for process in (*self._made, self.broker):
            if process is not None and process._running is not None and process._running.poll() is None:
                process._running.send_signal(signal.SIGKILL)
                process._running.wait()
        self.net.remove()


def lines(file: Path) -> list[list[str]]:
    """The words of each line."""
    return [line.split(" ") for line in file.read_text().splitlines()] if file.exists() else []


def under_way(home: Path) -> list[str]:
    """What a home still works on or sends."""
    store = sqlite3.connect(home / "store.db")
    counts = {"messages worked on": "FROM work WHERE state < 2", "messages sent": "FROM outbox WHERE expects < 2"}
    found = {what: store.execute(f"SELECT count(*) {rows}").fetchone()[0] for what, rows in counts.items()}
    store.close()
    return [f"{count} {what}" for what, count in found.items() if count]


def forget(home: Path) -> None:
    """Take from a home what it knows of messages, and leave the keys that open them."""
    store = sqlite3.connect(home / "store.db", timeout=30)
    with store:
        store.executescript("DELETE FROM opened; DELETE FROM work;")
    store.close()


def soak(plan: Plan) -> Outcome:
    """Run a plan in a folder of its own, and print what came of it."""
    folder = Path(tempfile.mkdtemp(prefix="sealwire-soak-"))
    run = Soak(folder, plan)
    try:
        outcome = run.run()
    finally:
        run.remove()
    print(outcome.describe(plan), flush=True)
    if not outcome.troubles:
        shutil.rmtree(folder)
    else:
        print(f"what was noted is in {folder}", flush=True)
    return outcome


def main() -> None:
    """Run one plan, or say how it must be."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--over", choices=("tcp", "jetstream"), required=True)
    parser.add_argument("--requests", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1 << 32))
    parser.add_argument("--per-second", type=int, default=0, help="at most so many; 0: as they are answered")
    parser.add_argument("--workers", type=int, default=1, help="processes that share the worker's home, over JetStream")
    parser.add_argument("--no-faults", action="store_true", help="nothing is killed or cut")
    parser.add_argument("--no-loss", action="store_true", help="no packet is dropped")
    parser.add_argument("--forgets", action="store_true", help="the worker loses its journal with each kill: this must fail")
    given = parser.parse_args()
    subprocess.run(BUILD.split(), cwd=ROOT, check=True)
    plan = Plan(
        given.over,
        given.requests,
        given.seed,
        per_second=given.per_second,
        workers=given.workers,
        forgets=given.forgets,
        kinds=() if given.no_faults else Plan.kinds,
        loses_packets=not given.no_loss,
    )
    print(f"seed {plan.seed}", flush=True)
    outcome = soak(plan)
    if outcome.troubles:
        raise SystemExit("\n".join(outcome.troubles))


if __name__ == "__main__":
    main()
