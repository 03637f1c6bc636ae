//! What can go wrong, one enum per direction. No error carries a key, a payload or a byte of the input.

use core::fmt;

use crate::{
    address::{Address, InvalidName},
    cbor::Malformed,
    identity::KeysFailed,
    key::{InvalidKey, MessageId},
};

/// The source of randomness failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EntropyFailed;

impl fmt::Display for EntropyFailed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the system gives no random bytes")
    }
}

impl std::error::Error for EntropyFailed {}

/// Why the journal or the home could not be read or written. The text names file and cause.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoreFailed(pub(crate) String);

impl fmt::Display for StoreFailed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for StoreFailed {}

/// Why a draft was not sealed.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum SealError {
    /// The sender is not an agent of this endpoint.
    NotHosted(Address),
    /// Nobody introduced the reader.
    UnknownReader(Address),
    /// The reader's certificate, or the roster it rests on, has expired.
    ReaderExpired(Address),
    /// The reader's or the sender's key is revoked, or its node may no longer host it.
    Revoked(Address),
    /// The reader has another signing key than the one this was signed for, or the author has. What was signed cannot be sealed anew.
    Replaced(Address),
    /// A label, kind, content type or lifetime is not of its form.
    Invalid(InvalidName),
    /// The envelope, or its header, would be too large.
    TooLarge {
        /// Size in bytes.
        size: usize,
        /// Limit in bytes.
        limit: usize,
    },
    /// Policy says no.
    Denied(String),
    /// The audit log could not be written.
    AuditFailed(String),
    /// The source of randomness failed.
    Entropy(EntropyFailed),
    /// The home failed.
    Store(StoreFailed),
    /// The author's key is elsewhere ([`crate::IdentityKeys`]) and did not sign.
    KeysFailed(String),
}

impl fmt::Display for SealError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotHosted(address) => write!(f, "`{address}` is not an agent of this endpoint; host it first"),
            Self::UnknownReader(address) => write!(f, "nobody introduced `{address}`; host it or import its certificate first"),
            Self::ReaderExpired(address) => write!(f, "the certificate of `{address}` has expired; ask for its new one"),
            Self::Revoked(address) => write!(f, "`{address}` is revoked, or its node may no longer host it"),
            Self::Replaced(address) => write!(f, "`{address}` has another key now than the message was signed for; seal a new message"),
            Self::Invalid(invalid) => write!(f, "{invalid}"),
            Self::TooLarge { size, limit } => write!(f, "{size} bytes, but at most {limit} can be sealed"),
            Self::Denied(reason) => write!(f, "denied by policy: {reason}"),
            Self::AuditFailed(reason) => write!(f, "not sealed, because the audit log cannot be written: {reason}"),
            Self::Entropy(error) => write!(f, "not sealed: {error}"),
            Self::Store(error) => write!(f, "not sealed: {error}"),
            Self::KeysFailed(reason) => write!(f, "not sealed: {reason}"),
        }
    }
}

impl std::error::Error for SealError {}

impl From<InvalidName> for SealError {
    fn from(invalid: InvalidName) -> Self {
        Self::Invalid(invalid)
    }
}

impl From<EntropyFailed> for SealError {
    fn from(error: EntropyFailed) -> Self {
        Self::Entropy(error)
    }
}

impl From<KeysFailed> for SealError {
    fn from(error: KeysFailed) -> Self {
        Self::KeysFailed(error.to_string())
    }
}

impl From<StoreFailed> for SealError {
    fn from(error: StoreFailed) -> Self {
        Self::Store(error)
    }
}

/// Why an envelope, certificate or roster was not accepted.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum OpenError {
    /// Not of the format, before any key was used.
    Malformed(Malformed),
    /// Over the limit, before anything was decoded.
    TooLarge {
        /// Size in bytes.
        size: usize,
        /// Limit in bytes.
        limit: usize,
    },
    /// Sealed for a receive key that is not held here, or no longer.
    UnknownKey,
    /// Sealed in a lane that is not held here, or no longer.
    UnknownLane,
    /// Not made by whom it says for whom it says: everything from decapsulation to signature, in one word.
    NotAuthentic,
    /// The signer's node is not in the roster.
    UnknownSigner,
    /// The signer's key is revoked, or its node may not host it.
    Revoked,
    /// Signed for another reader, or another key of this reader.
    Misdirected,
    /// Too old, or the certificate or roster behind it is.
    Expired {
        /// Seconds past the end.
        by: u64,
    },
    /// Made in the future, as this clock sees it.
    FromFuture {
        /// Seconds ahead.
        by: u64,
    },
    /// Opened before.
    Duplicate(MessageId),
    /// Another message bore this id before.
    IdReused(MessageId),
    /// The signer knows a newer roster; this endpoint must have it before it can decide.
    RosterBehind {
        /// Version the signer knows.
        theirs: u64,
        /// Version known here.
        ours: u64,
    },
    /// A roster that does not follow the one that is known.
    RosterConflict {
        /// Version offered.
        offered: u64,
        /// Version known here.
        known: u64,
    },
    /// Policy says no.
    Denied(String),
    /// The audit log could not be written.
    AuditFailed(String),
    /// A limit of this endpoint is reached; nothing was committed.
    Overloaded(&'static str),
    /// The home failed; nothing was released.
    Store(StoreFailed),
    /// The source of randomness failed.
    Entropy(EntropyFailed),
}

