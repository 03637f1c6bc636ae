//! The transports pass the public suite, over real sockets and servers.

#![allow(missing_docs, unreachable_pub)]
#![cfg(feature = "conformance")]

#[cfg(feature = "stream")]
mod loopback;
#[cfg(feature = "stream")]
mod streams;
