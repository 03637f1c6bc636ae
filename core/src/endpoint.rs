//! [`Endpoint`]: hosts agents, seals their drafts and opens their envelopes.

use core::{cmp::Ordering as Order, fmt};
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, atomic::AtomicU32},
};

use crate::{
    address::Address,
    audit::Audit,
    certificate::Certificate,
    domain::{Authority, Domain},
    entropy::{Clock, Entropy, random},
    error::{EntropyFailed, OpenError},
    fork::{self, Locked},
    identity::{Identity, IdentityKeys},
    journal::{Rows, Store},
    key::{LaneId, ReceiveKey, ReceiveKeyId, Thumbprint},
    lane::Lanes,
    limits::MAX_PEERS,
    policy::Policy,
    roster::Roster,
    secret::Secret,
};

mod builder;
mod inspecting;
#[cfg(feature = "node")]
mod keeping;
mod opening;
mod sealing;
mod upkeep;

pub use builder::{Builder, EndpointError, NodeKey};
pub use inspecting::Inspected;
#[cfg(feature = "home")]
pub use inspecting::Inspector;
#[cfg(feature = "node")]
pub(crate) use keeping::{Admission, Refused, SealedKept, Taken, digest};

/// Hosts agents, seals what they write and opens what is sealed for them. One for each process; shared by its threads.
///
/// ```
/// use sealwire::{Draft, Endpoint};
///
/// let endpoint = Endpoint::builder().in_memory("local")?;
/// let researcher = endpoint.host("researcher")?;
/// let writer = endpoint.host("writer")?;
///
/// let sealed = endpoint.seal(&researcher, &writer, &Draft::new("result", "42"))?;
/// let message = endpoint.open(&sealed.envelope)?; // exists only if authentic, fresh and allowed
/// assert_eq!(message.body(), b"42");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Endpoint {
    domain: Domain,
    authority: Authority,
    node: NodeKey,
    hedge: Secret<32>,
    policy: Box<dyn Policy>,
    audit: Box<dyn Audit>,
    clock: Box<dyn Clock>,
    entropy: Box<dyn Entropy>,
    /// Who signs for the agents, if it is not this process.
    keys: Option<Arc<dyn IdentityKeys>>,
    /// Whether policy, audit or keys were given, and whether a clock was; only a node asks.
    #[cfg_attr(not(feature = "node"), allow(dead_code, reason = "see above"))]
    has_hooks: bool,
    #[cfg_attr(not(feature = "node"), allow(dead_code, reason = "see above"))]
    has_clock: bool,
    state: Mutex<State>,
    store: Arc<fork::Shared>,
    process: AtomicU32,
    /// When upkeep was last done. Held while it is.
    upkeep: Mutex<u64>,
}

/// What changes. Its lock is never held over signatures, key encapsulation, hooks or the store.
struct State {
    roster: Arc<Roster>,
    /// Counts the lives of the receive keys; changes only while the store's lock is held.
    life: u64,
    agents: HashMap<Address, Arc<Agent>>,
    readers: HashMap<ReceiveKeyId, Arc<Reader>>,
    peers: HashMap<Address, Arc<Certificate>>,
    /// Certificates whose signature was checked, by the SHA-256 of their bytes: what was carried before need not be verified again.
    verified: HashMap<[u8; 32], Arc<Certificate>>,
    lanes: Lanes,
    /// Messages that came in near lanes. They are in no other journal, for they can be opened in this memory only.
    near: Rows,
}

/// An agent of this endpoint.
struct Agent {
    key: Arc<Identity>,
    thumbprint: Thumbprint,
    certificate: Arc<Certificate>,
    receive_key_made: u64,
}

/// A receive key and whose it is.
struct Reader {
    agent: Address,
    thumbprint: Thumbprint,
    key: ReceiveKey,
    made: u64,
    /// The life it was held in when it was read. What was sealed for it is released in this life only.
    life: u64,
}

impl Endpoint {
    /// How to make one.
    pub fn builder() -> Builder {
        Builder::default()
    }

