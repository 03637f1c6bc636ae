//! What sealing and opening cost beside the bare primitives, in the same run.
//!
//! `cargo bench -p sealwire` prints, for each size and form, the time of one message, the time of the primitives it cannot do without, and how many
//! times that is. Rounds of both alternate, so that a processor that changes its speed changes it for both, and of each the fastest round counts: what
//! else runs on the machine can only add to it.
//! `cargo bench -p sealwire -- lane` runs one form only; `--assert` fails when a lane message takes over 1.5 times its primitives.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use std::{
    hint::black_box,
    time::{Instant, SystemTime, UNIX_EPOCH},
};

use chacha20poly1305::{AeadInOut, ChaCha20Poly1305, KeyInit, Nonce, Tag};
use ed25519_dalek::{Signature, Signer, SigningKey};
use hkdf::Hkdf;
use hpke::{Kem as _, OpModeR, OpModeS, aead, kdf, kem::XWing};
use sealwire::{Address, Draft, Endpoint, Envelope, Form, NodeKey, Root, RosterClaims};
use sha2::{Digest, Sha256};

const SIZES: [usize; 4] = [256, 4 * 1024, 64 * 1024, 1024 * 1024];

/// Most that a lane message may take, as a multiple of its primitives.
const TARGET: f64 = 1.5;

/// Addresses of this length, as an agent's slug and a host's name make them.
const ADDRESS_LEN: usize = 20;

/// Length of what is signed: a header with two such addresses, the domain and a digest.
const SIGNED_LEN: usize = 280;

/// Rounds of which the fastest is taken.
const ROUNDS: usize = 51;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let wanted = |form: Form| {
        let named: Vec<_> = arguments.iter().filter(|argument| ["opening", "lane"].contains(&argument.as_str())).collect();
        named.is_empty() || named.iter().any(|name| **name == form.to_string())
    };
    println!("{:>8}  {:<7}  {:<4}  {:>10}  {:>10}  {:>5}  {:>6}", "body", "form", "", "one", "primitives", "times", "added");
    let mut over = Vec::new();
    for form in [Form::Opening, Form::Lane].into_iter().filter(|form| wanted(*form)) {
        for size in SIZES {
            let [seal, open] = measure(form, size);
            over.extend([seal, open].into_iter().filter(|times| form == Form::Lane && *times > TARGET));
        }
    }
    if arguments.iter().any(|argument| argument == "--assert") {
        assert!(over.is_empty(), "lane messages over {TARGET} times their primitives: {over:.2?}");
    }
}

/// Prints a line for sealing and one for opening, and returns how many times their primitives they take.
fn measure(form: Form, size: usize) -> [f64; 2] {
    let (hosts, bare, body) = (Hosts::new(), Primitives::new(), vec![0x5a; size]);
    // About 2 ms a round at each size: long beside the clock's resolution, short beside a change of the processor's speed.
    let count = (2_000_000 / (30_000 + 3 * size)).max(1);
    let mut added = 0;
    let mut times: [Vec<f64>; 4] = Default::default();
    for _ in 0..ROUNDS {
        if form == Form::Lane {
            hosts.settle_lane();
        }
        let mut sealed = Vec::with_capacity(count);
        let seal = time(count, || sealed.push(hosts.seal(&body)));
        assert!(sealed.iter().all(|envelope| envelope.form() == form));
        added = sealed[0].as_bytes().len() - size;
        let mut opened = Vec::with_capacity(count);
        let mut arriving = sealed.iter();
        let open = time(count, || opened.push(hosts.two.open(arriving.next().unwrap()).unwrap()));
        assert!(opened.iter().all(|message| message.body() == body));
        drop((sealed, opened));
        let mut buffers = vec![body.clone(); count];
        let mut free = buffers.iter_mut();
        let mut tags = Vec::with_capacity(count);
        let bare_seal = time(count, || tags.push(bare.seal(form, free.next().unwrap())));
        let mut full = buffers.iter_mut().zip(&tags);
        let bare_open = time(count, || {
            let (buffer, tag) = full.next().unwrap();
            bare.open(form, buffer, tag);
        });
        for (times, time) in times.iter_mut().zip([seal, bare_seal, open, bare_open]) {
            times.push(time);
        }
    }
    let [seal, bare_seal, open, bare_open] = times.map(fastest);
    for (name, one, bare) in [("seal", seal, bare_seal), ("open", open, bare_open)] {
        println!(
            "{size:>8}  {:<7}  {name}  {:>7.1} us  {:>7.1} us  {:>5.2}  {added:>6}",
            form.to_string(),
            one * 1e6,
            bare * 1e6,
            one / bare
        );
    }
    [seal / bare_seal, open / bare_open]
}

/// Seconds for one of `count` runs.
fn time(count: usize, mut run: impl FnMut()) -> f64 {
    let start = Instant::now();
    for _ in 0..count {
        run();
    }
    start.elapsed().as_secs_f64() / count as f64
}

fn fastest(times: Vec<f64>) -> f64 {
    times.into_iter().fold(f64::INFINITY, f64::min)
}

/// Two hosts: `a` writes, `b` reads.
struct Hosts {
    one: Endpoint,
    two: Endpoint,
    a: Address,
    b: Address,
}

