"""The tables ``[agents.NAME]`` of a ``sealwire.toml``: what is to be run, and with what.

Read strictly: what is not known is refused, as a mistyped ``env_flie`` would
otherwise start an agent without its keys.
"""

from __future__ import annotations

import os
import pwd
import re
import shutil
import stat
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sealwire import toml

__all__ = ["Account", "Table", "Unreadable", "agents_of"]

#: Tables that such a file may have. What stands in the others is for who reads them.
_TABLES = ("agents", "node")

#: Names of agents, as the core takes them; a node's name is made of one, and must not be longer than a name may be.
_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,31}")

_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


class Unreadable(Exception):
    """The file does not say what to run: where it is wrong, and what is known."""


@dataclass(frozen=True)
class Account:
    """A user of this system."""

    name: str
    uid: int
    gid: int
    home: str


@dataclass(frozen=True)
class Table:
    """One agent."""

    name: str
    run: str
    """What ``sealwire serve`` takes: ``agents.py:researcher``."""
    folder: Path
    """Where it runs: the folder of the file."""
    env: dict[str, str] = field(default_factory=dict, repr=False)
    account: Account | None = None
    python: str = sys.executable


def agents_of(file: Path) -> dict[str, Table]:
    """The agents of `file` by name, in its order.

    Raises:
        Unreadable: it cannot be read, or says something that is not known.

    """
    content = _read(file)
    for name in content:
        if name not in _TABLES:
            raise Unreadable(f"`{file}`: `{name}` is not known; known are {_listed(f'[{table}]' for table in ('agents.NAME', 'node'))}")
    tables = content.get("agents", {})
    if not isinstance(tables, dict) or not all(isinstance(table, dict) for table in tables.values()):
        raise Unreadable(f"`{file}`: agents are tables, as in [agents.researcher]")
    if not tables:
        raise Unreadable(f'`{file}` has no agents: write a table [agents.researcher] with `run = "agents.py:researcher"`')
    return {name: _table(file, name, table) for name, table in tables.items()}


def _table(file: Path, name: str, table: dict[str, Any]) -> Table:
    where = f"`{file}`, [agents.{name}]"
    if not _NAME.fullmatch(name):
        raise Unreadable(f"{where}: an agent's name is 1 to 32 characters of a-z, 0-9, `.`, `_` and `-`, and starts with a letter or digit")
    for key in table:
        if key not in _KEYS:
            raise Unreadable(f"{where}: `{key}` is not known; known are {_listed(f'`{key}`' for key in _KEYS)}")
    for key, (kind, said) in _KEYS.items():
        if key in table and not kind(table[key]):
            raise Unreadable(f"{where}: `{key}` is {said}")
    if "run" not in table:
        raise Unreadable(f'{where}: `run` is missing; it says what is served, as in `run = "agents.py:{name}"`')
    folder = file.absolute().parent
    env = {**(_env_file(where, folder / table["env_file"]) if "env_file" in table else {}), **table.get("env", {})}
    account = _account(where, table["user"]) if "user" in table else None
    python = _python(where, folder, table["python"]) if "python" in table else sys.executable
    return Table(name, table["run"], folder, env, account, python)


def _is_text(value: object) -> bool:
    return isinstance(value, str) and value != "" and "\0" not in value


def _is_environment(value: object) -> bool:
    return isinstance(value, dict) and all(
        _VARIABLE.fullmatch(name) is not None and isinstance(text, str) and "\0" not in text for name, text in value.items()
    )


#: Keys of a table: what their values must be, and how that is said.
_KEYS: dict[str, tuple[Callable[[object], bool], str]] = {
    "run": (_is_text, 'what `sealwire serve` takes, as in "agents.py:researcher"'),
    "env": (_is_environment, 'a table of texts by name, as in { MODEL = "ollama/llama3.2" }'),
    "env_file": (_is_text, "the name of a file with lines NAME=VALUE"),
    "user": (_is_text, "the name of a user of this system"),
    "python": (_is_text, "the name of a Python interpreter"),
}


def _env_file(where: str, file: Path) -> dict[str, str]:
    """Lines ``NAME=VALUE``. Quotes around a value are taken off; empty lines and those that begin with ``#`` say nothing."""
    try:
        found = file.stat()
        if found.st_mode & (stat.S_IRWXG | stat.S_IRWXO):
            mode = stat.S_IMODE(found.st_mode)
            raise Unreadable(f"{where}: others can read `{file}` (mode {mode:03o}), which may hold secrets: `chmod 600 {file}`")
        lines = file.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise Unreadable(f"{where}: cannot read the `env_file` `{file}`: {error}") from None
    env = {}
    for number, line in enumerate(map(str.strip, lines), 1):
        if not line or line.startswith("#"):
            continue
        name, is_set, value = line.partition("=")
        if not is_set or not _VARIABLE.fullmatch(name.strip()) or "\0" in value:
            raise Unreadable(f"{where}: line {number} of `{file}` is not of the form NAME=VALUE")
        env[name.strip()] = _unquoted(value.strip())
    return env


def _unquoted(value: str) -> str:
    return value[1:-1] if len(value) > 1 and value[0] == value[-1] and value[0] in "'\"" else value


def _account(where: str, name: str) -> Account:
    try:
        found = pwd.getpwnam(name)
    except KeyError:
        raise Unreadable(f"{where}: there is no user `{name}`: `sudo useradd --system --create-home {name}` makes one") from None
    if os.geteuid() != 0 and found.pw_uid != os.geteuid():
        raise Unreadable(f"{where}: only root can run an agent as user `{name}`: start `sealwire up` by sudo, or leave `user` out")
    return Account(name, found.pw_uid, found.pw_gid, found.pw_dir)


def _python(where: str, folder: Path, name: str) -> str:
    """A path is seen from the folder of the file. Links are kept: a virtual environment is known by its own."""
    path = os.path.abspath(folder / Path(name).expanduser()) if os.sep in name else shutil.which(name)
    if path is None or not os.access(path, os.X_OK):
        raise Unreadable(f"{where}: there is no Python `{name}`")
    return path


def _read(file: Path) -> dict[str, Any]:
    try:
        return toml.read(file, Unreadable)
    except FileNotFoundError:
        raise Unreadable(f"there is no file `{file}`; it says which agents there are, and --file names another one") from None


def _listed(names: Any) -> str:
    *first, last = names
    return f"{', '.join(first)} and {last}" if first else str(last)
