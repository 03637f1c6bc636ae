//! [`Inboxes`]: parcels that have arrived, by reader, until they are acknowledged.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::sync::Notify;

use super::receipts::Receipts;
use crate::{
    address::Address,
    transport::{Delivery, TransportError},
};

/// Parcels held for one reader, waiting or in its hands: some seconds of work for a fast one.
const MAX_HELD: usize = 1024;

/// Bytes held for one reader: two of the largest parcels, or the 1,024 above at 32 KiB.
const MAX_HELD_BYTES: usize = 32 * 1024 * 1024;

/// Bytes held for all readers, so that a small machine lives on when many of them stop.
const MAX_ALL_BYTES: usize = 64 * 1024 * 1024;

/// What has arrived for the readers of this process.
#[derive(Default)]
pub(super) struct Inboxes(Mutex<State>);

#[derive(Default)]
struct State {
    of: HashMap<Address, Inbox>,
    bytes: usize,
    arrivals: u64,
    closed: bool,
}

#[derive(Default)]
struct Inbox {
    /// By number of arrival: what comes back finds its place again.
    waiting: BTreeMap<u64, Arrived>,
    held: usize,
    bytes: usize,
    /// Somebody has asked for this reader's parcels: only then are those of others taken.
    read: bool,
    news: Arc<Notify>,
    room: Arc<Notify>,
}

/// A parcel, and who waits to hear that it was processed.
pub(super) struct Arrived {
    pub(super) bytes: Vec<u8>,
    pub(super) receipt: Option<(Arc<Receipts>, u64)>,
}

impl Inboxes {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a parcel from another process; `false` if its reader is not here or has no room.
    pub(super) fn put(&self, to: &Address, bytes: Vec<u8>, receipts: &Arc<Receipts>, number: u64) -> bool {
        let mut state = self.lock();
        let known = state.of.get(to).is_some_and(|inbox| inbox.read);
        if !known || !state.has_room(to, bytes.len()) {
            return false;
        }
        receipts.hold(number);
        state.insert(to, Arrived { bytes, receipt: Some((Arc::clone(receipts), number)) });
        true
    }

    /// Takes a parcel from this process; gives it back with what to wait for if there is no room.
    pub(super) fn put_own(&self, to: &Address, bytes: Vec<u8>) -> Result<(), (Vec<u8>, Arc<Notify>)> {
        let mut state = self.lock();
        if !state.has_room(to, bytes.len()) {
            let room = state.of.get(to).map(|inbox| Arc::clone(&inbox.room)).unwrap_or_default();
            return Err((bytes, room));
        }
        state.insert(to, Arrived { bytes, receipt: None });
        Ok(())
    }

    /// Waits for the next parcel for `reader`.
    pub(super) async fn next(self: &Arc<Self>, reader: &Address) -> Result<StreamDelivery, TransportError> {
        let news = {
            let mut state = self.lock();
            let inbox = state.of.entry(reader.clone()).or_default();
            inbox.read = true;
            Arc::clone(&inbox.news)
        };
        loop {
            let mut woken = core::pin::pin!(news.notified());
            woken.as_mut().enable();
            if let Some(delivery) = self.take(reader)? {
                return Ok(delivery);
            }
            woken.await;
        }
    }

    fn take(self: &Arc<Self>, reader: &Address) -> Result<Option<StreamDelivery>, TransportError> {
        let mut state = self.lock();
        if state.closed {
            return Err(TransportError::Closed);
        }
        let first = state.of.get_mut(reader).and_then(|inbox| inbox.waiting.pop_first());
        Ok(first.map(|first| StreamDelivery { arrived: Some(first), reader: reader.clone(), inboxes: Arc::clone(self) }))
    }

    pub(super) fn close(&self) {
        let mut state = self.lock();
        state.closed = true;
        for inbox in state.of.values_mut() {
            inbox.waiting.clear();
            inbox.news.notify_waiters();
            inbox.room.notify_waiters();
        }
    }

    fn put_back(&self, reader: &Address, (number, arrived): (u64, Arrived)) {
        let mut state = self.lock();
        if state.closed {
            return;
        }
        if let Some(inbox) = state.of.get_mut(reader) {
            inbox.waiting.insert(number, arrived);
            inbox.news.notify_one();
        }
    }

    /// Makes room for as many bytes; [`TransportError::Closed`] when nobody can be told any more.
    fn free(&self, reader: &Address, bytes: usize) -> Result<(), TransportError> {
        let mut state = self.lock();
        state.bytes = state.bytes.saturating_sub(bytes);
        if let Some(inbox) = state.of.get_mut(reader) {
            inbox.held = inbox.held.saturating_sub(1);
            inbox.bytes = inbox.bytes.saturating_sub(bytes);
            inbox.room.notify_waiters();
        }
        if state.closed { Err(TransportError::Closed) } else { Ok(()) }
    }
}

impl State {
    fn has_room(&mut self, to: &Address, bytes: usize) -> bool {
        let all = self.bytes + bytes <= MAX_ALL_BYTES;
        let inbox = self.of.entry(to.clone()).or_default();
        all && inbox.held < MAX_HELD && inbox.bytes + bytes <= MAX_HELD_BYTES
    }

    fn insert(&mut self, to: &Address, arrived: Arrived) {
        self.arrivals += 1;
        self.bytes += arrived.bytes.len();
        let number = self.arrivals;
        let inbox = self.of.entry(to.clone()).or_default();
        inbox.held += 1;
        inbox.bytes += arrived.bytes.len();
        inbox.waiting.insert(number, arrived);
        inbox.news.notify_one();
    }
}

/// Parcels a reader is held at most, for the error that says so.
pub(super) const LIMIT: usize = MAX_HELD;

/// A parcel that a [`Streams`](super::Streams) has received.
pub struct StreamDelivery {
    arrived: Option<(u64, Arrived)>,
    reader: Address,
    inboxes: Arc<Inboxes>,
}

impl Delivery for StreamDelivery {
    fn bytes(&self) -> &[u8] {
        self.arrived.as_ref().map(|(_, arrived)| arrived.bytes.as_slice()).unwrap_or_default()
    }

    async fn acknowledge(mut self) -> Result<(), TransportError> {
        let Some((_, arrived)) = self.arrived.take() else { return Ok(()) };
        self.inboxes.free(&self.reader, arrived.bytes.len())?;
        if let Some((receipts, number)) = arrived.receipt {
            receipts.done(number);
        }
        Ok(())
    }
}

impl Drop for StreamDelivery {
    fn drop(&mut self) {
        if let Some(arrived) = self.arrived.take() {
            self.inboxes.put_back(&self.reader, arrived);
        }
    }
}

impl core::fmt::Debug for StreamDelivery {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "StreamDelivery({} bytes)", self.bytes().len())
    }
}
