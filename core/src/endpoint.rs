//! [`Endpoint`]: hosts agents, seals their drafts and opens their envelopes.

use core::{cmp::Ordering as Order, fmt};
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError, atomic::AtomicU32, atomic::Ordering},
};

use crate::{
    address::{Address, InvalidName, check_name},
    audit::{Audit, NoLog},
    certificate::{Certificate, CertificateRequest},
    domain::{Authority, Domain, Root},
    entropy::{Clock, Entropy, System, random},
    error::{EntropyFailed, OpenError, StoreFailed},
    journal::{HeldKey, MemoryStore, RECEIVE_KEY_KEPT, Store},
    key::{LaneId, ReceiveKey, ReceiveKeyId, SigningKey, Thumbprint, VerifyingKey},
    lane::Lanes,
    limits::{CERTIFICATE_RENEWAL, CLOCK_TOLERANCE, MAX_PEERS},
    policy::{AllowAuthentic, Policy},
    roster::{Roster, RosterClaims, RosterNode},
    secret::Secret,
};

mod inspecting;
mod opening;
mod sealing;

pub use inspecting::Inspected;
#[cfg(feature = "home")]
pub use inspecting::Inspector;

/// Seconds between two rounds of upkeep: renewing certificates, erasing receive keys, forgetting lanes.
const UPKEEP_EVERY: u64 = 60;

/// A node's name and key: what the root lists, and what certifies agents.
#[derive(Debug)]
pub struct NodeKey {
    pub(crate) name: String,
    pub(crate) key: SigningKey,
}

impl NodeKey {
    /// A new node.
    ///
    /// # Errors
    /// If `name` cannot be a node's name, or the system gives no random bytes.
    pub fn generate(name: &str) -> Result<Self, EndpointError> {
        Self::generate_from(name, &System)
    }

    fn generate_from(name: &str, entropy: &dyn Entropy) -> Result<Self, EndpointError> {
        check_name(name)?;
        Ok(Self { name: name.into(), key: SigningKey::generate(entropy)? })
    }

    /// The node as a roster lists it, allowed to host every name.
    ///
    /// # Errors
    /// Never for a node made by [`NodeKey::generate`].
    pub fn listed(&self) -> Result<RosterNode, InvalidName> {
        RosterNode::new(&self.name, *self.key.verifying_key())
    }
}

/// Why an endpoint or an agent of it could not be made.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum EndpointError {
    /// A name is not of its form.
    Invalid(InvalidName),
    /// The roster does not list the node, or not with this key.
    NotListed {
        /// The node.
        node: String,
    },
    /// The roster does not let this node host that agent.
    NotAllowed(Address),
    /// The roster or a certificate was refused.
    Refused(OpenError),
    /// The home could not be made, read or written.
    Store(StoreFailed),
    /// The source of randomness failed.
    Entropy(EntropyFailed),
}

impl fmt::Display for EndpointError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Invalid(invalid) => write!(f, "{invalid}"),
            Self::NotListed { node } => write!(f, "the roster does not list node `{node}` with this key"),
            Self::NotAllowed(address) => write!(f, "the roster does not let this node host `{address}`, or revokes its key"),
            Self::Refused(error) => write!(f, "{error}"),
            Self::Store(error) => write!(f, "{error}"),
            Self::Entropy(error) => write!(f, "{error}"),
        }
    }
}

impl std::error::Error for EndpointError {}

macro_rules! endpoint_error_from {
    ($($source:ty => $variant:ident),* $(,)?) => {
        $(impl From<$source> for EndpointError {
            fn from(error: $source) -> Self {
                Self::$variant(error)
            }
        })*
    };
}

endpoint_error_from!(InvalidName => Invalid, OpenError => Refused, StoreFailed => Store, EntropyFailed => Entropy);

/// How an [`Endpoint`] is made.
pub struct Builder {
    policy: Box<dyn Policy>,
    audit: Box<dyn Audit>,
    clock: Box<dyn Clock>,
    entropy: Box<dyn Entropy>,
}

impl Default for Builder {
    fn default() -> Self {
        Self { policy: Box::new(AllowAuthentic), audit: Box::new(NoLog), clock: Box::new(System), entropy: Box::new(System) }
    }
}

impl fmt::Debug for Builder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Builder")
    }
}

