//! [`Roster`]: the root-signed list of nodes, what each may host, and what is revoked (SPEC.md, "Roster").

use sha2::{Digest, Sha256};

use crate::{
    address::{InvalidName, check_name},
    cbor::{Malformed, Reader, Writer},
    domain::Domain,
    error::OpenError,
    key::{KeyId, SigningKey, Thumbprint, VerifyingKey},
    labels,
    limits::{CLOCK_TOLERANCE, MAX_LABEL, MAX_LABELS, MAX_NODE_ADDRESS, MAX_NODE_ADDRESSES, MAX_ROSTER, ROSTER_LIFETIME},
    sign1::{self, Claimed, Profile},
};

const PROFILE: Profile = Profile { typ: labels::TYP_ROSTER, label: labels::ROSTER };
const MAX_NODES: usize = 4096;
pub(crate) const MAX_PATTERNS: usize = 64;
const MAX_REVOKED: usize = 16_384;

/// A node as the root lists it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RosterNode {
    /// The node's name.
    pub name: String,
    /// The node's key, which certifies its agents.
    pub key: VerifyingKey,
    /// Names the node may host: a name, or the start of names followed by `*`. `*` alone is every name.
    pub hosts: Vec<String>,
    /// Words policy may use about the node, such as `pii`.
    pub clearances: Vec<String>,
    /// Where the node may be reached, such as `tcp://10.0.0.3:7451`. Hints: who answers there still has to prove who it is.
    pub addresses: Vec<String>,
}

impl RosterNode {
    /// A node that may host every name.
    ///
    /// # Errors
    /// If `name` cannot be a node's name.
    pub fn new(name: &str, key: VerifyingKey) -> Result<Self, InvalidName> {
        check_name(name)?;
        Ok(Self { name: name.into(), key, hosts: vec!["*".into()], clearances: Vec::new(), addresses: Vec::new() })
    }

    /// Whether the node may host the agent `name`.
    pub fn may_host(&self, name: &str) -> bool {
        self.hosts.iter().any(|pattern| covers(pattern, name))
    }
}

/// Whether `pattern` covers a name. It covers another pattern in the same way: what that one begins with, this one must begin with too.
pub(crate) fn covers(pattern: &str, name: &str) -> bool {
    match pattern.strip_suffix('*') {
        Some(start) => name.starts_with(start),
        None => pattern == name,
    }
}

/// That `pattern` can stand in a roster as a host pattern: a name, or the beginning of names followed by `*`.
///
/// # Errors
/// If it is neither.
pub fn check_pattern(pattern: &str) -> Result<(), InvalidName> {
    let start = pattern.strip_suffix('*').unwrap_or(pattern);
    let sound = if start.is_empty() { pattern == "*" } else { start.len() < MAX_LABEL && check_name(start).is_ok() };
    let what = "a host pattern is an agent's name, or the beginning of names followed by `*`; `*` alone is every name";
    if sound { Ok(()) } else { Err(InvalidName { what }) }
}

/// That `address` can stand in a roster as a node's: `scheme://place`, printable ASCII without spaces.
///
/// # Errors
/// If it cannot.
pub fn check_node_address(address: &str) -> Result<(), InvalidName> {
    let (scheme, place) = address.split_once("://").unwrap_or_default();
    let scheme_sound = !scheme.is_empty() && scheme.bytes().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit());
    let sound = scheme_sound && !place.is_empty() && is_word(address, MAX_NODE_ADDRESS);
    let what = "a node's address is like `tcp://10.0.0.3:7451`: scheme, `://` and place, at most 128 printable ASCII characters";
    if sound { Ok(()) } else { Err(InvalidName { what }) }
}

/// What a roster says, before the root signs it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RosterClaims {
    /// The nodes.
    pub nodes: Vec<RosterNode>,
    /// Keys of nodes or agents that are no longer trusted.
    pub revoked: Vec<Thumbprint>,
    /// SHA-256 of the public key of the root to come. Once it stands in a roster it stays until that root takes over: whoever steals the
    /// present root's key cannot name a successor of their own.
    pub next_root: Option<[u8; 32]>,
}

/// A roster whose signature was checked.
#[derive(Clone)]
pub struct Roster {
    version: u64,
    previous: [u8; 32],
    issued: u64,
    expires: u64,
    claims: RosterClaims,
    domain: Domain,
    /// Whose signature was checked.
    root: VerifyingKey,
    bytes: Vec<u8>,
}

