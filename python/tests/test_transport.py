"""The memory transport."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from sealwire import MemoryTransport, Transport, TransportError


def test_it_brings_envelopes_in_order_to_each_reader() -> None:
    transport = MemoryTransport()
    transport.send("a@local", b"1")
    transport.send("b@local", b"2")
    transport.send("a@local", b"3")
    assert [transport.receive("a@local"), transport.receive("a@local")] == [b"1", b"3"]
    assert transport.receive("b@local") == b"2"


def test_it_waits_for_an_envelope() -> None:
    transport = MemoryTransport()
    timer = threading.Timer(0.05, transport.send, ("a@local", b"late"))
    timer.start()
    assert transport.receive("a@local") == b"late"


def test_it_does_not_wait_for_ever() -> None:
    transport = MemoryTransport(timeout=0.01)
    with pytest.raises(TransportError, match=r"no envelope for a@local within 0\.01 s"):
        transport.receive("a@local")


def test_it_is_bounded() -> None:
    transport = MemoryTransport(capacity=2)
    transport.send("a@local", b"1")
    transport.send("a@local", b"2")
    with pytest.raises(TransportError, match="2 envelopes already wait"):
        transport.send("a@local", b"3")
    transport.send("b@local", b"3")


def test_it_keeps_what_it_was_given() -> None:
    transport = MemoryTransport()
    envelope: Any = bytearray(b"abc")
    transport.send("a@local", envelope)
    envelope[0] = 0
    assert transport.receive("a@local") == b"abc"


def test_it_is_a_transport() -> None:
    assert isinstance(MemoryTransport(), Transport)
    assert not isinstance(object(), Transport)
