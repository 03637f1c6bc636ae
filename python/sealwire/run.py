"""``sealwire run``: runs a CrewAI program nobody edited, with every crew in it sealed.

The program runs as ``python`` would run it: ``__main__``, ``sys.argv``,
``sys.path[0]``, exit codes and exceptions are its own. CrewAI is imported when
the program imports it; the seal is in place before the program gets hold of it,
and stays until the process ends. Processes the program starts are not covered.
"""

from __future__ import annotations

import argparse
import atexit
import builtins
import contextlib
import importlib
import importlib.util
import io
import os
import runpy
import sys
import threading
import types
from collections.abc import Callable, Sequence
from importlib.machinery import ModuleSpec, SourceFileLoader
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sealwire.audit import JsonLines
from sealwire.project import Definition, NoEntry, Script, entry_of

if TYPE_CHECKING:
    from sealwire.crewai import Block

__all__ = ["main"]

#: Exit codes of our own, as ``sealwire --help`` lists them; any other is the program's.
_NOT_STARTED = 2
_NO_CREW = 3

_REMEDY = "{python} -m pip install 'sealwire[crewai]'"


class NotStarted(Exception):
    """The program cannot be run: what is missing, where, and what to do."""


def main(argv: Sequence[str]) -> int:
    """Run what `argv` says: ``[--home PATH] [--audit FILE] [FILE | -m MODULE[:FUNC]] [args…]``.

    Returns the exit code: the program's own, 2 if it could not be started, or 3
    if it ended well and no crew was kicked off in it. What it raises is raised.
    """
    options = _options(argv)
    try:
        start = _program(options)
        _require_crewai()
        sealing = _Sealing(_rules(options))
        return _told(sealing, _run(start))
    except (NotStarted, NoEntry) as error:
        _say(str(error))
        return _NOT_STARTED


def _options(argv: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="sealwire run", allow_abbrev=False)
    parser.add_argument("--home", metavar="PATH")
    parser.add_argument("--audit", metavar="FILE")
    parser.add_argument("-m", dest="module", nargs=argparse.REMAINDER, metavar="MODULE[:FUNC]")
    parser.add_argument("program", nargs=argparse.REMAINDER, metavar="FILE")
    return parser.parse_args(argv)


def _rules(options: argparse.Namespace) -> dict[str, Any]:
    """What crews are sealed with."""
    rules: dict[str, Any] = {}
    if options.home is not None:
        rules["home"] = options.home
    if options.audit is not None:
        try:
            rules["audit"] = JsonLines(options.audit)
        except OSError as error:
            raise NotStarted(f"cannot write the audit log `{options.audit}`: {error.strerror}; choose another --audit") from None
    return rules


def _require_crewai() -> None:
    if importlib.util.find_spec("crewai") is None:
        remedy = _REMEDY.format(python=sys.executable)
        raise NotStarted(f"CrewAI is not installed in `{sys.executable}`: run `{remedy}`")


# --- the program ------------------------------------------------------------------------------------------------------


def _program(options: argparse.Namespace) -> Callable[[], object]:
    """The program to run, with ``sys.argv`` and ``sys.path`` as it expects them."""
    if options.module:
        name, *arguments = options.module
        return _module(name, arguments)
    if options.program:
        path, *arguments = options.program
        return _file(path, arguments)
    folder = Path.cwd()
    return _project(folder, entry_of(folder))


def _file(path: str, arguments: list[str]) -> Callable[[], object]:
    code = _compiled(path)
    sys.argv = [path, *arguments]
    _search_in(os.path.dirname(os.path.realpath(path)))
    module = types.ModuleType("__main__")
    file = code.co_filename
    module.__dict__.update(__file__=file, __builtins__=builtins, __loader__=SourceFileLoader("__main__", file), __cached__=None)

    def start() -> None:
        sys.modules["__main__"] = module
        exec(code, module.__dict__)

    return start


def _compiled(path: str) -> types.CodeType:
    try:
        with io.open_code(os.path.abspath(path)) as file:
            return compile(file.read(), os.path.abspath(path), "exec", dont_inherit=True)
    except FileNotFoundError:
        raise NotStarted(f"there is no file `{path}`") from None
    except IsADirectoryError:
        raise NotStarted(f"`{path}` is a folder; name a Python file, or a module with -m") from None
    except OSError as error:
        raise NotStarted(f"cannot read `{path}`: {error.strerror}") from None
    except SyntaxError as error:
        where = f"line {error.lineno}: " if error.lineno else ""
        raise NotStarted(f"`{path}` is not a Python program: {where}{error.msg}") from None
    except ValueError as error:
        raise NotStarted(f"`{path}` is not a Python program: {error}") from None


