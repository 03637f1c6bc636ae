//! [`Membership`]: what a home knows of its domain, and the changes to the roster that the holder of the root key makes.

use std::{
    fmt,
    fs::{File, OpenOptions},
    path::Path,
};

use super::{AGENTS, FIRST_ROOT, Home, ROOT, ROSTER, files};
#[cfg(feature = "pairing")]
use crate::roster::RosterNode;
use crate::{
    address::Address,
    domain::{Authority, Domain, Root},
    endpoint::{Endpoint, EndpointError},
    entropy::System,
    error::StoreFailed,
    key::{SigningKey, Thumbprint, VerifyingKey},
    limits::MAX_NODE_ADDRESSES,
    roster::{Roster, RosterClaims, check_node_address},
};

/// Held while a process changes the roster, so that two changes at once become two versions and not two rosters of one version.
const LOCK: &str = "roster.lock";

/// A home's node and the roster it follows.
#[derive(Clone)]
pub struct Membership {
    home: Home,
    node: String,
    key: VerifyingKey,
    roster: Roster,
    holds_root: bool,
}

impl Home {
    /// Who this home is, and in what domain. Nothing is changed by looking.
    ///
    /// # Errors
    /// If the home is damaged, readable by others, or has not joined yet.
    pub fn membership(&self) -> Result<Membership, StoreFailed> {
        let (node, authority, roster) = self.read()?;
        let key = *node.key.verifying_key();
        let holds_root = matches!(authority, Authority::Root(_));
        Ok(Membership { home: self.clone(), node: node.name, key, roster, holds_root })
    }

    /// Gives the roster of this home to another home of its domain on this machine, if that has an older one; where the root key is, it is renewed
    /// first if it is due. It is believed no more than one that a peer sends. A process that runs there takes it as it takes any change that is made
    /// beside it. Returns whether it was given.
    ///
    /// # Errors
    /// If one of the homes is damaged or cannot be written, or the rosters are of two domains or contradict each other.
    pub fn share_roster(&self, with: &Home) -> Result<bool, EndpointError> {
        let (_, _, roster) = self.load(&Endpoint::builder())?;
        let (_, known) = with.read_roster()?;
        if roster.version() < known.version() {
            return Ok(false);
        }
        let next = known.follow(known.verify_next_signature(roster.as_bytes())?)?;
        let newer = next.version() > known.version();
        if newer {
            files::replace(&with.path.join(ROSTER), next.as_bytes())?;
        }
        Ok(newer)
    }

    /// Makes a new key for an agent of this home, and gives the names of the old one and the new one. A process that runs the agent goes on
    /// with the old key until it is restarted; the old key stays good until it is revoked.
    ///
    /// # Errors
    /// If the agent has no key here, or it cannot be written.
    pub fn renew_agent(&self, name: &str) -> Result<(Thumbprint, Thumbprint), EndpointError> {
        crate::address::check_name(name)?;
        let path = self.path.join(AGENTS).join(format!("{name}.pem"));
        let old = self.agent_thumbprint(name)?;
        let new = SigningKey::generate(&System)?;
        files::replace_key(&path, &new)?;
        files::sync_folder(&self.path.join(AGENTS))?;
        Ok((old, new.verifying_key().thumbprint()))
    }

    /// The agents that have a key here, with the names of their keys.
    ///
    /// # Errors
    /// If a key cannot be read.
    pub fn agent_keys(&self) -> Result<Vec<(String, Thumbprint)>, StoreFailed> {
        self.agents()?.into_iter().map(|name| self.agent_thumbprint(&name).map(|key| (name, key))).collect()
    }

    fn agent_thumbprint(&self, name: &str) -> Result<Thumbprint, StoreFailed> {
        let path = self.path.join(AGENTS).join(format!("{name}.pem"));
        if !path.exists() {
            return Err(StoreFailed(format!("there is no agent `{name}` in `{}`", self.path.display())));
        }
        files::read_key(&path).map(|key| key.verifying_key().thumbprint())
    }
}

impl Membership {
    /// This node's name.
    pub fn node(&self) -> &str {
        &self.node
    }

    /// This node's key.
    pub fn key(&self) -> &VerifyingKey {
        &self.key
    }

    /// The domain.
    pub fn domain(&self) -> Domain {
        self.roster.domain()
    }

    /// The roster in force here.
    pub fn roster(&self) -> &Roster {
        &self.roster
    }

    /// Whether the root key is in this home, so that the roster can be changed here.
    pub fn holds_root(&self) -> bool {
        self.holds_root
    }

