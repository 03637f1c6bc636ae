"""The entry of a CrewAI project: what ``crewai run`` would run, as ``pyproject.toml`` says.

A project has a script (``run_crew``, or ``kickoff`` for a flow), or since CrewAI
1.15 a definition file that CrewAI reads without any code of the project's own.
"""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

__all__ = ["Definition", "NoEntry", "NoToml", "Script", "entry_of", "toml_reader"]

_FLOW = "flow"

#: Names of the script that runs a project, the more likely one first.
_CREW_SCRIPTS = ("run_crew", "kickoff")
_FLOW_SCRIPTS = ("kickoff", "run_crew")


class NoToml(Exception):
    """Nothing here reads TOML, and what to install."""


class NoEntry(Exception):
    """The folder has no entry: what was looked for, where, and what to do."""


@dataclass(frozen=True)
class Script:
    """An entry of ``[project.scripts]``: a function without arguments."""

    name: str
    target: str
    """``module:function``."""


@dataclass(frozen=True)
class Definition:
    """A crew or a flow that is described by a file."""

    path: Path
    is_flow: bool


def entry_of(folder: Path) -> Script | Definition:
    """What the project in `folder` runs.

    Raises:
        NoEntry: there is no project, or it says nothing of the kind.
    """
    file = folder / "pyproject.toml"
    content = _read(file)
    crewai = _table(content, "tool", "crewai")
    is_flow = crewai.get("type") == _FLOW
    definition = crewai.get("definition")
    if isinstance(definition, str) and definition.strip():
        return Definition(_definition(folder, definition.strip()), is_flow)
    scripts = _table(content, "project", "scripts")
    for name in _FLOW_SCRIPTS if is_flow else _CREW_SCRIPTS:
        target = scripts.get(name)
        if isinstance(target, str):
            return Script(name, target)
    raise NoEntry(
        f"`{file}` names no entry: neither `{_CREW_SCRIPTS[0]}` or `{_FLOW_SCRIPTS[0]}` in [project.scripts]"
        " nor `definition` in [tool.crewai]; name a file, or a module with -m"
    )


def _definition(folder: Path, definition: str) -> Path:
    path = (folder / definition).resolve()
    if path.is_relative_to(folder.resolve()) and path.is_file():
        return path
    raise NoEntry(f"`definition` in [tool.crewai] of `{folder / 'pyproject.toml'}` is no file of the project: `{definition}`")


def _read(file: Path) -> dict[str, Any]:
    try:
        text = file.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise NoEntry(
            f"there is no `{file.name}` in `{file.parent}`, so nothing says what to run; name a file, or a module with -m"
        ) from None
    except (OSError, UnicodeDecodeError) as error:
        raise NoEntry(f"cannot read `{file}`: {error}") from None
    try:
        toml = toml_reader()
    except NoToml as error:
        raise NoEntry(f"cannot read `{file.name}`: {error}; or name a file, or a module with -m") from None
    try:
        content: dict[str, Any] = toml.loads(text)
    except toml.TOMLDecodeError as error:
        raise NoEntry(f"`{file}` is not TOML: {error}") from None
    return content


def toml_reader() -> Any:
    """The TOML reader of Python 3.11 and newer, or the one that CrewAI installs.

    Raises:
        NoToml: there is none.
    """
    for name in ("tomllib", "tomli"):
        try:
            return importlib.import_module(name)
        except ModuleNotFoundError:
            continue
    raise NoToml("Python 3.10 cannot read TOML by itself: `pip install tomli`")


def _table(content: dict[str, Any], *names: str) -> dict[str, Any]:
    table: Any = content
    for name in names:
        table = table.get(name) if isinstance(table, dict) else None
    return table if isinstance(table, dict) else {}
