//! A second writer of `docs/SPEC.md`, for test vectors: it shares no code with the crate `sealwire`, and it writes what that refuses to write.
//!
//! Structures are put together from encoded items ([`Item`]), so that a case can replace, repeat, reorder or drop any of them.

use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use ed25519_dalek::{Signer, SigningKey};
use hkdf::Hkdf;
use hpke::{Deserializable, Kem, OpModeS, Serializable, aead::AeadTag};
use sha2::{Digest, Sha256};

use crate::random::Scripted;

type XWing = hpke::kem::XWing;

/// An encoded CBOR item.
pub type Item = Vec<u8>;

/// A map's entries, in the order in which they are written.
pub type Entries = Vec<(Item, Item)>;

/// How an item of a major type begins, in its shortest form.
#[must_use]
pub fn head(major: u8, number: u64) -> Item {
    let major = major << 5;
    let be = number.to_be_bytes();
    match number {
        0..=23 => vec![major | be[7]],
        24..=0xff => vec![major | 24, be[7]],
        0x100..=0xffff => [&[major | 25], &be[6..]].concat(),
        0x1_0000..=0xffff_ffff => [&[major | 26], &be[4..]].concat(),
        _ => [&[major | 27], &be[..]].concat(),
    }
}

/// A whole number.
#[must_use]
pub fn int(value: i64) -> Item {
    match u64::try_from(value) {
        Ok(value) => head(0, value),
        Err(_) => head(1, (-1 - value).unsigned_abs()),
    }
}

/// A number from 0 on.
#[must_use]
pub fn uint(value: u64) -> Item {
    head(0, value)
}

/// A byte string.
#[must_use]
pub fn bytes(value: &[u8]) -> Item {
    [head(2, value.len() as u64), value.to_vec()].concat()
}

/// A text string.
#[must_use]
pub fn text(value: &str) -> Item {
    [head(3, value.len() as u64), value.as_bytes().to_vec()].concat()
}

/// An array of encoded items.
#[must_use]
pub fn array(items: &[Item]) -> Item {
    [head(4, items.len() as u64), items.concat()].concat()
}

/// A map of encoded entries, as they are.
#[must_use]
pub fn map(entries: &[(Item, Item)]) -> Item {
    let mut out = head(5, entries.len() as u64);
    entries.iter().for_each(|(key, value)| out.extend([key.as_slice(), value].concat()));
    out
}

/// A tagged item.
#[must_use]
pub fn tag(number: u64, item: &[u8]) -> Item {
    [head(6, number), item.to_vec()].concat()
}

/// `null`.
#[must_use]
pub fn null() -> Item {
    vec![0xf6]
}

/// SHA-256.
#[must_use]
pub fn sha256(input: &[u8]) -> [u8; 32] {
    Sha256::digest(input).into()
}

fn first_16(input: &[u8; 32]) -> [u8; 16] {
    input[..16].try_into().unwrap()
}

/// The full name of a signing key's public half (SPEC.md, "Keys").
#[must_use]
pub fn thumbprint(public: &[u8; 32]) -> [u8; 32] {
    sha256(&map(&[(int(1), int(1)), (int(-1), int(6)), (int(-2), bytes(public))]))
}

/// The short name of a signing key's public half.
#[must_use]
pub fn key_id(public: &[u8; 32]) -> [u8; 16] {
    first_16(&thumbprint(public))
}

/// The public half of a signing key.
#[must_use]
pub fn public(key: &SigningKey) -> [u8; 32] {
    key.verifying_key().to_bytes()
}

/// The public half of the receive key with that seed.
#[must_use]
pub fn receive_public(seed: &[u8; 32]) -> Vec<u8> {
    let key = <XWing as Kem>::PrivateKey::from_bytes(seed).unwrap();
    XWing::sk_to_pk(&key).to_bytes().to_vec()
}

/// The name of a receive key.
#[must_use]
pub fn receive_key_id(public: &[u8]) -> [u8; 16] {
    first_16(&sha256(&[b"sealwire/1 rk", public].concat()))
}

/// The protected header of every envelope.
#[must_use]
pub fn envelope_protected() -> Item {
    map(&[(int(1), int(24)), (int(16), text("application/sealwire"))])
}