    /// The domain.
    pub fn domain(&self) -> Domain {
        self.domain
    }

    /// The node's name.
    pub fn node(&self) -> &str {
        &self.node.name
    }

    /// The roster in force here.
    pub fn roster(&self) -> Roster {
        (*self.state().roster).clone()
    }

    /// The node's public key, as the roster lists it.
    #[cfg(feature = "tls")]
    pub(crate) fn node_key(&self) -> &[u8; 32] {
        self.node.key.verifying_key().as_bytes()
    }

    /// Signs a TLS handshake with the node's key.
    #[cfg(feature = "tls")]
    pub(crate) fn sign_handshake(&self, message: &[u8]) -> Result<[u8; 64], crate::identity::KeysFailed> {
        self.node.key.sign(message)
    }

    /// The node that the roster in force lists with this key, unless it is revoked.
    #[cfg(feature = "tls")]
    pub(crate) fn node_with(&self, key: &[u8; 32]) -> Option<String> {
        let state = self.state();
        let listed = state.roster.claims().nodes.iter().find(|node| node.key.as_bytes() == key)?;
        (!state.roster.is_revoked(&listed.key.thumbprint())).then(|| listed.name.clone())
    }

    /// Hosts an agent: makes or loads its keys and certifies it. Hosting it again changes nothing.
    ///
    /// # Errors
    /// If `name` is not of its form, the roster does not let this node host it, the home fails, or whoever holds its key.
    pub fn host(&self, name: &str) -> Result<Address, EndpointError> {
        self.check_process()?;
        let address = Address::new(name, &self.node.name)?;
        // One at a time: of two threads that host a new name, the second finds it.
        let _alone = self.upkeep();
        if self.state().agents.contains_key(&address) {
            return Ok(address);
        }
        let key = Arc::new(match &self.keys {
            Some(keys) => Identity::elsewhere(keys, address.as_str())?,
            None => self.store().agent_key(name, &*self.entropy)?.into(),
        });
        self.certify(&address, key, self.clock.now())?;
        Ok(address)
    }

    /// The agents hosted here.
    pub fn agents(&self) -> Vec<Address> {
        let mut agents: Vec<_> = self.state().agents.keys().cloned().collect();
        agents.sort();
        agents
    }

    /// The certificate of a hosted agent, to be given to those who want to seal for it.
    pub fn certificate(&self, agent: &Address) -> Option<Certificate> {
        self.state().agents.get(agent).map(|agent| (*agent.certificate).clone())
    }

    /// Takes a peer's certificate, so that drafts can be sealed for it.
    ///
    /// # Errors
    /// Those of [`Certificate::verify`].
    pub fn introduce(&self, certificate: &[u8]) -> Result<Address, OpenError> {
        let (now, roster) = (self.clock.now(), self.current_roster());
        let certificate = Certificate::verify(certificate, &self.domain, &roster, now)?;
        let address = certificate.subject().clone();
        self.state().remember(Arc::new(certificate), now);
        Ok(address)
    }

    /// Takes a newer roster. What it revokes is refused from here on, in lanes too.
    ///
    /// # Errors
    /// Those of [`Roster::verify`], and [`OpenError::RosterConflict`]; [`OpenError::Store`] if the home cannot keep it.
    pub fn follow(&self, roster: &[u8]) -> Result<(), OpenError> {
        self.join_roster()?;
        let offered = self.current_roster().verify_next(roster, self.clock.now())?;
        self.take_roster(offered)
    }

    /// Does now what sealing and opening do once a minute: renews certificates and receive keys that are due, erases receive keys that no
    /// message may use any more, and forgets lanes whose time is over. For a process that does neither for long.
    ///
    /// # Errors
    /// The first failure; the rest is done all the same.
    pub fn maintain(&self) -> Result<(), EndpointError> {
        self.check_process()?;
        self.keep_up(self.clock.now())
    }

    /// The peer has lost a lane, as it says in an unauthenticated hint: messages to it are openings until it names a new one.
    pub fn forget_lane(&self, lane: LaneId) {
        let _reader = self.state().lanes.forget(lane);
    }

