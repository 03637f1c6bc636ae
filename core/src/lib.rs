//! Seals and signs messages between agents.
//!
//! A *draft* is sealed for exactly one reader and becomes an *envelope*, the only thing of it that a *transport* accepts. Opening it gives a *message*,
//! which exists only if the envelope is authentic, meant for this reader, fresh, not opened before and allowed by policy.
//!
//! ```
//! use sealwire::{Draft, Endpoint, Envelope};
//!
//! let endpoint = Endpoint::builder().in_memory("local")?;
//! let (researcher, writer) = (endpoint.host("researcher")?, endpoint.host("writer")?);
//!
//! let sealed = endpoint.seal(&researcher, &writer, &Draft::new("result", "the figures").label("pii"))?;
//! let received = Envelope::parse(sealed.envelope.into_bytes())?;
//! assert_eq!(endpoint.open(&received)?.body(), b"the figures");
//! assert!(endpoint.open(&received).is_err()); // a second time: a replay
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! The wire format is `docs/SPEC.md`; the code cites its sections. Suite: Ed25519; HPKE with MLKEM768-X25519, HKDF-SHA256 and
//! ChaCha20-Poly1305; SHA-256. There is no other.

#![forbid(unsafe_code)]
#![warn(missing_debug_implementations)]

mod address;
mod audit;
mod cbor;
mod certificate;
mod domain;
mod endpoint;
mod entropy;
mod envelope;
mod error;
mod fork;
mod header;
#[cfg(feature = "home")]
mod home;
mod identity;
mod journal;
#[cfg(feature = "node")]
mod kept;
mod key;
mod labels;
mod lane;
pub mod limits;
mod message;
#[cfg(feature = "node")]
pub mod node;
#[cfg(feature = "node")]
mod notice;
#[cfg(feature = "pairing")]
pub mod pairing;
mod policy;
mod roster;
mod schedule;
mod secret;
mod sign1;
pub mod transport;

pub use address::{Address, InvalidName};
pub use audit::{Audit, Decision, Entry};
pub use cbor::Malformed;
pub use certificate::Certificate;
pub use domain::{Domain, Root};
#[cfg(feature = "home")]
pub use endpoint::Inspector;
pub use endpoint::{Builder, Endpoint, EndpointError, Inspected, NodeKey};
pub use entropy::{Clock, Entropy};
pub use envelope::{Claims, Envelope, Form};
pub use error::{EntropyFailed, OpenError, SealError, StoreFailed};
pub use fork::Forking;
pub use header::{Acknowledged, Header, MessageRef};
#[cfg(feature = "home")]
pub use home::{Created, Home, Membership};
pub use identity::IdentityKeys;
pub use key::{InvalidKey, KeyId, LaneId, MessageId, RECEIVE_KEY_LEN, ReceiveKeyId, Thread, Thumbprint, VerifyingKey};
pub use message::{Draft, Message, Sealed};
pub use policy::{Direction, Policy, Request, Verdict};
pub use roster::{Roster, RosterClaims, RosterNode, check_node_address, check_pattern};
pub use secret::Secret;
pub use transport::{Parcel, Transport, TransportError};
