//! Errors of the core as the exceptions of `sealwire.exceptions`.

use pyo3::{import_exception, prelude::*};
use sealwire::{EndpointError, InvalidName as Invalid, OpenError, SealError, node::NodeError};

import_exception!(sealwire.exceptions, AuditFailed);
import_exception!(sealwire.exceptions, Denied);
import_exception!(sealwire.exceptions, Duplicate);
import_exception!(sealwire.exceptions, Expired);
import_exception!(sealwire.exceptions, FromFuture);
import_exception!(sealwire.exceptions, HomeError);
import_exception!(sealwire.exceptions, IdReused);
import_exception!(sealwire.exceptions, InvalidName);
import_exception!(sealwire.exceptions, Malformed);
import_exception!(sealwire.exceptions, Misdirected);
import_exception!(sealwire.exceptions, NotAuthentic);
import_exception!(sealwire.exceptions, Overloaded);
import_exception!(sealwire.exceptions, Revoked);
import_exception!(sealwire.exceptions, RemoteError);
import_exception!(sealwire.exceptions, SealwireError);
import_exception!(sealwire.exceptions, TooLarge);
import_exception!(sealwire.exceptions, TransportError);
import_exception!(sealwire.exceptions, UnknownAgent);
import_exception!(sealwire.exceptions, UnknownKey);
import_exception!(sealwire.exceptions, UnknownLane);
import_exception!(sealwire.exceptions, UnknownSigner);
import_exception!(sealwire.exceptions, Unreachable);

/// An error of the core on its way to Python.
pub(crate) struct Raised(PyErr);

impl From<Raised> for PyErr {
    fn from(raised: Raised) -> Self {
        raised.0
    }
}

impl From<PyErr> for Raised {
    fn from(error: PyErr) -> Self {
        Self(error)
    }
}

impl From<SealError> for Raised {
    fn from(error: SealError) -> Self {
        let text = error.to_string();
        Self(match error {
            SealError::NotHosted(_) | SealError::UnknownReader(_) => UnknownAgent::new_err(text),
            SealError::ReaderExpired(_) => Expired::new_err(text),
            SealError::Revoked(_) => Revoked::new_err(text),
            SealError::Invalid(_) => InvalidName::new_err(text),
            SealError::TooLarge { .. } => TooLarge::new_err(text),
            SealError::Denied(_) => Denied::new_err(text),
            SealError::AuditFailed(_) => AuditFailed::new_err(text),
            SealError::Store(_) => HomeError::new_err(text),
            _ => SealwireError::new_err(text),
        })
    }
}

impl From<OpenError> for Raised {
    fn from(error: OpenError) -> Self {
        let text = error.to_string();
        Self(match error {
            OpenError::Malformed(_) => Malformed::new_err(text),
            OpenError::TooLarge { .. } => TooLarge::new_err(text),
            OpenError::UnknownKey => UnknownKey::new_err(text),
            OpenError::UnknownLane => UnknownLane::new_err(text),
            OpenError::NotAuthentic => NotAuthentic::new_err(text),
            OpenError::UnknownSigner | OpenError::RosterBehind { .. } => UnknownSigner::new_err(text),
            OpenError::Revoked => Revoked::new_err(text),
            OpenError::Misdirected => Misdirected::new_err(text),
            OpenError::Expired { .. } => Expired::new_err(text),
            OpenError::FromFuture { .. } => FromFuture::new_err(text),
            OpenError::Duplicate(_) => Duplicate::new_err(text),
            OpenError::IdReused(_) => IdReused::new_err(text),
            OpenError::Denied(_) => Denied::new_err(text),
            OpenError::AuditFailed(_) => AuditFailed::new_err(text),
            OpenError::Overloaded(_) => Overloaded::new_err(text),
            OpenError::Store(_) => HomeError::new_err(text),
            _ => SealwireError::new_err(text),
        })
    }
}

impl From<EndpointError> for Raised {
    fn from(error: EndpointError) -> Self {
        let text = error.to_string();
        Self(match error {
            EndpointError::Invalid(_) => InvalidName::new_err(text),
            EndpointError::NotAllowed(_) => Revoked::new_err(text),
            EndpointError::Refused(error) => return error.into(),
            EndpointError::Store(_) => HomeError::new_err(text),
            _ => SealwireError::new_err(text),
        })
    }
}

impl Raised {
    /// Why a home cannot be used, or nothing could be paired with it.
    pub(crate) fn home(error: impl ToString) -> Self {
        Self(HomeError::new_err(error.to_string()))
    }

    /// What the network said.
    pub(crate) fn transport(error: &std::io::Error) -> Self {
        Self(TransportError::new_err(error.to_string()))
    }
}

impl From<NodeError> for Raised {
    fn from(error: NodeError) -> Self {
        let text = error.to_string();
        Self(match error {
            NodeError::Host(error) => return error.into(),
            NodeError::Seal(error) => return error.into(),
            NodeError::Unreachable(_) | NodeError::Deadline => Unreachable::new_err(text),
            NodeError::Failed(_) | NodeError::NoReply => RemoteError::new_err(text),
            NodeError::Reserved(_) => InvalidName::new_err(text),
            NodeError::Overloaded => Overloaded::new_err(text),
            NodeError::Store(_) => HomeError::new_err(text),
            NodeError::Closed => TransportError::new_err(text),
            _ => SealwireError::new_err(text),
        })
    }
}

impl From<sealwire::TransportError> for Raised {
    fn from(error: sealwire::TransportError) -> Self {
        Self(match error {
            sealwire::TransportError::Failed(text) => TransportError::new_err(text),
            other => TransportError::new_err(other.to_string()),
        })
    }
}

impl From<Invalid> for Raised {
    fn from(error: Invalid) -> Self {
        Self(InvalidName::new_err(error.to_string()))
    }
}
