"""A reader of sealwire/1 written from docs/SPEC.md with `cbor2` and `cryptography`, for what an author seals as it should.

It opens both forms and checks who wrote what for whom and when, down to the roster. It is no model to copy: it does not refuse each form of
CBOR that the specification refuses, keeps no journal and asks no policy.
"""

from __future__ import annotations

import dataclasses
import hashlib
import hmac
from typing import Any

import cbor2
from cryptography.exceptions import InvalidSignature, InvalidTag
from cryptography.hazmat.primitives.asymmetric import mlkem, x25519
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

CLOCK_TOLERANCE = 120


class RefusedError(Exception):
    """The message is not what it should be."""


def encode(value: Any) -> bytes:
    """Deterministic CBOR."""
    return cbor2.dumps(value, canonical=True)


def sha256(data: bytes) -> bytes:
    return hashlib.sha256(data).digest()


def extract(salt: bytes, key: bytes) -> bytes:
    return hmac.digest(salt or bytes(32), key, "sha256")


def expand(prk: bytes, info: bytes, length: int) -> bytes:
    out, block, count = b"", b"", 0
    while len(out) < length:
        count += 1
        block = hmac.digest(prk, block + info + bytes([count]), "sha256")
        out += block
    return out[:length]


def thumbprint(public: bytes) -> bytes:
    return sha256(bytes.fromhex("a301012006215820") + public)


def key_id(public: bytes) -> bytes:
    return thumbprint(public)[:16]


ENVELOPE_PROTECTED = encode({1: 24, 16: "application/sealwire"})


def external_data(domain: bytes) -> bytes:
    return encode(["sealwire/1", domain, ENVELOPE_PROTECTED])


class ReceiveKey:
    """An X-Wing key, from its seed (draft-connolly-cfrg-xwing-kem, sections 5.2 and 5.5)."""

    def __init__(self, seed: bytes) -> None:
        expanded = hashlib.shake_256(seed).digest(96)
        self.mlkem = mlkem.MLKEM768PrivateKey.from_seed_bytes(expanded[:64])
        self.x25519 = x25519.X25519PrivateKey.from_private_bytes(expanded[64:])
        self._x25519_public = self.x25519.public_key().public_bytes_raw()
        self.public = self.mlkem.public_key().public_bytes_raw() + self._x25519_public
        self.id = sha256(b"sealwire/1 rk" + self.public)[:16]

    def decapsulate(self, encapsulated: bytes) -> bytes:
        ct_mlkem, ct_x25519 = encapsulated[:1088], encapsulated[1088:]
        secret_mlkem = self.mlkem.decapsulate(ct_mlkem)
        secret_x25519 = self.x25519.exchange(x25519.X25519PublicKey.from_public_bytes(ct_x25519))
        label = bytes.fromhex("5c2e2f2f5e5c")
        return hashlib.sha3_256(secret_mlkem + secret_x25519 + ct_x25519 + self._x25519_public + label).digest()


class HpkeContext:
    """HPKE in base mode, as its receiver (RFC 9180, section 5.1), with HKDF-SHA256 and ChaCha20-Poly1305."""

    SUITE = b"HPKE" + (0x647A).to_bytes(2, "big") + (1).to_bytes(2, "big") + (3).to_bytes(2, "big")

    def __init__(self, shared_secret: bytes, info: bytes) -> None:
        context = b"\x00" + self._extract(b"", b"psk_id_hash", b"") + self._extract(b"", b"info_hash", info)
        self._secret = self._extract(shared_secret, b"secret", b"")
        self._key = self._expand(self._secret, b"key", context, 32)
        self._nonce = self._expand(self._secret, b"base_nonce", context, 12)
        self._exporter = self._expand(self._secret, b"exp", context, 32)

    def _extract(self, salt: bytes, label: bytes, key: bytes) -> bytes:
        return extract(salt, b"HPKE-v1" + self.SUITE + label + key)

    def _expand(self, prk: bytes, label: bytes, info: bytes, length: int) -> bytes:
        return expand(prk, length.to_bytes(2, "big") + b"HPKE-v1" + self.SUITE + label + info, length)

    def open_first(self, sealed: bytes) -> bytes:
        return ChaCha20Poly1305(self._key).decrypt(self._nonce, sealed, b"")

    def export(self, context: bytes, length: int) -> bytes:
        return self._expand(self._exporter, b"sec", context, length)


