//! Time and randomness that a test prescribes to an endpoint.

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicU64, Ordering},
};

use sealwire::{Clock, Entropy, EntropyFailed};

/// A clock that a test sets.
#[derive(Clone, Debug)]
pub struct Hands(Arc<AtomicU64>);

impl Hands {
    /// A clock that stands at `time`.
    #[must_use]
    pub fn at(time: u64) -> Self {
        Self(Arc::new(AtomicU64::new(time)))
    }

    /// Sets it.
    pub fn set(&self, time: u64) {
        self.0.store(time, Ordering::SeqCst);
    }

    /// So many seconds pass.
    pub fn forward(&self, seconds: u64) {
        self.0.fetch_add(seconds, Ordering::SeqCst);
    }
}

impl Clock for Hands {
    fn now(&self) -> u64 {
        self.0.load(Ordering::SeqCst)
    }
}

/// Randomness that a test says in advance; when it is used up, bytes nobody depends on.
#[derive(Clone, Debug, Default)]
pub struct Script(Arc<Mutex<Vec<u8>>>);

impl Script {
    /// Adds what is drawn next.
    pub fn say(&self, bytes: &[u8]) {
        self.0.lock().unwrap().extend(bytes);
    }
}

impl Entropy for Script {
    fn fill(&self, out: &mut [u8]) -> Result<(), EntropyFailed> {
        let mut left = self.0.lock().unwrap();
        if left.is_empty() {
            out.fill(0xa5);
            return Ok(());
        }
        out.copy_from_slice(&left[..out.len()]);
        left.drain(..out.len());
        Ok(())
    }
}
