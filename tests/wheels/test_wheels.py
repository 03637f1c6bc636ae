"""The wheels as a user gets them: installed by pip, without a compiler; that for aarch64 in a Python for arm64 under qemu.

`make test-wheels` builds them and runs this. What the package's own tests say of Endpoint, audit and transports must hold there too, and a
node on one kind of processor must understand one on the other.
"""

from __future__ import annotations

import os
import platform
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import check
import pytest

HERE = Path(__file__).parent
ROOT = HERE.parent.parent
DIST = ROOT / "dist"

PURE = Path(pytest.__file__).parents[1]
"""Where pip and pytest are."""

SUITE = ("test_endpoint.py", "test_audit.py", "test_transport.py")
"""Tests of the package that need nothing but the package."""

SLOW = 300
"""Seconds: under qemu Python is about 20 times slower."""

architectures = pytest.mark.parametrize("architecture", check.ARCHITECTURES)


class Python:
    """A Python with nothing but a wheel and pytest."""

    def __init__(self, architecture: str, folder: Path) -> None:
        self.architecture = architecture
        self._command = [sys.executable if architecture == "x86_64" else _arm64()]
        self._packages = folder / architecture
        self._install(check.the_one(DIST, architecture))

    def _install(self, wheel: Path) -> None:
        """By the pip that runs in it, which decides by itself whether the wheel is for this machine."""
        options = ("--no-index", "--no-deps", "--no-compile", "--disable-pip-version-check", "--target", str(self._packages))
        self.run(str(PURE / "pip"), "install", *options, str(wheel))

    @property
    def environment(self) -> dict[str, str]:
        """Its wheel, and pytest, which is the same for every machine."""
        return {**os.environ, "PYTHONPATH": os.pathsep.join((str(self._packages), str(PURE))), "PYTHONSAFEPATH": "1"}

    def start(self, *arguments: str, folder: Path, **options: int) -> subprocess.Popen[str]:
        """Start it in a folder."""
        return subprocess.Popen([*self._command, "-S", *arguments], cwd=folder, env=self.environment, text=True, **options)

    def run(self, *arguments: str, folder: Path = HERE, stdin: str | None = None) -> str:
        """Run it; returns what it printed, and raises with it if it fails."""
        done = subprocess.run(
            [*self._command, "-S", *arguments],
            cwd=folder, env=self.environment, input=stdin, text=True, capture_output=True, timeout=SLOW,
        )  # fmt: skip
        assert done.returncode == 0, f"{arguments} ended with {done.returncode}:\n{done.stdout}\n{done.stderr}"
        return done.stdout


def _arm64() -> str:
    made = subprocess.run([HERE / "python-for-arm64", ROOT / "target" / "python-for-arm64"], check=True, capture_output=True, text=True)
    return made.stdout.strip()


@pytest.fixture(scope="module")
def pythons(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Python]:
    """One for each architecture."""
    folder = tmp_path_factory.mktemp("pythons")
    return {architecture: Python(architecture, folder) for architecture in check.ARCHITECTURES}


@architectures
def test_it_is_small_and_its_tag_is_true(architecture: str) -> None:
    assert check.check(check.the_one(DIST, architecture), architecture)


@architectures
def test_a_wheel_that_is_too_large_or_has_a_wrong_tag_is_found(architecture: str, tmp_path: Path) -> None:
    wheel = check.the_one(DIST, architecture)
    large = tmp_path / wheel.name
    large.write_bytes(wheel.read_bytes() + bytes(check.LIMIT))
    with pytest.raises(check.Wrong, match="bytes"):
        check.check(large, architecture)
    for tag in ("manylinux_2_5", "manylinux_2_28", "linux"):
        named = tmp_path / f"{'-'.join(wheel.name.split('-')[:4])}-{tag}_{architecture}.whl"
        shutil.copy(wheel, named)
        with pytest.raises(check.Wrong, match=r"manylinux|glibc"):
            check.check(named, architecture)


@architectures
def test_the_packages_own_tests_pass(architecture: str, pythons: dict[str, Python], tmp_path: Path) -> None:
    python = pythons[architecture]
    machine = python.run("-c", "import platform, sealwire; print(platform.machine(), sealwire.__file__)")
    assert machine.startswith(architecture)
    assert str(tmp_path.parent) in machine, "the wheel's package, and not another"
    tests = ROOT / "python" / "tests"
    options = ("-p", "no:cacheprovider", "-c", os.devnull, "--rootdir", str(tests))
    said = python.run("-m", "pytest", *options, *(str(tests / name) for name in SUITE), folder=tmp_path)
    assert " passed" in said
    assert "skipped" not in said, said


@pytest.mark.parametrize(("here", "there"), [("x86_64", "aarch64"), ("aarch64", "x86_64")])
def test_two_architectures_pair_and_talk(here: str, there: str, pythons: dict[str, Python], tmp_path: Path) -> None:
    """The commands of docs/cli.md, then requests from the one to the other, also after the other was killed."""
    pair(pythons[here], pythons[there], tmp_path)
    for _ in ("at first", "after it was killed"):
        with serving(pythons[there], tmp_path) as location:
            said = pythons[here].run(str(HERE / "peer.py"), "ask", "here", "mirror@there", location, folder=tmp_path)
            assert said.split() == [here, "asked"]


def pair(here: Python, there: Python, folder: Path) -> None:
    here.run("-m", "sealwire", "init", "--home", "here", "--name", "here", folder=folder)
    invite = ("-m", "sealwire", "invite", "there", "--home", "here", "--listen", "127.0.0.1:0")
    inviting = here.start(*invite, folder=folder, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    assert inviting.stdout is not None
    there.run("-m", "sealwire", "join", "-", "--home", "there", folder=folder, stdin=inviting.stdout.readline())
    assert inviting.wait(SLOW) == 0


@contextmanager
def serving(python: Python, folder: Path) -> Iterator[str]:
    """`mirror`, until it is killed; gives where it listens."""
    process = python.start(str(HERE / "peer.py"), "serve", "there", "tcp://127.0.0.1:0", folder=folder, stdout=subprocess.PIPE)
    try:
        assert process.stdout is not None
        machine, location = process.stdout.readline().split()
        assert machine == python.architecture
        yield location
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait(SLOW)


def test_this_machine_is_what_the_tests_take_it_for() -> None:
    assert (platform.system(), platform.machine()) == ("Linux", "x86_64")
