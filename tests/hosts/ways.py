"""The ways a crew's envelopes go between the hosts, each said in the `sealwire.toml` beside a host's home."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from nets import Host, Net

__all__ = ["WAYS", "Broker", "Way"]

TESTS = Path(__file__).parents[2] / "python/tests"

PASSWORD = "Zyxomma-4711"

SERVER = f"""
listen: "0.0.0.0:4222"
max_payload: 17825792
max_pending: 134217728
authorization {{ user: crew, password: {PASSWORD} }}
jetstream {{ store_dir: "jetstream" }}
"""

STREAMS = """
[node]
listen = ["{scheme}://0.0.0.0"]

[node.peers]
pi2 = "{scheme}://10.77.0.2"
pi3 = "{scheme}://10.77.0.3"
"""

SERVED = """
[node]
via = "{scheme}://{broker}:4222"

[node.nats]
user = "crew"
password-file = "nats.password"
"""

PYTHON = """
[node]
via = "python:postbox:from_environment"
"""


class Broker:
    """A `nats-server` with JetStream on a host of its own."""

    def __init__(self, host: Host) -> None:
        self.host = host
        (host.folder / "server.conf").write_text(SERVER)
        with (host.folder / "log").open("w") as log:
            self._process = host.start("nats-server", "-c", "server.conf", stdout=log, stderr=log)
        deadline = time.monotonic() + 20
        while "Server is ready" not in (said := (host.folder / "log").read_text()):
            assert time.monotonic() < deadline, said
            time.sleep(0.05)

    def kept(self) -> bytes:
        """All that is in the files of JetStream."""
        return b"".join(file.read_bytes() for file in (self.host.folder / "jetstream").rglob("*") if file.is_file())

    def stop(self) -> None:
        """End it; it writes what it has in memory."""
        self._process.terminate()
        self._process.wait(60)


@dataclass(frozen=True)
class Way:
    """One way, and what a host needs for it."""

    name: str
    settings: str
    needs_broker: bool = False
    environment: Callable[[Net, str], dict[str, str]] = field(default=lambda _net, _host: {})

    @contextmanager
    def taken(self, net: Net) -> Iterator[Broker | None]:
        """While it is in use, each host has its settings."""
        broker = Broker(net.hosts["broker"]) if self.needs_broker else None
        for name in ("pi1", "pi2", "pi3"):
            host = net.hosts[name]
            (host.folder / "sealwire.toml").write_text(self.settings.replace("{broker}", net.hosts["broker"].address))
            (host.folder / "nats.password").write_text(PASSWORD + "\n")
        try:
            yield broker
        finally:
            for name in ("pi1", "pi2", "pi3"):
                (net.hosts[name].folder / "sealwire.toml").unlink()
            if broker is not None:
                broker.stop()


def _postbox(net: Net, host: str) -> dict[str, str]:
    places = " ".join(f"{name}={net.hosts[name].address}:9000" for name in ("pi1", "pi2", "pi3"))
    path = os.pathsep.join(filter(None, [str(TESTS), os.environ.get("PYTHONPATH")]))
    return {"POSTBOX": places, "POSTBOX_NODE": host, "PYTHONPATH": path}


WAYS = (
    Way("tcp", STREAMS.replace("{scheme}", "tcp")),
    Way("tls", STREAMS.replace("{scheme}", "tls")),
    Way("nats", SERVED.replace("{scheme}", "nats"), needs_broker=True),
    Way("jetstream", SERVED.replace("{scheme}", "jetstream"), needs_broker=True),
    Way("python", PYTHON, environment=_postbox),
)


def publish(host: Host, broker: Host, subject: str, text: str) -> None:
    """Say something to the broker in the clear."""
    connect = f'CONNECT {{"user":"crew","pass":"{PASSWORD}","verbose":false}}\r\n'
    said = f"{connect}PUB {subject} {len(text.encode())}\r\n{text}\r\nPING\r\n"
    script = (
        f"import socket; s = socket.create_connection(({broker.address!r}, 4222)); s.sendall({said.encode()!r})\n"
        "said = b''\nwhile b'PONG' not in said: said += s.recv(1000) or exit('hung up')"
    )
    host.run("python3", "-c", script)


def as_nobody(*command: str) -> subprocess.CompletedProcess[str]:
    """Run a command as a user of this machine who owns nothing."""
    line = ["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups", *command]
    return subprocess.run(line, capture_output=True, text=True, timeout=60, check=False, cwd="/")
