//! The vectors of `docs/SPEC.md`: sealwire gives the verdict that each of them names, and seals what the other sealer seals.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use std::collections::BTreeMap;
use std::sync::{
    Arc, Mutex,
    atomic::{AtomicU64, Ordering},
};

use sealwire::{
    Address, Certificate, Clock, Domain, Draft, Endpoint, Entropy, EntropyFailed, Envelope, Message, OpenError, Roster, Thread,
    VerifyingKey,
};
use sealwire_tests::case::{Case, read_all};
use sealwire_tests::cases::{self, CERTIFIED, SEALED, drawn};

#[test]
fn the_generator_makes_the_committed_files() {
    let (committed, made) = (read_all(), cases::all());
    let names = |cases: &[Case]| cases.iter().map(|case| case.name.clone()).collect::<Vec<_>>();
    assert_eq!(names(&committed), names(&made), "run `cargo run -p sealwire-tests --bin vectors`");
    for (committed, made) in committed.iter().zip(&made) {
        assert!(committed == made, "{} differs; run `cargo run -p sealwire-tests --bin vectors`", made.name);
    }
}

#[test]
fn each_case_gets_its_verdict() {
    let mut wrong = Vec::new();
    let mut verdicts = BTreeMap::<String, usize>::new();
    for case in read_all() {
        let found = verdict(&case);
        let expected = case.text("expect");
        if found != expected {
            wrong.push(format!("{}: expected {expected}, found {found}", case.name));
        }
        *verdicts.entry(format!("{} {expected}", case.text("structure"))).or_default() += 1;
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    let least = [("envelope accepted", 8), ("envelope malformed", 40), ("envelope not-authentic", 60), ("certificate malformed", 25)];
    for (verdict, least) in least {
        assert!(verdicts[verdict] >= least, "only {} cases of `{verdict}`", verdicts[verdict]);
    }
}

fn verdict(case: &Case) -> &'static str {
    let result = match case.text("structure") {
        "envelope" => open(case),
        "certificate" => verify_certificate(case),
        "roster" => verify_roster(case),
        other => panic!("{}: {other}", case.name),
    };
    result.map_or_else(|error| name(&error), |()| "accepted")
}

fn name(error: &OpenError) -> &'static str {
    match error {
        OpenError::Malformed(_) => "malformed",
        OpenError::TooLarge { .. } => "too-large",
        OpenError::UnknownKey => "unknown-key",
        OpenError::UnknownLane => "unknown-lane",
        OpenError::NotAuthentic => "not-authentic",
        OpenError::UnknownSigner => "unknown-signer",
        OpenError::Revoked => "revoked",
        OpenError::Misdirected => "misdirected",
        OpenError::Expired { .. } => "expired",
        OpenError::FromFuture { .. } => "from-future",
        OpenError::Duplicate(_) => "duplicate",
        OpenError::IdReused(_) => "id-reused",
        OpenError::RosterBehind { .. } => "roster-behind",
        OpenError::RosterConflict { .. } => "roster-conflict",
        other => panic!("{other}"),
    }
}

fn root(case: &Case) -> VerifyingKey {
    VerifyingKey::from_bytes(&case.array("root")).unwrap()
}

fn verify_certificate(case: &Case) -> Result<(), OpenError> {
    let (root, now) = (root(case), case.number("now"));
    let roster = Roster::verify(&case.bytes("roster"), &root, CERTIFIED).unwrap();
    Certificate::verify(&case.bytes("certificate"), &Domain::of(&root), &roster, now).map(drop)
}

/// Each `in-force` takes the place of the one before; then it is the turn of `roster`.
fn verify_roster(case: &Case) -> Result<(), OpenError> {
    let (root, now) = (root(case), case.number("now"));
    let mut known: Option<Roster> = None;
    let in_force = case.all_bytes("in-force");
    for (bytes, sound) in in_force.iter().map(|bytes| (bytes, true)).chain([(&case.bytes("roster"), false)]) {
        let next = match &known {
            None => Roster::verify(bytes, &root, now),
            Some(known) => known.verify_next(bytes, now).and_then(|next| known.follow(next)),
        };
        assert!(next.is_ok() || !sound, "what is in force must be sound");
        known = Some(next?);
    }
    Ok(())
}

