//! [`Domain`]: everybody who trusts one root key.

use core::fmt;

use sha2::{Digest, Sha256};

use crate::{
    entropy::{Entropy, System},
    error::EntropyFailed,
    key::{SigningKey, VerifyingKey, write_hex},
    limits::{CLOCK_TOLERANCE, ROSTER_LIFETIME},
    roster::{Roster, RosterClaims},
};

/// A domain's name: SHA-256 of its first root key. Every signature and every HPKE context is bound to it.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Domain([u8; 32]);

impl Domain {
    /// The domain that begins with a root key.
    pub fn of(root: &VerifyingKey) -> Self {
        Self(Sha256::digest(root.as_bytes()).into())
    }

    #[cfg(feature = "pairing")]
    pub(crate) const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The 32 bytes.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Display for Domain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_hex(f, &self.0)
    }
}

impl fmt::Debug for Domain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Domain({self})")
    }
}

/// Seconds of a day.
const DAY: u64 = 24 * 60 * 60;

/// Who vouches for the rosters an endpoint follows: its own root key, which can renew them, or a key it knows.
#[derive(Debug)]
pub(crate) enum Authority {
    Root(Root),
    Key(VerifyingKey),
}

impl Authority {
    pub(crate) fn verifying_key(&self) -> &VerifyingKey {
        match self {
            Self::Root(root) => root.verifying_key(),
            Self::Key(key) => key,
        }
    }

    /// As [`Root::renew`], where the root is.
    #[cfg(feature = "home")]
    pub(crate) fn renew(&self, roster: &Roster, now: u64) -> Option<Roster> {
        match self {
            Self::Root(root) => root.renew(roster, now),
            Self::Key(_) => None,
        }
    }
}

/// The root key of a domain: it signs rosters and nothing else.
#[derive(Debug)]
pub struct Root(SigningKey);

impl Root {
    /// Makes a new domain.
    ///
    /// # Errors
    /// If the operating system gives no random bytes.
    pub fn generate() -> Result<Self, EntropyFailed> {
        Self::generate_from(&System)
    }

    pub(crate) fn generate_from(entropy: &dyn Entropy) -> Result<Self, EntropyFailed> {
        SigningKey::generate(entropy).map(Self)
    }

    #[cfg(feature = "home")]
    pub(crate) fn from_key(key: SigningKey) -> Self {
        Self(key)
    }

    #[cfg(feature = "home")]
    pub(crate) fn signing_key(&self) -> &SigningKey {
        &self.0
    }

    /// The key others know the domain by.
    pub fn verifying_key(&self) -> &VerifyingKey {
        self.0.verifying_key()
    }

    /// The name of the domain that begins with this root.
    pub fn domain(&self) -> Domain {
        Domain::of(self.verifying_key())
    }

    /// The roster after `roster` with the same content, when half its time is over or it was made by a clock that was ahead.
    ///
    /// Its time starts with the day: two processes that renew at once sign the same bytes.
    pub(crate) fn renew(&self, roster: &Roster, now: u64) -> Option<Roster> {
        let due = roster.expires().saturating_sub(now) <= ROSTER_LIFETIME / 2 || roster.issued() > now.saturating_add(CLOCK_TOLERANCE);
        // A root that has been succeeded signs nothing any more.
        let ours = roster.root() == self.verifying_key();
        (due && ours).then(|| self.sign_roster(Some(roster), roster.claims().clone(), now - now % DAY))
    }

    /// Signs the first roster, or the one after `previous`; it is valid for 30 days from `now`.
    ///
    /// The domain is that of `previous`: a root that succeeds another goes on with its domain. Others accept it if `previous` names this root as the
    /// next.
    pub fn sign_roster(&self, previous: Option<&Roster>, claims: RosterClaims, now: u64) -> Roster {
        let domain = previous.map_or_else(|| self.domain(), Roster::domain);
        Roster::sign(&self.0, domain, previous, claims, now, now.saturating_add(ROSTER_LIFETIME))
    }
}
