//! Attacks over a hostile transport: whoever carries envelopes reads, keeps, alters, reorders, repeats and forges them at will.
//!
//! What needs the keys of an insider (a reader who passes on what it was sent, an agent that signs another's words) is beside the code, in
//! `core/src/endpoint/attacks.rs`. `tests/mutants.py` takes each defence out and checks that its test fails; `docs/testing.md` has the table.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod altered;
mod clock;
mod hostile;
mod identities;
mod misdirected;
mod repeated;
mod restored;
#[cfg(unix)]
mod unclean;
mod world;
