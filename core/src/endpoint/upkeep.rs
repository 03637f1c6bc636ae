//! Upkeep: what an [`Endpoint`] does beside its messages. Certificates and rosters are renewed, receive keys erased, lives begun.

use std::sync::{Arc, atomic::Ordering};

use super::{Agent, Endpoint, EndpointError, Reader};
use crate::{
    address::Address,
    certificate::CertificateRequest,
    domain::Authority,
    error::{OpenError, StoreFailed},
    identity::Identity,
    journal::{HeldKey, RECEIVE_KEY_KEPT, Rows, Store},
    key::ReceiveKey,
    lane::Lanes,
    limits::{CERTIFICATE_RENEWAL, CLOCK_TOLERANCE},
};

/// Seconds between two rounds of upkeep: renewing certificates, erasing receive keys, forgetting lanes.
const UPKEEP_EVERY: u64 = 60;

/// Seconds between two certificates of one agent that anybody can cause: each costs its peers an opening.
#[cfg(feature = "node")]
const CERTIFY_AGAIN: u64 = 10;

impl Endpoint {
    /// Makes the agent's certificate, with a receive key that is young enough or new.
    pub(super) fn certify(&self, address: &Address, key: Arc<Identity>, now: u64) -> Result<(), EndpointError> {
        let thumbprint = key.verifying_key().thumbprint();
        let life = self.state().life;
        let reader = |key, made| Arc::new(Reader { agent: address.clone(), thumbprint, key, made, life });
        let mut held = self.store().receive_keys(address.name(), now)?;
        if !held.first().is_some_and(|newest| is_young(newest.created, now)) {
            let new = HeldKey { key: ReceiveKey::generate(&*self.entropy)?, created: now };
            held = self.store().add_receive_key(address.name(), new, held)?;
        }
        let readers: Vec<_> = held.into_iter().map(|held| reader(held.key, held.created)).collect();
        let Some(newest) = readers.first().cloned() else { return Ok(()) };
        let request = CertificateRequest::sign(&self.domain, &key, address, newest.key.public(), newest.made, now)?;
        let certificate = Arc::new(request.certify(&self.domain, &self.node.key, now)?);
        certificate.check_now(&self.current_roster(), now).map_err(|error| match error {
            OpenError::Revoked => EndpointError::NotAllowed(address.clone()),
            other => other.into(),
        })?;
        let mut state = self.state();
        if state.life != life {
            // The keys were burned meanwhile: no certificate may name one of them.
            drop(state);
            return self.certify(address, key, now);
        }
        state.readers.extend(readers.into_iter().map(|reader| (reader.key.public().id(), reader)));
        state.know(&certificate);
        let agent = Agent { key, thumbprint, certificate, receive_key_made: newest.made };
        state.agents.insert(address.clone(), Arc::new(agent));
        Ok(())
    }

    /// Makes a newer certificate of a hosted agent. Somebody seals for a receive key that is not held here: where that is the key of a copy of
    /// this home, whose certificate is newer, peers would not look at the present one.
    #[cfg(feature = "node")]
    pub(crate) fn certify_again(&self, address: &Address) -> Result<(), EndpointError> {
        let (agent, now) = (self.state().agents.get(address).cloned(), self.clock.now());
        match agent.filter(|agent| now.saturating_sub(agent.certificate.issued()) >= CERTIFY_AGAIN) {
            Some(agent) => self.certify(address, Arc::clone(&agent.key), now),
            None => Ok(()),
        }
    }

    /// What must be so before anything is sealed or opened: this process is the one the keys belong to, and upkeep was done lately.
    pub(super) fn keep_current(&self, now: u64) -> Result<(), EndpointError> {
        self.check_process()?;
        let due = self.upkeep().abs_diff(now) >= UPKEEP_EVERY;
        if due { self.keep_up(now) } else { self.look_at_roster().map_err(EndpointError::Refused) }
    }

