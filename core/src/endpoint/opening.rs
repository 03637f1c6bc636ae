//! From [`Envelope`] to [`Message`]: check, open, then commit (SPEC.md, "Opening").

use std::sync::Arc;

use sha2::{Digest, Sha256};

use super::{Endpoint, EndpointError, Reader, sealing::ACKNOWLEDGEMENT};
use crate::{
    address::Address,
    audit::{self, Decision, Entry},
    certificate::Certificate,
    envelope::{Blinded, Envelope, Form, Plaintext, Recipient},
    error::{OpenError, StoreFailed},
    header::Header,
    journal::{Row, Seen, Store},
    key::{LaneId, ReceiveKeyId, Thumbprint},
    lane::{Incoming, Pair},
    limits::MAX_ENVELOPE,
    message::Message,
    policy::{self, Direction, Request, Verdict},
    roster::check_time,
    schedule::{ContentKey, LaneEnds, LaneSecret, Offer, decapsulate, external_aad},
    sign1::sig_structure,
};

/// What came off the wire: an envelope, or why it is none.
struct Arrived<'a> {
    envelope: Result<&'a Envelope, OpenError>,
    size: usize,
}

impl<'a> From<&'a Envelope> for Arrived<'a> {
    fn from(envelope: &'a Envelope) -> Self {
        Self { envelope: Ok(envelope), size: envelope.as_bytes().len() }
    }
}

/// The key an envelope is for, as found here.
pub(super) enum Lock {
    Opening { reader: Arc<Reader>, receive_key: ReceiveKeyId, offer: Offer },
    Lane { id: LaneId, lane: Incoming, to: Address },
}

/// An envelope whose every claim was checked, before policy and journal.
pub(super) struct Checked {
    pub(super) message: Message,
    pub(super) row: Row,
    pub(super) certificate: Arc<Certificate>,
    to: Thumbprint,
    lock: Lock,
    pub(super) life: u64,
}

impl Checked {
    /// Whether it came in a lane that begins and ends in this endpoint.
    fn is_near(&self) -> bool {
        matches!(&self.lock, Lock::Lane { lane, .. } if lane.near)
    }
}

/// Told what speaks against a message that is authentic: its time, a revocation, a roster. What it returns decides whether that refuses it.
pub(super) type Objections<'a> = &'a mut dyn FnMut(OpenError) -> Result<(), OpenError>;

impl Endpoint {
    /// Opens an envelope for an agent hosted here.
    ///
    /// The order: keys, decryption, body hash, certificate, signature, names, time, replay, policy, audit; only then is anything written.
    /// A refused envelope leaves the state as it was, and the next genuine one is not harmed by it.
    ///
    /// # Errors
    /// See [`OpenError`]; nothing was released then.
    pub fn open(&self, envelope: &Envelope) -> Result<Message, OpenError> {
        only(self.open_all(core::slice::from_ref(envelope)))
    }

    /// Opens envelopes that arrived together, each as [`Endpoint::open`] does and whatever becomes of the others. Their messages enter the
    /// journal in one transaction, which costs less than one for each.
    pub fn open_all(&self, envelopes: &[Envelope]) -> Vec<Result<Message, OpenError>> {
        self.open_each(envelopes.iter().map(Arrived::from).collect())
    }

    /// Reads and opens an envelope as it came off the wire. Bytes that are none are in the audit log too; too many are not even copied.
    ///
    /// # Errors
    /// Those of [`Envelope::parse`] and [`Endpoint::open`].
    pub fn open_bytes(&self, bytes: &[u8]) -> Result<Message, OpenError> {
        only(self.open_all_bytes(&[bytes]))
    }

    /// Reads and opens what came off the wire together: [`Endpoint::open_bytes`] for each, and one transaction for all.
    pub fn open_all_bytes(&self, wire: &[&[u8]]) -> Vec<Result<Message, OpenError>> {
        let parsed: Vec<_> = wire.iter().map(|bytes| parse(bytes)).collect();
        let arrived = parsed.iter().zip(wire).map(|(parsed, bytes)| match parsed {
            Ok(envelope) => Arrived::from(envelope),
            Err(refused) => Arrived { envelope: Err(refused.clone()), size: bytes.len() },
        });
        self.open_each(arrived.collect())
    }

