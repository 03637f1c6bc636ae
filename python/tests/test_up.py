"""`sealwire up`: agents as processes of their own, what they know of each other, how they end and begin again."""

from __future__ import annotations

import json
import os
import pwd
import re
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from remote_parts import PATIENCE, command, environment, pair, until

from sealwire.tables import Unreadable, agents_of

AGENTS = """
import json
import os
import time
from pathlib import Path

from crewai import Agent
from crewai.llms.base_llm import BaseLLM


def attempts():
    \"\"\"What can be read of another agent: its key, and the environment of its process.\"\"\"
    other = os.environ["OTHER"]
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if other in process.joinpath("cmdline").read_text():
                found.append(process / "environ")
        except OSError:
            continue
    said = {}
    for file in [Path(other) / "node.pem", *found]:
        try:
            said[file.name] = file.read_text()
        except OSError as error:
            said[file.name] = type(error).__name__
    return said


class Model(BaseLLM):
    def call(self, messages, *args, **kwargs):
        asked = str(messages)
        if "environment" in asked:
            return json.dumps(dict(os.environ))
        if "attempts" in asked:
            return json.dumps(attempts())
        begun = Path("begun")
        if not begun.exists():
            begun.touch()
            time.sleep(600)
        return "done in the end"


def _agent(role):
    return Agent(role=role, goal="g", backstory="b", llm=Model(model="scripted"))


researcher, writer = _agent("Senior Researcher"), _agent("Writer")
"""

# What CrewAI needs to be quiet, as conftest.py sets it for this process: no agent inherits it.
QUIET = {
    name: os.environ[name]
    for name in ("CREWAI_DISABLE_TELEMETRY", "CREWAI_STORAGE_DIR", "CREWAI_TESTING", "CREWAI_TRACING_ENABLED", "OTEL_SDK_DISABLED")
}


def table(name: str, *lines: str, **env: str) -> str:
    """One agent, with what CrewAI needs in its environment."""
    told = ", ".join(f"{key} = {json.dumps(value)}" for key, value in {**QUIET, **env}.items())
    return "\n".join([f"[agents.{name}]", f'run = "agents.py:{name}"', f"env = {{ {told} }}", *lines, ""])


class Up:
    """`sealwire up --json`, as a process of its own."""

    def __init__(self, folder: Path, *names: str) -> None:
        self._log = (folder / "up.jsonl").open("w+")
        line = [sys.executable, "-m", "sealwire", "up", "--json", *names]
        path = os.pathsep.join([environment()["PYTHONPATH"], os.environ.get("PYTHONPATH", "")])
        env = {**environment(), "PYTHONPATH": path, "OF_UP_ALONE": "a secret of who runs it"}
        self.process = subprocess.Popen(line, cwd=folder, stdout=self._log, stderr=self._log, env=env)

    def events(self, kind: str, agent: str | None = None) -> list[dict[str, Any]]:
        """What it has told so far."""
        self._log.flush()
        lines = Path(self._log.name).read_text().splitlines()
        events = [json.loads(line) for line in lines if line.startswith("{")]
        return [event for event in events if event.get("event") == kind and agent in (None, event.get("agent"))]

    def await_up(self, *agents: str) -> Up:
        """Wait until these are up."""
        for agent in agents:
            until(lambda agent=agent: self.events("up", agent) or self.process.poll() is not None)
            assert self.process.poll() is None, Path(self._log.name).read_text()
        return self

    def end(self, number: int = signal.SIGTERM) -> int:
        """Send a signal; returns the exit code."""
        self.process.send_signal(number)
        return self.process.wait(PATIENCE)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "agents.py").write_text(AGENTS)
    return tmp_path


@pytest.fixture
def ups() -> Iterator[list[Up]]:
    """Those that a test has started, ended at its end."""
    started: list[Up] = []
    yield started
    for up in started:
        if up.process.poll() is None:
            up.end()


def asked(folder: Path, agent: str, question: str) -> str:
    """What an agent says to a crew beside it, with nothing configured."""
    from crewai_parts import crew_of, task

    from sealwire.crewai import remote, seal

    home = folder / ".sealwire"
    crew = seal(crew_of(task(remote(agent, home=home, timeout=PATIENCE), question)), home=home)
    return str(crew.kickoff().raw)


