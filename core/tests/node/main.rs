//! Nodes over transports that behave badly.

#![cfg(feature = "node")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod bad;
mod basics;
#[cfg(feature = "pairing")]
mod homes;
mod in_place;
mod meeting;
#[cfg(feature = "home")]
mod restarted;
#[cfg(feature = "pairing")]
mod revoked;
#[cfg(feature = "tcp")]
mod tcp;
mod world;
