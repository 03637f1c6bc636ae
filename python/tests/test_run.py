"""`sealwire run`: programs nobody edited, as processes of their own."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
import textwrap
import types
from pathlib import Path
from typing import Any

import pytest

from sealwire import project, run

#: A module with a crew of two and a model that needs no network. It knows nothing of sealwire.
CREW = """
import sys
assert "crewai" not in sys.modules, "the program is the first to import CrewAI"
from crewai import Agent, Crew, Task
from crewai.llms.base_llm import BaseLLM

class Model(BaseLLM):
    def call(self, messages, *args, **kwargs):
        return "Thought: I know.\\nFinal Answer: what the crew wrote"
    def supports_function_calling(self):
        return False

def agent(role):
    return Agent(role=role, goal="g", backstory="b", llm=Model(model="scripted"))

def crew():
    first, second = agent("Researcher"), agent("Writer")
    tasks = [Task(description=f"work of {each.role}", expected_output="text", agent=each) for each in (first, second)]
    return Crew(agents=[first, second], tasks=tasks)
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write(tmp_path / "parts.py", CREW)
    return tmp_path


def write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(textwrap.dedent(text), encoding="utf-8")
    return path


def sealwire_run(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    line = [sys.executable, "-m", "sealwire", "run", *arguments]
    return subprocess.run(line, cwd=folder, capture_output=True, text=True, timeout=120, check=False)


# --- programs that run a crew -----------------------------------------------------------------------------------------


def test_a_file_runs_as_python_would_run_it_and_its_crew_is_sealed(folder: Path) -> None:
    write(
        folder / "app" / "program.py",
        """
        import json, os, sys
        sys.path.append(os.getcwd())
        from parts import crew
        made = crew()
        result = made.kickoff()
        facts = {"name": __name__, "file": __file__, "argv": sys.argv, "path": sys.path[0], "result": str(result)}
        facts["main"] = sys.modules["__main__"].__dict__ is globals()
        facts["kinds"] = [message.kind for message in made.sealwire.messages]
        print(json.dumps(facts))
        sys.exit(5)
        """,
    )
    done = sealwire_run(folder, "--home", "keys", "--audit", "log.jsonl", "app/program.py", "--home", "mine", "-m")
    assert done.returncode == 5, done.stderr
    facts = json.loads(done.stdout.splitlines()[-1])
    assert facts["argv"] == ["app/program.py", "--home", "mine", "-m"]
    assert (facts["name"], facts["file"], facts["main"]) == ("__main__", str(folder / "app" / "program.py"), True)
    assert facts["path"] == os.path.realpath(folder / "app")
    assert facts["result"] == "what the crew wrote"
    assert sorted(facts["kinds"]) == ["context", "result", "result", "task", "task"]
    assert f"made a home for the keys of your agents: {folder.resolve() / 'keys'}" in done.stderr
    assert "sealwire: 5 messages were sealed" in done.stderr
    assert (folder / "keys" / "node.pem").is_file()
    assert not (folder / ".sealwire").exists()
    log = [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]
    assert len([line for line in log if line["direction"] == "seal"]) == 5
    assert "what the crew wrote" not in (folder / "log.jsonl").read_text()


def test_what_cannot_be_logged_stops_the_crew(folder: Path) -> None:
    write(folder / "program.py", "from parts import crew\ncrew().kickoff()\nprint('went on')\n")
    done = sealwire_run(folder, "--audit", "/dev/full", "program.py")
    assert done.returncode == 1
    assert "AuditFailed" in done.stderr
    assert "went on" not in done.stdout
    assert "sealwire/run.py" not in done.stderr, "the traceback begins where the program begins"


def test_a_function_of_a_module_and_a_crew_with_a_seal_of_its_own_in_a_thread(folder: Path) -> None:
    write(
        folder / "package" / "main.py",
        """
        import threading
        from parts import crew
        from sealwire.crewai import seal

        def start():
            made = seal(crew(), home=None)
            thread = threading.Thread(target=made.kickoff)
            thread.start()
            thread.join()
            print(len(made.sealwire.messages), "sealed")
            return made
        """,
    )
    done = sealwire_run(folder, "-m", "package.main:start")
    assert (done.returncode, done.stdout.splitlines()[-1]) == (0, "5 sealed"), done.stderr
    assert "sealwire: every crew that was kicked off had a seal of its own" in done.stderr


def test_without_argument_the_projects_own_entry_runs(tmp_path: Path) -> None:
    write(tmp_path / "pyproject.toml", '[project.scripts]\nrun_crew = "team.main:run"\n\n[tool.crewai]\ntype = "crew"\n')
    write(tmp_path / "src" / "team" / "parts.py", CREW)
    write(
        tmp_path / "src" / "team" / "main.py",
        """
        import sys
        from team.parts import crew

        def run():
            print(sys.argv, crew().kickoff())
        """,
    )
    done = sealwire_run(tmp_path)
    assert done.returncode == 0, done.stderr
    assert "['run_crew'] what the crew wrote" in done.stdout
    assert (tmp_path / ".sealwire" / "node.pem").is_file()


# --- programs that do not ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("program", "code"),
    [
        ("print('nothing to do')", 3),
        ("import sys; sys.exit()", 3),
        ("import sys; sys.exit(4)", 4),
        ("import sys; sys.exit('text')", 1),
        ("import threading, time; threading.Thread(target=time.sleep, args=[0.3]).start()", 3),
        ("import atexit, threading; threading.Thread(target=print).start(); atexit.register(print, 'at exit')", 3),
        ("from concurrent.futures import ThreadPoolExecutor as Pool; pool = Pool(); pool.submit(print)", 3),
    ],
)
def test_no_crew_is_no_success(tmp_path: Path, program: str, code: int) -> None:
    done = sealwire_run(write(tmp_path / "program.py", program).parent, "program.py")
    assert done.returncode == code, done.stderr
    assert "sealwire: no crew was kicked off, so nothing was sealed" in done.stderr
    assert ("at exit" in done.stdout) == ("at exit" in program)
    assert not (tmp_path / ".sealwire").exists()


