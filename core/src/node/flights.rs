//! [`Flights`]: messages that were taken over and are sent until they are acknowledged, answered or expired.

use std::collections::{BTreeSet, HashMap};

use tokio::{
    sync::{OwnedSemaphorePermit, mpsc, oneshot},
    time::{Duration, Instant},
};

use super::{NodeError, ticket::Keep};
use crate::{
    address::Address,
    journal::{Expects, Outgoing, RowKey},
    key::MessageId,
    message::Message,
};

/// Longest time between two sendings of one message: a link that was down for long is found up again within it.
const MAX_PAUSE: Duration = Duration::from_secs(60);

/// Who is told how a message ended.
pub(super) enum End {
    /// Nobody: a one-way message.
    Untold,
    /// Somebody waits for the reply.
    Waiting(oneshot::Sender<Result<Message, NodeError>>),
    /// Somebody will ask: their process ended, or they left.
    Later,
}

/// A message under way.
pub(super) struct Flight {
    pub(super) outgoing: Outgoing,
    pub(super) end: End,
    /// Where parts of the reply go.
    pub(super) parts: Option<mpsc::Sender<super::parts::Part>>,
    keep: Keep,
    /// Its reply is taken in, and not kept.
    is_last_word: bool,
    sendings: u32,
    due: Instant,
    /// What it takes of the bounds of a node.
    pub(super) room: Option<[OwnedSemaphorePermit; 2]>,
}

impl Flight {
    pub(super) fn new(outgoing: Outgoing, end: End, due: Instant) -> Self {
        Self { outgoing, end, parts: None, keep: Keep::Yes, is_last_word: false, sendings: 0, due, room: None }
    }

    pub(super) fn with_room(mut self, room: Option<[OwnedSemaphorePermit; 2]>) -> Self {
        self.room = room;
        self
    }

    pub(super) fn with_reply(mut self, keep: Keep) -> Self {
        self.keep = keep;
        self
    }

    fn close(self) {
        if let End::Waiting(waiting) = self.end {
            let _given_up = waiting.send(Err(NodeError::Closed));
        }
    }

    fn is_waited_for_by_nobody(&self) -> bool {
        match &self.end {
            End::Untold => false,
            End::Waiting(waiting) => waiting.is_closed(),
            End::Later => true,
        }
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
    closed: bool,
    due: BTreeSet<(Instant, MessageId)>,
    /// Requests whose reply is kept and was not taken yet.
    answered: HashMap<MessageId, Answered>,
}

/// A request whose reply is kept.
struct Answered {
    outgoing: Outgoing,
    /// Somebody has it in hand, and will say that they took it.
    is_in_hand: bool,
}

impl Flights {
    pub(super) fn add(&mut self, flight: Flight) {
        if self.closed {
            return flight.close();
        }
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
            found.push(Due::Send(flight.outgoing.clone()));
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

    /// Decides whether the reply to `id`, with `key` in the journal, is kept. It is not if it is awaited here and will be by nobody later.
    pub(super) fn is_last_word(&mut self, id: MessageId, key: &RowKey) -> bool {
        let awaits = self.awaits(id, key);
        let Some(flight) = self.of.get_mut(&id).filter(|_| awaits) else { return false };
        flight.is_last_word = flight.keep == Keep::No;
        flight.is_last_word
    }

    /// Where a part of the reply to `id` goes.
    pub(super) fn parts_of(&self, id: MessageId, key: &RowKey) -> Option<mpsc::Sender<super::parts::Part>> {
        if !self.awaits(id, key) {
            return None;
        }
        self.of.get(&id)?.parts.clone()
    }

    /// The reply to `id` is given to who waits for it; if it is kept it is there for who will ask, too.
    pub(super) fn answer(&mut self, id: MessageId, reply: Message) {
        let Some(Flight { mut outgoing, end, is_last_word, .. }) = self.remove(id) else { return };
        outgoing.expires = outgoing.expires.max(reply.header().expires);
        // Who waited may have left in this very moment.
        let is_in_hand = if let End::Waiting(waiting) = end { waiting.send(Ok(reply)).is_ok() } else { false };
        if !is_last_word {
            self.answered.insert(id, Answered { outgoing, is_in_hand });
        }
    }

    /// Whether the reply to `id` is here, and nobody has said that they took it.
    pub(super) fn is_answered(&self, id: MessageId) -> bool {
        self.answered.contains_key(&id)
    }

    /// The reply to a request of an earlier process is here.
    pub(super) fn add_answered(&mut self, outgoing: Outgoing) {
        self.answered.insert(outgoing.id, Answered { outgoing, is_in_hand: false });
    }

    /// Nobody needs to be given the reply to `id` any more.
    pub(super) fn take_answered(&mut self, id: MessageId) -> Option<Outgoing> {
        self.answered.remove(&id).map(|answered| answered.outgoing)
    }

    /// Forgets replies whose time is over.
    pub(super) fn purge(&mut self, now: u64) {
        self.answered.retain(|_, answered| answered.outgoing.expires > now);
    }

    /// Who waited for `id` has left, and may ask again.
    pub(super) fn leave(&mut self, id: MessageId) {
        if let Some(flight) = self.of.get_mut(&id).filter(|flight| flight.is_waited_for_by_nobody()) {
            (flight.end, flight.keep) = (End::Later, Keep::Yes);
        } else if let Some(answered) = self.answered.get_mut(&id) {
            answered.is_in_hand = false;
        }
    }

    /// Requests that nobody waits for, and those whose reply nobody was given: to be asked for by [`Flights::resume`].
    pub(super) fn outstanding(&self) -> Vec<Outgoing> {
        let under_way = self.of.values().filter(|flight| matches!(flight.end, End::Later)).map(|flight| &flight.outgoing);
        let answered = self.answered.values().filter(|answered| !answered.is_in_hand).map(|answered| &answered.outgoing);
        under_way.chain(answered).cloned().collect()
    }

    /// Waits for a request that nobody waits for.
    pub(super) fn resume(&mut self, id: MessageId, waiting: oneshot::Sender<Result<Message, NodeError>>) -> Resumed {
        if let Some(answered) = self.answered.get_mut(&id) {
            answered.is_in_hand = true;
        }
        match self.of.get_mut(&id) {
            None => Resumed::NotUnderWay(waiting),
            Some(flight) if flight.is_waited_for_by_nobody() => {
                (flight.end, flight.keep) = (End::Waiting(waiting), Keep::Yes);
                Resumed::Waits
            }
            Some(_) => Resumed::IsWaitedFor,
        }
    }

    /// Ends all: nothing is waited for any more.
    pub(super) fn close(&mut self) {
        self.closed = true;
        self.due.clear();
        self.answered.clear();
        self.of.drain().for_each(|(_, flight)| flight.close());
    }
}

/// What became of asking for an earlier request.
pub(super) enum Resumed {
    /// The reply is not here yet.
    Waits,
    /// The reply may be kept.
    NotUnderWay(oneshot::Sender<Result<Message, NodeError>>),
    /// Somebody waits for it already.
    IsWaitedFor,
}
