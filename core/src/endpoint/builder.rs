//! [`Builder`]: how an [`Endpoint`] is made, and of what.

use core::fmt;
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, atomic::AtomicU32},
};

use super::{Endpoint, State};
use crate::{
    address::{Address, InvalidName, check_name},
    audit::{Audit, NoLog},
    domain::{Authority, Root},
    entropy::{Clock, Entropy, System},
    error::{EntropyFailed, OpenError, StoreFailed},
    fork,
    identity::{Identity, IdentityKeys, KeysFailed},
    journal::{MemoryStore, Rows, Store},
    key::{SigningKey, VerifyingKey},
    lane::Lanes,
    policy::{AllowAuthentic, Policy},
    roster::{Roster, RosterClaims, RosterNode},
    secret::Secret,
};

/// A node's name and key: what the root lists, and what certifies agents.
#[derive(Debug)]
pub struct NodeKey {
    pub(crate) name: String,
    pub(crate) key: Identity,
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
        Ok(Self { name: name.into(), key: SigningKey::generate(entropy)?.into() })
    }

    /// A node whose key is elsewhere, under the node's name.
    ///
    /// # Errors
    /// If `name` cannot be a node's name, or `keys` do not say the public key.
    pub fn elsewhere(name: &str, keys: &Arc<dyn IdentityKeys>) -> Result<Self, EndpointError> {
        check_name(name)?;
        Ok(Self { name: name.into(), key: Identity::elsewhere(keys, name)? })
    }

    /// The node as a roster lists it, allowed to host every name.
    ///
    /// # Errors
    /// Never: the name was checked before.
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
    /// A key is elsewhere ([`IdentityKeys`]) and could not be asked for, or did not sign.
    KeysFailed(String),
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
            Self::KeysFailed(reason) => f.write_str(reason),
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

impl From<KeysFailed> for EndpointError {
    fn from(error: KeysFailed) -> Self {
        Self::KeysFailed(error.to_string())
    }
}

endpoint_error_from!(InvalidName => Invalid, OpenError => Refused, StoreFailed => Store, EntropyFailed => Entropy);

/// How an [`Endpoint`] is made.
pub struct Builder {
    policy: Box<dyn Policy>,
    audit: Box<dyn Audit>,
    clock: Box<dyn Clock>,
    entropy: Box<dyn Entropy>,
    keys: Option<Arc<dyn IdentityKeys>>,
    has_hooks: bool,
    has_clock: bool,
}

impl Default for Builder {
    fn default() -> Self {
        Self {
            policy: Box::new(AllowAuthentic),
            audit: Box::new(NoLog),
            clock: Box::new(System),
            entropy: Box::new(System),
            keys: None,
            has_hooks: false,
            has_clock: false,
        }
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
        (self.policy, self.has_hooks) = (Box::new(policy), true);
        self
    }

    /// Records each decision; what cannot be recorded is not released.
    #[must_use]
    pub fn audit(mut self, audit: impl Audit + 'static) -> Self {
        (self.audit, self.has_hooks) = (Box::new(audit), true);
        self
    }

    /// Takes the time from `clock`.
    #[must_use]
    pub fn clock(mut self, clock: impl Clock + 'static) -> Self {
        (self.clock, self.has_clock) = (Box::new(clock), true);
        self
    }

    /// Takes random bytes from `entropy`.
    #[must_use]
    pub fn entropy(mut self, entropy: impl Entropy + 'static) -> Self {
        self.entropy = Box::new(entropy);
        self
    }

    /// Has the agents' messages signed elsewhere: no agent of this endpoint has a signing key in this process or in its home.
    ///
    /// The node's key, which certifies them, is apart from that: [`NodeKey::elsewhere`], for an endpoint without a home.
    #[must_use]
    pub fn identity_keys(mut self, keys: &Arc<dyn IdentityKeys>) -> Self {
        (self.keys, self.has_hooks) = (Some(Arc::clone(keys)), true);
        self
    }

    /// An endpoint that keeps everything in memory, in a domain of its own with one node.
    ///
    /// # Errors
    /// If `node` cannot be a node's name, or there are no random bytes.
    pub fn in_memory(self, node: &str) -> Result<Endpoint, EndpointError> {
        let root = Root::generate_from(&*self.entropy)?;
        let node = NodeKey::generate_from(node, &*self.entropy)?;
        let claims = RosterClaims { nodes: vec![node.listed()?], ..RosterClaims::default() };
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
        if roster.root() != authority.verifying_key() {
            return Err(OpenError::NotAuthentic.into());
        }
        roster.check_time(self.clock.now())?;
        let roster = Arc::new(roster);
        let listed = roster.node(&node.name).is_some_and(|listed| listed.key == *node.key.verifying_key());
        if !listed {
            return Err(EndpointError::NotListed { node: node.name });
        }
        let roster_domain = roster.domain();
        let state = State {
            roster,
            life: 0,
            agents: HashMap::new(),
            readers: HashMap::new(),
            peers: HashMap::new(),
            verified: HashMap::new(),
            lanes: Lanes::default(),
            near: Rows::default(),
        };
        let Self { policy, audit, clock, entropy, keys, has_hooks, has_clock } = self;
        let process = AtomicU32::new(std::process::id());
        let (state, store, upkeep) = (Mutex::new(state), fork::share(store), Mutex::new(0));
        let domain = roster_domain;
        Ok(Endpoint {
            domain,
            authority,
            node,
            hedge,
            policy,
            audit,
            clock,
            entropy,
            keys,
            has_hooks,
            has_clock,
            state,
            store,
            process,
            upkeep,
        })
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
