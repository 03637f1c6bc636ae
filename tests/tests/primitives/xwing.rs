//! X-Wing alone, the KEM that HPKE calls MLKEM768-X25519.

use sealwire_tests::random::Scripted;
use sealwire_tests::vectors;
use serde::Deserialize;
use x_wing::{Ciphertext, Decapsulate, DecapsulationKey, Decapsulator, Encapsulate, EncapsulationKey, KeyExport};

#[derive(Deserialize)]
struct Vector {
    #[serde(with = "hex")]
    seed: [u8; 32],
    #[serde(with = "hex")]
    eseed: Vec<u8>,
    #[serde(with = "hex")]
    ss: Vec<u8>,
    #[serde(with = "hex")]
    sk: [u8; 32],
    #[serde(with = "hex")]
    pk: Vec<u8>,
    #[serde(with = "hex")]
    ct: Vec<u8>,
}

#[test]
fn draft() {
    let all: Vec<Vector> = vectors::read("xwing/test-vectors.json");
    assert_eq!(all.len(), 3);
    for vector in &all {
        let private = DecapsulationKey::from(vector.seed);
        assert_eq!(private.as_bytes(), &vector.sk);
        assert_eq!(private.encapsulation_key().to_bytes().as_slice(), vector.pk);

        let public = EncapsulationKey::try_from(vector.pk.as_slice()).unwrap();
        let mut random = Scripted::new(&vector.eseed);
        let (ciphertext, shared) = public.encapsulate_with_rng(&mut random);
        assert_eq!(random.left(), 0);
        assert_eq!(ciphertext.as_slice(), vector.ct);
        assert_eq!(shared.as_slice(), vector.ss);

        let received = Ciphertext::try_from(vector.ct.as_slice()).unwrap();
        assert_eq!(private.decapsulate(&received).as_slice(), vector.ss);
    }
}