def test_each_agent_has_an_environment_and_keys_of_its_own(folder: Path, ups: list[Up]) -> None:
    (folder / "writer.env").write_text("# keys\nTOKEN='of the writer'\n\nOTHER=x=y\n")
    (folder / "writer.env").chmod(0o600)
    (folder / "sealwire.toml").write_text(table("researcher", TOKEN="of the researcher") + table("writer", 'env_file = "writer.env"'))
    up = Up(folder)
    ups.append(up)
    up.await_up("researcher", "writer")
    told = {agent: json.loads(asked(folder, agent, "your environment?")) for agent in ("researcher", "writer")}
    assert (told["researcher"]["TOKEN"], told["writer"]["TOKEN"], told["writer"]["OTHER"]) == ("of the researcher", "of the writer", "x=y")
    assert "OF_UP_ALONE" not in told["researcher"] | told["writer"]
    assert "of the writer" not in str(told["researcher"])
    assert "of the researcher" not in str(told["writer"])
    homes = [folder / ".sealwire.agents" / agent for agent in told]
    assert {stat.S_IMODE(home.stat().st_mode) for home in [*homes, homes[0].parent]} == {0o700}
    assert len({(home / "node.pem").read_text() for home in [*homes, folder / ".sealwire"]}) == 3
    assert not any((home / "root.pem").exists() for home in homes)
    assert up.end() == 0


def test_one_that_is_killed_is_started_again_and_its_request_is_answered(folder: Path, ups: list[Up]) -> None:
    (folder / "sealwire.toml").write_text(table("researcher") + table("writer"))
    up = Up(folder, "researcher")
    ups.append(up)
    up.await_up("researcher")
    assert not up.events("started", "writer")
    said: list[str] = []
    asking = threading.Thread(target=lambda: said.append(asked(folder, "researcher", "a long work")))
    asking.start()
    until((folder / "begun").exists)
    os.kill(up.events("started", "researcher")[0]["pid"], signal.SIGKILL)
    asking.join(PATIENCE)
    assert said == ["done in the end"]
    assert up.events("ended", "researcher")[0]["signal"] == "SIGKILL"
    assert len(up.events("started", "researcher")) == 2
    assert up.end(signal.SIGINT) == 130
    for event in up.events("started"):
        assert not Path(f"/proc/{event['pid']}").exists()


def test_agents_do_not_outlive_it(folder: Path, ups: list[Up]) -> None:
    (folder / "sealwire.toml").write_text(table("researcher"))
    up = Up(folder)
    ups.append(up)
    up.await_up("researcher")
    pid = up.events("started")[0]["pid"]
    second = command("up", cwd=folder)
    assert second.returncode == 2
    assert "another `sealwire up` runs the agents" in second.stderr
    up.end(signal.SIGKILL)
    until(lambda: not Path(f"/proc/{pid}").exists())


def test_one_that_cannot_start_is_told_in_its_own_words_and_the_others_go_on(folder: Path, ups: list[Up]) -> None:
    (folder / "sealwire.toml").write_text(table("nobody") + table("writer"))
    up = Up(folder)
    ups.append(up)
    up.await_up("writer")
    ended = until(lambda: up.events("ended", "nobody"))[0]
    assert ended["code"] == 2
    assert any("there is no `nobody` in `agents.py`" in event["text"] for event in up.events("line", "nobody"))
    assert up.end() == 0


def test_people_read_lines_with_the_agents_name(folder: Path) -> None:
    (folder / "sealwire.toml").write_text(table("nobody"))
    line = [sys.executable, "-m", "sealwire", "up"]
    up = subprocess.Popen(line, cwd=folder, stderr=subprocess.PIPE, text=True, env=environment())
    assert up.stderr is not None
    said = ""
    while "started again in" not in said:
        said += up.stderr.readline()
    up.send_signal(signal.SIGTERM)
    said += up.communicate(timeout=PATIENCE)[1]
    assert up.returncode == 0
    assert "sealwire: made a home: ./.sealwire (node `local`); it holds the root key of a new domain: back it up\n" in said
    assert "\nnobody | sealwire: there is no `nobody` in `agents.py`" in said
    assert "sealwire: nobody could not start: its own words are above; it ended with exit code 2; started again in 0.5 s\n" in said


