"""An audit that is a file of JSON lines.

Any function that takes an :class:`Entry` can be an audit; if it raises, the
message is not released. :class:`JsonLines` is the one that is built in.
"""

from __future__ import annotations

import json
import os
import threading
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

from sealwire.forking import renew_in_child

if TYPE_CHECKING:
    from sealwire._sealwire import Entry, Header

__all__ = ["JsonLines"]


class JsonLines:
    """Append one JSON object a line to `path`: who, to whom, what kind, what was decided.

    Never the content. A new file is readable by its owner only (0600). Each
    line reaches the operating system before the message is released.

    Fields: ``time`` (UTC, ISO 8601), ``direction`` (``seal`` or ``open``),
    ``decision`` (``allowed``, ``denied`` or ``refused``), ``reason``, ``from``,
    ``to``, ``kind``, ``labels``, ``size`` (bytes of the body), ``form``
    (``opening`` or ``lane``), ``thread``, ``id``, ``answers``, ``came_from``.
    Ids are hexadecimal. What was refused before its header could be trusted
    has no header fields.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self._fd = -1
        self._lock = threading.Lock()
        renew_in_child(self)
        self.path = os.fspath(path)
        self._fd = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)

    def __call__(self, entry: Entry) -> None:
        """Write `entry` as one line, or raise."""
        line = json.dumps(_fields(entry), ensure_ascii=True, separators=(",", ":"))
        with self._lock:
            _write_all(self._fd, line.encode("ascii") + b"\n")

    def close(self) -> None:
        """Close the file. Later entries cannot be written, so nothing more is released."""
        with self._lock:
            if self._fd >= 0:
                os.close(self._fd)
                self._fd = -1

    def __del__(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)

    def __repr__(self) -> str:
        return f"JsonLines({self.path!r})"


def _fields(entry: Entry) -> dict[str, Any]:
    when = datetime.fromtimestamp(entry.time, timezone.utc)
    fields: dict[str, Any] = {
        "time": when.isoformat().replace("+00:00", "Z"),
        "direction": entry.direction,
        "decision": entry.decision,
        "reason": entry.reason,
        "size": entry.size,
        "form": entry.form,
    }
    if entry.header is not None:
        fields.update(_header_fields(entry.header))
    return fields


def _header_fields(header: Header) -> dict[str, Any]:
    return {
        "from": header.sender,
        "to": header.reader,
        "kind": header.kind,
        "labels": sorted(header.labels),
        "thread": header.thread.hex(),
        "id": header.id.hex(),
        "answers": _ref(header.answers),
        "came_from": _ref(header.came_from),
    }


def _ref(ref: tuple[bytes, bytes] | None) -> str | None:
    """A reference as ``signer/id`` in hexadecimal."""
    return None if ref is None else f"{ref[0].hex()}/{ref[1].hex()}"


def _write_all(fd: int, data: bytes) -> None:
    while data:
        data = data[os.write(fd, data) :]