    /// Lists a node, or lists it anew if it has the key that is listed under its name.
    #[cfg(feature = "pairing")]
    pub(crate) fn admit(&mut self, node: RosterNode, own_address: Option<String>, now: u64) -> Result<(), EndpointError> {
        let own = self.node.clone();
        self.change(now, |claims| {
            claims.nodes.retain(|listed| listed.name != node.name);
            let this = claims.nodes.iter_mut().find(|listed| listed.name == own && listed.addresses.is_empty());
            if let Some((this, address)) = this.zip(own_address) {
                this.addresses = vec![address];
            }
            claims.nodes.push(node);
            Ok(())
        })
    }

    /// Sets where a node may be reached; the nodes learn of it with the new roster.
    ///
    /// # Errors
    /// If no node has that name, an address is not of its form, there are over four, or the root key is not here.
    pub fn set_addresses(&mut self, node: &str, addresses: Vec<String>, now: u64) -> Result<(), EndpointError> {
        addresses.iter().try_for_each(|address| check_node_address(address))?;
        if addresses.len() > MAX_NODE_ADDRESSES {
            return Err(StoreFailed(format!("a node has at most {MAX_NODE_ADDRESSES} addresses in the roster")).into());
        }
        self.change(now, |claims| {
            let listed = claims.nodes.iter_mut().find(|listed| listed.name == node);
            listed.ok_or_else(|| unknown(node))?.addresses = addresses;
            Ok(())
        })
    }

    /// Takes a node off the roster and revokes its key: nothing that it or its agents sign is accepted where the new roster is known.
    ///
    /// # Errors
    /// If no other node has that name, or the root key is not here.
    pub fn revoke_node(&mut self, node: &str, now: u64) -> Result<Thumbprint, EndpointError> {
        self.check_root()?;
        if node == self.node {
            return Err(StoreFailed(format!("`{node}` is this node, which holds the root key; it cannot revoke itself")).into());
        }
        let listed = self.roster.node(node).ok_or_else(|| unknown(node))?;
        let key = listed.key.thumbprint();
        self.change(now, |claims| {
            claims.nodes.retain(|listed| listed.name != node);
            claims.revoked.push(key);
            Ok(())
        })?;
        Ok(key)
    }

    /// Revokes the key of an agent of this home.
    ///
    /// # Errors
    /// If it has no key here, or the root key is not here. The key of an agent elsewhere is revoked by [`Membership::revoke_key`].
    pub fn revoke_agent(&mut self, agent: &Address, now: u64) -> Result<Thumbprint, EndpointError> {
        self.check_root()?;
        if agent.node() != self.node {
            return Err(StoreFailed(format!(
                "the key of `{agent}` is not known here: revoke its node, or the key itself, which `sealwire members` shows in the home of `{}`",
                agent.node()
            ))
            .into());
        }
        let key = self.home.agent_thumbprint(agent.name())?;
        self.revoke_key(key, now)?;
        Ok(key)
    }

    /// Revokes a key, whosever it is.
    ///
    /// # Errors
    /// If it is this node's own, or the root key is not here.
    pub fn revoke_key(&mut self, key: Thumbprint, now: u64) -> Result<(), EndpointError> {
        self.check_root()?;
        if key == self.key.thumbprint() {
            return Err(StoreFailed(format!(
                "that is the key of `{}`, this node, which holds the root key; it cannot revoke itself",
                self.node
            ))
            .into());
        }
        self.change(now, |claims| {
            claims.nodes.retain(|listed| listed.key.thumbprint() != key);
            claims.revoked.push(key);
            Ok(())
        })
    }

    /// Makes the key of the root to come, writes it to `file`, which must not exist, and names it in the roster. From then on nobody without
    /// that file can succeed the present root, not even who steals the present root's key.
    ///
    /// # Errors
    /// If one is named already, the file cannot be written, or the root key is not here.
    pub fn name_next_root(&mut self, file: &Path, now: u64) -> Result<(), EndpointError> {
        if self.roster.claims().next_root.is_some() {
            return Err(StoreFailed(
                "the roster names the next root already, and that cannot be changed: use the key that was made then".into(),
            )
            .into());
        }
        self.check_root()?;
        let next = Root::generate()?;
        files::write_key_in_clear(file, next.signing_key())?;
        self.change(now, |claims| {
            claims.next_root = Some(*next.domain().as_bytes());
            Ok(())
        })
    }

