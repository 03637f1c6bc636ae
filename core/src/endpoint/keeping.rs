//! What a node asks of its [`Endpoint`]: messages that are kept until they are processed or acknowledged, and sealed anew meanwhile.

use std::sync::Arc;

use sha2::{Digest, Sha256};

use super::{
    Endpoint,
    opening::{Checked, open_error},
    sealing::{Written, seal_error},
};
use crate::{
    address::{Address, NODE},
    certificate::Certificate,
    envelope::{Blinded, Envelope, Form, Signed},
    error::{OpenError, SealError, StoreFailed},
    header::{Header, MessageRef},
    identity::{Identity, KeysFailed},
    journal::{Arrival, Change, Left, RowKey, Seen, Work},
    kept::Kept,
    key::{LaneId, MessageId, Thumbprint},
    limits::{CLOCK_TOLERANCE, MAX_ENVELOPE},
    message::{Draft, Message},
    node::{Nonce, sign_clock},
    policy::Direction,
    schedule::external_aad,
    sign1::sig_structure,
};

/// An envelope, and what is kept to seal the same message again.
pub(crate) struct SealedKept {
    pub(crate) envelope: Envelope,
    pub(crate) header: Header,
    pub(crate) kept: Kept,
    pub(crate) digest: [u8; 32],
    pub(crate) signer: Thumbprint,
    pub(crate) reader: Thumbprint,
}

/// What is to become of a message that is authentic and new.
pub(crate) enum Admission {
    /// It is kept until it was processed.
    Kept,
    /// It is the reply to this request and kept in its place.
    Answer(MessageId),
    /// It is the reply to this request, and nobody will ask for it again: nothing of either is kept.
    LastWord(MessageId),
    /// It is opened and nothing of it is kept: it says something about other messages.
    Passing,
}

/// An envelope that was opened.
pub(crate) enum Taken {
    /// For the first time.
    New {
        message: Message,
        key: RowKey,
        /// The journal began a new life since it was written, so it may have been processed before.
        in_earlier_life: bool,
    },
    /// Again: an authentic copy, or the message sealed anew.
    Again { header: Header, key: RowKey, work: Option<Work> },
}

/// An envelope that was not.
pub(crate) struct Refused {
    pub(crate) error: OpenError,
    /// Whom the message is from, where that was proven.
    pub(crate) from: Option<Address>,
}

impl From<OpenError> for Refused {
    fn from(error: OpenError) -> Self {
        Self { error, from: None }
    }
}

/// What stands between the checks of an envelope and its insert.
enum Step {
    Insert(Box<Checked>, Option<Kept>, Option<MessageId>),
    Again(Box<Header>, RowKey),
}

impl Endpoint {
    /// Whether something of the user's is called for a message: how long that takes, and what it calls itself, is not known.
    pub(crate) fn calls_its_user(&self) -> bool {
        self.has_hooks || self.has_clock || matches!(self.node.key, Identity::Elsewhere(_))
    }

    /// The time here.
    pub(crate) fn now(&self) -> u64 {
        self.clock.now()
    }

    /// Whether `address` is hosted here.
    pub(crate) fn hosts(&self, address: &Address) -> Option<Thumbprint> {
        self.state().agents.get(address).map(|agent| agent.thumbprint)
    }

    /// Whether there is a certificate to seal for `address` with, good for now.
    pub(crate) fn knows(&self, address: &Address) -> bool {
        let now = self.clock.now();
        let state = self.state();
        state.certificate_of(address).is_some_and(|certificate| certificate.check_now(&state.roster, now).is_ok())
    }

    /// Seals a draft of any kind and returns what is to be kept of it.
    pub(crate) fn seal_kept<B: AsRef<[u8]>>(
        &self,
        from: &Address,
        to: &Address,
        draft: &Draft<B>,
        acknowledged: Vec<MessageId>,
    ) -> Result<SealedKept, SealError> {
        let (sealed, written) = self.seal_any(from, to, draft, acknowledged, self.clock.now())?;
        let signed = Signed { protected: &written.protected, certificate: None, signature: written.signature };
        let kept = Kept::new(&signed, &written.content);
        let (signer, reader) = (written.pair.signer, written.pair.reader);
        Ok(SealedKept { envelope: sealed.envelope, header: sealed.header, kept, digest: written.digest, signer, reader })
    }

