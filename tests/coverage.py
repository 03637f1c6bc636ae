"""Which lines of the core the tests in Rust run: `make coverage`.

    python3 tests/coverage.py           runs all tests, for half an hour, and prints a table
    python3 tests/coverage.py --lines   the same, and each line that was not run
    python3 tests/coverage.py --again   does not run them again

Needs cargo-llvm-cov, and LLVM's tools of the version that rustc has. Tests that stand in the files of the core are not counted. Nor are
runs from Python and C, and what a process did that was killed.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
from collections import defaultdict
from pathlib import Path

ROOT = Path(__file__).parents[1]
CORE = ROOT / "core/src"

TESTS = re.compile(r"#\[cfg\(test\)\]\n(?:#\[.*\n)*\s*(?:pub(?:\(\w+\))? )?mod (\w+)( \{|;)")

PARTS = ("endpoint", "home", "journal", "node", "pairing", "transport")
"""Folders; the files beside them are `format and keys`."""


def tools() -> dict[str, str]:
    """LLVM's own, as the environment says or under the names that Debian gives them."""
    version = subprocess.run(["rustc", "-vV"], check=True, capture_output=True, text=True).stdout
    major = re.search(r"LLVM version: (\d+)", version)
    assert major, version
    found = {}
    for name, tool in (("LLVM_COV", "llvm-cov"), ("LLVM_PROFDATA", "llvm-profdata")):
        path = os.environ.get(name) or shutil.which(f"{tool}-{major[1]}")
        if path is None or shutil.which("cargo-llvm-cov") is None:
            sys.exit(f"{tool} {major[1]} is missing: `apt install llvm-{major[1]}`; or cargo-llvm-cov is: `cargo install cargo-llvm-cov`")
        found[name] = path
    return found


def covered(again: bool) -> dict[Path, dict[int, bool]]:
    """For each file of the core, its lines and whether they were run."""
    environment = os.environ | tools()
    if not again:
        command = ["cargo", "llvm-cov", "--no-report", "--workspace", "--all-features", "--locked"]
        subprocess.run(command, cwd=ROOT, env=environment, check=True)
    report = subprocess.run(
        ["cargo", "llvm-cov", "report", "--lcov"], cwd=ROOT, env=environment, check=True, stdout=subprocess.PIPE, text=True
    )
    lines: dict[Path, dict[int, bool]] = defaultdict(dict)
    file = ROOT
    for line in report.stdout.splitlines():
        if line.startswith("SF:"):
            file = Path(line[3:])
        elif line.startswith("DA:"):
            number, count = line[3:].split(",")[:2]
            lines[file][int(number)] = int(count) > 0
    without = tests()
    return {file: left for file in sorted(lines) if CORE in file.parents and (left := but(lines[file], without.get(file)))}


def tests() -> dict[Path, int]:
    """Files with tests, and the line from which they are nothing else."""
    begin = {}
    for file in CORE.rglob("*.rs"):
        text = file.read_text()
        for found in TESTS.finditer(text):
            folder = file.parent if file.name in ("lib.rs", "mod.rs") else file.with_suffix("")
            if found[2] == ";":
                begin[folder / f"{found[1]}.rs"] = 0
                begin |= dict.fromkeys((folder / found[1]).rglob("*.rs"), 0)
            else:
                begin[file] = text.count("\n", 0, found.start()) + 1
    return begin


def but(lines: dict[int, bool], tests: int | None) -> dict[int, bool]:
    return {line: run for line, run in lines.items() if tests is None or line < tests}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--lines", action="store_true")
    parser.add_argument("--again", action="store_true")
    options = parser.parse_args()
    parts: dict[str, list[bool]] = defaultdict(list)
    for file, lines in covered(options.again).items():
        name = file.relative_to(CORE)
        part = name.with_suffix("").parts[0]
        parts[part if part in PARTS else "format and keys"] += lines.values()
        missed = [number for number, run in sorted(lines.items()) if not run]
        if options.lines and missed:
            text = file.read_text().splitlines()
            print(f"{name}\n" + "\n".join(f"{number:6} {text[number - 1]}" for number in missed))
    parts["all"] = [run for part in list(parts.values()) for run in part]
    for part, runs in sorted(parts.items(), key=lambda item: item[0] == "all"):
        print(f"{part:<16} {sum(runs):6,} of {len(runs):6,} lines  {sum(runs) / len(runs):6.1%}")


if __name__ == "__main__":
    main()
