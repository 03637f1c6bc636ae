#!/usr/bin/env python3
"""Makes the first corpus of each fuzz target: the envelopes and the invite of the test vectors, and one change of each sort."""

from pathlib import Path

HERE = Path(__file__).resolve().parent
VECTORS = HERE.parent / "tests" / "vectors" / "sealwire"

# Longer ones only slow the fuzzer down.
LONGEST = 16 * 1024


def vectors() -> list[bytes]:
    """The envelopes of all vectors, sound and flawed."""
    lines = (line for path in sorted(VECTORS.glob("*.txt")) for line in path.read_text().splitlines())
    values = (line.split(":", 1)[1].strip() for line in lines if line.startswith(("envelope:", "before:")))
    found = (bytes.fromhex(value) for value in values if "+" not in value)
    return sorted({envelope for envelope in found if len(envelope) <= LONGEST})


def changes() -> list[bytes]:
    """Each sort of change, to each form, at a few places."""
    places = (0, 4, 40, 46, 50, 200, 1000, 2000, 3000)
    return [bytes([form, what, place >> 8, place & 0xFF, 16]) for form in (0, 1) for what in range(6) for place in places]


def pairing() -> list[bytes]:
    """An invite as text, and changes to the first message of each side, also none."""
    lines = (VECTORS.parent / "pairing" / "conversation.txt").read_text().splitlines()
    (invite,) = [line.removeprefix("invite: ").encode() for line in lines if line.startswith("invite: ")]
    places = (0, 1, 4, 30, 64, 1000, 1250)
    return [b"\0" + invite] + [
        bytes([to]) + change for to in (1, 2) for change in [b"", *(bytes([at >> 8, at & 0xFF, 1, 0]) for at in places)]
    ]


def main() -> None:
    """Writes them where cargo-fuzz looks."""
    for target, seeds in (("envelope_parse", vectors()), ("envelope_open", changes()), ("pairing", pairing())):
        folder = HERE / "corpus" / target
        folder.mkdir(parents=True, exist_ok=True)
        for number, seed in enumerate(seeds):
            (folder / f"seed-{number:04}").write_bytes(seed)
        print(f"{target}: {len(seeds)} seeds")


if __name__ == "__main__":
    main()
