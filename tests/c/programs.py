"""How programs in C are built here: as strictly as their users may build them, with the library that `cargo build -p sealwire-ffi` made."""

from __future__ import annotations

import subprocess
from pathlib import Path

ROOT = Path(__file__).parents[2]
BUILT = ROOT / "target" / "debug"
STRICT = ["-std=c11", "-O1", "-g", "-Wall", "-Wextra", "-Wpedantic", "-Werror"]
SANITIZERS = ["-fsanitize=address,undefined", "-fno-sanitize-recover=all"]
SYSTEM = ["-lpthread", "-ldl", "-lm", "-lrt", "-lgcc_s"]


def build(source: str, folder: Path, *options: str) -> Path:
    """The program of a source file below `ffi/`, made in `folder`."""
    program = folder / Path(source).stem
    command = ["cc", *STRICT, *options, "-I", ROOT / "ffi" / "include", ROOT / "ffi" / source]
    subprocess.run([*command, BUILT / "libsealwire_ffi.a", *SYSTEM, "-o", program], check=True, timeout=120)
    return program
