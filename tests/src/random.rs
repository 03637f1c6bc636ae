//! Randomness that a test vector prescribes.

use std::convert::Infallible;

use rand_core::{TryCryptoRng, TryRng};

/// Hands out the bytes it was given, once; panics when asked for more.
#[derive(Debug)]
pub struct Scripted {
    left: Vec<u8>,
}

impl Scripted {
    /// A generator whose whole output is `bytes`.
    #[must_use]
    pub fn new(bytes: &[u8]) -> Self {
        Self { left: bytes.to_vec() }
    }

    /// How many bytes have not been drawn.
    #[must_use]
    pub fn left(&self) -> usize {
        self.left.len()
    }
}

impl TryRng for Scripted {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        rand_core::utils::next_word_via_fill(self)
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        rand_core::utils::next_word_via_fill(self)
    }

    fn try_fill_bytes(&mut self, out: &mut [u8]) -> Result<(), Infallible> {
        assert!(out.len() <= self.left.len(), "{} bytes asked for, {} left", out.len(), self.left.len());
        out.copy_from_slice(&self.left[..out.len()]);
        self.left.drain(..out.len());
        Ok(())
    }
}

impl TryCryptoRng for Scripted {}
