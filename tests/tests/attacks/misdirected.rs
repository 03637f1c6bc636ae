//! Envelopes that reach somebody they were not sealed for, or under a name they do not bear.

use sealwire::{Claims, Draft, Envelope, Form, OpenError};

use crate::{
    hostile::open,
    world::{Hosts, START},
};

/// Puts `new` in the place of `old`, which occurs once.
fn replaced(envelope: &Envelope, old: &[u8; 16], new: &[u8; 16]) -> Vec<u8> {
    let mut bytes = envelope.as_bytes().to_vec();
    let at = memchr::memmem::find(&bytes, old).unwrap();
    bytes[at..at + 16].copy_from_slice(new);
    bytes
}

#[test]
fn an_envelope_for_another_reader() {
    let hosts = Hosts::new();
    let sealed = hosts.seal(Form::Opening, "for b");
    assert_eq!(open(&hosts.three, sealed.as_bytes()).err(), Some(OpenError::UnknownKey));
    assert_eq!(open(&hosts.one, sealed.as_bytes()).err(), Some(OpenError::UnknownKey), "nor is its author a reader");
    assert_eq!(hosts.open(&sealed).unwrap().body(), b"for b");
}

/// The receive key's name is replaced by the attacker's own.
#[test]
fn an_envelope_readdressed_to_another_key() {
    let hosts = Hosts::new();
    let sealed = hosts.seal(Form::Opening, "for b");
    let Claims::Opening(meant) = sealed.claims() else { panic!("an opening") };
    let own = hosts.three.certificate(&hosts.m).unwrap().receive_key_id().unwrap();
    let readdressed = replaced(&sealed, meant.as_bytes(), own.as_bytes());
    assert_eq!(open(&hosts.three, &readdressed).err(), Some(OpenError::NotAuthentic));
    assert_eq!(open(&hosts.two, &readdressed).err(), Some(OpenError::UnknownKey));
    assert!(hosts.open(&sealed).is_ok());
}

/// Two lanes that the reader holds: one of another author, one of the same author.
#[test]
fn a_lane_message_under_another_lanes_id() {
    let hosts = Hosts::new();
    let genuine = hosts.seal(Form::Lane, "from a");
    let Claims::Lane(lane) = genuine.claims() else { panic!("a lane") };

    hosts.two.open(&hosts.three.seal(&hosts.m, &hosts.b, &Draft::new("task", "x")).unwrap().envelope).unwrap();
    hosts.three.open(&hosts.two.acknowledge(&hosts.b, &hosts.m).unwrap().unwrap().envelope).unwrap();
    let of_m = hosts.three.seal(&hosts.m, &hosts.b, &Draft::new("task", "x")).unwrap().envelope;
    hosts.one.forget_lane(lane);
    hosts.settle_lane();
    let of_a = hosts.one.seal(&hosts.a, &hosts.b, &Draft::new("task", "x")).unwrap().envelope;

    for other in [of_m, of_a] {
        let Claims::Lane(other) = other.claims() else { panic!("a lane") };
        assert_ne!(lane, other);
        let moved = replaced(&genuine, lane.as_bytes(), other.as_bytes());
        assert_eq!(open(&hosts.two, &moved).err(), Some(OpenError::NotAuthentic));
    }
    assert_eq!(hosts.open(&genuine).unwrap().body(), b"from a");
}

/// The same names in another domain: another root, so nothing of it is known here.
#[test]
fn an_envelope_and_a_certificate_of_another_domain() {
    let (hosts, others) = (Hosts::new(), Hosts::new());
    assert_eq!(hosts.open(&others.seal(Form::Opening, "x")).err(), Some(OpenError::UnknownKey));
    let certificate = others.two.certificate(&others.b).unwrap();
    assert_eq!(hosts.one.introduce(certificate.as_bytes()).err(), Some(OpenError::UnknownSigner));
    let roster = others.root.sign_roster(Some(&hosts.two.roster()), hosts.two.roster().claims().clone(), START);
    assert_eq!(hosts.two.follow(roster.as_bytes()).err(), Some(OpenError::NotAuthentic));
}
