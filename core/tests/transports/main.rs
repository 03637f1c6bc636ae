//! The transports pass the public suite, over real sockets and servers.

#![allow(missing_docs, unreachable_pub)]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
#![cfg(feature = "conformance")]

#[cfg(any(feature = "nats", feature = "tls"))]
mod authority;
#[cfg(any(feature = "nats", feature = "tcp"))]
mod folder;
#[cfg(feature = "tcp")]
mod loopback;
#[cfg(feature = "tls")]
mod members;
#[cfg(feature = "nats")]
mod nats;
#[cfg(feature = "tcp")]
mod noise;
#[cfg(feature = "tcp")]
mod streams;
#[cfg(feature = "tls")]
mod tls;

/// Waits until something is the case that must become so.
#[cfg(feature = "tcp")]
async fn eventually(is: impl Fn() -> bool) {
    let waited = tokio::time::timeout(std::time::Duration::from_secs(30), async {
        while !is() {
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
    });
    waited.await.expect("what should happen has not happened");
}
