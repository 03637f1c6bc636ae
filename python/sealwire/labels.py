"""Labels: words on a message, inside its signed header, that policy reads.

    with sealwire.label("pii"):
        crew.kickoff()

Every message sealed inside the block carries the label, also from threads and
asyncio tasks that copy the context. Blocks add up.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

__all__ = ["current_labels", "label"]

#: 1 to 64 printable ASCII characters without spaces: what a header accepts.
_WORD = re.compile(r"[!-~]{1,64}")

_current: ContextVar[frozenset[str]] = ContextVar("sealwire_labels", default=frozenset())


@contextmanager
def label(*words: str) -> Iterator[None]:
    """Put `words` on every message that is sealed inside the block.

    Raises:
        ValueError: a word is empty, longer than 64 characters, or holds a
            space or anything but printable ASCII.

    """
    token = _current.set(_current.get() | checked(words))
    try:
        yield
    finally:
        _current.reset(token)


def current_labels() -> frozenset[str]:
    """The labels of the blocks this code runs in."""
    return _current.get()


def checked(words: Iterable[str]) -> frozenset[str]:
    """Return `words` as a set when each can stand in a header."""
    found = tuple(words)
    for word in found:
        if not isinstance(word, str) or not _WORD.fullmatch(word):
            raise ValueError(f"{word!r} is not a label: 1 to 64 printable ASCII characters, no spaces")
    return frozenset(found)
