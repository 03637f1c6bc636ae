//! A roster is what its root signed and nothing else, there is one way to write it, whatever a root signs, and none goes back.
//!
//! The first byte of an input says who made the rest: the root of the domain, or the next one, which sign it as claims; or somebody else, who
//! changes a genuine roster (`sealwire_fuzz::changed`).

#![no_main]

use std::sync::LazyLock;

use ed25519_dalek::SigningKey;
use libfuzzer_sys::fuzz_target;
use sealwire::{
    Domain, OpenError, Roster, RosterNode, VerifyingKey,
    limits::{CLOCK_TOLERANCE, ROSTER_LIFETIME},
};
use sealwire_fuzz::changed;
use sealwire_tests::{
    case::Case,
    cases::{SEALED, drawn},
    sealer::{Item, Sign1, array, bytes, int, key_id, map, public, text, uint},
};

/// Of the domain of the test vectors, so that they are seeds.
struct World {
    root: VerifyingKey,
    /// Names the second root as the next.
    in_force: Roster,
    /// Of the second root.
    next: Item,
}

static WORLD: LazyLock<World> = LazyLock::new(|| {
    let case = Case::parse("roster-successor", include_str!("../../tests/vectors/sealwire/roster-successor.txt"));
    let root = VerifyingKey::from_bytes(&case.array("root")).expect("a root");
    let in_force = Roster::verify(&case.bytes("in-force"), &root, SEALED).expect("a roster");
    World { root, in_force, next: case.bytes("roster") }
});

fuzz_target!(|input: &[u8]| {
    match input.split_first() {
        Some((0, claims)) => signed(claims, "root"),
        Some((1, claims)) => signed(claims, "second root"),
        Some((_, changes)) => altered(changes),
        None => {}
    }
});

fn altered(changes: &[u8]) {
    let World { root, in_force, next } = &*WORLD;
    let changed = changed(in_force.as_bytes(), changes, next);
    let genuine = changed == in_force.as_bytes();
    assert_eq!(Roster::verify(&changed, root, SEALED).is_ok(), genuine, "taken, and no root signed it");
    assert_eq!(in_force.verify_next(&changed, SEALED).is_ok(), genuine || changed == *next, "taken, and no root signed it");
}

fn signed(claims: &[u8], root: &str) {
    let World { root: first, in_force, .. } = &*WORLD;
    let key = SigningKey::from_bytes(&drawn(&format!("{root} signs")));
    let domain = in_force.domain();
    let sign1 = Sign1::new("application/sealwire-roster", "sealwire/1 roster", domain.as_bytes(), key_id(&public(&key)), claims.to_vec());
    let bytes = sign1.sign(&key);
    if let Ok(roster) = Roster::verify(&bytes, first, SEALED) {
        assert_eq!(root, "root", "another root signed it");
        check(&roster, &bytes, claims);
    }
    let Ok(roster) = in_force.verify_next(&bytes, SEALED) else { return };
    check(&roster, &bytes, claims);
    assert_eq!(roster.root().as_bytes(), &public(&key), "another root signed it");
    assert!(is_over(in_force.verify_next(&bytes, roster.expires() + CLOCK_TOLERANCE)), "its time is over");
    assert_eq!(in_force.follow(roster.clone()).is_ok(), follows(&roster, &before(&roster, claims)), "in force is another than may follow");
}

fn is_over(verified: Result<Roster, OpenError>) -> bool {
    matches!(verified, Err(OpenError::Expired { .. }))
}

fn check(roster: &Roster, bytes: &[u8], claims: &[u8]) {
    assert!(roster.as_bytes() == bytes, "what was read is not what is given");
    assert!(written(roster, &before(roster, claims)) == claims, "another way to write it was read");
    let (issued, expires) = (roster.issued(), roster.expires());
    assert!(roster.version() > 0 && issued < expires && expires - issued <= ROSTER_LIFETIME, "no version, or it lasts too long");
}

/// Whether a roster may take the place of the one in force (SPEC.md, "Roster").
fn follows(roster: &Roster, before: &[u8]) -> bool {
    let known = &WORLD.in_force;
    let (version, next_root) = (known.version(), known.claims().next_root);
    let succession = if roster.root() == known.root() { roster.claims().next_root } else { Some(*Domain::of(roster.root()).as_bytes()) };
    let newer = roster.version() > version && succession == next_root && (roster.version() > version + 1 || before == known.digest());
    newer || roster.as_bytes() == known.as_bytes()
}

/// The hash of the roster before, which nobody else is told: behind the version, a label and a length.
fn before(roster: &Roster, claims: &[u8]) -> Vec<u8> {
    let at = [&b"\xa6\x01"[..], &uint(roster.version()), b"\x02\x58\x20"].concat().len();
    claims[at..at + 32].to_vec()
}

/// The claims as a root writes them.
fn written(roster: &Roster, before: &[u8]) -> Item {
    let claims = roster.claims();
    let revoked: Vec<_> = claims.revoked.iter().map(|key| bytes(key.as_bytes())).collect();
    let named = (Domain::of(roster.root()) != roster.domain()).then(|| roster.root().as_bytes());
    let entries = [
        (int(1), uint(roster.version())),
        (int(2), bytes(before)),
        (int(3), uint(roster.issued())),
        (int(4), uint(roster.expires())),
        (int(5), array(&claims.nodes.iter().map(node).collect::<Vec<_>>())),
        (int(6), array(&revoked)),
    ];
    let optional = [(int(7), claims.next_root.as_ref()), (int(8), named)];
    let optional = optional.into_iter().filter_map(|(label, value)| Some((label, bytes(value?))));
    map(&entries.into_iter().chain(optional).collect::<Vec<_>>())
}

fn node(node: &RosterNode) -> Item {
    let words = |words: &[String]| array(&words.iter().map(|word| text(word)).collect::<Vec<_>>());
    array(&[text(&node.name), bytes(node.key.as_bytes()), words(&node.hosts), words(&node.clearances), words(&node.addresses)])
}
