"""Words: how prompts and results are written as bytes.

Text is UTF-8. Everything else is JSON with sorted keys and no spare spaces, so
that the same thing is always the same bytes.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel

from sealwire.exceptions import RemoteError

if TYPE_CHECKING:
    from sealwire._sealwire import Message

__all__ = ["JSON", "TEXT", "canonical", "decoded", "encoded", "fields", "result_words"]

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


def fields(message: Message, **required: type) -> dict[str, Any]:
    """The JSON object that another host has sent, with fields of these types at least.

    Raises:
        RemoteError: it is something else.

    """
    try:
        told = json.loads(decoded(message.body))
    except (ValueError, RecursionError):
        told = None
    if not isinstance(told, dict) or not all(isinstance(told.get(name), kind) for name, kind in required.items()):
        raise RemoteError(
            f"`{message.header.sender}` sent a `{message.header.kind}` not of the form agreed on; do both hosts run one release?"
        )
    return told


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
