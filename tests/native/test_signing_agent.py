"""`core/examples/signing_agent.rs`: keys in one process, sealing in another."""

from __future__ import annotations

import subprocess
import tempfile
from pathlib import Path

EXAMPLE = Path(__file__).parents[2] / "target" / "debug" / "examples" / "signing_agent"


def test_what_needs_the_keys_is_done_by_the_other_process_or_not_at_all() -> None:
    # A folder with a short name: the path of a socket has at most some 100 bytes.
    with tempfile.TemporaryDirectory() as folder:
        ran = subprocess.run([EXAMPLE], capture_output=True, text=True, timeout=60, env={"TMPDIR": folder})
        left_behind = list(Path(folder).iterdir())
    assert ran.returncode == 0, ran.stderr
    opened, stranger, something_else, without = ran.stdout.splitlines()
    assert opened == "opened: 42 degrees"
    assert stranger.endswith("no key of that name is held here")
    assert something_else.endswith("that is nothing that sealwire signs")
    assert without.startswith("without the signing agent: not sealed: the signing key of `researcher@pi1` cannot be used")
    assert not left_behind, "its socket is gone with it"
