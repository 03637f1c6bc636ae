//! Whether the time of a comparison tells where secrets differ, by the statistics of dudect (Reparaz, Balasch and Verbauwhede, "Dude, is my code
//! constant time?"): two classes of inputs, in random order, and Welch's t-test over their times.
//!
//! `check.py` runs it and judges. `control` compares byte by byte and must be found.

use dudect_bencher::{
    BenchRng, Class, CtRunner, ctbench_main,
    rand::{Rng, RngExt},
};
use sealwire::{Draft, Endpoint, Envelope, Form, Secret};

/// Of each subject, in both classes together.
const KEYS: usize = 500_000;
const ENVELOPES: usize = 100_000;

const LEN: usize = 32;

/// What follows the tag of a lane message (SPEC.md, table of its bytes).
const RECIPIENTS: usize = 61;

/// Two keys: in one class they differ in their first byte, in the other in their last.
fn pairs(rng: &mut BenchRng) -> Vec<(Class, [u8; LEN], [u8; LEN])> {
    let pair = |_| {
        let mut one = [0; LEN];
        rng.fill_bytes(&mut one);
        let mut other = one;
        let (class, at) = if rng.random() { (Class::Left, 0) } else { (Class::Right, LEN - 1) };
        other[at] ^= 1;
        (class, one, other)
    };
    (0..KEYS).map(pair).collect()
}

fn control(runner: &mut CtRunner, rng: &mut BenchRng) {
    for (class, one, other) in pairs(rng) {
        runner.run_one(class, || one.iter().zip(&other).position(|(one, other)| one != other));
    }
}

fn keys(runner: &mut CtRunner, rng: &mut BenchRng) {
    let secret = |bytes: [u8; LEN]| Secret::<LEN>::init_with(|secret| *secret = bytes);
    for (class, one, other) in pairs(rng) {
        let (one, other) = (secret(one), secret(other));
        runner.run_one(class, || one.is_same(&other));
    }
}

/// Envelopes in a lane with another tag: the first byte of it, or the last.
fn tags(runner: &mut CtRunner, rng: &mut BenchRng) {
    let endpoint = Endpoint::builder().in_memory("local").expect("an endpoint");
    let [author, reader] = ["author", "reader"].map(|name| endpoint.host(name).expect("an agent"));
    let seal = |from, to| endpoint.seal(from, to, &Draft::new("task", b"x")).expect("it is sealed").envelope;
    // Its reader names the lane that the opening offered.
    endpoint.open(&seal(&author, &reader)).expect("it opens");
    endpoint.open(&seal(&reader, &author)).expect("it opens");
    let genuine = seal(&author, &reader);
    assert_eq!(genuine.form(), Form::Lane);
    let end = genuine.as_bytes().len() - RECIPIENTS;
    assert!(genuine.as_bytes()[end..].starts_with(&[0x81, 0x83, 0x43]), "the recipients begin where the tag ends");
    for _ in 0..ENVELOPES {
        let (class, at) = if rng.random() { (Class::Left, end - 16) } else { (Class::Right, end - 1) };
        let mut forged = genuine.as_bytes().to_vec();
        forged[at] ^= 1;
        let forged = Envelope::parse(forged).expect("it has the form of an envelope");
        runner.run_one(class, || endpoint.open(&forged).is_err());
    }
    assert!(endpoint.open(&genuine).is_ok(), "what was refused were the tags");
}

ctbench_main!(control, keys, tags);
