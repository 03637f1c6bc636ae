"""The COSE library `cwt` opens a lane message and verifies the signature in it, knowing nothing of sealwire."""

from __future__ import annotations

import cbor2
import cwt
import pytest
from case_files import Case, read
from cwt.algs.raw import RawKey
from second_reader import encode, external_data, sha256

LANES = ["lane", "lane-with-roster-version"]


def plaintext_of(case: Case) -> bytes:
    lane_id = cbor2.loads(case.bytes_of("envelope")).value[3][0][1][4]
    key = RawKey({1: 4, 2: lane_id, -1: case.bytes_of("known-lane-secret")})
    plaintext: bytes = cwt.COSE.new().decode(case.bytes_of("envelope"), key, context={"alg": "ChaCha20/Poly1305"})
    return plaintext


def inner_of(plaintext: bytes) -> tuple[bytes, bytes]:
    """The COSE_Sign1 and its detached payload."""
    inner, blind, body = cbor2.loads(plaintext)
    encoded = encode(inner)
    assert encoded in plaintext
    return encoded, sha256(encode([blind, body]))


@pytest.mark.parametrize("name", LANES)
def test_cwt_opens_a_lane_message(name: str) -> None:
    case = read(name)
    plaintext = plaintext_of(case)
    assert plaintext == case.bytes_of("known-plaintext")
    assert cbor2.loads(plaintext)[2] == case.bytes_of("body")


@pytest.mark.parametrize("name", LANES)
def test_cwt_verifies_the_signature_in_it(name: str) -> None:
    case = read(name)
    inner, digest = inner_of(plaintext_of(case))
    signer = case.bytes_of("signer")
    header = cbor2.loads(case.bytes_of("header"))
    key = cwt.COSEKey.new({1: 1, 2: header[4], 3: -19, -1: 6, -2: signer})
    external = external_data(sha256(case.bytes_of("root")))
    verify = cwt.COSE.new().decode
    assert verify(inner, key, external_aad=external, detached_payload=digest) == digest
    with pytest.raises(cwt.VerifyError):
        verify(inner, key, external_aad=external, detached_payload=sha256(digest))
    with pytest.raises(cwt.VerifyError):
        verify(inner, key, external_aad=external_data(bytes(32)), detached_payload=digest)


def test_cwt_refuses_what_was_altered() -> None:
    case, altered = read("lane"), read("lane-flipped-ciphertext-tag")
    lines = tuple((name, altered.text(name) if name == "envelope" else value) for name, value in case.lines)
    with pytest.raises(cwt.DecodeError):
        plaintext_of(Case("altered", lines))
