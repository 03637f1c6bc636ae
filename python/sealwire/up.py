"""``sealwire up``: runs every agent of a ``sealwire.toml`` as a process of its own, until it is stopped.

Each agent is a node of the domain with a home, keys and an environment of its
own, so that what one of them knows is not in the memory, the files or the
environment of another. Crews on this machine reach them over the loopback
device; nothing is configured, as the roster says where they are.
"""

from __future__ import annotations

import argparse
import contextlib
import fcntl
import os
import socket
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from sealwire._sealwire import Home
from sealwire.exceptions import SealwireError
from sealwire.stopping import Stopping
from sealwire.tables import Table, Unreadable, agents_of
from sealwire.tending import Tended, Voice

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["main"]

_NOT_STARTED = 2

#: Where agents listen, on the loopback device: ports that no system gives out by itself, from the first one after those of other commands.
_PORTS = range(7460, 8192)

#: Seconds between two looks at the roster of the main home: a revocation is known to all agents that soon.
_LOOK = 1.0

#: Looks after which the roster is renewed if it is due, an hour's worth: nothing else may be running that does it.
_LOOKS_UNTIL_RENEWAL = 3600

#: Seconds in which agents end by themselves, all of them at once. Work that is not done by then is for the next process.
_STOP_TIME = 10.0

#: What an agent's environment has beside what the file says: what programs need in order to start, and nobody's secret.
_BASE = ("LANG", "LANGUAGE", "LC_ALL", "LC_CTYPE", "NO_COLOR", "PATH", "PYTHONPATH", "TMPDIR", "TZ")


class NotStarted(Exception):
    """The agents cannot be run: what is missing, where, and what to do."""


def main(argv: Sequence[str]) -> int:
    """Run what `argv` says: ``[--home PATH] [--file FILE] [--json] [NAME…]``.

    Returns the exit code: 0 after SIGTERM, 130 after Ctrl-C, 2 if nothing could be started.
    """
    options = _options(argv)
    voice = Voice(as_json=options.json)
    try:
        tables = _chosen(agents_of(Path(options.file)), options.names, options.file)
        with _alone(_beside(Path(options.home), tables)) as folder:
            home = Home(options.home)
            if home.created:
                voice.say(f"made a home: {options.home} (node `{home.node}`); it holds the root key of a new domain: back it up")
            main = Path(options.home)
            return _run(home, main, [_tended(home, main, folder, table, voice) for table in tables], voice)
    except (NotStarted, Unreadable, SealwireError) as error:
        voice.fail(str(error))
        return _NOT_STARTED


def _options(argv: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="sealwire up", allow_abbrev=False)
    parser.add_argument("--home", required=True)
    parser.add_argument("--file", required=True)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("names", nargs="*")
    return parser.parse_args(argv)


def _chosen(tables: dict[str, Table], names: Sequence[str], file: str) -> list[Table]:
    unknown = [name for name in names if name not in tables]
    if unknown:
        raise NotStarted(f"`{file}` has no [agents.{unknown[0]}]; it has {', '.join(tables)}")
    return [table for name, table in tables.items() if not names or name in names]


# --- homes ------------------------------------------------------------------------------------------------------------


def _beside(home: Path, tables: Iterable[Table]) -> Path:
    """The folder with the agents' homes. Who has an account of its own finds its home there, and no other's."""
    folder = home.absolute().with_name(f"{home.name}.agents")
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        folder.chmod(0o711 if any(table.account for table in tables) else 0o700)
        ignored = folder / ".gitignore"
        if not ignored.exists():
            ignored.write_text("*\n", encoding="utf-8")
    except OSError as error:
        raise NotStarted(f"cannot make `{folder}` for the homes of the agents: {error.strerror}; choose another --home") from None
    return folder


@contextlib.contextmanager
def _alone(folder: Path) -> Iterator[Path]:
    """While this is the only ``sealwire up`` of that home."""
    with (folder / "up.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise NotStarted(
                f"another `sealwire up` runs the agents in `{folder}`; stop that one first, or choose another --home"
            ) from None
        yield folder


def _tended(home: Home, main: Path, folder: Path, table: Table, voice: Voice) -> Tended:
    """The agent with a home, which is made and paired if there is none, and where it listens."""
    path = folder / table.name
    node = f"{home.node}-{table.name}"
    location = _enrolled(home, main, path, node, table.name)
    if table.account is not None:
        _give(path, table)
    line = [table.python, "-m", "sealwire", "serve", "--stop-with-stdin", "--home", str(path), "--listen", location]
    return Tended(table, [*line, "--name", table.name, table.run], _environment(table), path, voice)


