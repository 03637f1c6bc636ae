//! Time and randomness, which come in from outside.

use crate::error::EntropyFailed;

/// A source of random bytes. The default is the operating system's.
///
/// Every salt and key is also bound to the message and to a key of the endpoint (SPEC.md, "Hedged randomness"), so a source that repeats
/// itself, as after a virtual machine was cloned, repeats a key only for an identical message.
pub trait Entropy: Send + Sync {
    /// Fills `out`.
    ///
    /// # Errors
    /// If the source cannot; nothing is sealed then.
    fn fill(&self, out: &mut [u8]) -> Result<(), EntropyFailed>;
}

/// A clock. The default is the operating system's.
pub trait Clock: Send + Sync {
    /// Seconds since 1970-01-01T00:00:00Z.
    fn now(&self) -> u64;
}

/// The operating system's randomness and time.
#[derive(Debug, Clone, Copy)]
pub(crate) struct System;

impl Entropy for System {
    fn fill(&self, out: &mut [u8]) -> Result<(), EntropyFailed> {
        getrandom::fill(out).map_err(|_| EntropyFailed)
    }
}

impl Clock for System {
    fn now(&self) -> u64 {
        // A clock before 1970 is as good as none: every message is from the future then, and refused.
        std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).map_or(0, |since| since.as_secs())
    }
}

pub(crate) fn random<const N: usize>(entropy: &dyn Entropy) -> Result<[u8; N], EntropyFailed> {
    let mut bytes = [0; N];
    entropy.fill(&mut bytes)?;
    Ok(bytes)
}
