//! X25519, the classical half of the KEM.

use sealwire_tests::vectors::{self, Expected, Tally, Wycheproof};
use serde::Deserialize;
use x25519_dalek::{PublicKey, StaticSecret};

#[derive(Deserialize)]
struct Group {
    tests: Vec<Case>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Case {
    tc_id: u32,
    flags: Vec<String>,
    #[serde(with = "hex")]
    public: [u8; 32],
    #[serde(with = "hex")]
    private: [u8; 32],
    #[serde(with = "hex")]
    shared: [u8; 32],
    result: Expected,
}

/// The acceptable cases (twist, small order, not canonical) are computed like the others, which X-Wing relies on: its shared secret is bound
/// to the ML-KEM half. Those whose result is zero are the ones the crate reports as not contributory.
#[test]
fn wycheproof() {
    let file: Wycheproof<Group> = vectors::read("wycheproof/x25519_test.json");
    let mut tally = Tally::default();
    let mut zero = 0;
    for case in file.test_groups.iter().flat_map(|group| &group.tests) {
        let shared = StaticSecret::from(case.private).diffie_hellman(&PublicKey::from(case.public));
        assert_eq!(shared.as_bytes(), &case.shared, "case {}", case.tc_id);
        let flagged = case.flags.iter().any(|flag| flag == "ZeroSharedSecret");
        assert_eq!(shared.was_contributory(), !flagged, "case {}", case.tc_id);
        zero += usize::from(flagged);
        tally.count(case.result);
    }
    assert_eq!(tally, Tally { valid: 264, invalid: 0, acceptable: 254 });
    assert_eq!(tally.total(), file.number_of_tests);
    assert_eq!(zero, 31);
}
