//! The desk: where all that leaves a node is sealed and all that it must remember is written, several at a time in one transaction.

use core::ops::Range;

use tokio::{
    sync::{OwnedSemaphorePermit, mpsc, oneshot},
    time::{Duration, Instant, timeout_at},
};

use super::{
    Inner, NodeError,
    confirmations::Way,
    flights::{End, Flight},
    parts::Part,
    ticket::Keep,
};
use crate::{
    address::Address,
    endpoint::SealedKept,
    envelope::Envelope,
    error::SealError,
    header::MessageRef,
    journal::{Change, Expects, Outgoing, RowKey},
    kept::Kept,
    key::{MessageId, Thread},
    limits::{MAX_LIFETIME, REQUEST_LIFETIME},
    message::Draft,
    transport::Transport,
};

/// Jobs that wait for the desk. Whoever brings more waits too.
pub(super) const MAX_JOBS: usize = 1024;

/// Jobs that are done in one transaction. More gain little and make the first wait.
const AT_ONCE: usize = 64;

/// How long notes that nobody waits for wait for company, so that they are written with the next message.
const LEISURE: Duration = Duration::from_millis(5);

/// Kind of a reply that says why there is none.
pub(super) const FAILED: &str = "failed";

/// Kind of a message that takes a request back.
pub(super) const CANCEL: &str = "cancel";

/// Kind of a message that only acknowledges.
pub(super) const ACK: &str = "ack";

/// What the desk does.
pub(super) enum Job {
    /// Takes a message over.
    Send(Box<Send>),
    /// A message was processed.
    Finish(Box<Finish>),
    /// Seals a message anew.
    Again(Outgoing),
    /// Seals a reply anew, as its request came again.
    Repeat(Address, Kept),
    /// Writes something down, in a moment.
    Write(Vec<Change>),
    /// Gives back what a message took of the bounds of a node, once what was to be written before is written.
    Free([OwnedSemaphorePermit; 2]),
    /// Sends acknowledgements that found no ride.
    Acknowledge(Way),
    /// Seals something that is sent once and not kept.
    Tell { from: Address, to: Address, draft: Draft<Vec<u8>> },
    /// Says that all before it was done.
    Flush(oneshot::Sender<()>),
}

impl Job {
    /// Bytes of messages that it has to do with; of those that are only in the store it is not known.
    fn size(&self) -> usize {
        match self {
            Self::Send(send) => send.draft.body.len(),
            Self::Finish(finish) => finish.outcome.size(),
            Self::Tell { draft, .. } => draft.body.len(),
            Self::Again(_) | Self::Repeat(..) => usize::MAX,
            Self::Write(_) | Self::Free(_) | Self::Acknowledge(_) | Self::Flush(_) => 0,
        }
    }
}

/// Where it is told whether a message was taken over.
type Taken = oneshot::Sender<Result<MessageRef, NodeError>>;

/// A message to be taken over.
pub(super) struct Send {
    pub(super) from: Address,
    pub(super) to: Address,
    pub(super) draft: Draft<Vec<u8>>,
    pub(super) expects: Expects,
    pub(super) end: End,
    pub(super) parts: Option<mpsc::Sender<Part>>,
    pub(super) keep: Keep,
    pub(super) room: [OwnedSemaphorePermit; 2],
    pub(super) taken: Taken,
}

/// A message that was processed.
pub(super) struct Finish {
    pub(super) key: RowKey,
    pub(super) from: Address,
    pub(super) to: Address,
    pub(super) request: MessageRef,
    pub(super) thread: Thread,
    pub(super) expires: u64,
    pub(super) outcome: Outcome,
}

/// How it was.
pub(super) enum Outcome {
    Reply(Draft<Vec<u8>>),
    Failed(String),
    Nothing,
}

impl Outcome {
    fn size(&self) -> usize {
        match self {
            Self::Reply(draft) => draft.body.len(),
            Self::Failed(reason) => reason.len(),
            Self::Nothing => 0,
        }
    }
}

/// What is to happen once a job's changes are written.
#[derive(Default)]
struct Entry {
    changes: Range<usize>,
    mail: Option<(Address, Envelope)>,
    flight: Option<(Flight, MessageRef, Taken)>,
    reply: Option<(MessageId, RowKey)>,
    confirm: Option<(Way, MessageId)>,
    flushed: Option<oneshot::Sender<()>>,
    _room: Option<[OwnedSemaphorePermit; 2]>,
}

#[derive(Default)]
struct Sheet {
    changes: Vec<Change>,
    entries: Vec<Entry>,
}

impl Sheet {
    fn enter(&mut self, changes: Vec<Change>, entry: Entry) {
        let start = self.changes.len();
        self.changes.extend(changes);
        self.entries.push(Entry { changes: start..self.changes.len(), ..entry });
    }

    fn mail(&mut self, to: &Address, envelope: Envelope) {
        self.enter(Vec::new(), Entry { mail: Some((to.clone(), envelope)), ..Entry::default() });
    }
}