impl core::fmt::Debug for Roster {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Roster")
            .field("domain", &self.domain)
            .field("version", &self.version)
            .field("issued", &self.issued)
            .field("expires", &self.expires)
            .field("claims", &self.claims)
            .finish_non_exhaustive()
    }
}

impl Roster {
    pub(crate) fn sign(
        root: &SigningKey,
        domain: Domain,
        previous: Option<&Self>,
        mut claims: RosterClaims,
        issued: u64,
        expires: u64,
    ) -> Self {
        claims.nodes.sort_by(|a, b| a.name.cmp(&b.name));
        claims.revoked.sort();
        claims.revoked.dedup();
        let version = previous.map_or(1, |previous| previous.version.saturating_add(1));
        let previous = previous.map_or([0; 32], Self::digest);
        let root_key = *root.verifying_key();
        let mut roster = Self { version, previous, issued, expires, claims, domain, root: root_key, bytes: Vec::new() };
        roster.bytes = sign1::sign(PROFILE, &domain, root, &encode(&roster));
        roster
    }

    /// Checks a roster against the root key of its domain.
    ///
    /// # Errors
    /// [`OpenError::TooLarge`], [`OpenError::Malformed`], [`OpenError::NotAuthentic`], [`OpenError::Expired`] or [`OpenError::FromFuture`].
    pub fn verify(bytes: &[u8], root: &VerifyingKey, now: u64) -> Result<Self, OpenError> {
        let roster = Self::verify_signature(bytes, root)?;
        roster.check_time(now)?;
        Ok(roster)
    }

    /// As [`Roster::verify`] without the clock: what the domain's own root reads before it renews.
    pub(crate) fn verify_signature(bytes: &[u8], root: &VerifyingKey) -> Result<Self, OpenError> {
        Self::verify_by(bytes, Domain::of(root), |named| named.is_none().then_some(*root))
    }

    /// A roster of the domain that began with the root `first`, as it is kept in a home: a successor of the first root may have signed it.
    /// That the roster before had named this successor was checked when the roster was taken; it cannot be checked again without that one.
    #[cfg(feature = "home")]
    pub(crate) fn verify_kept(bytes: &[u8], first: &VerifyingKey) -> Result<Self, OpenError> {
        Self::verify_by(bytes, Domain::of(first), |named| Some(named.unwrap_or(*first)))
    }

    /// Checks a roster that is offered in place of this one: this one's root signed it, or the root this one names as the next. Whether it
    /// follows this one is what [`Roster::follow`] tells.
    ///
    /// # Errors
    /// Those of [`Roster::verify`].
    pub fn verify_next(&self, bytes: &[u8], now: u64) -> Result<Self, OpenError> {
        let offered = self.verify_next_signature(bytes)?;
        offered.check_time(now)?;
        Ok(offered)
    }

    /// As [`Roster::verify_next`] without the clock.
    pub(crate) fn verify_next_signature(&self, bytes: &[u8]) -> Result<Self, OpenError> {
        let first = |root: &VerifyingKey| Domain::of(root) == self.domain;
        Self::verify_by(bytes, self.domain, |named| match named {
            None => first(&self.root).then_some(self.root),
            Some(root) if root == self.root => Some(root),
            Some(root) => (self.claims.next_root == Some(*Domain::of(&root).as_bytes())).then_some(root),
        })
    }

    /// A roster that another process of the same home keeps, in place of this one or before it. It may be two roots on: whoever kept it has checked
    /// that each was named.
    pub(crate) fn verify_beside(&self, bytes: &[u8]) -> Result<Self, OpenError> {
        let first = Domain::of(&self.root) == self.domain;
        Self::verify_by(bytes, self.domain, |named| named.or(first.then_some(self.root)))
    }

