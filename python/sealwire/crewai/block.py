"""The block: ``with sealed():`` seals every crew that is kicked off inside it.

It holds for all threads of the process: a program that starts its crews in
threads must not run unsealed. What was sealed stays sealed after the block.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from sealwire.crewai import entries, swap
from sealwire.crewai.endpoints import SharedEndpoint, endpoint_for
from sealwire.crewai.seal import HOME, Options, Seal, orchestrator_of, prepare

if TYPE_CHECKING:
    from sealwire._sealwire import Entry, Request
    from sealwire.crewai.log import Record
    from sealwire.transport import Transport

__all__ = ["Block", "sealed"]


@contextmanager
def sealed(
    *,
    home: str | os.PathLike[str] | None = HOME,
    transport: Transport | None = None,
    policy: Callable[[Request], object] | None = None,
    audit: Callable[[Entry], object] | None = None,
    names: Mapping[Any, str] | None = None,
) -> Iterator[Block]:
    """Seal every crew, and every agent called by itself, that starts inside the block.

    Options are those of :func:`seal`. A crew that is sealed already keeps its
    own. Of several open blocks, the one opened last decides.
    """
    prepare()
    block = Block(Options(home, transport, policy, audit, names))
    entries.open(block)
    try:
        yield block
    finally:
        entries.close(block)


class Block:
    """An open ``sealed()`` block and what it sealed."""

    def __init__(self, options: Options) -> None:
        self._options = options
        self._lock = threading.Lock()
        self._shared: SharedEndpoint | None = None
        self._seals: list[Seal] = []

    @property
    def seals(self) -> list[Seal]:
        """The seals of the crews and agents that were sealed in this block."""
        with self._lock:
            return list(self._seals)

    @property
    def messages(self) -> list[Record]:
        """What passed between all of them, crew by crew."""
        return [record for seal in self.seals for record in seal.messages]

    def cover(self, crew_or_agent: Any) -> None:
        """Seal an object unless it is."""
        with self._lock:
            if swap.seal_of(crew_or_agent) is not None:
                return
            if self._shared is None:
                self._shared = endpoint_for(self._options.home)
            seal = Seal(self._options, orchestrator_of(crew_or_agent), self._shared)
            seal.cover(crew_or_agent)
            self._seals.append(seal)
