//! [`JetStream`]: parcels on a NATS server that keeps them until they are processed.

use core::time::Duration;
use std::sync::{Arc, PoisonError};

use async_nats::{
    Client,
    jetstream::{
        AckKind, Context,
        consumer::{AckPolicy, PullConsumer, pull},
        context::PublishErrorKind,
        message::PublishMessage,
        stream::{Config, DiscardPolicy, RetentionPolicy},
    },
};
use futures_util::StreamExt;
use sha2::{Digest, Sha256};
use tokio::{
    sync::watch,
    time::{Instant, MissedTickBehavior, interval, sleep},
};

use super::{
    ANSWER, NatsDelivery, Server, check_size, escaped,
    shelf::{Shelf, Shelves, room_for},
};
use crate::{
    address::Address,
    limits::{MAX_LIFETIME, MAX_PARCEL, REQUEST_LIFETIME},
    transport::{Parcel, Transport, TransportError},
};

/// Time in which the same parcel sent twice is kept once: what a sender that heard no answer needs to come back.
const SAME: Duration = Duration::from_secs(2 * 60);

/// Parcels of a reader that its processes together may have in hand.
const IN_HAND: i64 = 1024;

/// Parcels a process takes ahead of its reader: enough to hide the way to the server, few enough to share work that takes minutes.
const AHEAD: usize = 16;

/// Bytes asked for at a time: two of the largest parcels.
const BATCH_BYTES: usize = 2 * MAX_PARCEL + 64 * 1024;

/// Time between two looks whether the consumer passes over parcels, and between two glances whether there is reason for one.
const LOOK: Duration = Duration::from_secs(30);
const GLANCE: Duration = Duration::from_secs(1);

/// Pause before a consumer that failed is made again, or looked at once more.
const AGAIN: Duration = Duration::from_millis(500);

/// What the server keeps, and for how long. It takes effect when the stream is made; a stream that is there is used as it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Keeping {
    /// Bytes of all parcels: 1 GiB.
    pub bytes: i64,
    /// Parcels for one reader: 16,384.
    pub parcels: i64,
    /// Time without a sign of life after which a parcel in hand is given to another process: 30 s.
    pub redelivery: Duration,
    /// Servers that keep it, in a cluster: 1.
    pub replicas: usize,
    /// How long a parcel waits for its reader: as long as a message may live.
    pub age: Duration,
}

impl Default for Keeping {
    fn default() -> Self {
        let (redelivery, age) = (Duration::from_secs(30), Duration::from_secs(MAX_LIFETIME));
        Self { bytes: 1 << 30, parcels: 16_384, redelivery, replicas: 1, age }
    }
}

/// Keeps parcels on a NATS server with JetStream until their reader has acknowledged them, also when it is not running. Processes that
/// receive for one reader share its parcels; what a process had in hand when it died goes to another. Clones are the same transport.
#[derive(Clone)]
pub struct JetStream(Arc<Inner>);

struct Inner {
    client: Client,
    context: Context,
    server: Server,
    keeping: Keeping,
    shelves: Shelves,
    closing: watch::Sender<bool>,
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.closing.send_replace(true);
    }
}

impl JetStream {
    /// Connects, and makes the stream (named as the subjects' prefix) if it is not there.
    ///
    /// # Errors
    /// If there is no such server, it does not let us in, or it is without JetStream.
    pub async fn connect(server: &Server, keeping: Keeping) -> Result<Self, TransportError> {
        let client = server.connect(AHEAD).await?;
        let mut context = async_nats::jetstream::new(client.clone());
        context.set_timeout(ANSWER);
        let config = Config {
            name: server.prefix.clone(),
            subjects: vec![format!("{}.>", server.prefix)],
            retention: RetentionPolicy::WorkQueue,
            discard: DiscardPolicy::New,
            discard_new_per_subject: true,
            max_messages_per_subject: keeping.parcels,
            max_bytes: keeping.bytes,
            max_age: keeping.age,
            duplicate_window: SAME.min(keeping.age),
            num_replicas: keeping.replicas,
            ..Config::default()
        };
        let made = context.get_or_create_stream(config).await;
        made.map_err(|error| TransportError::Failed(format!("cannot make the stream `{}`: {error}", server.prefix)))?;
        let (server, closing) = (server.clone(), watch::Sender::new(false));
        Ok(Self(Arc::new(Inner { client, context, server, keeping, shelves: Shelves::default(), closing })))
    }

