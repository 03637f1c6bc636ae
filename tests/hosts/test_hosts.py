"""Three hosts: paired by the real commands, a crew over all of them, and a capture of every packet.

Needs root, iproute2 and tcpdump; `make test-hosts` says so.
"""

from __future__ import annotations

import base64
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from nets import Capture, Host, Net

HERE = Path(__file__).parent
SEALWIRE = (sys.executable, "-m", "sealwire")

QUESTION = "How is patient Arbuthnot-Pemberton today"
ANSWER = "Arbuthnot-Pemberton has sarcoidosis, stage two"
LETTER = "Dear colleague, sarcoidosis it is, and Xylo-Quentin will see to it"
TEXTS = (QUESTION, ANSWER, LETTER, "Arbuthnot", "sarcoidosis", "Xylo-Quentin", "Put it into a letter")


@pytest.fixture(scope="module")
def net(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Net]:
    """Three hosts: `pi1` has made the domain, the others have joined it."""
    net = Net(("pi1", "pi2", "pi3"), tmp_path_factory.mktemp("hosts"))
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
    assert inviting.wait(30) == 0


def serve(host: Host, role: str, answer: str) -> subprocess.Popen[str]:
    """Serve one agent of `agents.py` there."""
    environment = {**os.environ, "ROLE": role, "ANSWER": answer}
    process = host.start(*SEALWIRE, "serve", str(HERE / "agents.py") + ":worker", stderr=subprocess.PIPE, env=environment)
    assert process.stderr is not None
    while "served at" not in (said := process.stderr.readline()):
        assert said, f"{role} was not served"
    return process


@pytest.fixture
def served(net: Net) -> Iterator[None]:
    """An agent on each of the two other hosts."""
    processes = [serve(net.hosts["pi2"], "Reader", ANSWER), serve(net.hosts["pi3"], "Writer", LETTER)]
    try:
        yield
    finally:
        for process in processes:
            process.send_signal(signal.SIGTERM)
        for process in processes:
            process.communicate(timeout=30)


def kick_off(host: Host) -> str:
    return host.run("env", f"QUESTION={QUESTION}", sys.executable, str(HERE / "crew.py"), timeout=180)


def say_in_the_clear(here: Host, there: Host, text: str) -> None:
    """The positive control: the same words over plain TCP."""
    listen = "import socket; s = socket.create_server(('', 9)); print('up', flush=True); c, _ = s.accept(); c.recv(1000)"
    say = f"import socket; socket.create_connection(({there.address!r}, 9)).sendall({text.encode()!r})"
    listening = there.start(sys.executable, "-c", listen, stdout=subprocess.PIPE)
    assert listening.stdout is not None
    assert listening.stdout.readline() == "up\n"
    here.run(sys.executable, "-c", say)
    listening.communicate(timeout=10)


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


@pytest.mark.usefixtures("served")
def test_a_crew_over_three_hosts_shows_nothing_on_the_wire(net: Net, tmp_path: Path) -> None:
    here = net.hosts["pi1"]
    capture = Capture(net, tmp_path / "sealed.pcap")
    assert LETTER in kick_off(here)
    seen = capture.end()
    assert len(seen) > 10_000, "the crew's messages passed the switch"
    assert [text for text in TEXTS if text.encode() in seen] == []
    keys = [key for host in net.hosts.values() for key in secret_keys(host)]
    assert len(keys) >= 3 * 3
    assert not any(key in seen for key in keys)


def test_the_capture_would_show_it(net: Net, tmp_path: Path) -> None:
    capture = Capture(net, tmp_path / "plain.pcap")
    for text in TEXTS:
        say_in_the_clear(net.hosts["pi1"], net.hosts["pi2"], text)
    seen = capture.end()
    assert [text for text in TEXTS if text.encode() not in seen] == []


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
            each.communicate(timeout=30)