def _module(name: str, arguments: list[str]) -> Callable[[], object]:
    name, colon, function = name.partition(":")
    sys.argv = [name, *arguments]
    _search_in(os.getcwd())
    if colon:
        return lambda: _function(name, function)()

    def start() -> None:
        _require_module(name)
        runpy.run_module(name, run_name="__main__", alter_sys=True)

    return start


def _project(folder: Path, entry: Script | Definition) -> Callable[[], object]:
    """What ``crewai run`` would run; the project need not be installed."""
    _search_in(str(folder))
    if isinstance(entry, Definition):
        sys.argv = [str(entry.path)]
        return lambda: _play(entry, folder)
    sources = folder / "src"
    if sources.is_dir():
        sys.path.insert(0, str(sources))
    sys.argv = [entry.name]
    module, _, function = entry.target.partition(":")
    return lambda: _function(module.strip(), function.strip())()


def _play(definition: Definition, folder: Path) -> None:
    """Run a crew or a flow that is a file, by the means CrewAI has for it."""
    environment = folder / ".env"
    try:
        if environment.is_file():
            importlib.import_module("dotenv").load_dotenv(environment, override=True)
        if definition.is_flow:
            importlib.import_module("crewai_cli.run_declarative_flow").run_declarative_flow(definition=definition.path)
            return
        load_crew = importlib.import_module("crewai.project.crew_loader").load_crew
    except ModuleNotFoundError as missing:
        raise NotStarted(
            f"the installed CrewAI cannot run `{definition.path}`, it has no `{missing.name}`: update it, or name a file or a module"
        ) from missing
    crew, inputs = load_crew(definition.path)
    print(crew.kickoff(inputs=inputs))


def _function(module: str, function: str) -> Callable[[], object]:
    try:
        found: Any = importlib.import_module(module)
    except ModuleNotFoundError as missing:
        _refuse_missing(module, missing)
        raise
    for part in function.split("."):
        found = getattr(found, part, None)
    if not callable(found):
        raise NotStarted(f"module `{module}` has no function `{function}`")
    named: Callable[[], object] = found
    return named


def _require_module(name: str) -> None:
    """Refuse a module that is not there, or a package that is not to be run; finding one imports the packages around it."""
    try:
        spec = importlib.util.find_spec(name)
        if spec is not None and spec.submodule_search_locations is not None:
            name += ".__main__"
            spec = importlib.util.find_spec(name)
    except ModuleNotFoundError as missing:
        _refuse_missing(name, missing)
        raise
    except ValueError:
        spec = None
    if spec is None:
        raise NotStarted(_no_module(name))


def _refuse_missing(name: str, missing: ModuleNotFoundError) -> None:
    """Raise if it is the module itself that is missing, or a package around it, and not one that it imports."""
    if missing.name and f"{name}.".startswith(f"{missing.name}."):
        raise NotStarted(_no_module(missing.name)) from None


def _no_module(name: str) -> str:
    return f"there is no module `{name}` in `{os.getcwd()}` or among what is installed in `{sys.executable}`"


def _search_in(folder: str) -> None:
    """Put the program's folder where ``python`` puts it; where it put nothing (``-P``), neither do we."""
    if not getattr(sys.flags, "safe_path", False):
        sys.path[0] = folder


# --- its end ----------------------------------------------------------------------------------------------------------


def _run(start: Callable[[], object]) -> int:
    """Run the program to its end; returns its exit code."""
    try:
        returned = start()
    except SystemExit as exit_:
        return _code_of(exit_)
    except NotStarted:
        raise
    except BaseException:
        _hide_our_frames()
        raise
    return returned if isinstance(returned, int) else 0


def _code_of(exit_: SystemExit) -> int:
    if exit_.code is None:
        return 0
    if isinstance(exit_.code, int):
        return exit_.code
    print(exit_.code, file=sys.stderr)
    return 1


def _hide_our_frames() -> None:
    """Let the traceback of what is being raised begin where the program begins."""
    hook = sys.excepthook

    def excepthook(kind: type[BaseException], error: BaseException, trace: types.TracebackType | None) -> None:
        error = error.with_traceback(_of_program(trace))
        hook(kind, error, error.__traceback__)

    sys.excepthook = excepthook


