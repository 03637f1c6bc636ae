"""docs/two-pis.md, word for word, on two hosts that have nothing.

Replaced are the two addresses, which are different with everybody, and the
step that installs: the package is the one that runs these tests.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from nets import Host, Net
from page import Follower, Step, steps_of

PAGE = Path(__file__).resolve().parents[2] / "docs/two-pis.md"
ADDRESSES = {"pi1": "192.168.1.21", "pi2": "192.168.1.22"}

#: Seconds in which two clean machines are joined, by two commands.
SOON = 60


@pytest.fixture
def hosts(tmp_path: Path) -> Iterator[dict[str, Host]]:
    net = Net(("pi1", "pi2"), tmp_path)
    try:
        yield net.hosts
    finally:
        net.remove()


def install(host: Host) -> None:
    """What the page's first step leaves behind: a folder with an environment that has the package."""
    bin_folder = host.folder / "agents/bin"
    bin_folder.mkdir(parents=True)
    package = os.environ.get("PYTHONPATH", "")
    for name, line in {"sealwire": "-m sealwire", "python": ""}.items():
        script = bin_folder / name
        script.write_text(f'#!/bin/sh\nexec {sys.executable} {line} "$@"\n')
        script.chmod(0o755)
    (bin_folder / "activate").write_text(f'export PATH="{bin_folder}:$PATH" HOME="{host.folder}" PYTHONPATH="{package}"\n')


def test_the_page_works_word_for_word(hosts: dict[str, Host], capsys: pytest.CaptureFixture[str]) -> None:
    meant = {written: hosts[name].address for name, written in ADDRESSES.items()}
    at = {name: Follower(host, meant) for name, host in hosts.items()}
    began = ended = 0.0
    try:
        for step in steps_of(PAGE, set(hosts)):
            if "sealwire invite" in step.text and step.kind == "sh":
                began = time.monotonic()
            for name in step.hosts:
                do(step, hosts[name], at[name], at["pi1"].invite())
            if "joined from" in step.text:
                ended = time.monotonic()
    finally:
        for follower in at.values():
            follower.leave()
    typed = [line for follower in at.values() for line in follower.typed]
    joining = [line for line in typed if line.split()[:2] in (["sealwire", "invite"], ["sealwire", "join"], ["sealwire", "init"])]
    assert joining == ["sealwire invite pi2 --name pi1", "sealwire join -"]
    assert {line.split()[1] for line in typed if line.startswith("sealwire")} == {"invite", "join", "serve", "doctor", "revoke"}
    with capsys.disabled():
        print(f"\ntwo clean machines were joined by {len(joining)} commands in {ended - began:.1f} s")
    assert 0 < ended - began < SOON


def do(step: Step, host: Host, follower: Follower, invite: str | None) -> None:
    if step.rest == ("install",):
        install(host)
    elif step.kind == "sh":
        follower.type(step.text, invite if "join -" in step.text else None)
    elif step.kind == "text":
        follower.see(step.text)
    else:
        (name,) = step.rest
        follower.save(name, step.text)