    fn open_each(&self, arrived: Vec<Arrived<'_>>) -> Vec<Result<Message, OpenError>> {
        let now = self.clock.now();
        let ready = self.check_process().map_err(open_error);
        // What could not be renewed is no reason to refuse what can be read.
        let _later = ready.is_ok().then(|| self.keep_current(now));
        let check = |arrived: &Arrived<'_>| {
            ready.clone()?;
            self.check(arrived.envelope.clone()?, now, &mut Err)
        };
        let opened = self.release(arrived.iter().map(check).collect(), now);
        let record = |(opened, arrived): (Result<_, _>, Arrived<'_>)| {
            let form = arrived.envelope.ok().map(Envelope::form);
            opened.map_err(|refused| self.refuse(refused, arrived.size, form, Direction::Open, now))
        };
        opened.into_iter().zip(arrived).map(record).collect()
    }

    /// Records what was refused; a denial and a failed log were recorded where they arose.
    pub(super) fn refuse(&self, refused: OpenError, size: usize, form: Option<Form>, direction: Direction, now: u64) -> OpenError {
        if !matches!(refused, OpenError::Denied(_) | OpenError::AuditFailed(_)) {
            let reason = refused.to_string();
            let entry = Entry { time: now, direction, decision: Decision::Refused(&reason), header: None, size, form };
            // Refused already: a log that cannot be written has nothing left to stop.
            let _unrecorded = audit::record(&*self.audit, &entry);
        }
        refused
    }

    /// Everything up to time. What speaks against a message whose author and reader are proven goes to `object`, which may let it pass.
    pub(super) fn check(&self, envelope: &Envelope, now: u64, object: Objections<'_>) -> Result<Checked, OpenError> {
        let (lock, key, life) = self.unlock(envelope, now)?;
        let (ciphertext, tag) = envelope.ciphertext();
        let mut plaintext = ciphertext.to_vec();
        key.open(&mut plaintext, &tag).map_err(|_| OpenError::NotAuthentic)?;
        let parts = Plaintext::parse(&plaintext).map_err(|_| OpenError::NotAuthentic)?;
        let header = Header::decode(parts.protected).map_err(|_| OpenError::NotAuthentic)?;
        let body = parts.body.clone();
        let content = Blinded { blind: parts.blind, body: plaintext.get(body.clone()).unwrap_or_default() };
        let to_verify = sig_structure(parts.protected, &external_aad(&self.domain), &content.digest());

        let certificate = self.certificate_behind(&lock, parts.certificate)?;
        let standing = certificate.check_now(&self.current_roster(), now);
        standing.or_else(&mut *object)?;
        if !certificate.key().verify(&to_verify, &parts.signature) {
            return Err(OpenError::NotAuthentic);
        }
        let signer = certificate.thumbprint();
        let to = lock.check_names(&header, &certificate)?;
        self.check_roster(&header).or_else(&mut *object)?;
        check_time(header.issued, header.expires, now).or_else(&mut *object)?;
        let digest = Sha256::digest(&to_verify).into();
        let row = Row { reader: to, signer, id: header.id, digest, expires: header.expires };
        let form = envelope.form();
        Ok(Checked { message: Message { header, signer, form, plaintext, body }, row, to, certificate, lock, life })
    }

    /// Finds the key, with the life it belongs to, and unwraps the content key; nothing is proven by it.
    fn unlock(&self, envelope: &Envelope, now: u64) -> Result<(Lock, ContentKey, u64), OpenError> {
        match envelope.recipient() {
            Recipient::Opening { receive_key, encapsulated, wrapped } => {
                let reader = self.reader(*receive_key)?;
                let (key, offer) = decapsulate(&self.domain, &reader.key, encapsulated, wrapped).map_err(|_| OpenError::NotAuthentic)?;
                let life = reader.life;
                Ok((Lock::Opening { reader, receive_key: *receive_key, offer }, key, life))
            }
            Recipient::Lane { lane: id, salt } => {
                let state = self.state();
                let lane = state.lanes.find(*id, now).ok_or(OpenError::UnknownLane)?;
                let reader = state.readers.get(&lane.ends.receive_key).ok_or(OpenError::UnknownLane)?;
                let (to, life) = (reader.agent.clone(), reader.life);
                let key = lane.secret.content_key(salt);
                Ok((Lock::Lane { id: *id, lane, to }, key, life))
            }
        }
    }

    /// The holder of a receive key. One that is unknown may have been made by another process of this home: looked up there.
    fn reader(&self, id: ReceiveKeyId) -> Result<Arc<Reader>, OpenError> {
        let life = {
            let state = self.state();
            if let Some(reader) = state.readers.get(&id) {
                return Ok(Arc::clone(reader));
            }
            state.life
        };
        let (name, held) = self.store().receive_key(id)?.ok_or(OpenError::UnknownKey)?;
        let agent = Address::new(&name, &self.node.name).map_err(|_| OpenError::UnknownKey)?;
        let mut guard = self.state();
        let state = &mut *guard;
        let thumbprint = state.agents.get(&agent).filter(|_| state.life == life).ok_or(OpenError::UnknownKey)?.thumbprint;
        let reader = Reader { agent, thumbprint, key: held.key, made: held.created, life };
        Ok(Arc::clone(state.readers.entry(id).or_insert_with(|| Arc::new(reader))))
    }

    /// The author's certificate: in an opening the one it carries, in a lane the one its opening carried.
    fn certificate_behind(&self, lock: &Lock, carried: Option<&[u8]>) -> Result<Arc<Certificate>, OpenError> {
        match (lock, carried) {
            (Lock::Opening { .. }, Some(bytes)) => {
                let digest: [u8; 32] = Sha256::digest(bytes).into();
                if let Some(known) = self.state().verified.get(&digest) {
                    return Ok(Arc::clone(known));
                }
                Certificate::verify_signature(bytes, &self.domain, &self.current_roster()).map(Arc::new).map_err(hide)
            }
            (Lock::Lane { lane, .. }, None) => Ok(Arc::clone(&lane.certificate)),
            _ => Err(OpenError::NotAuthentic),
        }
    }

    fn check_roster(&self, header: &Header) -> Result<(), OpenError> {
        let ours = self.state().roster.version();
        match header.roster {
            Some(theirs) if theirs > ours => Err(OpenError::RosterBehind { theirs, ours }),
            _ => Ok(()),
        }
    }

    /// Replay, policy, audit, revocation, insert, lane, release: each step for all of them before the next.
    fn release(&self, checked: Vec<Result<Checked, OpenError>>, now: u64) -> Vec<Result<Message, OpenError>> {
        let look_up_near = |checked: Checked| self.look_up_near(&checked.row, &checked.message.header).map(|()| checked);
        let checked = checked.into_iter().map(|checked| checked.and_then(look_up_near)).collect();
        let new = self.ask_journal(checked, now, |store, rows| store.look_up(rows));
        let permit = |new: Result<Checked, OpenError>| {
            let checked = new?;
            self.permit_release(&checked, now)?;
            // A policy that has forked goes on in two processes; the message is its parent's.
            self.check_process().map_err(open_error)?;
            // Policy and audit take their time; a revocation in it counts.
            checked.certificate.check_now(&self.current_roster(), now)?;
            self.insert_near(checked, now)
        };
        let permitted = new.into_iter().map(permit).collect();
        let inserted = self.ask_journal(permitted, now, |store, rows| store.insert(rows, now));
        let commit = |checked: Checked| {
            self.commit(&checked, now);
            checked.message
        };
        inserted.into_iter().map(|inserted| inserted.map(commit)).collect()
    }

    /// Refuses what came in a near lane before, whichever way it comes now.
    pub(super) fn look_up_near(&self, row: &Row, header: &Header) -> Result<(), OpenError> {
        let seen = self.state().near.seen(row);
        if matches!(seen, Seen::Before | Seen::Other) { judge(seen, header) } else { Ok(()) }
    }

    /// Notes a message of a near lane in memory, where it cannot be forgotten before the lane is.
    fn insert_near(&self, checked: Checked, now: u64) -> Result<Checked, OpenError> {
        if checked.is_near() {
            let seen = {
                let mut state = self.state();
                if state.life == checked.life { state.near.insert(&checked.row, now) } else { Seen::OtherLife }
            };
            self.refuse_seen(seen, &checked, now)?;
        }
        Ok(checked)
    }

    /// Refuses those of the messages that the store's journal speaks against. It is asked in the life whose keys opened them and in no other: a
    /// journal that has forgotten must not take what was decrypted before it forgot.
    fn ask_journal(
        &self,
        messages: Vec<Result<Checked, OpenError>>,
        now: u64,
        ask: impl FnOnce(&mut dyn Store, &[&Row]) -> Result<Vec<Seen>, StoreFailed>,
    ) -> Vec<Result<Checked, OpenError>> {
        // Those of near lanes are noted already; the policy of a later one may have forked since.
        let store = (!messages.iter().flatten().all(Checked::is_near)).then(|| self.store());
        let life = self.state().life;
        let of_life = |checked: Checked| if checked.life == life { Ok(checked) } else { Err(OpenError::UnknownKey) };
        let messages: Vec<_> = messages.into_iter().map(|message| message.and_then(of_life)).collect();
        let Some(mut store) = store else { return messages };
        let rows: Vec<_> = messages.iter().flatten().filter(|checked| !checked.is_near()).map(|checked| &checked.row).collect();
        let seen = if rows.is_empty() { Ok(Vec::new()) } else { ask(&mut **store, &rows) };
        drop(store);
        let mut seen = match seen {
            Ok(seen) => seen.into_iter(),
            Err(failed) => return messages.into_iter().map(|message| message.and(Err(failed.clone().into()))).collect(),
        };
        let judge = |message: Result<Checked, OpenError>| {
            let checked = message?;
            if checked.is_near() {
                return Ok(checked);
            }
            // One answer for each; a missing one releases nothing.
            self.refuse_seen(seen.next().unwrap_or(Seen::Before), &checked, now)?;
            Ok(checked)
        };
        messages.into_iter().map(judge).collect()
    }

    pub(super) fn refuse_seen(&self, seen: Seen, checked: &Checked, now: u64) -> Result<(), OpenError> {
        let header = &checked.message.header;
        // Another message that came with this one may have begun a life already.
        let begun = self.state().life != checked.life;
        match seen {
            // Only a clock that was set back puts the horizon into the future; otherwise the message came in the last seconds of its time.
            Seen::BeyondHorizon if header.expires <= now => return Err(OpenError::Expired { by: now - header.expires }),
            Seen::BeyondHorizon if !begun => self.begin_life(|store| store.begin_life()).map_err(open_error)?,
            Seen::OtherLife if !begun => self.begin_life(|store| store.settle()).map_err(open_error)?,
            _ => {}
        }
        judge(seen, header)
    }

    pub(super) fn permit_release(&self, checked: &Checked, now: u64) -> Result<(), OpenError> {
        let (header, size) = (&checked.message.header, checked.message.body.len());
        let [sender, reader] = {
            let state = self.state();
            [state.clearances_of(&header.from), state.clearances_of(&header.to)]
        };
        let direction = Direction::Open;
        let request = Request { direction, header, size, sender_clearances: &sender, reader_clearances: &reader };
        let verdict = policy::ask(&*self.policy, &request);
        let decision = match &verdict {
            Verdict::Allow => Decision::Allowed,
            Verdict::Deny(reason) => Decision::Denied(reason),
        };
        let entry = Entry { time: now, direction, decision, header: Some(header), size, form: Some(checked.message.form) };
        let recorded = audit::record(&*self.audit, &entry);
        match verdict {
            Verdict::Deny(reason) => Err(OpenError::Denied(reason)),
            Verdict::Allow => recorded.map_err(OpenError::AuditFailed),
        }
    }

    /// What an accepted message changes besides the journal. The only place where an opened envelope touches lanes and peers.
    pub(super) fn commit(&self, checked: &Checked, now: u64) {
        let header = &checked.message.header;
        let pair = Pair { signer: checked.row.signer, reader: checked.to };
        let mut guard = self.state();
        let state = &mut *guard;
        state.remember(Arc::clone(&checked.certificate), now);
        state.lanes.confirm(pair.reversed(), &header.acknowledged.lanes);
        match &checked.lock {
            Lock::Lane { id, lane, .. } => {
                // Who takes messages into the store and who does not must not open the same one.
                let _known = lane.near.then(|| state.near.insert(&checked.row, now));
                state.lanes.used(*id);
            }
            Lock::Opening { .. } if header.kind == ACKNOWLEDGEMENT => {}
            Lock::Opening { receive_key, offer, .. } => {
                let ends = LaneEnds { signer: pair.signer, reader: pair.reader, receive_key: *receive_key };
                let (id, secret): (LaneId, LaneSecret) = offer.lane(&self.domain, &ends, &checked.row.digest);
                let taken = state.lanes.accept(id, secret, ends, Arc::clone(&checked.certificate), now);
                // An author in this very endpoint learns at once that the lane is held.
                if taken && state.lanes.confirm(pair, &[id]) {
                    state.lanes.meets_itself(id);
                }
            }
        }
    }
}

