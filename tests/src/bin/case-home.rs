//! Makes the home in which an accepted test vector is read, for readers that take keys from nowhere else: `case-home FILE HOME`.
//!
//! It is that of the `reader`'s node, made when certificates are, with the keys and the roster of the case. A case without a reader gets the home of
//! `writer@pi2`. As all homes it is good on this machine only, and until it reboots; so it is made and not committed.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::fs;

use sealwire::{Address, Endpoint};
use sealwire_tests::{
    case::Case,
    cases::{CERTIFIED, seeds_of},
    prescribed::{Hands, Script},
};

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [file, home] = arguments.as_slice() else { panic!("case-home FILE HOME") };
    make(&Case::parse(file, &fs::read_to_string(file).unwrap()), home);
}

fn make(case: &Case, home: &str) {
    let reader: Address = case.all("reader").first().unwrap_or(&"writer@pi2").parse().unwrap();
    let [root, node, agent, receive] = seeds_of(reader.as_str());
    let script = Script::default();
    script.say(&[root, node].concat());
    let builder = Endpoint::builder().clock(Hands::at(CERTIFIED)).entropy(script.clone());
    let (endpoint, _) = builder.home_or_init(home, reader.node()).unwrap();
    script.say(&[agent, receive].concat());
    endpoint.host(reader.name()).unwrap();
    // Where a roster is what the case is about, the reader puts it there.
    if case.text("structure") != "roster" {
        endpoint.follow(&case.bytes("roster")).unwrap();
    }
}
