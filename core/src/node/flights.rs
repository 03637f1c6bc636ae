//! [`Flights`]: messages that were taken over and are sent until they are acknowledged, answered or expired.

use std::collections::{BTreeSet, HashMap};

use tokio::{
    sync::{OwnedSemaphorePermit, mpsc, oneshot},
    time::{Duration, Instant},
};

use super::NodeError;
use crate::{
    address::Address,
    journal::{Expects, Outgoing, RowKey},
    key::{MessageId, Thumbprint},
    message::Message,
};

/// Longest time between two sendings of one message: a link that was down for long is found up again within it.
const MAX_PAUSE: Duration = Duration::from_secs(60);

/// A reply, and its row in the journal.
pub(super) struct Answer {
    pub(super) message: Message,
    pub(super) key: RowKey,
}

/// Who is told how a message ended.
pub(super) enum End {
    /// Nobody: a one-way message.
    Untold,
    /// Somebody waits for the reply.
    Waiting(oneshot::Sender<Result<Answer, NodeError>>),
    /// Somebody will ask, after a restart. Holds the reply once it is here.
    Later(Option<Box<Answer>>),
}

/// A message under way.
pub(super) struct Flight {
    pub(super) outgoing: Outgoing,
    pub(super) end: End,
    /// Where parts of the reply go.
    pub(super) parts: Option<mpsc::Sender<super::parts::Part>>,
    sendings: u32,
    due: Instant,
    /// What it takes of the bounds of a node.
    _room: Option<[OwnedSemaphorePermit; 2]>,
}

impl Flight {
    pub(super) fn new(outgoing: Outgoing, end: End, due: Instant) -> Self {
        Self { outgoing, end, parts: None, sendings: 0, due, _room: None }
    }

    pub(super) fn with_room(mut self, room: Option<[OwnedSemaphorePermit; 2]>) -> Self {
        self._room = room;
        self
    }

    /// Whether the author of a message with this row may acknowledge or answer it: its reader, and nobody else.
    fn is_for(&self, key: &RowKey) -> bool {
        self.outgoing.reader == key.signer && self.outgoing.signer == key.reader
    }
}

/// What is due.
pub(super) enum Due {
    /// To be sealed anew and sent.
    Send(Outgoing),
    /// Its time is over.
    Expired(Flight),
}

/// All messages under way.
#[derive(Default)]
pub(super) struct Flights {
    of: HashMap<MessageId, Flight>,
    due: BTreeSet<(Instant, MessageId)>,
}

impl Flights {
    pub(super) fn add(&mut self, flight: Flight) {
        self.due.insert((flight.due, flight.outgoing.id));
        self.of.insert(flight.outgoing.id, flight);
    }

    pub(super) fn remove(&mut self, id: MessageId) -> Option<Flight> {
        let flight = self.of.remove(&id)?;
        self.due.remove(&(flight.due, id));
        Some(flight)
    }

    pub(super) fn len(&self) -> usize {
        self.of.len()
    }

    /// When something is due next.
    pub(super) fn next_due(&self) -> Option<Instant> {
        self.due.first().map(|(due, _)| *due)
    }

    /// What is due, and when it will be again: `pause` after the first sending, then twice that, up to a minute. `jitter` is 0 to 255.
    pub(super) fn take_due(&mut self, at: Instant, now: u64, pause: Duration, jitter: &mut dyn FnMut() -> u8, limit: usize) -> Vec<Due> {
        let mut found = Vec::new();
        while let Some(&(due, id)) = self.due.first().filter(|(due, _)| *due <= at && found.len() < limit) {
            self.due.remove(&(due, id));
            let Some(flight) = self.of.get_mut(&id) else { continue };
            if flight.outgoing.expires <= now {
                found.extend(self.of.remove(&id).map(Due::Expired));
                continue;
            }
            flight.sendings = flight.sendings.saturating_add(1);
            let pause = pause.saturating_mul(1 << flight.sendings.min(16)).min(MAX_PAUSE.max(pause));
            let left = Duration::from_secs(flight.outgoing.expires.saturating_sub(now).max(1));
            flight.due = at + pause.min(left) + pause / 4 * u32::from(jitter()) / 255;
            self.due.insert((flight.due, id));
            if !matches!(flight.end, End::Later(Some(_))) {
                found.push(Due::Send(flight.outgoing.clone()));
            }
        }
        found
    }