    /// Lets the root whose key is in `file` take over, if the roster names it. The domain stays what it is; the old root key is of no use any
    /// more to who has the new roster, and is erased here.
    ///
    /// # Errors
    /// If the roster does not name it, or the home fails.
    pub fn succeed_root(&mut self, file: &Path, now: u64) -> Result<(), EndpointError> {
        let next = Root::from_key(files::read_key(file)?);
        let _lock = self.lock()?;
        self.reload()?;
        // After a crash between the two writes below, the roster is the new root's and only the key is missing.
        if self.roster.root() != next.verifying_key() {
            if self.roster.claims().next_root != Some(*next.domain().as_bytes()) {
                let file = file.display();
                return Err(StoreFailed(format!(
                    "`{file}` is not the root that the roster names as the next; `sealwire rotate --next-root` names one"
                ))
                .into());
            }
            let path = self.home.path.join(FIRST_ROOT);
            if !path.exists() {
                files::write_public_key(&path, self.roster.root())?;
            }
            let claims = RosterClaims { next_root: None, ..self.roster.claims().clone() };
            self.write(next.sign_roster(Some(&self.roster), claims, now))?;
        }
        files::replace_key(&self.home.path.join(ROOT), next.signing_key())?;
        files::sync_folder(&self.home.path)?;
        self.holds_root = true;
        Ok(())
    }

    /// Signs the next roster with what `edit` changes. It is on disk for good when this returns.
    fn change(&mut self, now: u64, edit: impl FnOnce(&mut RosterClaims) -> Result<(), EndpointError>) -> Result<(), EndpointError> {
        let _lock = self.lock()?;
        self.reload()?;
        let root = self.check_root()?;
        let mut claims = self.roster.claims().clone();
        edit(&mut claims)?;
        let next = root.sign_roster(Some(&self.roster), claims, now);
        // What the root signs, everybody must be able to read.
        let next = self.roster.verify_next_signature(next.as_bytes()).and_then(|next| self.roster.follow(next))?;
        self.write(next)
    }

    fn write(&mut self, next: Roster) -> Result<(), EndpointError> {
        files::replace(&self.home.path.join(ROSTER), next.as_bytes())?;
        files::sync_folder(&self.home.path)?;
        self.roster = next;
        Ok(())
    }

    /// Another process may have changed the roster since.
    fn reload(&mut self) -> Result<(), StoreFailed> {
        let (_, roster) = self.home.read_roster()?;
        self.roster = roster;
        Ok(())
    }

    fn check_root(&self) -> Result<Root, EndpointError> {
        match self.home.read_roster()? {
            (Authority::Root(root), _) => Ok(root),
            _ => Err(StoreFailed(format!(
                "`{}` does not hold the root key of its domain; do this in the home that does, where `sealwire init` made the domain",
                self.home.path.display()
            ))
            .into()),
        }
    }

    fn lock(&self) -> Result<File, StoreFailed> {
        let path = self.home.path.join(LOCK);
        match files::create_private(&path) {
            Ok(_) => {}
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(files::fail("make", &path, &error)),
        }
        let file = OpenOptions::new().write(true).open(&path).map_err(|error| files::fail("open", &path, &error))?;
        file.lock().map_err(|error| files::fail("lock", &path, &error))?;
        Ok(file)
    }
}

impl fmt::Debug for Membership {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Membership")
            .field("node", &self.node)
            .field("domain", &self.domain())
            .field("holds_root", &self.holds_root)
            .finish()
    }
}

