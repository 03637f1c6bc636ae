"""What sealwire's vectors say holds for a reader that was written from docs/SPEC.md and shares no line with sealwire."""

from __future__ import annotations

import pytest
from case_files import Case, read_all
from cryptography.hazmat.primitives.asymmetric import mlkem, x25519
from second_reader import ENVELOPE_PROTECTED, RefusedError, Roster, SecondReader, encode, external_data

CASES = read_all()
SEALED = 1_800_000_000

ACCEPTED = [case for case in CASES if case.text("structure") == "envelope" and case.text("expect") == "accepted"]

# Refused for what a reader computes, not for a form of CBOR that this one does not police.
COMPUTED = {
    "not-authentic",
    "unknown-key",
    "unknown-lane",
    "unknown-signer",
    "revoked",
    "misdirected",
    "expired",
    "from-future",
    "roster-behind",
}
BY_FORM = ("header-", "inner-", "certificate-", "body-", "blind-", "payload-", "signature-short", "lane-with-certificate", "weak-")
REFUSED = [
    case for case in CASES if case.text("structure") == "envelope" and case.text("expect") in COMPUTED and not case.name.startswith(BY_FORM)
]


def reader_of(case: Case) -> SecondReader:
    now = int(case.text("now"))
    reader = SecondReader(
        case.text("reader"),
        case.bytes_of("reader-key"),
        case.bytes_of("receive-key"),
        case.bytes_of("root"),
        case.bytes_of("roster"),
        now,
    )
    for before in case.all_bytes("before"):
        reader.open(before, SEALED)
    return reader


@pytest.mark.parametrize("case", ACCEPTED, ids=lambda case: case.name)
def test_accepted(case: Case) -> None:
    opened = reader_of(case).open(case.bytes_of("envelope"), int(case.text("now")))
    assert opened.body == case.bytes_of("body")
    assert opened.header == case.bytes_of("header")
    found = {
        "known-sig-structure": opened.sig_structure,
        "known-signed-digest": opened.signed_digest,
        "known-plaintext": opened.plaintext,
        "known-content-key": opened.content_key,
        "known-exported": opened.exported,
        "known-lane-id": opened.lane.id,
        "known-lane-secret": opened.lane.secret,
    }
    known = {name: bytes.fromhex(value) for name, value in case.lines if name.startswith("known-")}
    assert len(known) >= 3
    assert {name: found[name] for name in known} == known


def test_there_is_something_to_refuse() -> None:
    assert len(REFUSED) > 35


@pytest.mark.parametrize("case", REFUSED, ids=lambda case: case.name)
def test_refused(case: Case) -> None:
    reader = reader_of(case)
    with pytest.raises(RefusedError):
        reader.open(case.bytes_of("envelope"), int(case.text("now")))


# Which root may sign, and which roster follows which.
ROSTERS = [
    case
    for case in CASES
    if case.text("structure") == "roster"
    and case.text("expect") in {"accepted", "not-authentic", "roster-conflict", "expired", "from-future"}
]


@pytest.mark.parametrize("case", ROSTERS, ids=lambda case: case.name)
def test_rosters(case: Case) -> None:
    root, now = case.bytes_of("root"), int(case.text("now"))
    known: Roster | None = None
    for in_force in case.all_bytes("in-force"):
        known = known.verify_next(in_force, now) if known else Roster.verify(in_force, root, now)

    def read() -> Roster:
        offered = case.bytes_of("roster")
        return known.verify_next(offered, now) if known else Roster.verify(offered, root, now)

    if case.text("expect") == "accepted":
        assert read().version > 0
    else:
        with pytest.raises(RefusedError):
            read()


def test_there_are_rosters_to_read() -> None:
    assert len(ROSTERS) > 25


def test_the_hpke_of_cryptography_unwraps_the_content_key() -> None:
    hpke = pytest.importorskip("cryptography.hazmat.primitives.hpke", reason="needs a cryptography with HPKE")
    if not hasattr(hpke, "MLKEM768X25519PrivateKey"):
        pytest.skip("needs a cryptography with MLKEM768-X25519")
    import cbor2

    (case,) = [case for case in ACCEPTED if case.name == "opening"]
    receive_key = reader_of(case).receive_key
    key = hpke.MLKEM768X25519PrivateKey(receive_key.mlkem, receive_key.x25519)
    suite = hpke.Suite(hpke.KEM.MLKEM768_X25519, hpke.KDF.HKDF_SHA256, hpke.AEAD.CHACHA20_POLY1305)
    protected, parameters, wrapped = cbor2.loads(case.bytes_of("envelope")).value[3][0]
    domain = reader_of(case).domain
    info = encode(["HPKE Recipient", 24, protected, external_data(domain)])
    assert suite.decrypt(parameters[-4] + wrapped, key, info) == case.bytes_of("known-content-key")
    assert isinstance(receive_key.mlkem, mlkem.MLKEM768PrivateKey)
    assert isinstance(receive_key.x25519, x25519.X25519PrivateKey)
    assert cbor2.loads(ENVELOPE_PROTECTED) == {1: 24, 16: "application/sealwire"}
