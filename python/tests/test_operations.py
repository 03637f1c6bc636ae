"""docs/operations.md: what is printed there is taken by those it is for."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import kubernetes.client
import pytest
import yaml

from sealwire._sealwire import command

PAGE = (Path(__file__).resolve().parents[2] / "docs/operations.md").read_text(encoding="utf-8")
FILES = dict(re.findall(r"^```\w+ (\S+)\n(.*?)^```$", PAGE, re.S | re.M))
UNITS = [name for name in FILES if name.endswith(".service")]


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd reads its units itself, and is not here")
@pytest.mark.parametrize("name", UNITS)
def test_systemd_takes_the_unit(tmp_path: Path, name: str) -> None:
    installed = tmp_path / ".venv/bin/sealwire"
    installed.parent.mkdir(parents=True)
    installed.write_text("#!/bin/sh\n")
    installed.chmod(0o755)
    unit = tmp_path / name
    unit.write_text(FILES[name].replace("/srv/agents", str(tmp_path)))
    done = subprocess.run(["systemd-analyze", "verify", "--man=no", str(unit)], capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("name", UNITS)
def test_the_command_takes_the_units_line(name: str) -> None:
    (line,) = re.findall(r"^ExecStart=\S+/sealwire (.*)$", FILES[name], re.M)
    module, _ = python_part(line.split())
    assert module == {"serve": "sealwire.serve", "up": "sealwire.up"}[line.split()[0]]


def python_part(arguments: list[str]) -> tuple[str, list[str]]:
    """What the command line leaves to Python: it was read without complaint."""
    outcome = command(["sealwire", *arguments])
    assert isinstance(outcome, tuple)
    return outcome


def resources() -> list[dict[str, Any]]:
    return list(yaml.safe_load_all(FILES["sealwire.yaml"]))


@pytest.mark.parametrize("resource", resources(), ids=lambda resource: resource["kind"])
def test_kubernetes_takes_the_manifest(resource: dict[str, Any]) -> None:
    assert understood(resource) == resource


def understood(resource: dict[str, Any]) -> Any:
    """What Kubernetes' own client makes of it: a key that it does not know is gone, and one that it needs and does not find raises."""
    client = kubernetes.client.ApiClient()
    read = client.deserialize(SimpleNamespace(data=json.dumps(resource)), f"V1{resource['kind']}")
    return client.sanitize_for_serialization(read)


def test_a_key_that_is_none_or_is_missing_would_be_seen() -> None:
    (stateful,) = (each for each in resources() if each["kind"] == "StatefulSet")
    stateful["spec"]["template"]["spec"]["containers"][0]["readynessProbe"] = {}
    assert understood(stateful) != stateful
    del stateful["spec"]["template"]["spec"]["containers"][0]["name"]
    with pytest.raises(ValueError, match="name"):
        understood(stateful)


def test_the_pod_is_what_the_page_says() -> None:
    found = {each["kind"]: each for each in resources()}
    pod = found["StatefulSet"]["spec"]["template"]["spec"]
    (agent,), (join,) = pod["containers"], pod["initContainers"]
    module, arguments = python_part(agent["command"][1:])
    assert (module, arguments[-1]) == ("sealwire.serve", "agents.py:researcher")
    for container in (agent, join):
        assert container["securityContext"]["readOnlyRootFilesystem"] is True
        assert {mount["name"] for mount in container["volumeMounts"]} <= {"home", "secrets", "tmp"}
    named = {item["key"] for item in pod["volumes"][0]["secret"]["items"]} | {agent["env"][1]["valueFrom"]["secretKeyRef"]["key"]}
    assert named == set(found["Secret"]["stringData"])
    assert found["StatefulSet"]["spec"]["replicas"] == 1
    assert {rule["port"] for rule in found["NetworkPolicy"]["spec"]["ingress"][0]["ports"]} == {7451}