    /// Makes all that goes to `to` due now.
    pub(super) fn hurry(&mut self, to: &Address, now: Instant) {
        let hurried: Vec<_> = self.of.values().filter(|flight| flight.outgoing.to == *to).map(|flight| flight.outgoing.id).collect();
        for id in hurried {
            if let Some(flight) = self.of.get_mut(&id) {
                self.due.remove(&(flight.due, id));
                flight.due = now;
                self.due.insert((now, id));
            }
        }
    }

    /// The message with `key` in the journal acknowledges `id`. Returns what need not be sent any more.
    pub(super) fn acknowledge(&mut self, id: MessageId, key: &RowKey) -> Option<Flight> {
        if self.of.get(&id)?.is_for(key) { self.remove(id) } else { None }
    }

    /// Whether a message with `key` in the journal can be the reply to `id`.
    pub(super) fn awaits(&self, id: MessageId, key: &RowKey) -> bool {
        self.of.get(&id).is_some_and(|flight| flight.is_for(key) && flight.outgoing.expects == Expects::Reply)
    }

    /// Where a part of the reply to `id` goes.
    pub(super) fn parts_of(&self, id: MessageId, key: &RowKey) -> Option<mpsc::Sender<super::parts::Part>> {
        if !self.awaits(id, key) {
            return None;
        }
        self.of.get(&id)?.parts.clone()
    }

    /// Hands a reply over to whom it may concern. What comes back is no longer under way.
    pub(super) fn answer(&mut self, id: MessageId, answer: Answer) -> Answered {
        if !self.awaits(id, &answer.key) {
            return Answered::Nobody(answer.key);
        }
        let Some(flight) = self.of.get_mut(&id) else { return Answered::Nobody(answer.key) };
        if let End::Later(held) = &mut flight.end {
            held.get_or_insert(Box::new(answer));
            return Answered::Held;
        }
        let key = answer.key;
        let signer = flight.outgoing.signer;
        let Some(Flight { end: End::Waiting(waiting), .. }) = self.remove(id) else { return Answered::Nobody(key) };
        // Who waited may have given up in this very moment; the reply is for nobody then.
        let _given_up = waiting.send(Ok(answer));
        Answered::Told(signer, key)
    }

    /// Requests that nobody waits for, as their process ended: to be asked for by [`Flights::resume`].
    pub(super) fn outstanding(&self) -> Vec<Outgoing> {
        self.of.values().filter(|flight| matches!(flight.end, End::Later(_))).map(|flight| flight.outgoing.clone()).collect()
    }

    /// Waits for a request of an earlier process.
    pub(super) fn resume(&mut self, id: MessageId, waiting: oneshot::Sender<Result<Answer, NodeError>>) -> Option<Resumed> {
        let flight = self.of.get_mut(&id)?;
        let End::Later(held) = &mut flight.end else { return None };
        match held.take() {
            None => {
                flight.end = End::Waiting(waiting);
                Some(Resumed::Waits)
            }
            Some(answer) => {
                let (key, signer) = (answer.key, flight.outgoing.signer);
                let _given_up = waiting.send(Ok(*answer));
                self.remove(id);
                Some(Resumed::Told(signer, key))
            }
        }
    }

    /// Ends all: nothing is waited for any more.
    pub(super) fn close(&mut self) {
        self.due.clear();
        for (_, flight) in self.of.drain() {
            if let End::Waiting(waiting) = flight.end {
                let _given_up = waiting.send(Err(NodeError::Closed));
            }
        }
    }

    /// The key that signed `id`, if it is under way.
    pub(super) fn signer_of(&self, id: MessageId) -> Option<Thumbprint> {
        self.of.get(&id).map(|flight| flight.outgoing.signer)
    }
}

/// What became of a reply.
pub(super) enum Answered {
    /// Who waited has it; the request was signed with this key.
    Told(Thumbprint, RowKey),
    /// It is held for somebody who will ask.
    Held,
    /// Nobody waits for it.
    Nobody(RowKey),
}

/// What became of asking for an earlier request.
pub(super) enum Resumed {
    /// The reply is not here yet.
    Waits,
    /// It was.
    Told(Thumbprint, RowKey),
}