    /// Ends it. What is here and was not acknowledged is given back to the server.
    pub fn close(&self) {
        self.0.closing.send_replace(true);
    }

    fn shelf(&self, reader: &Address) -> Arc<Shelf> {
        let mut shelves = self.0.shelves.lock().unwrap_or_else(PoisonError::into_inner);
        let shelf = shelves.entry(reader.clone()).or_insert_with(|| {
            let shelf = Arc::new(Shelf::new(self.0.closing.subscribe()));
            let consumer = Consumer {
                client: self.0.client.clone(),
                context: self.0.context.clone(),
                stream: self.0.server.prefix.clone(),
                name: escaped(reader.as_str()),
                subject: self.0.server.subject(reader),
                redelivery: self.0.keeping.redelivery,
                shelf: Arc::clone(&shelf),
            };
            tokio::spawn(consumer.run(self.0.closing.subscribe()));
            shelf
        });
        Arc::clone(shelf)
    }
}

impl core::fmt::Debug for JetStream {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("JetStream")
    }
}

/// Fills a shelf from the server.
struct Consumer {
    client: Client,
    context: Context,
    stream: String,
    name: String,
    subject: String,
    redelivery: Duration,
    shelf: Arc<Shelf>,
}

impl Consumer {
    async fn run(self, mut closing: watch::Receiver<bool>) {
        let mut signs = interval(self.redelivery / 3);
        signs.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let filling = async {
            loop {
                // Whatever failed, the server has the parcels: the consumer is looked for again.
                let _ = self.fill().await;
                sleep(AGAIN).await;
            }
        };
        let mut filling = core::pin::pin!(filling);
        while !*closing.borrow_and_update() {
            tokio::select! {
                () = &mut filling => {}
                _ = signs.tick() => self.tell(self.shelf.in_work(Duration::from_secs(REQUEST_LIFETIME)), AckKind::Progress).await,
                _ = closing.changed() => {}
            }
        }
        self.tell(self.shelf.clear(), AckKind::Nak(None)).await;
    }

    async fn tell(&self, about: Vec<Arc<async_nats::jetstream::message::Acker>>, what: AckKind) {
        for acker in about {
            let _ = acker.ack_with(what).await;
        }
    }

