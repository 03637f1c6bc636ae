"""Tells the threads of the core when Python ends: from then on none of them may call it."""

from __future__ import annotations

import atexit

from sealwire._sealwire import python_ends

atexit.register(python_ends)
