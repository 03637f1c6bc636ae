"""Three hosts: paired by the real commands, a crew over all of them by each way there is, and a capture of every packet.

A fourth host is their neighbour and listens to all that passes; a fifth has a NATS server. Needs root, iproute2, tcpdump, nats-server and
util-linux; `make test-hosts` says so.
"""

from __future__ import annotations

import base64
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from nets import Capture, Host, Net
from ways import WAYS, Way, as_nobody, publish

HERE = Path(__file__).parent
SEALWIRE = (sys.executable, "-m", "sealwire")

QUESTION = "How is patient Arbuthnot-Pemberton today"
ANSWER = "Arbuthnot-Pemberton has sarcoidosis, stage two"
LETTER = "Dear colleague, sarcoidosis it is, and Xylo-Quentin will see to it"
TEXTS = (QUESTION, ANSWER, LETTER, "Arbuthnot", "sarcoidosis", "Xylo-Quentin", "Put it into a letter")


@pytest.fixture(scope="module")
def net(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Net]:
    """Three hosts: `pi1` has made the domain, the others have joined it."""
    net = Net(("pi1", "pi2", "pi3", "broker", "neighbour"), tmp_path_factory.mktemp("hosts"))
    try:
        first = net.hosts["pi1"]
        first.run(*SEALWIRE, "init", "--name", "pi1")
        for name in ("pi2", "pi3"):
            pair(first, net.hosts[name], name)
        yield net
    finally:
        net.remove()


def pair(here: Host, there: Host, name: str) -> None:
    """The two commands of docs/cli.md, and nothing else."""
    inviting = here.start(*SEALWIRE, "invite", name, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    assert inviting.stdout is not None
    line = inviting.stdout.readline()
    there.run(*SEALWIRE, "join", "-", stdin=line)
    assert inviting.wait(60) == 0


def serve(host: Host, role: str, answer: str, **more: str) -> subprocess.Popen[str]:
    """Serve one agent of `agents.py` there."""
    environment = {**os.environ, "ROLE": role, "ANSWER": answer, **more}
    process = host.start(*SEALWIRE, "serve", str(HERE / "agents.py") + ":worker", stderr=subprocess.PIPE, env=environment)
    assert process.stderr is not None
    said = []
    while "served at" not in (line := process.stderr.readline()):
        said.append(line)
        assert line, f"{role} was not served: {''.join(said)}"
    return process


@contextmanager
def serving(net: Net, way: Way | None = None) -> Iterator[list[subprocess.Popen[str]]]:
    """An agent on each of the two other hosts."""
    processes = []
    try:
        for name, role, answer in (("pi2", "Reader", ANSWER), ("pi3", "Writer", LETTER)):
            processes.append(serve(net.hosts[name], role, answer, **(way.environment(net, name) if way else {})))
        yield processes
    finally:
        for process in processes:
            process.send_signal(signal.SIGTERM)
        for process in processes:
            process.communicate(timeout=60)


@pytest.fixture
def served(net: Net) -> Iterator[None]:
    """An agent on each of the two other hosts."""
    with serving(net):
        yield


def kick_off(host: Host, **more: str) -> str:
    said = [f"{name}={value}" for name, value in {"QUESTION": QUESTION, **more}.items()]
    return host.run("env", *said, sys.executable, str(HERE / "crew.py"), timeout=180)


def shown(seen: bytes) -> list[str]:
    """The crew's texts that can be read in these bytes."""
    return [text for text in TEXTS if text.encode() in seen]


def say_in_the_clear(here: Host, there: Host, text: str) -> None:
    """The positive control: the same words over plain TCP."""
    listen = "import socket; s = socket.create_server(('', 9)); print('up', flush=True); c, _ = s.accept(); c.recv(1000)"
    say = f"import socket; socket.create_connection(({there.address!r}, 9)).sendall({text.encode()!r})"
    listening = there.start(sys.executable, "-c", listen, stdout=subprocess.PIPE)
    assert listening.stdout is not None
    assert listening.stdout.readline() == "up\n"
    here.run(sys.executable, "-c", say)
    listening.communicate(timeout=60)


def secret_keys(host: Host) -> list[bytes]:
    """Every key of a home: the store's, and those in PEM files, where 16 bytes precede the seed (RFC 8410) and the public key follows."""
    keys = []
    for file in (host.folder / ".sealwire").rglob("*"):
        if file.suffix == ".pem":
            text = re.sub(r"-----[^-]+-----|\s", "", file.read_text())
            keys += [text.encode(), base64.b64decode(text)[16:48]]
        elif file.name == "store.key":
            keys.append(file.read_bytes())
    return keys


@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.name)
def test_a_crew_over_three_hosts_shows_nothing_on_the_wire(net: Net, tmp_path: Path, way: Way) -> None:
    """Neither at the switch, nor to the neighbour, nor on the disk of the server in between."""
    here, neighbour = net.hosts["pi1"], net.hosts["neighbour"]
    with way.taken(net) as broker, serving(net, way):
        captures = [Capture(net.switch, tmp_path / "switch.pcap"), Capture(neighbour.namespace, tmp_path / "heard.pcap", "eth0")]
        assert LETTER in kick_off(here, **way.environment(net, "pi1"))
        kept = broker.kept() if broker is not None else b""
        keys = [key for name in ("pi1", "pi2", "pi3") for key in secret_keys(net.hosts[name])]
        assert len(keys) >= 3 * 3
        for seen in [capture.end() for capture in captures]:
            assert len(seen) > 10_000, "the crew's messages passed"
            assert shown(seen + kept) == []
            assert not any(key in seen + kept for key in keys)
        if way.name == "jetstream":
            assert broker is not None
            publish(here, broker.host, "sealwire.nobody.x", "".join(TEXTS))
            assert shown(broker.kept()) == list(TEXTS), "what is said there in the clear stands there in the clear"


