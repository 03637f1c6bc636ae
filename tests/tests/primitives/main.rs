//! The primitives of sealwire/1, in the crates it is built on, against vectors published by others.
//!
//! What is tested is the way sealwire calls them: strict verification, detached tags in place, keys from 32-byte seeds.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod chacha20poly1305;
mod ed25519;
mod hkdf;
mod hpke;
mod mlkem;
mod x25519;
mod xwing;
