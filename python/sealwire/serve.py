"""``sealwire serve``: serves CrewAI agents to crews on other hosts, until it is stopped.

What is served is found in a Python file or module: agents, lists of them,
crews, or functions that make one of these. Whatever happens to this process,
requests that were taken over are worked on by the next one.
"""

from __future__ import annotations

import argparse
import importlib
import importlib.util
import inspect
import logging
import os
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, NoReturn

from sealwire.audit import JsonLines
from sealwire.exceptions import SealwireError
from sealwire.stopping import Stopping

if TYPE_CHECKING:
    from sealwire._sealwire import Entry, Node

__all__ = ["main"]

_NOT_STARTED = 2

#: Seconds for the node to close: it gives its transport 2 s itself, and containers are killed after 10. What it has taken over is kept.
_CLOSING_TIME = 5.0


class NotStarted(Exception):
    """The agents cannot be served: what is missing, where, and what to do."""


def main(argv: Sequence[str]) -> int:
    """Serve what `argv` says: the options of :func:`_options`, and ``TARGET…``.

    Returns the exit code: 0 after SIGTERM, 130 after Ctrl-C, 2 if it could not be started.
    """
    options = _options(argv)
    try:
        agents = _agents(options)
        # After CrewAI was imported, which has a handler of its own for SIGTERM, and before there is work that could be left in the middle.
        with Stopping() as stopping:
            _until_stopped(_node(options, agents), stopping, with_stdin=options.stop_with_stdin)
    except (NotStarted, SealwireError) as error:
        _say(str(error))
    return _NOT_STARTED


def _options(argv: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="sealwire serve", allow_abbrev=False)
    parser.add_argument("--home", default="./.sealwire")
    parser.add_argument("--listen", action="append")
    parser.add_argument("--via")
    parser.add_argument("--name")
    parser.add_argument("--audit")
    parser.add_argument("--all", action="store_true")
    parser.add_argument("--stop-with-stdin", action="store_true")
    parser.add_argument("targets", nargs="+")
    return parser.parse_args(argv)


def _node(options: argparse.Namespace, agents: list[Any]) -> Node:
    """The node that serves them, and a line on standard error for each."""
    serve = importlib.import_module("sealwire.crewai.serve")
    logging.basicConfig(stream=sys.stderr, format="sealwire: %(message)s", level=logging.WARNING)
    logging.getLogger("sealwire").setLevel(logging.INFO)
    names = {} if options.name is None else {serve.role_of(agents[0]): options.name}
    way = {"listen": options.listen, "via": options.via}
    node: Node = serve.serve(*agents, names=names, home=options.home, audit=_Told(_audit(options)), **way)
    others = len(node.endpoint.members()) - 1
    _say(f"{' and '.join(node.endpoint.agents())} served at {node.via or ' and '.join(node.listening)}")
    if not others:
        _say("nobody else is in this domain yet: `sealwire invite NODE` lets another machine join")
    return node


def _audit(options: argparse.Namespace) -> JsonLines | None:
    try:
        return JsonLines(options.audit) if options.audit is not None else None
    except OSError as error:
        raise NotStarted(f"cannot write the audit log `{options.audit}`: {error.strerror}; choose another --audit") from None


class _Told:
    """An audit that also says on standard error what a policy here denied: the other host sees only that nobody answers."""

    def __init__(self, audit: JsonLines | None) -> None:
        self._audit = audit

    def __call__(self, entry: Entry) -> None:
        if self._audit is not None:
            self._audit(entry)
        if entry.decision == "denied" and entry.header is not None:
            header = entry.header
            _say(f"denied: {header.kind} from {header.sender} to {header.reader}: {entry.reason}")


def _until_stopped(node: Node, stopping: Stopping, *, with_stdin: bool) -> NoReturn:
    """Wait for SIGTERM, Ctrl-C or the end of standard input.

    Work that is not done by then is for the next process; nobody waits for its threads.
    """
    if with_stdin:
        threading.Thread(target=_at_end_of_stdin, args=(stopping.stop,), daemon=True).start()
    stopping.wait()
    closing = threading.Thread(target=_close, args=(node,), daemon=True)
    closing.start()
    closing.join(_CLOSING_TIME)
    _say("stopped, and did not wait for its transport to close" if closing.is_alive() else "stopped")
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(stopping.code)


