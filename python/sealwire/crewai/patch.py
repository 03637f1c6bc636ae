"""Patches: methods of other people's classes, wrapped once and kept wrapped.

Test tools and instrumentation put methods of their own in place and take them
away again, ours with them if they came first. So patches are asked for at each
kickoff, and put back where they are gone.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

__all__ = ["wrap"]

#: :func:`functools.wraps` hands the mark on to whatever wraps our wrapper.
_MARK = "__sealwire_wrapped__"


def wrap(cls: Any, name: str, make: Callable[[Any], Any]) -> None:
    """Replace ``cls.name`` by what `make` makes of it, unless that is done already."""
    present = getattr(cls, name)
    if getattr(present, _MARK, None) is True:
        return
    wrapper = functools.wraps(present)(make(present))
    setattr(wrapper, _MARK, True)
    setattr(cls, name, wrapper)
