"""Threads: a run follows its work into them.

Newer releases of CrewAI copy the context into their threads, older ones do not
for tools, time limits and async tasks, and neither does a tool that starts
threads of its own. Without the run, an agent called there would not know who
speaks, and its refusal would stop nothing. Only sealwire's own variables are
carried; everything else about the thread stays as it is.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from concurrent.futures import thread as futures
from contextvars import Context
from typing import Any

from sealwire.crewai.patch import wrap
from sealwire.crewai.run import carried, current_run

__all__ = ["watch"]


def watch() -> None:
    """Carry runs into threads from now on; outside runs nothing changes."""
    wrap(threading.Thread, "start", _carrying_start)
    wrap(ThreadPoolExecutor, "submit", _carrying_submit)


def _carrying_start(start: Any) -> Any:
    def carrying_start(self: Any) -> None:
        if current_run() is not None and not _is_worker(self):
            self.run = carried(self.run)
        start(self)

    return carrying_start


def _carrying_submit(submit: Any) -> Any:
    def carrying_submit(self: Any, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
        if _has_context(fn) or current_run() is None:
            return submit(self, fn, *args, **kwargs)
        return submit(self, carried(fn), *args, **kwargs)

    return carrying_submit


def _is_worker(thread: threading.Thread) -> bool:
    """Whether it is one of an executor's own threads: it outlives the run and works for others, so it must not carry it."""
    return getattr(thread, "_target", None) is futures._worker


def _has_context(function: Any) -> bool:
    """Whether `function` is ``Context.run``, plain as CrewAI submits its many events, or with arguments, as asyncio does."""
    bound = getattr(function, "__self__", None)
    if bound is None:
        bound = getattr(getattr(function, "func", None), "__self__", None)
    return type(bound) is Context
