//! [`sealwire_result`]: how every function ends, and the words for it.

use core::{cell::RefCell, ffi::c_char, fmt::Display};
use std::panic::{AssertUnwindSafe, catch_unwind};

use sealwire::{EndpointError, InvalidName, OpenError, SealError, StoreFailed};

use crate::{
    pointer::{Buffer, Output},
    view::sealwire_text,
};

/// How a call ended. Only `SEALWIRE_RESULT_OK` is success; a number that is new to you is a failure. Numbers keep their meaning.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(C)]
pub enum sealwire_result {
    /// Done; the outputs are written.
    Ok = 0,
    /// A pointer is NULL.
    NullPointer = 1,
    /// Text is not UTF-8.
    NotUtf8 = 2,
    /// Bytes or a buffer are not of the length they must have.
    BadLength = 3,
    /// What was asked for is not there: an optional part of a header, or an index past the last.
    Absent = 4,
    /// An error in sealwire itself. What the call was about may be in any state: free it.
    Panicked = 5,
    /// A name, kind, label, content type or lifetime is not of its form.
    InvalidName = 6,
    /// The author is not hosted here, or nobody introduced the reader.
    UnknownAgent = 7,
    /// Over a limit of size.
    TooLarge = 8,
    /// Not of the format.
    Malformed = 9,
    /// Sealed for a receive key that is not held here, or no longer.
    UnknownKey = 10,
    /// Sealed in a lane that is not held here, or no longer.
    UnknownLane = 11,
    /// Altered, or not made by whom it says for whom it says.
    NotAuthentic = 12,
    /// The signer's node is not in the roster.
    UnknownSigner = 13,
    /// A key is revoked, or its node may not host the agent.
    Revoked = 14,
    /// Signed for another reader.
    Misdirected = 15,
    /// Too old, or a certificate or roster behind it is.
    Expired = 16,
    /// Made in the future, as this clock sees it.
    FromFuture = 17,
    /// Opened before.
    Duplicate = 18,
    /// Another message bore this id before.
    IdReused = 19,
    /// The signer knows a newer roster.
    RosterBehind = 20,
    /// A roster that does not follow the one that is known.
    RosterConflict = 21,
    /// Policy says no.
    Denied = 22,
    /// The audit log could not be written.
    AuditFailed = 23,
    /// A limit of this endpoint is reached; try later.
    Overloaded = 24,
    /// The home could not be made, read or written.
    HomeFailed = 25,
    /// The system gives no random bytes.
    EntropyFailed = 26,
    /// The reader has another key now than the message was signed for.
    Replaced = 27,
    /// The roster does not list this node.
    NotListed = 28,
    /// Something that has no number of its own yet.
    Other = 29,
}

impl sealwire_result {
    const ALL: [Self; 30] = [
        Self::Ok,
        Self::NullPointer,
        Self::NotUtf8,
        Self::BadLength,
        Self::Absent,
        Self::Panicked,
        Self::InvalidName,
        Self::UnknownAgent,
        Self::TooLarge,
        Self::Malformed,
        Self::UnknownKey,
        Self::UnknownLane,
        Self::NotAuthentic,
        Self::UnknownSigner,
        Self::Revoked,
        Self::Misdirected,
        Self::Expired,
        Self::FromFuture,
        Self::Duplicate,
        Self::IdReused,
        Self::RosterBehind,
        Self::RosterConflict,
        Self::Denied,
        Self::AuditFailed,
        Self::Overloaded,
        Self::HomeFailed,
        Self::EntropyFailed,
        Self::Replaced,
        Self::NotListed,
        Self::Other,
    ];

    const fn name(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::NullPointer => "null pointer",
            Self::NotUtf8 => "not UTF-8",
            Self::BadLength => "bad length",
            Self::Absent => "absent",
            Self::Panicked => "panicked",
            Self::InvalidName => "invalid name",
            Self::UnknownAgent => "unknown agent",
            Self::TooLarge => "too large",
            Self::Malformed => "malformed",
            Self::UnknownKey => "unknown key",
            Self::UnknownLane => "unknown lane",
            Self::NotAuthentic => "not authentic",
            Self::UnknownSigner => "unknown signer",
            Self::Revoked => "revoked",
            Self::Misdirected => "misdirected",
            Self::Expired => "expired",
            Self::FromFuture => "from future",
            Self::Duplicate => "duplicate",
            Self::IdReused => "id reused",
            Self::RosterBehind => "roster behind",
            Self::RosterConflict => "roster conflict",
            Self::Denied => "denied",
            Self::AuditFailed => "audit failed",
            Self::Overloaded => "overloaded",
            Self::HomeFailed => "home failed",
            Self::EntropyFailed => "entropy failed",
            Self::Replaced => "replaced",
            Self::NotListed => "not listed",
            Self::Other => "other",
        }
    }
}

/// The name of a result, such as `not authentic`; valid for good. `SEALWIRE_RESULT_ABSENT` for a number that is none.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sealwire_result_name(result: u32, name: *mut sealwire_text) -> sealwire_result {
    guard(|| {
        // SAFETY: the rules of pointers.
        let name = unsafe { Output::new(name, "name") }?;
        let known = sealwire_result::ALL.iter().find(|known| **known as u32 == result).ok_or(Failure::absent("the number has no name"))?;
        name.set(known.name().into());
        Ok(())
    })
}

/// Why the last call of this thread that failed did so, in words and with the remedy, ending with a zero byte. Empty if none failed. What does
/// not fit into `capacity` bytes (1 at least) is cut off. It holds nothing secret.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sealwire_error_message(message: *mut c_char, capacity: usize) -> sealwire_result {
    guard(|| {
        // SAFETY: the rules of pointers.
        let buffer = unsafe { Buffer::new(message, capacity, 1, "message") }?;
        LAST.with_borrow(|last| buffer.write(last));
        Ok(())
    })
}

