"""Checks wheels: size, that the tag is true, and that an x86-64 one chooses faster arithmetic at run time.

    python check.py dist [ARCHITECTURE…]

Fails if a wheel is over 8 MB, needs a newer glibc than its tag says or another library than every Linux has, or if there is not one for
each ARCHITECTURE (all that are built, unless some are named).
"""

from __future__ import annotations

import re
import subprocess
import sys
import zipfile
from pathlib import Path
from tempfile import TemporaryDirectory

from auditwheel.error import AuditwheelError
from auditwheel.wheel_abi import analyze_wheel_abi
from auditwheel.wheeltools import get_wheel_architecture, get_wheel_libc

LIMIT = 8_000_000
"""Bytes of a wheel: what a slow line at a small machine takes in a minute."""

ARCHITECTURES = ("x86_64", "aarch64")

GLIBC = (2, 17)
"""The newest glibc that a wheel may need. Raspberry Pi OS has had a newer one since it first came for 64 bits."""

FASTER = "vpmadd52luq"
"""An instruction of the arithmetic that `.cargo/config.toml` lets curve25519-dalek choose where the processor has it."""


class Wrong(Exception):
    """What is wrong with a wheel, and what was expected."""


def main(arguments: list[str]) -> int:
    """Check what is in a folder; returns the exit code."""
    folder, architectures = Path(arguments[0]), tuple(arguments[1:]) or ARCHITECTURES
    for architecture in architectures:
        try:
            print(check(the_one(folder, architecture), architecture))
        except Wrong as wrong:
            print(f"{architecture}: {wrong}", file=sys.stderr)
            return 1
    return 0


def the_one(folder: Path, architecture: str) -> Path:
    """The wheel for an architecture."""
    found = sorted(folder.glob(f"*_{architecture}.whl"))
    if len(found) != 1:
        raise Wrong(f"there should be one wheel in `{folder}`, and there are {len(found)}: run `make wheels`")
    return found[0]


def check(wheel: Path, architecture: str) -> str:
    """A line that describes the wheel; raises `Wrong`."""
    size = wheel.stat().st_size
    if size > LIMIT:
        raise Wrong(f"{wheel.name} has {size:,} bytes; {LIMIT:,} are allowed")
    if "-cp310-abi3-" not in wheel.name:
        raise Wrong(f"{wheel.name} is not for every CPython from 3.10 on")
    promised = _promised(wheel)
    needed = _needed(wheel)
    if needed > promised or promised > GLIBC:
        raise Wrong(f"{wheel.name} promises glibc {_text(promised)}, needs {_text(needed)}, and may need {_text(GLIBC)}")
    if architecture == "x86_64" and FASTER not in _instructions(wheel):
        raise Wrong(f"{wheel.name} was built without the flags of .cargo/config.toml: it has no {FASTER}")
    return f"{wheel.name}: {size:,} bytes, needs glibc {_text(needed)}"


def _promised(wheel: Path) -> tuple[int, ...]:
    """The oldest glibc that its name says it runs with."""
    tags = [tuple(map(int, tag)) for tag in re.findall(r"manylinux_(\d+)_(\d+)", wheel.name)]
    if not tags:
        raise Wrong(f"{wheel.name} is not a manylinux wheel")
    return min(tags)


def _needed(wheel: Path) -> tuple[int, ...]:
    """The oldest glibc that has what its library uses, as auditwheel finds; no library beside it may be used but those every Linux has."""
    try:
        libc, architecture = get_wheel_libc(wheel.name), get_wheel_architecture(wheel.name)
        abi = analyze_wheel_abi(libc, architecture, wheel, frozenset(), disable_isa_ext_check=False, allow_graft=False)
    except AuditwheelError as error:
        raise Wrong(f"{wheel.name}: {error}") from None
    found = re.match(r"manylinux_(\d+)_(\d+)_", abi.overall_policy.name)
    if found is None:
        raise Wrong(f"{wheel.name} needs what not every Linux has: {abi.overall_policy.name}")
    return tuple(map(int, found.groups()))


def _instructions(wheel: Path) -> str:
    with TemporaryDirectory() as folder, zipfile.ZipFile(wheel) as archive:
        library = archive.extract(next(name for name in archive.namelist() if name.endswith(".so")), folder)
        return subprocess.run(["objdump", "--disassemble", library], check=True, capture_output=True, text=True).stdout


def _text(version: tuple[int, ...]) -> str:
    return ".".join(map(str, version))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
