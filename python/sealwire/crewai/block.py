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
from weakref import WeakKeyDictionary

from sealwire.crewai import entries, swap
from sealwire.crewai.endpoints import SharedEndpoint, endpoint_for
from sealwire.crewai.log import Log
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
    own. Where several blocks are open, the innermost around the code decides; in a
    thread that knows none of them, the one opened last.
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
        self._log = Log()
        # Not kept alive: a service makes a crew for each request, and its block never ends.
        self._seals: WeakKeyDictionary[Seal, None] = WeakKeyDictionary()

    @property
    def seals(self) -> list[Seal]:
        """The seals of the crews and agents that were sealed in this block and are still there."""
        with self._lock:
            return list(self._seals)

    @property
    def is_used(self) -> bool:
        """Whether a crew, or an agent by itself, was sealed in this block."""
        return self._shared is not None

    @property
    def messages(self) -> list[Record]:
        """What passed between all of them, oldest first."""
        return self._log.records()

    @property
    def count(self) -> int:
        """How many messages passed, also those that are not listed any more."""
        return self._log.count

    def cover(self, crew_or_agent: Any) -> None:
        """Seal an object unless it is."""
        with self._lock:
            if swap.seal_of(crew_or_agent) is not None:
                return
            if self._shared is None:
                self._shared = endpoint_for(self._options.home)
            seal = Seal(self._options, orchestrator_of(crew_or_agent), self._shared, log=Log(self._log))
            seal.cover(crew_or_agent)
            self._seals[seal] = None
