//! From [`Draft`] to [`Envelope`].

use std::sync::Arc;

use sha2::{Digest, Sha256};

use super::{Agent, Endpoint, EndpointError};
use crate::{
    address::{Address, InvalidName},
    audit::{self, Decision, Entry},
    certificate::Certificate,
    envelope::{Blinded, Envelope, Form, Route, Signed, assemble},
    error::{OpenError, SealError, StoreFailed},
    header::{Acknowledged, Header, check_content_type, check_kind, check_label},
    key::{LaneId, MessageId, ReceiveKeyPublic, Thread},
    lane::{Outgoing, Pair, Terms},
    limits::{MAX_ENVELOPE, MAX_HEADER, MAX_LABELS, MAX_LIFETIME, REQUEST_LIFETIME},
    message::{Draft, Sealed},
    policy::{self, Direction, Request, Verdict},
    schedule::{ContentKey, Hedge, LaneEnds, LaneSecret, Offer, encapsulate, external_aad},
    sign1::sig_structure,
};

/// What was signed, and between which keys: the same however often it is sealed.
pub(super) struct Written<'a> {
    pub(super) protected: Vec<u8>,
    pub(super) content: Blinded<'a>,
    pub(super) signature: [u8; 64],
    /// SHA-256 of the signature input.
    pub(super) digest: [u8; 32],
    #[cfg_attr(not(feature = "node"), expect(dead_code, reason = "a node keeps messages by the keys at their ends"))]
    pub(super) pair: Pair,
}

/// Who seals for whom, and by which way: decided in one look at the state.
pub(super) struct Plan {
    pub(super) author: Arc<Agent>,
    reader: Arc<Certificate>,
    pub(super) pair: Pair,
    terms: Terms,
    lane: Option<(LaneId, Arc<LaneSecret>)>,
    names: Vec<LaneId>,
    clearances: [Vec<String>; 2],
}

impl Plan {
    /// Digest of all that tells this plaintext and its way from any other: what is signed, the certificate beside it, the key or lane it goes to.
    fn hedged(&self, signed_digest: &[u8; 32]) -> [u8; 32] {
        let hash = Sha256::new().chain_update(signed_digest);
        let hash = match &self.lane {
            Some((lane, _)) => hash.chain_update(lane.as_bytes()),
            None => hash.chain_update(self.terms.receive_key.as_bytes()).chain_update(self.author.certificate.as_bytes()),
        };
        hash.finalize().into()
    }
}

impl Endpoint {
    /// Seals a draft of the hosted agent `from` for `to` and nobody else.
    ///
    /// The order: form, policy, audit, signature, encryption. The result is an opening until `to` has named the lane it offers.
    ///
    /// # Errors
    /// See [`SealError`]; nothing was sealed then.
    pub fn seal<B: AsRef<[u8]>>(&self, from: &Address, to: &Address, draft: &Draft<B>) -> Result<Sealed, SealError> {
        if draft.kind == ACKNOWLEDGEMENT {
            return Err(InvalidName { what: "the kind `ack` is the protocol's own" }.into());
        }
        self.seal_any(from, to, draft, Vec::new(), self.clock.now()).map(|(sealed, _)| sealed)
    }