@dataclasses.dataclass(frozen=True)
class Roster:
    """Nodes by name, with their keys and host patterns, and revoked keys."""

    nodes: dict[str, tuple[bytes, list[str]]]
    revoked: frozenset[bytes]
    version: int
    domain: bytes
    root: bytes
    next_root: bytes | None
    digest: bytes

    @staticmethod
    def verify(data: bytes, root: bytes, now: int) -> Roster:
        claims = verify_sign1(data, "sealwire-roster", "sealwire/1 roster", sha256(root), root)
        if 8 in claims:
            raise RefusedError("signed by a successor of the root, which nothing vouches for here")
        return Roster._read(data, claims, sha256(root), root, now)

    def verify_next(self, data: bytes, now: int) -> Roster:
        """The roster that takes this one's place: from the same root, or from the one that this one names as the next."""
        named = cbor2.loads(cbor2.loads(data).value[2]).get(8)
        first = sha256(self.root) == self.domain
        root = named if named is not None and (named == self.root or sha256(named) == self.next_root) else self.root
        if root != named and not (named is None and first):
            raise RefusedError("signed by a root that nothing vouches for")
        claims = verify_sign1(data, "sealwire-roster", "sealwire/1 roster", self.domain, root)
        offered = Roster._read(data, claims, self.domain, root, now)
        same = offered.digest == self.digest
        skipped = offered.version > self.version + 1 or claims[2] == self.digest
        kept = root != self.root or self.next_root in (None, offered.next_root)
        if not same and not (offered.version > self.version and skipped and kept):
            raise RefusedError("does not follow the roster in force")
        return offered

    @staticmethod
    def _read(data: bytes, claims: dict[int, Any], domain: bytes, root: bytes, now: int) -> Roster:
        check_time(claims[3], claims[4], now)
        nodes = {name: (key, hosts) for name, key, hosts, _, _ in claims[5]}
        return Roster(nodes, frozenset(claims[6]), claims[1], domain, root, claims.get(7), sha256(data))

    def may_host(self, node: str, name: str) -> bool:
        _, patterns = self.nodes[node]
        return any(name.startswith(p[:-1]) if p.endswith("*") else name == p for p in patterns)


def check_time(issued: int, expires: int, now: int) -> None:
    if issued > now + CLOCK_TOLERANCE or now >= expires + CLOCK_TOLERANCE:
        raise RefusedError("outside its time")


def verify_sign1(data: bytes, typ: str, label: str, domain: bytes, key: bytes) -> dict[int, Any]:
    tag = cbor2.loads(data)
    protected, unprotected, payload, signature = tag.value
    expected = encode({1: -19, 4: key_id(key), 16: f"application/{typ}"})
    if tag.tag != 18 or protected != expected or unprotected != {}:
        raise RefusedError("not of its form")
    verify_signature(key, signature, encode(["Signature1", protected, encode([label, domain]), payload]))
    claims: dict[int, Any] = cbor2.loads(payload)
    return claims


def verify_signature(key: bytes, signature: bytes, message: bytes) -> None:
    try:
        Ed25519PublicKey.from_public_bytes(key).verify(signature, message)
    except InvalidSignature:
        raise RefusedError("signature") from None


def verify_certificate(data: bytes, domain: bytes, roster: Roster, now: int) -> tuple[str, bytes]:
    """The subject's address and key."""
    claims = cbor2.loads(cbor2.loads(data).value[2])
    node, (name, _, host) = claims[1], claims[2].partition("@")
    if host != node or node not in roster.nodes:
        raise RefusedError("unknown signer")
    node_key = roster.nodes[node][0]
    verify_sign1(data, "sealwire-cert", "sealwire/1 cert", domain, node_key)
    key = claims[8][1][-2]
    if {thumbprint(key), thumbprint(node_key)} & roster.revoked or not roster.may_host(node, name):
        raise RefusedError("revoked")
    check_time(claims[6], claims[4], now)
    return claims[2], key


@dataclasses.dataclass(frozen=True)
class Lane:
    id: bytes
    secret: bytes
    author: tuple[str, bytes]


@dataclasses.dataclass(frozen=True)
class Opened:
    """A message, and what was computed on the way to it."""

    body: bytes
    header: bytes
    plaintext: bytes
    signed_digest: bytes
    sig_structure: bytes
    content_key: bytes
    exported: bytes | None
    lane: Lane


