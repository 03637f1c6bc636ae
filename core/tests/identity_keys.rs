//! Signing keys that are elsewhere: what they sign opens, what they refuse is not sealed, and what is not of them is noticed here.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
};

use ed25519_dalek::{Signer, SigningKey};
use sealwire::{Clock, Draft, Endpoint, EndpointError, IdentityKeys, NodeKey, Root, Roster, RosterClaims, SealError, VerifyingKey};

type Outcome = Result<(), Box<dyn std::error::Error>>;

const NOW: u64 = 1_800_000_000;

/// What whoever holds the keys does when asked to sign.
#[derive(Clone, Copy, PartialEq)]
enum Mood {
    Willing,
    Refusing,
    /// Signs with another key.
    Lying,
    Panicking,
}

/// Keys by identity, made of the identity's name; what was signed is kept.
struct Keeper {
    mood: Mutex<Mood>,
    signed: Mutex<HashMap<String, usize>>,
}

impl Keeper {
    fn new() -> Arc<Self> {
        Arc::new(Self { mood: Mutex::new(Mood::Willing), signed: Mutex::default() })
    }

    fn becomes(&self, mood: Mood) {
        *self.mood.lock().unwrap() = mood;
    }

    fn signed(&self, identity: &str) -> usize {
        self.signed.lock().unwrap().get(identity).copied().unwrap_or_default()
    }
}

fn key(identity: &str) -> SigningKey {
    let mut seed = [7; 32];
    seed[..identity.len()].copy_from_slice(identity.as_bytes());
    SigningKey::from_bytes(&seed)
}

impl IdentityKeys for Keeper {
    fn verifying_key(&self, identity: &str) -> Result<VerifyingKey, String> {
        if identity.starts_with("stranger") {
            return Err("no such key".into());
        }
        VerifyingKey::from_bytes(key(identity).verifying_key().as_bytes()).map_err(|error| error.to_string())
    }

    fn sign(&self, identity: &str, message: &[u8]) -> Result<[u8; 64], String> {
        let mood = *self.mood.lock().unwrap();
        match mood {
            Mood::Willing => {
                *self.signed.lock().unwrap().entry(identity.into()).or_default() += 1;
                Ok(key(identity).sign(message).to_bytes())
            }
            Mood::Refusing => Err("the card is out".into()),
            Mood::Lying => Ok(key("another").sign(message).to_bytes()),
            Mood::Panicking => panic!("no card reader"),
        }
    }
}

struct Hands(Arc<AtomicU64>);

impl Clock for Hands {
    fn now(&self) -> u64 {
        self.0.load(Ordering::SeqCst)
    }
}

/// An endpoint without a key of its own, one with, and the clock of both.
struct Pair {
    keeper: Arc<Keeper>,
    bare: Endpoint,
    other: Endpoint,
    time: Arc<AtomicU64>,
}

fn pair() -> Result<Pair, Box<dyn std::error::Error>> {
    let (keeper, time) = (Keeper::new(), Arc::new(AtomicU64::new(NOW)));
    let keys: Arc<dyn IdentityKeys> = keeper.clone();
    let (root, bare, other) = (Root::generate()?, NodeKey::elsewhere("pi1", &keys)?, NodeKey::generate("pi2")?);
    let claims = RosterClaims { nodes: vec![bare.listed()?, other.listed()?], ..RosterClaims::default() };
    let roster: Roster = root.sign_roster(None, claims, NOW);
    let builder = || Endpoint::builder().clock(Hands(time.clone()));
    let bare = builder().identity_keys(&keys).member(bare, *root.verifying_key(), roster.clone())?;
    let other = builder().member(other, *root.verifying_key(), roster)?;
    Ok(Pair { keeper, bare, other, time })
}

#[test]
fn what_is_signed_elsewhere_opens() -> Outcome {
    let Pair { keeper, bare, other, .. } = pair()?;
    let (a, b) = (bare.host("a")?, other.host("b")?);
    assert_eq!((keeper.signed("pi1"), keeper.signed("a@pi1")), (1, 1), "a certificate and the request for it");
    bare.introduce(other.certificate(&b).ok_or("not hosted")?.as_bytes())?;
    let sealed = bare.seal(&a, &b, &Draft::new("task", "x"))?;
    assert_eq!(keeper.signed("a@pi1"), 2, "the message");
    let heard = other.open(&sealed.envelope)?;
    assert_eq!(heard.header().signer, bare.certificate(&a).ok_or("not hosted")?.thumbprint().short());
    let reply = other.seal(&b, &a, &Draft::new("result", "y"))?;
    assert_eq!(bare.open(&reply.envelope)?.body(), b"y");
    Ok(())
}

