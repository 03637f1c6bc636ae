//! [`Bad`]: a transport that loses, repeats and reorders, by a seed.

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicU32, Ordering},
};

use sealwire::{
    Address, Transport, TransportError,
    transport::{Memory, MemoryDelivery, Parcel},
};

/// Of 256 parcels, how many are lost, repeated and held back.
#[derive(Clone, Copy, Default)]
pub(crate) struct Rates {
    pub(crate) lost: u32,
    pub(crate) repeated: u32,
    pub(crate) held: u32,
}

#[derive(Clone)]
pub(crate) struct Bad {
    inner: Memory,
    rates: Rates,
    seed: Arc<Mutex<u64>>,
    held: Arc<Mutex<Vec<(Address, Parcel)>>>,
    pub(crate) sent: Arc<AtomicU32>,
}

impl Bad {
    pub(crate) fn new(seed: u64, rates: Rates) -> Self {
        Self { inner: Memory::new(), rates, seed: Arc::new(Mutex::new(seed)), held: Arc::default(), sent: Arc::default() }
    }

    /// xorshift: the same choices for the same seed and order of sending.
    fn draw(&self) -> u32 {
        let mut seed = self.seed.lock().unwrap();
        *seed ^= *seed << 13;
        *seed ^= *seed >> 7;
        *seed ^= *seed << 17;
        (*seed >> 32) as u32 % 256
    }
}

impl Transport for Bad {
    type Delivery = MemoryDelivery;

    async fn send(&self, to: &Address, parcel: Parcel) -> Result<(), TransportError> {
        self.sent.fetch_add(1, Ordering::Relaxed);
        if self.draw() < self.rates.lost {
            return Ok(());
        }
        if self.draw() < self.rates.held {
            self.held.lock().unwrap().push((to.clone(), parcel));
            return Ok(());
        }
        if self.draw() < self.rates.repeated {
            self.inner.send(to, parcel.clone()).await?;
        }
        let late = if self.draw() < 128 { self.held.lock().unwrap().pop() } else { None };
        self.inner.send(to, parcel).await?;
        match late {
            Some((to, parcel)) => self.inner.send(&to, parcel).await,
            None => Ok(()),
        }
    }

    async fn receive(&self, reader: &Address) -> Result<MemoryDelivery, TransportError> {
        self.inner.receive(reader).await
    }
}
