"""A suite that tells whether a transport written in Python does what a node expects of it.

Subclass :class:`Suite` in a file of tests, say how two ends of the transport
are made, and let pytest run it::

    from sealwire.conformance import Suite

    class TestMine(Suite):
        def ends(self):
            return MyTransport("a"), MyTransport("b")

Every case has ends of its own. What a transport has no means for is skipped.
The cases call it as a node does: several threads, one `receive` for each
reader at a time, coroutines on one event loop for each end.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any
from unittest import SkipTest

from sealwire.carrier import Carrier

__all__ = ["Suite"]

#: The largest parcel that nodes send, in bytes.
MAX_PARCEL = 16 * 1024 * 1024

_SMALL = 200
_LARGE = 64 * 1024

#: Parcels of that size that a transport may take for a reader that has stopped: 256 MiB. More has no bound.
_TOO_MANY = 4096

#: Seconds that a send may wait for room before that counts as back-pressure.
_WAITING = 3.0

#: Seconds of silence after which nothing more is expected.
_QUIET = 0.5

#: Sizes at which length fields and buffers change; each is tried with its neighbours.
_SIZES = (9, 127, 255, 4096, 16 * 1024, 64 * 1024, 1024 * 1024)

#: What strangers say: no frame, too long a frame, half a frame, and nothing.
_NOISE = (
    b"",
    b"\0",
    b"\xff" * 4,
    b"\xff" * 64,
    b"\0" * 64,
    b"GET / HTTP/1.1\r\n\r\n",
    bytes((place * 2_654_435_761 >> 13) % 256 for place in range(4000)),
)


class Suite:
    """The cases. Override :meth:`ends`, and what else the transport has means for."""

    patience: float = 30.0
    """Seconds that one step may take. No case measures speed."""

    largest: int = MAX_PARCEL
    """Bytes of the largest parcel it carries. With less than the default, long messages of agents will not pass."""

    def ends(self) -> tuple[Any, Any]:
        """Two ends that reach each other, as nodes `a` and `b` have them; in one process they may be the same object."""
        raise NotImplementedError

    def cut(self, a: Any, b: Any) -> None:
        """Cut all connections between the ends; they come back by themselves."""
        raise SkipTest("there is no connection to cut")

    def restart(self, b: Any) -> Any:
        """End `b` as a process that was killed, and return what is started in its place."""
        raise SkipTest("its ends are one process")

    def intrude(self, a: Any, b: Any, noise: bytes) -> None:
        """Write this to where strangers can write to `b`."""
        raise SkipTest("strangers cannot write to it")

    # --- ordinary traffic ---------------------------------------------------------------------------------------------

    def test_parcels_to_one_reader_come_in_order(self) -> None:
        """500, one after the other."""
        with self._opened() as (a, b):
            _both(self.patience, lambda: a.send_all("reader@b", range(500)), lambda: b.receive_all("reader@b", range(500)))

    def test_every_size_comes_as_it_was_sent(self) -> None:
        """Around the sizes at which length fields change."""
        sizes = [size + more for size in _SIZES for more in (-1, 0, 1) if size + more <= self.largest]
        with self._opened() as (a, b):
            for number, size in enumerate(sizes):
                _carry(self.patience, a, b, number, size)

    def test_the_largest_parcels_come_whole(self) -> None:
        """Three of them."""
        with self._opened() as (a, b):
            _both(
                self.patience,
                lambda: a.send_all("reader@b", range(3), self.largest),
                lambda: b.receive_all("reader@b", range(3), self.largest),
            )

    def test_readers_get_their_own_in_both_directions(self) -> None:
        """Three readers, one of them at the other end."""
        with self._opened() as (a, b):
            _both(
                self.patience,
                lambda: a.send_all("one@b", range(50)),
                lambda: a.send_all("other.one@b", range(100, 150)),
                lambda: b.send_all("one@a", range(200, 250)),
                lambda: b.receive_all("one@b", range(50)),
                lambda: b.receive_all("other.one@b", range(100, 150)),
                lambda: a.receive_all("one@a", range(200, 250)),
            )

    def test_a_reader_may_come_late(self) -> None:
        """What was sent before is there, or was not taken over."""
        with self._opened() as (a, b):
            _both(self.patience, lambda: a.send_all("reader@b", range(50)), lambda: b.receive_all("reader@b", range(50), late=0.3))

    def test_several_threads_may_send_at_once(self) -> None:
        """Four threads to readers of their own."""
        with self._opened() as (a, b):
            sending = [_sending(a, f"reader{place}@b") for place in range(4)]
            reading = [_reading(b, f"reader{place}@b") for place in range(4)]
            _both(self.patience, *sending, *reading)

    # --- what comes again ---------------------------------------------------------------------------------------------

    def test_what_was_acknowledged_comes_no_more(self) -> None:
        """Some may be repeated; there is an end of it."""
        with self._opened() as (a, b):
            _both(self.patience, lambda: a.send_all("reader@b", range(20)), lambda: b.receive_all("reader@b", range(20)))
            for _ in range(20):
                if not b.receive_if_any("reader@b"):
                    return
            raise AssertionError("parcels come again although they were acknowledged")

    def test_what_a_killed_reader_had_in_hand_comes_again(self) -> None:
        """Five are processed, five in hand and ten under way when `b` is killed."""
        with self._opened() as (a, b):
            sending = threading.Thread(target=_quietly, args=(a.send_all, "reader@b", range(20)), daemon=True)
            sending.start()
            b.receive_all("reader@b", range(5))
            hands = [b.next("reader@b")]
            if hands[0][1] is None:
                raise SkipTest("it does not acknowledge")
            again = _End(self.restart(b.transport), self.patience)
            try:
                again.receive_all("reader@b", range(5, 20), before=range(5))
                sending.join(self.patience)
            finally:
                again.close()

    # --- back-pressure ------------------------------------------------------------------------------------------------

    def test_a_reader_that_has_stopped_stops_its_senders(self) -> None:
        """Then it reads again, and all that was taken over comes."""
        with self._opened() as (a, b):
            b.listen("reader@b")
            taken = a.fill("reader@b")
            b.receive_all("reader@b", range(taken), more=True)
            again = range(taken + 1, taken + 2)
            _both(self.patience, lambda: a.send_all("reader@b", again), lambda: b.receive_all("reader@b", again, more=True))

    def test_a_reader_that_has_stopped_stops_nobody_else(self) -> None:
        """What it left waiting is not in the way of another."""
        with self._opened() as (a, b):
            b.listen("slow@b")
            a.fill("slow@b")
            _both(self.patience, lambda: a.send_all("quick@b", range(50)), lambda: b.receive_all("quick@b", range(50)))

    # --- faults -------------------------------------------------------------------------------------------------------

    def test_a_cut_connection_loses_nothing(self) -> None:
        """Three times while parcels are under way."""
        with self._opened() as (a, b):

            def send() -> None:
                for some in range(20):
                    a.send_all("reader@b", range(some * 25, some * 25 + 25))
                    if some in (5, 10, 15):
                        self.cut(a.transport, b.transport)

            _both(self.patience, send, lambda: b.receive_all("reader@b", range(500)))

    def test_hostile_bytes_harm_nobody_else(self) -> None:
        """Strangers write, and stay."""
        with self._opened() as (a, b):
            for noise in _NOISE * 5:
                self.intrude(a.transport, b.transport, noise)
            _both(self.patience, lambda: a.send_all("reader@b", range(100)), lambda: b.receive_all("reader@b", range(100)))

    # --- the end ------------------------------------------------------------------------------------------------------

    def test_closing_ends_a_receive_that_waits(self) -> None:
        """By itself, or because the transport gives up waiting."""
        with self._opened() as (a, b):
            _carry(self.patience, a, b, 0, _SMALL)
            b.close()
            for fetching in b.fetching:
                fetching.join(self.patience)
                if fetching.is_alive():
                    raise AssertionError("a receive goes on waiting after the transport was closed")

    def test_a_closed_transport_takes_nothing(self) -> None:
        """To take and drop is to lose."""
        with self._opened() as (a, _):
            if not callable(getattr(a.transport, "close", None)):
                raise SkipTest("it has no `close`")
            a.close_transport()
            try:
                a.send_once("reader@b", _parcel(0, _SMALL))
            except Exception:  # noqa: BLE001 -- whatever it raises, it has not taken the parcel
                return
            raise AssertionError("a closed transport takes parcels")

    @contextmanager
    def _opened(self) -> Iterator[tuple[_End, _End]]:
        here, there = self.ends()
        a = _End(here, self.patience)
        b = a if there is here else _End(there, self.patience)
        try:
            yield a, b
        finally:
            a.close()
            b.close()


class _End:
    """One end, as a node uses it."""

    def __init__(self, transport: Any, patience: float) -> None:
        self.transport = transport
        self._patience = patience
        self._carrier = Carrier(transport)
        self._carrier.open()
        self._arrived: dict[str, queue.Queue[tuple[bytes, Any]]] = {}
        self.fetching: list[threading.Thread] = []
        self._lock = threading.Lock()
        self._closed = threading.Event()

    def close_transport(self) -> None:
        """The transport alone, and not again later: the carrier refuses by itself what comes after its own end."""
        self._carrier._call("close")
        self._carrier._opened = False

    def send_once(self, to: str, parcel: bytes) -> None:
        self._carrier.send(to, parcel)

    def send(self, to: str, number: int, size: int = _SMALL) -> None:
        """Until it was taken over, as nodes do."""
        deadline = time.monotonic() + self._patience
        while True:
            sending = _Call(lambda: self._carrier.send(to, _parcel(number, size)))
            if not sending.ended(self._patience):
                raise AssertionError("sending hangs")
            if sending.error is None:
                return
            if time.monotonic() > deadline:
                raise AssertionError(f"a parcel is not taken over: {sending.error}") from sending.error
            time.sleep(0.02)

    def send_all(self, to: str, numbers: range, size: int = _SMALL) -> None:
        for number in numbers:
            self.send(to, number, size)

    def fill(self, to: str) -> int:
        """Send large parcels until no more are taken; returns how many were."""
        taken = 0
        while taken < _TOO_MANY:
            sending = _Call(partial(self._carrier.send, to, _parcel(taken, _LARGE)))
            if not sending.ended(min(_WAITING, self._patience)) or sending.error is not None:
                return taken
            taken += 1
        raise AssertionError(f"it took {taken} parcels of {_LARGE} bytes for a reader that has stopped")

    def listen(self, to: str) -> queue.Queue[tuple[bytes, Any]]:
        """Begin to fetch for a reader: one ahead of who reads, then the transport has to wait."""
        with self._lock:
            if to not in self._arrived:
                self._arrived[to] = queue.Queue(1)
                self.fetching.append(self._carrier.listen(to, self._putting(self._arrived[to])))
            return self._arrived[to]

    def next(self, to: str) -> tuple[bytes, Any]:
        try:
            return self.listen(to).get(timeout=self._patience)
        except queue.Empty:
            raise AssertionError("a parcel was lost, or comes too late") from None

    def receive_if_any(self, to: str) -> bool:
        """Receive and acknowledge what comes soon; whether anything came."""
        try:
            self._acknowledge(self.listen(to).get(timeout=_QUIET)[1])
        except queue.Empty:
            return False
        return True

    def receive_all(
        self, to: str, numbers: range, size: int | None = None, *, late: float = 0.0, before: range = range(0), more: bool = False
    ) -> None:
        """Receive and acknowledge until all `numbers` have come: in order, whole, and possibly more than once.

        Those of `before` may come, too; with `more`, also such as were sent and not known to be taken.
        """
        time.sleep(late)
        seen: list[int] = []
        while len(set(seen) & set(numbers)) < len(numbers):
            parcel, receipt = self.next(to)
            number = _number(parcel)
            if size is not None and len(parcel) != size:
                raise AssertionError(f"of {size} bytes {len(parcel)} came")
            if number not in numbers and number not in before and not more:
                if number < numbers.start:
                    self._acknowledge(receipt)
                    continue
                raise AssertionError(f"parcel {number} is not for {to}")
            if number not in seen and number not in before and seen and number < max(seen):
                raise AssertionError(f"parcel {number} came after a later one")
            seen.append(number)
            self._acknowledge(receipt)

    def close(self) -> None:
        self._closed.set()
        closing = _Call(self._carrier.close)
        if not closing.ended(self._patience):
            raise AssertionError("closing hangs")
        if closing.error is not None:
            raise closing.error

    def _acknowledge(self, receipt: Any) -> None:
        if receipt is not None:
            self._carrier.acknowledge(receipt)

    def _putting(self, arrived: queue.Queue[tuple[bytes, Any]]) -> Callable[[bytes, Any], bool]:
        def put(parcel: bytes, receipt: Any) -> bool:
            while not self._closed.is_set():
                try:
                    arrived.put((parcel, receipt), timeout=0.1)
                except queue.Full:
                    continue
                return True
            return False

        return put


class _Call:
    """A call in a thread of its own, which may hang."""

    def __init__(self, what: Callable[[], Any]) -> None:
        self.error: BaseException | None = None
        self._what = what
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        try:
            self._what()
        except BaseException as error:  # noqa: BLE001 -- it is raised where somebody waits for it
            self.error = error

    def ended(self, seconds: float) -> bool:
        self._thread.join(seconds)
        return not self._thread.is_alive()


def _both(patience: float, *what: Callable[[], Any]) -> None:
    """All of these at the same time; raises what one of them raises."""
    calls = [_Call(each) for each in what]
    deadline = time.monotonic() + 4 * patience
    while True:
        at_work = [call for call in calls if not call.ended(0.01)]
        for call in calls:
            if call.error is not None:
                raise call.error
        if not at_work:
            return
        if time.monotonic() > deadline:
            raise AssertionError("it hangs")


def _carry(patience: float, a: _End, b: _End, number: int, size: int) -> None:
    """One parcel from `a` to `b`, where it may be that no more is taken before it was acknowledged."""
    numbers = range(number, number + 1)
    _both(patience, lambda: a.send("reader@b", number, size), lambda: b.receive_all("reader@b", numbers, size))


def _sending(end: _End, to: str) -> Callable[[], None]:
    return lambda: end.send_all(to, range(100))


def _reading(end: _End, to: str) -> Callable[[], None]:
    return lambda: end.receive_all(to, range(100))


def _quietly(what: Callable[..., None], *arguments: Any) -> None:
    """A sender whose reader is killed may fail; what it did not get rid of is missed elsewhere."""
    try:
        what(*arguments)
    except AssertionError:
        return


def _parcel(number: int, size: int) -> bytes:
    """The bytes of parcel `number`, which begin with it: no two look alike."""
    block = number.to_bytes(8, "big") + bytes((place * 31 ^ number * 97) % 256 for place in range(251))
    return (block * (size // len(block) + 1))[:size]


def _number(parcel: bytes) -> int:
    """The number of a parcel, if its bytes are those that were sent."""
    number = int.from_bytes(parcel[:8], "big")
    if len(parcel) < 8 or number > 1 << 32 or parcel != _parcel(number, len(parcel)):
        raise AssertionError(f"a parcel of {len(parcel)} bytes was altered, or nobody has sent it")
    return number
