//! Somebody stands between joiner and inviter, or has seen more than is good.

use std::sync::atomic::{AtomicU64, Ordering};

use super::{
    inviter::{Answering, Applicant},
    joiner::{Calling, Listed},
    message::{self, Greeting, WELCOME, Welcome},
    schedule::{Schedule, Transcript},
    *,
};
use crate::{
    domain::Root,
    endpoint::NodeKey,
    entropy::Entropy,
    key::ReceiveKey,
    roster::{Roster, RosterClaims, RosterNode},
    secret::Secret,
};

const NOW: u64 = 1_800_000_000;

type Outcome = Result<(), Box<dyn std::error::Error>>;

/// Always the same bytes for the same seed, so that a conversation can be had again.
struct Drawn(AtomicU64);

impl Entropy for Drawn {
    fn fill(&self, out: &mut [u8]) -> Result<(), EntropyFailed> {
        use sha2::{Digest, Sha256};
        for chunk in out.chunks_mut(32) {
            let block = Sha256::digest(self.0.fetch_add(1, Ordering::Relaxed).to_be_bytes());
            chunk.copy_from_slice(&block[..chunk.len()]);
        }
        Ok(())
    }
}

fn drawn(seed: u64) -> Drawn {
    Drawn(AtomicU64::new(seed << 32))
}

struct World {
    root: Root,
    roster: Roster,
    invite: Invite,
    node: NodeKey,
}

fn node(name: &str, seed: u64) -> Result<NodeKey, EntropyFailed> {
    Ok(NodeKey { name: name.into(), key: crate::key::SigningKey::generate(&drawn(seed))?.into() })
}

/// How far a conversation came.
#[derive(Debug, PartialEq, Eq)]
enum Came {
    /// Refused by the receiver of this message.
    To(usize, PairingError),
    Through,
}

impl World {
    fn new() -> Result<Self, PairingError> {
        let root = Root::generate_from(&drawn(1))?;
        let own = node("pi1", 3)?;
        let roster = root.sign_roster(None, RosterClaims { nodes: vec![own.listed()?], ..RosterClaims::default() }, NOW);
        let invite = Invite::new(&roster, "pi2", vec!["10.0.0.1:7452".into()], NOW + 600, &drawn(2))?;
        Ok(Self { root, roster, invite, node: node("pi2", 4)? })
    }

    fn listing(&self, node: RosterNode) -> Roster {
        let mut claims = self.roster.claims().clone();
        claims.nodes.push(node);
        self.root.sign_roster(Some(&self.roster), claims, NOW)
    }

    /// Has the conversation, each message passing through `line`; keeps what was said.
    fn converse(&self, seed: u64, line: impl Fn(usize, Vec<u8>) -> Vec<u8>) -> (Came, Vec<Vec<u8>>) {
        let mut said = Vec::new();
        match self.say_all(seed, |number, message| {
            said.push(message.clone());
            line(number, message)
        }) {
            Ok(()) => (Came::Through, said),
            Err(error) => (Came::To(said.len(), error), said),
        }
    }

    fn say_all(&self, seed: u64, mut line: impl FnMut(usize, Vec<u8>) -> Vec<u8>) -> Result<(), PairingError> {
        let (calling, hello) = Calling::start(&self.invite, &drawn(seed))?;
        let root = self.root.verifying_key();
        let (answering, welcome) = Answering::answer(&self.invite, root, &line(1, hello), NOW, &drawn(seed + 1))?;
        let welcomed = calling.welcome(&line(2, welcome), NOW)?;
        let (asking, request) = welcomed.request(&self.node, Vec::new(), vec!["tcp://10.0.0.2:7451".into()], NOW)?;
        let applicant = answering.request(&self.invite, &line(3, request))?;
        let node = applicant.examine(&self.invite, &["*".into()], &self.roster, NOW)?;
        let (listing, verdict) = applicant.admit(&self.listing(node));
        let kept = asking.verdict(&line(4, verdict), NOW)?.kept();
        listing.kept(&line(5, kept))
    }

    /// As far as a request that was taken.
    fn applicant(&self, joiners_time: u64) -> Result<Applicant, PairingError> {
        let (calling, hello) = Calling::start(&self.invite, &drawn(10))?;
        let (answering, welcome) = Answering::answer(&self.invite, self.root.verifying_key(), &hello, NOW, &drawn(11))?;
        // The joiner's own check is left out: it is the inviter's that is tried.
        let welcomed = calling.welcome(&welcome, NOW)?;
        let (_, request) = welcomed.request(&self.node, Vec::new(), Vec::new(), joiners_time)?;
        answering.request(&self.invite, &request)
    }
}

