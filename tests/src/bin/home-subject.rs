//! A process of its own on a home, for tests that kill it or run two at once.
//!
//! Usage: `home-subject open HOME FILE` opens the envelopes in FILE, one in hexadecimal digits a line, for the agents `a` and `b` of HOME, and says
//! the number of each as soon as it is opened. `home-subject host HOME NAME` hosts an agent and says the thumbprint of its key.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use std::{
    fs,
    io::{Write, stdout},
};

use sealwire::{Endpoint, Envelope};

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        ["open", home, file] => open(&endpoint(home), file),
        ["host", home, name] => host(&endpoint(home), name),
        _ => panic!("home-subject open HOME FILE | host HOME NAME"),
    }
}

fn endpoint(home: &str) -> Endpoint {
    Endpoint::builder().home_or_init(home, "local").unwrap().0
}

fn open(endpoint: &Endpoint, file: &str) {
    endpoint.host("a").unwrap();
    endpoint.host("b").unwrap();
    for (number, line) in fs::read_to_string(file).unwrap().lines().enumerate() {
        let envelope = Envelope::parse(hex::decode(line).unwrap()).unwrap();
        if endpoint.open(&envelope).is_ok() {
            say(&number.to_string());
        }
    }
}

fn host(endpoint: &Endpoint, name: &str) {
    let address = endpoint.host(name).unwrap();
    say(&endpoint.certificate(&address).unwrap().thumbprint().to_string());
}

fn say(line: &str) {
    let mut stdout = stdout().lock();
    writeln!(stdout, "{line}").unwrap();
    stdout.flush().unwrap();
}
