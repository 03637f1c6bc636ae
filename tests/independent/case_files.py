"""The test vectors of docs/SPEC.md, read as a stranger reads them: lines of ``name: value``, bytes in hexadecimal."""

from __future__ import annotations

import dataclasses
import pathlib

FOLDER = pathlib.Path(__file__).parent.parent / "vectors" / "sealwire"


@dataclasses.dataclass(frozen=True)
class Case:
    """One file."""

    name: str
    lines: tuple[tuple[str, str], ...]

    def texts(self, name: str) -> list[str]:
        """All values of that name."""
        return [value for key, value in self.lines if key == name]

    def text(self, name: str) -> str:
        """The one value of that name."""
        (value,) = self.texts(name)
        return value

    def bytes_of(self, name: str) -> bytes:
        """The one value of that name, as bytes."""
        return _decode(self.text(name))

    def all_bytes(self, name: str) -> list[bytes]:
        """All values of that name, as bytes."""
        return [_decode(value) for value in self.texts(name)]


def _decode(value: str) -> bytes:
    digits, _, zeros = value.partition("+")
    return bytes.fromhex(digits) + bytes(int(zeros or "0"))


def read(name: str) -> Case:
    """The case of that name."""
    lines = (FOLDER / f"{name}.txt").read_text().splitlines()
    return Case(name, tuple((key, value) for key, _, value in (line.partition(": ") for line in lines)))


def read_all() -> list[Case]:
    """All cases, by name."""
    return [read(path.stem) for path in sorted(FOLDER.glob("*.txt"))]
