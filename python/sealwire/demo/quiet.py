"""Keeps CrewAI from talking to its servers, printing, and writing into the user's folders, for as long as the demo runs."""

from __future__ import annotations

import contextlib
import io
import os
import tempfile
from collections.abc import Iterator

__all__ = ["quiet"]

_SETTINGS = {
    "CREWAI_DISABLE_TELEMETRY": "true",
    "CREWAI_TRACING_ENABLED": "false",
    "CREWAI_TESTING": "true",  # no offer to look at traces after the first run, which waits 20 s for an answer
    "LITELLM_LOCAL_MODEL_COST_MAP": "True",
    "OTEL_SDK_DISABLED": "true",
}

#: The variables by which CrewAI is told a model, as the project's own `model.py` knows them.
_MODELS = ("MODEL", "MODEL_NAME", "OPENAI_MODEL_NAME", "OPENAI_API_KEY")


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """CrewAI's databases go to a folder that is gone afterwards; the environment is as before."""
    with (
        tempfile.TemporaryDirectory(prefix="sealwire-demo-", ignore_cleanup_errors=True) as storage,
        _environment({**_SETTINGS, "CREWAI_STORAGE_DIR": storage, **_home(storage)}),
        _temporary_files(storage),
        contextlib.redirect_stdout(io.StringIO()),
    ):
        yield


def _home(storage: str) -> dict[str, str]:
    """CrewAI makes a key in the user's home folder even when it runs offline; a model may need credentials from there."""
    return {} if any(os.environ.get(name) for name in _MODELS) else {"HOME": storage, "LOCALAPPDATA": storage}


@contextlib.contextmanager
def _temporary_files(storage: str) -> Iterator[None]:
    """CrewAI leaves its lock files where temporary files go."""
    before, tempfile.tempdir = tempfile.tempdir, storage
    try:
        yield
    finally:
        tempfile.tempdir = before


@contextlib.contextmanager
def _environment(settings: dict[str, str]) -> Iterator[None]:
    before = {name: os.environ.get(name) for name in settings}
    os.environ.update(settings)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