    fn state(&self) -> Locked<'_, State> {
        fork::lock(&self.state)
    }

    fn store(&self) -> Locked<'_, Box<dyn Store>> {
        let mut store = fork::lock(&self.store);
        store.reopen();
        store
    }

    fn upkeep(&self) -> Locked<'_, u64> {
        fork::lock(&self.upkeep)
    }

    fn current_roster(&self) -> Arc<Roster> {
        Arc::clone(&self.state().roster)
    }

    /// Puts a roster in force that follows the present one, here and in the home.
    fn take_roster(&self, offered: Roster) -> Result<(), OpenError> {
        let next = self.current_roster().follow(offered)?;
        self.store().keep_roster(&next)?;
        self.put_in_force(next);
        Ok(())
    }

    /// Takes the roster that another process of this home has put in force; what it revokes is revoked here too. Should an older one have come
    /// to be kept, it is replaced.
    fn join_roster(&self) -> Result<(), OpenError> {
        let (kept, known) = (self.store().kept_roster()?, self.current_roster());
        let Some(kept) = kept.filter(|kept| kept != known.as_bytes()) else { return Ok(()) };
        let kept = known.verify_beside(&kept)?;
        match kept.version().cmp(&known.version()) {
            Order::Greater => self.put_in_force(kept),
            Order::Less => self.store().keep_roster(&known)?,
            Order::Equal => {}
        }
        Ok(())
    }

    fn put_in_force(&self, next: Roster) {
        let mut guard = self.state();
        let state = &mut *guard;
        if next.version() >= state.roster.version() {
            state.roster = Arc::new(next);
        }
        let roster = &state.roster;
        state.lanes.drop_where(|key| roster.is_revoked(key), |_| false);
    }

    fn random<const N: usize>(&self) -> Result<[u8; N], EntropyFailed> {
        random(&*self.entropy)
    }
}

impl Drop for Endpoint {
    fn drop(&mut self) {
        fork::end(core::mem::replace(&mut self.store, fork::nothing()));
    }
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Endpoint").field("domain", &self.domain).field("node", &self.node.name).finish_non_exhaustive()
    }
}

impl State {
    /// The certificate to seal for `address` with: a hosted agent's own, or the newest a peer has shown.
    fn certificate_of(&self, address: &Address) -> Option<Arc<Certificate>> {
        let hosted = self.agents.get(address).map(|agent| Arc::clone(&agent.certificate));
        hosted.or_else(|| self.peers.get(address).cloned())
    }

    /// Keeps a verified certificate if it is newer than what is known of that address, or what is known does not hold any more.
    fn remember(&mut self, certificate: Arc<Certificate>, now: u64) {
        let address = certificate.subject();
        if self.peers.get(address).is_some_and(|known| Arc::ptr_eq(known, &certificate)) {
            return;
        }
        let holds = |known: &Certificate| known.check_now(&self.roster, now).is_ok();
        let newer = self.peers.get(address).is_none_or(|known| known.issued() <= certificate.issued() || !holds(known));
        if !newer || self.agents.contains_key(address) {
            return;
        }
        self.know(&certificate);
        if self.peers.len() >= MAX_PEERS && !self.peers.contains_key(address) {
            let oldest = self.peers.iter().min_by_key(|(_, known)| known.issued()).map(|(address, _)| address.clone());
            oldest.and_then(|address| self.peers.remove(&address));
        }
        self.peers.insert(address.clone(), certificate);
    }

    /// Remembers that a certificate's signature was checked.
    fn know(&mut self, certificate: &Arc<Certificate>) {
        if self.verified.len() >= MAX_PEERS {
            self.verified.clear();
        }
        self.verified.insert(certificate.digest(), Arc::clone(certificate));
    }

    fn clearances_of(&self, address: &Address) -> Vec<String> {
        self.roster.node(address.node()).map(|node| node.clearances.clone()).unwrap_or_default()
    }
}

#[cfg(test)]
mod attacks;
#[cfg(test)]
mod tests;