    /// Seals a message again as an opening for the reader's present receive key: header, blind, body and signature are those of the first time.
    /// Policy and audit are asked as then.
    ///
    /// # Errors
    /// As [`Endpoint::seal`]; [`SealError::Replaced`] if author or reader has another signing key now.
    pub(crate) fn seal_anew(&self, kept: &Kept) -> Result<Envelope, SealError> {
        let now = self.clock.now();
        self.keep_current(now).map_err(seal_error)?;
        let damaged = |_| SealError::Store(StoreFailed("a message that was kept cannot be read".into()));
        let (parts, header) = kept.parts().map_err(damaged)?;
        // What lives longer than a lane's messages goes as an opening: so it does here.
        let plan = self.plan(&header.from, &header.to, u64::MAX, now)?;
        for (address, signed, present) in
            [(&header.from, header.signer, plan.pair.signer.short()), (&header.to, header.to_key, plan.pair.reader.short())]
        {
            if signed != present {
                return Err(SealError::Replaced(address.clone()));
            }
        }
        let body = kept.as_bytes().get(parts.body.clone()).unwrap_or_default();
        self.permit(&header, body.len(), &plan, now)?;
        let content = Blinded { blind: parts.blind, body };
        let to_sign = sig_structure(parts.protected, &external_aad(&self.domain), &content.digest());
        let digest = Sha256::digest(&to_sign).into();
        let written = Written { protected: parts.protected.to_vec(), content, signature: parts.signature, digest, pair: plan.pair };
        self.seal_written(&header, &written, plan, now)
    }

    /// Opens what has arrived, with one transaction for all that is new.
    ///
    /// `admit` says of each authentic message that is new what is to become of it, or refuses it.
    pub(crate) fn take(
        &self,
        arrived: &[&[u8]],
        admit: &dyn Fn(&Header, &RowKey) -> Result<Admission, OpenError>,
    ) -> Vec<Result<Taken, Refused>> {
        let now = self.clock.now();
        if let Err(error) = self.check_process() {
            let error = open_error(error);
            return arrived.iter().map(|_| Err(error.clone().into())).collect();
        }
        let _later = self.keep_current(now);
        let checked: Vec<_> = arrived.iter().map(|bytes| self.check_for_now(bytes, now)).collect();
        let mut known = self.look_up_all(&checked).into_iter();
        let step = |checked: Result<Checked, Refused>| {
            let checked = checked?;
            // One answer for each; a missing one releases nothing.
            let known = known.next().unwrap_or(Ok(Seen::Before)).map_err(OpenError::from)?;
            self.step(checked, known, admit, now)
        };
        let steps: Vec<_> = checked.into_iter().map(step).collect();
        let inserted = self.insert_steps(&steps, now);
        let mut inserted = inserted.into_iter();
        let finish = |step: Result<Step, Refused>| match step? {
            Step::Insert(checked, ..) => {
                let (seen, began) = inserted.next().unwrap_or(Err(OpenError::UnknownKey))?;
                self.finish_taking(*checked, seen, began, now)
            }
            Step::Again(header, key) => self.again(*header, key),
        };
        let taken: Vec<_> = steps.into_iter().map(finish).collect();
        for (result, bytes) in taken.iter().zip(arrived) {
            match result {
                Ok(Taken::Again { header, .. }) => {
                    self.refuse(OpenError::Duplicate(header.id), bytes.len(), None, Direction::Open, now);
                }
                Err(refused) => drop(self.refuse(refused.error.clone(), bytes.len(), None, Direction::Open, now)),
                Ok(Taken::New { .. }) => {}
            }
        }
        taken
    }

    /// Everything but the journal. A roster that is newer than the one here is fetched first.
    fn check_for_now(&self, bytes: &[u8], now: u64) -> Result<Checked, Refused> {
        if bytes.len() > MAX_ENVELOPE {
            return Err(OpenError::TooLarge { size: bytes.len(), limit: MAX_ENVELOPE }.into());
        }
        let envelope = Envelope::parse(bytes.to_vec())?;
        let mut behind = None;
        let mut object = |objection| match objection {
            OpenError::RosterBehind { .. } => {
                behind = Some(objection);
                Ok(())
            }
            other => Err(other),
        };
        let checked = self.check(&envelope, now, &mut object)?;
        match behind {
            Some(error) => Err(Refused { error, from: Some(checked.message.header.from) }),
            None => Ok(checked),
        }
    }

    /// What the journal knows of those that passed, in one look. It is spared for a message that came alone and is shown to no hook: of that the
    /// journal speaks when it is written. Of several, one may begin a life in which the others count for nothing.
    fn look_up_all(&self, checked: &[Result<Checked, Refused>]) -> Vec<Result<Seen, StoreFailed>> {
        let rows: Vec<_> = checked.iter().flatten().map(|checked| &checked.row).collect();
        if let ([Ok(checked)], false) = (checked, self.has_hooks)
            && self.look_up_near(&checked.row, &checked.message.header).is_ok()
        {
            return vec![Ok(Seen::New)];
        }
        match self.store().look_up(&rows) {
            Ok(known) => known.into_iter().map(Ok).collect(),
            Err(failed) => rows.iter().map(|_| Err(failed.clone())).collect(),
        }
    }

