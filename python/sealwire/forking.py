"""Lets no process fork while a thread of it is inside an endpoint, or with a home open.

A child would find locks that nobody gives back, and a database of which it
believes to hold locks that are its parent's alone.
"""

from __future__ import annotations

import os

from sealwire._sealwire import after_fork, before_fork

if hasattr(os, "register_at_fork"):  # not on Windows, where nothing forks
    os.register_at_fork(before=before_fork, after_in_parent=after_fork, after_in_child=after_fork)
