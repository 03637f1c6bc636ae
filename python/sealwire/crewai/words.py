"""Words: how prompts and results are written as bytes.

Text is UTF-8. Everything else is JSON with sorted keys and no spare spaces, so
that the same thing is always the same bytes.
"""

from __future__ import annotations

import json
from typing import Any

from pydantic import BaseModel

__all__ = ["JSON", "TEXT", "canonical", "decoded", "encoded", "result_words"]

TEXT = "text/plain; charset=utf-8"
JSON = "application/json"


def encoded(text: str) -> bytes:
    """`text` as UTF-8; lone surrogates, which models do produce, survive the way there and back."""
    return text.encode("utf-8", "surrogatepass")


def decoded(body: bytes) -> str:
    """The text :func:`encoded` made `body` of."""
    return body.decode("utf-8", "surrogatepass")


def canonical(value: Any) -> bytes:
    """`value` as JSON; what JSON cannot say, such as a file, is named by its ``repr``."""
    text = json.dumps(value, default=_plain, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    return encoded(text)


def result_words(result: Any) -> tuple[bytes, str]:
    """What an agent returned, as bytes and their content type.

    For a model this is exactly what CrewAI takes as the task's raw output; for
    the output of :meth:`Agent.kickoff` it is its raw text and its model.
    """
    if isinstance(result, str):
        return encoded(result), TEXT
    if hasattr(result, "agent_role") and isinstance(getattr(result, "raw", None), str):
        return canonical({"pydantic": getattr(result, "pydantic", None), "raw": result.raw}), JSON
    if isinstance(result, BaseModel):
        return encoded(result.model_dump_json()), JSON
    return canonical(result), JSON


def _plain(value: Any) -> Any:
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json")
    return repr(value)
