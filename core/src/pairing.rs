//! Pairing: a node joins a domain by an invite (SPEC.md, "Pairing").
//!
//! An [`Invite`] is one line of text: the domain, a secret that serves once, and where to call. Whoever knows the secret proves it by a code over
//! the whole conversation, both ways; the roster travels under a key from the secret and a fresh exchange, so that an invite that is found later
//! opens no recording. No server, no account, no trust on first use.
//!
//! ```text
//!  joiner                                                                inviter
//!    1  invite id, nonce, one-time public key                     ->
//!    2                                  <-  nonce, encapsulation, {time, first root}
//!    3  {time, signed request: name, key, patterns, addresses}    ->      checks; spends the invite on disk; signs the next roster
//!    4                                  <-  {roster, or why not}
//!    5  (kept)                                                    ->
//! ```
//! Braces are encrypted. Each message ends with a proof over all that was said before it and itself.
//!
//! [`joiner`] and [`inviter`] are the two sides, bytes in and bytes out; [`Offer`] and [`join`] run them over TCP, with a home each.

use core::fmt;

use crate::{
    address::InvalidName,
    cbor::Malformed,
    endpoint::EndpointError,
    error::{EntropyFailed, OpenError, Seconds, StoreFailed},
};

mod enrol;
mod invite;
pub mod inviter;
mod join;
pub mod joiner;
mod message;
mod offer;
mod schedule;
mod stream;

pub use enrol::enrol;
pub use invite::Invite;
pub use join::{Join, Joined, join};
pub use offer::{Admitted, Offer, Terms};

/// Seconds an invite is good for unless something else is said: to walk from one machine to the other.
pub const INVITE_LIFETIME: u64 = 10 * 60;

/// Seconds the longest invite is good for: an invite that is mailed today and used tomorrow has been seen by too many.
pub const MAX_INVITE_LIFETIME: u64 = 24 * 60 * 60;

/// Addresses in an invite: what fits a QR code that a terminal can show.
pub const MAX_INVITE_ADDRESSES: usize = 4;

/// Port an invite waits at unless something else is said: next to that of envelopes.
pub const PAIRING_PORT: u16 = 7452;

/// Port of envelopes, for the address a node announces by itself.
pub const ENVELOPE_PORT: u16 = 7451;

/// Size in bytes of a message other than the one with the roster: the longest request has 64 patterns and 4 addresses and takes 5 KiB.
pub const MAX_MESSAGE: usize = 8 * 1024;

/// Seconds one connection may take once it has proven the secret: five short messages and two public-key operations, on a slow machine over a bad line.
pub const CONNECTION_TIME: u64 = 15;

/// Seconds a connection has to prove the secret: the first message comes at once, and who holds a place without it keeps others out.
pub const HELLO_TIME: u64 = 4;

/// Connections an open invite serves at once: one is needed, the others are mistakes or worse. More are closed unheard.
pub const MAX_CONNECTIONS: usize = 8;

/// Tries without the secret after which an invite is withdrawn. The secret cannot be guessed; but somebody is trying, and it should be known.
pub const MAX_FAILED_TRIES: u32 = 1000;

/// Seconds a joiner goes on trying: an invite that waits answers at once, and a machine that is just starting gets its network in that time.
pub const JOIN_TIME: u64 = 30;

/// Why two nodes did not pair.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum PairingError {
    /// The text is no whole invite: something was left out or altered when it was copied.
    Mistyped(&'static str),
    /// The invite is of a version this one does not know.
    LaterVersion,
    /// Nobody answered at any of its addresses; what was tried, and how it failed.
    Unreachable(String),
    /// Who waits at the address does not wait for this invite.
    UnknownInvite,
    /// The other side serves as many connections as it can.
    Busy,
    /// Not of the protocol.
    Malformed(Malformed),
    /// What came does not prove the invite's secret: altered on the way, or somebody stands in between.
    NotAuthentic,
    /// The invite is over.
    Expired {
        /// Seconds since, by the inviter's clock.
        by: u64,
    },
    /// The invite was used by another machine.
    Used,
    /// The joiner's clock is ahead of the inviter's by more than two may differ.
    ClockAhead {
        /// Seconds.
        by: u64,
    },
    /// The joiner's clock is behind.
    ClockBehind {
        /// Seconds.
        by: u64,
    },
    /// Another node has that name.
    NameTaken(String),
    /// The node asks to host what the invite does not allow.
    OutsidePattern {
        /// What it asks for.
        wanted: String,
        /// What the invite allows.
        allowed: String,
    },
    /// The key of the joining node is revoked.
    Revoked,
    /// The roster that came is not of the domain the invite names.
    OtherRoot,
    /// The roster that came was refused.
    Roster(OpenError),
    /// The roster that came does not list this node as it asked.
    NotListed,
    /// The inviter could not do it; it says why on its own screen.
    InviterFailed,
    /// Somebody tried too often without the secret; the invite was withdrawn.
    TooManyTries,
    /// The connection was lost before it was said that the node was listed. The same invite finishes it from the same home.
    Cut(String),
    /// The invite was used, but it was not said that the roster arrived.
    NotConfirmed {
        /// The node that is listed now.
        node: String,
    },
    /// A name, pattern or address is not of its form.
    Invalid(InvalidName),
    /// The home failed.
    Store(StoreFailed),
    /// The source of randomness failed.
    Entropy(EntropyFailed),
}

