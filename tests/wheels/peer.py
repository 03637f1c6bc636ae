"""One of two nodes that talk over TCP, in whichever Python runs this.

python peer.py serve HOME LOCATION     serves `mirror`, which says everything backwards; prints where it listens
python peer.py ask HOME READER LOCATION…   asks `mirror` there and checks what it says
"""

from __future__ import annotations

import os
import platform
import signal
import sys

from sealwire import Endpoint, Incoming, Node

SIZES = (0, 1, 4096, 65_537, 1_000_000)


def backwards(incoming: Incoming) -> bytes:
    """The handler of `mirror`."""
    return incoming.message.body[::-1]


def serve(home: str, location: str) -> None:
    """Serve until SIGTERM."""
    node = Node(Endpoint(home), listen=[location])
    node.serve("mirror", backwards)
    print(platform.machine(), node.listening[0], flush=True)
    signal.sigwait({signal.SIGTERM})
    node.close()


def ask(home: str, reader: str, location: str) -> None:
    """Ask for each size several times: the first message opens, later ones are in lanes."""
    endpoint = Endpoint(home)
    node = Node(endpoint, peers={reader.partition("@")[2]: location})
    me = node.host("asker")
    forms = set()
    for size in SIZES * 2:
        body = os.urandom(size)
        reply = node.request(me, reader, body, kind="task", timeout=60)
        assert reply.body == body[::-1], f"{size} bytes came back altered"
        assert reply.header.sender == reader
        forms.add(reply.form)
    assert "lane" in forms, forms
    node.close()
    print(platform.machine(), "asked", flush=True)


if __name__ == "__main__":
    {"serve": serve, "ask": ask}[sys.argv[1]](*sys.argv[2:])