    /// Seals a draft of any kind, with the messages it acknowledges. Also returns what was signed, and by and for which keys.
    pub(super) fn seal_any<'a, B: AsRef<[u8]>>(
        &self,
        from: &Address,
        to: &Address,
        draft: &'a Draft<B>,
        acknowledged: Vec<MessageId>,
        now: u64,
    ) -> Result<(Sealed, Written<'a>), SealError> {
        match self.keep_current(now) {
            // An agent that may not or cannot be certified any more is told so below, when it is its turn; the others go on.
            Ok(()) | Err(EndpointError::NotAllowed(_) | EndpointError::KeysFailed(_)) => {}
            Err(error) => return Err(seal_error(error)),
        }
        check_draft(draft)?;
        let size = draft.body.as_ref().len();
        if size > MAX_ENVELOPE {
            return Err(SealError::TooLarge { size, limit: MAX_ENVELOPE });
        }
        let plan = self.plan(from, to, draft.lifetime, now)?;
        let header = self.header(from, to, draft, &plan, acknowledged, now)?;
        let body = draft.body.as_ref();
        self.permit(&header, body.len(), &plan, now)?;
        let sealed = self.seal_planned(header, body, plan, now)?;
        // Only now: had it not been signed, nobody would have heard the names.
        self.state().lanes.named(&sealed.0.header.acknowledged.lanes, now);
        Ok(sealed)
    }

    /// Seals an acknowledgement from the hosted agent `from` for `to`, if there are lanes of `to` that were not named to it yet.
    ///
    /// A reply names them as well; this is for one-way traffic, which has no reply.
    ///
    /// # Errors
    /// As [`Endpoint::seal`].
    pub fn acknowledge(&self, from: &Address, to: &Address) -> Result<Option<Sealed>, SealError> {
        let now = self.clock.now();
        let named = {
            let state = self.state();
            let author = state.agents.get(from).ok_or_else(|| SealError::NotHosted(from.clone()))?;
            let reader = state.certificate_of(to).ok_or_else(|| SealError::UnknownReader(to.clone()))?;
            state.lanes.unnamed(Pair { signer: author.thumbprint, reader: reader.thumbprint() }, now)
        };
        if named.is_empty() {
            return Ok(None);
        }
        self.seal_any(from, to, &Draft::new(ACKNOWLEDGEMENT, []), Vec::new(), now).map(|(sealed, _)| Some(sealed))
    }

    pub(super) fn plan(&self, from: &Address, to: &Address, lifetime: u64, now: u64) -> Result<Plan, SealError> {
        let policy = policy::digest(&*self.policy).map_err(SealError::Denied)?;
        let mut guard = self.state();
        let state = &mut *guard;
        let author = state.agents.get(from).cloned().ok_or_else(|| SealError::NotHosted(from.clone()))?;
        let reader = state.certificate_of(to).ok_or_else(|| SealError::UnknownReader(to.clone()))?;
        for (address, certificate) in [(from, &author.certificate), (to, &reader)] {
            certificate.check_now(&state.roster, now).map_err(|error| match error {
                OpenError::Revoked | OpenError::UnknownSigner => SealError::Revoked(address.clone()),
                _ => SealError::ReaderExpired(address.clone()),
            })?;
        }
        let receive_key = reader.receive_key_id().ok_or_else(|| SealError::ReaderExpired(to.clone()))?;
        let terms = Terms { receive_key, policy, roster: state.roster.version() };
        let pair = Pair { signer: author.thumbprint, reader: reader.thumbprint() };
        // The reader keeps a lane no longer than a request may be under way.
        let lane = if lifetime <= REQUEST_LIFETIME { state.lanes.next(pair, &terms, now) } else { None };
        let names = state.lanes.unnamed(pair, now);
        let clearances = [state.clearances_of(from), state.clearances_of(to)];
        Ok(Plan { author, reader, pair, terms, lane, names, clearances })
    }

    fn header<B>(
        &self,
        from: &Address,
        to: &Address,
        draft: &Draft<B>,
        plan: &Plan,
        acknowledged: Vec<MessageId>,
        now: u64,
    ) -> Result<Header, SealError> {
        let mut labels = draft.labels.clone();
        labels.sort();
        labels.dedup();
        let opening = plan.lane.is_none();
        Ok(Header {
            from: from.clone(),
            to: to.clone(),
            signer: plan.author.thumbprint.short(),
            to_key: plan.pair.reader.short(),
            issued: now,
            expires: now.saturating_add(draft.lifetime),
            id: MessageId(self.random()?),
            thread: draft.thread.map_or_else(|| self.random().map(Thread), Ok)?,
            kind: draft.kind.clone(),
            labels,
            content_type: draft.content_type.clone(),
            policy: plan.terms.policy.filter(|_| opening),
            roster: opening.then_some(plan.terms.roster),
            answers: draft.answers,
            came_from: draft.came_from,
            acknowledged: Acknowledged { messages: acknowledged, lanes: plan.names.clone() },
        })
    }

    /// Policy, then audit.
    pub(super) fn permit(&self, header: &Header, size: usize, plan: &Plan, now: u64) -> Result<(), SealError> {
        let [sender_clearances, reader_clearances] = &plan.clearances;
        let request = Request { direction: Direction::Seal, header, size, sender_clearances, reader_clearances };
        let verdict = policy::ask(&*self.policy, &request);
        let decision = match &verdict {
            Verdict::Allow => Decision::Allowed,
            Verdict::Deny(reason) => Decision::Denied(reason),
        };
        let form = if plan.lane.is_some() { Form::Lane } else { Form::Opening };
        let entry = Entry { time: now, direction: Direction::Seal, decision, header: Some(header), size, form: Some(form) };
        let recorded = audit::record(&*self.audit, &entry);
        match verdict {
            Verdict::Deny(reason) => Err(SealError::Denied(reason)),
            Verdict::Allow => recorded.map_err(SealError::AuditFailed),
        }
    }

    fn seal_planned<'a>(&self, header: Header, body: &'a [u8], plan: Plan, now: u64) -> Result<(Sealed, Written<'a>), SealError> {
        let protected = header.encode();
        if protected.len() > MAX_HEADER {
            return Err(SealError::TooLarge { size: protected.len(), limit: MAX_HEADER });
        }
        let content = Blinded { blind: self.random()?, body };
        let to_sign = sig_structure(&protected, &external_aad(&self.domain), &content.digest());
        let (signature, digest) = (plan.author.key.sign(&to_sign)?, Sha256::digest(&to_sign).into());
        let written = Written { protected, content, signature, digest, pair: plan.pair };
        let envelope = self.seal_written(&header, &written, plan, now)?;
        Ok((Sealed { envelope, header }, written))
    }

    /// Encrypts what was signed, now or earlier.
    pub(super) fn seal_written(&self, header: &Header, written: &Written<'_>, plan: Plan, now: u64) -> Result<Envelope, SealError> {
        let hedge = Hedge::new(&self.hedge, &*self.entropy, &plan.hedged(&written.digest))?;
        let (route, key, offer) = self.route(&plan, &hedge, &written.digest)?;
        let certificate = offer.is_some().then(|| plan.author.certificate.as_bytes());
        let signed = Signed { protected: &written.protected, certificate, signature: written.signature };
        let envelope = assemble(&signed, &written.content, route, |plaintext| key.seal(plaintext))
            .map_err(|(size, limit)| SealError::TooLarge { size, limit })?;
        if let Some((id, secret)) = offer
            && header.kind != ACKNOWLEDGEMENT
        {
            self.state().lanes.offer(plan.pair, Outgoing::new(id, secret, plan.terms, now));
        }
        Ok(envelope)
    }

    /// The way to the reader, the key of the content, and in an opening the lane it offers.
    #[allow(clippy::type_complexity, reason = "three results of one step; a type of their own would have no other use")]
    fn route(
        &self,
        plan: &Plan,
        hedge: &Hedge,
        signed_digest: &[u8; 32],
    ) -> Result<(Route, ContentKey, Option<(LaneId, LaneSecret)>), SealError> {
        if let Some((lane, secret)) = &plan.lane {
            let salt = hedge.salt();
            return Ok((Route::Lane { lane: *lane, salt }, secret.content_key(&salt), None));
        }
        let unusable = || SealError::ReaderExpired(plan.reader.subject().clone());
        let reader: &ReceiveKeyPublic = plan.reader.receive_key().ok_or_else(unusable)?;
        let (encapsulated, key, offer): (_, _, Offer) = encapsulate(&self.domain, reader, hedge).map_err(|_| unusable())?;
        let ends = LaneEnds { signer: plan.pair.signer, reader: plan.pair.reader, receive_key: reader.id() };
        let lane = offer.lane(&self.domain, &ends, signed_digest);
        Ok((Route::Opening { receive_key: reader.id(), encapsulated }, key, Some(lane)))
    }
}