fn unknown(node: &str) -> EndpointError {
    StoreFailed(format!("the roster lists no node `{node}`; `sealwire members` shows all")).into()
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;
    use crate::NodeKey;

    type Outcome = Result<(), Box<dyn std::error::Error>>;

    const NOW: u64 = 1_800_000_000;

    /// A folder of its own for each test, gone at its end.
    struct Place(PathBuf);

    impl Place {
        fn new(name: &str) -> std::io::Result<Self> {
            let path = std::env::temp_dir().join(format!("sealwire-membership-{}-{name}", std::process::id()));
            std::fs::create_dir_all(&path)?;
            Ok(Self(path))
        }

        fn home(&self) -> Result<(Home, Endpoint), EndpointError> {
            let (endpoint, _) = Endpoint::builder().clock(At).home_or_init(self.0.join("home"), "pi1")?;
            Ok((Home::at(self.0.join("home"))?, endpoint))
        }
    }

    impl Drop for Place {
        fn drop(&mut self) {
            let _gone = std::fs::remove_dir_all(&self.0);
        }
    }

    struct At;

    impl crate::Clock for At {
        fn now(&self) -> u64 {
            NOW
        }
    }

    #[test]
    fn a_running_process_takes_what_is_changed_beside_it() -> Outcome {
        let place = Place::new("beside")?;
        let (home, running) = place.home()?;
        let agent = running.host("a")?;
        let mut known = home.membership()?;
        known.set_addresses("pi1", vec!["tcp://10.0.0.1:7451".into()], NOW)?;
        running.maintain()?;
        assert_eq!((running.roster().version(), running.roster().claims().nodes[0].addresses.len()), (2, 1));
        known.revoke_agent(&agent, NOW)?;
        running.maintain()?;
        let draft = crate::Draft::new("task", "x");
        assert!(running.seal(&agent, &agent, &draft).is_err(), "revoked");
        Ok(())
    }

    /// Both steps of a succession between two looks of a process that runs.
    #[test]
    fn a_running_process_follows_to_another_root() -> Outcome {
        let place = Place::new("roots")?;
        let (home, running) = place.home()?;
        let (mut known, domain) = (home.membership()?, running.domain());
        for file in ["second.pem", "third.pem"] {
            known.name_next_root(&place.0.join(file), NOW)?;
            known.succeed_root(&place.0.join(file), NOW)?;
        }
        running.maintain()?;
        assert_eq!((running.roster().version(), running.roster().root(), running.domain()), (5, known.roster().root(), domain));
        assert!(home.membership()?.holds_root());
        let restarted = Endpoint::builder().clock(At).home(&home)?;
        assert_eq!((restarted.domain(), restarted.roster().version()), (domain, 5));
        Ok(())
    }

    #[test]
    fn a_roster_is_shared_if_it_is_newer_and_of_the_same_roots() -> Outcome {
        let (place, strange) = (Place::new("shared")?, Place::new("strange")?);
        let (home, _) = place.home()?;
        let mut known = home.membership()?;
        known.set_addresses("pi1", vec![], crate::Clock::now(&System))?;
        let (one, other) = (place.0.join("home"), place.0.join("other"));
        std::fs::create_dir(&other)?;
        for file in [ROOT, ROSTER] {
            std::fs::copy(one.join(file), other.join(file))?;
        }
        let other = Home { path: other };
        assert!(!home.share_roster(&other)?, "the same");
        known.set_addresses("pi1", vec!["tcp://a:1".into()], crate::Clock::now(&System))?;
        assert!(home.share_roster(&other)?);
        assert_eq!(other.read_roster()?.1.version(), known.roster().version());
        // One of another root, which says that it is newer.
        let (stranger, _) = strange.home()?;
        let mut forged = stranger.membership()?;
        for number in 0..5 {
            forged.set_addresses("pi1", vec![format!("tcp://a:{number}")], crate::Clock::now(&System))?;
        }
        assert!(stranger.share_roster(&other).is_err());
        assert_eq!(other.read_roster()?.1.version(), known.roster().version());
        Ok(())
    }

    #[test]
    fn a_succession_that_was_interrupted_is_finished() -> Outcome {
        let place = Place::new("interrupted")?;
        let (home, _) = place.home()?;
        let (file, root) = (place.0.join("next.pem"), home.path().join(ROOT));
        let old = std::fs::read(&root)?;
        let mut known = home.membership()?;
        known.name_next_root(&file, NOW)?;
        known.succeed_root(&file, NOW)?;
        // The roster was written, the key not yet.
        std::fs::write(&root, old)?;
        let mut known = home.membership()?;
        assert!(!known.holds_root() && known.set_addresses("pi1", vec![], NOW).is_err());
        known.succeed_root(&file, NOW)?;
        assert!(home.membership()?.holds_root());
        assert_eq!(known.roster().version(), 3, "nothing was signed again");
        Ok(())
    }

    #[test]
    fn changes_at_once_are_all_kept() -> Outcome {
        let place = Place::new("at-once")?;
        let (home, _) = place.home()?;
        let keys: Vec<_> =
            (0..8).map(|_| NodeKey::generate("n").map(|node| node.key.verifying_key().thumbprint())).collect::<Result<_, _>>()?;
        std::thread::scope(|threads| {
            for key in &keys {
                let home = &home;
                threads.spawn(move || home.membership().unwrap().revoke_key(*key, NOW).unwrap());
            }
        });
        let known = home.membership()?;
        assert_eq!(known.roster().version(), 9);
        assert!(keys.iter().all(|key| known.roster().is_revoked(key)));
        Ok(())
    }
}