fn is_refused(came: &Came, number: usize) -> bool {
    matches!(came, Came::To(at, PairingError::NotAuthentic | PairingError::Malformed(_) | PairingError::UnknownInvite) if *at == number)
}

#[test]
fn undisturbed_it_comes_through() -> Outcome {
    let (came, said) = World::new()?.converse(10, |_, message| message);
    assert_eq!(came, Came::Through);
    assert!(said.iter().all(|message| message.len() <= MAX_MESSAGE));
    Ok(())
}

/// A conversation as it stands in `tests/vectors/pairing`, where other implementations read it. With `SEALWIRE_WRITE_VECTORS` set, it is written.
#[test]
fn the_conversation_of_the_vectors() -> Outcome {
    let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let world = World::new()?;
    let (_, said) = world.converse(10, |_, message| message);
    let one_time = crate::entropy::random::<32>(&drawn(10))?;
    let mut lines = vec![
        "what: a node joins; each message as it is sent, without its length".to_owned(),
        format!("now: {NOW}"),
        format!("invite: {}", *world.invite.to_text()),
        format!("root: {}", hex(world.root.verifying_key().as_bytes())),
        format!("node-key: {}", hex(world.node.key.verifying_key().as_bytes())),
        format!("one-time-seed: {}", hex(&one_time)),
    ];
    lines.extend(said.iter().map(|message| format!("message: {}", hex(message))));
    let text = lines.join("\n") + "\n";
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/vectors/pairing/conversation.txt");
    if std::env::var_os("SEALWIRE_WRITE_VECTORS").is_some() {
        std::fs::create_dir_all(path.parent().ok_or("no folder")?)?;
        std::fs::write(&path, &text)?;
    }
    assert_eq!(std::fs::read_to_string(&path)?, text);
    Ok(())
}

/// Every byte of every message, its length too.
#[test]
fn anything_altered_is_refused_by_who_receives_it() -> Outcome {
    let world = World::new()?;
    let (_, said) = world.converse(10, |_, message| message);
    for number in 1..=5 {
        let length = said[number - 1].len();
        // The long fields that a proof covers are tried at every seventh byte: a proof knows no places.
        let step = if length > 1000 { 7 } else { 1 };
        for at in (0..64).chain((64..length).step_by(step)).filter(|at| *at < length) {
            let (came, _) = world.converse(10, |sent, mut message| {
                if sent == number {
                    message[at] ^= 0x20;
                }
                message
            });
            assert!(is_refused(&came, number), "message {number}, byte {at}: {came:?}");
        }
        let (cut, _) = world.converse(10, |sent, message| if sent == number { message[..length - 1].to_vec() } else { message });
        let (longer, _) = world.converse(10, |sent, message| if sent == number { [message, vec![0]].concat() } else { message });
        assert!(is_refused(&cut, number) && is_refused(&longer, number), "message {number}");
    }
    Ok(())
}

/// Each message of another conversation with the same invite, in each place.
#[test]
fn nothing_of_another_conversation_is_taken() -> Outcome {
    let world = World::new()?;
    let (_, before) = world.converse(20, |_, message| message);
    for number in 1..=5 {
        for (place, old) in before.iter().enumerate() {
            let (came, _) = world.converse(30, |sent, message| if sent == number { old.clone() } else { message });
            // An old first message is answered, to a key its sender has lost: the joiner cannot take the answer.
            let refused_at = if (number, place) == (1, 0) { 2 } else { number };
            assert!(is_refused(&came, refused_at), "message {} in place of {number}: {came:?}", place + 1);
        }
    }
    Ok(())
}

/// What one side said is sent back to it, under the number it waits for.
#[test]
fn nothing_is_reflected() -> Outcome {
    let world = World::new()?;
    let (_, said) = world.converse(10, |_, message| message);
    for (own, number) in [(1, 2), (3, 4), (2, 3), (4, 5)] {
        let mut back = said[own - 1].clone();
        back[1] = number as u8;
        let (came, _) = world.converse(10, |sent, message| if sent == number { back.clone() } else { message });
        assert!(is_refused(&came, number), "{own} as {number}: {came:?}");
    }
    Ok(())
}

