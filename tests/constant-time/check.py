"""Runs the measurement and judges it: `python3 tests/constant-time/check.py`, or `make constant-time`.

Fails when the comparison that leaks is not found, or when one of the others seems to leak in each of some runs.
"""

import re
import subprocess
import sys
from pathlib import Path

LEAKS = 10.0
"""|t| from which dudect speaks of a leak; the noise of a shared machine stays below 5 nearly always."""

RUNS = 3
"""A leak is there in each run, a disturbance is not."""

LINE = re.compile(r"bench (\w+) .*max t = ([-+0-9.]+)")


def measure() -> dict[str, float]:
    """|t| of each subject."""
    command = ["cargo", "run", "--quiet", "--release", "--locked"]
    said = subprocess.run(command, cwd=Path(__file__).parent, check=True, stdout=subprocess.PIPE, text=True).stdout
    return {name: abs(float(t)) for name, t in LINE.findall(said)}


def main() -> int:
    """0 if all is as it should be."""
    runs = [measure() for _ in range(RUNS)]
    for name in runs[0]:
        print(f"{name:<8} |t| " + " ".join(f"{run[name]:8.1f}" for run in runs))
    leaking = sorted(name for name in runs[0] if all(run[name] > LEAKS for run in runs))
    if leaking != ["control"]:
        print(f"only `control` should leak, and these do: {leaking}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
