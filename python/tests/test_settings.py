"""`sealwire.toml` and what comes before it."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from sealwire import SettingsError
from sealwire.settings import Nats, NodeSettings, Tls, node_settings


def write(folder: Path, content: str) -> Path:
    """The home beside which a file says this."""
    (folder / "sealwire.toml").write_text(content)
    return folder / ".sealwire"


def read(folder: Path, content: str, **arguments: object) -> NodeSettings:
    return node_settings(write(folder, content), **{"environment": {}, **arguments})  # type: ignore[arg-type]  # each test gives its own


def test_without_a_file_nothing_is_said(tmp_path: Path) -> None:
    assert node_settings(tmp_path / ".sealwire", environment={}) == NodeSettings()
    assert node_settings(None, environment={}) == NodeSettings()


def test_what_a_file_says_of_streams(tmp_path: Path) -> None:
    said = read(
        tmp_path,
        """
        [node]
        listen = ["tls://0.0.0.0:7451", "unix:///run/pi2.socket"]
        [node.peers]
        pi3 = "tls://10.0.0.3"
        [node.tls]
        authority = "ca.pem"
        certificate = "certs/pi2.pem"
        key = "/etc/pi2.key"
        """,
    )
    files = Tls(tmp_path / "ca.pem", tmp_path / "certs/pi2.pem", Path("/etc/pi2.key"))
    assert said == NodeSettings(("tls://0.0.0.0:7451", "unix:///run/pi2.socket"), None, {"pi3": "tls://10.0.0.3"}, files)


def test_what_a_file_says_of_a_server(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("hunter2\nsecond line\n")
    said = read(
        tmp_path,
        """
        [node]
        via = "jetstream+tls://10.0.0.1:4222"
        [node.nats]
        user = "pi2"
        password-file = "secret"
        prefix = "house"
        replicas = 3
        most-bytes = 1000000
        most-parcels = 100
        """,
    )
    assert (said.via, said.nats) == ("jetstream+tls://10.0.0.1:4222", Nats("pi2", "hunter2", None, "house", 3, 1_000_000, 100))
    assert "hunter2" not in repr(said)


def test_an_argument_comes_before_the_environment_and_that_before_the_file(tmp_path: Path) -> None:
    file = '[node]\nvia = "nats://file"\n'
    assert read(tmp_path, file).via == "nats://file"
    environment = {"SEALWIRE_VIA": "nats://environment", "SEALWIRE_NATS_TOKEN": "t0ken"}
    said = read(tmp_path, file, environment=environment)
    assert (said.via, said.nats) == ("nats://environment", Nats(token="t0ken"))
    assert read(tmp_path, file, environment=environment, via="nats://argument").via == "nats://argument"
    listening = read(tmp_path, file, environment=environment, listen=["tcp://127.0.0.1:0"])
    assert (listening.listen, listening.via) == (("tcp://127.0.0.1:0",), None)
    assert read(tmp_path, '[node]\nlisten = ["tcp://h"]', environment=environment).via == "nats://environment"


def test_a_transport_is_named_by_its_module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", sys.path[:])
    (tmp_path / "ways_of_mine.py").write_text("from sealwire import MemoryTransport\ndef make(): return MemoryTransport()\none = make()\n")
    named = read(tmp_path, '[node]\nvia = "python:ways_of_mine:one"\n').via
    assert named is sys.modules["ways_of_mine"].one  # type: ignore[attr-defined]  # written above
    made = read(tmp_path, '[node]\nvia = "python:ways_of_mine:make"\n').via
    assert type(made).__name__ == "MemoryTransport"
    assert made is not named


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("[node", "is not TOML"),
        ("[nodes]", "has no `nodes`; it may have `agents`, `node`"),
        ("node = 1", r"\[node\] is a table"),
        ('[node]\nlisen = ["tcp://h"]', r"\[node\] has no `lisen`; it may have `listen`"),
        ('[node]\nlisten = "tcp://h"', "needs a list of texts for `listen`"),
        ('[node]\nvia = ""', "needs a text for `via`"),
        ("[node.peers]\npi2 = 7", "needs a table of texts for `peers`"),
        ('[node]\nvia = "nats://h"\nlisten = ["tcp://h"]', "has `via` and `listen` or `peers`"),
        ('[node.tls]\ncertificate = "a.pem"', "needs `certificate` and `key` together"),
        ('[node.tls]\nca = "a.pem"', r"\[node.tls\] has no `ca`"),
        ('[node.nats]\npassword = "x"', r"\[node.nats\] has no `password`; it may have `user`, `password-file`"),
        ('[node.nats]\npassword-file = "nowhere"', "`password-file`, which cannot be read"),
        ('[node.nats]\nuser = "x"', "asks for a user and a password"),
        ("[node.nats]\nreplicas = 0", "needs a number from 1 on for `replicas`"),
        ("[node.nats]\nreplicas = true", "needs a number from 1 on for `replicas`"),
        ('[node]\nvia = "python:nowhere:x"', "`python:module:attribute`: No module named 'nowhere'"),
        ('[node]\nvia = "python:os:nothing"', "has no attribute 'nothing'"),
        ('[node]\nvia = "python:os:sep"', "is no transport: it needs `send` and `receive`"),
        ('[node]\nvia = "python:os:getcwd"', "is no transport"),
        ('[node]\nvia = "python:"', "`python:module:attribute`"),
    ],
)
def test_what_cannot_be_is_named(tmp_path: Path, content: str, said: str) -> None:
    with pytest.raises(SettingsError, match=said):
        read(tmp_path, content)


def test_one_way_at_a_time(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="give one of the two"):
        read(tmp_path, "", listen=["tcp://h"], via="nats://h")
    environment = {"SEALWIRE_NATS_USER": "u", "SEALWIRE_NATS_PASSWORD": "p", "SEALWIRE_NATS_TOKEN": "t"}
    with pytest.raises(SettingsError, match="both are given"):
        read(tmp_path, "", via="nats://h", environment=environment)


def test_half_a_login_or_a_certificate_alone_would_be_none(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="user and a password"):
        Nats(user="pi")
    with pytest.raises(SettingsError, match="both are given"):
        Nats("pi", "p", "t")
    with pytest.raises(SettingsError, match="`certificate` and `key` together"):
        Tls(certificate=tmp_path / "pi.pem")
