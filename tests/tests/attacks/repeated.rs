//! Envelopes that come again, and forged ones that come before the genuine one.

use sealwire::{Form, OpenError};

use crate::{
    hostile::Hostile,
    world::{Homely, Hosts, Scratch},
};

#[test]
fn a_repeated_envelope_is_opened_once() {
    for form in [Form::Opening, Form::Lane] {
        let hosts = Hosts::new();
        let genuine = hosts.seal(form, "once");
        let thrice = Hostile::new(|genuine| vec![genuine.to_vec(); 3]);
        let outcomes = thrice.carry(genuine, &hosts.b, &hosts.two);
        let id = outcomes[0].as_ref().unwrap().header().id;
        for again in &outcomes[1..] {
            assert_eq!(again.as_ref().err(), Some(&OpenError::Duplicate(id)), "{form}");
        }
        assert_eq!(hosts.seal(Form::Lane, "next").form(), Form::Lane, "and the lane goes on");
    }
}

/// An attacker who keeps everything and delivers it in the opposite order, twice.
#[test]
fn reordering_loses_nothing_and_repeats_nothing() {
    let hosts = Hosts::new();
    hosts.settle_lane();
    let sealed: Vec<_> = (0..8).map(|number| hosts.seal(Form::Lane, &number.to_string())).collect();
    let first: Vec<_> = sealed.iter().rev().map(|envelope| hosts.open(envelope).unwrap().into_body()).collect();
    assert_eq!(first, [b"7", b"6", b"5", b"4", b"3", b"2", b"1", b"0"]);
    assert!(sealed.iter().all(|envelope| matches!(hosts.open(envelope), Err(OpenError::Duplicate(_)))));
}

/// An offset between the outer header and the recipient.
const INSIDE_CIPHERTEXT: usize = 64;

/// Forgeries that name the genuine key or lane come first, a hundred of them; what is genuine is not harmed, and the lane neither.
#[test]
fn forged_packets_before_the_genuine_one() {
    for form in [Form::Opening, Form::Lane] {
        let hosts = Hosts::new();
        let genuine = hosts.seal(form, "genuine");
        let forging = Hostile::new(|genuine| {
            let forged = (0..100_u8).map(|number| {
                let mut bytes = genuine.to_vec();
                bytes[INSIDE_CIPHERTEXT..][..16].copy_from_slice(&[number; 16]);
                bytes
            });
            forged.chain([genuine.to_vec()]).collect()
        });
        let mut outcomes = forging.carry(genuine, &hosts.b, &hosts.two);
        assert_eq!(outcomes.pop().unwrap().unwrap().body(), b"genuine");
        assert!(outcomes.iter().all(|outcome| outcome.as_ref().err() == Some(&OpenError::NotAuthentic)), "{form}");
        assert_eq!(hosts.open(&hosts.seal(Form::Lane, "next")).unwrap().body(), b"next");
    }
}

#[test]
fn a_replay_after_a_restart() {
    let scratch = Scratch::new("restart");
    let home = scratch.join("home");
    let first = Homely::start(&home);
    let [opened, under_way] = [first.seal("opened"), first.seal("under way")];
    let id = first.open(&opened).unwrap().header().id;
    let in_lane = first.seal("in a lane");
    assert_eq!(first.open(&in_lane).unwrap().form(), Form::Lane);
    drop(first);

    let second = Homely::start(&home);
    assert_eq!(second.open(&opened).err(), Some(OpenError::Duplicate(id)));
    assert_eq!(second.open(&under_way).unwrap().body(), b"under way", "a restart loses nothing");
    assert!(matches!(second.open(&under_way).err(), Some(OpenError::Duplicate(_))));
    assert_eq!(second.open(&in_lane).err(), Some(OpenError::UnknownLane), "lanes are never written down");
}

/// A lane that begins and ends in one process. Its messages are noted there and nowhere else, and nowhere else can they be opened.
#[test]
fn a_replay_in_a_near_lane() {
    let scratch = Scratch::new("near");
    let home = scratch.join("home");
    let process = Homely::start(&home);
    process.open(&process.seal("offers a lane")).unwrap();
    let beside = Homely::start(&home);
    let written = || ["store.db", "store.db-wal"].map(|file| std::fs::read(home.join(file)).unwrap());
    let before = written();
    let in_lane = process.seal("in the lane");
    let id = process.open(&in_lane).unwrap().header().id;
    assert_eq!(process.open(&in_lane).err(), Some(OpenError::Duplicate(id)));
    assert_eq!(process.endpoint.open_all_bytes(&[in_lane.as_bytes(); 2]).iter().flatten().count(), 0);
    let twice = process.seal("twice at once");
    assert_eq!(process.endpoint.open_all_bytes(&[twice.as_bytes(); 2]).iter().flatten().count(), 1);
    assert_eq!(beside.open(&in_lane).err(), Some(OpenError::UnknownLane), "another process of the home");
    assert!(written() == before, "the store is not asked to write what cannot come again");
}
