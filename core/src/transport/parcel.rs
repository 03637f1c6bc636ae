//! [`Parcel`]: what a transport carries.

use core::fmt;

use crate::envelope::Envelope;

/// Opaque bytes under way to an agent, at most [`MAX_PARCEL`](crate::limits::MAX_PARCEL) of them.
///
/// It is made from an [`Envelope`], which is sealed, or from what nodes tell each other in the open; there is no way to make one from
/// bytes, so plaintext cannot be handed to a transport. A transport looks at nothing in it.
#[derive(Clone, PartialEq, Eq)]
pub struct Parcel(Vec<u8>);

impl Parcel {
    /// What is no secret and proves itself, such as a certificate; the caller has kept to the size.
    #[cfg(any(test, feature = "conformance", feature = "node"))]
    pub(crate) fn in_the_open(bytes: Vec<u8>) -> Self {
        debug_assert!(bytes.len() <= crate::limits::MAX_PARCEL);
        Self(bytes)
    }

    /// The bytes that travel.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The bytes that travel.
    pub fn into_bytes(self) -> Vec<u8> {
        self.0
    }
}

impl From<Envelope> for Parcel {
    fn from(envelope: Envelope) -> Self {
        Self(envelope.into_bytes())
    }
}

impl fmt::Debug for Parcel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Parcel({} bytes)", self.0.len())
    }
}
