"""A pairing, read with what docs/SPEC.md says of it and nothing else: who proves what, and what is inside."""

from __future__ import annotations

import base64
import hmac
from pathlib import Path

import cbor2
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from second_reader import ENVELOPE_PROTECTED, HpkeContext, ReceiveKey, Roster, encode, expand, extract, key_id, sha256

LINES = (Path(__file__).parent.parent / "vectors/pairing/conversation.txt").read_text().splitlines()
ENTRIES = [line.split(": ", 1) for line in LINES]
ONE = dict(ENTRIES)
MESSAGES = [bytes.fromhex(value) for name, value in ENTRIES if name == "message"]


def invite() -> dict[int, object]:
    """The invite's entries, its checksum checked."""
    coded = ONE["invite"].removeprefix("sealwire-invite-1-").upper()
    plain = base64.b32decode(coded + "=" * (-len(coded) % 8))
    claims, checksum = plain[:-4], plain[-4:]
    assert sha256(b"sealwire/1 invite" + claims)[:4] == checksum
    entries: dict[int, object] = cbor2.loads(claims)
    return entries


class Conversation:
    """The keys of the conversation, derived from secret and one-time key."""

    def __init__(self) -> None:
        entries = invite()
        self.domain, self.secret = bytes(entries[1]), bytes(entries[2])  # type: ignore[call-overload] # what cbor2 reads is of any type
        self.transcript = [sha256(b"sealwire/1 pair" + self.domain)]
        for message in MESSAGES:
            self.transcript.append(sha256(self.transcript[-1] + message))
        self.first = extract(b"", self.secret)
        self.one_time = ReceiveKey(bytes.fromhex(ONE["one-time-seed"]))
        _, encapsulated, _ = cbor2.loads(self.body(2))
        info = encode(["sealwire/1 pair", self.domain, self.transcript[1]])
        exported = HpkeContext(self.one_time.decapsulate(encapsulated), info).export(b"sealwire/1 pair", 32)
        self.second = extract(self.transcript[1], self.secret + exported)

    def body(self, number: int) -> bytes:
        body: bytes = cbor2.loads(MESSAGES[number - 1])[1]
        return body

    def proof(self, number: int) -> bytes:
        key = expand(self.first if number == 1 else self.second, b"sealwire/1 pair proof" + bytes([number]), 32)
        return hmac.digest(key, self.transcript[number - 1] + self.body(number), "sha256")

    def content(self, number: int, sealed: bytes) -> list[object]:
        before = self.transcript[number - 1]
        key = expand(self.second, b"sealwire/1 pair seal" + bytes([number]) + before, 32)
        aad = encode(["Encrypt", ENVELOPE_PROTECTED, b""])
        content: list[object] = cbor2.loads(ChaCha20Poly1305(key).decrypt(bytes(12), sealed, aad))
        return content


@pytest.fixture(scope="module")
def said() -> Conversation:
    return Conversation()


def test_the_invite_names_domain_node_and_place() -> None:
    entries = invite()
    assert entries[1] == sha256(bytes.fromhex(ONE["root"]))
    assert (entries[3], entries[4], entries[5]) == ("pi2", int(ONE["now"]) + 600, ["10.0.0.1:7452"])


@pytest.mark.parametrize("number", range(1, 6))
def test_each_message_has_its_proof(said: Conversation, number: int) -> None:
    assert cbor2.loads(MESSAGES[number - 1]) == [number, said.body(number), said.proof(number)]


def test_the_joiner_names_the_invite_and_its_one_time_key(said: Conversation) -> None:
    name, nonce, one_time = cbor2.loads(said.body(1))
    assert name == expand(said.first, b"sealwire/1 pair invite id", 16)
    assert (len(nonce), one_time) == (32, said.one_time.public)


def test_the_inviter_shows_the_root(said: Conversation) -> None:
    _, _, sealed = cbor2.loads(said.body(2))
    assert said.content(2, sealed) == [int(ONE["now"]), bytes.fromhex(ONE["root"])]


def test_the_joiner_asks_with_its_key_in_this_conversation(said: Conversation) -> None:
    time, request = said.content(3, said.body(3))
    protected, unprotected, payload, signature = cbor2.loads(request).value  # type: ignore[call-overload] # what cbor2 reads is of any type
    key = bytes.fromhex(ONE["node-key"])
    assert (time, unprotected) == (int(ONE["now"]), {})
    assert protected == encode({1: -19, 4: key_id(key), 16: "application/sealwire-node-request"})
    external = encode(["sealwire/1 node request", said.domain])
    Ed25519PublicKey.from_public_bytes(key).verify(signature, encode(["Signature1", protected, external, payload]))
    assert cbor2.loads(payload) == {1: "pi2", 2: key, 3: [], 4: ["tcp://10.0.0.2:7451"], 5: said.transcript[2]}


def test_the_roster_lists_the_node_as_it_asked(said: Conversation) -> None:
    verdict, roster = said.content(4, said.body(4))
    assert verdict == 0
    assert isinstance(roster, bytes)
    read = Roster.verify(roster, bytes.fromhex(ONE["root"]), int(ONE["now"]))
    assert read.nodes["pi2"] == (bytes.fromhex(ONE["node-key"]), ["*"])


def test_the_joiner_confirms_with_nothing_but_a_proof(said: Conversation) -> None:
    assert said.body(5) == b""
