"""Spans for OpenTelemetry, in programs that have set a tracer provider.

A span has names, kinds, ids and sizes, and the class of an exception; never
content, labels, keys or an exception's text. Nothing about a trace travels in
a message: spans of two hosts are joined by the message's id, which is the same
on both.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

__all__ = ["Noted", "span"]

#: What CrewAI's own telemetry calls itself. Some releases make it everybody's provider, and it reports to its makers.
_CREWAI = "crewai"


class Noted:
    """Takes what is known of a span only later."""

    def __init__(self, span: Any = None) -> None:
        self._span = span

    def note(self, **facts: str | int) -> None:
        """Add facts."""
        if self._span is not None:
            for name, fact in facts.items():
                self._span.set_attribute(f"sealwire.{name}", fact)


_SILENCE = nullcontext(Noted())


def span(name: str, **facts: str | int) -> AbstractContextManager[Noted]:
    """While something is done, if somebody wants to know."""
    api = _api()
    if api is None or not _is_listened_to(api):
        return _SILENCE
    return _told(api, name, facts)


@contextmanager
def _told(api: Any, name: str, facts: dict[str, str | int]) -> Iterator[Noted]:
    tracer = api.get_tracer("sealwire")
    # What the API would note of an exception by itself is its text, which may quote content.
    with tracer.start_as_current_span(f"sealwire.{name}", record_exception=False, set_status_on_exception=False) as current:
        noted = Noted(current)
        noted.note(**facts)
        try:
            yield noted
        except BaseException as error:
            current.set_status(api.StatusCode.ERROR, type(error).__name__)
            raise


@functools.cache
def _api() -> Any:
    """OpenTelemetry's API, if it is installed; CrewAI brings it."""
    try:
        from opentelemetry import trace
    except ImportError:
        return None
    return trace


def _is_listened_to(api: Any) -> bool:
    """Whether a provider was set, and not by CrewAI. Without one, spans would be made and thrown away with every message."""
    provider = api.get_tracer_provider()
    if isinstance(provider, api.ProxyTracerProvider | api.NoOpTracerProvider):
        return False
    attributes = getattr(getattr(provider, "resource", None), "attributes", {})
    return not str(attributes.get("service.name", "")).lower().startswith(_CREWAI)
