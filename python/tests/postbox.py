"""A transport in Python, such as a user may write: asyncio over TCP, a connection for each envelope, acknowledged once it was processed.

`from_environment` makes one of `POSTBOX`, as in ``pi1=10.0.0.1:9000 pi2=10.0.0.2:9000``, for the node that `POSTBOX_NODE` names.
"""

from __future__ import annotations

import asyncio
import os
from collections import defaultdict
from collections.abc import Mapping

LARGEST = 16 * 1024 * 1024
TAKEN = b"taken"


class Letter:
    """An envelope, whose sender waits to hear that it was processed."""

    def __init__(self, envelope: bytes) -> None:
        self.envelope = envelope
        self.processed = asyncio.Event()

    async def acknowledge(self) -> None:
        self.processed.set()


class Postbox:
    """Takes envelopes for one node, and brings them to others."""

    def __init__(self, node: str, places: Mapping[str, tuple[str, int]]) -> None:
        self.place = places[node]
        self._places = places
        self._waiting: defaultdict[str, asyncio.Queue[Letter]] = defaultdict(asyncio.Queue)
        self._server: asyncio.Server | None = None
        self._serving: set[asyncio.Task[None]] = set()
        self._closed = False

    async def open(self) -> None:
        self._server = await asyncio.start_server(self._serve, *self.place)

    async def send(self, to: str, envelope: bytes) -> None:
        if self._closed:
            raise ConnectionError("the postbox is closed")
        reader, writer = await asyncio.open_connection(*self._places[to.rpartition("@")[2]])
        try:
            name = to.encode()
            writer.write(bytes([len(name)]) + name + len(envelope).to_bytes(4, "big") + envelope)
            await writer.drain()
            if await reader.read(len(TAKEN)) != TAKEN:
                raise ConnectionError(f"{to} has not taken it")
        finally:
            writer.close()

    async def receive(self, to: str) -> Letter:
        return await self._waiting[to].get()

    async def close(self) -> None:
        self._closed = True
        if self._server is not None:
            self._server.close()
        for serving in self._serving:
            serving.cancel()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        serving = asyncio.current_task()
        assert serving is not None
        self._serving.add(serving)
        try:
            to = (await reader.readexactly((await reader.readexactly(1))[0])).decode()
            size = int.from_bytes(await reader.readexactly(4), "big")
            if size <= LARGEST:
                letter = Letter(await reader.readexactly(size))
                self._waiting[to].put_nowait(letter)
                await letter.processed.wait()
                writer.write(TAKEN)
                await writer.drain()
        except (asyncio.IncompleteReadError, asyncio.CancelledError, ConnectionError, UnicodeDecodeError):
            pass  # a stranger, a sender that comes again, or the end
        finally:
            self._serving.discard(serving)
            writer.close()


def from_environment() -> Postbox:
    places = {}
    for each in os.environ["POSTBOX"].split():
        node, _, place = each.partition("=")
        host, _, port = place.rpartition(":")
        places[node] = (host, int(port))
    return Postbox(os.environ["POSTBOX_NODE"], places)