def test_the_captures_would_show_it(net: Net, tmp_path: Path) -> None:
    captures = [Capture(net.switch, tmp_path / "switch.pcap"), Capture(net.hosts["neighbour"].namespace, tmp_path / "heard.pcap", "eth0")]
    say_in_the_clear(net.hosts["pi1"], net.hosts["pi2"], "".join(TEXTS))
    for capture in captures:
        assert shown(capture.end()) == list(TEXTS)


#: A Python that every user may run; the one of the tests may lie in somebody's home.
PYTHON = "/usr/bin/python3"

#: Whether it could use a socket, read a key, read a process's memory, and listen to the network.
SNOOP = """
import socket, sys
socket_, key, process = sys.argv[1:]

def could(what):
    try:
        what()
    except PermissionError:
        return "no"
    return "yes"

print(could(lambda: socket.socket(socket.AF_UNIX).connect(socket_)))
print(could(lambda: open(key).read()))
print(could(lambda: open(f"/proc/{process}/mem", "rb")))
print(could(lambda: socket.socket(socket.AF_PACKET, socket.SOCK_RAW)))
"""


def test_another_user_of_the_machine_gets_nothing(net: Net) -> None:
    """The agents and the crew on one machine, over Unix sockets in a folder that everybody may enter."""
    folder = Path(tempfile.mkdtemp(prefix="sw-"))
    folder.chmod(0o755)
    try:
        sockets = {name: folder / f"{name}.socket" for name in ("pi2", "pi3")}
        for name, socket in sockets.items():
            (net.hosts[name].folder / "sealwire.toml").write_text(f'[node]\nlisten = ["unix://{socket}"]\n')
        peers = "".join(f'{name} = "unix://{socket}"\n' for name, socket in sockets.items())
        (net.hosts["pi1"].folder / "sealwire.toml").write_text("[node.peers]\n" + peers)
        with serving(net) as processes:
            assert LETTER in kick_off(net.hosts["pi1"])
            where = [str(sockets["pi2"]), str(copy_of_the_key(net.hosts["pi2"], folder)), str(processes[0].pid)]
            assert as_nobody(PYTHON, "-c", SNOOP, *where).stdout.split() == ["no", "no", "no", "no"]
            sockets["pi2"].chmod(0o666)
            (folder / "node.pem").chmod(0o644)
            assert as_nobody(PYTHON, "-c", SNOOP, *where).stdout.split() == ["yes", "yes", "no", "no"]
            mine = subprocess.run([sys.executable, "-c", SNOOP, *where], capture_output=True, text=True, check=True, timeout=30)
            assert mine.stdout.split() == ["yes", "yes", "yes", "yes"]
    finally:
        for name in ("pi1", "pi2", "pi3"):
            (net.hosts[name].folder / "sealwire.toml").unlink(missing_ok=True)
        shutil.rmtree(folder)


def copy_of_the_key(host: Host, folder: Path) -> Path:
    """A node's key with the permissions it has in its home, where its folder is not in the way."""
    return Path(shutil.copy2(host.folder / ".sealwire/node.pem", folder))


def test_a_crew_goes_on_when_a_cable_was_out(net: Net, served: None) -> None:
    """The link to one host is cut while its agent is asked, for longer than a message waits to be sealed anew."""
    asking = net.hosts["pi1"].start("env", f"QUESTION={QUESTION}", sys.executable, str(HERE / "crew.py"), stdout=subprocess.PIPE)
    net.link("pi3", "down")
    time.sleep(10)
    net.link("pi3", "up")
    said, _ = asking.communicate(timeout=180)
    assert asking.returncode == 0
    assert LETTER in said


def test_a_revoked_host_is_refused(net: Net) -> None:
    """Last, as it cannot be undone: pi3 is revoked at pi1, has no say any more, and pi2, which runs, knows it at once."""
    process, bystander = serve(net.hosts["pi3"], "Writer", LETTER), serve(net.hosts["pi2"], "Reader", ANSWER)
    try:
        said = net.hosts["pi1"].run(*SEALWIRE, "revoke", "pi3")
        assert "`pi2` took it" in said
        rosters = [(net.hosts[name].folder / ".sealwire/roster.cbor").read_bytes() for name in ("pi1", "pi2", "pi3")]
        assert rosters[0] == rosters[1] != rosters[2]
        ask = "from sealwire.crewai import remote; remote('writer@pi3')"
        refused = net.hosts["pi1"].start(sys.executable, "-c", ask, stderr=subprocess.PIPE)
        _, complaints = refused.communicate(timeout=120)
        assert refused.returncode != 0
        assert "pi3" in complaints
    finally:
        for each in (process, bystander):
            each.send_signal(signal.SIGTERM)
            each.communicate(timeout=60)
