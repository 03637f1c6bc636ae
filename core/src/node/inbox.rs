//! The inbox of an agent: what arrives is opened several at a time, and goes where it belongs.

use std::sync::{Arc, PoisonError};

use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore, mpsc},
    time::{Duration, Instant, sleep},
};

use tracing::Instrument;

use super::{
    Inner, NodeError,
    confirmations::{AT_LEISURE, SOON},
    desk::{ACK, CANCEL, Job},
    flights::End,
    hall::Waiting,
    parts::{self, Part},
};
use crate::{
    address::Address,
    endpoint::{Admission, Refused, Taken},
    envelope::Form,
    error::OpenError,
    header::{Header, MessageRef},
    journal::{Change, Expects, RowKey, Work},
    message::Message,
    transport::{Delivery, Transport, TransportError},
};

/// Deliveries that wait to be opened, and how many are opened together.
pub(super) const AT_ONCE: usize = 64;

/// KiB of deliveries that wait to be opened: four of the largest.
const ROOM: u32 = 64 * 1024;

/// First and longest pause after the transport failed to give.
const PAUSES: [Duration; 2] = [Duration::from_millis(100), Duration::from_secs(5)];

/// How long a delivery is held that could not be taken in for now. The transport gives it again afterwards.
const HELD: Duration = Duration::from_millis(200);

type Arrived<D> = (D, OwnedSemaphorePermit);

/// Takes what the transport has for `agent`, until it is closed.
pub(super) async fn receive<T: Transport + 'static>(inner: Arc<Inner<T>>, agent: Address, arrived: mpsc::Sender<Arrived<T::Delivery>>) {
    let room = Arc::new(Semaphore::new(ROOM as usize));
    let mut pause = PAUSES[0];
    loop {
        match inner.transport.receive(&agent).await {
            Ok(delivery) => {
                pause = PAUSES[0];
                let size = u32::try_from(delivery.bytes().len() / 1024 + 1).unwrap_or(ROOM).min(ROOM);
                let Ok(room) = Arc::clone(&room).acquire_many_owned(size).await else { return };
                if arrived.send((delivery, room)).await.is_err() {
                    return;
                }
            }
            Err(TransportError::Closed) => return,
            Err(error) => {
                tracing::warn!(%agent, %error, "the transport gives nothing");
                sleep(pause).await;
                pause = (pause * 2).min(PAUSES[1]);
            }
        }
    }
}

/// Opens what has arrived for `agent`.
pub(super) async fn open<T: Transport + 'static>(inner: Arc<Inner<T>>, agent: Address, mut arrived: mpsc::Receiver<Arrived<T::Delivery>>) {
    let mut batch = Vec::with_capacity(AT_ONCE);
    while arrived.recv_many(&mut batch, AT_ONCE).await > 0 {
        let deliveries = std::mem::replace(&mut batch, Vec::with_capacity(AT_ONCE));
        let span = tracing::debug_span!("receive", %agent, count = deliveries.len());
        if take_in(&inner, &agent, deliveries).instrument(span).await.is_err() {
            return;
        }
        inner.pump(&agent);
    }
}

/// Opens deliveries, has done what follows from them, and acknowledges them to the transport.
async fn take_in<T: Transport + 'static>(
    inner: &Arc<Inner<T>>,
    agent: &Address,
    deliveries: Vec<Arrived<T::Delivery>>,
) -> Result<(), NodeError> {
    let (opener, reader, span) = (Arc::clone(inner), agent.clone(), tracing::Span::current());
    let size = deliveries.iter().map(|(delivery, _)| delivery.bytes().len()).sum();
    let opened = inner.work(size, move || {
        let opened = span.in_scope(|| opener.open(&reader, &deliveries));
        (deliveries, opened)
    });
    let Some((deliveries, (settled, jobs))) = opened.await else { return Ok(()) };
    for job in jobs {
        inner.desk.send(job).await.map_err(|_| NodeError::Closed)?;
    }
    settle(deliveries, settled).await;
    Ok(())
}

/// Acknowledges to the transport what was taken in or refused for good. The rest is dropped, and comes again.
async fn settle<D: Delivery>(deliveries: Vec<Arrived<D>>, settled: Vec<bool>) {
    let mut held = Vec::new();
    for ((delivery, room), settled) in deliveries.into_iter().zip(settled) {
        if !settled {
            held.push((delivery, room));
        } else if let Err(error) = delivery.acknowledge().await {
            tracing::debug!(%error, "the transport did not note what was processed");
        }
    }
    if !held.is_empty() {
        sleep(HELD).await;
    }
}