/// The external data of a message's signature.
#[must_use]
pub fn external_data(domain: &[u8; 32]) -> Item {
    array(&[text("sealwire/1"), bytes(domain), bytes(&envelope_protected())])
}

fn sig_structure(protected: &[u8], external: &[u8], payload: &[u8]) -> Item {
    array(&[text("Signature1"), bytes(protected), bytes(external), bytes(payload)])
}

/// A COSE_Sign1 before it is written: certificate, request or roster.
#[derive(Clone)]
pub struct Sign1 {
    /// The protected header's entries.
    pub protected: Entries,
    /// The unprotected header.
    pub unprotected: Item,
    /// The payload's content.
    pub payload: Vec<u8>,
    /// What is signed beside it.
    pub external: Item,
}

impl Sign1 {
    /// One of media type `typ`, signed under `label` by the key named `kid`.
    #[must_use]
    pub fn new(typ: &str, label: &str, domain: &[u8; 32], kid: [u8; 16], payload: Vec<u8>) -> Self {
        let protected = vec![(int(1), int(-19)), (int(4), bytes(&kid)), (int(16), text(typ))];
        Self { protected, unprotected: map(&[]), payload, external: array(&[text(label), bytes(domain)]) }
    }

    /// The signature of `key`.
    #[must_use]
    pub fn signature(&self, key: &SigningKey) -> [u8; 64] {
        key.sign(&sig_structure(&map(&self.protected), &self.external, &self.payload)).to_bytes()
    }

    /// The structure with that signature.
    #[must_use]
    pub fn with(&self, signature: &[u8]) -> Item {
        tag(18, &array(&[bytes(&map(&self.protected)), self.unprotected.clone(), bytes(&self.payload), bytes(signature)]))
    }

    /// The structure, signed by `key`.
    #[must_use]
    pub fn sign(&self, key: &SigningKey) -> Item {
        self.with(&self.signature(key))
    }
}

/// What an author signs, before it is written.
#[derive(Clone)]
pub struct Letter {
    /// Entries of the header, without 15 and -65800.
    pub header: Entries,
    /// Entries under 15.
    pub cwt: Entries,
    /// Entries under -65800.
    pub claims: Entries,
    /// The blind.
    pub blind: Vec<u8>,
    /// The body.
    pub body: Vec<u8>,
}

impl Letter {
    /// The header, its entries in order.
    #[must_use]
    pub fn header(&self) -> Item {
        let mut entries = self.header.clone();
        entries.push((int(15), map(&self.cwt)));
        entries.push((int(-65800), map(&self.claims)));
        entries.sort();
        map(&entries)
    }

    /// Signed by `key` in `domain`.
    #[must_use]
    pub fn sign(&self, key: &SigningKey, domain: &[u8; 32]) -> Signed {
        self.sign_header(self.header(), key, &external_data(domain))
    }

    /// As [`Letter::sign`], over a header and external data given as they are.
    #[must_use]
    pub fn sign_header(&self, header: Item, key: &SigningKey, external: &[u8]) -> Signed {
        let digest = sha256(&array(&[bytes(&self.blind), bytes(&self.body)]));
        let to_sign = sig_structure(&header, external, &digest);
        let signature = key.sign(&to_sign).to_bytes().to_vec();
        Signed {
            header,
            unprotected: Vec::new(),
            payload: null(),
            signature,
            blind: bytes(&self.blind),
            body: bytes(&self.body),
            digest: sha256(&to_sign),
            sig_structure: to_sign,
        }
    }
}

/// A signed letter, as items that go into the plaintext.
#[derive(Clone)]
pub struct Signed {
    /// The header's bytes.
    pub header: Item,
    /// Entries of the unprotected header.
    pub unprotected: Entries,
    /// The payload: `null`.
    pub payload: Item,
    /// The signature's bytes.
    pub signature: Vec<u8>,
    /// The blind, encoded.
    pub blind: Item,
    /// The body, encoded.
    pub body: Item,
    /// The signed digest.
    pub digest: [u8; 32],
    /// What was signed.
    pub sig_structure: Item,
}

impl Signed {
    /// With a certificate, as an opening has it.
    #[must_use]
    pub fn with_certificate(mut self, certificate: Item) -> Self {
        self.unprotected.push((int(13), certificate));
        self
    }