    fn step(
        &self,
        checked: Checked,
        known: Seen,
        admit: &dyn Fn(&Header, &RowKey) -> Result<Admission, OpenError>,
        now: u64,
    ) -> Result<Step, Refused> {
        if known == Seen::Before {
            return Ok(Step::Again(Box::new(checked.message.header), checked.row.key()));
        }
        let from = Some(checked.message.header.from.clone());
        let refuse = |error| Refused { error, from: from.clone() };
        self.refuse_seen(known, &checked, now).map_err(refuse)?;
        self.look_up_near(&checked.row, &checked.message.header).map_err(refuse)?;
        let (is_kept, answers) = match admit(&checked.message.header, &checked.row.key()) {
            Ok(Admission::Kept) => (true, None),
            Ok(Admission::Answer(request)) => (true, Some(request)),
            Ok(Admission::LastWord(request)) => (false, Some(request)),
            Ok(Admission::Passing) => (false, None),
            // Where there is no room for what is new, there is for a copy.
            Err(_) if self.store().look_up(&[&checked.row]).map_err(OpenError::from)?.contains(&Seen::Before) => {
                return Ok(Step::Again(Box::new(checked.message.header), checked.row.key()));
            }
            Err(error) => return Err(refuse(error)),
        };
        let kept = is_kept.then(|| Kept::of_plaintext(&checked.message.plaintext)).transpose().map_err(|_| OpenError::NotAuthentic)?;
        self.permit_release(&checked, now)?;
        checked.certificate.check_now(&self.current_roster(), now)?;
        Ok(Step::Insert(Box::new(checked), kept, answers))
    }

    /// Inserts what passed, in the life whose keys opened it. One answer for each [`Step::Insert`], in their order.
    fn insert_steps(&self, steps: &[Result<Step, Refused>], now: u64) -> Vec<Result<(Seen, u64), OpenError>> {
        let new = |step: &Result<Step, Refused>| matches!(step, Ok(Step::Insert(..)));
        let count = steps.iter().filter(|step| new(step)).count();
        if count == 0 {
            return Vec::new();
        }
        let mut store = self.store();
        let life = self.state().life;
        let mut arrivals = Vec::with_capacity(count);
        let mut of_this_life = Vec::with_capacity(count);
        for step in steps {
            if let Ok(Step::Insert(checked, kept, answers)) = step {
                of_this_life.push(checked.life == life);
                if checked.life == life {
                    arrivals.push(Arrival { row: &checked.row, form: checked.message.form, kept: kept.as_ref(), answers: *answers });
                }
            }
        }
        let (seen, began) = match store.working().and_then(|working| working.take_all(&arrivals, now)) {
            Ok(taken) => taken,
            Err(error) => return vec![Err(OpenError::Store(error)); count],
        };
        let mut seen = seen.into_iter();
        let answer =
            |ours: bool| if ours { seen.next().map(|seen| (seen, began)).ok_or(OpenError::UnknownKey) } else { Err(OpenError::UnknownKey) };
        of_this_life.into_iter().map(answer).collect()
    }

    fn finish_taking(&self, checked: Checked, seen: Seen, began: u64, now: u64) -> Result<Taken, Refused> {
        let key = checked.row.key();
        if seen == Seen::Before {
            return self.again(checked.message.header, key);
        }
        self.refuse_seen(seen, &checked, now)?;
        self.commit(&checked, now);
        let message = checked.message;
        let in_earlier_life = message.header.issued <= began.saturating_add(CLOCK_TOLERANCE) && began > 0;
        Ok(Taken::New { message, key, in_earlier_life })
    }

    fn again(&self, header: Header, key: RowKey) -> Result<Taken, Refused> {
        let work = self.work(&key).map_err(OpenError::from)?;
        Ok(Taken::Again { header, key, work })
    }

    /// Writes changes in one transaction.
    pub(crate) fn apply(&self, changes: &[Change]) -> Result<(), StoreFailed> {
        self.store().working()?.apply(changes)
    }

    pub(crate) fn work(&self, key: &RowKey) -> Result<Option<Work>, StoreFailed> {
        self.store().working()?.work(key)
    }

    pub(crate) fn outgoing(&self, signer: &Thumbprint, id: MessageId) -> Result<Option<Kept>, StoreFailed> {
        self.store().working()?.outgoing(signer, id)
    }

    /// The reply to a request, as long as it is kept.
    pub(crate) fn answer(&self, request: &MessageRef) -> Result<Option<Message>, StoreFailed> {
        let answer = self.store().working()?.answer(request)?;
        let message = answer.map(|answer| answer.kept.into_message(answer.author, answer.form)).transpose();
        message.map_err(|_| StoreFailed("a reply that was kept cannot be read".into()))
    }

