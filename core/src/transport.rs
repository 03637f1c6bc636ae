//! [`Transport`]: what carries [`Parcel`]s. A parcel is made from an [`Envelope`](crate::Envelope), so plaintext cannot be handed to it.
//!
//! Asynchronous without a runtime: the traits name no executor, and [`Memory`] needs none.

use core::{fmt, future::Future};

use crate::address::Address;

#[cfg(feature = "conformance")]
pub mod conformance;
mod location;
mod memory;
#[cfg(feature = "nats")]
pub mod nats;
mod parcel;
#[cfg(feature = "stream")]
pub mod stream;

pub use location::{DEFAULT_PORT, InvalidLocation, Location};
pub use memory::{Memory, MemoryDelivery};
#[cfg(feature = "nats")]
pub use nats::{JetStream, Nats};
pub use parcel::Parcel;
#[cfg(feature = "stream")]
pub use stream::Streams;

/// Carries parcels to their readers, at least once.
///
/// Implement it over whatever there is: a socket, a broker, a pipe. Nothing is asked of the wire for secrecy or authenticity; a wire that
/// loses, repeats, reorders, delays or alters parcels costs time and never correctness.
pub trait Transport: Send + Sync {
    /// What [`Transport::receive`] gives.
    type Delivery: Delivery;

    /// Takes a parcel for `to`. When it returns, the transport has taken it over; that says nothing about its arrival.
    ///
    /// # Errors
    /// If it was not taken over; the caller sends it again.
    fn send(&self, to: &Address, parcel: Parcel) -> impl Future<Output = Result<(), TransportError>> + Send;

    /// Waits for the next parcel for `reader`. Dropping the future loses nothing.
    ///
    /// # Errors
    /// [`TransportError::Closed`] when none will come.
    fn receive(&self, reader: &Address) -> impl Future<Output = Result<Self::Delivery, TransportError>> + Send;
}

/// A parcel that has arrived and is given again until it was acknowledged.
pub trait Delivery: Send {
    /// The parcel as it came off the wire: not parsed, not believed.
    fn bytes(&self) -> &[u8];

    /// Says that it was processed and need not be given again. A delivery that is dropped without it comes back.
    ///
    /// # Errors
    /// If the transport could not note it; the parcel comes again then, and is recognised as a duplicate.
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
        /// Parcels held for that reader.
        limit: usize,
    },
    /// The parcel is larger than what it carries.
    TooLarge {
        /// Bytes of the parcel.
        size: usize,
        /// Bytes it carries at most.
        limit: usize,
    },
    /// It does not know the way to that node or agent.
    NoRoute {
        /// Whom it looked for.
        to: Address,
    },
    /// Something else, in words.
    Failed(String),
}

impl fmt::Display for TransportError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Closed => f.write_str("the transport is closed"),
            Self::Full { limit } => write!(f, "the transport holds {limit} parcels for that reader and takes no more; try again later"),
            Self::TooLarge { size, limit } => write!(f, "a parcel of {size} bytes; this transport carries at most {limit}"),
            Self::NoRoute { to } => {
                write!(f, "no address is known for {to}, and its node has not connected; give the transport the address of `{}`", to.node())
            }
            Self::Failed(reason) => write!(f, "the transport failed: {reason}"),
        }
    }
}

impl std::error::Error for TransportError {}