    /// The inner COSE_Sign1.
    #[must_use]
    pub fn inner(&self) -> Item {
        tag(18, &array(&[bytes(&self.header), map(&self.unprotected), self.payload.clone(), bytes(&self.signature)]))
    }

    /// What is encrypted.
    #[must_use]
    pub fn plaintext(&self) -> Item {
        array(&[self.inner(), self.blind.clone(), self.body.clone()])
    }
}

/// Both ends of a lane, in full.
#[derive(Clone)]
pub struct Ends {
    /// The domain.
    pub domain: [u8; 32],
    /// The author's thumbprint.
    pub signer: [u8; 32],
    /// The reader's thumbprint.
    pub reader: [u8; 32],
}

/// A lane, as its sender knows it.
#[derive(Clone)]
pub struct Lane {
    /// Its name.
    pub id: [u8; 16],
    /// Its secret.
    pub secret: [u8; 32],
}

/// What a sender draws for an opening.
#[derive(Clone)]
pub struct Drawn {
    /// The content key.
    pub content_key: [u8; 32],
    /// What encapsulation draws.
    pub encapsulation: [u8; 64],
}

impl Drawn {
    /// As SPEC.md, "Hedged randomness" has it.
    #[must_use]
    pub fn hedged(hedge: &[u8; 32], fresh: &[u8; 32], digest: &[u8; 32], receive_key: &[u8], certificate: &[u8]) -> Self {
        let message = sha256(&[digest, &receive_key_id(receive_key)[..], certificate].concat());
        let (_, prk) = Hkdf::<Sha256>::extract(Some(hedge), &[*fresh, message].concat());
        let mut drawn = Self { content_key: [0; 32], encapsulation: [0; 64] };
        prk.expand(b"sealwire/1 hedge content key", &mut drawn.content_key).unwrap();
        prk.expand(b"sealwire/1 hedge encapsulation", &mut drawn.encapsulation).unwrap();
        drawn
    }
}

/// The salt of a lane message, as SPEC.md, "Hedged randomness" has it.
#[must_use]
pub fn hedged_salt(hedge: &[u8; 32], fresh: &[u8; 32], digest: &[u8; 32], lane: &Lane) -> [u8; 32] {
    let message = sha256(&[digest, &lane.id[..]].concat());
    let (_, prk) = Hkdf::<Sha256>::extract(Some(hedge), &[*fresh, message].concat());
    let mut salt = [0; 32];
    prk.expand(b"sealwire/1 hedge salt", &mut salt).unwrap();
    salt
}

/// An envelope before it is written.
#[derive(Clone)]
pub struct Outer {
    /// The protected header's bytes.
    pub protected: Item,
    /// Entries of the unprotected header.
    pub unprotected: Entries,
    /// The ciphertext's bytes, tag included.
    pub ciphertext: Vec<u8>,
    /// The recipients.
    pub recipients: Vec<Item>,
}

impl Outer {
    fn new(content_key: &[u8; 32], plaintext: &[u8], recipient: Item) -> Self {
        let protected = envelope_protected();
        let aad = array(&[text("Encrypt"), bytes(&protected), bytes(&[])]);
        let cipher = chacha20poly1305::ChaCha20Poly1305::new(content_key.into());
        let ciphertext = cipher.encrypt(&[0; 12].into(), Payload { msg: plaintext, aad: &aad }).unwrap();
        Self { protected, unprotected: vec![(int(5), bytes(&[0; 12]))], ciphertext, recipients: vec![recipient] }
    }

    /// The four items.
    #[must_use]
    pub fn items(&self) -> Vec<Item> {
        vec![bytes(&self.protected), map(&self.unprotected), bytes(&self.ciphertext), array(&self.recipients)]
    }

    /// What travels.
    #[must_use]
    pub fn encode(&self) -> Item {
        tag(96, &array(&self.items()))
    }
}

/// A recipient before it is written.
#[derive(Clone)]
pub struct Recipient {
    /// The protected header's entries.
    pub protected: Entries,
    /// The unprotected header's entries.
    pub unprotected: Entries,
    /// The wrapped key's bytes.
    pub key: Vec<u8>,
}

impl Recipient {
    /// As an item.
    #[must_use]
    pub fn encode(&self) -> Item {
        array(&[bytes(&map(&self.protected)), map(&self.unprotected), bytes(&self.key)])
    }
}

