//! [`Transport`]: what carries envelopes. It is given nothing but an [`Envelope`], so plaintext cannot be handed to it.
//!
//! Asynchronous without a runtime: the traits name no executor, and [`Memory`] needs none.

use core::{fmt, future::Future};

use crate::{address::Address, envelope::Envelope};

mod memory;

pub use memory::{Memory, MemoryDelivery};

/// Carries envelopes to their readers, at least once.
///
/// Implement it over whatever there is: a socket, a broker, a pipe. Nothing is asked of the wire for secrecy or authenticity; a wire that
/// loses, repeats, reorders, delays or alters envelopes costs time and never correctness.
pub trait Transport: Send + Sync {
    /// What [`Transport::receive`] gives.
    type Delivery: Delivery;

    /// Takes an envelope for `to`. When it returns, the transport has taken it over; that says nothing about its arrival.
    ///
    /// # Errors
    /// If it was not taken over; the caller sends it again.
    fn send(&self, to: &Address, envelope: Envelope) -> impl Future<Output = Result<(), TransportError>> + Send;

    /// Waits for the next envelope for `reader`.
    ///
    /// # Errors
    /// [`TransportError::Closed`] when none will come.
    fn receive(&self, reader: &Address) -> impl Future<Output = Result<Self::Delivery, TransportError>> + Send;
}

/// An envelope that has arrived and is given again until it was acknowledged.
pub trait Delivery: Send {
    /// The envelope as it came off the wire: not parsed, not believed.
    fn bytes(&self) -> &[u8];

    /// Says that it was processed and need not be given again. A delivery that is dropped without it comes back.
    ///
    /// # Errors
    /// If the transport could not note it; the envelope comes again then, and is recognised as a duplicate.
    fn acknowledge(self) -> impl Future<Output = Result<(), TransportError>> + Send;
}

/// Why a transport did not do what it was asked.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum TransportError {
    /// It was closed.
    Closed,
    /// It holds as much as it may; the reader is slower than the sender.
    Full {
        /// Envelopes held for that reader.
        limit: usize,
    },
    /// Something else, in words.
    Failed(String),
}

impl fmt::Display for TransportError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Closed => f.write_str("the transport is closed"),
            Self::Full { limit } => write!(f, "the transport holds {limit} envelopes for that reader and takes no more"),
            Self::Failed(reason) => write!(f, "the transport failed: {reason}"),
        }
    }
}

impl std::error::Error for TransportError {}
