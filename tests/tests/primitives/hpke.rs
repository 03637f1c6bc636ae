//! HPKE in base mode with MLKEM768-X25519, HKDF-SHA256 and ChaCha20-Poly1305: the suite of sealwire/1 and no other.

use hpke::aead::{AeadTag, ChaCha20Poly1305};
use hpke::kdf::HkdfSha256;
use hpke::kem::XWing;
use hpke::{Deserializable, Kem, OpModeR, OpModeS, Serializable};
use sealwire_tests::random::Scripted;
use sealwire_tests::vectors;
use serde::Deserialize;

type PrivateKey = <XWing as Kem>::PrivateKey;
type PublicKey = <XWing as Kem>::PublicKey;
type EncappedKey = <XWing as Kem>::EncappedKey;

/// Mode, KEM, KDF and AEAD as HPKE numbers them.
const SUITE: (u8, u16, u16, u16) = (0, 0x647a, 0x0001, 0x0003);

#[derive(Deserialize)]
#[allow(non_snake_case)]
struct Vector {
    mode: u8,
    kem_id: u16,
    kdf_id: u16,
    aead_id: u16,
    #[serde(with = "hex")]
    info: Vec<u8>,
    #[serde(with = "hex")]
    ikmE: Vec<u8>,
    #[serde(with = "hex")]
    ikmR: Vec<u8>,
    #[serde(with = "hex")]
    skRm: Vec<u8>,
    #[serde(with = "hex")]
    pkRm: Vec<u8>,
    #[serde(with = "hex")]
    enc: Vec<u8>,
    encryptions: Vec<Encryption>,
    exports: Vec<Export>,
}

#[derive(Deserialize)]
struct Encryption {
    #[serde(with = "hex")]
    aad: Vec<u8>,
    #[serde(with = "hex")]
    ct: Vec<u8>,
    #[serde(with = "hex")]
    pt: Vec<u8>,
}

#[derive(Deserialize)]
struct Export {
    #[serde(with = "hex")]
    exporter_context: Vec<u8>,
    #[serde(rename = "L")]
    length: usize,
    #[serde(with = "hex")]
    exported_value: Vec<u8>,
}

/// The one vector of our suite, with what a run over it must have covered.
fn vector() -> Vector {
    let all: Vec<Vector> = vectors::read("hpke-pq/test-vectors.json");
    assert_eq!(all.len(), 13);
    let mut ours: Vec<Vector> = all.into_iter().filter(|v| (v.mode, v.kem_id, v.kdf_id, v.aead_id) == SUITE).collect();
    assert_eq!(ours.len(), 1);
    let vector = ours.remove(0);
    assert_eq!((vector.encryptions.len(), vector.exports.len()), (10, 5));
    vector
}

/// A receive key is its 32-byte seed; the public key follows from it.
#[test]
fn keys() {
    let vector = vector();
    let private = PrivateKey::from_bytes(&vector.skRm).unwrap();
    assert_eq!(XWing::sk_to_pk(&private).to_bytes().as_slice(), vector.pkRm);
    assert_eq!(PublicKey::from_bytes(&vector.pkRm).unwrap().to_bytes().as_slice(), vector.pkRm);
    assert_eq!(XWing::derive_keypair(&vector.ikmR).0.to_bytes().as_slice(), vector.skRm);
}

#[test]
fn receiver() {
    let vector = vector();
    let private = PrivateKey::from_bytes(&vector.skRm).unwrap();
    let enc = EncappedKey::from_bytes(&vector.enc).unwrap();
    let mut context = hpke::setup_receiver::<ChaCha20Poly1305, HkdfSha256, XWing>(&OpModeR::Base, &private, &enc, &vector.info).unwrap();
    for (number, encryption) in vector.encryptions.iter().enumerate() {
        let (ciphertext, tag) = encryption.ct.split_last_chunk::<16>().unwrap();
        let tag = AeadTag::<ChaCha20Poly1305>::from_bytes(tag).unwrap();
        let mut buffer = ciphertext.to_vec();
        context.open_inout_detached(buffer.as_mut_slice().into(), &encryption.aad, &tag).unwrap();
        assert_eq!(buffer, encryption.pt, "encryption {number}");
    }
    for export in &vector.exports {
        let mut value = vec![0; export.length];
        context.export(&export.exporter_context, &mut value).unwrap();
        assert_eq!(value, export.exported_value);
    }
}

/// With the vector's randomness the sender makes the vector's bytes, and draws exactly 64 of them.
#[test]
fn sender() {
    let vector = vector();
    let public = PublicKey::from_bytes(&vector.pkRm).unwrap();
    let mut random = Scripted::new(&vector.ikmE);
    let (enc, mut context) =
        hpke::setup_sender_with_rng::<ChaCha20Poly1305, HkdfSha256, XWing>(&OpModeS::Base, &public, &vector.info, &mut random).unwrap();
    assert_eq!((vector.ikmE.len(), random.left()), (64, 0));
    assert_eq!(enc.to_bytes().as_slice(), vector.enc);
    for (number, encryption) in vector.encryptions.iter().enumerate() {
        let mut sealed = encryption.pt.clone();
        let tag = context.seal_inout_detached(sealed.as_mut_slice().into(), &encryption.aad).unwrap();
        sealed.extend_from_slice(&tag.to_bytes());
        assert_eq!(sealed, encryption.ct, "encryption {number}");
    }
    for export in &vector.exports {
        let mut value = vec![0; export.length];
        context.export(&export.exporter_context, &mut value).unwrap();
        assert_eq!(value, export.exported_value);
    }
}
