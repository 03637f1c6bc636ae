"""`core/examples/signing_agent.rs`: keys in one process, sealing in another."""

from __future__ import annotations

import subprocess
from pathlib import Path

EXAMPLE = Path(__file__).parents[2] / "target" / "debug" / "examples" / "signing_agent"


def test_what_needs_the_keys_is_done_by_the_other_process_or_not_at_all(tmp_path: Path) -> None:
    ran = subprocess.run([EXAMPLE], capture_output=True, text=True, timeout=60, env={"TMPDIR": str(tmp_path)})
    assert ran.returncode == 0, ran.stderr
    opened, stranger, something_else, without = ran.stdout.splitlines()
    assert opened == "opened: 42 degrees"
    assert stranger.endswith("no key of that name is held here")
    assert something_else.endswith("that is nothing that sealwire signs")
    assert without.startswith("without the signing agent: not sealed: the signing key of `researcher@pi1` cannot be used")
    assert not list(tmp_path.iterdir()), "its socket is gone with it"