class SecondReader:
    """One agent, with its signing key and one receive key, and the lanes of what it has opened."""

    def __init__(self, address: str, key: bytes, receive_key: bytes, root: bytes, roster: bytes, now: int) -> None:
        self.address = address
        self.public = Ed25519PrivateKey.from_private_bytes(key).public_key().public_bytes_raw()
        self.receive_key = ReceiveKey(receive_key)
        self.domain = sha256(root)
        self.roster = Roster.verify(roster, root, now)
        self.lanes: dict[bytes, Lane] = {}

    def open(self, envelope: bytes, now: int) -> Opened:
        tag = cbor2.loads(envelope)
        protected, unprotected, ciphertext, [(recipient, parameters, wrapped)] = tag.value
        if tag.tag != 96 or protected != ENVELOPE_PROTECTED or unprotected != {5: bytes(12)}:
            raise RefusedError("not of its form")
        try:
            if recipient == encode({1: -10}):
                return self._open_lane(parameters, ciphertext, now)
            if recipient == encode({1: -65901, 4: self.receive_key.id}):
                return self._open_opening(recipient, parameters[-4], wrapped, ciphertext, now)
        except InvalidTag:
            raise RefusedError("not authentic") from None
        raise RefusedError("unknown key")

    def _open_opening(self, recipient: bytes, encapsulated: bytes, wrapped: bytes, ciphertext: bytes, now: int) -> Opened:
        info = encode(["HPKE Recipient", 24, recipient, external_data(self.domain)])
        context = HpkeContext(self.receive_key.decapsulate(encapsulated), info)
        content_key = context.open_first(wrapped)
        plaintext = decrypt(content_key, ciphertext)
        certificate = cbor2.loads(plaintext)[0].value[1][13]
        author = verify_certificate(encode(certificate), self.domain, self.roster, now)
        header, body, sig_structure = self._verify(plaintext, author, now)
        exported, digest = context.export(b"sealwire/1 lane", 32), sha256(sig_structure)
        prk = extract(digest, exported + content_key)
        ends = self.domain + thumbprint(author[1]) + thumbprint(self.public) + self.receive_key.id
        lane_id = expand(prk, b"sealwire/1 lane id" + ends, 16)
        lane = Lane(lane_id, expand(prk, b"sealwire/1 lane" + ends, 32), author)
        self.lanes[lane_id] = lane
        return Opened(body, header, plaintext, digest, sig_structure, content_key, exported, lane)

    def _open_lane(self, parameters: dict[int, bytes], ciphertext: bytes, now: int) -> Opened:
        lane = self.lanes.get(parameters[4])
        if lane is None:
            raise RefusedError("unknown lane")
        context = [24, [None, None, None], [None, None, None], [256, encode({1: -10})]]
        content_key = expand(extract(parameters[-20], lane.secret), encode(context), 32)
        plaintext = decrypt(content_key, ciphertext)
        header, body, sig_structure = self._verify(plaintext, lane.author, now)
        return Opened(body, header, plaintext, sha256(sig_structure), sig_structure, content_key, None, lane)

    def _verify(self, plaintext: bytes, author: tuple[str, bytes], now: int) -> tuple[bytes, bytes, bytes]:
        inner, blind, body = cbor2.loads(plaintext)
        header, _, payload, signature = inner.value
        if inner.tag != 18 or payload is not None:
            raise RefusedError("not of its form")
        digest = sha256(encode([blind, body]))
        sig_structure = encode(["Signature1", header, external_data(self.domain), digest])
        address, key = author
        verify_signature(key, signature, sig_structure)
        fields = cbor2.loads(header)
        claims, ours = fields[15], fields[-65800]
        if (fields[1], fields[258], fields[4], claims[1]) != (-19, -16, key_id(key), address):
            raise RefusedError("author")
        if (claims[3], ours[1]) != (self.address, key_id(self.public)):
            raise RefusedError("misdirected")
        if ours.get(6, 0) > self.roster.version:
            raise RefusedError("roster behind")
        check_time(claims[6], claims[4], now)
        return header, body, sig_structure


def decrypt(content_key: bytes, ciphertext: bytes) -> bytes:
    additional = encode(["Encrypt", ENVELOPE_PROTECTED, b""])
    return ChaCha20Poly1305(content_key).decrypt(bytes(12), ciphertext, additional)