def _of_program(trace: types.TracebackType | None) -> types.TracebackType | None:
    """The part of a traceback behind our own frames and those of the import system."""
    rest, seen = trace, False
    while rest is not None:
        file = rest.tb_frame.f_code.co_filename
        ours = file == __file__
        if seen and not ours and not file.startswith("<frozen ") and file not in (runpy.__file__, importlib.__file__):
            return rest
        seen = seen or ours
        rest = rest.tb_next
    return trace


def _told(sealing: _Sealing, code: int) -> int:
    """Say what was sealed, as soon as no thread of the program can seal any more. One that sealed nothing has failed."""
    if sealing.error is not None:
        raise sealing.error
    if any(_outlives(thread) for thread in threading.enumerate()):
        sealing.pending = code
        return code
    return _verdict(sealing, code)


def _outlives(thread: threading.Thread) -> bool:
    return thread is not threading.current_thread() and not thread.daemon


def _tell_late(sealing: _Sealing) -> None:
    """The verdict after the last thread; at this point, only leaving at once can change the exit code."""
    if sealing.pending is None:
        return
    verdict = _verdict(sealing, sealing.pending)
    if verdict != sealing.pending:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(verdict)


def _verdict(sealing: _Sealing, code: int) -> int:
    if sealing.is_used:
        count = sealing.messages
        _say(f"{count} {'message was' if count == 1 else 'messages were'} sealed")
        return code
    if sealing.is_idle:
        _say("every crew that was kicked off had a seal of its own")
        return code
    _say("no crew was kicked off, so nothing was sealed")
    return code or _NO_CREW


def _say(text: str) -> None:
    with contextlib.suppress(OSError, ValueError):
        print(f"sealwire: {text}", file=sys.stderr, flush=True)


# --- the seal ---------------------------------------------------------------------------------------------------------


class _Sealing:
    """Opens a ``sealed()`` block when CrewAI was imported and before the program gets hold of it; never closes it."""

    def __init__(self, rules: dict[str, Any]) -> None:
        self._rules = rules
        self._stack = contextlib.ExitStack()
        self._block: Block | None = None
        self._kicked_off = False
        self.error: Exception | None = None
        """Why CrewAI could not be sealed; a program may have caught it."""
        self.pending: int | None = None
        """The program's exit code, as long as threads of it go on."""
        atexit.register(_tell_late, self)  # before the program's own, so that it is called after them
        if "crewai" in sys.modules:
            self._open()
        else:
            sys.meta_path.insert(0, self)

    @property
    def is_used(self) -> bool:
        """Whether a crew, or an agent by itself, was sealed here."""
        return self._block is not None and self._block.is_used

    @property
    def is_idle(self) -> bool:
        """Whether there was nothing to do, as the program itself seals the crews it kicks off."""
        return self._kicked_off and not self.is_used

    @property
    def messages(self) -> int:
        """How many messages passed."""
        return 0 if self._block is None else self._block.count

    def find_spec(self, name: str, path: Sequence[str] | None = None, target: types.ModuleType | None = None) -> ModuleSpec | None:
        """A finder of modules, asked first: finds CrewAI where it is, and seals it as soon as it is loaded."""
        if name != "crewai":
            return None
        others = [finder for finder in sys.meta_path if finder is not self]
        found = (finder.find_spec(name, path, target) for finder in others)
        spec = next((spec for spec in found if spec is not None), None)
        if spec is not None and spec.loader is not None:
            self._follow(spec.loader)
        return spec

    def _follow(self, loader: Any) -> None:
        load = loader.exec_module

        def exec_module(module: types.ModuleType) -> None:
            load(module)
            self._open()

        loader.exec_module = exec_module

    def _open(self) -> None:
        if self._block is not None:
            return
        try:
            self._block = self._stack.enter_context(importlib.import_module("sealwire.crewai").sealed(**self._rules))
            self._listen()
        except Exception as error:
            self.error = error
            raise

    def _listen(self) -> None:
        """Learn of each kickoff from CrewAI, also of crews that have a seal already."""
        events = importlib.import_module("crewai.events")

        # The module is imported by name, so mypy knows no type of it.
        @events.crewai_event_bus.on(events.CrewKickoffStartedEvent)  # type: ignore[untyped-decorator]
        def kicked_off(source: object, event: object) -> None:
            self._kicked_off = True