    /// Takes a roster that was put into the home since it was last looked: what was revoked a moment ago is refused from the next message on.
    pub(crate) fn look_at_roster(&self) -> Result<(), OpenError> {
        let changed = self.store().roster_changed();
        if changed { self.join_roster() } else { Ok(()) }
    }

    pub(super) fn keep_up(&self, now: u64) -> Result<(), EndpointError> {
        let mut done = self.upkeep();
        // What fails is tried again a minute later, not with each message.
        *done = now;
        let roster = self.join_roster().map_err(EndpointError::Refused).and_then(|()| self.renew_roster(now));
        let agents = self.due(now).into_iter().map(|(address, key)| self.certify(&address, key, now));
        let agents = agents.fold(Ok(()), Result::and);
        let mut guard = self.state();
        let state = &mut *guard;
        state.readers.retain(|_, reader| now.saturating_sub(reader.made) < RECEIVE_KEY_KEPT);
        let readers = &state.readers;
        state.lanes.drop_where(|_| false, |id| !readers.contains_key(id));
        state.lanes.purge(now);
        roster.and(agents)
    }

    pub(super) fn renew_roster(&self, now: u64) -> Result<(), EndpointError> {
        let Authority::Root(root) = &self.authority else { return Ok(()) };
        let next = root.renew(&self.current_roster(), now);
        next.map_or(Ok(()), |next| self.take_roster(next).map_err(EndpointError::Refused))
    }

    /// The hosted agents whose certificate or receive key is to be renewed.
    pub(super) fn due(&self, now: u64) -> Vec<(Address, Arc<Identity>)> {
        let is_due = |agent: &Agent| !is_young(agent.certificate.issued(), now) || !is_young(agent.receive_key_made, now);
        let state = self.state();
        state.agents.iter().filter(|(_, agent)| is_due(agent)).map(|(address, agent)| (address.clone(), Arc::clone(&agent.key))).collect()
    }

    /// Ends the life of the receive keys here and, by `in_store`, in the store; then certifies the agents anew.
    ///
    /// Lanes and keys in memory go first, and under the store's lock: a message that was decrypted with one of them, or a key that was read
    /// from the store, finds that its life has ended ([`Endpoint::insert`], [`Endpoint::certify`]).
    pub(crate) fn begin_life(&self, in_store: impl FnOnce(&mut dyn Store) -> Result<(), StoreFailed>) -> Result<(), EndpointError> {
        {
            let mut store = self.store();
            self.end_life();
            in_store(&mut **store)?;
        }
        let now = self.clock.now();
        self.due(now).into_iter().map(|(address, key)| self.certify(&address, key, now)).fold(Ok(()), Result::and)
    }

    pub(super) fn end_life(&self) {
        let mut state = self.state();
        state.life += 1;
        state.readers.clear();
        state.lanes = Lanes::default();
        state.near = Rows::default();
        for agent in state.agents.values_mut() {
            let Agent { key, thumbprint, certificate, .. } = &**agent;
            let (key, certificate) = (Arc::clone(key), Arc::clone(certificate));
            // Made in 1970: due, should certifying it fail.
            *agent = Arc::new(Agent { key, thumbprint: *thumbprint, certificate, receive_key_made: 0 });
        }
    }

    /// A child made by fork shares memory that its parent goes on using: lanes and receive keys must not live twice.
    pub(super) fn check_process(&self) -> Result<(), EndpointError> {
        let process = std::process::id();
        if self.process.load(Ordering::Acquire) == process {
            return Ok(());
        }
        let _alone = self.upkeep();
        if self.process.load(Ordering::Acquire) != process {
            self.begin_life(|store| store.after_fork())?;
            self.process.store(process, Ordering::Release);
        }
        Ok(())
    }
}

/// Whether something made at `made` need not be renewed yet. What was made in the future, as the clock stands now, must be.
fn is_young(made: u64, now: u64) -> bool {
    now.saturating_sub(made) < CERTIFICATE_RENEWAL && made.saturating_sub(now) <= CLOCK_TOLERANCE
}
