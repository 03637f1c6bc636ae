"""Plays scenarios sealed, over a wire that keeps what it carries and may be in an attacker's hands."""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from scenarios import BY_NAME, Record, Stage, recorded

from sealwire import Entry, Header, MemoryTransport
from sealwire.crewai import seal, sealed

# Wraps CrewAI's methods, once for the process: before a test puts its recorder around them, and takes it off again.
with sealed(home=None):
    pass


class Wire:
    """A transport that keeps every envelope, and lets `attack` replace one: it gets its number and returns other bytes."""

    def __init__(self, attack: Callable[[int, bytes], bytes] | None = None) -> None:
        self.sent: list[tuple[str, bytes]] = []
        self._attack = attack
        self._lock = threading.Lock()
        self._memory = MemoryTransport(timeout=5)

    def send(self, to: str, envelope: bytes) -> None:
        with self._lock:
            number = len(self.sent)
            self.sent.append((to, envelope))
        self._memory.send(to, self._attack(number, envelope) if self._attack else envelope)

    def receive(self, to: str) -> bytes:
        return self._memory.receive(to)

    @property
    def bytes(self) -> list[bytes]:
        return [envelope for _, envelope in self.sent]


@dataclass
class Sealed:
    """What is known after a scenario was played sealed. `opened` comes from the core, not from the layer that is tested."""

    stage: Stage
    record: Record
    wire: Wire
    subject: Any
    result: Any = None
    entries: list[Entry] = field(default_factory=list)

    def opened(self) -> list[Header]:
        """The headers of all messages that were opened and released, in that order."""
        return [each.header for each in self._of("open") if each.header is not None]

    def sealed(self) -> list[Header]:
        """The headers of all messages that were sealed."""
        return [each.header for each in self._of("seal") if each.header is not None]

    def _of(self, direction: str) -> list[Entry]:
        return [each for each in self.entries if each.direction == direction and each.decision == "allowed"]


def play_in_a_block(name: str) -> Sealed:
    """Plays the scenario inside ``with sealed():``, where nobody seals its crews one by one."""
    wire = Wire()
    entries: list[Entry] = []
    with recorded() as record, sealed(home=None, transport=wire, audit=entries.append):
        stage, play = BY_NAME[name].play()
        result = play.run()
    return Sealed(stage, record, wire, play.subject, result, entries)


def play_sealed(name: str, attack: Callable[[int, bytes], bytes] | None = None, policy: Any = None) -> Sealed:
    """Builds the scenario, seals it, plays it; what it raises is raised."""
    wire = Wire(attack)
    entries: list[Entry] = []
    with recorded() as record:
        stage, play = BY_NAME[name].play()
        subject = seal(play.subject, home=None, transport=wire, audit=entries.append, policy=policy)
        played = Sealed(stage, record, wire, subject, entries=entries)
        try:
            played.result = play.run()
        except Exception as error:
            error.played = played  # type: ignore[attr-defined]
            raise
    return played


@functools.cache
def played(name: str) -> Sealed:
    """The scenario, played sealed once for all tests that look at it."""
    return play_sealed(name)


def bare(address: str) -> str:
    """The name in an address."""
    return address.split("@")[0]