impl Hosts {
    fn new() -> Self {
        let root = Root::generate().unwrap();
        let nodes = ["one", "two"].map(|name| NodeKey::generate(name).unwrap());
        let listed = nodes.iter().map(|node| node.listed().unwrap()).collect();
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
        let roster = root.sign_roster(None, RosterClaims { nodes: listed, ..RosterClaims::default() }, now);
        let [one, two] = nodes.map(|node| Endpoint::builder().member(node, *root.verifying_key(), roster.clone()).unwrap());
        let name = |letter: &str| letter.repeat(ADDRESS_LEN - "@one".len());
        let (a, b) = (one.host(&name("a")).unwrap(), two.host(&name("b")).unwrap());
        one.introduce(two.certificate(&b).unwrap().as_bytes()).unwrap();
        Self { one, two, a, b }
    }

    fn seal(&self, body: &[u8]) -> Envelope {
        self.one.seal(&self.a, &self.b, &Draft::new("task", body)).unwrap().envelope
    }

    /// Has `b` name a lane to `a`, if the next message would not go in one.
    fn settle_lane(&self) {
        let first = self.two.open(&self.seal(b"")).unwrap();
        if first.form() == Form::Opening {
            let named = self.two.acknowledge(&self.b, &self.a).unwrap().unwrap();
            self.one.open(&named.envelope).unwrap();
        }
    }
}

/// The work no implementation of the format can leave out, with nothing around it: no parsing, no copying, no journal.
struct Primitives {
    signing: SigningKey,
    signed: [u8; SIGNED_LEN],
    signature: Signature,
    receive_key: <XWing as hpke::Kem>::PrivateKey,
    receive_public: <XWing as hpke::Kem>::PublicKey,
    encapsulated: <XWing as hpke::Kem>::EncappedKey,
}

impl Primitives {
    fn new() -> Self {
        let signing = SigningKey::from_bytes(&[7; 32]);
        let signed = [1; SIGNED_LEN];
        let (receive_key, receive_public) = XWing::derive_keypair(&[9; 32]);
        let mut random = Counting(0);
        let (encapsulated, _) = hpke::setup_sender_with_rng::<aead::ChaCha20Poly1305, kdf::HkdfSha256, XWing>(
            &OpModeS::Base,
            &receive_public,
            INFO,
            &mut random,
        )
        .unwrap();
        Self { signature: signing.sign(&signed), signing, signed, receive_key, receive_public, encapsulated }
    }

    /// Signature, SHA-256 of the body, HKDF, encryption; in an opening also the encapsulation, and the HKDF of the lane it offers.
    fn seal(&self, form: Form, buffer: &mut [u8]) -> Tag {
        black_box(self.signing.sign(black_box(&self.signed)));
        black_box(Sha256::digest(&*buffer));
        let key = derive(&[3; 32]);
        if form == Form::Opening {
            let mut random = Counting(1);
            let (_, mut context) = hpke::setup_sender_with_rng::<aead::ChaCha20Poly1305, kdf::HkdfSha256, XWing>(
                &OpModeS::Base,
                &self.receive_public,
                INFO,
                &mut random,
            )
            .unwrap();
            let (mut wrapped, mut lane) = (key, [0; 32]);
            let _tag = black_box(context.seal_inout_detached(wrapped.as_mut_slice().into(), &[]).unwrap());
            context.export(b"lane", &mut lane).unwrap();
            black_box((wrapped, derive(&lane)));
        }
        ChaCha20Poly1305::new(&key.into()).encrypt_inout_detached(&Nonce::default(), AAD, buffer.into()).unwrap()
    }

    /// Verification, SHA-256, HKDF, decryption; in an opening also the decapsulation, and the HKDF of the lane. The author's certificate was verified
    /// with its first message.
    fn open(&self, form: Form, buffer: &mut [u8], tag: &Tag) {
        let key = derive(&[3; 32]);
        if form == Form::Opening {
            let context = hpke::setup_receiver::<aead::ChaCha20Poly1305, kdf::HkdfSha256, XWing>(
                &OpModeR::Base,
                &self.receive_key,
                &self.encapsulated,
                INFO,
            );
            let context = context.unwrap();
            let mut lane = [0; 32];
            context.export(b"lane", &mut lane).unwrap();
            black_box(derive(&lane));
        }
        let opened = ChaCha20Poly1305::new(&key.into()).decrypt_inout_detached(&Nonce::default(), AAD, (&mut *buffer).into(), tag);
        opened.unwrap();
        black_box(Sha256::digest(&*buffer));
        self.verify();
    }

    fn verify(&self) {
        self.signing.verifying_key().verify_strict(black_box(&self.signed), &self.signature).unwrap();
    }
}

const INFO: &[u8] = &[0; 130];
const AAD: &[u8] = &[0; 40];

fn derive(salt: &[u8; 32]) -> [u8; 32] {
    let mut key = [0; 32];
    Hkdf::<Sha256>::new(Some(black_box(salt)), &[5; 32]).expand(&[0; 20], &mut key).unwrap();
    key
}

/// Randomness that costs nothing.
struct Counting(u8);

impl rand_core::TryRng for Counting {
    type Error = core::convert::Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Self::Error> {
        rand_core::utils::next_word_via_fill(self)
    }

    fn try_next_u64(&mut self) -> Result<u64, Self::Error> {
        rand_core::utils::next_word_via_fill(self)
    }

    fn try_fill_bytes(&mut self, out: &mut [u8]) -> Result<(), Self::Error> {
        self.0 = self.0.wrapping_add(1);
        out.fill(self.0);
        Ok(())
    }
}

impl rand_core::TryCryptoRng for Counting {}