impl Builder {
    /// Asks `policy` about each message, on the way out and on the way in.
    #[must_use]
    pub fn policy(mut self, policy: impl Policy + 'static) -> Self {
        self.policy = Box::new(policy);
        self
    }

    /// Records each decision; what cannot be recorded is not released.
    #[must_use]
    pub fn audit(mut self, audit: impl Audit + 'static) -> Self {
        self.audit = Box::new(audit);
        self
    }

    /// Takes the time from `clock`.
    #[must_use]
    pub fn clock(mut self, clock: impl Clock + 'static) -> Self {
        self.clock = Box::new(clock);
        self
    }

    /// Takes random bytes from `entropy`.
    #[must_use]
    pub fn entropy(mut self, entropy: impl Entropy + 'static) -> Self {
        self.entropy = Box::new(entropy);
        self
    }

    /// An endpoint that keeps everything in memory, in a domain of its own with one node.
    ///
    /// # Errors
    /// If `node` cannot be a node's name, or there are no random bytes.
    pub fn in_memory(self, node: &str) -> Result<Endpoint, EndpointError> {
        let root = Root::generate_from(&*self.entropy)?;
        let node = NodeKey::generate_from(node, &*self.entropy)?;
        let claims = RosterClaims { nodes: vec![node.listed()?], revoked: Vec::new() };
        let roster = root.sign_roster(None, claims, self.clock.now());
        let hedge = Secret::try_init_with(|key| self.entropy.fill(key))?;
        self.with_store(node, Authority::Root(root), roster, hedge, Box::new(MemoryStore::default()))
    }

    /// An endpoint without a home, in an existing domain.
    ///
    /// # Errors
    /// If the roster is not of that root, has expired, or does not list the node with its key.
    pub fn member(self, node: NodeKey, root: VerifyingKey, roster: Roster) -> Result<Endpoint, EndpointError> {
        let hedge = Secret::try_init_with(|key| self.entropy.fill(key))?;
        self.with_store(node, Authority::Key(root), roster, hedge, Box::new(MemoryStore::default()))
    }

    pub(crate) fn with_store(
        self,
        node: NodeKey,
        authority: Authority,
        roster: Roster,
        hedge: Secret<32>,
        store: Box<dyn Store>,
    ) -> Result<Endpoint, EndpointError> {
        let roster = Arc::new(Roster::verify(roster.as_bytes(), authority.verifying_key(), self.clock.now())?);
        let listed = roster.node(&node.name).is_some_and(|listed| listed.key == *node.key.verifying_key());
        if !listed {
            return Err(EndpointError::NotListed { node: node.name });
        }
        let state = State {
            roster,
            life: 0,
            agents: HashMap::new(),
            readers: HashMap::new(),
            peers: HashMap::new(),
            verified: HashMap::new(),
            lanes: Lanes::default(),
        };
        let Self { policy, audit, clock, entropy } = self;
        let process = AtomicU32::new(std::process::id());
        let (state, store, upkeep) = (Mutex::new(state), Mutex::new(store), Mutex::new(0));
        let domain = Domain::of(authority.verifying_key());
        Ok(Endpoint { domain, authority, node, hedge, policy, audit, clock, entropy, state, store, process, upkeep })
    }

    #[cfg(feature = "home")]
    pub(crate) fn now(&self) -> u64 {
        self.clock.now()
    }

    #[cfg(feature = "home")]
    pub(crate) fn entropy_source(&self) -> &dyn Entropy {
        &*self.entropy
    }
}

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
    state: Mutex<State>,
    store: Mutex<Box<dyn Store>>,
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
}

/// An agent of this endpoint.
struct Agent {
    key: Arc<SigningKey>,
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

