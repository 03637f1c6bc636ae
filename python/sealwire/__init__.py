"""sealwire seals and signs every message between AI agents.

For a CrewAI crew, one line is enough::

    from sealwire.crewai import seal

    seal(crew).kickoff()

Underneath, an :class:`Endpoint` hosts agents, seals what they write and opens
what is sealed for them.
"""

from __future__ import annotations

from sealwire._sealwire import Endpoint, Entry, Header, Message, Request, Sealed
from sealwire.audit import JsonLines
from sealwire.exceptions import (
    AuditFailed,
    Denied,
    Duplicate,
    Expired,
    FromFuture,
    HomeError,
    IdReused,
    InvalidName,
    Malformed,
    Misdirected,
    NotAuthentic,
    NotSealed,
    Overloaded,
    Revoked,
    SealwireError,
    TooLarge,
    TransportError,
    UnknownAgent,
    UnknownKey,
    UnknownLane,
    UnknownSigner,
    UnsupportedCrewAI,
)
from sealwire.labels import current_labels, label
from sealwire.transport import MemoryTransport, Transport

__all__ = [
    "AuditFailed",
    "Denied",
    "Duplicate",
    "Endpoint",
    "Entry",
    "Expired",
    "FromFuture",
    "Header",
    "HomeError",
    "IdReused",
    "InvalidName",
    "JsonLines",
    "Malformed",
    "MemoryTransport",
    "Message",
    "Misdirected",
    "NotAuthentic",
    "NotSealed",
    "Overloaded",
    "Request",
    "Revoked",
    "Sealed",
    "SealwireError",
    "TooLarge",
    "Transport",
    "TransportError",
    "UnknownAgent",
    "UnknownKey",
    "UnknownLane",
    "UnknownSigner",
    "UnsupportedCrewAI",
    "current_labels",
    "label",
]
