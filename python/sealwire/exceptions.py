"""What can go wrong, one class for each fact a caller can act on.

Everything derives from :class:`SealwireError`, and that from :class:`Exception`.
Nothing here ever carries content, a key or the bytes of an envelope.
"""

from __future__ import annotations

__all__ = [
    "AuditFailed",
    "Denied",
    "Duplicate",
    "Expired",
    "FromFuture",
    "HomeError",
    "IdReused",
    "InvalidName",
    "Malformed",
    "Misdirected",
    "NotAuthentic",
    "NotSealed",
    "Overloaded",
    "RemoteError",
    "Revoked",
    "SealwireError",
    "SettingsError",
    "TooLarge",
    "TransportError",
    "UnknownAgent",
    "UnknownKey",
    "UnknownLane",
    "UnknownSigner",
    "Unreachable",
    "UnsupportedCrewAI",
]


class SealwireError(Exception):
    """Anything sealwire refuses or fails to do."""


class Malformed(SealwireError):
    """The bytes are not an envelope of this version."""


class TooLarge(SealwireError):
    """A body, header, certificate or envelope is over its limit."""


class UnknownKey(SealwireError):
    """The envelope names a receive key that is not held here."""


class UnknownLane(SealwireError):
    """The envelope names a lane that is not held here, or not any more."""


class NotAuthentic(SealwireError):
    """The envelope was altered, or was not sealed by this peer for this identity."""


class UnknownSigner(SealwireError):
    """The envelope is signed by a key that nobody vouches for here."""


class Revoked(SealwireError):
    """The signer, its node or the reader was revoked."""


class Misdirected(SealwireError):
    """The message is authentic, but was meant for another place than this one."""


class Expired(SealwireError):
    """The message is older than its sender allowed."""


class FromFuture(SealwireError):
    """The message was issued later than the clock here allows."""


class Duplicate(SealwireError):
    """The message was already opened."""


class IdReused(SealwireError):
    """A message with this id and other content was already seen."""


class Denied(SealwireError):
    """The policy did not allow the message."""


class AuditFailed(SealwireError):
    """The audit could not write, so the message is not released."""


class Overloaded(SealwireError):
    """More work is waiting than the endpoint accepts; nothing was changed."""


class UnknownAgent(SealwireError):
    """The message is to or from an agent nobody knows here."""


class InvalidName(SealwireError):
    """A name is not one an agent or a node can have, or is already taken."""


class HomeError(SealwireError):
    """The home cannot be made, read or written."""


class TransportError(SealwireError):
    """The transport did not take an envelope, or did not bring one."""


class Unreachable(SealwireError, TimeoutError):
    """No reply came in time: the other node does not run, cannot be reached, or is not done yet."""


class RemoteError(SealwireError):
    """The agent on the other host could not do it; the text is its own."""


class UnsupportedCrewAI(SealwireError):
    """The installed CrewAI lacks something that sealing needs."""


class NotSealed(SealwireError):
    """An agent or a crew of a sealed class has no seal, so it does not run."""


class SettingsError(SealwireError):
    """`sealwire.toml`, an environment variable or an argument says something that cannot be done."""