pub(super) async fn run<T: Transport + 'static>(inner: std::sync::Arc<Inner<T>>, mut jobs: mpsc::Receiver<Job>) {
    let mut batch = Vec::with_capacity(AT_ONCE);
    while jobs.recv_many(&mut batch, AT_ONCE).await > 0 {
        let until = Instant::now() + LEISURE;
        while batch.len() < AT_ONCE && batch.iter().all(|job| matches!(job, Job::Write(_) | Job::Free(_))) {
            let room = AT_ONCE - batch.len();
            if !timeout_at(until, jobs.recv_many(&mut batch, room)).await.is_ok_and(|came| came > 0) {
                break;
            }
        }
        let (work, desk) = (std::mem::replace(&mut batch, Vec::with_capacity(AT_ONCE)), std::sync::Arc::clone(&inner));
        let size = work.iter().map(Job::size).fold(0, usize::saturating_add);
        // A panic is in the log; what was given to the desk is lost until it is sent again.
        let _panicked = inner.work(size, move || desk.do_jobs(work)).await;
    }
}

impl<T: Transport + 'static> Inner<T> {
    fn do_jobs(&self, jobs: Vec<Job>) {
        let mut sheet = Sheet::default();
        for job in jobs {
            self.do_job(job, &mut sheet);
        }
        let Sheet { changes, entries } = sheet;
        if changes.is_empty() || self.endpoint.apply(&changes).is_ok() {
            entries.into_iter().for_each(|entry| self.conclude(entry));
            return;
        }
        // One of them may be at fault; each is written alone, and only those that fail have failed.
        for entry in entries {
            match self.endpoint.apply(changes.get(entry.changes.clone()).unwrap_or_default()) {
                Ok(()) => self.conclude(entry),
                Err(error) => {
                    tracing::warn!(%error, "not written");
                    if let Some((_, _, taken)) = entry.flight {
                        let _gone = taken.send(Err(error.into()));
                    } else if let Some((to, envelope)) = entry.mail {
                        // A reply that cannot be kept is sent all the same; asked again, the handler runs again.
                        self.couriers.carry(&to, envelope.into());
                    }
                }
            }
        }
    }

    fn conclude(&self, entry: Entry) {
        if let Some((id, key)) = entry.reply {
            self.replies().add(id, key);
        }
        if let Some((way, id)) = entry.confirm {
            self.confirm(way, id, super::confirmations::SOON);
        }
        if let Some((flight, message, taken)) = entry.flight {
            self.take_off(flight);
            let _gone = taken.send(Ok(message));
        }
        if let Some((to, envelope)) = entry.mail {
            self.couriers.carry(&to, envelope.into());
        }
        if let Some(flushed) = entry.flushed {
            let _gone = flushed.send(());
        }
    }

    fn do_job(&self, job: Job, sheet: &mut Sheet) {
        match job {
            Job::Send(send) => self.do_send(*send, sheet),
            Job::Finish(finish) => self.do_finish(*finish, sheet),
            Job::Again(outgoing) => self.do_again(&outgoing, sheet),
            Job::Repeat(to, reply) => match self.endpoint.seal_anew(&reply) {
                Ok(envelope) => sheet.mail(&to, envelope),
                Err(error) => tracing::debug!(%to, %error, "a reply was not sealed anew"),
            },
            Job::Write(changes) => sheet.enter(changes, Entry::default()),
            Job::Free(room) => sheet.enter(Vec::new(), Entry { _room: Some(room), ..Entry::default() }),
            Job::Acknowledge((from, to)) => self.do_acknowledge(&from, &to, sheet),
            Job::Tell { from, to, draft } => match self.seal(&from, &to, &draft, None) {
                Ok(sealed) => sheet.mail(&to, sealed.envelope),
                Err(error) => tracing::debug!(%to, %error, kind = draft.kind, "not told"),
            },
            Job::Flush(flushed) => sheet.enter(Vec::new(), Entry { flushed: Some(flushed), ..Entry::default() }),
        }
    }

    /// Seals with the acknowledgements that wait for this way.
    fn seal(&self, from: &Address, to: &Address, draft: &Draft<Vec<u8>>, also: Option<MessageId>) -> Result<SealedKept, SealError> {
        let size = draft.body.len();
        let span = tracing::debug_span!("seal", %from, %to, kind = draft.kind, size, id = tracing::field::Empty).entered();
        let way = (from.clone(), to.clone());
        let mut riding = self.confirmations().ride(&way);
        riding.extend(also.filter(|also| riding.len() < crate::limits::MAX_ACKNOWLEDGED && !riding.contains(also)));
        let sealed = self.endpoint.seal_kept(from, to, draft, riding.clone());
        if let Ok(sealed) = &sealed {
            span.record("id", tracing::field::display(sealed.header.id));
        }
        if sealed.is_err() {
            let soon = tokio::time::Instant::now() + super::confirmations::SOON;
            let mut confirmations = self.confirmations();
            for id in riding.into_iter().filter(|id| Some(*id) != also) {
                confirmations.add(way.clone(), id, soon);
            }
        }
        sealed
    }

    fn do_send(&self, send: Send, sheet: &mut Sheet) {
        let Send { from, to, draft, expects, end, parts, keep, room, taken } = send;
        let sealed = match self.seal(&from, &to, &draft, None) {
            Ok(sealed) => sealed,
            Err(error) => {
                let _gone = taken.send(Err(error.into()));
                return;
            }
        };
        let SealedKept { envelope, header, kept, digest, signer, reader } = sealed;
        let outgoing = Outgoing { from, to: to.clone(), signer, reader, id: header.id, expires: header.expires, expects };
        let mut flight = Flight::new(outgoing.clone(), end, tokio::time::Instant::now() + self.resend_after);
        flight = flight.with_room(Some(room)).with_reply(keep);
        flight.parts = parts;
        let entry = Entry { mail: Some((to, envelope)), flight: Some((flight, header.message_ref(), taken)), ..Entry::default() };
        sheet.enter(vec![Change::Send { outgoing, kept, digest }], entry);
    }

    fn do_finish(&self, finish: Finish, sheet: &mut Sheet) {
        let (key, from, to) = (finish.key, finish.from.clone(), finish.to.clone());
        let reply = match &finish.outcome {
            Outcome::Nothing => None,
            Outcome::Reply(draft) => match self.seal_reply(&finish, draft.clone()) {
                Ok(sealed) => Some(sealed),
                Err(error) => {
                    tracing::warn!(%to, %error, "a reply could not be sealed");
                    self.seal_reply(&finish, Draft::new(FAILED, b"its reply could not be sealed".to_vec())).ok()
                }
            },
            Outcome::Failed(reason) => self.seal_reply(&finish, Draft::new(FAILED, reason.clone().into_bytes())).ok(),
        };
        let Some(SealedKept { envelope, header, kept, digest, .. }) = reply else {
            let entry = Entry { confirm: Some(((from, to), key.id)), ..Entry::default() };
            sheet.enter(vec![Change::Finished { key, reply: None }], entry);
            return;
        };
        let entry = Entry { mail: Some((to, envelope)), reply: Some((header.id, key)), ..Entry::default() };
        sheet.enter(vec![Change::Finished { key, reply: Some((kept, digest)) }], entry);
    }

    /// A reply lives as long as its request may be asked again.
    fn seal_reply(&self, finish: &Finish, draft: Draft<Vec<u8>>) -> Result<SealedKept, SealError> {
        let left = finish.expires.saturating_sub(self.endpoint.now());
        let draft = draft.answers(finish.request).thread(finish.thread).lifetime(left.clamp(REQUEST_LIFETIME, MAX_LIFETIME));
        self.seal(&finish.from, &finish.to, &draft, Some(finish.key.id))
    }

    fn do_again(&self, outgoing: &Outgoing, sheet: &mut Sheet) {
        let kept = match self.endpoint.outgoing(&outgoing.signer, outgoing.id) {
            Ok(Some(kept)) => kept,
            Ok(None) => {
                // Another process of this home has heard of it.
                let request = MessageRef { signer: outgoing.signer.short(), id: outgoing.id };
                if outgoing.expects == Expects::Acknowledgement {
                    self.flights().remove(outgoing.id);
                } else {
                    self.was_answered(request);
                }
                return;
            }
            Err(error) => {
                tracing::warn!(%error, "not sealed anew");
                return;
            }
        };
        match self.endpoint.seal_anew(&kept) {
            Ok(envelope) => sheet.mail(&outgoing.to, envelope),
            // What may pass with time, an agent that is hosted again, a new certificate or a repaired disk is tried again.
            Err(
                error @ (SealError::NotHosted(_)
                | SealError::UnknownReader(_)
                | SealError::ReaderExpired(_)
                | SealError::Store(_)
                | SealError::Entropy(_)
                | SealError::KeysFailed(_)
                | SealError::AuditFailed(_)),
            ) => {
                tracing::debug!(to = %outgoing.to, %error, "not sealed anew yet");
            }
            Err(error) => {
                let changes = vec![Change::Sent { signer: outgoing.signer, id: outgoing.id }];
                if let Some(flight) = self.flights().remove(outgoing.id)
                    && let End::Waiting(waiting) = flight.end
                {
                    let _gone = waiting.send(Err(error.into()));
                } else {
                    tracing::warn!(to = %outgoing.to, %error, "given up");
                }
                sheet.enter(changes, Entry::default());
            }
        }
    }

    fn do_acknowledge(&self, from: &Address, to: &Address, sheet: &mut Sheet) {
        let riding = self.confirmations().ride(&(from.clone(), to.clone()));
        if riding.is_empty() {
            return;
        }
        match self.endpoint.seal_kept(from, to, &Draft::new(ACK, Vec::new()), riding) {
            Ok(sealed) => sheet.mail(to, sealed.envelope),
            Err(error) => tracing::debug!(%to, %error, "not acknowledged; it will come again"),
        }
    }
}
