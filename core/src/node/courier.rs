//! Couriers: one task for each address that something goes to. A destination that is slow or down holds up nobody else.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use tokio::{
    sync::mpsc,
    time::{Duration, Instant, sleep, timeout},
};

use tracing::Instrument;

use crate::{
    address::Address,
    transport::{Parcel, Transport, TransportError},
};

/// Parcels that wait for one destination: all messages that may be under way, and as many replies as handlers make at a time. What comes
/// beyond them is left to be sealed anew.
const MAX_WAITING: usize = super::MAX_FLIGHTS + 1024;

/// Bytes that wait for one destination: those of all messages that may be under way.
const MAX_WAITING_BYTES: usize = super::MAX_FLIGHT_ROOM * 1024;

/// Destinations at a time: as many as peers are known.
const MAX_COURIERS: usize = crate::limits::MAX_PEERS;

/// A courier that had nothing to do for so long goes home.
const IDLE: Duration = Duration::from_secs(60);

/// First and longest pause after the transport took nothing over.
const PAUSES: [Duration; 2] = [Duration::from_millis(10), Duration::from_secs(1)];

/// How long a parcel is offered to a transport that does not take it. Then it is old: the message is sealed anew, if it still matters.
const PATIENCE: Duration = Duration::from_secs(10);

struct Waiting {
    parcels: mpsc::Sender<Parcel>,
    bytes: Arc<Mutex<usize>>,
}

/// Gives parcels to the transport, in order for each destination.
pub(super) struct Couriers<T> {
    transport: Arc<T>,
    of: Mutex<HashMap<Address, Waiting>>,
}

impl<T: Transport + 'static> Couriers<T> {
    pub(super) fn new(transport: Arc<T>) -> Self {
        Self { transport, of: Mutex::default() }
    }

    /// Takes a parcel for `to`, or leaves it: delivery is tried, never promised.
    pub(super) fn carry(&self, to: &Address, parcel: Parcel) {
        let mut of = self.of.lock().unwrap_or_else(PoisonError::into_inner);
        let parcel = match of.get(to) {
            Some(waiting) => {
                let Some(parcel) = offer(waiting, parcel) else { return };
                parcel
            }
            None => parcel,
        };
        if of.len() >= MAX_COURIERS {
            of.retain(|_, waiting| !waiting.parcels.is_closed());
            if of.len() >= MAX_COURIERS {
                return;
            }
        }
        let (parcels, arriving) = mpsc::channel(MAX_WAITING);
        let waiting = Waiting { parcels, bytes: Arc::default() };
        tokio::spawn(run(Arc::clone(&self.transport), to.clone(), arriving, Arc::clone(&waiting.bytes)));
        let _first = offer(&waiting, parcel);
        of.insert(to.clone(), waiting);
    }
}

impl<T: Transport + 'static> Couriers<T> {
    /// Waits until nothing waits for any destination, for at most `patience`.
    pub(super) async fn flush(&self, patience: Duration) {
        let until = Instant::now() + patience;
        let waits = || {
            let of = self.of.lock().unwrap_or_else(PoisonError::into_inner);
            of.values().any(|waiting| *waiting.bytes.lock().unwrap_or_else(PoisonError::into_inner) > 0)
        };
        while waits() && Instant::now() < until {
            sleep(PAUSES[0]).await;
        }
    }
}

/// Queues a parcel; gives it back if the courier has gone home.
fn offer(waiting: &Waiting, parcel: Parcel) -> Option<Parcel> {
    let size = parcel.as_bytes().len();
    let mut bytes = waiting.bytes.lock().unwrap_or_else(PoisonError::into_inner);
    if *bytes > 0 && *bytes + size > MAX_WAITING_BYTES {
        return None;
    }
    match waiting.parcels.try_send(parcel) {
        Ok(()) => *bytes += size,
        Err(mpsc::error::TrySendError::Full(_)) => {}
        Err(mpsc::error::TrySendError::Closed(parcel)) => return Some(parcel),
    }
    None
}

async fn run<T: Transport>(transport: Arc<T>, to: Address, mut arriving: mpsc::Receiver<Parcel>, bytes: Arc<Mutex<usize>>) {
    while let Ok(Some(parcel)) = timeout(IDLE, arriving.recv()).await {
        let size = parcel.as_bytes().len();
        let outcome = deliver(&*transport, &to, parcel).instrument(tracing::debug_span!("send", %to, size)).await;
        *bytes.lock().unwrap_or_else(PoisonError::into_inner) -= size;
        if outcome == Err(TransportError::Closed) {
            return;
        }
    }
}

async fn deliver<T: Transport>(transport: &T, to: &Address, parcel: Parcel) -> Result<(), TransportError> {
    let (since, [mut pause, longest]) = (Instant::now(), PAUSES);
    loop {
        match transport.send(to, parcel.clone()).await {
            Err(TransportError::Closed) => return Err(TransportError::Closed),
            Err(error) if since.elapsed() < PATIENCE => {
                tracing::debug!(%to, %error, "the transport took nothing over; trying again");
                sleep(pause).await;
                pause = (pause * 2).min(longest);
            }
            other => return other,
        }
    }
}