#[test]
fn without_a_good_signature_nothing_is_sealed_and_what_comes_opens() -> Outcome {
    let Pair { keeper, bare, other, .. } = pair()?;
    let (a, b) = (bare.host("a")?, other.host("b")?);
    bare.introduce(other.certificate(&b).ok_or("not hosted")?.as_bytes())?;
    other.introduce(bare.certificate(&a).ok_or("not hosted")?.as_bytes())?;
    for (mood, reason) in [
        (Mood::Refusing, "the card is out"),
        (Mood::Lying, "a signature that is not of this key"),
        (Mood::Panicking, "who holds it panicked"),
    ] {
        keeper.becomes(mood);
        let expected = format!("the signing key of `a@pi1` cannot be used: {reason}");
        assert_eq!(bare.seal(&a, &b, &Draft::new("task", "x")).err(), Some(SealError::KeysFailed(expected)));
        assert!(matches!(bare.host("c"), Err(EndpointError::KeysFailed(_))));
        assert_eq!(bare.agents(), std::slice::from_ref(&a));
        assert_eq!(bare.open(&other.seal(&b, &a, &Draft::new("note", "y"))?.envelope)?.body(), b"y");
    }
    keeper.becomes(Mood::Willing);
    bare.seal(&a, &b, &Draft::new("task", "x"))?;
    Ok(())
}

/// A lane is named for half a minute, in what is sealed for its author. What was not sealed named nothing.
#[test]
fn a_lane_is_named_in_what_is_sealed_once_the_keys_are_back() -> Outcome {
    let Pair { keeper, bare, other, time } = pair()?;
    let (a, b) = (bare.host("a")?, other.host("b")?);
    bare.introduce(other.certificate(&b).ok_or("not hosted")?.as_bytes())?;
    other.introduce(bare.certificate(&a).ok_or("not hosted")?.as_bytes())?;
    bare.open(&other.seal(&b, &a, &Draft::new("task", "x"))?.envelope)?;
    keeper.becomes(Mood::Refusing);
    assert!(matches!(bare.seal(&a, &b, &Draft::new("result", "y")), Err(SealError::KeysFailed(_))));
    time.fetch_add(60, Ordering::SeqCst);
    keeper.becomes(Mood::Willing);
    let reply = bare.seal(&a, &b, &Draft::new("result", "y"))?;
    assert_eq!(reply.header.acknowledged.lanes.len(), 1);
    Ok(())
}

#[test]
fn an_identity_without_a_key_is_not_hosted() -> Outcome {
    let keeper: Arc<dyn IdentityKeys> = Keeper::new();
    let refused = pair()?.bare.host("stranger").err();
    assert_eq!(refused.map(|error| error.to_string()), Some("the signing key of `stranger@pi1` cannot be used: no such key".into()));
    assert!(matches!(NodeKey::elsewhere("stranger", &keeper), Err(EndpointError::KeysFailed(_))));
    Ok(())
}

/// A certificate is renewed after 18 hours. Without the keys it is not; what comes is opened, and with the keys all goes on.
#[test]
fn keys_that_are_away_when_a_certificate_is_due() -> Outcome {
    let Pair { keeper, bare, other, time } = pair()?;
    let (a, b) = (bare.host("a")?, other.host("b")?);
    time.fetch_add(19 * 3600, Ordering::SeqCst);
    keeper.becomes(Mood::Refusing);
    other.introduce(bare.certificate(&a).ok_or("not hosted")?.as_bytes())?;
    assert!(matches!(bare.maintain(), Err(EndpointError::KeysFailed(_))));
    let note = other.seal(&b, &a, &Draft::new("note", "y"))?;
    assert_eq!(bare.open(&note.envelope)?.body(), b"y");
    keeper.becomes(Mood::Willing);
    bare.maintain()?;
    assert_eq!(bare.certificate(&a).ok_or("not hosted")?.issued(), NOW + 19 * 3600);
    bare.seal(&a, &b, &Draft::new("task", "x"))?;
    Ok(())
}

#[cfg(feature = "home")]
#[test]
fn a_home_keeps_no_key_of_an_agent_that_signs_elsewhere() -> Outcome {
    let path = std::env::temp_dir().join(format!("sealwire-identity-keys-{}", std::process::id()));
    let keys: Arc<dyn IdentityKeys> = Keeper::new();
    for _again in 0..2 {
        let (endpoint, _) = Endpoint::builder().identity_keys(&keys).home_or_init(&path, "pi1")?;
        let (a, b) = (endpoint.host("a")?, endpoint.host("b")?);
        assert_eq!(endpoint.open(&endpoint.seal(&a, &b, &Draft::new("task", "x"))?.envelope)?.body(), b"x");
    }
    assert_eq!(std::fs::read_dir(path.join("agents"))?.count(), 0);
    std::fs::remove_dir_all(&path)?;
    Ok(())
}
