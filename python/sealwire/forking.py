"""Lets no process fork while a thread of it is at work in an endpoint, or with a home open.

A child would find locks that nobody gives back, and a database of which it
believes to hold locks that are its parent's alone.
"""

from __future__ import annotations

# For their hooks: what was registered first is called last before a fork. These take locks that a thread at work in an endpoint may
# want, in a clock that logs say, so that thread is to be waited for first.
import concurrent.futures.thread  # noqa: F401
import logging  # noqa: F401
import os
import threading
from typing import Any
from weakref import WeakSet

from sealwire._sealwire import after_fork, before_fork

__all__ = ["renew_in_child"]

_renewed: WeakSet[Any] = WeakSet()


def renew_in_child(owner: Any) -> None:
    """Give `owner` a new ``_lock`` in each child: another thread of the parent may hold it at the fork."""
    _renewed.add(owner)


def _in_child() -> None:
    after_fork()
    for owner in _renewed:
        owner._lock = threading.Lock()


if hasattr(os, "register_at_fork"):  # not on Windows, where nothing forks
    os.register_at_fork(before=before_fork, after_in_parent=after_fork, after_in_child=_in_child)
