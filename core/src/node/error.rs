//! [`NodeError`]: why a message was not taken over, or a request has no reply.

use core::fmt;

use crate::{
    address::Address,
    endpoint::EndpointError,
    error::{SealError, StoreFailed},
};

/// Why a message was not taken over, or a request has no reply.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum NodeError {
    /// The agent cannot be hosted.
    Host(EndpointError),
    /// It could not be sealed, now or anew.
    Seal(SealError),
    /// Nobody answered for that agent, so there is no certificate to seal with.
    Unreachable(Address),
    /// The deadline passed. The other side was told that nobody waits any more; it may have done the work all the same.
    Deadline,
    /// The handler refused or failed, in its own words.
    Failed(String),
    /// It was processed, and its handler had nothing to say.
    NoReply,
    /// This kind is the protocol's own.
    Reserved(String),
    /// The node has too much under way; wait, or send less at once.
    Overloaded,
    /// No such request is outstanding here.
    NotOutstanding,
    /// The reply is of an agent that was revoked since.
    Revoked(Address),
    /// There is no tokio runtime here.
    NoRuntime,
    /// The home failed.
    Store(StoreFailed),
    /// The node was closed.
    Closed,
}

impl fmt::Display for NodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Host(error) => write!(f, "{error}"),
            Self::Seal(error) => write!(f, "{error}"),
            Self::Unreachable(address) => {
                write!(f, "nobody answered for `{address}` in time; check that its node runs and that the transport reaches it")
            }
            Self::Deadline => f.write_str("the deadline passed without a reply"),
            Self::Failed(reason) => write!(f, "the other agent could not do it: {reason}"),
            Self::NoReply => f.write_str("it was processed, and the other agent had no reply"),
            Self::Reserved(kind) => write!(f, "the kind `{kind}` is the protocol's own; choose another"),
            Self::Overloaded => f.write_str("as many messages are under way as may be; wait, or send less at once"),
            Self::NotOutstanding => f.write_str("no such request is outstanding here"),
            Self::Revoked(address) => write!(f, "the reply is of `{address}`, which was revoked since"),
            Self::NoRuntime => f.write_str("a node runs in a tokio runtime; build it inside one"),
            Self::Store(error) => write!(f, "{error}"),
            Self::Closed => f.write_str("the node is closed"),
        }
    }
}

impl std::error::Error for NodeError {}

impl From<SealError> for NodeError {
    fn from(error: SealError) -> Self {
        Self::Seal(error)
    }
}

impl From<StoreFailed> for NodeError {
    fn from(error: StoreFailed) -> Self {
        Self::Store(error)
    }
}

impl From<EndpointError> for NodeError {
    fn from(error: EndpointError) -> Self {
        Self::Host(error)
    }
}