fn open(case: &Case) -> Result<(), OpenError> {
    let keys = ["root-key", "node-key", "hedge", "reader-key", "receive-key"].map(|name| match name {
        "hedge" => drawn(name),
        name => case.array(name),
    });
    let party = Party::new(case.text("reader"), &keys, &case.bytes("roster"));
    party.clock.set(SEALED);
    for envelope in case.all_bytes("before") {
        party.open(&envelope).unwrap_or_else(|error| panic!("{}: before: {error}", case.name));
    }
    party.clock.set(case.number("now"));
    let opened = party.open(&case.bytes("envelope"));
    if let Ok(message) = &opened {
        assert_eq!(message.body(), case.bytes("body"), "{}", case.name);
    }
    opened.map(drop)
}

/// A clock that a test sets.
#[derive(Clone)]
struct Hands(Arc<AtomicU64>);

impl Hands {
    fn set(&self, time: u64) {
        self.0.store(time, Ordering::SeqCst);
    }
}

impl Clock for Hands {
    fn now(&self) -> u64 {
        self.0.load(Ordering::SeqCst)
    }
}

/// Randomness that a test prescribes; when it is used up, bytes nobody depends on.
#[derive(Clone, Default)]
struct Script(Arc<Mutex<Vec<u8>>>);

impl Script {
    fn say(&self, bytes: &[u8]) {
        self.0.lock().unwrap().extend(bytes);
    }
}

impl Entropy for Script {
    fn fill(&self, out: &mut [u8]) -> Result<(), EntropyFailed> {
        let mut left = self.0.lock().unwrap();
        if left.is_empty() {
            out.fill(0xa5);
            return Ok(());
        }
        out.copy_from_slice(&left[..out.len()]);
        left.drain(..out.len());
        Ok(())
    }
}

/// An endpoint with prescribed keys that hosts one agent.
struct Party {
    endpoint: Endpoint,
    address: Address,
    clock: Hands,
    script: Script,
}

impl Party {
    /// `keys`: of root, node, hedge, agent, and the receive key.
    fn new(address: &str, keys: &[[u8; 32]; 5], roster: &[u8]) -> Self {
        let address: Address = address.parse().unwrap();
        let (clock, script) = (Hands(Arc::new(AtomicU64::new(CERTIFIED))), Script::default());
        script.say(&keys.concat());
        let builder = Endpoint::builder().clock(clock.clone()).entropy(script.clone());
        let endpoint = builder.in_memory(address.node()).unwrap();
        assert_eq!(endpoint.host(address.name()).unwrap(), address);
        endpoint.follow(roster).unwrap();
        Self { endpoint, address, clock, script }
    }

    fn open(&self, envelope: &[u8]) -> Result<Message, OpenError> {
        self.endpoint.open(&Envelope::parse(envelope.to_vec())?)
    }
}

/// Given the same keys and random bytes, sealwire writes the bytes that the sealer of the vectors writes, in both forms.
#[test]
fn sealwire_seals_the_vectors_byte_for_byte() {
    let case = |name: &str| read_all().into_iter().find(|case| case.name == name).unwrap();
    let [first, ack, second] = ["opening", "opening-that-names-a-lane", "lane"].map(case);
    let keys = ["root-key", "node-key", "hedge", "reader-key", "receive-key"].map(|name| match name {
        "hedge" => drawn(name),
        name => ack.array(name),
    });
    let author = Party::new(ack.text("reader"), &keys, &ack.bytes("roster"));
    let reader: Address = first.text("reader").parse().unwrap();
    let certificate = cases::certificate_of(&reader.to_string());
    author.endpoint.introduce(&certificate).unwrap();
    author.clock.set(SEALED);
    let seal = |name: &str, body: &str| {
        let script =
            [&drawn::<16>(&format!("{name} id"))[..], &drawn::<16>(&format!("{name} blind")), &drawn::<32>(&format!("{name} fresh"))];
        author.script.say(&script.concat());
        let draft = Draft::new("task", body).thread(Thread::from_bytes(drawn("thread")));
        hex::encode(author.endpoint.seal(&author.address, &reader, &draft).unwrap().envelope.as_bytes())
    };
    assert!(seal("first", "The figures for June, please.") == first.text("envelope"), "opening");
    author.open(&ack.bytes("envelope")).unwrap();
    assert!(seal("second", "And those for July.") == second.text("envelope"), "lane");
}