    /// Takes over what processes of this home that have ended had taken over.
    pub(crate) fn adopt(&self) -> Result<Left, StoreFailed> {
        self.store().working()?.adopt()
    }

    /// Lets the next process of this home go on with what this one has taken over.
    pub(crate) fn retire(&self) {
        if let Ok(working) = self.store().working() {
            working.retire();
        }
    }

    /// Takes the peers that the home knows. A certificate that does not hold any more is passed over.
    pub(crate) fn remember_peers(&self, limit: usize) -> Result<Vec<Address>, StoreFailed> {
        let certificates = self.store().working()?.peers(limit)?;
        Ok(certificates.iter().filter_map(|certificate| self.introduce(certificate).ok()).collect())
    }

    /// The certificate that `address` is sealed for with.
    pub(crate) fn certificate_of(&self, address: &Address) -> Option<Arc<Certificate>> {
        self.state().certificate_of(address)
    }

    /// What time it is here, for who asked with `nonce`.
    pub(crate) fn sign_clock(&self, nonce: &Nonce) -> Result<Vec<u8>, KeysFailed> {
        sign_clock(&self.node, &self.domain, nonce, self.clock.now())
    }

    pub(crate) fn roster_version(&self) -> u64 {
        self.state().roster.version()
    }

    /// Whether the roster lists the node of that agent, and lets it host the name; or it is the node itself.
    pub(crate) fn lists(&self, agent: &Address) -> bool {
        self.state().roster.node(agent.node()).is_some_and(|node| agent.name() == NODE || node.may_host(agent.name()))
    }

    /// As [`Endpoint::introduce`], for a certificate that comes from anybody: only one that is new here and not older than what is known of
    /// its agent changes something, and lanes to that agent are forgotten then, at the price of one opening each.
    pub(crate) fn introduce_newer(&self, certificate: &[u8]) -> Result<Option<Address>, OpenError> {
        let known = self.state().verified.contains_key(&digest(certificate));
        if known {
            return Ok(None);
        }
        let (now, roster) = (self.clock.now(), self.current_roster());
        let offered = Certificate::verify(certificate, &self.domain, &roster, now)?;
        let address = offered.subject().clone();
        let mut state = self.state();
        if state.agents.contains_key(&address) {
            return Ok(None);
        }
        let present = state.peers.get(&address).map(|present| (present.issued(), present.thumbprint()));
        if present.is_some_and(|(issued, _)| issued > offered.issued() && self.holds(&state, &address, now)) {
            return Ok(None);
        }
        state.remember(Arc::new(offered), now);
        if let Some((_, thumbprint)) = present {
            state.lanes.forget_reader(&thumbprint);
        }
        Ok(Some(address))
    }

    fn holds(&self, state: &super::State, address: &Address, now: u64) -> bool {
        state.peers.get(address).is_some_and(|known| known.check_now(&state.roster, now).is_ok())
    }

    /// The peer says, in an unauthenticated hint, that it does not hold a lane. If it is one that is used or offered here it is forgotten, and
    /// its reader returned.
    pub(crate) fn lose_lane(&self, lane: LaneId) -> Option<Address> {
        let mut state = self.state();
        let reader = state.lanes.forget(lane)?;
        state.peers.iter().find(|(_, certificate)| certificate.thumbprint() == reader).map(|(address, _)| address.clone())
    }

    /// That a message which has waited since it was opened may still be released: its author was not revoked meanwhile. A refusal is recorded.
    ///
    /// # Errors
    /// [`OpenError::Revoked`].
    pub(crate) fn check_release(&self, message: &Message) -> Result<(), OpenError> {
        // A home that cannot be read now was read a moment ago.
        let _later = self.look_at_roster();
        if self.is_trusted(&message.header.from, &message.signer) {
            return Ok(());
        }
        Err(self.refuse(OpenError::Revoked, message.plaintext.len(), Some(message.form), Direction::Open, self.now()))
    }

    fn is_trusted(&self, from: &Address, signer: &Thumbprint) -> bool {
        let state = self.state();
        match state.certificate_of(from).filter(|certificate| certificate.thumbprint() == *signer) {
            Some(certificate) => certificate.check_standing(&state.roster).is_ok(),
            // It was there when the message was opened, and has given way to a newer one.
            None => state.roster.node(from.node()).is_some_and(|node| node.may_host(from.name()) && !state.roster.is_revoked(signer)),
        }
    }

    /// The message that is kept, to be released again.
    pub(crate) fn released_again(&self, key: &RowKey, form: Form, kept: Kept) -> Result<Message, StoreFailed> {
        kept.into_message(key.signer, form).map_err(|_| StoreFailed("a message that was kept cannot be read".into()))
    }
}

/// SHA-256.
pub(crate) fn digest(bytes: &[u8]) -> [u8; 32] {
    Sha256::digest(bytes).into()
}
