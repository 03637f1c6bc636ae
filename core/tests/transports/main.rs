//! The transports pass the public suite, over real sockets and servers.

#![allow(missing_docs, unreachable_pub)]
#![cfg(feature = "conformance")]

#[cfg(any(feature = "nats", feature = "tls"))]
mod authority;
#[cfg(any(feature = "nats", feature = "stream"))]
mod folder;
#[cfg(feature = "tcp")]
mod loopback;
#[cfg(feature = "nats")]
mod nats;
#[cfg(feature = "tcp")]
mod streams;