def _close(node: Node) -> None:
    try:
        node.close()
    except Exception as error:  # noqa: BLE001 -- a user's transport may raise anything
        _say(f"the transport did not close: {type(error).__name__}: {error}")


def _at_end_of_stdin(stop: Callable[[], None]) -> None:
    while sys.stdin is not None and sys.stdin.buffer.read(1):
        pass
    stop()


def _say(text: str) -> None:
    print(f"sealwire: {text}", file=sys.stderr, flush=True)


# --- what is served ---------------------------------------------------------------------------------------------------


def _agents(options: argparse.Namespace) -> list[Any]:
    """The agents that the targets name, each once."""
    if importlib.util.find_spec("crewai") is None:
        raise NotStarted(f"CrewAI is not installed in `{sys.executable}`: run `{sys.executable} -m pip install 'sealwire[crewai]'`")
    sys.path[0] = os.getcwd()
    found = [agent for target in options.targets for agent in (_all(target) if options.all else _named(target))]
    agents = list({id(agent): agent for agent in found}.values())
    if not agents:
        raise NotStarted(f"there is no agent in {' and '.join(map('`{}`'.format, options.targets))}")
    if options.name is not None and len(agents) > 1:
        raise NotStarted(f"--name names one agent, and there are {len(agents)}: serve them one by one, or leave it out")
    return agents


def _all(target: str) -> list[Any]:
    """Every agent that a module has as an attribute, by itself or in a crew or a list."""
    if _is_named(target):
        raise NotStarted(f"with --all, a file or module is named and nothing in it: `{target.rpartition(':')[0]}`")
    module = _module(target)
    return [agent for value in vars(module).values() for agent in _in(value)]


def _named(target: str) -> list[Any]:
    """The agents that ``module:attribute`` names."""
    if not _is_named(target):
        there = _offers(target, _module(target))
        raise NotStarted(f"`{target}` names no agent: {there}, or all of them by --all")
    place, _, path = target.rpartition(":")
    module = _module(place)
    thing: Any = module
    for name in path.split("."):
        thing = getattr(thing() if inspect.isclass(thing) else thing, name, None)
        if thing is None:
            raise NotStarted(f"there is no `{path}` in `{place}`: {_offers(place, module)}")
    agents = list(_in(_made(thing, target)))
    if not agents:
        raise NotStarted(f"`{target}` is no agent and holds none: {_offers(place, module)}")
    return agents


def _is_named(target: str) -> bool:
    return ":" in target and not target.endswith(".py")


def _made(thing: Any, target: str) -> Any:
    """`thing`, or what it makes: a function an agent or a crew, a project's class the object that has its crew."""
    if inspect.isclass(thing) or inspect.isroutine(thing):
        try:
            thing = thing()
        except TypeError as error:
            raise NotStarted(f"`{target}` cannot be called without arguments: {error}") from None
    crew = getattr(thing, "crew", None)
    return crew() if inspect.ismethod(crew) else thing


def _in(thing: Any) -> Iterator[Any]:
    """The agents that `thing` is or holds."""
    release = importlib.import_module("sealwire.crewai.release")
    if isinstance(thing, release.Agent):
        yield thing
    elif isinstance(thing, release.Crew):
        yield from thing.agents
    elif isinstance(thing, list | tuple):
        for each in thing:
            yield from _in(each)


def _offers(place: str, module: ModuleType) -> str:
    """What could have been named."""
    names = sorted(name for name, value in vars(module).items() if any(_in(value)))
    return "it has " + " and ".join(f"`{place}:{name}`" for name in names) if names else "it has no agents"


def _module(place: str) -> ModuleType:
    path = Path(place)
    if path.suffix == ".py" or os.sep in place:
        return _file(path)
    try:
        return importlib.import_module(place)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{place}.".startswith(f"{error.name}."):
            raise
        raise NotStarted(f"there is no module `{place}` in `{os.getcwd()}` or among what is installed in `{sys.executable}`") from None


def _file(path: Path) -> ModuleType:
    if not path.is_file():
        raise NotStarted(f"there is no file `{path}`")
    known = sys.modules.get(path.stem)
    if known is not None and getattr(known, "__file__", None) == str(path.resolve()):
        return known
    sys.path[0] = str(path.resolve().parent)
    spec = importlib.util.spec_from_file_location(path.stem, path.resolve())
    if spec is None or spec.loader is None:
        raise NotStarted(f"`{path}` is not a Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[path.stem] = module
    spec.loader.exec_module(module)
    return module
