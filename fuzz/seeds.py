#!/usr/bin/env python3
"""Makes the first corpus of each fuzz target and their dictionary, out of the test vectors and what SPEC.md fixes."""

from collections.abc import Iterable
from pathlib import Path

HERE = Path(__file__).resolve().parent
VECTORS = HERE.parent / "tests" / "vectors"

# Longer ones only slow the fuzzer down.
LONGEST = 16 * 1024

# What structures begin with: tag, array and protected header, without the name of a key.
BEGIN = 12


def values(*names: str) -> list[bytes]:
    """What stands in the lines of these names in all vectors, sound and flawed."""
    lines = (line for path in sorted((VECTORS / "sealwire").glob("*.txt")) for line in path.read_text().splitlines())
    found = (value.strip() for name, _, value in (line.partition(":") for line in lines) if name in names)
    return sorted({decoded for value in found if "+" not in value and len(decoded := bytes.fromhex(value)) <= LONGEST})


def claims(signed: bytes) -> bytes | None:
    """The payload of a COSE_Sign1 whose form is as it should be up to there: tag, array, protected header, empty map, payload."""
    at = 4 + signed[3] if signed[:3] == b"\xd2\x84\x58" else len(signed)
    if signed[at : at + 1] != b"\xa0":
        return None
    length = {0x58: 1, 0x59: 2}.get(signed[at + 1], 0)
    size = int.from_bytes(signed[at + 2 : at + 2 + length], "big")
    return signed[at + 2 + length :][:size] if length else None


def changes(places: Iterable[int]) -> list[bytes]:
    """Each sort of change, at a few places, and none."""
    return [b"", *(bytes([what, place >> 8, place & 0xFF, 16]) for what in range(6) for place in places)]


def envelopes() -> list[bytes]:
    """Changes to each form."""
    return [bytes([form]) + change for form in (0, 1) for change in changes((0, 4, 40, 46, 50, 200, 1000, 2000, 3000))]


def signed(name: str, *makers: int) -> list[bytes]:
    """Claims for each maker to sign, and changes by somebody else."""
    payloads = [payload for value in values(name) if (payload := claims(value)) is not None]
    others = [b"\xff" + change for change in changes((0, 4, 10, 50, 100, 150, 200, 300))]
    return [bytes([maker]) + payload for maker in makers for payload in payloads] + others


def certificates() -> list[bytes]:
    """As `signed`, and changes to genuine claims before a node signs them."""
    return signed("certificate", 0) + [b"\1" + change for change in changes((0, 2, 10, 27, 40, 50, 90, 1300))]


def pairing() -> list[bytes]:
    """An invite as text, and changes to the first message of each side, also none."""
    lines = (VECTORS / "pairing" / "conversation.txt").read_text().splitlines()
    (invite,) = [line.removeprefix("invite: ").encode() for line in lines if line.startswith("invite: ")]
    places = (0, 1, 4, 30, 64, 1000, 1250)
    return [b"\0" + invite] + [
        bytes([to]) + change for to in (1, 2) for change in [b"", *(bytes([at >> 8, at & 0xFF, 1, 0]) for at in places)]
    ]


def lanes() -> list[bytes]:
    """A lane is offered, named and used; then one thing more happens, its time ends with a message under way, a crowd of openings."""
    seal, name, passes, restart, arrive = 0, 2, 3, 4, 5
    talk = bytes([seal, 0, arrive, 0, name, 1, arrive, 1, seal, 0, seal, 0])
    return [
        talk,
        *(talk + bytes([what, which, arrive, 2, arrive, 3]) for what in range(10) for which in (0, 1, 2)),
        bytes([seal, 0]) * 12 + bytes(byte for number in range(12) for byte in (arrive, number)) + bytes([passes, 3, name, 1]) + talk,
        talk + bytes([passes, 4, seal, 0, passes, 4, passes, 2, arrive, 4]),
        talk + bytes([restart, 1, arrive, 2, seal, 1, arrive, 4, restart, 0, arrive, 4]),
    ]


def calls() -> list[bytes]:
    """A draft is made, filled and sealed; its envelope is opened, as it is and changed; and each other call."""
    draft, fill, seal, sealed, endpoint = 0, 1, 3, 6, 10
    drafted = bytes([draft, 4]) + b"task" + bytes([4]) + b"body"
    filled = [bytes([fill, what, 16]) + b"application/text" + bytes([16]) + bytes(16) for what in range(7)]
    opened = [bytes([seal, 2, sealed, 0, 4]) + change.ljust(4, b"\0") + bytes([sealed, 0, 0]) for change in changes((0, 50, 300))]
    others = [bytes([call]) + bytes([5]) + b"local" + bytes([130, 255]) for call in range(12)]
    policies = [bytes([endpoint, answer, 5]) + b"local" + drafted + bytes([seal, 2]) for answer in (0, 1, 2)]
    return [*(drafted + fill + opened[0] for fill in filled), *(drafted + change for change in opened), *others, *policies]


def dictionary() -> list[bytes]:
    """Tags and labels of SPEC.md, what the sound vectors begin with, and forms of CBOR that are refused."""
    texts = ["application/sealwire", "application/sealwire-cert", "application/sealwire-roster", "Signature1"]
    forms = ["d860", "d284", "d8d8", "f6", "f5", "f90000", "9fff", "bfff", "5fff", "1817", "190017", "580100", "5904c0", "590460"]
    labels = ["23", "29", "2f", "32", "33", "190102", "190103", "3a00010107", "3a00010108", "3a0001016c", "a0", "a0f6"]
    numbers = ["1a6b49d200", "1b7fffffffffffffff", "1bffffffffffffffff", "3bffffffffffffffff", "9bffffffffffffffff", "5bffffffffffffffff"]
    begins = {value[:BEGIN] for value in values("envelope", "certificate", "roster") if value[:1] in (b"\xd8", b"\xd2")}
    words = [text.encode() for text in texts] + [bytes.fromhex(word) for word in forms + labels + numbers] + sorted(begins)
    return [*words, b"researcher@pi1", b"a@local", b"local", b"tcp://10.0.0.3:7451", b"sealwire/1 "]


TARGETS = {
    "c_interface": calls,
    "cbor": lambda: values("envelope", "before", "certificate", "roster", "header", "known-plaintext", "known-sig-structure"),
    "certificate": certificates,
    "envelope_open": envelopes,
    "envelope_parse": lambda: values("envelope", "before"),
    "lane_state": lanes,
    "pairing": pairing,
    "roster": lambda: signed("roster", 0, 1),
}


def main() -> None:
    """Writes them where cargo-fuzz and the Makefile look."""
    for target, seeds in TARGETS.items():
        folder = HERE / "corpus" / target
        folder.mkdir(parents=True, exist_ok=True)
        for number, seed in enumerate(found := seeds()):
            (folder / f"seed-{number:04}").write_bytes(seed)
        print(f"{target}: {len(found)} seeds")
    words = dictionary()
    (HERE / "corpus" / "sealwire.dict").write_text("".join('"' + "".join(f"\\x{byte:02x}" for byte in word) + '"\n' for word in words))
    print(f"dictionary: {len(words)} words")


if __name__ == "__main__":
    main()