def _enrolled(home: Home, main: Path, path: Path, node: str, agent: str) -> str:
    is_whole = (path / "roster.cbor").exists()
    if is_whole:
        # Where it was paired by hand, its roster is the newer one, which lists it.
        Home(path).share_roster(main)
    members = {name: (hosts, addresses) for name, hosts, addresses in home.members()}
    hosts, addresses = members.get(node, ([], []))
    if is_whole and hosts == [agent] and addresses and _is_free(addresses[0]):
        home.share_roster(path)
        return addresses[0]
    taken = {address for _, addresses in members.values() for address in addresses}
    free = (address for address in map("tcp://127.0.0.1:{}".format, _PORTS) if address not in taken and _is_free(address))
    location = next(free, None)
    if location is None:
        raise NotStarted(f"all ports from {_PORTS[0]} to {_PORTS[-1]} of the loopback device are taken; stop what uses them")
    if not home.holds_root:
        raise NotStarted(
            f"`{path}` is no home of a node `{node}`, and this machine cannot make one, as it does not hold the root key of its domain: "
            f"where that is, `sealwire invite {node} --agents {agent}`; here `sealwire join - --home {path} --at {location}`"
        )
    home.enrol(path, node, [agent], [location])
    return location


def _is_free(location: str) -> bool:
    """Whether somebody could listen there now."""
    host, _, port = location.removeprefix("tcp://").rpartition(":")
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, int(port)))
        except (OSError, ValueError):
            return False
    return True


def _give(path: Path, table: Table) -> None:
    """Let the home belong to the agent's account. Links are not followed: what lies in it may be the agent's own making."""
    account = table.account
    assert account is not None
    _require_way(path, table)
    if path.stat().st_uid == account.uid:
        return
    for _, folders, files, at in os.fwalk(path):
        for name in (*folders, *files):
            os.chown(name, account.uid, account.gid, dir_fd=at, follow_symlinks=False)
    os.chown(path, account.uid, account.gid)


def _require_way(path: Path, table: Table) -> None:
    account = table.account
    assert account is not None
    for folder in path.parents:
        found = folder.stat()
        open_to = 0o001 | (0o010 if found.st_gid == account.gid else 0) | (0o100 if found.st_uid == account.uid else 0)
        if not found.st_mode & open_to:
            raise NotStarted(
                f"user `{account.name}` of [agents.{table.name}] cannot enter `{folder}`, where its home is: "
                f"`chmod o+x {folder}`, or work in a folder that all may enter, such as one in /srv"
            )


def _environment(table: Table) -> dict[str, str]:
    """What the agent is started with: nothing of this process's own environment but what programs need in order to start."""
    base = {name: os.environ[name] for name in _BASE if name in os.environ}
    if table.account is None:
        base.update({name: os.environ[name] for name in ("HOME", "LOGNAME", "USER") if name in os.environ})
    else:
        base.update(HOME=table.account.home, LOGNAME=table.account.name, USER=table.account.name)
    return {**base, "PYTHONUNBUFFERED": "1", **table.env}


# --- running ----------------------------------------------------------------------------------------------------------


def _run(home: Home, path: Path, agents: list[Tended], voice: Voice) -> int:
    with Stopping() as stopping:
        for agent in agents:
            agent.start()
        roster = _Roster(home, path / "roster.cbor", [agent.home for agent in agents], voice)
        while not stopping.wait(_LOOK):
            roster.look()
        for agent in reversed(agents):
            agent.stop()
        for agent in agents:
            agent.join_or_kill(_STOP_TIME)
        voice.say("stopped")
        return stopping.code


class _Roster:
    """The roster of the main home, which the agents' homes are given whenever it changes."""

    def __init__(self, home: Home, file: Path, homes: list[Path], voice: Voice) -> None:
        self._home, self._file, self._homes, self._voice = home, file, homes, voice
        self._given: tuple[int, int] | None = None
        self._looks = 0

    def look(self) -> None:
        """Give it, if it has changed or may have to be renewed."""
        self._looks += 1
        if self._stamp() == self._given and self._looks % _LOOKS_UNTIL_RENEWAL:
            return
        for home in self._homes:
            try:
                self._home.share_roster(home)
            except SealwireError as error:
                self._voice.say(f"the roster is not given to `{home}`: {error}")
        self._given = self._stamp()

    def _stamp(self) -> tuple[int, int] | None:
        try:
            found = self._file.stat()
        except OSError:
            return None
        return found.st_ino, found.st_mtime_ns
