//! Looking into an [`Envelope`] with the keys that are held, without opening it: for the one who must see what an envelope is, not for agents.
//!
//! The same checks as in [`Endpoint::open`] prove author and reader. What only time, roster and journal decide is told rather than refused;
//! policy is not asked; nothing is committed, so a message that was looked into can still be opened, once.

use core::{fmt, ops::Range};
use std::sync::Arc;

use super::{
    Endpoint,
    opening::{judge, open_error},
};
#[cfg(feature = "home")]
use crate::{
    address::Address,
    domain::Domain,
    endpoint::{EndpointError, Reader},
    key::VerifyingKey,
};
use crate::{
    audit::{self, Decision, Entry},
    certificate::Certificate,
    envelope::{Envelope, Form},
    error::OpenError,
    header::Header,
    key::Thumbprint,
    message::Message,
    policy::Direction,
};

/// What an envelope holds: authentic and for the reader it names, but perhaps too old, revoked or opened before. It is not a
/// [`Message`](crate::Message) and cannot become one.
pub struct Inspected {
    header: Header,
    signer: Thumbprint,
    form: Form,
    certificate: Arc<Certificate>,
    objections: Vec<OpenError>,
    plaintext: Vec<u8>,
    body: Range<usize>,
}

impl Inspected {
    /// What the author signed.
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// The author's key, in full.
    pub fn signer(&self) -> &Thumbprint {
        &self.signer
    }

    /// The form of the envelope.
    pub fn form(&self) -> Form {
        self.form
    }

    /// The author's certificate, signed by a node of the roster.
    pub fn certificate(&self) -> &Certificate {
        &self.certificate
    }

    /// Why [`Endpoint::open`] would refuse the message now, policy aside. Empty: it would not.
    pub fn objections(&self) -> &[OpenError] {
        &self.objections
    }

    /// The body.
    pub fn body(&self) -> &[u8] {
        self.plaintext.get(self.body.clone()).unwrap_or_default()
    }
}

impl fmt::Debug for Inspected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Inspected({:?}, {} bytes, {}, {} objections)", self.header, self.body.len(), self.form, self.objections.len())
    }
}

impl Endpoint {
    /// Looks into an envelope for an agent hosted here. Nothing changes by it; the audit log says that somebody looked.
    ///
    /// # Errors
    /// As [`Endpoint::open`] for whatever is not authentic or not readable here, and [`OpenError::AuditFailed`].
    pub fn inspect(&self, envelope: &Envelope) -> Result<Inspected, OpenError> {
        let now = self.clock.now();
        self.check_process().map_err(open_error)?;
        let inspected = self.look_into(envelope, now).and_then(|inspected| {
            self.record_look(&inspected, now)?;
            Ok(inspected)
        });
        inspected.map_err(|refused| self.refuse(refused, envelope.as_bytes().len(), Some(envelope.form()), Direction::Inspect, now))
    }

    fn look_into(&self, envelope: &Envelope, now: u64) -> Result<Inspected, OpenError> {
        let mut objections = Vec::new();
        let mut object = |objection| {
            if !objections.contains(&objection) {
                objections.push(objection);
            }
            Ok(())
        };
        let checked = self.check(envelope, now, &mut object)?;
        let Message { header, signer, form, plaintext, body } = checked.message;
        for seen in self.store().look_up(&[&checked.row])? {
            judge(seen, &header).or_else(&mut object)?;
        }
        self.look_up_near(&checked.row, &header).or_else(&mut object)?;
        Ok(Inspected { header, signer, form, certificate: checked.certificate, objections, plaintext, body })
    }

    fn record_look(&self, inspected: &Inspected, now: u64) -> Result<(), OpenError> {
        let entry = Entry {
            time: now,
            direction: Direction::Inspect,
            decision: Decision::Allowed,
            header: Some(&inspected.header),
            size: inspected.body.len(),
            form: Some(inspected.form),
        };
        audit::record(&*self.audit, &entry).map_err(OpenError::AuditFailed)
    }
}

/// Looks into envelopes with the keys of a home, and can do nothing else. Made by [`Builder::inspector`](crate::Builder::inspector).
///
/// Only openings: lanes are in the memory of the process that reads them and are never written down.
#[cfg(feature = "home")]
#[derive(Debug)]
pub struct Inspector(Endpoint);

#[cfg(feature = "home")]
impl Inspector {
    pub(crate) fn over(endpoint: Endpoint) -> Self {
        Self(endpoint)
    }

    /// Takes the receive keys of an agent of the home, however old: what can still be read may be looked at.
    pub(crate) fn hold(&self, name: &str, key: &VerifyingKey) -> Result<(), EndpointError> {
        let agent = Address::new(name, self.node())?;
        let held = self.0.store().receive_keys(name, 0)?;
        let thumbprint = key.thumbprint();
        let readers = held.into_iter().map(|held| Reader { agent: agent.clone(), thumbprint, key: held.key, made: held.created, life: 0 });
        self.0.state().readers.extend(readers.map(|reader| (reader.key.public().id(), Arc::new(reader))));
        Ok(())
    }

    /// Looks into an envelope.
    ///
    /// # Errors
    /// As [`Endpoint::inspect`].
    pub fn inspect(&self, envelope: &Envelope) -> Result<Inspected, OpenError> {
        self.0.inspect(envelope)
    }

    /// The domain.
    pub fn domain(&self) -> Domain {
        self.0.domain()
    }

