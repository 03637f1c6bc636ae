//! [`IdentityKeys`]: signing keys that another process holds, and what stands for a key here wherever it is.

use core::fmt;
use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
};

use crate::key::{SigningKey, VerifyingKey};

/// Where signing keys live when not in this process: a signing agent, a KMS, hardware.
///
/// An `identity` is an agent (`researcher@pi1`) or a node (`pi1`). What is signed is always the `Sig_structure` of COSE (RFC 9052, section
/// 4.4), or, with a node's key, a TLS 1.3 handshake; `docs/SPEC.md`, "Keys", has the first bytes. Each signature is verified here
/// before it is used: whoever answers with another one only prevents work.
///
/// A call blocks whoever seals, so it should give up within seconds. Receive keys and lanes stay in this process, where messages are
/// opened: who breaks into it reads what comes, but cannot take the signing keys along.
///
/// See `core/examples/signing_agent.rs` for one over a Unix socket.
pub trait IdentityKeys: Send + Sync {
    /// The public key of an identity; it is the same each time. Whether one that is new is given a key is for the keeper of the keys to say.
    ///
    /// # Errors
    /// In words; the agent is then not hosted.
    fn verifying_key(&self, identity: &str) -> Result<VerifyingKey, String>;

    /// Signs `message` with the key of an identity: Ed25519 as in RFC 8032, section 5.1.6, without prehashing.
    ///
    /// # Errors
    /// In words; nothing is sealed or certified then.
    fn sign(&self, identity: &str, message: &[u8]) -> Result<[u8; 64], String>;
}

/// Why a key that is elsewhere did not sign.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct KeysFailed(pub(crate) String);

impl fmt::Display for KeysFailed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the signing key of {}", self.0)
    }
}

impl std::error::Error for KeysFailed {}

/// A signing key, here or elsewhere.
#[derive(Debug)]
pub(crate) enum Identity {
    Here(SigningKey),
    Elsewhere(Elsewhere),
}

/// A signing key that is elsewhere.
pub(crate) struct Elsewhere {
    keys: Arc<dyn IdentityKeys>,
    identity: String,
    public: VerifyingKey,
}

impl Identity {
    /// The key of `identity` that `keys` holds.
    pub(crate) fn elsewhere(keys: &Arc<dyn IdentityKeys>, identity: &str) -> Result<Self, KeysFailed> {
        let public = ask(identity, || keys.verifying_key(identity))?;
        Ok(Self::Elsewhere(Elsewhere { keys: Arc::clone(keys), identity: identity.into(), public }))
    }

    pub(crate) fn verifying_key(&self) -> &VerifyingKey {
        match self {
            Self::Here(key) => key.verifying_key(),
            Self::Elsewhere(key) => &key.public,
        }
    }

    pub(crate) fn sign(&self, message: &[u8]) -> Result<[u8; 64], KeysFailed> {
        match self {
            Self::Here(key) => Ok(key.sign(message)),
            Self::Elsewhere(key) => key.sign(message),
        }
    }
}

impl From<SigningKey> for Identity {
    fn from(key: SigningKey) -> Self {
        Self::Here(key)
    }
}

impl Elsewhere {
    /// A signature that is not of this key is refused here: no reader would take it, and each would say only that it is not authentic.
    fn sign(&self, message: &[u8]) -> Result<[u8; 64], KeysFailed> {
        let signature = ask(&self.identity, || self.keys.sign(&self.identity, message))?;
        if self.public.verify(message, &signature) {
            Ok(signature)
        } else {
            Err(failed(&self.identity, "a signature that is not of this key"))
        }
    }
}

impl fmt::Debug for Elsewhere {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Elsewhere({}, {})", self.identity, self.public.thumbprint())
    }
}

/// Asks whoever holds the keys; a panic is a failure like any other.
fn ask<T>(identity: &str, question: impl FnOnce() -> Result<T, String>) -> Result<T, KeysFailed> {
    let answered = catch_unwind(AssertUnwindSafe(question)).unwrap_or_else(|_| Err("who holds it panicked".into()));
    answered.map_err(|reason| failed(identity, &reason))
}

fn failed(identity: &str, reason: &str) -> KeysFailed {
    KeysFailed(format!("`{identity}` cannot be used: {reason}"))
}
