"""Keeps CrewAI quiet, offline and out of the user's folders; must run before anything imports it."""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile
from pathlib import Path

import pytest

_STORAGE = tempfile.mkdtemp(prefix="crewai-")
atexit.register(shutil.rmtree, _STORAGE, ignore_errors=True)
tempfile.tempdir = _STORAGE  # CrewAI leaves lock files, and pytest its folders, where temporary files go

os.environ.update(
    CREWAI_DISABLE_TELEMETRY="true",
    CREWAI_STORAGE_DIR=_STORAGE,
    CREWAI_TESTING="true",
    CREWAI_TRACING_ENABLED="false",
    LITELLM_LOCAL_MODEL_COST_MAP="True",
    OTEL_SDK_DISABLED="true",
    TMPDIR=_STORAGE,
)
for _name in ("MODEL", "MODEL_NAME", "OPENAI_MODEL_NAME", "OPENAI_API_KEY"):
    os.environ.pop(_name, None)


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """CrewAI writes training files, and sealwire its home, into the working folder."""
    monkeypatch.chdir(tmp_path)
