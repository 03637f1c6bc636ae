"""The suite for transports in Python: good ones pass, and each flaw is found by the case for it."""

from __future__ import annotations

import asyncio
import queue
import socket
import threading
from collections import defaultdict
from typing import Any

import pytest
from postbox import Postbox
from remote_parts import free_port

from sealwire import MemoryTransport
from sealwire.conformance import Suite


class TestMemory(Suite):
    """Synchronous, one object for both ends."""

    def ends(self) -> tuple[Any, Any]:
        both = MemoryTransport(timeout=0.2)
        return both, both


class TestPostbox(Suite):
    """Asynchronous, with acknowledgements, a process that dies, and strangers."""

    def ends(self) -> tuple[Any, Any]:
        self.places = {name: ("127.0.0.1", free_port()) for name in "ab"}
        return Postbox("a", self.places), Postbox("b", self.places)

    def restart(self, b: Any) -> Any:
        asyncio.run_coroutine_threadsafe(b.close(), b._server.get_loop()).result()
        return Postbox("b", self.places)

    def intrude(self, a: Any, b: Any, noise: bytes) -> None:
        stranger = socket.create_connection(b.place)
        stranger.sendall(noise)
        self.strangers = [*getattr(self, "strangers", []), stranger]


class Flawed:
    """Queues in memory with one flaw."""

    def __init__(self, flaw: str) -> None:
        self.flaw = flaw
        self.count = 0
        self.open_ = True
        self.broken = False
        self.kept: tuple[str, bytes] | None = None
        self.queues: defaultdict[str, queue.Queue[bytes]] = defaultdict(lambda: queue.Queue(0 if flaw == "has no bound" else 500))
        self.lock = threading.Lock()

    def send(self, to: str, envelope: bytes) -> None:
        if not self.open_ and self.flaw != "takes when closed":
            raise ConnectionError("closed")
        if self.flaw == "stops for all" and self.queues["slow@b"].qsize() > 100:
            raise ConnectionError("full")
        with self.lock:
            self.count += 1
            if self.flaw == "loses" and self.count % 7 == 6:
                return
            if self.flaw == "mixes threads up" and threading.active_count() > 10 and self.count % 3 == 0:
                envelope = envelope[:-1] + b"?"
            if self.flaw in ("loses when cut", "dies of noise") and self.broken:
                self.broken = self.flaw == "dies of noise"
                return
            if self.flaw == "alters":
                envelope = envelope[:-1] + bytes([envelope[-1] ^ 1])
            if self.flaw == "truncates":
                envelope = envelope[: 1024 * 1024]
            if self.flaw == "gives to another" and to == "other.one@b":
                to = "one@b"
            if self.flaw == "swaps" and self.count % 5 == 3:
                self.kept = (to, envelope)
                return
            if self.flaw == "is deaf before it listens" and to not in self.queues:
                return
            self.put(to, envelope)
            if self.kept is not None:
                self.put(*self.kept)
                self.kept = None

    def put(self, to: str, envelope: bytes) -> None:
        try:
            self.queues[to].put_nowait(envelope)
        except queue.Full:
            raise ConnectionError("full") from None

    def receive(self, to: str) -> Any:
        if self.flaw == "never gives up":
            return self.queues[to].get()
        try:
            envelope = self.queues[to].get(timeout=0.1)
        except queue.Empty:
            return None
        if self.flaw == "repeats what is done":
            self.put(to, envelope)
        if self.flaw == "forgets what was in hand":
            return Receipt(envelope)
        return envelope

    def close(self) -> None:
        self.open_ = False


class Receipt:
    def __init__(self, envelope: bytes) -> None:
        self.envelope = envelope

    def acknowledge(self) -> None:
        """Nobody is told."""


class Flaws(Suite):
    patience = 1.0

    def __init__(self, flaw: str) -> None:
        self.flaw = flaw

    def ends(self) -> tuple[Any, Any]:
        both = Flawed(self.flaw)
        return both, both

    def cut(self, a: Any, b: Any) -> None:
        a.broken = True

    def restart(self, b: Any) -> Any:
        return b

    def intrude(self, a: Any, b: Any, noise: bytes) -> None:
        a.broken = True


@pytest.mark.parametrize(
    ("flaw", "case", "said"),
    [
        ("loses", "parcels_to_one_reader_come_in_order", "was lost"),
        ("swaps", "parcels_to_one_reader_come_in_order", "came after a later one"),
        ("alters", "every_size_comes_as_it_was_sent", "was altered|is not for"),
        ("truncates", "the_largest_parcels_come_whole", "came"),
        ("gives to another", "readers_get_their_own_in_both_directions", "is not for one@b|was lost"),
        ("is deaf before it listens", "a_reader_may_come_late", "was lost"),
        ("mixes threads up", "several_threads_may_send_at_once", "was altered"),
        ("repeats what is done", "what_was_acknowledged_comes_no_more", "come again"),
        ("forgets what was in hand", "what_a_killed_reader_had_in_hand_comes_again", "was lost"),
        ("has no bound", "a_reader_that_has_stopped_stops_its_senders", "for a reader that has stopped"),
        ("stops for all", "a_reader_that_has_stopped_stops_nobody_else", "not taken over|was lost"),
        ("loses when cut", "a_cut_connection_loses_nothing", "was lost"),
        ("dies of noise", "hostile_bytes_harm_nobody_else", "was lost"),
        ("never gives up", "closing_ends_a_receive_that_waits", "goes on waiting"),
        ("takes when closed", "a_closed_transport_takes_nothing", "takes parcels"),
    ],
)
def test_each_flaw_is_found_by_the_case_for_it(flaw: str, case: str, said: str) -> None:
    with pytest.raises(AssertionError, match=said):
        getattr(Flaws(flaw), f"test_{case}")()


def test_the_flaw_of_an_asynchronous_transport_after_its_end_is_found() -> None:
    class Taking(Postbox):
        async def send(self, to: str, envelope: bytes) -> None:
            """Takes and drops."""

    class Flawed(TestPostbox):
        def ends(self) -> tuple[Any, Any]:
            _, b = super().ends()
            return Taking("a", self.places), b

    with pytest.raises(AssertionError, match="takes parcels"):
        Flawed().test_a_closed_transport_takes_nothing()


def test_every_case_can_fail() -> None:
    """Each is named above; so is each that will be added."""
    named = {mark.args[1][place][1] for mark in test_each_flaw_is_found_by_the_case_for_it.pytestmark for place in range(len(mark.args[1]))}
    assert {f"test_{case}" for case in named} == {name for name in dir(Suite) if name.startswith("test_")}


def test_a_transport_without_flaw_passes_what_finds_the_flaws() -> None:
    for name in dir(Suite):
        if name.startswith("test_") and name != "test_what_a_killed_reader_had_in_hand_comes_again":
            suite = Flaws("none")
            suite.patience = 30.0
            if name in ("test_a_cut_connection_loses_nothing", "test_hostile_bytes_harm_nobody_else"):
                suite.cut = suite.intrude = lambda *_: None  # type: ignore[method-assign]  # as a subclass would
            getattr(suite, name)()


def test_ends_are_to_be_given() -> None:
    class Nothing(Suite):
        pass

    with pytest.raises(NotImplementedError):
        Nothing().test_parcels_to_one_reader_come_in_order()