/// Somebody answers who has seen the first message but not the invite.
#[test]
fn without_the_secret_nobody_answers_and_nobody_asks() -> Outcome {
    let world = World::new()?;
    let guess = Invite::new(&world.roster, "pi2", vec!["10.0.0.1:7452".into()], NOW + 600, &drawn(99))?;
    let (calling, hello) = Calling::start(&world.invite, &drawn(10))?;
    let root = world.root.verifying_key();
    assert_eq!(Answering::answer(&guess, root, &hello, NOW, &drawn(11)).err(), Some(PairingError::UnknownInvite));
    // The attacker answers all the same, with what it has.
    let said = Transcript::of(&world.invite.domain()).after(&hello);
    let one_time = message::Hello::decode(message::Frame::parse(message::HELLO, &hello)?.claimed()).map_err(PairingError::from)?.one_time;
    let (encapsulated, schedule) = Schedule::answer(&guess.secret, &world.invite.domain(), said, &one_time, &drawn(12))?;
    let sealed = message::seal(&schedule, WELCOME, said, Greeting::encode(NOW, root));
    let forged = message::write(schedule.prover(), WELCOME, said, &Welcome::encode(&[1; 32], &encapsulated, &sealed));
    assert_eq!(calling.welcome(&forged, NOW).err(), Some(PairingError::NotAuthentic));
    // And asks, under the right name of the invite.
    let (_, mut asked) = Calling::start(&guess, &drawn(13))?;
    let id = schedule::invite_id(&world.invite.secret);
    let at = asked.windows(16).position(|window| *window == schedule::invite_id(&guess.secret)).ok_or("no id")?;
    asked[at..at + 16].copy_from_slice(&id);
    assert_eq!(Answering::answer(&world.invite, root, &asked, NOW, &drawn(14)).err(), Some(PairingError::NotAuthentic));
    Ok(())
}

/// Somebody who has the invite, but not the root key, plays the inviter.
#[test]
fn with_the_secret_but_another_root() -> Outcome {
    let world = World::new()?;
    let other = Root::generate()?;
    let (calling, hello) = Calling::start(&world.invite, &drawn(10))?;
    let (_, welcome) = Answering::answer(&world.invite, other.verifying_key(), &hello, NOW, &drawn(11))?;
    assert_eq!(calling.welcome(&welcome, NOW).err(), Some(PairingError::OtherRoot));

    // With the right root's public key, and a roster of its own: in its own name, and as the root's successor.
    let own = other.sign_roster(None, world.roster.claims().clone(), NOW);
    assert_eq!(verdict_with(&world, |_| own.clone()).err(), Some(PairingError::Roster(OpenError::NotAuthentic)));
    let as_successor = |node: RosterNode| {
        let mut claims = world.roster.claims().clone();
        claims.nodes.push(node);
        other.sign_roster(Some(&world.roster), claims, NOW)
    };
    assert_eq!(verdict_with(&world, as_successor).err(), Some(PairingError::OtherRoot));
    let mut foreign = world.node.listed()?;
    foreign.key = *NodeKey::generate("pi2")?.key.verifying_key();
    assert_eq!(verdict_with(&world, |_| world.listing(foreign.clone())).err(), Some(PairingError::NotListed));
    assert!(verdict_with(&world, |node| world.listing(node)).is_ok());
    Ok(())
}

fn verdict_with(world: &World, roster: impl Fn(RosterNode) -> Roster) -> Result<Listed, PairingError> {
    let (calling, hello) = Calling::start(&world.invite, &drawn(10))?;
    let (answering, welcome) = Answering::answer(&world.invite, world.root.verifying_key(), &hello, NOW, &drawn(11))?;
    let (asking, request) = calling.welcome(&welcome, NOW)?.request(&world.node, Vec::new(), Vec::new(), NOW)?;
    let applicant = answering.request(&world.invite, &request)?;
    let node = applicant.examine(&world.invite, &["*".into()], &world.roster, NOW)?;
    asking.verdict(&applicant.admit(&roster(node)).1, NOW)
}

/// Who finds the invite later has the secret and a recording, but not the one-time key: what was encrypted stays so.
#[test]
fn an_invite_found_later_opens_no_recording() -> Outcome {
    let world = World::new()?;
    let (_, said) = world.converse(10, |_, message| message);
    let before = Transcript::of(&world.invite.domain()).after(&said[0]);
    let frame = message::Frame::parse(WELCOME, &said[1])?;
    let welcome = Welcome::decode(frame.claimed()).map_err(PairingError::from)?;
    let find = |one_time: &ReceiveKey| {
        let schedule = Schedule::take(&world.invite.secret, &world.invite.domain(), before, one_time, &welcome.encapsulated)?;
        message::open(&schedule, WELCOME, before, welcome.sealed)
    };
    assert_eq!(find(&ReceiveKey::generate(&drawn(77))?).err(), Some(PairingError::NotAuthentic));
    assert!(find(&ReceiveKey::generate(&drawn(10))?).is_ok(), "the one-time key itself would");
    Ok(())
}

