//! The vectors of `docs/SPEC.md`: sealwire gives the verdict that each of them names, and seals what the other sealer seals.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use std::{collections::BTreeMap, env, fmt::Write, fs};

use sealwire::{Address, Certificate, Domain, Draft, Endpoint, Envelope, Message, OpenError, Roster, Thread, VerifyingKey};
use sealwire_tests::case::{Case, folder, read_all};
use sealwire_tests::cases::{self, CERTIFIED, SEALED, drawn};
use sealwire_tests::prescribed::{Hands, Script};

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
        let found = verdict(reader(&case)(&read_in(&case)));
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

/// In `tests/vectors/changed/` is what becomes of each accepted case with one byte changed: other languages come to the same verdicts.
#[test]
fn each_byte_changed_is_refused() {
    let folder = folder().with_file_name("changed");
    for case in read_all().iter().filter(|case| case.text("expect") == "accepted") {
        let (path, found) = (folder.join(format!("{}.txt", case.name)), verdicts_when_changed(case));
        assert!(!found.contains("accepted"), "{}: {found}", case.name);
        if env::var_os("SEALWIRE_WRITE_VECTORS").is_some() {
            fs::create_dir_all(&folder).unwrap();
            fs::write(&path, &found).unwrap();
        }
        let committed = fs::read_to_string(&path).unwrap_or_default();
        assert!(committed == found, "{} differs; write it with SEALWIRE_WRITE_VECTORS=1 if it should:\n{found}", path.display());
    }
    let count = |folder| fs::read_dir(folder).unwrap().count();
    let accepted = read_all().iter().filter(|case| case.text("expect") == "accepted").count();
    assert_eq!(count(folder), accepted, "files of cases that are no more");
}

/// Lines of `verdict: first-last` for runs of bytes, after each `xor: MASK`. The genuine bytes come last, and are accepted.
fn verdicts_when_changed(case: &Case) -> String {
    let (read, mut bytes) = (reader(case), read_in(case));
    let mut text = String::new();
    for mask in [0x01, 0x80] {
        writeln!(text, "xor: {mask:02x}").unwrap();
        let mut verdicts = Vec::new();
        for at in 0..bytes.len() {
            bytes[at] ^= mask;
            verdicts.push(verdict(read(&bytes)));
            bytes[at] ^= mask;
        }
        let mut first = 0;
        for run in verdicts.chunk_by(|a, b| a == b) {
            writeln!(text, "{}: {first}-{}", run[0], first + run.len() - 1).unwrap();
            first += run.len();
        }
    }
    assert_eq!(verdict(read(&bytes)), "accepted", "{}", case.name);
    text
}

/// The bytes that a case is about.
fn read_in(case: &Case) -> Vec<u8> {
    case.bytes(case.text("structure"))
}

type Read<'c> = Box<dyn Fn(&[u8]) -> Result<(), OpenError> + 'c>;

/// Reads bytes in the place of the case's own.
fn reader(case: &Case) -> Read<'_> {
    match case.text("structure") {
        "envelope" => envelope_reader(case),
        "certificate" => certificate_reader(case),
        "roster" => roster_reader(case),
        other => panic!("{}: {other}", case.name),
    }
}

fn verdict(result: Result<(), OpenError>) -> &'static str {
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

fn certificate_reader(case: &Case) -> Read<'_> {
    let (root, now) = (root(case), case.number("now"));
    let roster = Roster::verify(&case.bytes("roster"), &root, CERTIFIED).unwrap();
    Box::new(move |certificate| Certificate::verify(certificate, &Domain::of(&root), &roster, now).map(drop))
}

/// Each `in-force` takes the place of the one before; then it is the turn of `roster`.
fn roster_reader(case: &Case) -> Read<'_> {
    let (root, now) = (root(case), case.number("now"));
    let next = move |known: Option<&Roster>, bytes: &[u8]| match known {
        None => Roster::verify(bytes, &root, now),
        Some(known) => known.verify_next(bytes, now).and_then(|next| known.follow(next)),
    };
    let known = case.all_bytes("in-force").iter().fold(None, |known, bytes| Some(next(known.as_ref(), bytes).unwrap()));
    Box::new(move |roster| next(known.as_ref(), roster).map(drop))
}

fn envelope_reader(case: &Case) -> Read<'_> {
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
    Box::new(move |envelope| {
        let message = party.open(envelope)?;
        assert_eq!(message.body(), case.bytes("body"), "{}", case.name);
        Ok(())
    })
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
        let (clock, script) = (Hands::at(CERTIFIED), Script::default());
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