impl Lock {
    /// That the signed names are those of the certificate and of the key that opened it. Returns the reader's key.
    fn check_names(&self, header: &Header, certificate: &Certificate) -> Result<Thumbprint, OpenError> {
        if header.from != *certificate.subject() || header.signer != certificate.thumbprint().short() {
            return Err(OpenError::NotAuthentic);
        }
        let (to, thumbprint) = match self {
            Self::Opening { reader, .. } => (&reader.agent, reader.thumbprint),
            Self::Lane { lane, to, .. } => (to, lane.ends.reader),
        };
        if header.to != *to || header.to_key != thumbprint.short() {
            return Err(OpenError::Misdirected);
        }
        Ok(thumbprint)
    }
}

fn parse(bytes: &[u8]) -> Result<Envelope, OpenError> {
    if bytes.len() > MAX_ENVELOPE {
        return Err(OpenError::TooLarge { size: bytes.len(), limit: MAX_ENVELOPE });
    }
    Envelope::parse(bytes.to_vec())
}

/// What became of one envelope.
fn only(opened: Vec<Result<Message, OpenError>>) -> Result<Message, OpenError> {
    // As many come out as went in; if none did, nothing is released.
    opened.into_iter().next().unwrap_or(Err(OpenError::NotAuthentic))
}

/// What the journal's answer means for a message.
pub(super) fn judge(seen: Seen, header: &Header) -> Result<(), OpenError> {
    match seen {
        Seen::New => Ok(()),
        Seen::Before => Err(OpenError::Duplicate(header.id)),
        Seen::Other => Err(OpenError::IdReused(header.id)),
        Seen::Full => Err(OpenError::Overloaded("the journal holds as many messages of this signer as it may")),
        // The receive key it was sealed for belongs to a life that has ended; its sender seals it anew.
        Seen::BeyondHorizon | Seen::OtherLife => Err(OpenError::UnknownKey),
    }
}

/// A certificate inside an envelope is part of what is authentic or not; only facts the reader can act on keep their name.
fn hide(error: OpenError) -> OpenError {
    match error {
        OpenError::Malformed(_) | OpenError::TooLarge { .. } => OpenError::NotAuthentic,
        other => other,
    }
}

pub(super) fn open_error(error: EndpointError) -> OpenError {
    match error {
        EndpointError::Refused(error) => error,
        EndpointError::Store(error) => OpenError::Store(error),
        EndpointError::Entropy(error) => OpenError::Entropy(error),
        other => OpenError::Store(StoreFailed(other.to_string())),
    }
}
