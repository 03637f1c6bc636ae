//! [`Failure`]: what a person reads when a command did not do what it was asked, and the exit code that goes with it.

use crate::{NOT_STARTED, REFUSED};

/// What, where and what to do, in one sentence.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Failure {
    pub(crate) message: String,
    pub(crate) code: u8,
}

impl Failure {
    /// It was refused, or did not work.
    pub(crate) fn refused(message: impl ToString) -> Self {
        Self { message: message.to_string(), code: REFUSED }
    }

    /// It could not be started.
    pub(crate) fn not_started(message: impl ToString) -> Self {
        Self { message: message.to_string(), code: NOT_STARTED }
    }
}