    /// Hosts an agent: makes or loads its keys and certifies it. Hosting it again changes nothing.
    ///
    /// # Errors
    /// If `name` is not of its form, the roster does not let this node host it, or the home fails.
    pub fn host(&self, name: &str) -> Result<Address, EndpointError> {
        self.check_process()?;
        let address = Address::new(name, &self.node.name)?;
        // One at a time: of two threads that host a new name, the second finds it.
        let _alone = self.upkeep.lock().unwrap_or_else(PoisonError::into_inner);
        if self.state().agents.contains_key(&address) {
            return Ok(address);
        }
        let key = Arc::new(self.store().agent_key(name, &*self.entropy)?);
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
        let offered = Roster::verify(roster, self.authority.verifying_key(), self.clock.now())?;
        self.join_roster()?;
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
        self.state().lanes.forget(lane);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn store(&self) -> MutexGuard<'_, Box<dyn Store>> {
        self.store.lock().unwrap_or_else(PoisonError::into_inner)
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
        let kept = Roster::verify_signature(&kept, self.authority.verifying_key())?;
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

    /// Makes the agent's certificate, with a receive key that is young enough or new.
    fn certify(&self, address: &Address, key: Arc<SigningKey>, now: u64) -> Result<(), EndpointError> {
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
        let request = CertificateRequest::sign(&self.domain, &key, address, newest.key.public(), newest.made, now);
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

    /// What must be so before anything is sealed or opened: this process is the one the keys belong to, and upkeep was done lately.
    fn keep_current(&self, now: u64) -> Result<(), EndpointError> {
        self.check_process()?;
        let due = self.upkeep.lock().unwrap_or_else(PoisonError::into_inner).abs_diff(now) >= UPKEEP_EVERY;
        if due { self.keep_up(now) } else { Ok(()) }
    }

    fn keep_up(&self, now: u64) -> Result<(), EndpointError> {
        let mut done = self.upkeep.lock().unwrap_or_else(PoisonError::into_inner);
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

    fn renew_roster(&self, now: u64) -> Result<(), EndpointError> {
        let Authority::Root(root) = &self.authority else { return Ok(()) };
        let next = root.renew(&self.current_roster(), now);
        next.map_or(Ok(()), |next| self.take_roster(next).map_err(EndpointError::Refused))
    }

    /// The hosted agents whose certificate or receive key is to be renewed.
    fn due(&self, now: u64) -> Vec<(Address, Arc<SigningKey>)> {
        let is_due = |agent: &Agent| !is_young(agent.certificate.issued(), now) || !is_young(agent.receive_key_made, now);
        let state = self.state();
        state.agents.iter().filter(|(_, agent)| is_due(agent)).map(|(address, agent)| (address.clone(), Arc::clone(&agent.key))).collect()
    }

    /// Ends the life of the receive keys here and, by `in_store`, in the store; then certifies the agents anew.
    ///
    /// Lanes and keys in memory go first, and under the store's lock: a message that was decrypted with one of them, or a key that was read
    /// from the store, finds that its life has ended ([`Endpoint::insert`], [`Endpoint::certify`]).
    fn begin_life(&self, in_store: impl FnOnce(&mut dyn Store) -> Result<(), StoreFailed>) -> Result<(), EndpointError> {
        {
            let mut store = self.store();
            self.end_life();
            in_store(&mut **store)?;
        }
        let now = self.clock.now();
        self.due(now).into_iter().map(|(address, key)| self.certify(&address, key, now)).fold(Ok(()), Result::and)
    }

    fn end_life(&self) {
        let mut state = self.state();
        state.life += 1;
        state.readers.clear();
        state.lanes = Lanes::default();
        for agent in state.agents.values_mut() {
            let Agent { key, thumbprint, certificate, .. } = &**agent;
            let (key, certificate) = (Arc::clone(key), Arc::clone(certificate));
            // Made in 1970: due, should certifying it fail.
            *agent = Arc::new(Agent { key, thumbprint: *thumbprint, certificate, receive_key_made: 0 });
        }
    }

    /// A child made by fork shares memory that its parent goes on using: lanes and receive keys must not live twice.
    fn check_process(&self) -> Result<(), EndpointError> {
        let process = std::process::id();
        if self.process.load(Ordering::Acquire) == process {
            return Ok(());
        }
        let _alone = self.upkeep.lock().unwrap_or_else(PoisonError::into_inner);
        if self.process.load(Ordering::Acquire) != process {
            self.begin_life(|store| store.after_fork())?;
            self.process.store(process, Ordering::Release);
        }
        Ok(())
    }

    fn random<const N: usize>(&self) -> Result<[u8; N], EntropyFailed> {
        random(&*self.entropy)
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

/// Whether something made at `made` need not be renewed yet. What was made in the future, as the clock stands now, must be.
fn is_young(made: u64, now: u64) -> bool {
    now.saturating_sub(made) < CERTIFICATE_RENEWAL && made.saturating_sub(now) <= CLOCK_TOLERANCE
}

#[cfg(test)]
mod attacks;
#[cfg(test)]
mod tests;