    /// The roster in `bytes`, if the root that `trusted` gives signed it. `trusted` is asked with the root that the roster names as its own, which
    /// it does unless that is the domain's first.
    fn verify_by(
        bytes: &[u8],
        domain: Domain,
        trusted: impl FnOnce(Option<VerifyingKey>) -> Option<VerifyingKey>,
    ) -> Result<Self, OpenError> {
        if bytes.len() > MAX_ROSTER {
            return Err(OpenError::TooLarge { size: bytes.len(), limit: MAX_ROSTER });
        }
        let claimed = Claimed::parse(PROFILE, bytes)?;
        let named = named_root(claimed.payload);
        if named.is_ok_and(|named| named.is_some_and(|root| Domain::of(&root) == domain)) {
            return Err(Malformed { what: "roster names the domain's first root, which is known", offset: 0 }.into());
        }
        let root = trusted(named.unwrap_or_default()).ok_or(OpenError::NotAuthentic)?;
        if claimed.signer != root.thumbprint().short() || !claimed.is_signed_by(PROFILE, &domain, &root) {
            return Err(OpenError::NotAuthentic);
        }
        named?;
        decode(bytes, claimed.payload, domain, root).map_err(Into::into)
    }

    /// Takes `offered` in place of this roster if its version is higher.
    ///
    /// # Errors
    /// [`OpenError::RosterConflict`] if it is lower, or the same with other content, or the next and made from another one, or names another
    /// root to come than this one: all but the first are an alarm, as the root signed two.
    pub fn follow(&self, offered: Self) -> Result<Self, OpenError> {
        let same = offered.version == self.version && offered.digest() == self.digest();
        let next = self.version.checked_add(1) == Some(offered.version);
        let follows = offered.version > self.version && (!next || offered.previous == self.digest()) && self.is_succession_kept(&offered);
        if follows || same { Ok(offered) } else { Err(OpenError::RosterConflict { offered: offered.version, known: self.version }) }
    }

    /// Whether `offered` comes from the same root and names the same one to come, or from the one to come.
    fn is_succession_kept(&self, offered: &Self) -> bool {
        if offered.root == self.root {
            return self.claims.next_root.is_none() || offered.claims.next_root == self.claims.next_root;
        }
        offered.domain == self.domain && self.claims.next_root == Some(*Domain::of(&offered.root).as_bytes())
    }

    pub(crate) fn check_time(&self, now: u64) -> Result<(), OpenError> {
        check_time(self.issued, self.expires, now)
    }

    /// The version; each roster's is higher than the one before.
    pub fn version(&self) -> u64 {
        self.version
    }

    /// Unix time at which it was made.
    pub fn issued(&self) -> u64 {
        self.issued
    }

    /// Unix time at which it ends.
    pub fn expires(&self) -> u64 {
        self.expires
    }

    /// The domain it is of.
    pub fn domain(&self) -> Domain {
        self.domain
    }

    /// The root key that signed it.
    pub fn root(&self) -> &VerifyingKey {
        &self.root
    }

    /// What it says.
    pub fn claims(&self) -> &RosterClaims {
        &self.claims
    }

    /// As it travels.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// SHA-256 of the signed bytes.
    pub fn digest(&self) -> [u8; 32] {
        Sha256::digest(&self.bytes).into()
    }

    /// The node of that name.
    pub fn node(&self, name: &str) -> Option<&RosterNode> {
        self.claims.nodes.iter().find(|node| node.name == name)
    }

    /// Whether a key is no longer trusted.
    pub fn is_revoked(&self, key: &Thumbprint) -> bool {
        self.claims.revoked.binary_search(key).is_ok()
    }

    /// The node of that name, if its key is the one named `signer`.
    pub(crate) fn certifier(&self, node: &str, signer: KeyId) -> Result<&RosterNode, OpenError> {
        self.node(node).filter(|node| node.key.thumbprint().short() == signer).ok_or(OpenError::UnknownSigner)
    }
}

/// That `now` lies between `issued` and `expires`, give or take the difference of two clocks.
pub(crate) fn check_time(issued: u64, expires: u64, now: u64) -> Result<(), OpenError> {
    let ahead = issued.saturating_sub(now);
    if ahead > CLOCK_TOLERANCE {
        return Err(OpenError::FromFuture { by: ahead });
    }
    match now.checked_sub(expires) {
        Some(by) if by >= CLOCK_TOLERANCE => Err(OpenError::Expired { by }),
        _ => Ok(()),
    }
}

