//! The program that `tests/memory.rs` looks into: it is given a secret, pauses at "held" while it has it, lets go of it and pauses at "dropped".
//!
//! Usage: `memory-subject CASE MASKED-SECRET`; the secret has 32 bytes. `memory-subject endpoint HOME ENVELOPE` has the secrets of a home, and of the
//! lane that the envelope in that file offers.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

#[cfg(target_os = "linux")]
fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    if let [_, case, home, envelope] = arguments.as_slice() {
        assert_eq!(case, "endpoint");
        return cases::endpoint(home.as_ref(), envelope.as_ref());
    }
    let [_, case, masked] = arguments.as_slice() else { panic!("memory-subject CASE MASKED-SECRET") };
    match case.as_str() {
        "kept" => cases::kept(masked),
        "scattered" => cases::scattered(masked),
        "freed" => cases::freed(masked),
        "wiped" => cases::wiped(masked),
        "signing-key" => cases::signing_key(masked),
        "receive-key" => cases::receive_key(masked),
        other => panic!("no case is called {other}"),
    }
}

#[cfg(not(target_os = "linux"))]
fn main() {}

#[cfg(target_os = "linux")]
mod cases {
    use std::hint::black_box;
    use std::path::Path;

    use ed25519_dalek::{Signer, SigningKey};
    use hpke::aead::ChaCha20Poly1305;
    use hpke::kdf::HkdfSha256;
    use hpke::kem::XWing;
    use hpke::{Deserializable, Kem, OpModeR, OpModeS};
    use sealwire::{Draft, Endpoint, Envelope, Form};
    use sealwire_tests::memory::{pause, scrub_stack, unmask_into};
    use sealwire_tests::random::Scripted;
    use zeroize::Zeroizing;

    type ReceiveKey = <XWing as Kem>::PrivateKey;

    fn secret(masked: &str) -> Box<Zeroizing<[u8; 32]>> {
        let mut secret = Box::new(Zeroizing::new([0; 32]));
        unmask_into(masked, secret.as_mut_slice());
        secret
    }

    fn hold<T>(held: T) {
        scrub_stack();
        pause("held");
        drop(black_box(held));
        pause("dropped");
    }

    /// Says that it dropped the secret, and has it still.
    pub(crate) fn kept(masked: &str) {
        let kept = secret(masked);
        hold(());
        black_box(kept);
    }

    /// One secret in every 33 bytes of 4 MiB, so that some lie across whatever borders a search has.
    pub(crate) fn scattered(masked: &str) {
        let mut field = vec![0; 4 << 20];
        field.chunks_exact_mut(33).for_each(|chunk| unmask_into(masked, &mut chunk[..32]));
        hold(());
        black_box(field);
    }

    /// Gives its memory back and leaves in it what was there.
    pub(crate) fn freed(masked: &str) {
        let mut freed = Box::new([0; 32]);
        unmask_into(masked, freed.as_mut_slice());
        hold(freed);
    }

    pub(crate) fn wiped(masked: &str) {
        hold(secret(masked));
    }

    pub(crate) fn signing_key(masked: &str) {
        hold(signing_key_in_use(masked));
    }

    #[inline(never)]
    fn signing_key_in_use(masked: &str) -> Box<SigningKey> {
        let key = Box::new(SigningKey::from_bytes(&secret(masked)));
        black_box(key.sign(b"a message"));
        key
    }

    /// The endpoint's own calls leave no copy behind: its stack is not scrubbed here.
    pub(crate) fn endpoint(home: &Path, envelope: &Path) {
        let endpoint = endpoint_in_use(home, envelope);
        pause("held");
        drop(endpoint);
        pause("dropped");
    }

    /// Opens what it was given, then seals and opens in both forms.
    #[inline(never)]
    fn endpoint_in_use(home: &Path, envelope: &Path) -> Endpoint {
        let (endpoint, _) = Endpoint::builder().home_or_init(home, "local").unwrap();
        let [a, b] = ["a", "b"].map(|name| endpoint.host(name).unwrap());
        let envelope = Envelope::parse(std::fs::read(envelope).unwrap()).unwrap();
        assert_eq!(endpoint.open(&envelope).unwrap().body(), b"offers a lane");
        for form in [Form::Opening, Form::Lane] {
            let sealed = endpoint.seal(&a, &b, &Draft::new("task", "x")).unwrap().envelope;
            assert_eq!(endpoint.open(&sealed).unwrap().form(), form);
        }
        endpoint
    }

    pub(crate) fn receive_key(masked: &str) {
        hold(receive_key_in_use(masked));
    }

    #[inline(never)]
    fn receive_key_in_use(masked: &str) -> Box<ReceiveKey> {
        let key = Box::new(ReceiveKey::from_bytes(secret(masked).as_slice()).unwrap());
        let public = XWing::sk_to_pk(&key);
        let mut random = Scripted::new(&[1; 64]);
        let (enc, sender) =
            hpke::setup_sender_with_rng::<ChaCha20Poly1305, HkdfSha256, XWing>(&OpModeS::Base, &public, b"", &mut random).unwrap();
        let reader = hpke::setup_receiver::<ChaCha20Poly1305, HkdfSha256, XWing>(&OpModeR::Base, &key, &enc, b"").unwrap();
        black_box((sender, reader));
        key
    }
}