impl fmt::Display for OpenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Malformed(malformed) => write!(f, "not a sealwire/1 structure: {malformed}"),
            Self::TooLarge { size, limit } => write!(f, "{size} bytes, but at most {limit} are read"),
            Self::UnknownKey => f.write_str("sealed for a receive key that is not held here, or no longer"),
            Self::UnknownLane => f.write_str("sealed in a lane that is not held here, or no longer"),
            Self::NotAuthentic => f.write_str("not authentic: altered, or not sealed by this peer for this identity"),
            Self::UnknownSigner => f.write_str("signed by a node that is not in the roster"),
            Self::Revoked => f.write_str("the signer's key is revoked, or its node may not host it"),
            Self::Misdirected => f.write_str("signed for another reader"),
            Self::Expired { by } => write!(f, "expired {} ago", Seconds(*by)),
            Self::FromFuture { by } => {
                write!(f, "made {} in the future; clocks may differ by 2 min: set this one or the sender's", Seconds(*by))
            }
            Self::Duplicate(id) => write!(f, "message {id} was already opened"),
            Self::IdReused(id) => write!(f, "another message with the id {id} was already opened"),
            Self::RosterBehind { theirs, ours } => write!(f, "the sender knows roster version {theirs}, this endpoint {ours}"),
            Self::RosterConflict { offered, known } => write!(f, "roster version {offered} does not follow version {known}"),
            Self::Denied(reason) => write!(f, "denied by policy: {reason}"),
            Self::AuditFailed(reason) => write!(f, "not released, because the audit log cannot be written: {reason}"),
            Self::Overloaded(limit) => write!(f, "refused for now: {limit}"),
            Self::Store(error) => write!(f, "not released: {error}"),
            Self::Entropy(error) => write!(f, "{error}"),
        }
    }
}

impl std::error::Error for OpenError {}

impl From<Malformed> for OpenError {
    fn from(malformed: Malformed) -> Self {
        Self::Malformed(malformed)
    }
}

impl From<StoreFailed> for OpenError {
    fn from(error: StoreFailed) -> Self {
        Self::Store(error)
    }
}

impl From<EntropyFailed> for OpenError {
    fn from(error: EntropyFailed) -> Self {
        Self::Entropy(error)
    }
}

impl From<InvalidKey> for OpenError {
    fn from(_: InvalidKey) -> Self {
        Self::NotAuthentic
    }
}

/// A duration as a person says it.
pub(crate) struct Seconds(pub(crate) u64);

impl fmt::Display for Seconds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            seconds @ 0..60 => write!(f, "{seconds} s"),
            seconds @ 60..3600 => write!(f, "{} min {} s", seconds / 60, seconds % 60),
            seconds @ 3600..86_400 => write!(f, "{} h {} min", seconds / 3600, seconds % 3600 / 60),
            seconds => write!(f, "{} days", seconds / 86_400),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_variant_reads_as_a_sentence() {
        let id = MessageId::from_bytes([0x7f; 16]);
        let store = StoreFailed("disk full".into());
        let opens = [
            OpenError::Malformed(Malformed { what: "trailing bytes", offset: 7 }),
            OpenError::TooLarge { size: 2, limit: 1 },
            OpenError::UnknownKey,
            OpenError::UnknownLane,
            OpenError::NotAuthentic,
            OpenError::UnknownSigner,
            OpenError::Revoked,
            OpenError::Misdirected,
            OpenError::Expired { by: 432 },
            OpenError::FromFuture { by: 86_400 },
            OpenError::Duplicate(id),
            OpenError::IdReused(id),
            OpenError::RosterBehind { theirs: 2, ours: 1 },
            OpenError::RosterConflict { offered: 1, known: 2 },
            OpenError::Denied("no".into()),
            OpenError::AuditFailed("no".into()),
            OpenError::Overloaded("journal is full for this signer"),
            OpenError::Store(store.clone()),
            OpenError::Entropy(EntropyFailed),
        ];
        for error in opens {
            let text = error.to_string();
            assert!(text.len() > 8 && text.starts_with(|c: char| c.is_lowercase() || c.is_numeric()), "{text}");
        }
        assert_eq!(OpenError::Expired { by: 432 }.to_string(), "expired 7 min 12 s ago");
        assert_eq!(SealError::Store(store).to_string(), "not sealed: disk full");
    }
}
