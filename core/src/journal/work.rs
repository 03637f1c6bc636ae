//! What a node keeps beside the journal: messages that are being worked on, the replies they earned, and what is to be sent until it is
//! acknowledged (SPEC.md, "Work").

use std::collections::HashMap;

use super::{MemoryStore, Row, Seen, Store};
use crate::{
    address::Address,
    envelope::Form,
    error::StoreFailed,
    header::MessageRef,
    kept::Kept,
    key::{MessageId, Thumbprint},
    limits::ROSTER_LIFETIME,
};

/// Bytes of messages that an endpoint without a home keeps. Beyond them it takes nothing over: its memory is that of a small machine.
const MAX_KEPT_IN_MEMORY: usize = 256 * 1024 * 1024;

/// Seconds between two looks for what has ended.
const PURGE_EVERY: u64 = 60;

/// The unique key of a message in the journal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct RowKey {
    pub(crate) reader: Thumbprint,
    pub(crate) signer: Thumbprint,
    pub(crate) id: MessageId,
}

impl Row {
    pub(crate) fn key(&self) -> RowKey {
        RowKey { reader: self.reader, signer: self.signer, id: self.id }
    }
}

/// A message about to be inserted, and what is kept of it while it is worked on.
pub(crate) struct Arrival<'a> {
    pub(crate) row: &'a Row,
    pub(crate) form: Form,
    pub(crate) kept: Option<&'a Kept>,
    /// The request that it answers, if that waits for an answer of this author: what is kept is kept in the place of that. If it is nothing,
    /// nothing is there any more.
    pub(crate) answers: Option<MessageId>,
}

/// What is kept of a message that was taken in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Work {
    /// It is being worked on: the message itself.
    Pending(Form, Kept),
    /// It was processed and earned this reply.
    Done(Kept),
}

/// A message that is sent until it is acknowledged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Outgoing {
    pub(crate) from: Address,
    pub(crate) to: Address,
    /// The author's key.
    pub(crate) signer: Thumbprint,
    /// The reader's key: who may acknowledge and answer it.
    pub(crate) reader: Thumbprint,
    pub(crate) id: MessageId,
    pub(crate) expires: u64,
    pub(crate) expects: Expects,
}

/// The reply to a request, in the request's place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct KeptAnswer {
    /// The key it was signed with.
    pub(crate) author: Thumbprint,
    pub(crate) form: Form,
    pub(crate) kept: Kept,
}

/// What ends the sending of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Expects {
    /// An acknowledgement.
    Acknowledgement,
    /// A reply, which somebody waits for.
    Reply,
}

/// One thing to be written. Digests, which a home hedges its encryption with, and peers mean nothing to memory. Several are written in one transaction.
#[derive(Debug)]
#[cfg_attr(not(feature = "home"), allow(dead_code, reason = "see above"))]
pub(crate) enum Change {
    /// Taken over: to be sent until it is acknowledged.
    Send { outgoing: Outgoing, kept: Kept, digest: [u8; 32] },
    /// Acknowledged, answered or given up: nothing of it is kept.
    Sent { signer: Thumbprint, id: MessageId },
    /// A one-way message was acknowledged by its reader; another process of the home may be sending it.
    Acknowledged { signer: Thumbprint, reader: Thumbprint, id: MessageId },
    /// Its reply was given to who asked. It is kept until its time is over, in case they end before they have noted it.
    Taken { signer: Thumbprint, id: MessageId },
    /// Who asked has noted the reply: it is not kept any more.
    Settled { request: MessageRef },
    /// Processed; a reply is kept until it is confirmed or the message ends.
    Finished { key: RowKey, reply: Option<(Kept, [u8; 32])> },
    /// Its reply has arrived.
    Confirmed { key: RowKey },
    /// A peer's certificate, to be known after a restart.
    Met { address: Address, certificate: Vec<u8>, now: u64 },
}

/// What processes that are gone have left behind, of each in its order.
#[derive(Debug, Default)]
pub(crate) struct Left {
    pub(crate) work: Vec<RowKey>,
    pub(crate) outgoing: Vec<Outgoing>,
    /// Requests whose reply is here and was given to nobody.
    pub(crate) answered: Vec<Outgoing>,
}