impl<T: Transport + 'static> Inner<T> {
    /// Opens deliveries and says of each whether it is settled; and what the desk is to do.
    fn open<D: Delivery>(self: &Arc<Self>, agent: &Address, deliveries: &[(D, OwnedSemaphorePermit)]) -> (Vec<bool>, Vec<Job>) {
        let mut jobs = Vec::new();
        let mut settled = vec![true; deliveries.len()];
        let mut envelopes = Vec::with_capacity(deliveries.len());
        for (at, (delivery, _)) in deliveries.iter().enumerate() {
            if !self.hear(agent, delivery.bytes(), &mut jobs) {
                envelopes.push((at, delivery.bytes()));
            }
        }
        let bytes: Vec<_> = envelopes.iter().map(|(_, bytes)| *bytes).collect();
        let size = bytes.iter().map(|bytes| bytes.len()).sum::<usize>();
        let opening = tracing::debug_span!("open", %agent, count = bytes.len(), size);
        let taken = opening.in_scope(|| self.endpoint.take(&bytes, &|header, key| self.admit(header, key)));
        let mut changes = Vec::new();
        for ((at, bytes), taken) in envelopes.iter().zip(taken) {
            match taken {
                Ok(Taken::New { message, key, in_earlier_life }) => self.arrived(message, key, in_earlier_life, &mut changes, &mut jobs),
                Ok(Taken::Again { header, key, work }) => self.again(&header, &key, work, &mut changes, &mut jobs),
                Err(refused) => {
                    let again = matches!(refused.error, OpenError::Store(_) | OpenError::Overloaded(_) | OpenError::AuditFailed(_));
                    if let Some(settled) = settled.get_mut(*at).filter(|_| again) {
                        *settled = false;
                    }
                    self.refused(agent, &refused, bytes);
                }
            }
        }
        if !changes.is_empty() {
            jobs.insert(0, Job::Write(changes));
        }
        (settled, jobs)
    }

    /// What is to become of a message that is new.
    fn admit(&self, header: &Header, key: &RowKey) -> Result<Admission, OpenError> {
        if is_passing(&header.kind) {
            return Ok(Admission::Passing);
        }
        if let Some(answered) = header.answers {
            // Whether somebody waits for it is known to the store: it may be another process of this home.
            return Ok(if answered.signer != key.reader.short() {
                Admission::Passing
            } else if self.flights().is_last_word(answered.id, key) {
                Admission::LastWord(answered.id)
            } else {
                Admission::Answer(answered.id)
            });
        }
        if self.halls().get(&header.to).is_some_and(super::hall::Hall::is_full) {
            return Err(OpenError::Overloaded("as many messages wait for this agent as may"));
        }
        Ok(Admission::Kept)
    }

    fn arrived(&self, message: Message, key: RowKey, redelivered: bool, changes: &mut Vec<Change>, jobs: &mut Vec<Job>) {
        let header = message.header();
        self.acknowledged(header, &key, changes, jobs);
        if message.form() == Form::Opening {
            self.came_from(&header.to, &header.from, jobs);
        }
        tracing::debug!(from = %header.from, to = %header.to, kind = header.kind, id = %header.id, size = message.body().len(), "arrived");
        match header.kind.as_str() {
            ACK => {}
            CANCEL => self.cancelled(header, &key, changes),
            parts::KIND => self.part(&message, &key),
            _ if header.answers.is_some() => self.answered(message, &key),
            _ => {
                let to = header.to.clone();
                self.halls().entry(to).or_default().enter(Waiting { key, message: Some(message), redelivered });
            }
        }
    }

    /// Takes note of what a message acknowledges for its signer.
    fn acknowledged(&self, header: &Header, key: &RowKey, changes: &mut Vec<Change>, jobs: &mut Vec<Job>) {
        for id in &header.acknowledged.messages {
            // The reply itself ends a request that it acknowledges.
            if header.answers.is_some_and(|answered| answered.id == *id) {
                continue;
            }
            if self.flights().awaits(*id, key) && self.was_answered(MessageRef { signer: key.reader.short(), id: *id }) {
                continue;
            }
            let flight = self.flights().acknowledge(*id, key);
            if let Some(flight) = flight {
                changes.push(Change::Sent { signer: flight.outgoing.signer, id: *id });
                jobs.extend(flight.room.map(Job::Free));
                if let End::Waiting(waiting) = flight.end {
                    let _given_up = waiting.send(Err(NodeError::NoReply));
                }
            } else if let Some(request) = self.replies().confirm(*id, key) {
                changes.push(Change::Confirmed { key: request });
            } else {
                changes.push(Change::Acknowledged { signer: key.reader, reader: key.signer, id: *id });
            }
        }
    }

    /// A reply has arrived, and was put in the place of its request if that waits for it, or has ended it if nobody will ask again. Its author
    /// may forget it once who asked has taken it: until then this home may be restored from before.
    fn answered(&self, message: Message, key: &RowKey) {
        let Some(answered) = message.header().answers else { return };
        let (way, id) = (super::request::back(&message), message.header().id);
        let mut flights = self.flights();
        if flights.awaits(answered.id, key) {
            flights.answer(answered.id, message);
        } else if !flights.is_answered(answered.id) {
            drop(flights);
            self.confirm(way, id, AT_LEISURE);
        }
    }

    /// Looks whether another process of this home has taken in the reply to a request that is under way here.
    pub(super) fn was_answered(&self, request: MessageRef) -> bool {
        match self.endpoint.answer(&request) {
            Ok(Some(reply)) => {
                self.flights().answer(request.id, reply);
                true
            }
            Ok(None) => false,
            Err(error) => {
                tracing::warn!(%error, "whether a request was answered cannot be read");
                false
            }
        }
    }

    fn part(&self, message: &Message, key: &RowKey) {
        let Some(answered) = message.header().answers else { return };
        let (Some(part), Some(parts)) = (Part::decode(message.body()), self.flights().parts_of(answered.id, key)) else { return };
        // Who reads too slowly loses parts, never the reply.
        let _lost = parts.try_send(part);
    }

    /// The author of a request takes it back.
    fn cancelled(&self, header: &Header, key: &RowKey, changes: &mut Vec<Change>) {
        let Some(answered) = header.answers.filter(|answered| answered.signer == key.signer.short()) else { return };
        let request = RowKey { id: answered.id, ..*key };
        let waited = self.halls().get_mut(&header.to).is_some_and(|hall| hall.cancel(&request));
        if waited {
            changes.push(Change::Finished { key: request, reply: None });
        }
    }

    /// A message that was taken in before has come again.
    fn again(&self, header: &Header, key: &RowKey, work: Option<Work>, changes: &mut Vec<Change>, jobs: &mut Vec<Job>) {
        self.acknowledged(header, key, changes, jobs);
        if is_passing(&header.kind) {
            return;
        }
        let way = (header.to.clone(), header.from.clone());
        match work {
            // A reply that nobody has taken yet may still be needed from its author.
            None if header.answers.is_some_and(|answered| self.flights().is_answered(answered.id)) => {}
            None => self.confirm(way, header.id, SOON),
            Some(Work::Done(reply)) => {
                if self.replies().may_repeat(key, Instant::now()) {
                    jobs.push(Job::Repeat(header.from.clone(), reply));
                }
            }
            // Being worked on, here or by another process of this home.
            Some(Work::Pending(..)) => {}
        }
    }

    fn refused(&self, agent: &Address, refused: &Refused, bytes: &[u8]) {
        let from = refused.from.as_ref();
        tracing::debug!(%agent, from = from.map(Address::as_str), error = %refused.error, "refused");
        match (&refused.error, from) {
            (OpenError::RosterBehind { .. }, Some(from)) => self.is_behind(agent, from),
            (error @ (OpenError::UnknownKey | OpenError::UnknownLane), _) => self.hint(agent, bytes, error),
            _ => {}
        }
    }

    /// Goes on with what other processes of this home have left since this one has started.
    pub(super) fn take_over(self: &Arc<Self>) -> Result<(), NodeError> {
        let mut agents = self.resume_left(self.endpoint.adopt()?);
        agents.extend(self.attached.lock().unwrap_or_else(PoisonError::into_inner).iter().cloned());
        for agent in agents {
            self.endpoint.host(agent.name())?;
            self.attach(&agent)?;
            self.release_left(&agent)?;
            self.pump(&agent);
        }
        Ok(())
    }

    /// Takes note of what processes of this home that have ended had taken over. Returns whose it is to send.
    pub(super) fn resume_left(&self, left: crate::journal::Left) -> Vec<Address> {
        let now = Instant::now();
        let mut agents = Vec::new();
        for outgoing in left.outgoing {
            if !agents.contains(&outgoing.from) {
                // Hosted before anything of it is due, which is at once: what cannot be sealed is given up.
                if let Err(error) = self.endpoint.host(outgoing.from.name()) {
                    tracing::warn!(agent = %outgoing.from, %error, "what this agent had sent is not sent on");
                }
                agents.push(outgoing.from.clone());
            }
            let end = if outgoing.expects == Expects::Reply { End::Later } else { End::Untold };
            self.take_off(super::flights::Flight::new(outgoing, end, now));
        }
        left.answered.into_iter().for_each(|answered| self.flights().add_answered(answered));
        let mut of_reader = self.left();
        for key in left.work {
            of_reader.entry(key.reader).or_default().push(key);
        }
        agents
    }

    /// Releases again what a process that has ended was working on for `agent`.
    pub(super) fn release_left(&self, agent: &Address) -> Result<(), crate::error::StoreFailed> {
        let Some(reader) = self.endpoint.hosts(agent) else { return Ok(()) };
        for key in self.left().remove(&reader).unwrap_or_default() {
            let Some(Work::Pending(form, kept)) = self.endpoint.work(&key)? else { continue };
            let message = self.endpoint.released_again(&key, form, kept)?;
            self.halls().entry(agent.clone()).or_default().enter(Waiting { key, message: Some(message), redelivered: true });
        }
        Ok(())
    }
}

/// Whether messages of this kind say something about others and are not kept.
fn is_passing(kind: &str) -> bool {
    matches!(kind, ACK | CANCEL | parts::KIND)
}