def test_a_revoked_agent_is_not_made_anew(folder: Path) -> None:
    (folder / "sealwire.toml").write_text(table("researcher"))
    up = Up(folder).await_up("researcher")
    assert command("revoke", "local-researcher", cwd=folder).returncode == 0
    until(lambda: (folder / ".sealwire/roster.cbor").read_bytes() == (folder / ".sealwire.agents/researcher/roster.cbor").read_bytes())
    assert up.end() == 0
    again = command("up", cwd=folder)
    assert again.returncode == 2
    assert "revoked" in again.stderr


def test_where_the_root_key_is_not_the_commands_are_named_and_then_it_starts(folder: Path, ups: list[Up]) -> None:
    pair(folder / "elsewhere", folder / ".sealwire", "pi2", listen="tcp://127.0.0.1:9")
    (folder / "sealwire.toml").write_text(table("writer"))
    refused = command("up", cwd=folder)
    assert refused.returncode == 2
    home = folder / ".sealwire.agents/writer"
    found = re.search(
        rf"`sealwire invite pi2-writer --agents writer`; here `sealwire join - --home {home} --at (tcp://127.0.0.1:\d+)`", refused.stderr
    )
    assert found, refused.stderr
    pair(folder / "elsewhere", home, "pi2-writer", listen=found[1], agents="writer")
    up = Up(folder)
    ups.append(up)
    up.await_up("writer")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "`sealwire.toml` has no agents"),
        ("[agents]\n", "`sealwire.toml` has no agents"),
        ("[agent.x]\nrun = 'a:b'", "`agent` is not known; known are [agents.NAME] and [node]"),
        ("agents = 1", "agents are tables"),
        ("[agents]\nx = 1", "agents are tables"),
        ("[agents.x]\n", "[agents.x]: `run` is missing"),
        ("[agents.X]\nrun = 'a:b'", "[agents.X]: an agent's name is"),
        ("[agents.x]\nrun = 1", "[agents.x]: `run` is what `sealwire serve` takes"),
        (
            "[agents.x]\nrun = 'a:b'\nenv_flie = 'x'",
            "[agents.x]: `env_flie` is not known; known are `run`, `env`, `env_file`, `user` and `python`",
        ),
        ("[agents.x]\nrun = 'a:b'\nenv = { A = 1 }", "[agents.x]: `env` is a table of texts by name"),
        ("[agents.x]\nrun = 'a:b'\nenv = { 'A=B' = '' }", "[agents.x]: `env` is a table of texts by name"),
        ("[agents.x]\nrun = 'a:b'\nenv_file = 'none'", "cannot read the `env_file`"),
        ("[agents.x]\nrun = 'a:b'\nenv_file = 'open.env'", "others can read"),
        ("[agents.x]\nrun = 'a:b'\nenv_file = 'bad.env'", "line 2 of"),
        ("[agents.x]\nrun = 'a:b'\nuser = 'nobody-of-that-name'", "there is no user `nobody-of-that-name`"),
        ("[agents.x]\nrun = 'a:b'\npython = 'none/python'", "there is no Python `none/python`"),
        ("[agents.x\n", "`sealwire.toml` is not TOML"),
    ],
)
def test_what_is_not_known_is_refused(tmp_path: Path, text: str, said: str) -> None:
    for name, mode, content in [("open.env", 0o644, "A=1"), ("bad.env", 0o600, "A=1\nB")]:
        (tmp_path / name).write_text(content)
        (tmp_path / name).chmod(mode)
    (tmp_path / "sealwire.toml").write_text(text)
    with pytest.raises(Unreadable) as refused:
        agents_of(Path("sealwire.toml"))
    assert said in str(refused.value)
    done = command("up", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert not (tmp_path / ".sealwire").exists()


def test_a_missing_file_and_an_unknown_name_are_told(tmp_path: Path) -> None:
    missing = command("up", "--json", cwd=tmp_path)
    assert missing.returncode == 2
    assert "there is no file `sealwire.toml`" in json.loads(missing.stdout)["error"]
    (tmp_path / "sealwire.toml").write_text("[agents.x]\nrun = 'a:b'\n[node]\nlisten = []")
    unknown = command("up", "y", cwd=tmp_path)
    assert unknown.returncode == 2
    assert "`sealwire.toml` has no [agents.y]; it has x" in unknown.stderr


# --- accounts ---------------------------------------------------------------------------------------------------------

ACCOUNTS = ("games", "news")
"""Users that every Debian has and nobody works as."""


@pytest.fixture
def python_for_all() -> tuple[str, str]:
    """A Python that those users can run, and a PYTHONPATH with which it finds this package and CrewAI."""
    if os.geteuid() != 0:
        pytest.skip("needs root")
    path = os.pathsep.join([environment()["PYTHONPATH"], *(each for each in sys.path if each.endswith("site-packages"))])
    for python in (sys.executable, "/usr/bin/python3"):
        if all(can_run_as(name, python, path) for name in ACCOUNTS):
            return python, path
    pytest.skip("needs a Python, of this version and with CrewAI, that other users may run")


def can_run_as(name: str, python: str, path: str) -> bool:
    """Whether that user can start it."""
    user = pwd.getpwnam(name).pw_uid
    env = {
        **os.environ,
        "PYTHONPATH": path,
        "HOME": f"/tmp/sealwire-up-{name}",
        "TMPDIR": "/tmp",
        "CREWAI_STORAGE_DIR": f"/tmp/sealwire-up-{name}",
    }
    try:
        line = [python, "-c", "import crewai, sealwire"]
        done = subprocess.run(line, user=user, group=user, extra_groups=(), env=env, cwd="/", capture_output=True, check=False)
    except PermissionError:
        return False
    return done.returncode == 0


@pytest.fixture
def enterable() -> Iterator[Path]:
    """A folder that every user may enter."""
    folder = Path(tempfile.mkdtemp(prefix="sealwire-up-", dir="/var/tmp"))
    folder.chmod(0o755)
    (folder / "agents.py").write_text(AGENTS)
    yield folder
    shutil.rmtree(folder)


def test_an_agent_with_a_user_of_its_own_reads_nothing_of_another(
    enterable: Path, ups: list[Up], python_for_all: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    python, path = python_for_all
    monkeypatch.setenv("PYTHONPATH", path)
    monkeypatch.setenv("TMPDIR", "/tmp")
    homes = enterable / ".sealwire.agents"
    mine = {
        "HOME": "/tmp/sealwire-up-games",
        "CREWAI_STORAGE_DIR": "/tmp/sealwire-up-games",
        "TOKEN": "of the researcher",
        "OTHER": str(homes / "writer"),
    }
    theirs = {
        "HOME": "/tmp/sealwire-up-news",
        "CREWAI_STORAGE_DIR": "/tmp/sealwire-up-news",
        "TOKEN": "of the writer",
        "OTHER": str(homes / "researcher"),
    }
    one, other = (f'user = "{account}"\npython = "{python}"' for account in ACCOUNTS)
    (enterable / "sealwire.toml").write_text(table("researcher", one, **mine) + table("writer", other, **theirs))
    up = Up(enterable)
    ups.append(up)
    up.await_up("researcher", "writer")
    for agent in ("researcher", "writer"):
        assert json.loads(asked(enterable, agent, "your attempts?")) == {"node.pem": "PermissionError", "environ": "PermissionError"}
    # What they looked for is there, for who may look.
    assert "PRIVATE KEY" in (homes / "writer/node.pem").read_text()
    pid = up.events("started", "writer")[0]["pid"]
    assert "of the writer" in Path(f"/proc/{pid}/environ").read_text()
    assert Path(f"/proc/{pid}").stat().st_uid == pwd.getpwnam(ACCOUNTS[1]).pw_uid
    # A roster that root writes stays readable for them.
    assert command("revoke", "local-writer", cwd=enterable).returncode == 0
    roster = (enterable / ".sealwire/roster.cbor").read_bytes()
    until(lambda: (homes / "researcher/roster.cbor").read_bytes() == roster)
    assert (homes / "researcher/roster.cbor").stat().st_uid == pwd.getpwnam(ACCOUNTS[0]).pw_uid
    assert up.end() == 0


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can run an agent as another user")
def test_a_home_that_its_user_cannot_reach_is_told(folder: Path) -> None:
    folder.chmod(0o700)
    (folder / "sealwire.toml").write_text(table("researcher", f'user = "{ACCOUNTS[0]}"'))
    done = command("up", cwd=folder)
    assert done.returncode == 2
    assert f"user `{ACCOUNTS[0]}` of [agents.researcher] cannot enter" in done.stderr
    assert "chmod o+x" in done.stderr
