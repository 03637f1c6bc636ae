"""Each accepted test vector with one byte changed: C and Python refuse it, with the verdict that Rust came to (`tests/vectors/changed`)."""

from __future__ import annotations

import itertools
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from programs import BUILT, ROOT, SANITIZERS, build

from sealwire import Endpoint, SealwireError

VECTORS = ROOT / "tests" / "vectors"
CASES = sorted(path.stem for path in (VECTORS / "changed").glob("*.txt"))
# When the messages of all cases were sealed.
SEALED = 1_800_000_000
# Not for values that were never written, as in `ffi/tests/c.rs`.
MEMCHECK = [
    "valgrind",
    "--quiet",
    "--undef-value-errors=no",
    "--leak-check=full",
    "--errors-for-leak-kinds=definite,indirect",
    "--error-exitcode=9",
]
WITH_THE_TIME_OF_THE_CASE = "-Wl,--wrap=clock_gettime"


class Case:
    """A test vector, and the home in which it is read."""

    def __init__(self, name: str, home: Path) -> None:
        self.path, self.home = VECTORS / "sealwire" / f"{name}.txt", home
        self._lines = [line.split(": ", 1) for line in self.path.read_text().splitlines()]
        self.structure, self.now = self.text("structure"), int(self.text("now"))
        self.read = bytearray.fromhex(self.text(self.structure))

    def text(self, name: str) -> str:
        (value,) = self.texts(name)
        return value

    def texts(self, name: str) -> list[str]:
        return [value for key, value in self._lines if key == name]

    def expected(self) -> str:
        """What Rust came to. A roster reaches C and Python in a home only, which is refused as a whole."""
        if self.structure == "roster":
            return "".join(f"xor: {mask}\nhome-failed: 0-{len(self.read) - 1}\n" for mask in ("01", "80"))
        return (VECTORS / "changed" / self.path.name).read_text()


@pytest.fixture(params=CASES)
def case(request: pytest.FixtureRequest, tmp_path: Path) -> Case:
    case = Case(request.param, tmp_path / "home")
    subprocess.run([BUILT / "case-home", case.path, case.home], check=True, timeout=60)
    return case


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build("tests/c/changed.c", tmp_path_factory.mktemp("plain"), WITH_THE_TIME_OF_THE_CASE)


@pytest.fixture(scope="module")
def sanitized(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build("tests/c/changed.c", tmp_path_factory.mktemp("sanitized"), WITH_THE_TIME_OF_THE_CASE, *SANITIZERS)


def test_there_are_cases_of_each_structure() -> None:
    structures = [Case(name, Path()).structure for name in CASES]
    assert [structures.count(name) for name in ("envelope", "certificate", "roster")] == [9, 5, 13]


def test_c(case: Case, sanitized: Path) -> None:
    assert verdicts_of(sanitized, case=case) == case.expected()


@pytest.mark.parametrize("case", ["lane"], indirect=True)
def test_c_under_valgrind(case: Case, plain: Path) -> None:
    if shutil.which("valgrind") is None:
        pytest.fail("`valgrind` is missing: on Debian or Ubuntu, `apt install valgrind`")
    assert verdicts_of(*MEMCHECK, plain, case=case) == case.expected()


def test_python(case: Case) -> None:
    read = reader(case)
    lines = []
    for mask in (0x01, 0x80):
        lines.append(f"xor: {mask:02x}\n")
        verdicts = [verdict(read, changed(case.read, at, mask)) for at in range(len(case.read))]
        for found, run in itertools.groupby(range(len(verdicts)), verdicts.__getitem__):
            places = list(run)
            lines.append(f"{found}: {places[0]}-{places[-1]}\n")
    assert "".join(lines) == case.expected()
    # The roster of a case need not list the node of this home.
    if case.structure != "roster":
        assert verdict(read, bytes(case.read)) == "accepted"


def verdicts_of(*command: Path | str, case: Case) -> str:
    done = subprocess.run([*command, case.home, case.path], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    return done.stdout


def changed(read: bytearray, at: int, mask: int) -> bytes:
    forged = bytearray(read)
    forged[at] ^= mask
    return bytes(forged)


def reader(case: Case) -> Callable[[bytes], object]:
    """Reads bytes in the place of the case's own."""
    time = SEALED
    endpoint = Endpoint(case.home, clock=lambda: time)
    for address in case.texts("reader"):
        endpoint.host(address.partition("@")[0])
    for before in case.texts("before"):
        endpoint.open(bytes.fromhex(before))
    time = case.now

    def read_roster(roster: bytes) -> Endpoint:
        (case.home / "roster.cbor").write_bytes(roster)
        return Endpoint(case.home, clock=lambda: time)

    return {"envelope": endpoint.open, "certificate": endpoint.introduce, "roster": read_roster}[case.structure]


def verdict(read: Callable[[bytes], object], data: bytes) -> str:
    """`not-authentic` for `NotAuthentic`. A home's error is the one that C has another name for."""
    try:
        read(data)
    except SealwireError as error:
        name = re.sub(r"(?<!^)(?=[A-Z])", "-", type(error).__name__).lower()
        return {"home-error": "home-failed"}.get(name, name)
    return "accepted"
