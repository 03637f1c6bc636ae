//! Ed25519, always by `verify_strict`.

use ed25519_dalek::{Signature, VerifyingKey};
use sealwire_tests::vectors::{self, Expected, Tally, Wycheproof};
use serde::Deserialize;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Group {
    public_key: PublicKey,
    tests: Vec<Case>,
}

#[derive(Deserialize)]
struct PublicKey {
    #[serde(with = "hex")]
    pk: [u8; 32],
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Case {
    tc_id: u32,
    #[serde(with = "hex")]
    msg: Vec<u8>,
    #[serde(with = "hex")]
    sig: Vec<u8>,
    result: Expected,
}

fn verifies(key: &VerifyingKey, case: &Case) -> bool {
    Signature::from_slice(&case.sig).is_ok_and(|signature| key.verify_strict(&case.msg, &signature).is_ok())
}

/// Strictness costs nothing here: no case that is valid by RFC 8032 is refused.
#[test]
fn wycheproof() {
    let file: Wycheproof<Group> = vectors::read("wycheproof/ed25519_test.json");
    let mut tally = Tally::default();
    for group in &file.test_groups {
        let key = VerifyingKey::from_bytes(&group.public_key.pk).unwrap();
        for case in &group.tests {
            assert_eq!(verifies(&key, case), case.result == Expected::Valid, "case {}", case.tc_id);
            tally.count(case.result);
        }
    }
    assert_eq!(tally, Tally { valid: 88, invalid: 63, acceptable: 0 });
    assert_eq!(tally.total(), file.number_of_tests);
}