/// When a life of the journal began that took its first message at `now` and follows one that knew the time `earlier`. The clock of a machine that
/// restarts may be behind until it is set, and what was processed before would look newer than this life. Only if it would be behind by more
/// than a roster lives was it ahead before: nothing is opened under a roster that has ended.
pub(crate) fn beginning(now: u64, earlier: u64) -> u64 {
    if earlier > now.saturating_add(ROSTER_LIFETIME) { now } else { now.max(earlier) }
}

/// The part of a [`Store`] that a node uses.
pub(crate) trait Working {
    /// Inserts messages in one transaction; what is new is kept, if there is something to keep. In another life than this endpoint's, inserts
    /// nothing and says so of each.
    ///
    /// And when the present life of the journal began ([`beginning`]): what is older may have been processed in an earlier one. Zero for its
    /// first life.
    fn take_all(&mut self, arrivals: &[Arrival<'_>], now: u64) -> Result<(Vec<Seen>, u64), StoreFailed>;

    /// Writes changes in one transaction.
    fn apply(&mut self, changes: &[Change]) -> Result<(), StoreFailed>;

    /// What is kept of a message that was taken in, if anything.
    fn work(&mut self, key: &RowKey) -> Result<Option<Work>, StoreFailed>;

    /// What is to be sent, if it still is.
    fn outgoing(&mut self, signer: &Thumbprint, id: MessageId) -> Result<Option<Kept>, StoreFailed>;

    /// The reply to a request, as long as it is kept.
    fn answer(&mut self, request: &MessageRef) -> Result<Option<KeptAnswer>, StoreFailed>;

    /// Takes over what processes of this home that have ended had taken over.
    fn adopt(&mut self) -> Result<Left, StoreFailed>;

    /// Takes nothing over any more: what was is for the next process, even if this one goes on.
    fn retire(&mut self);

    /// Certificates of peers, those met last first.
    fn peers(&mut self, limit: usize) -> Result<Vec<Vec<u8>>, StoreFailed>;
}

/// What a node keeps in memory, where there is no home.
#[derive(Default)]
pub(crate) struct MemoryWork {
    work: HashMap<RowKey, (Work, u64)>,
    outgoing: HashMap<(Thumbprint, MessageId), Sent>,
    bytes: usize,
    purged: u64,
}

/// A message that is sent or, once it was answered, its reply.
struct Sent {
    reader: Thumbprint,
    expects: Expects,
    expires: u64,
    kept: Kept,
    answered: Option<Form>,
}

impl MemoryWork {
    fn keep(&mut self, key: RowKey, work: Work, expires: u64) {
        self.bytes += work.len();
        self.forget(&key);
        self.work.insert(key, (work, expires));
    }

    fn forget(&mut self, key: &RowKey) -> Option<u64> {
        let (work, expires) = self.work.remove(key)?;
        self.bytes -= work.len();
        Some(expires)
    }

    fn sent(&mut self, signer: Thumbprint, id: MessageId) {
        if let Some(sent) = self.outgoing.remove(&(signer, id)) {
            self.bytes -= sent.kept.as_bytes().len();
        }
    }

    fn answered(&mut self, request: MessageId, row: &Row, form: Form, reply: Option<&Kept>) {
        let Some(sent) = self.outgoing.get_mut(&(row.reader, request)) else { return };
        if sent.reader != row.signer || sent.expects != Expects::Reply || sent.answered.is_some() {
            return;
        }
        let Some(reply) = reply else { return self.sent(row.reader, request) };
        self.bytes = self.bytes - sent.kept.as_bytes().len() + reply.as_bytes().len();
        (sent.kept, sent.answered, sent.expires) = (reply.clone(), Some(form), sent.expires.max(row.expires));
    }

    fn answer(&self, request: &MessageRef) -> Option<(&Thumbprint, &Sent)> {
        let mut all = self.outgoing.iter().filter(|(_, sent)| sent.answered.is_some());
        let found = all.find(|((signer, id), _)| *id == request.id && signer.short() == request.signer);
        found.map(|((signer, _), sent)| (signer, sent))
    }

    /// What is left when a life of the journal ends: what is to be sent, and nothing that was received.
    pub(super) fn of_next_life(self) -> Self {
        let bytes = self.outgoing.values().map(|sent| sent.kept.as_bytes().len()).sum();
        Self { work: HashMap::new(), bytes, ..self }
    }

    /// Forgets what has ended by `ended`; it looks at everything, so not with each message.
    pub(super) fn purge(&mut self, ended: u64) {
        if self.purged.abs_diff(ended) < PURGE_EVERY {
            return;
        }
        self.purged = ended;
        self.work.retain(|_, (work, expires)| {
            let stays = *expires > ended;
            self.bytes -= if stays { 0 } else { work.len() };
            stays
        });
        self.outgoing.retain(|_, sent| {
            let stays = sent.expires > ended;
            self.bytes -= if stays { 0 } else { sent.kept.as_bytes().len() };
            stays
        });
    }
}

impl Work {
    fn len(&self) -> usize {
        let (Self::Pending(_, kept) | Self::Done(kept)) = self;
        kept.as_bytes().len()
    }
}

impl Working for MemoryStore {
    fn take_all(&mut self, arrivals: &[Arrival<'_>], now: u64) -> Result<(Vec<Seen>, u64), StoreFailed> {
        if let Some(earlier) = self.earlier {
            self.began.get_or_insert(beginning(now, earlier));
        }
        self.latest = self.latest.max(now);
        let take = |arrival: &Arrival<'_>| {
            let size = arrival.kept.map_or(0, |kept| kept.as_bytes().len());
            let is_full = self.work.bytes.saturating_add(size) > MAX_KEPT_IN_MEMORY;
            // What is here already needs no room.
            if is_full && self.rows.seen(arrival.row) == Seen::New {
                return Ok(Seen::Full);
            }
            let seen = self.insert(&[arrival.row], now)?.into_iter().next().unwrap_or(Seen::Before);
            match (seen, arrival.kept, arrival.answers) {
                (Seen::New, reply, Some(request)) => self.work.answered(request, arrival.row, arrival.form, reply),
                (Seen::New, Some(kept), None) => {
                    self.work.keep(arrival.row.key(), Work::Pending(arrival.form, kept.clone()), arrival.row.expires);
                }
                _ => {}
            }
            Ok(seen)
        };
        let seen = arrivals.iter().map(take).collect::<Result<_, _>>()?;
        Ok((seen, self.began.unwrap_or(0)))
    }

    fn apply(&mut self, changes: &[Change]) -> Result<(), StoreFailed> {
        let sent = |change: &Change| if let Change::Send { kept, .. } = change { kept.as_bytes().len() } else { 0 };
        let size: usize = changes.iter().map(sent).sum();
        // All or nothing, as in a transaction: whoever is refused tries each alone.
        if size > 0 && self.work.bytes.saturating_add(size) > MAX_KEPT_IN_MEMORY {
            return Err(StoreFailed("as many bytes are kept in memory as may be; use a home, or wait".into()));
        }
        self.work.bytes += size;
        for change in changes {
            match change {
                Change::Send { outgoing, kept, .. } => {
                    let Outgoing { signer, reader, id, expires, expects, .. } = *outgoing;
                    self.work.outgoing.insert((signer, id), Sent { reader, expects, expires, kept: kept.clone(), answered: None });
                }
                // No later process will ask for a reply again.
                Change::Sent { signer, id } | Change::Taken { signer, id } => self.work.sent(*signer, *id),
                Change::Finished { key, reply } => {
                    let expires = self.work.forget(key);
                    if let (Some(expires), Some((reply, _))) = (expires, reply) {
                        self.work.keep(*key, Work::Done(reply.clone()), expires);
                    }
                }
                Change::Confirmed { key } => drop(self.work.forget(key)),
                Change::Settled { request } => {
                    let signer = self.work.answer(request).map(|(signer, _)| *signer);
                    signer.into_iter().for_each(|signer| self.work.sent(signer, request.id));
                }
                // Memory has no other process.
                Change::Acknowledged { .. } | Change::Met { .. } => {}
            }
        }
        Ok(())
    }

    fn work(&mut self, key: &RowKey) -> Result<Option<Work>, StoreFailed> {
        Ok(self.work.work.get(key).map(|(work, _)| work.clone()))
    }

    fn outgoing(&mut self, signer: &Thumbprint, id: MessageId) -> Result<Option<Kept>, StoreFailed> {
        Ok(self.work.outgoing.get(&(*signer, id)).filter(|sent| sent.answered.is_none()).map(|sent| sent.kept.clone()))
    }

    fn answer(&mut self, request: &MessageRef) -> Result<Option<KeptAnswer>, StoreFailed> {
        let answer = |(_, sent): (_, &Sent)| Some(KeptAnswer { author: sent.reader, form: sent.answered?, kept: sent.kept.clone() });
        Ok(self.work.answer(request).and_then(answer))
    }

    /// Memory has no earlier process.
    fn adopt(&mut self) -> Result<Left, StoreFailed> {
        Ok(Left::default())
    }

    fn retire(&mut self) {}

    fn peers(&mut self, _: usize) -> Result<Vec<Vec<u8>>, StoreFailed> {
        Ok(Vec::new())
    }
}

#[cfg(all(test, feature = "node"))]
mod tests {
    use super::*;
    use crate::{Draft, Endpoint};

    /// What a desk does with the messages of several authors: all at once, and each alone if that fails.
    #[test]
    fn memory_that_is_full_takes_all_of_a_batch_or_nothing() -> Result<(), Box<dyn std::error::Error>> {
        let endpoint = Endpoint::builder().in_memory("pi1")?;
        let (a, b) = (endpoint.host("a")?, endpoint.host("b")?);
        let send = |size: usize| {
            let sealed = endpoint.seal_kept(&a, &b, &Draft::new("task", vec![0; size]), Vec::new())?;
            let (signer, reader, expires) = (sealed.signer, sealed.reader, sealed.header.expires);
            let expects = Expects::Acknowledgement;
            let outgoing = Outgoing { from: a.clone(), to: b.clone(), signer, reader, id: sealed.header.id, expires, expects };
            Ok::<_, crate::SealError>(Change::Send { outgoing, kept: sealed.kept, digest: sealed.digest })
        };
        let mut store = MemoryStore::default();
        let full = MAX_KEPT_IN_MEMORY - 10_000;
        store.work.bytes = full;
        let [small, large] = [send(1)?, send(10_000)?];
        let Change::Send { outgoing, kept, .. } = &small else { return Err("it is to be sent".into()) };
        let (sent, size) = (Change::Sent { signer: outgoing.signer, id: outgoing.id }, kept.as_bytes().len());
        let batch = [small, large];
        assert!(store.apply(&batch).is_err());
        assert_eq!((store.work.bytes, store.work.outgoing.len()), (full, 0), "as if nothing had been tried");
        assert!(store.apply(&batch[..1]).is_ok());
        assert!(store.apply(&batch[1..]).is_err());
        assert_eq!(store.work.bytes, full + size);
        store.apply(&[sent])?;
        assert_eq!(store.work.bytes, full);
        Ok(())
    }

    #[test]
    fn memory_that_is_full_knows_what_it_has_taken() -> Result<(), Box<dyn std::error::Error>> {
        let (reader, signer) = (Thumbprint::from_bytes([1; 32]), Thumbprint::from_bytes([2; 32]));
        let row = |id| Row { reader, signer, id: MessageId::from_bytes([id; 16]), digest: [id; 32], expires: u64::MAX };
        let (old, new) = (row(3), row(4));
        let mut store = MemoryStore::default();
        let arrival = |row| Arrival { row, form: Form::Opening, kept: None, answers: None };
        assert_eq!(store.take_all(&[arrival(&old)], 0)?.0, [Seen::New]);
        store.work.bytes = MAX_KEPT_IN_MEMORY + 1;
        assert_eq!(store.take_all(&[arrival(&old), arrival(&new)], 0)?.0, [Seen::Before, Seen::Full]);
        Ok(())
    }
}
