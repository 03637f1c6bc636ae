"""`sealwire doctor` beside a node that runs: what it finds out about it."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest
from remote_parts import command

import sealwire
from sealwire._sealwire import Home


class Slow:
    """A clock that can be set back."""

    behind = 0

    def __call__(self) -> int:
        return int(time.time()) - self.behind


def findings(home: Path) -> dict[str, dict[str, Any]]:
    said = command("doctor", "--home", str(home), "--json")
    return {finding["what"]: finding for finding in json.loads(said.stdout)["findings"]}


@pytest.mark.parametrize(
    ("behind", "state", "what"),
    [
        (0, "ok", "clock of `pi2` agrees with this one"),
        (-60, "note", "clock of `pi2` is 1 min 0 s ahead"),
        (432, "wrong", "clock of `pi2` is 7 min 12 s behind; messages may differ by 2 min"),
    ],
)
def test_the_clock_and_the_version_of_a_node_are_told(tmp_path: Path, behind: int, state: str, what: str) -> None:
    here, clock = Home(tmp_path / "pi1", node="pi1"), Slow()
    here.enrol(tmp_path / "pi2", "pi2", ["*"], [])
    node = sealwire.Node(sealwire.Endpoint(tmp_path / "pi2", clock=clock), listen=["tcp://127.0.0.1:0"])
    try:
        here.enrol(tmp_path / "pi2", "pi2", ["*"], node.listening)
        clock.behind = behind
        found = findings(tmp_path / "pi1")
    finally:
        node.close()
    # A second may pass between question and answer.
    near = [text for text in found if text.startswith("clock of `pi2`")]
    assert len(near) == 1
    assert found[near[0]]["state"] == state
    assert near[0] in {what, *(what.replace("12 s", f"{second} s").replace("1 min 0 s", "59 s") for second in (11, 13, 14))}
    if state != "ok":
        assert "timedatectl set-ntp true" in found[near[0]]["remedy"]
    (version,) = (text for text in found if "of sealwire" in text)
    assert version.startswith("`pi2` runs version ")
    assert found[version]["state"] == "ok"


def test_a_node_that_does_not_run_has_no_clock(tmp_path: Path) -> None:
    here = Home(tmp_path / "pi1", node="pi1")
    here.enrol(tmp_path / "pi2", "pi2", ["*"], ["tcp://127.0.0.1:9"])
    found = findings(tmp_path / "pi1")
    assert found["`pi2` does not answer at tcp://127.0.0.1:9"]["state"] == "wrong"
    assert not any("clock of" in text for text in found)


def test_revoke_says_who_took_it(tmp_path: Path) -> None:
    here = Home(tmp_path / "pi1", node="pi1")
    for name, addresses in (("pi2", []), ("pi3", ["tcp://127.0.0.1:9"]), ("pi4", [])):
        here.enrol(tmp_path / name, name, ["*"], addresses)
    node = sealwire.Node(sealwire.Endpoint(tmp_path / "pi2"), listen=["tcp://127.0.0.1:0"])
    try:
        here.enrol(tmp_path / "pi2", "pi2", ["*"], node.listening)
        said = json.loads(command("revoke", "pi4", "--home", str(tmp_path / "pi1"), "--json").stdout)
        assert (said["told"], said["untold"]) == (["pi2"], ["pi3"])
        assert [name for name, *_ in node.endpoint.members()] == ["pi1", "pi2", "pi3"]
    finally:
        node.close()