/// The kind of a message that only confirms. It is never acknowledged itself.
pub(super) const ACKNOWLEDGEMENT: &str = "ack";

fn check_draft<B>(draft: &Draft<B>) -> Result<(), InvalidName> {
    check_kind(&draft.kind)?;
    draft.labels.iter().try_for_each(|label| check_label(label))?;
    draft.content_type.as_deref().map_or(Ok(()), check_content_type)?;
    if draft.labels.len() > MAX_LABELS {
        return Err(InvalidName { what: "a message has at most 16 labels" });
    }
    if draft.lifetime == 0 || draft.lifetime > MAX_LIFETIME {
        return Err(InvalidName { what: "a lifetime is 1 to 86400 seconds" });
    }
    Ok(())
}

pub(super) fn seal_error(error: EndpointError) -> SealError {
    match error {
        EndpointError::Invalid(invalid) => SealError::Invalid(invalid),
        EndpointError::NotAllowed(address) => SealError::Revoked(address),
        EndpointError::NotListed { .. } => SealError::Store(StoreFailed(error.to_string())),
        EndpointError::Refused(error) => SealError::Store(StoreFailed(error.to_string())),
        EndpointError::Store(error) => SealError::Store(error),
        EndpointError::Entropy(error) => SealError::Entropy(error),
        EndpointError::KeysFailed(reason) => SealError::KeysFailed(reason),
    }
}
