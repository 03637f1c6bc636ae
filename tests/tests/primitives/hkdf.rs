//! HKDF with SHA-256.

use hkdf::Hkdf;
use sealwire_tests::vectors::{self, Expected, Tally, Wycheproof};
use serde::Deserialize;
use sha2::Sha256;

#[derive(Deserialize)]
struct Group {
    tests: Vec<Case>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Case {
    tc_id: u32,
    #[serde(with = "hex")]
    ikm: Vec<u8>,
    #[serde(with = "hex")]
    salt: Vec<u8>,
    #[serde(with = "hex")]
    info: Vec<u8>,
    size: usize,
    #[serde(with = "hex")]
    okm: Vec<u8>,
    result: Expected,
}

/// The output; nothing when more was asked for than HKDF gives.
fn derive(case: &Case) -> Option<Vec<u8>> {
    let mut okm = vec![0; case.size];
    Hkdf::<Sha256>::new(Some(&case.salt), &case.ikm).expand(&case.info, &mut okm).ok()?;
    Some(okm)
}

/// The same output for the information in two pieces, as sealwire passes a label and what follows it.
fn derive_in_pieces(case: &Case) -> Option<Vec<u8>> {
    let (label, rest) = case.info.split_at(case.info.len() / 2);
    let mut okm = vec![0; case.size];
    Hkdf::<Sha256>::new(Some(&case.salt), &case.ikm).expand_multi_info(&[label, rest], &mut okm).ok()?;
    Some(okm)
}

#[test]
fn wycheproof() {
    let file: Wycheproof<Group> = vectors::read("wycheproof/hkdf_sha256_test.json");
    let mut tally = Tally::default();
    for case in file.test_groups.iter().flat_map(|group| &group.tests) {
        let expected = (case.result == Expected::Valid).then_some(&case.okm);
        assert_eq!(derive(case).as_ref(), expected, "case {}", case.tc_id);
        assert_eq!(derive_in_pieces(case).as_ref(), expected, "case {}", case.tc_id);
        tally.count(case.result);
    }
    assert_eq!(tally, Tally { valid: 83, invalid: 3, acceptable: 0 });
    assert_eq!(tally.total(), file.number_of_tests);
}