    /// The node's name.
    pub fn node(&self) -> &str {
        self.0.node()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Mutex, atomic::AtomicU64, atomic::Ordering};

    use super::*;
    use crate::{Clock, Draft, MessageId, Request, Verdict, limits::REQUEST_LIFETIME};

    type Outcome = Result<(), Box<dyn std::error::Error>>;

    #[derive(Clone)]
    struct Hands(Arc<AtomicU64>);

    impl Clock for Hands {
        fn now(&self) -> u64 {
            self.0.load(Ordering::SeqCst)
        }
    }

    struct World {
        endpoint: Endpoint,
        hands: Hands,
        log: Arc<Mutex<Vec<String>>>,
    }

    impl World {
        fn new() -> Result<Self, Box<dyn std::error::Error>> {
            let (hands, log) = (Hands(Arc::new(AtomicU64::new(1_800_000_000))), Arc::new(Mutex::new(Vec::new())));
            let lines = Arc::clone(&log);
            let audit = move |entry: &Entry<'_>| {
                let mut lines = lines.lock().map_err(|error| error.to_string())?;
                if lines.last().is_some_and(|last| last == "full") {
                    return Err("disk full".to_owned());
                }
                lines.push(format!("{} {:?} {}", entry.direction, entry.decision, entry.header.is_some()));
                Ok(())
            };
            let rule = |request: &Request<'_>| match request.header.labels.first() {
                Some(_) if request.direction == Direction::Open => Verdict::Deny("labelled".into()),
                _ => Verdict::Allow,
            };
            let endpoint = Endpoint::builder().clock(hands.clone()).audit(audit).policy(rule).in_memory("local")?;
            Ok(Self { endpoint, hands, log })
        }

        fn seal(&self, body: &str, label: Option<&str>) -> Result<Envelope, Box<dyn std::error::Error>> {
            let (a, b) = (self.endpoint.host("a")?, self.endpoint.host("b")?);
            let draft = label.into_iter().fold(Draft::new("task", body), Draft::label);
            Ok(self.endpoint.seal(&a, &b, &draft)?.envelope)
        }

        fn last_line(&self) -> Option<String> {
            self.log.lock().ok()?.last().cloned()
        }
    }

    #[test]
    fn a_message_that_was_looked_into_can_still_be_opened_once() -> Outcome {
        let world = World::new()?;
        for form in [Form::Opening, Form::Lane] {
            let sealed = world.seal("the body", None)?;
            let inspected = world.endpoint.inspect(&sealed)?;
            assert_eq!((inspected.body(), inspected.form(), inspected.objections()), (b"the body".as_slice(), form, [].as_slice()));
            assert_eq!(inspected.certificate().subject().as_str(), "a@local");
            assert_eq!(*inspected.signer(), inspected.certificate().thumbprint());
            assert_eq!(world.last_line().as_deref(), Some("inspect Allowed true"));
            let opened = world.endpoint.open(&sealed)?;
            assert_eq!(opened.header(), inspected.header());
            let id: MessageId = opened.header().id;
            assert_eq!(world.endpoint.inspect(&sealed)?.objections(), [OpenError::Duplicate(id)]);
        }
        Ok(())
    }

    #[test]
    fn a_lane_that_was_only_looked_at_is_not_taken() -> Outcome {
        let world = World::new()?;
        world.endpoint.inspect(&world.seal("one", None)?)?;
        assert_eq!(world.seal("two", None)?.form(), Form::Opening);
        Ok(())
    }

    #[test]
    fn time_and_replay_are_told_and_policy_is_not_asked() -> Outcome {
        let world = World::new()?;
        let sealed = world.seal("x", Some("pii"))?;
        assert!(world.endpoint.open(&sealed).is_err());
        assert_eq!(world.endpoint.inspect(&sealed)?.objections(), []);
        world.hands.0.fetch_add(REQUEST_LIFETIME + 1000, Ordering::SeqCst);
        assert_eq!(world.endpoint.inspect(&sealed)?.objections(), [OpenError::Expired { by: 1000 }]);
        world.hands.0.fetch_sub(REQUEST_LIFETIME + 2000, Ordering::SeqCst);
        assert_eq!(world.endpoint.inspect(&sealed)?.objections(), [OpenError::FromFuture { by: 1000 }]);
        Ok(())
    }

    #[test]
    fn what_is_not_authentic_is_not_shown() -> Outcome {
        let (world, other) = (World::new()?, World::new()?);
        let mut bytes = world.seal("x", None)?.into_bytes();
        if let Some(byte) = bytes.get_mut(100) {
            *byte ^= 1;
        }
        assert_eq!(world.endpoint.inspect(&Envelope::parse(bytes)?).err(), Some(OpenError::NotAuthentic));
        assert_eq!(world.endpoint.inspect(&other.seal("x", None)?).err(), Some(OpenError::UnknownKey));
        assert!(world.last_line().is_some_and(|line| line.starts_with("inspect Refused")));
        Ok(())
    }

    #[test]
    fn a_look_that_cannot_be_recorded_shows_nothing() -> Outcome {
        let world = World::new()?;
        let sealed = world.seal("x", None)?;
        world.log.lock().map_err(|error| error.to_string())?.push("full".into());
        assert_eq!(world.endpoint.inspect(&sealed).err(), Some(OpenError::AuditFailed("disk full".into())));
        Ok(())
    }
}
