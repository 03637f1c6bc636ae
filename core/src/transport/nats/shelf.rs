//! [`Shelf`]: parcels of one reader that have come from the server and are not processed yet.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use async_nats::{Message, jetstream::message::Acker};
use tokio::{
    sync::{Notify, OwnedSemaphorePermit, Semaphore, watch},
    time::Instant,
};

use crate::{
    address::Address,
    transport::{Delivery, TransportError},
};

/// KiB of parcels on one shelf: two of the largest.
pub(super) const ROOM: usize = 32 * 1024;

/// Parcels of one reader: those that wait and, by their numbers, those in hand.
pub(super) struct Shelf {
    state: Mutex<State>,
    news: Notify,
    taken: Notify,
    pub(super) room: Arc<Semaphore>,
    closing: watch::Receiver<bool>,
}

#[derive(Default)]
struct State {
    waiting: BTreeMap<u64, Message>,
    held: HashMap<u64, Held>,
    last: u64,
}

/// What is given back when a parcel was processed.
struct Held {
    acker: Option<Arc<Acker>>,
    since: Instant,
    _room: OwnedSemaphorePermit,
}

/// Shelves by reader.
pub(super) type Shelves = Mutex<HashMap<Address, Arc<Shelf>>>;

/// The room a parcel takes, at least one permit.
pub(super) fn room_for(bytes: usize) -> u32 {
    (bytes / 1024).clamp(1, ROOM) as u32
}

impl Shelf {
    pub(super) fn new(closing: watch::Receiver<bool>) -> Self {
        Self { state: Mutex::default(), news: Notify::new(), taken: Notify::new(), room: Arc::new(Semaphore::new(ROOM)), closing }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn put(&self, message: Message, acker: Option<Acker>, room: OwnedSemaphorePermit) {
        let mut state = self.lock();
        state.last += 1;
        let number = state.last;
        state.held.insert(number, Held { acker: acker.map(Arc::new), since: Instant::now(), _room: room });
        state.waiting.insert(number, message);
        self.news.notify_one();
    }

    /// Waits until fewer than `ahead` parcels wait, so that other processes of the reader get theirs.
    pub(super) async fn wanting(&self, ahead: usize) {
        while self.lock().waiting.len() >= ahead {
            self.taken.notified().await;
        }
    }

    /// Those to say about that they are being worked on, unless they have been here for longer than that is believed.
    pub(super) fn in_work(&self, longest: core::time::Duration) -> Vec<Arc<Acker>> {
        let state = self.lock();
        state.held.values().filter(|held| held.since.elapsed() < longest).filter_map(|held| held.acker.clone()).collect()
    }

    /// Acknowledges nothing of what is here: the server gives it again.
    pub(super) fn disown(&self) {
        self.lock().held.values_mut().for_each(|held| held.acker = None);
    }

    /// Empties it; returns what is to be given back to the server.
    pub(super) fn clear(&self) -> Vec<Arc<Acker>> {
        let mut state = self.lock();
        state.waiting.clear();
        state.held.drain().filter_map(|(_, held)| held.acker).collect()
    }

    pub(super) async fn next(self: &Arc<Self>) -> Result<NatsDelivery, TransportError> {
        let mut closing = self.closing.clone();
        loop {
            let mut news = core::pin::pin!(self.news.notified());
            news.as_mut().enable();
            if *closing.borrow_and_update() {
                return Err(TransportError::Closed);
            }
            if let Some((number, message)) = self.lock().waiting.pop_first() {
                self.taken.notify_one();
                return Ok(NatsDelivery { message: Some(message), number, shelf: Arc::clone(self) });
            }
            tokio::select! {
                () = news => {}
                _ = closing.changed() => {}
            }
        }
    }
}

/// A parcel that has come from a NATS server.
pub struct NatsDelivery {
    message: Option<Message>,
    number: u64,
    shelf: Arc<Shelf>,
}

impl Delivery for NatsDelivery {
    fn bytes(&self) -> &[u8] {
        self.message.as_ref().map(|message| message.payload.as_ref()).unwrap_or_default()
    }

    async fn acknowledge(mut self) -> Result<(), TransportError> {
        self.message = None;
        let held = self.shelf.lock().held.remove(&self.number);
        match held {
            Some(Held { acker: Some(acker), .. }) => {
                acker.ack().await.map_err(|error| TransportError::Failed(format!("an acknowledgement was not taken: {error}")))
            }
            Some(_) => Ok(()),
            None => Err(TransportError::Closed),
        }
    }
}

impl Drop for NatsDelivery {
    fn drop(&mut self) {
        let Some(message) = self.message.take() else { return };
        let mut state = self.shelf.lock();
        if state.held.contains_key(&self.number) {
            state.waiting.insert(self.number, message);
            self.shelf.news.notify_one();
        }
    }
}

impl core::fmt::Debug for NatsDelivery {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "NatsDelivery({} bytes)", self.bytes().len())
    }
}
