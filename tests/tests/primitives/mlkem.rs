//! ML-KEM-768, the post-quantum half of the KEM.

use ml_kem::kem::{Decapsulate, KeyExport};
use ml_kem::{Ciphertext, DecapsulationKey, EncapsulationKey, MlKem768, Seed};
use sealwire_tests::vectors::{self, Expected, Tally, Wycheproof};
use serde::Deserialize;

#[derive(Deserialize)]
struct Group {
    tests: Vec<Case>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Case {
    tc_id: u32,
    #[serde(with = "hex")]
    seed: Vec<u8>,
    /// The cases whose seed is of a wrong length have none.
    #[serde(default, with = "hex")]
    ek: Vec<u8>,
    #[serde(with = "hex")]
    c: Vec<u8>,
    #[serde(rename = "K", with = "hex")]
    shared: Vec<u8>,
    result: Expected,
}

/// The decapsulation key of the case; nothing when its seed has not 64 bytes.
fn key(case: &Case) -> Option<DecapsulationKey<MlKem768>> {
    let seed = Seed::try_from(case.seed.as_slice()).ok()?;
    Some(DecapsulationKey::from_seed(seed))
}

/// The shared secret; nothing when seed or ciphertext is of a wrong length.
fn decapsulate(case: &Case) -> Option<Vec<u8>> {
    let ciphertext = Ciphertext::<MlKem768>::try_from(case.c.as_slice()).ok()?;
    Some(key(case)?.decapsulate(&ciphertext).to_vec())
}

fn is_public_half(case: &Case) -> bool {
    let public = key(case).map(|key| key.encapsulation_key().to_bytes().to_vec());
    public.as_ref() == Some(&case.ek)
}

/// Ciphertexts that were tampered with count as valid: they give the secret that FIPS 203 prescribes for a rejected one.
#[test]
fn wycheproof() {
    let file: Wycheproof<Group> = vectors::read("wycheproof/mlkem_768_test.json");
    let mut tally = Tally::default();
    for case in file.test_groups.iter().flat_map(|group| &group.tests) {
        let expected = (case.result == Expected::Valid).then_some(&case.shared);
        assert_eq!(decapsulate(case).as_ref(), expected, "case {}", case.tc_id);
        if !case.ek.is_empty() {
            assert!(is_public_half(case), "case {}", case.tc_id);
        }
        tally.count(case.result);
    }
    assert_eq!(tally, Tally { valid: 153, invalid: 40, acceptable: 0 });
    assert_eq!(tally.total(), file.number_of_tests);
}

/// FIPS 203, 7.2: a public key with a coefficient not below q is refused.
#[test]
fn public_key_out_of_range_is_refused() {
    let file: Wycheproof<Group> = vectors::read("wycheproof/mlkem_768_test.json");
    let case = file.test_groups.iter().flat_map(|group| &group.tests).find(|case| !case.ek.is_empty()).unwrap();
    assert!(EncapsulationKey::<MlKem768>::new(case.ek.as_slice().try_into().unwrap()).is_ok());
    let mut high = case.ek.clone();
    high[..2].fill(0xff);
    assert!(EncapsulationKey::<MlKem768>::new(high.as_slice().try_into().unwrap()).is_err());
}
