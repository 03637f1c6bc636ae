//! [`Nats`]: parcels through a NATS server that keeps nothing.

use std::sync::{Arc, PoisonError};

use async_nats::{
    Client, Message,
    client::{Request, RequestErrorKind},
};
use futures_util::StreamExt;
use tokio::sync::watch;

use super::{
    ANSWER, NatsDelivery, Server, check_size,
    shelf::{ROOM, Shelf, Shelves, room_for},
};
use crate::{
    address::Address,
    limits::MAX_PARCEL,
    transport::{Parcel, Transport, TransportError},
};

/// Messages of one subject the client keeps while its shelf is looked at; senders wait for an answer to each.
const BUFFERED: usize = 256;

/// Answers to a parcel.
const TAKEN: &[u8] = b"taken";
const FULL: &[u8] = b"full";

/// Hands parcels through a NATS server. One that was sent is in the memory of a reader's process when [`Transport::send`] returns; with
/// that process it is lost, and the sender's outbox sends it again. [`JetStream`](super::JetStream) keeps parcels on the server.
///
/// If nobody receives for a reader, sending to it is [`TransportError::NoRoute`]. Clones are the same transport.
#[derive(Clone)]
pub struct Nats(Arc<Inner>);

struct Inner {
    client: Client,
    server: Server,
    shelves: Shelves,
    closing: watch::Sender<bool>,
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.closing.send_replace(true);
    }
}

impl Nats {
    /// Connects; the connection is made again whenever it is lost.
    ///
    /// # Errors
    /// If there is no such server, or it does not let us in.
    pub async fn connect(server: &Server) -> Result<Self, TransportError> {
        let client = server.connect(BUFFERED).await?;
        Ok(Self(Arc::new(Inner { client, server: server.clone(), shelves: Shelves::default(), closing: watch::Sender::new(false) })))
    }

    /// Ends it. What is here and was not acknowledged is lost to this transport; its senders have it in their outbox.
    pub fn close(&self) {
        self.0.closing.send_replace(true);
    }

    async fn shelf(&self, reader: &Address) -> Result<Arc<Shelf>, TransportError> {
        if let Some(shelf) = self.0.shelves.lock().unwrap_or_else(PoisonError::into_inner).get(reader) {
            return Ok(Arc::clone(shelf));
        }
        let subject = self.0.server.subject(reader);
        let subscriber = self.0.client.queue_subscribe(subject, "sealwire".into()).await;
        let subscriber = subscriber.map_err(|error| TransportError::Failed(format!("cannot receive from the NATS server: {error}")))?;
        let mut shelves = self.0.shelves.lock().unwrap_or_else(PoisonError::into_inner);
        // Two may ask at once: the second gives its subscription up.
        let shelf = shelves.entry(reader.clone()).or_insert_with(|| {
            let shelf = Arc::new(Shelf::new(self.0.closing.subscribe()));
            tokio::spawn(fill(self.0.client.clone(), Arc::clone(&shelf), subscriber, self.0.closing.subscribe()));
            shelf
        });
        Ok(Arc::clone(shelf))
    }
}

impl core::fmt::Debug for Nats {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("Nats")
    }
}

/// Puts on the shelf what comes, and says so to its sender.
async fn fill(client: Client, shelf: Arc<Shelf>, mut subscriber: async_nats::Subscriber, mut closing: watch::Receiver<bool>) {
    while !*closing.borrow_and_update() {
        let message = tokio::select! {
            message = subscriber.next() => message,
            _ = closing.changed() => break,
        };
        let Some(mut message) = message else { break };
        let Some(reply) = message.reply.take() else { continue };
        let answer = if put(&shelf, message) { TAKEN } else { FULL };
        // A sender that hears nothing sends again.
        let _ = client.publish(reply, answer.into()).await;
    }
    let _ = subscriber.unsubscribe().await;
    shelf.clear();
}

fn put(shelf: &Shelf, message: Message) -> bool {
    let size = message.payload.len();
    let room = Arc::clone(&shelf.room).try_acquire_many_owned(room_for(size));
    match room {
        Ok(room) if size <= MAX_PARCEL => shelf.put(message, None, room),
        _ => return false,
    }
    true
}

impl Transport for Nats {
    type Delivery = NatsDelivery;

    async fn send(&self, to: &Address, parcel: Parcel) -> Result<(), TransportError> {
        if *self.0.closing.borrow() {
            return Err(TransportError::Closed);
        }
        check_size(&self.0.client, parcel.as_bytes().len())?;
        let request = Request::new().payload(parcel.into_bytes().into()).timeout(Some(ANSWER));
        match self.0.client.send_request(self.0.server.subject(to), request).await {
            Ok(answer) if answer.payload == TAKEN => Ok(()),
            Ok(_) => Err(TransportError::Full { limit: ROOM }),
            Err(error) if error.kind() == RequestErrorKind::NoResponders => Err(TransportError::NoRoute { to: to.clone() }),
            Err(error) => Err(TransportError::Failed(format!("the parcel was not taken: {error}"))),
        }
    }

    async fn receive(&self, reader: &Address) -> Result<NatsDelivery, TransportError> {
        if *self.0.closing.borrow() {
            return Err(TransportError::Closed);
        }
        self.shelf(reader).await?.next().await
    }
}
