//! Who is who: rosters and certificates that are old, of two versions or of another root.

use sealwire::{Draft, OpenError, RosterClaims};

use crate::{
    hostile::open,
    world::{Hosts, START},
};

/// The roster of before a revocation is offered again.
#[test]
fn a_roster_rolled_back() {
    let hosts = Hosts::new();
    let old = hosts.two.roster();
    let mut claims = old.claims().clone();
    claims.revoked.push(hosts.three.certificate(&hosts.m).unwrap().thumbprint());
    let new = hosts.root.sign_roster(Some(&old), claims, START);
    hosts.two.follow(new.as_bytes()).unwrap();

    assert_eq!(hosts.two.follow(old.as_bytes()).err(), Some(OpenError::RosterConflict { offered: 1, known: 2 }));
    let sealed = hosts.three.seal(&hosts.m, &hosts.b, &Draft::new("task", "x")).unwrap().envelope;
    assert_eq!(open(&hosts.two, sealed.as_bytes()).err(), Some(OpenError::Revoked), "still revoked");
}

/// Two rosters of one version: the root signed both, and one of them is meant to hide something.
#[test]
fn two_rosters_of_one_version() {
    let hosts = Hosts::new();
    let old = hosts.two.roster();
    let [shown, hidden] = [START, START + 1].map(|time| hosts.root.sign_roster(Some(&old), old.claims().clone(), time));
    hosts.two.follow(shown.as_bytes()).unwrap();
    assert_eq!(hosts.two.follow(hidden.as_bytes()).err(), Some(OpenError::RosterConflict { offered: 2, known: 2 }));
    let after_hidden = hosts.root.sign_roster(Some(&hidden), old.claims().clone(), START);
    assert_eq!(hosts.two.follow(after_hidden.as_bytes()).err(), Some(OpenError::RosterConflict { offered: 3, known: 2 }));
    hosts.two.follow(shown.as_bytes()).unwrap();
}

/// A node that was taken off the roster: its agents are strangers, in lanes too.
#[test]
fn an_agent_of_a_node_that_left() {
    let hosts = Hosts::new();
    let from_m = || hosts.three.seal(&hosts.m, &hosts.b, &Draft::new("task", "x")).unwrap().envelope;
    open(&hosts.two, from_m().as_bytes()).unwrap();
    hosts.three.open(&hosts.two.acknowledge(&hosts.b, &hosts.m).unwrap().unwrap().envelope).unwrap();
    let in_lane = from_m();

    let old = hosts.two.roster();
    let left = old.claims().nodes.iter().filter(|node| node.name != "three").cloned().collect();
    let new = hosts.root.sign_roster(Some(&old), RosterClaims { nodes: left, ..RosterClaims::default() }, START);
    hosts.two.follow(new.as_bytes()).unwrap();
    assert_eq!(open(&hosts.two, in_lane.as_bytes()).err(), Some(OpenError::UnknownSigner));
    let certificate = hosts.three.certificate(&hosts.m).unwrap();
    assert_eq!(hosts.two.introduce(certificate.as_bytes()).err(), Some(OpenError::UnknownSigner));
}