/// Somebody with the invite asks in the name of a key it does not hold.
#[test]
fn a_request_without_its_key() -> Outcome {
    let world = World::new()?;
    let key = crate::key::SigningKey::from_seed(&Secret::init_with(|seed| seed.fill(3))).into();
    let stolen = inviter::Request { node: "pi2".into(), key: *world.node.key.verifying_key(), hosts: vec![], addresses: vec![] };
    let domain = world.invite.domain();
    let conversation = Transcript::of(&domain);
    let signed_by_another = stolen.sign(NOW, &key, &domain, conversation)?;
    let verify = |content: &[u8], conversation| inviter::Request::verify(content, &domain, conversation).map(|(_, request)| request);
    assert_eq!(verify(&signed_by_another, conversation).err(), Some(PairingError::NotAuthentic));
    let own = stolen.sign(NOW, &world.node.key, &domain, conversation)?;
    assert_eq!(verify(&own, conversation)?, stolen);
    assert_eq!(verify(&own, conversation.after(b"another")).err(), Some(PairingError::NotAuthentic), "said in another conversation");
    let elsewhere = stolen.sign(NOW, &world.node.key, &Root::generate()?.domain(), conversation)?;
    assert_eq!(verify(&elsewhere, conversation).err(), Some(PairingError::NotAuthentic), "said in another domain");
    Ok(())
}

/// A clock that is seven minutes off is named by both sides, with how much.
#[test]
fn clocks_that_differ() -> Outcome {
    let world = World::new()?;
    for (time, expected) in [
        (NOW + 420, Some(PairingError::ClockAhead { by: 420 })),
        (NOW - 420, Some(PairingError::ClockBehind { by: 420 })),
        (NOW + 120, None),
        (NOW - 120, None),
    ] {
        let (calling, hello) = Calling::start(&world.invite, &drawn(10))?;
        let (_, welcome) = Answering::answer(&world.invite, world.root.verifying_key(), &hello, NOW, &drawn(11))?;
        assert_eq!(calling.welcome(&welcome, time).err(), expected, "the joiner, {time}");
        let examined = world.applicant(time)?.examine(&world.invite, &["*".into()], &world.roster, NOW);
        assert_eq!(examined.err(), expected, "the inviter, {time}");
    }
    Ok(())
}

#[test]
fn an_invite_that_is_over_or_whose_name_is_taken() -> Outcome {
    let world = World::new()?;
    let any = ["*".to_owned()];
    let late = NOW + 600;
    let examined = world.applicant(late)?.examine(&world.invite, &any, &world.roster, late);
    assert_eq!(examined.err(), Some(PairingError::Expired { by: 0 }));
    let taken = world.listing(NodeKey::generate("pi2")?.listed()?);
    let examined = world.applicant(NOW)?.examine(&world.invite, &any, &taken, NOW);
    assert_eq!(examined.err(), Some(PairingError::NameTaken("pi2".into())));
    let same = world.listing(world.node.listed()?);
    assert!(world.applicant(NOW)?.examine(&world.invite, &any, &same, NOW).is_ok(), "the node itself may come again");
    Ok(())
}

/// What the inviter refuses for reaches the joiner as it was meant, and only from who knows the secret.
#[test]
fn reasons_are_told() -> Outcome {
    let world = World::new()?;
    let reasons = [
        PairingError::Expired { by: 7 },
        PairingError::Used,
        PairingError::ClockAhead { by: 420 },
        PairingError::ClockBehind { by: 420 },
        PairingError::NameTaken("pi2".into()),
        PairingError::OutsidePattern { wanted: "a".into(), allowed: "`b`".into() },
        PairingError::Revoked,
        PairingError::InviterFailed,
    ];
    for reason in reasons {
        let (calling, hello) = Calling::start(&world.invite, &drawn(10))?;
        let (answering, welcome) = Answering::answer(&world.invite, world.root.verifying_key(), &hello, NOW, &drawn(11))?;
        let (asking, request) = calling.welcome(&welcome, NOW)?.request(&world.node, Vec::new(), Vec::new(), NOW)?;
        let refusal = answering.request(&world.invite, &request)?.refuse(&reason);
        assert_eq!(asking.verdict(&refusal, NOW).err(), Some(reason));
    }
    Ok(())
}

#[test]
fn debug_shows_no_secret() -> Outcome {
    let world = World::new()?;
    let (calling, hello) = Calling::start(&world.invite, &drawn(10))?;
    let (answering, _) = Answering::answer(&world.invite, world.root.verifying_key(), &hello, NOW, &drawn(11))?;
    assert_eq!((format!("{calling:?}"), format!("{answering:?}")), ("Calling".into(), "Answering".into()));
    Ok(())
}
