"""A node in Python over every way there is: streams, a NATS server, objects of the user's."""

from __future__ import annotations

import datetime
import os
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from ipaddress import ip_address
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from postbox import Postbox
from remote_parts import PATIENCE, free_port, pair, until

import sealwire
from sealwire import Endpoint, MemoryTransport, Node, TransportError
from sealwire.settings import Nats, Tls

TEXT = b"how warm is the attic?"


class Homes(NamedTuple):
    here: Path
    there: Path


@pytest.fixture(scope="module")
def homes(tmp_path_factory: pytest.TempPathFactory) -> Homes:
    folder = tmp_path_factory.mktemp("homes")
    pair(folder / "here", folder / "there", "there", listen="tcp://127.0.0.1:1")
    return Homes(folder / "here", folder / "there")


@contextmanager
def node(home: Path, **way: Any) -> Iterator[Node]:
    made = Node(Endpoint(home), **way)
    try:
        yield made
    finally:
        made.close()


def ask(here: Node, body: bytes = TEXT, timeout: float = PATIENCE) -> bytes:
    return here.request(here.host("asker"), "worker@there", body, kind="task", timeout=timeout).body


def answered(here: Node, there: Node) -> None:
    """A request of each size is answered."""
    there.serve("worker", lambda incoming: incoming.message.body[::-1])
    for body in (TEXT, b"x" * 700_000):
        assert ask(here, body) == body[::-1]


# --- streams ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("listen", ["tcp://127.0.0.1:0", "tls://127.0.0.1:0", "unix://{}/there.socket"])
def test_streams(homes: Homes, tmp_path: Path, listen: str) -> None:
    """`tls` has no certificate to make: it is bound to the nodes' keys."""
    with node(homes.there, listen=[listen.format(tmp_path)]) as there, node(homes.here, peers={"there": there.listening[0]}) as here:
        answered(here, there)
        assert here.peers()[0][:3] == ("there", there.listening[0], True)
        assert (here.via, there.via) == (None, None)


def test_who_is_no_member_does_not_get_past_the_handshake(homes: Homes, tmp_path: Path) -> None:
    with node(homes.there, listen=["tls://127.0.0.1:0"]) as there:
        stranger = Endpoint(tmp_path / "stranger", node="here")
        with_peer = Node(stranger, peers={"there": there.listening[0]})
        trouble = until(lambda: with_peer.peers()[0][3])
        assert "roster" in trouble, "what it is shown is no key of its own domain"
        assert there.peers() == []
        with_peer.close()


