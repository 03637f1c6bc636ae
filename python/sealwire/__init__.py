"""sealwire seals and signs every message between AI agents.

For a CrewAI crew, one line is enough::

    from sealwire.crewai import seal

    seal(crew).kickoff()

Underneath, an :class:`Endpoint` hosts agents, seals what they write and opens
what is sealed for them.
"""

from __future__ import annotations

import sealwire.forking  # noqa: F401 -- does its work by being imported
from sealwire._sealwire import Endpoint, Entry, Header, Incoming, Message, Node, Request, Sealed
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
    RemoteError,
    Revoked,
    SealwireError,
    SettingsError,
    TooLarge,
    TransportError,
    UnknownAgent,
    UnknownKey,
    UnknownLane,
    UnknownSigner,
    Unreachable,
    UnsupportedCrewAI,
)
from sealwire.labels import current_labels, label
from sealwire.transport import Delivery, MemoryTransport, Transport

__all__ = [
    "AuditFailed",
    "Delivery",
    "Denied",
    "Duplicate",
    "Endpoint",
    "Entry",
    "Expired",
    "FromFuture",
    "Header",
    "HomeError",
    "IdReused",
    "Incoming",
    "InvalidName",
    "JsonLines",
    "Malformed",
    "MemoryTransport",
    "Message",
    "Misdirected",
    "Node",
    "NotAuthentic",
    "NotSealed",
    "Overloaded",
    "RemoteError",
    "Request",
    "Revoked",
    "Sealed",
    "SealwireError",
    "SettingsError",
    "TooLarge",
    "Transport",
    "TransportError",
    "UnknownAgent",
    "UnknownKey",
    "UnknownLane",
    "UnknownSigner",
    "Unreachable",
    "UnsupportedCrewAI",
    "current_labels",
    "label",
]