thread_local! {
    static LAST: RefCell<String> = const { RefCell::new(String::new()) };
}

/// Why a call failed.
#[derive(Debug)]
pub(crate) struct Failure {
    result: sealwire_result,
    text: String,
}

impl Failure {
    pub(crate) fn new(result: sealwire_result, text: impl Into<String>) -> Self {
        Self { result, text: text.into() }
    }

    pub(crate) fn null(what: &str) -> Self {
        Self::new(sealwire_result::NullPointer, format!("`{what}` is NULL"))
    }

    pub(crate) fn absent(text: &str) -> Self {
        Self::new(sealwire_result::Absent, text)
    }

    fn of(result: sealwire_result, error: &impl Display) -> Self {
        Self::new(result, error.to_string())
    }
}

/// Runs the body of a call. Its failure is kept for [`sealwire_error_message`], and a panic ends here.
pub(crate) fn guard(body: impl FnOnce() -> Result<(), Failure>) -> sealwire_result {
    // What a panic leaves behind is told in the description of the result.
    let failure = match catch_unwind(AssertUnwindSafe(body)) {
        Ok(Ok(())) => return sealwire_result::Ok,
        Ok(Err(failure)) => failure,
        Err(_) => Failure::new(sealwire_result::Panicked, "an error in sealwire itself; please report it"),
    };
    // While a thread ends there is no place for words any more.
    let _unsaid = LAST.try_with(|last| last.replace(failure.text));
    failure.result
}

impl From<&OpenError> for sealwire_result {
    fn from(error: &OpenError) -> Self {
        match error {
            OpenError::Malformed(_) => Self::Malformed,
            OpenError::TooLarge { .. } => Self::TooLarge,
            OpenError::UnknownKey => Self::UnknownKey,
            OpenError::UnknownLane => Self::UnknownLane,
            OpenError::NotAuthentic => Self::NotAuthentic,
            OpenError::UnknownSigner => Self::UnknownSigner,
            OpenError::Revoked => Self::Revoked,
            OpenError::Misdirected => Self::Misdirected,
            OpenError::Expired { .. } => Self::Expired,
            OpenError::FromFuture { .. } => Self::FromFuture,
            OpenError::Duplicate(_) => Self::Duplicate,
            OpenError::IdReused(_) => Self::IdReused,
            OpenError::RosterBehind { .. } => Self::RosterBehind,
            OpenError::RosterConflict { .. } => Self::RosterConflict,
            OpenError::Denied(_) => Self::Denied,
            OpenError::AuditFailed(_) => Self::AuditFailed,
            OpenError::Overloaded(_) => Self::Overloaded,
            OpenError::Store(_) => Self::HomeFailed,
            OpenError::Entropy(_) => Self::EntropyFailed,
            _ => Self::Other,
        }
    }
}

impl From<OpenError> for Failure {
    fn from(error: OpenError) -> Self {
        Self::of((&error).into(), &error)
    }
}

impl From<SealError> for Failure {
    fn from(error: SealError) -> Self {
        let result = match error {
            SealError::NotHosted(_) | SealError::UnknownReader(_) => sealwire_result::UnknownAgent,
            SealError::ReaderExpired(_) => sealwire_result::Expired,
            SealError::Revoked(_) => sealwire_result::Revoked,
            SealError::Replaced(_) => sealwire_result::Replaced,
            SealError::Invalid(_) => sealwire_result::InvalidName,
            SealError::TooLarge { .. } => sealwire_result::TooLarge,
            SealError::Denied(_) => sealwire_result::Denied,
            SealError::AuditFailed(_) => sealwire_result::AuditFailed,
            SealError::Entropy(_) => sealwire_result::EntropyFailed,
            SealError::Store(_) => sealwire_result::HomeFailed,
            _ => sealwire_result::Other,
        };
        Self::of(result, &error)
    }
}

impl From<EndpointError> for Failure {
    fn from(error: EndpointError) -> Self {
        let result = match &error {
            EndpointError::Invalid(_) => sealwire_result::InvalidName,
            EndpointError::NotListed { .. } => sealwire_result::NotListed,
            EndpointError::NotAllowed(_) => sealwire_result::Revoked,
            EndpointError::Refused(refused) => refused.into(),
            EndpointError::Store(_) => sealwire_result::HomeFailed,
            EndpointError::Entropy(_) => sealwire_result::EntropyFailed,
            _ => sealwire_result::Other,
        };
        Self::of(result, &error)
    }
}

impl From<InvalidName> for Failure {
    fn from(error: InvalidName) -> Self {
        Self::of(sealwire_result::InvalidName, &error)
    }
}

impl From<StoreFailed> for Failure {
    fn from(error: StoreFailed) -> Self {
        Self::of(sealwire_result::HomeFailed, &error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_number_has_a_name_of_its_own() {
        for (number, result) in sealwire_result::ALL.into_iter().enumerate() {
            assert_eq!(result as usize, number);
            assert_eq!(sealwire_result::ALL.iter().filter(|other| other.name() == result.name()).count(), 1);
        }
        assert_eq!(sealwire_result::Other as usize, sealwire_result::ALL.len() - 1);
    }

    #[test]
    #[allow(clippy::panic, reason = "what is tested")]
    fn a_panic_becomes_a_result_and_says_nothing_of_itself() {
        assert_eq!(guard(|| panic!("a secret")), sealwire_result::Panicked);
        LAST.with_borrow(|last| assert!(last.starts_with("an error in sealwire itself") && !last.contains("secret")));
        assert_eq!(guard(|| Ok(())), sealwire_result::Ok);
    }
}