class Authority:
    """Certificates of a test's own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "authority")])
        self._write("authority", self._key, self._signed("authority", self._key, x509.BasicConstraints(ca=True, path_length=None)))

    def issue(self, name: str) -> Tls:
        key = ec.generate_private_key(ec.SECP256R1())
        self._write(name, key, self._signed(name, key, x509.BasicConstraints(ca=False, path_length=None)))
        return Tls(self.folder / "authority.pem", self.folder / f"{name}.pem", self.folder / f"{name}.key")

    def _signed(self, name: str, key: ec.EllipticCurvePrivateKey, constraints: x509.BasicConstraints) -> x509.Certificate:
        now = datetime.datetime.now(datetime.timezone.utc)
        made = x509.CertificateBuilder().subject_name(x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)]))
        made = made.issuer_name(self._name).public_key(key.public_key()).serial_number(x509.random_serial_number())
        made = made.not_valid_before(now - datetime.timedelta(hours=1)).not_valid_after(now + datetime.timedelta(days=1))
        names = x509.SubjectAlternativeName([x509.DNSName("localhost"), x509.IPAddress(ip_address("127.0.0.1"))])
        made = made.add_extension(constraints, critical=True).add_extension(names, critical=False)
        return made.sign(self._key, hashes.SHA256())

    def _write(self, name: str, key: ec.EllipticCurvePrivateKey, certificate: x509.Certificate) -> None:
        (self.folder / f"{name}.pem").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
        form = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        (self.folder / f"{name}.key").write_bytes(key.private_bytes(*form))


def test_tls_with_certificates_of_ones_own(homes: Homes, tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    with (
        node(homes.there, listen=["tls://127.0.0.1:0"], tls=authority.issue("there")) as there,
        node(homes.here, peers={"there": there.listening[0]}, tls=authority.issue("here")) as here,
    ):
        answered(here, there)


def test_what_is_no_certificate_is_named(homes: Homes, tmp_path: Path) -> None:
    with pytest.raises(TransportError, match=r"nowhere\.pem"):
        Node(Endpoint(homes.here), tls=Tls(tmp_path / "nowhere.pem"))


# --- a NATS server ----------------------------------------------------------------------------------------------------


class Server:
    """A `nats-server`, which may be killed and started again."""

    def __init__(self, folder: Path, more: str) -> None:
        self.port = free_port()
        self._file = folder / "server.conf"
        large = "max_payload: 17825792\nmax_pending: 134217728\n"
        self._file.write_text(f'listen: "127.0.0.1:{self.port}"\n{large}jetstream {{ store_dir: "{folder}/jetstream" }}\n{more}')
        self.start()

    def start(self) -> None:
        self._process = subprocess.Popen(["nats-server", "-c", str(self._file)], stderr=subprocess.DEVNULL)
        until(self._listens)

    def _listens(self) -> bool:
        with socket.socket() as one:
            return one.connect_ex(("127.0.0.1", self.port)) == 0

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Callable[..., Server]]:
    if shutil.which("nats-server") is None:
        assert "SEALWIRE_REQUIRE_NATS" not in os.environ, "nats-server is missing, and SEALWIRE_REQUIRE_NATS is set"
        pytest.skip("nats-server is missing (`apt install nats-server`)")
    made = []

    def make(more: str = "") -> Server:
        made.append(Server(tmp_path, more))
        return made[-1]

    yield make
    for each in made:
        each.kill()


KINDS = pytest.mark.parametrize("kind", ["nats", "jetstream"])


def test_the_doctor_finds_a_server(homes: Homes, server: Callable[..., Server]) -> None:
    broker = server("authorization { token: t0ken }")

    def said() -> str:
        environment = {**os.environ, "SEALWIRE_VIA": f"jetstream://127.0.0.1:{broker.port}"}
        command = [sys.executable, "-m", "sealwire", "doctor", "--home", homes.here]
        return subprocess.run(command, env=environment, capture_output=True, text=True, check=False).stdout

    told = said()
    assert "NATS server " in told, told
    assert f"answers at `127.0.0.1:{broker.port}`" in told, told
    assert "takes messages up to" not in told, told
    broker.kill()
    assert f"no server answers at `127.0.0.1:{broker.port}`" in said()


@KINDS
def test_a_server(homes: Homes, server: Callable[..., Server], kind: str) -> None:
    way = {"via": f"{kind}://127.0.0.1:{server().port}"}
    with node(homes.there, **way) as there, node(homes.here, **way) as here:
        answered(here, there)
        assert (here.via, here.listening, here.peers()) == (way["via"], [], [])


@KINDS
def test_a_server_that_asks_for_a_password_over_tls(homes: Homes, server: Callable[..., Server], tmp_path: Path, kind: str) -> None:
    tls, authority = Authority(tmp_path), f"{tmp_path}/authority.pem"
    shown = tls.issue("server")
    asks = f'tls {{ cert_file: "{shown.certificate}", key_file: "{shown.key}" }}\nauthorization {{ user: pi, password: s3cret }}\n'
    place = f"localhost:{server(asks).port}"
    way = {"via": f"{kind}+tls://{place}", "tls": Tls(Path(authority)), "nats": Nats("pi", "s3cret")}
    with node(homes.there, **way) as there, node(homes.here, **way) as here:
        answered(here, there)
    for wrong in ({"nats": Nats("pi", "another")}, {"nats": None}, {"tls": None}):
        with pytest.raises(TransportError, match=f"{kind}.tls://{place}: ") as refused:
            Node(Endpoint(homes.here), **{**way, **wrong})
        assert "s3cret" not in str(refused.value)


def test_a_server_that_asks_for_a_token(homes: Homes, server: Callable[..., Server]) -> None:
    way = {"via": f"nats://127.0.0.1:{server('authorization { token: t0ken }').port}", "nats": Nats(token="t0ken")}
    with node(homes.there, **way) as there, node(homes.here, **way) as here:
        answered(here, there)


@KINDS
def test_a_server_that_was_killed_is_found_again(homes: Homes, server: Callable[..., Server], kind: str) -> None:
    broker = server()
    way = {"via": f"{kind}://127.0.0.1:{broker.port}"}
    with node(homes.there, **way) as there, node(homes.here, **way) as here:
        answered(here, there)
        broker.kill()
        asking: list[bytes] = []
        thread = threading.Thread(target=lambda: asking.append(ask(here, b"meanwhile")))
        thread.start()
        time.sleep(1)
        broker.start()
        thread.join(PATIENCE)
        assert asking == [b"meanwhile"[::-1]]


def test_what_is_no_way_is_named(homes: Homes) -> None:
    endpoint = Endpoint(homes.here)
    for via, said in [
        ("nats://127.0.0.1:1", "nats://127.0.0.1:1: no connection"),
        ("nats://me:secret@127.0.0.1", "does not belong into `via`"),
        ("nats://", "names no host"),
        ("tcp://127.0.0.1:7451", "are listened at"),
        ("127.0.0.1:4222", "is a location such as"),
    ]:
        with pytest.raises(TransportError, match=said) as refused:
            Node(endpoint, via=via)
        assert "secret" not in str(refused.value)
    with pytest.raises(ValueError, match="not both"):
        Node(endpoint, via="nats://h", listen=["tcp://127.0.0.1:0"])
    with pytest.raises(TypeError, match="object has no `send`"):
        Node(endpoint, via=object())  # type: ignore[arg-type]  # no transport: what is tested


# --- objects of the user's --------------------------------------------------------------------------------------------


def test_an_object_with_plain_methods(homes: Homes) -> None:
    wire = MemoryTransport(timeout=0.2)
    with node(homes.there, via=wire) as there, node(homes.here, via=wire) as here:
        answered(here, there)
        assert here.via == "MemoryTransport"


def test_an_object_with_coroutines_and_acknowledgements(homes: Homes) -> None:
    places = {name: ("127.0.0.1", free_port()) for name in ("here", "there")}
    with node(homes.there, via=Postbox("there", places)) as there, node(homes.here, via=Postbox("here", places)) as here:
        answered(here, there)


class Recording(MemoryTransport):
    """Notes what was acknowledged, and fails now and then."""

    def __init__(self) -> None:
        super().__init__(timeout=0.2)
        self.calls = 0
        self.brought: list[bytes] = []
        self.acknowledged: list[bytes] = []
        self.log: list[str] = []

    def open(self) -> None:
        self.log.append("open")

    def close(self) -> None:
        self.log.append("close")

    def send(self, to: str, envelope: bytes) -> None:
        self.calls += 1
        if self.calls % 3 == 0:
            raise OSError("no such luck")
        super().send(to, envelope)

    def receive(self, to: str) -> Any:
        envelope = super().receive(to)
        self.brought.append(envelope)
        return SimpleNamespace(envelope=envelope, acknowledge=lambda: self.acknowledged.append(envelope))


def test_what_was_processed_is_acknowledged_and_what_failed_is_tried_again(homes: Homes) -> None:
    wire = Recording()
    with node(homes.there, via=wire) as there, node(homes.here, via=wire) as here:
        there.serve("worker", lambda incoming: incoming.message.body[::-1])
        for number in range(20):
            assert ask(here, b"%d" % number) == (b"%d" % number)[::-1]
        until(lambda: sorted(wire.acknowledged) == sorted(wire.brought))
        assert len(wire.brought) >= 40
    assert wire.log == ["open", "open", "close", "close"]
    assert TEXT not in b"".join(wire.brought)


class Broken:
    """Brings what is no envelope, then nothing but errors."""

    def __init__(self) -> None:
        self.given: list[Any] = [b"", b"\xff" * 100, b"x" * (17 * 1024 * 1024), "text", 7]

    def send(self, to: str, envelope: bytes) -> None:
        raise OSError("nowhere")

    def receive(self, to: str) -> Any:
        if self.given:
            return self.given.pop(0)
        raise OSError("nothing")


def test_an_object_that_fails_is_complained_of_and_harms_nobody(homes: Homes, caplog: pytest.LogCaptureFixture) -> None:
    with node(homes.here, via=Broken()) as here:
        here.host("asker")
        until(lambda: "OSError: nothing" in caplog.text)
        assert "the transport brought str, but an envelope is bytes" in caplog.text
        with pytest.raises(sealwire.Unreachable):
            ask(here, timeout=1)
