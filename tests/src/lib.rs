//! What the tests of this workspace share: vectors published by others, randomness given by a vector, a look into the memory of another process.
//!
//! Nothing here is part of sealwire; a failure in it is a failed test, so it panics where the crates of sealwire return errors.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

pub mod backup;
pub mod case;
pub mod cases;
#[cfg(target_os = "linux")]
pub mod memory;
pub mod prescribed;
pub mod random;
pub mod sealer;
pub mod vectors;

/// The programs that `docs/rust.md` prints are compiled and run.
#[cfg(doctest)]
#[doc = include_str!("../../docs/rust.md")]
struct RustGuide;

/// As is the one of `docs/node.md`.
#[cfg(doctest)]
#[doc = include_str!("../../docs/node.md")]
struct NodeGuide;

/// As are those of `docs/transports.md`.
#[cfg(doctest)]
#[doc = include_str!("../../docs/transports.md")]
struct TransportsGuide;
