//! ChaCha20-Poly1305, in place and with a detached tag.

use chacha20poly1305::{AeadInOut, ChaCha20Poly1305, KeyInit, Nonce, Tag};
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
    key: [u8; 32],
    #[serde(with = "hex")]
    iv: Vec<u8>,
    #[serde(with = "hex")]
    aad: Vec<u8>,
    #[serde(with = "hex")]
    msg: Vec<u8>,
    #[serde(with = "hex")]
    ct: Vec<u8>,
    #[serde(with = "hex")]
    tag: Vec<u8>,
    result: Expected,
}

/// Encrypts; nothing when the nonce has not 12 bytes.
fn seal(case: &Case) -> Option<(Vec<u8>, Vec<u8>)> {
    let nonce = Nonce::try_from(case.iv.as_slice()).ok()?;
    let mut buffer = case.msg.clone();
    let tag = ChaCha20Poly1305::new((&case.key).into()).encrypt_inout_detached(&nonce, &case.aad, buffer.as_mut_slice().into()).ok()?;
    Some((buffer, tag.to_vec()))
}

/// Decrypts; nothing when refused, and then the buffer is as it came.
fn open(case: &Case) -> Option<Vec<u8>> {
    let nonce = Nonce::try_from(case.iv.as_slice()).ok()?;
    let tag = Tag::try_from(case.tag.as_slice()).ok()?;
    let mut buffer = case.ct.clone();
    let opened = ChaCha20Poly1305::new((&case.key).into()).decrypt_inout_detached(&nonce, &case.aad, buffer.as_mut_slice().into(), &tag);
    if opened.is_err() {
        assert_eq!(buffer, case.ct, "case {}: refused, yet decrypted", case.tc_id);
    }
    opened.ok().map(|()| buffer)
}

#[test]
fn wycheproof() {
    let file: Wycheproof<Group> = vectors::read("wycheproof/chacha20_poly1305_test.json");
    let mut tally = Tally::default();
    for case in file.test_groups.iter().flat_map(|group| &group.tests) {
        if case.result == Expected::Valid {
            assert_eq!(seal(case), Some((case.ct.clone(), case.tag.clone())), "case {}", case.tc_id);
            assert_eq!(open(case).as_ref(), Some(&case.msg), "case {}", case.tc_id);
        } else {
            assert_eq!(open(case), None, "case {}", case.tc_id);
            assert_ne!(seal(case), Some((case.ct.clone(), case.tag.clone())), "case {}", case.tc_id);
            assert_eq!(seal(case).is_none(), case.iv.len() != 12, "case {}", case.tc_id);
        }
        tally.count(case.result);
    }
    assert_eq!(tally, Tally { valid: 256, invalid: 69, acceptable: 0 });
    assert_eq!(tally.total(), file.number_of_tests);
}