/// The claims, without signature. The root is named unless the domain's name names it already.
fn encode(roster: &Roster) -> Vec<u8> {
    let claims = &roster.claims;
    let named = (Domain::of(&roster.root) != roster.domain).then(|| roster.root.as_bytes());
    let mut writer = Writer::default();
    writer.map(6 + usize::from(claims.next_root.is_some()) + usize::from(named.is_some()));
    writer.int(1).uint(roster.version).int(2).bytes(&roster.previous).int(3).uint(roster.issued).int(4).uint(roster.expires);
    writer.int(5).array(claims.nodes.len());
    for node in &claims.nodes {
        writer.array(5).text(&node.name).bytes(node.key.as_bytes());
        for words in [&node.hosts, &node.clearances, &node.addresses] {
            write_words(&mut writer, words);
        }
    }
    writer.int(6).array(claims.revoked.len());
    for key in &claims.revoked {
        writer.bytes(key.as_bytes());
    }
    if let Some(next) = &claims.next_root {
        writer.int(7).bytes(next);
    }
    if let Some(root) = named {
        writer.int(8).bytes(root);
    }
    writer.finish()
}

pub(crate) fn write_words(writer: &mut Writer, words: &[String]) {
    writer.array(words.len());
    for word in words {
        writer.text(word);
    }
}

/// The root that a payload names as its own; nothing else of it is looked at, as nothing of it is proven.
fn named_root(payload: &[u8]) -> Result<Option<VerifyingKey>, Malformed> {
    let mut root = None;
    Reader::new(payload)?.map("expected a roster's claims", |reader, label| match label {
        8 => {
            let key = reader.bytes_of::<32>("expected a root key")?;
            root = Some(VerifyingKey::from_bytes(&key).map_err(|_| reader.expected("root key is not a sound public key"))?);
            Ok(())
        }
        _ => reader.skip(),
    })?;
    Ok(root)
}

fn decode(bytes: &[u8], payload: &[u8], domain: Domain, root: VerifyingKey) -> Result<Roster, Malformed> {
    let claims = RosterClaims::default();
    let mut roster = Roster { version: 0, previous: [0; 32], issued: 0, expires: 0, claims, domain, root, bytes: bytes.to_vec() };
    let mut labels_read = 0;
    let mut reader = Reader::new(payload)?;
    reader.map("expected a roster's claims", |reader, label| {
        labels_read += usize::from(label <= 6);
        match label {
            1 => roster.version = reader.uint("expected a version")?,
            2 => roster.previous = reader.bytes_of("expected the hash of the roster before")?,
            3 => roster.issued = reader.uint("expected a time")?,
            4 => roster.expires = reader.uint("expected a time")?,
            5 => {
                let count = reader.array_up_to(MAX_NODES, "expected at most 4096 nodes")?;
                roster.claims.nodes = (0..count).map(|_| decode_node(reader)).collect::<Result<_, _>>()?;
            }
            6 => {
                let count = reader.array_up_to(MAX_REVOKED, "expected at most 16384 revoked keys")?;
                let keys = (0..count).map(|_| reader.bytes_of("expected a thumbprint").map(Thumbprint::from_bytes));
                roster.claims.revoked = keys.collect::<Result<_, _>>()?;
            }
            7 => roster.claims.next_root = Some(reader.bytes_of("expected the hash of the next root")?),
            8 => reader.skip()?,
            _ => return Err(reader.expected("unknown claim")),
        }
        Ok(())
    })?;
    let ordered = roster.claims.nodes.is_sorted_by(|a, b| a.name < b.name) && roster.claims.revoked.is_sorted_by(|a, b| a < b);
    let lasts = roster.expires.checked_sub(roster.issued).is_some_and(|time| (1..=ROSTER_LIFETIME).contains(&time));
    if labels_read != 6 || roster.version == 0 || !ordered || !lasts {
        return Err(Malformed { what: "roster lacks a claim, lasts over 30 days, or lists something twice or out of order", offset: 0 });
    }
    Ok(roster)
}

fn decode_node(reader: &mut Reader<'_>) -> Result<RosterNode, Malformed> {
    reader.array(5, "expected a node of 5 items")?;
    let name = reader.text("expected a node's name")?;
    check_name(name).map_err(|_| reader.expected("node name is not of its form"))?;
    let key = reader.bytes_of::<32>("expected a node's key")?;
    let key = VerifyingKey::from_bytes(&key).map_err(|_| reader.expected("node key is not a sound public key"))?;
    let hosts = read_words(reader, MAX_PATTERNS, MAX_LABEL)?;
    let clearances = read_words(reader, MAX_LABELS, MAX_LABEL)?;
    let addresses = read_words(reader, MAX_NODE_ADDRESSES, MAX_NODE_ADDRESS)?;
    Ok(RosterNode { name: name.into(), key, hosts, clearances, addresses })
}

