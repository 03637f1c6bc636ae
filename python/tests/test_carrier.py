"""What carries envelopes between a node and a transport written in Python ends when it is told to, and with Python."""

from __future__ import annotations

import concurrent.futures
import subprocess
import sys
import threading
import time
from contextlib import suppress

import pytest
from postbox import Postbox
from remote_parts import free_port

from sealwire.carrier import Carrier


@pytest.mark.parametrize("number", range(20))
def test_whoever_sends_while_it_is_closed_is_told(number: int) -> None:
    """Nobody waits for what will never run."""
    places = {name: ("127.0.0.1", free_port()) for name in "ab"}
    carrier, ended = Carrier(Postbox("a", places)), threading.Event()
    carrier.open()

    def send() -> None:
        while not ended.is_set():
            # Past the carrier's own look at whether it is closed, as one that sends in that moment.
            with suppress(Exception, concurrent.futures.CancelledError):
                carrier._wait(carrier._transport.send("reader@b", b"x"))

    sending = [threading.Thread(target=send, daemon=True) for _ in range(4)]
    for thread in sending:
        thread.start()
    time.sleep(0.01 + number / 1000)
    carrier.close()
    time.sleep(0.05)
    ended.set()
    for thread in sending:
        thread.join(30)
        assert not thread.is_alive(), "it waits for ever"


@pytest.mark.parametrize("asynchronous", ["async ", ""], ids=["asynchronous", "synchronous"])
def test_python_ends_and_the_transport_is_closed(asynchronous: str) -> None:
    """With a node that nobody closed, whose transport waits for what may come."""
    program = f"""
import asyncio, sealwire, threading

class Nowhere:
    ended = threading.Event()

    {asynchronous}def send(self, to, envelope):
        pass

    {asynchronous}def receive(self, to):
        {"await asyncio.Event().wait()" if asynchronous else "self.ended.wait()"}

    {asynchronous}def close(self):
        {"await asyncio.sleep(0.1)" if asynchronous else "self.ended.set()"}
        print("closed")

node = sealwire.Node(sealwire.Endpoint(), via=Nowhere())
node.host("a")
"""
    for _ in range(5):
        ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False)
        assert (ended.stdout, ended.stderr, ended.returncode) == ("closed\n", "", 0)


def test_python_ends_while_a_handler_is_at_work() -> None:
    """It is waited for: Python would abort as a whole if a thread of the core were in the middle of Python code."""
    program = """
import sealwire, threading, time

begun = threading.Event()

def work(incoming):
    begun.set()
    until = time.monotonic() + 0.5
    while time.monotonic() < until:
        time.sleep(0.0001)
    print("done")

endpoint = sealwire.Endpoint()
node = sealwire.Node(endpoint, via=sealwire.MemoryTransport())
node.host("a")
node.serve("b", work)
node.send("a@" + endpoint.node, "b@" + endpoint.node, b"x", kind="task")
begun.wait()
"""
    for _ in range(3):
        ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False)
        assert (ended.stdout, ended.stderr, ended.returncode) == ("done\n", "", 0)
