"""The wire of the demo: it keeps what passes, and an attacker may sit on it."""

from __future__ import annotations

from collections.abc import Callable

from sealwire.transport import MemoryTransport

__all__ = ["Attack", "Wire"]

Attack = Callable[[str, bytes], bytes]
"""What an attacker does: gets the reader's address and an envelope, returns the bytes that arrive instead."""


class Wire:
    """A transport within this process that anyone could read and change, as on a network."""

    def __init__(self) -> None:
        self.sent: list[tuple[str, bytes]] = []
        """Everything that was sent, as it left the sender: to whom, and the envelope."""
        self.attack: Attack | None = None
        self._memory = MemoryTransport()

    def send(self, to: str, envelope: bytes) -> None:
        """Carry `envelope` to `to`, past the attacker if there is one."""
        self.sent.append((to, envelope))
        self._memory.send(to, self.attack(to, envelope) if self.attack else envelope)

    @property
    def envelopes(self) -> list[bytes]:
        """The envelopes alone."""
        return [envelope for _, envelope in self.sent]

    def receive(self, to: str) -> bytes:
        """The next bytes for `to`."""
        return self._memory.receive(to)
