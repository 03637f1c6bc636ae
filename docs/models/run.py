#!/usr/bin/env python3
"""Checks the models: the true ones have no attack, and each that breaks a rule has the attack that the rule prevents.

`run.py spin` takes a minute, most of it for the compiler, and needs spin and a C compiler; `run.py verifpal` needs verifpal.
README.md says what the runs mean.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).parent

ONCE = "!(taken[key_of[t]])"  # an envelope is accepted once
MARKED = "(again[t]|| !(accepted))"  # a redelivery is marked
UNMARKED = "!(unmarked))"  # released without the mark at most once
WRITTEN = "written"  # acknowledged only once it is written down
ANSWERED = "acceptance cycle"  # a message is acknowledged in the end
HOLDS = ""

# What may happen or which rule is broken, by macros of journal.pml; and which property fails.
SPIN = [
    ("RESTORE", HOLDS),
    ("THREADS=2", HOLDS),
    ("CLOCK FAULTS=3 OTHERS=2", HOLDS),
    ("SET_BACK", HOLDS),
    ("LIVE RESTORE", HOLDS),
    # What is not promised.
    ("RESTORE CLOCK", MARKED),
    ("RESTORE OLDEST_BACKUP=0", MARKED),
    ("SET_BACK MARKS", MARKED),
    # A rule is broken.
    ("RELEASE_FIRST", UNMARKED),
    ("UNMARKED", UNMARKED),
    ("ACK_EARLY", WRITTEN),
    ("RESTORE KEEP_KEYS", ONCE),
    ("RESTORE MARKER_LAST", ONCE),
    ("LIFE_UNCHECKED", ONCE),
    ("THREADS=2 NO_UNIQUE_KEY", ONCE),
    ("SET_BACK NO_HORIZON", ONCE),
    ("STRICTLY_BEFORE", MARKED),
    ("CLOCK NO_FLOOR", MARKED),
    ("LIVE SEALED_ONCE", ANSWERED),
    ("LIVE FORGOTTEN", ANSWERED),
]

# Model, variant, sessions, and Verifpal's result: for each query its first letter, and 1 if there is an attack.
VERIFPAL = [
    ("opening", "", 1, "a0c0c0"),
    ("opening", "RECIPIENT", 1, "a1c0c1"),
    ("opening", "SIGNATURE", 1, "a1c0c1"),
    ("lane", "", 1, "c0c0a0"),
    ("lane", "", 2, "c0c0a1"),
    ("lane", "NAMED", 1, "c1c0"),
    ("pairing", "", 2, "a0a0c0"),
    ("pairing", "PROOF", 1, "a1a0c1"),
    ("pairing", "ONCE", 1, "a0a0c1"),
    ("pairing", "KNOWN", 1, "a1a0c1"),
    ("pairing", "ROOT", 1, "a1a1c1"),
]


def spin(macros: str, folder: Path) -> tuple[str, str]:
    """The property that fails, if one does, and how many states were seen."""
    live = "LIVE" in macros.split()
    defines = [f"-D{macro}" for macro in macros.split()]
    subprocess.run(["spin", *defines, "-a", HERE / "journal.pml"], cwd=folder, check=True, capture_output=True)
    kind = ["-DNFAIR=3"] if live else ["-DSAFETY"]
    subprocess.run(["cc", "-w", "-O1", "-DCOLLAPSE", "-DMEMLIM=2000", *kind, "-o", "pan", "pan.c"], cwd=folder, check=True)
    # The network may stop for good: only what is wrong in a state counts, and in the search for cycles, processes that can go on do.
    search = ["-a", "-f"] if live else []
    out = subprocess.run(["./pan", *search, "-E", "-n", "-m1000000"], cwd=folder, check=True, capture_output=True, text=True).stdout
    if "max search depth too small" in out or "out of memory" in out or ("Search not completed" in out and "pan:1:" not in out):
        raise SystemExit(f"journal {macros}: the search is not complete\n{out}")
    failed = re.search(r"pan:1: (?:assertion violated *)?(.*) \(at depth", out)
    states = re.search(r"(\d+) states, stored", out)
    return failed[1].strip() if failed else HOLDS, f"{states[1] if states else '?'} states"


def variant(source: str, name: str) -> str:
    """The model with the lines that are marked for this variant, and without those that are not in it."""
    lines = (line.removeprefix(f"//+{name} ") if name else line for line in source.splitlines())
    kept = (line for line in lines if not name or f"//-{name}" not in line.split(" "))
    return "".join(re.sub(r"( //-[A-Z]+)+$", "", line) + "\n" for line in kept)


def verifpal(model: str, name: str, sessions: int, folder: Path) -> str:
    """Verifpal's result code."""
    path = folder / f"{model}.vp"
    path.write_text(variant((HERE / path.name).read_text(), name))
    command = ["verifpal", "verify", path, "--sessions", str(sessions), "--result-code", "--quiet"]
    run = subprocess.run(command, capture_output=True, text=True)
    if run.returncode:
        raise SystemExit(f"{model} {name}: verifpal failed\n{run.stdout}{run.stderr}")
    return run.stdout.split()[-1]


def check_spin(folder: Path) -> bool:
    """Whether each run of Spin has the result it must have."""
    right = True
    for macros, expected in SPIN:
        failed, size = spin(macros, folder)
        right &= report(f"journal {macros}", failed or "holds", size, (expected in failed) if expected else not failed)
    return right


def check_verifpal(folder: Path) -> bool:
    """Whether each run of Verifpal has the result it must have."""
    right = True
    for model, name, sessions, expected in VERIFPAL:
        result = verifpal(model, name, sessions, folder)
        right &= report(f"{model} {name}".strip(), result, f"sessions: {sessions}", result == expected)
    return right


def report(run: str, result: str, note: str, right: bool) -> bool:
    """Prints a run; returns `right`."""
    print(f"{'ok ' if right else 'NOT'} {run:34} {result:28} {note}", flush=True)
    return right


def main() -> int:
    """Runs the tool that is named; 0 if all is as it must be."""
    checks = {"spin": (check_spin, "apt install spin"), "verifpal": (check_verifpal, "cargo install verifpal --ignore-rust-version")}
    if len(sys.argv) != 2 or sys.argv[1] not in checks:
        print(f"usage: {sys.argv[0]} spin|verifpal", file=sys.stderr)
        return 2
    check, remedy = checks[sys.argv[1]]
    if shutil.which(sys.argv[1]) is None:
        print(f"{sys.argv[1]} is missing: `{remedy}`", file=sys.stderr)
        return 1
    with tempfile.TemporaryDirectory() as folder:
        right = check(Path(folder))
    print("as README.md says" if right else "not as README.md says")
    return 0 if right else 1


if __name__ == "__main__":
    sys.exit(main())
