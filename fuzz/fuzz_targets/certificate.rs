//! A certificate is what its node signed and nothing else, and there is one way to write it, whatever a node signs.
//!
//! The first byte of an input says who made the rest: a node of the domain, which signs it as claims, or signs genuine claims with these changes
//! (`sealwire_fuzz::changed`), as most of a certificate is a key in which nothing is to be found; or somebody else, who changes a genuine one.

#![no_main]

use std::sync::LazyLock;

use ed25519_dalek::SigningKey;
use libfuzzer_sys::fuzz_target;
use sealwire::{
    Certificate, OpenError, RECEIVE_KEY_LEN, Roster, VerifyingKey,
    limits::{CERTIFICATE_LIFETIME, CLOCK_TOLERANCE, MAX_RECEIVE_KEYS},
};
use sealwire_fuzz::changed;
use sealwire_tests::{
    case::Case,
    cases::{SEALED, certificate_of, drawn},
    sealer::{Item, Sign1, array, bytes, head, int, key_id, map, public, receive_key_id, text, uint},
};

/// Where the claims of a certificate begin: behind tag, array, protected header, empty map and a length.
const CLAIMS: usize = 2 + 51 + 1 + 3;

/// What comes after them: a length and 64 bytes.
const SIGNATURE: usize = 2 + 64;

/// Of the domain of the test vectors, so that they are seeds.
struct World {
    roster: Roster,
    nodes: [SigningKey; 2],
    genuine: [Item; 2],
    /// Those of the first.
    claims: Item,
}

static WORLD: LazyLock<World> = LazyLock::new(|| {
    let case = Case::parse("certificate-sound", include_str!("../../tests/vectors/sealwire/certificate-sound.txt"));
    let root = VerifyingKey::from_bytes(&case.array("root")).expect("a root");
    let roster = Roster::verify(&case.bytes("roster"), &root, SEALED).expect("a roster");
    let genuine = ["researcher@pi1", "writer@pi2"].map(certificate_of);
    let nodes = ["pi1 signs", "pi2 signs"].map(|name| SigningKey::from_bytes(&drawn(name)));
    let claims = genuine[0][CLAIMS..genuine[0].len() - SIGNATURE].to_vec();
    World { roster, nodes, genuine, claims }
});

fuzz_target!(|input: &[u8]| {
    match input.split_first() {
        Some((0, claims)) => signed(claims),
        Some((1, changes)) => signed(&changed(&WORLD.claims, changes, &[])),
        Some((_, changes)) => altered(changes),
        None => {}
    }
});

fn verify(certificate: &[u8], now: u64) -> Result<Certificate, OpenError> {
    Certificate::verify(certificate, &WORLD.roster.domain(), &WORLD.roster, now)
}

fn altered(changes: &[u8]) {
    let [genuine, other] = &WORLD.genuine;
    let changed = changed(genuine, changes, other);
    assert_eq!(verify(&changed, SEALED).is_ok(), WORLD.genuine.contains(&changed), "taken, and no node signed it");
}

fn signed(claims: &[u8]) {
    let World { roster, nodes: [node, another_node], .. } = &*WORLD;
    let (domain, kid) = (roster.domain(), key_id(&public(node)));
    let sign1 = Sign1::new("application/sealwire-cert", "sealwire/1 cert", domain.as_bytes(), kid, claims.to_vec());
    let bytes = sign1.sign(node);
    let Ok(certificate) = verify(&bytes, SEALED) else { return };
    assert!(certificate.as_bytes() == bytes, "what was read is not what is given");
    assert!(written(&certificate, claims).as_deref() == Some(claims), "another way to write it was read");
    assert_eq!(certificate.subject().node(), "pi1", "a node certified another's agent");
    let (issued, expires) = (certificate.issued(), certificate.expires());
    assert!(issued < expires && expires - issued <= CERTIFICATE_LIFETIME, "it lasts too long");
    assert!(verify(&bytes, expires + CLOCK_TOLERANCE).is_err(), "its time is over");
    assert!(verify(&sign1.sign(another_node), SEALED).is_err(), "another node signed it");
}

/// The claims as a node writes them: everything but the receive keys follows from what the certificate says.
fn written(certificate: &Certificate, claims: &[u8]) -> Option<Item> {
    let key = map(&[(int(1), int(1)), (int(-1), int(6)), (int(-2), bytes(certificate.key().as_bytes()))]);
    let entries = [
        (int(1), text(certificate.subject().node())),
        (int(2), text(certificate.subject().as_str())),
        (int(4), uint(certificate.expires())),
        (int(6), uint(certificate.issued())),
        (int(8), map(&[(int(1), key)])),
        (int(-65801), Vec::new()),
    ];
    let before = map(&entries);
    let (_count, keys) = claims.get(before.len()..)?.split_first()?;
    let begin = head(2, RECEIVE_KEY_LEN as u64);
    let keys = keys.chunks(begin.len() + RECEIVE_KEY_LEN).map(|key| key.strip_prefix(begin.as_slice()));
    let keys: Vec<_> = keys.collect::<Option<_>>()?;
    assert!((1..=MAX_RECEIVE_KEYS).contains(&keys.len()), "no receive key, or too many");
    assert_eq!(certificate.receive_key_id()?.as_bytes(), &receive_key_id(keys[0]), "sealed for another key");
    Some([before, array(&keys.into_iter().map(bytes).collect::<Vec<_>>())].concat())
}
