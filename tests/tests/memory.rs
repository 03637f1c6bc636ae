//! What is left of a secret in the memory of the process that used it.

#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use std::process::Command;

use sealwire_tests::memory::{Subject, mask};

/// 32 bytes of no pattern that a program might hold by chance.
fn secret() -> [u8; 32] {
    let mut secret = [0; 32];
    getrandom::fill(&mut secret).unwrap();
    secret
}

/// In how many places a piece of the secret lies while the subject holds it, and after it let go.
fn places(case: &str) -> (usize, usize) {
    let secret = secret();
    let mut subject = Subject::start(Command::new(env!("CARGO_BIN_EXE_memory-subject")).args([case, &mask(&secret)]));
    subject.run_to("held");
    let held = subject.find(&[&secret]).len();
    subject.run_to("dropped");
    let dropped = subject.find(&[&secret]);
    println!("{case}: {held} held, {dropped:?} after");
    (held, dropped.len())
}

/// The control of all the others: what is there is found, once, in its two pieces.
#[test]
fn kept_secret_is_found() {
    assert_eq!(places("kept"), (2, 2));
}

/// Reading in chunks loses nothing at their borders.
#[test]
fn scattered_secret_is_found_everywhere() {
    let all = (4 << 20) / 33 * 2;
    assert_eq!(places("scattered"), (all, all));
}

/// The second control: giving memory back is not wiping it. How much the allocator itself overwrites is its own affair; glibc leaves the second half.
#[test]
#[cfg(target_env = "gnu")]
fn freed_secret_is_found() {
    assert_eq!(places("freed"), (2, 1));
}

#[test]
fn wiped_secret_is_not_found() {
    assert_eq!(places("wiped"), (2, 0));
}

#[test]
fn dropped_signing_key_is_not_found() {
    assert_eq!(places("signing-key"), (2, 0));
}

#[test]
fn dropped_receive_key_is_not_found() {
    assert_eq!(places("receive-key"), (2, 0));
}