def test_an_exception_is_the_programs_own(tmp_path: Path) -> None:
    write(tmp_path / "program.py", "def fail():\n    raise ValueError('of the program')\n\nfail()\n")
    for arguments in (["program.py"], ["-m", "program"]):
        done = sealwire_run(tmp_path, *arguments)
        python = subprocess.run([sys.executable, *arguments], cwd=tmp_path, capture_output=True, text=True, check=False)
        assert done.returncode == python.returncode == 1
        own = [line for line in python.stderr.splitlines() if "runpy" not in line]
        assert done.stderr.splitlines() == own


def test_an_interrupt_ends_it_as_it_ends_python(tmp_path: Path) -> None:
    # A shell that starts the tests in the background has interrupts ignored, by all that descends from it.
    heeds = "import os, signal, time\nsignal.signal(signal.SIGINT, signal.default_int_handler)\n"
    write(tmp_path / "program.py", heeds + "os.kill(os.getpid(), signal.SIGINT)\ntime.sleep(9)\n")
    assert sealwire_run(tmp_path, "program.py").returncode == -2


def test_a_crewai_that_cannot_be_sealed_ends_the_run_even_if_the_program_goes_on(tmp_path: Path) -> None:
    write(tmp_path / "crewai" / "__init__.py", "class Crew: pass\n")
    write(
        tmp_path / "program.py",
        """
        for _ in range(2):
            try:
                import crewai
            except Exception as error:
                print("caught", type(error).__name__)
        """,
    )
    done = sealwire_run(tmp_path, "program.py")
    assert done.returncode == 1
    assert done.stdout.count("caught") == 2, "it is not there unsealed the second time"
    assert "Traceback" in done.stderr


# --- what cannot be started -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["missing.py"], "there is no file `missing.py`"),
        (["."], "`.` is a folder; name a Python file, or a module with -m"),
        (["text.txt"], "`text.txt` is not a Python program: line 2: "),
        (["bytes.bin"], "`bytes.bin` is not a Python program: "),
        (["-m", "missing"], "there is no module `missing` in "),
        (["-m", "missing.part:run"], "there is no module `missing` in "),
        (["-m", "package"], "there is no module `package.__main__` in "),
        (["-m", "package:run"], "module `package` has no function `run`"),
        (["-m", "package:WORD"], "module `package` has no function `WORD`"),
        ([], "there is no `pyproject.toml` in "),
        (["--audit", "missing/log", "package/__init__.py"], "cannot write the audit log `missing/log`: No such file"),
    ],
)
def test_what_cannot_be_started_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], arguments: list[str], said: str
) -> None:
    write(tmp_path / "text.txt", "a = 1\nthe quick brown fox\n")
    (tmp_path / "bytes.bin").write_bytes(b"\x7fELF\x00\x01\xff")
    write(tmp_path / "package" / "__init__.py", "WORD = 'word'\n")
    assert main(monkeypatch, *arguments) == 2
    error = capsys.readouterr().err
    assert error.startswith("sealwire: ")
    assert said in error


