"""Reading TOML: with Python 3.11 and newer, or with the package that CrewAI installs."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

__all__ = ["read"]


def read(file: Path, refusal: Callable[[str], Exception]) -> dict[str, Any]:
    """What stands in `file`.

    Raises:
        FileNotFoundError: there is no such file.
        Exception: `refusal` of why it cannot be read.

    """
    try:
        text = file.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise
    except (OSError, UnicodeDecodeError) as error:
        raise refusal(f"cannot read `{file}`: {error}") from None
    toml = _reader()
    if toml is None:
        raise refusal(f"Python 3.10 cannot read `{file}` by itself: `pip install tomli`")
    try:
        content: dict[str, Any] = toml.loads(text)
    except toml.TOMLDecodeError as error:
        raise refusal(f"`{file}` is not TOML: {error}") from None
    return content


def _reader() -> Any:
    for name in ("tomllib", "tomli"):
        try:
            return importlib.import_module(name)
        except ModuleNotFoundError:
            continue
    return None