impl fmt::Display for PairingError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Mistyped(what) => write!(f, "the invite is mistyped or cut off ({what}): copy the whole line again"),
            Self::LaterVersion => f.write_str("the invite is of a later version than this sealwire knows: update it"),
            Self::Unreachable(tried) => write!(
                f,
                "nobody answers at {tried}: is `sealwire invite` still waiting there, and does a firewall let its port through? `--at` names \
                 another address"
            ),
            Self::UnknownInvite => {
                f.write_str("who waits there waits for another invite: this one was withdrawn, or was used; make a new one with `sealwire invite`")
            }
            Self::Busy => f.write_str("the inviter serves too many connections at once; try again"),
            Self::Malformed(malformed) => write!(f, "what answers there does not speak sealwire's pairing: {malformed}"),
            Self::NotAuthentic => f.write_str(
                "the other side does not prove the invite's secret: the conversation was altered, or somebody stands in between; nothing was exchanged",
            ),
            Self::Expired { by } => write!(f, "the invite ended {} ago; make a new one with `sealwire invite`", Seconds(*by)),
            Self::Used => f.write_str(
                "the invite was used by another machine; if that was not you, revoke that node at once with `sealwire revoke`; then make a new invite",
            ),
            Self::ClockAhead { by } => write!(f, "the joining machine's clock is {} ahead of the inviter's; {CLOCKS}", Seconds(*by)),
            Self::ClockBehind { by } => write!(f, "the joining machine's clock is {} behind the inviter's; {CLOCKS}", Seconds(*by)),
            Self::NameTaken(node) => write!(
                f,
                "there is a node `{node}` with another key: choose another name, or, if that node is gone, `sealwire revoke {node}` and invite again"
            ),
            Self::OutsidePattern { wanted, allowed } => {
                write!(f, "the node asks to host `{wanted}`, but the invite allows {allowed}; ask for less, or make an invite with --agents")
            }
            Self::Revoked => f.write_str("the key of this node is revoked; remove its home, and join anew with a new invite"),
            Self::OtherRoot => f.write_str("the other side's root key is not the one the invite names"),
            Self::Roster(error) => write!(f, "the roster that came was refused: {error}"),
            Self::NotListed => f.write_str("the roster that came does not list this node with its name and key"),
            Self::InviterFailed => f.write_str("the inviter could not list this node; its screen says why"),
            Self::TooManyTries => write!(f, "{MAX_FAILED_TRIES} tries without the invite's secret: somebody is knocking; the invite was withdrawn"),
            Self::Cut(how) => write!(
                f,
                "the connection was lost ({how}); run the same command again: until the invite ends, this machine can finish with it"
            ),
            Self::NotConfirmed { node } => write!(
                f,
                "`{node}` was listed, but it did not say that the roster arrived: look there with `sealwire members`; if it has not joined, \
                 `sealwire invite {node}` again lets the same machine finish"
            ),
            Self::Invalid(invalid) => write!(f, "{invalid}"),
            Self::Store(error) => write!(f, "{error}"),
            Self::Entropy(error) => write!(f, "{error}"),
        }
    }
}

const CLOCKS: &str = "they may differ by 2 min: set the wrong one, then try again";

impl std::error::Error for PairingError {}

impl From<Malformed> for PairingError {
    fn from(malformed: Malformed) -> Self {
        Self::Malformed(malformed)
    }
}

impl From<InvalidName> for PairingError {
    fn from(invalid: InvalidName) -> Self {
        Self::Invalid(invalid)
    }
}

impl From<StoreFailed> for PairingError {
    fn from(error: StoreFailed) -> Self {
        Self::Store(error)
    }
}

impl From<EntropyFailed> for PairingError {
    fn from(error: EntropyFailed) -> Self {
        Self::Entropy(error)
    }
}

impl From<EndpointError> for PairingError {
    fn from(error: EndpointError) -> Self {
        match error {
            EndpointError::Invalid(invalid) => Self::Invalid(invalid),
            EndpointError::Entropy(error) => Self::Entropy(error),
            EndpointError::Store(error) => Self::Store(error),
            other => Self::Store(StoreFailed(other.to_string())),
        }
    }
}

#[cfg(test)]
mod attacks;
#[cfg(test)]
mod tests;