/// An opening, and what its reader computes on the way.
#[derive(Clone)]
pub struct Opening {
    /// The envelope.
    pub outer: Outer,
    /// Its recipient.
    pub recipient: Recipient,
    /// The lane it defines.
    pub lane: Lane,
    /// The content key.
    pub content_key: [u8; 32],
    /// HPKE's exporter output.
    pub exported: [u8; 32],
}

impl Opening {
    /// What travels.
    #[must_use]
    pub fn encode(&self) -> Item {
        self.outer.encode()
    }
}

/// Seals `plaintext` as an opening. `digest` is the signed digest.
#[must_use]
pub fn opening(plaintext: &[u8], digest: &[u8; 32], ends: &Ends, receive_key: &[u8], drawn: &Drawn) -> Opening {
    let id = receive_key_id(receive_key);
    let protected = vec![(int(1), int(-65901)), (int(4), bytes(&id))];
    let info = array(&[text("HPKE Recipient"), int(24), bytes(&map(&protected)), bytes(&external_data(&ends.domain))]);
    let reader = <XWing as Kem>::PublicKey::from_bytes(receive_key).unwrap();
    let mut random = Scripted::new(&drawn.encapsulation);
    let (encapsulated, mut context) = hpke::setup_sender_with_rng::<hpke::aead::ChaCha20Poly1305, hpke::kdf::HkdfSha256, XWing>(
        &OpModeS::Base,
        &reader,
        &info,
        &mut random,
    )
    .unwrap();
    let mut exported = [0; 32];
    context.export(b"sealwire/1 lane", &mut exported).unwrap();
    let mut wrapped = drawn.content_key;
    let tag: AeadTag<hpke::aead::ChaCha20Poly1305> = context.seal_inout_detached(wrapped.as_mut_slice().into(), &[]).unwrap();
    let key = [wrapped.to_vec(), tag.to_bytes().to_vec()].concat();
    let recipient = Recipient { protected, unprotected: vec![(int(-4), bytes(&encapsulated.to_bytes()))], key };
    let outer = Outer::new(&drawn.content_key, plaintext, recipient.encode());
    let lane = lane(&exported, &drawn.content_key, digest, ends, &id);
    Opening { outer, recipient, lane, content_key: drawn.content_key, exported }
}

fn lane(exported: &[u8; 32], content_key: &[u8; 32], digest: &[u8; 32], ends: &Ends, receive_key: &[u8; 16]) -> Lane {
    let (_, prk) = Hkdf::<Sha256>::extract(Some(digest), &[*exported, *content_key].concat());
    let ends = [&ends.domain[..], &ends.signer, &ends.reader, receive_key].concat();
    let mut lane = Lane { id: [0; 16], secret: [0; 32] };
    prk.expand(&[b"sealwire/1 lane".as_slice(), &ends].concat(), &mut lane.secret).unwrap();
    prk.expand(&[b"sealwire/1 lane id".as_slice(), &ends].concat(), &mut lane.id).unwrap();
    lane
}

/// A lane message, and what its reader computes on the way.
#[derive(Clone)]
pub struct LaneMessage {
    /// The envelope.
    pub outer: Outer,
    /// Its recipient.
    pub recipient: Recipient,
    /// The content key.
    pub content_key: [u8; 32],
}

impl LaneMessage {
    /// What travels.
    #[must_use]
    pub fn encode(&self) -> Item {
        self.outer.encode()
    }
}

/// Seals `plaintext` in a lane.
#[must_use]
pub fn lane_message(plaintext: &[u8], lane: &Lane, salt: &[u8; 32]) -> LaneMessage {
    let protected = vec![(int(1), int(-10))];
    let party = array(&[null(), null(), null()]);
    let context = array(&[int(24), party.clone(), party, array(&[uint(256), bytes(&map(&protected))])]);
    let (_, prk) = Hkdf::<Sha256>::extract(Some(salt), &lane.secret);
    let mut content_key = [0; 32];
    prk.expand(&context, &mut content_key).unwrap();
    let recipient = Recipient { protected, unprotected: vec![(int(4), bytes(&lane.id)), (int(-20), bytes(salt))], key: Vec::new() };
    LaneMessage { outer: Outer::new(&content_key, plaintext, recipient.encode()), recipient, content_key }
}