    async fn fill(&self) -> Result<(), async_nats::Error> {
        let mut consumer = self.consumer().await?;
        let batch = consumer.stream().max_messages_per_batch(AHEAD).max_bytes_per_batch(BATCH_BYTES).heartbeat(ANSWER);
        let mut messages = batch.messages().await?;
        let (mut connection, mut looked) = (self.connection(), Instant::now());
        let mut glances = interval(GLANCE);
        glances.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let message = tokio::select! {
                message = messages.next() => message,
                _ = glances.tick() => {
                    let now = self.connection();
                    if now == connection && looked.elapsed() < LOOK {
                        continue;
                    }
                    (connection, looked) = (now, Instant::now());
                    if self.passes_over(&mut consumer).await {
                        return Ok(());
                    }
                    continue;
                }
            };
            let Some(message) = message else { return Ok(()) };
            let (message, acker) = message?.split();
            if message.payload.len() > MAX_PARCEL {
                acker.ack_with(AckKind::Term).await?;
                continue;
            }
            let room = Arc::clone(&self.shelf.room).acquire_many_owned(room_for(message.payload.len())).await?;
            self.shelf.put(message, Some(acker), room);
            self.shelf.wanting(AHEAD).await;
        }
    }

    /// Which connection to which run of which server there is, or was last.
    fn connection(&self) -> (String, u64) {
        let server = self.client.server_info();
        (server.server_id, server.client_id)
    }

    /// The reader's consumer on the server, made anew if it passes over parcels.
    async fn consumer(&self) -> Result<PullConsumer, async_nats::Error> {
        let config = pull::Config {
            durable_name: Some(self.name.clone()),
            filter_subject: self.subject.clone(),
            ack_policy: AckPolicy::Explicit,
            ack_wait: self.redelivery,
            max_ack_pending: IN_HAND,
            ..pull::Config::default()
        };
        let consumer = self.context.create_consumer_on_stream(config.clone(), self.stream.as_str()).await?;
        if !self.passes_over(&mut consumer.clone()).await {
            return Ok(consumer);
        }
        // What is acknowledged by its number might be another parcel by now.
        self.shelf.disown();
        // Should it fail, it is tried again at the next look.
        let _passing_over = self.context.delete_consumer_from_stream(&self.name, &self.stream).await;
        Ok(self.context.create_consumer_on_stream(config, self.stream.as_str()).await?)
    }

    /// Whether the server keeps parcels that the consumer will never give. A server that was killed may know how far a consumer had come and not
    /// how far the stream had: it gives the same numbers again, to parcels that the consumer takes for old (seen with nats-server 2.9.10).
    async fn passes_over(&self, consumer: &mut PullConsumer) -> bool {
        let Some(found) = self.look(consumer).await else { return false };
        // What was processed leaves the stream a moment after the consumer knows of it, and another process may see to this too.
        sleep(AGAIN).await;
        self.look(consumer).await == Some(found)
    }

    /// When the consumer was made, and a parcel that it seems to pass over. Who is not permitted to look sees nothing.
    async fn look(&self, consumer: &mut PullConsumer) -> Option<(String, u64)> {
        let info = consumer.info().await.ok()?;
        let (given, processed) = (info.delivered.stream_sequence, info.ack_floor.stream_sequence);
        let (made, outstanding) = (info.created.to_string(), info.num_pending + info.num_ack_pending as u64);
        let stream = self.context.get_stream_no_info(&self.stream).await.ok()?;
        let mut kept = stream.info_with_subjects(&self.subject).await.ok()?;
        if given > kept.info.state.last_sequence {
            return Some((made, given));
        }
        let count = kept.next().await.and_then(Result::ok).map_or(0, |(_, count)| count as u64);
        if count <= outstanding {
            return None;
        }
        let first = stream.get_first_raw_message_by_subject(&self.subject, 1).await.ok()?;
        (first.sequence <= processed).then_some((made, first.sequence))
    }
}

/// The same parcel for the same reader has the same id, whoever sends it again.
fn id(to: &Address, bytes: &[u8]) -> String {
    let digest = Sha256::new().chain_update(to.as_str()).chain_update([0]).chain_update(bytes).finalize();
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

impl Transport for JetStream {
    type Delivery = NatsDelivery;

    async fn send(&self, to: &Address, parcel: Parcel) -> Result<(), TransportError> {
        if *self.0.closing.borrow() {
            return Err(TransportError::Closed);
        }
        check_size(&self.0.client, parcel.as_bytes().len())?;
        let id = id(to, parcel.as_bytes());
        let message = PublishMessage::build().payload(parcel.into_bytes().into()).message_id(id);
        let limit = usize::try_from(self.0.keeping.parcels).unwrap_or_default();
        let failed = |error: async_nats::jetstream::context::PublishError| match error.kind() {
            PublishErrorKind::Other if error.to_string().contains("maximum") => TransportError::Full { limit },
            PublishErrorKind::MaxAckPending => TransportError::Full { limit },
            _ => TransportError::Failed(format!("the parcel was not taken: {error}")),
        };
        let taken = self.0.context.send_publish(self.0.server.subject(to), message).await.map_err(failed)?;
        taken.await.map(|_| ()).map_err(failed)
    }

    async fn receive(&self, reader: &Address) -> Result<NatsDelivery, TransportError> {
        if *self.0.closing.borrow() {
            return Err(TransportError::Closed);
        }
        self.shelf(reader).next().await
    }
}