def test_a_module_that_lacks_one_of_its_own_is_the_programs_affair(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path / "incomplete.py", "import not_installed\n")
    for name in ("incomplete", "incomplete:run"):
        with pytest.raises(ModuleNotFoundError, match="not_installed"):
            main(monkeypatch, "-m", name)


def test_without_crewai_the_remedy_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    write(tmp_path / "program.py", "print('ran')\n")
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    assert main(monkeypatch, "program.py") == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err == f"sealwire: CrewAI is not installed in `{sys.executable}`: run `{sys.executable} -m pip install 'sealwire[crewai]'`\n"


def main(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    """Calls the entry in this process, whose state is restored afterwards."""
    monkeypatch.setattr(sys, "argv", list(sys.argv))
    monkeypatch.setattr(sys, "path", ["", *sys.path])
    monkeypatch.setattr(sys, "excepthook", sys.excepthook)
    monkeypatch.setattr(run, "_Sealing", lambda rules: None)
    for name in ("package", "incomplete"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    importlib.invalidate_caches()
    return run.main(arguments)


# --- the project's entry ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "script"),
    [
        ('[project.scripts]\nteam = "t.main:run"\nrun_crew = "t.main:go"\nkickoff = "t.main:fly"', ("run_crew", "t.main:go")),
        ('[project.scripts]\nrun_crew = "t.main:go"\nkickoff = "t.main:fly"\n[tool.crewai]\ntype = "flow"', ("kickoff", "t.main:fly")),
        ('[project.scripts]\nkickoff = "t.main:fly"', ("kickoff", "t.main:fly")),
    ],
)
def test_the_script_is_the_one_crewai_runs(tmp_path: Path, content: str, script: tuple[str, str]) -> None:
    write(tmp_path / "pyproject.toml", content)
    assert project.entry_of(tmp_path) == project.Script(*script)


def test_a_definition_comes_before_scripts(tmp_path: Path) -> None:
    write(tmp_path / "pyproject.toml", '[project.scripts]\nrun_crew = "t:go"\n[tool.crewai]\ntype = "crew"\ndefinition = "crew.jsonc"')
    write(tmp_path / "crew.jsonc", "{}")
    assert project.entry_of(tmp_path) == project.Definition((tmp_path / "crew.jsonc").resolve(), is_flow=False)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("[project", "is not TOML"),
        ("[project]\nname = 'x'", "names no entry: neither `run_crew` or `kickoff` in [project.scripts] nor `definition`"),
        ("project = 1\ntool = []", "names no entry"),
        ("[tool.crewai]\ntype = 'crew'\ndefinition = 'gone.jsonc'", "is no file of the project: `gone.jsonc`"),
        ("[tool.crewai]\ntype = 'crew'\ndefinition = '../outside'", "is no file of the project: `../outside`"),
    ],
)
def test_a_project_without_entry_is_told_what_is_missing(tmp_path: Path, content: str, said: str) -> None:
    write(tmp_path / "pyproject.toml", content)
    write(tmp_path.parent / "outside", "")
    with pytest.raises(project.NoEntry) as refused:
        project.entry_of(tmp_path)
    assert said in str(refused.value)


def test_a_definition_is_loaded_by_crewai_and_kicked_off(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    write(tmp_path / "pyproject.toml", "[tool.crewai]\ntype = 'crew'\ndefinition = 'crew.jsonc'")
    write(tmp_path / "crew.jsonc", "{}")
    monkeypatch.setattr(run, "_told", lambda sealing, code: code)
    monkeypatch.setitem(sys.modules, "crewai.project.crew_loader", loader())
    assert main(monkeypatch) == 0
    assert capsys.readouterr().out == "kicked off with {'topic': 'tea'}\n"
    monkeypatch.setitem(sys.modules, "crewai.project.crew_loader", None)
    assert main(monkeypatch) == 2
    assert "the installed CrewAI cannot run" in capsys.readouterr().err


def loader() -> Any:
    """Stands in for the part of CrewAI that reads definitions."""

    class Loaded:
        def kickoff(self, inputs: dict[str, str]) -> str:
            return f"kicked off with {inputs}"

    module: Any = types.ModuleType("crewai.project.crew_loader")
    module.load_crew = lambda path: (Loaded(), {"topic": "tea"})
    return module
