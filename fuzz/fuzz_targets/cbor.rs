//! The reader takes deterministic CBOR and nothing else: whatever the bytes, it decides as one does who writes each item anew.

#![no_main]

use std::{collections::BTreeMap, sync::LazyLock};

use libfuzzer_sys::fuzz_target;
use sealwire::{Malformed, OpenError, Root, Roster};
use sealwire_tests::sealer::{Item, array, head, map, tag};

/// Levels in an item (SPEC.md, "Limits").
const DEPTH: usize = 8;

static ROOT: LazyLock<Root> = LazyLock::new(|| Root::generate().expect("a root"));

// The reader is reached through a roster's. An array is read to its end before it is refused for not being a roster.
fuzz_target!(|item: &[u8]| {
    let refused = Roster::verify(&[&[0x81], item].concat(), ROOT.verifying_key(), 0).expect_err("an array is no roster");
    let taken = refused == OpenError::Malformed(Malformed { what: "expected a COSE_Sign1 (tag 18)", offset: 0 });
    let sound = written(item, 1).is_some_and(|(written, rest)| rest.is_empty() && written == item);
    assert_eq!(taken, sound, "{refused}");
});

/// The first item in `bytes` as it has to be written, and what comes after it.
fn written(bytes: &[u8], depth: usize) -> Option<(Item, &[u8])> {
    let (&first, rest) = bytes.split_first().filter(|_| depth <= DEPTH)?;
    let (major, number, mut rest) = (first >> 5, first & 31, rest);
    let number = match number {
        0..=23 => u64::from(number),
        24..=27 => {
            let (digits, after) = rest.split_at_checked(1 << (number - 24))?;
            rest = after;
            digits.iter().fold(0, |number, digit| number << 8 | u64::from(*digit))
        }
        _ => return None,
    };
    let mut next = || {
        let (item, after) = written(rest, depth + 1)?;
        rest = after;
        Some(item)
    };
    let item = match major {
        0 | 1 => head(major, number),
        2 | 3 => {
            let (content, after) = rest.split_at_checked(number.try_into().ok()?)?;
            rest = after;
            let sound = major == 2 || str::from_utf8(content).is_ok();
            sound.then(|| [head(major, number), content.to_vec()].concat())?
        }
        4 => array(&(0..number).map(|_| next()).collect::<Option<Vec<_>>>()?),
        5 => {
            let entries = (0..number).map(|_| Some((next()?, next()?))).collect::<Option<BTreeMap<_, _>>>()?;
            map(&entries.into_iter().collect::<Vec<_>>())
        }
        6 => tag(number, &next()?),
        _ => (first == 0xf6).then(|| vec![first])?,
    };
    Some((item, rest))
}
