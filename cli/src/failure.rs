//! [`Failure`]: what a person reads when a command did not do what it was asked, and the exit code that goes with it.

use std::path::Path;

use sealwire::{EndpointError, Home, Membership, pairing::PairingError};

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

impl From<EndpointError> for Failure {
    fn from(error: EndpointError) -> Self {
        match error {
            EndpointError::Invalid(_) => Self::not_started(error),
            _ => Self::refused(error),
        }
    }
}

impl From<PairingError> for Failure {
    fn from(error: PairingError) -> Self {
        match error {
            PairingError::Invalid(_) | PairingError::Mistyped(_) => Self::not_started(error),
            _ => Self::refused(error),
        }
    }
}

/// The home at `path`, and what it knows of its domain.
pub(crate) fn membership(path: &Path) -> Result<(Home, Membership), Failure> {
    let home = Home::at(path).map_err(Failure::not_started)?;
    let membership = home.membership().map_err(Failure::refused)?;
    Ok((home, membership))
}