/// At most `limit` words of at most `length` characters.
pub(crate) fn read_words(reader: &mut Reader<'_>, limit: usize, length: usize) -> Result<Vec<String>, Malformed> {
    let count = reader.array_up_to(limit, "expected a short list of words")?;
    (0..count)
        .map(|_| {
            let word = reader.text("expected a word")?;
            if is_word(word, length) {
                Ok(word.to_owned())
            } else {
                Err(reader.expected("a word is a few printable ASCII characters without spaces"))
            }
        })
        .collect()
}

fn is_word(word: &str, length: usize) -> bool {
    (1..=length).contains(&word.len()) && word.bytes().all(|c| c.is_ascii_graphic())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{domain::Root, error::EntropyFailed};

    fn listed(name: &str) -> Result<RosterNode, EntropyFailed> {
        let key = *Root::generate()?.verifying_key();
        let (hosts, addresses) = (vec!["crew-*".into(), "editor".into()], vec!["tcp://10.0.0.3:7451".into()]);
        Ok(RosterNode { name: name.into(), key, hosts, clearances: vec!["pii".into()], addresses })
    }

    #[test]
    fn what_the_root_signed_is_read_back() -> Result<(), Box<dyn std::error::Error>> {
        let root = Root::generate()?;
        let claims = RosterClaims {
            nodes: vec![listed("pi2")?, listed("pi1")?],
            revoked: vec![Thumbprint::from_bytes([9; 32])],
            next_root: Some([7; 32]),
        };
        let signed = root.sign_roster(None, claims, 1000);
        let read = Roster::verify(signed.as_bytes(), root.verifying_key(), 1000)?;
        assert_eq!(read.claims(), signed.claims());
        assert!(read.is_revoked(&Thumbprint::from_bytes([9; 32])));
        let node = read.node("pi1").ok_or("no pi1")?;
        assert!(node.may_host("crew-a") && node.may_host("editor") && !node.may_host("editor2") && !node.may_host("boss"));
        Ok(())
    }

    #[test]
    fn another_root_a_flipped_bit_or_an_old_roster_is_refused() -> Result<(), Box<dyn std::error::Error>> {
        let root = Root::generate()?;
        let first = root.sign_roster(None, RosterClaims { nodes: vec![listed("pi1")?], ..Default::default() }, 1000);
        let other = Root::generate()?;
        assert_eq!(Roster::verify(first.as_bytes(), other.verifying_key(), 1000).err(), Some(OpenError::NotAuthentic));
        for at in 0..first.as_bytes().len() {
            let mut flipped = first.as_bytes().to_vec();
            flipped[at] ^= 1;
            assert!(Roster::verify(&flipped, root.verifying_key(), 1000).is_err(), "byte {at}");
        }
        let late = 1000 + crate::limits::ROSTER_LIFETIME + CLOCK_TOLERANCE;
        assert_eq!(Roster::verify(first.as_bytes(), root.verifying_key(), late).err(), Some(OpenError::Expired { by: CLOCK_TOLERANCE }));
        let second = root.sign_roster(Some(&first), RosterClaims::default(), 1000);
        assert_eq!(first.follow(second.clone())?.version(), 2);
        assert_eq!(second.follow(first).err(), Some(OpenError::RosterConflict { offered: 1, known: 2 }));
        let fork = root.sign_roster(Some(&second), RosterClaims::default(), 1000);
        let other_fork = root.sign_roster(Some(&second), RosterClaims::default(), 1001);
        let next_of_fork = root.sign_roster(Some(&other_fork), RosterClaims::default(), 1001);
        assert_eq!(fork.follow(next_of_fork).err(), Some(OpenError::RosterConflict { offered: 4, known: 3 }), "made from another one");
        assert_eq!(fork.follow(other_fork).err(), Some(OpenError::RosterConflict { offered: 3, known: 3 }));
        Ok(())
    }
}
