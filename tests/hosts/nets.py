"""Hosts in network namespaces on one bridge, and a capture of all that passes between them."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

__all__ = ["Capture", "Host", "Net"]


#: KiB that the kernel keeps for a capture whose process has to wait for a processor.
_ROOM = 32 * 1024


def _run(*command: str) -> None:
    subprocess.run(command, check=True, capture_output=True, text=True)


class Host:
    """A machine of its own as far as the network is concerned, with a folder for its files."""

    def __init__(self, namespace: str, address: str, folder: Path) -> None:
        self.namespace = namespace
        self.address = address
        self.folder = folder
        folder.mkdir()

    def start(self, *command: str, **options: Any) -> subprocess.Popen[str]:
        """Start a command on this host."""
        line = ["ip", "netns", "exec", self.namespace, *command]
        return subprocess.Popen(line, cwd=self.folder, text=True, **options)

    def run(self, *command: str, stdin: str | None = None, timeout: float = 120) -> str:
        """Run a command on this host and return what it printed; raises if it fails."""
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        process = self.start(*command, **pipes)
        said, complaints = process.communicate(stdin, timeout=timeout)
        if process.returncode != 0:
            raise AssertionError(f"{command} ended with {process.returncode}:\n{said}\n{complaints}")
        return said


class Net:
    """Hosts that see each other and nobody else. The switch is in a namespace of its own, too."""

    def __init__(self, names: Sequence[str], folder: Path) -> None:
        self._prefix = f"sw{os.getpid()}"
        self.switch = f"{self._prefix}-switch"
        self._made: list[str] = []
        self.hosts: dict[str, Host] = {}
        try:
            self._build(names, folder)
        except BaseException:
            self.remove()
            raise

    def _build(self, names: Sequence[str], folder: Path) -> None:
        self._namespace(self.switch)
        # A switch that remembers nobody sends everything everywhere: every host could listen to the others.
        _run("ip", "-n", self.switch, "link", "add", "br0", "type", "bridge", "ageing_time", "0")
        _run("ip", "-n", self.switch, "link", "set", "br0", "up")
        for number, name in enumerate(names, 1):
            namespace, port, address = f"{self._prefix}-{name}", f"port-{name}", f"10.77.0.{number}"
            self._namespace(namespace)
            _run("ip", "link", "add", "eth0", "netns", namespace, "type", "veth", "peer", "name", port, "netns", self.switch)
            _run("ip", "-n", self.switch, "link", "set", port, "master", "br0", "up")
            _run("ip", "-n", namespace, "addr", "add", f"{address}/24", "dev", "eth0")
            for device in ("lo", "eth0"):
                _run("ip", "-n", namespace, "link", "set", device, "up")
            self.hosts[name] = Host(namespace, address, folder / name)

    def _namespace(self, name: str) -> None:
        _run("ip", "netns", "add", name)
        self._made.append(name)

    def link(self, name: str, state: str) -> None:
        """Plug a host's cable in (``up``) or out (``down``)."""
        _run("ip", "-n", self.switch, "link", "set", f"port-{name}", state)

    def lose(self, name: str, percent: int) -> None:
        """Let a host lose so many of the packets that come to it, at random."""
        rules = (
            "add table inet loss; add chain inet loss in { type filter hook input priority 0; }; flush chain inet loss in; "
            f"add rule inet loss in iifname eth0 numgen random mod 100 < {percent} drop"
        )
        _run("ip", "netns", "exec", self.hosts[name].namespace, "nft", rules)

    def remove(self) -> None:
        """Take everything down."""
        for namespace in reversed(self._made):
            subprocess.run(["ip", "netns", "del", namespace], check=False, capture_output=True)
        self._made.clear()


class Capture:
    """Every packet that is seen in a namespace, in a file: at the switch those of all hosts."""

    def __init__(self, namespace: str, file: Path, device: str = "any") -> None:
        self._file = file
        line = ["ip", "netns", "exec", namespace, "tcpdump", "-i", device, "-s", "0", "-B", str(_ROOM), "-U", "-w", str(file)]
        self._process = subprocess.Popen(line, stderr=subprocess.PIPE, text=True)
        assert self._process.stderr is not None
        while "listening on" not in (said := self._process.stderr.readline()):
            assert said, "tcpdump did not start"

    def end(self) -> bytes:
        """Stop, and return the bytes of all packets; raises if the kernel had to drop any."""
        time.sleep(2)  # the kernel hands over what it has once a second
        self._process.terminate()
        _, said = self._process.communicate(timeout=60)
        assert "\n0 packets dropped by kernel" in said, said
        return self._file.read_bytes()
