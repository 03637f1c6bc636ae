//! [`Home`]: a folder that keeps a node's keys, receive keys and journal (SPEC.md, "Home").
//!
//! ```text
//! .sealwire/          0700
//!   .gitignore        *
//!   root.pem          the domain's root key (PKCS #8)       0600; only where the domain was made
//!   root.pub          the public key of its first root      where the root is elsewhere, or not the first any more
//!   node.pem          this node's key                       0600
//!   agents/NAME.pem   each agent's key                      0600
//!   roster.cbor       the roster in force                   missing until a home that joins has joined
//!   lock.cbor         what a passphrase opens               where there is one: the secrets above are encrypted then
//!   invites/          invites that are open or spent        where the root is
//!   store.key         what receive keys are encrypted with  0600
//!   store.db          receive keys and journal (SQLite)     0600
//! ```

use std::{
    fmt, fs, io,
    path::{Path, PathBuf},
};

use zeroize::Zeroizing;

use crate::{
    domain::{Authority, Root},
    endpoint::{Builder, Endpoint, EndpointError, Inspector, NodeKey},
    entropy::Entropy,
    error::{OpenError, Seconds, StoreFailed},
    fork::HeldOff,
    key::{SigningKey, VerifyingKey},
    limits::MAX_ROSTER,
    roster::{Roster, RosterClaims, RosterNode},
    secret::Secret,
};

#[cfg(feature = "node")]
mod checkpoints;
mod connection;
mod files;
#[cfg(feature = "pairing")]
mod joining;
mod life;
mod lock;
mod log;
mod membership;
#[cfg(test)]
pub(crate) mod place;
mod reading;
mod store;
mod tables;
#[cfg(feature = "node")]
mod work;
#[cfg(feature = "node")]
mod worker;

use files::{Folder, fail};
#[cfg(feature = "pairing")]
pub(crate) use joining::{Joining, Record, Spent};
pub use membership::Membership;
use reading::ReadingStore;
use store::HomeStore;

const ROOT: &str = "root.pem";
const FIRST_ROOT: &str = "root.pub";
const NODE: &str = "node.pem";
const ROSTER: &str = "roster.cbor";
const STORE: &str = "store.db";
const STORE_KEY: &str = "store.key";
const AGENTS: &str = "agents";

/// A home on disk.
#[derive(Clone, PartialEq, Eq)]
pub struct Home {
    path: PathBuf,
}

impl Home {
    /// Makes a home with a domain of its own and one node, or reports that there is one already.
    ///
    /// It is made aside and put in place in one step, so two processes that start at once agree on one.
    ///
    /// # Errors
    /// If the folder cannot be made, or `node` cannot be a node's name.
    pub fn init(path: impl AsRef<Path>, node: &str) -> Result<(Self, Created), EndpointError> {
        Self::init_with(path.as_ref(), node, &Endpoint::builder())
    }

    fn init_with(path: &Path, node: &str, builder: &Builder) -> Result<(Self, Created), EndpointError> {
        Self::init_as(path, node, builder, None)
    }

    fn init_as(path: &Path, node: &str, builder: &Builder, passphrase: Option<&str>) -> Result<(Self, Created), EndpointError> {
        let home = Self { path: path.to_path_buf() };
        if home.exists() {
            return Ok((home, Created::Before));
        }
        crate::address::check_name(node)?;
        let aside = Folder::aside(path)?;
        if let Some(passphrase) = passphrase {
            lock::set(aside.path(), passphrase)?;
        }
        let (made, aside_path) = (write_home(aside.path(), node, builder), aside.canonical_path());
        made?;
        let created = if aside.put_in_place(path)? { Created::Now } else { Created::Before };
        lock::moved(&aside_path, path);
        Ok((home, created))
    }

    /// As [`Home::init`], with the secrets of a new home encrypted under a passphrase from the start. One that is there is left as it is.
    ///
    /// # Errors
    /// As [`Home::init`], and if the passphrase is empty.
    pub fn init_locked(path: impl AsRef<Path>, node: &str, passphrase: &str) -> Result<(Self, Created), EndpointError> {
        Self::init_as(path.as_ref(), node, &Endpoint::builder(), Some(passphrase))
    }

    /// Whether its secrets are encrypted under a passphrase.
    pub fn is_locked(&self) -> bool {
        lock::is_locked(&self.path)
    }

    /// Opens the home's lock for the rest of this process. Without it, `SEALWIRE_PASSPHRASE`, or the file that `SEALWIRE_PASSPHRASE_FILE` names, is
    /// tried when a secret is read.
    ///
    /// # Errors
    /// If the passphrase is not the home's.
    pub fn unlock(&self, passphrase: &str) -> Result<(), StoreFailed> {
        lock::unlock(&self.path, passphrase)
    }

    /// Encrypts the home's secrets under a passphrase; one that is unlocked gets another passphrase. Nothing else may use the home while it gets its
    /// first one. What a disk keeps of files that were replaced is out of reach: a passphrase is best set when the home is made.
    ///
    /// # Errors
    /// If the passphrase is empty, the home is locked, or it cannot be written.
    pub fn set_passphrase(&self, passphrase: &str) -> Result<(), StoreFailed> {
        lock::set(&self.path, passphrase)
    }

    /// The passphrase in a file: its first line.
    ///
    /// # Errors
    /// If it cannot be read, or that line is empty.
    pub fn read_passphrase(file: impl AsRef<Path>) -> Result<Zeroizing<String>, StoreFailed> {
        lock::read_passphrase(file.as_ref())
    }

    /// An existing home.
    ///
    /// # Errors
    /// If there is none.
    pub fn at(path: impl AsRef<Path>) -> Result<Self, StoreFailed> {
        let home = Self { path: path.as_ref().to_path_buf() };
        if home.exists() {
            Ok(home)
        } else {
            Err(StoreFailed(format!("`{}` is not a sealwire home; make one with `sealwire init`", home.path.display())))
        }
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    fn exists(&self) -> bool {
        [ROOT, NODE, STORE].iter().any(|file| self.path.join(file).exists())
    }

    /// Reads keys and roster; renews the roster when it is due.
    fn load(&self, builder: &Builder) -> Result<(NodeKey, Authority, Roster), EndpointError> {
        let (node, authority, roster) = self.read()?;
        let Some(next) = authority.renew(&roster, builder.now()) else { return Ok((node, authority, roster)) };
        files::replace(&self.path.join(ROSTER), next.as_bytes())?;
        Ok((node, authority, next))
    }

    /// Reads keys and roster and changes nothing.
    fn read(&self) -> Result<(NodeKey, Authority, Roster), StoreFailed> {
        files::check_private(&self.path)?;
        let (authority, roster) = self.read_roster()?;
        let key = files::read_key(&self.path.join(NODE))?;
        let listed = roster.claims().nodes.iter().find(|node| node.key == *key.verifying_key());
        let name = listed.map(|node| node.name.clone());
        let name = name.ok_or_else(|| {
            let roster = self.path.join(ROSTER);
            StoreFailed(format!(
                "`{}` does not list the key in `{NODE}`: the node was revoked, or the files are of two homes",
                roster.display()
            ))
        })?;
        Ok((NodeKey { name, key: key.into() }, authority, roster))
    }

    /// The roster, and who vouches for those that follow it: the root key, if it is here and has not been succeeded.
    fn read_roster(&self) -> Result<(Authority, Roster), StoreFailed> {
        let root = self.read_root()?;
        let first = match (self.read_first_root()?, &root) {
            (Some(first), _) => first,
            (None, Some(root)) => *root.verifying_key(),
            (None, None) => return Err(self.incomplete()),
        };
        let path = self.path.join(ROSTER);
        let bytes = files::read(&path, MAX_ROSTER).map_err(|error| fail("read", &path, &error))?;
        let roster = Roster::verify_kept(&bytes, &first).map_err(|error| damaged(&path, &error))?;
        let authority = match root {
            Some(root) if root.verifying_key() == roster.root() => Authority::Root(root),
            _ => Authority::Key(*roster.root()),
        };
        Ok((authority, roster))
    }

    fn read_root(&self) -> Result<Option<Root>, StoreFailed> {
        let path = self.path.join(ROOT);
        path.exists().then(|| files::read_key(&path).map(Root::from_key)).transpose()
    }

    fn read_first_root(&self) -> Result<Option<VerifyingKey>, StoreFailed> {
        let path = self.path.join(FIRST_ROOT);
        path.exists().then(|| files::read_public_key(&path)).transpose()
    }

    fn incomplete(&self) -> StoreFailed {
        let home = self.path.display();
        if self.path.join(NODE).exists() && !self.path.join(ROSTER).exists() {
            StoreFailed(format!("`{home}` has not joined a domain yet; finish with `sealwire join`"))
        } else {
            let root = self.path.join(ROOT);
            StoreFailed(format!(
                "cannot read `{}`, nor is there `{FIRST_ROOT}` beside it; the home is incomplete: restore it from a backup or make a new one",
                root.display()
            ))
        }
    }

    /// Why nothing can be sealed or opened with the roster that is here, and what to do about it.
    fn ended(&self, error: OpenError) -> EndpointError {
        let path = self.path.join(ROSTER);
        match error {
            OpenError::Expired { by } => StoreFailed(format!(
                "`{}` ended {} ago, and the root key that renews it is elsewhere: there `sealwire invite` this node again, here `sealwire join`",
                path.display(),
                Seconds(by)
            ))
            .into(),
            OpenError::FromFuture { by } => StoreFailed(format!(
                "`{}` was made {} in the future: set the clock of this machine, or of the one with the root key",
                path.display(),
                Seconds(by)
            ))
            .into(),
            other => other.into(),
        }
    }

    /// The agents that have a key here, by name.
    fn agents(&self) -> Result<Vec<String>, StoreFailed> {
        let folder = self.path.join(AGENTS);
        let files = fs::read_dir(&folder).and_then(Iterator::collect::<Result<Vec<_>, _>>);
        let files = files.map_err(|error| fail("read", &folder, &error))?;
        let names = files.iter().filter_map(|file| file.file_name().to_str()?.strip_suffix(".pem").map(str::to_owned));
        let mut names: Vec<_> = names.filter(|name| crate::address::check_name(name).is_ok()).collect();
        names.sort();
        Ok(names)
    }
}

impl fmt::Debug for Home {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Home({})", self.path.display())
    }
}

/// Whether a call made the home.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Created {
    /// This call made it.
    Now,
    /// It was there.
    Before,
}

impl Builder {
    /// An endpoint with an existing home.
    ///
    /// # Errors
    /// If the home is damaged, readable by others, or of a newer version.
    pub fn home(self, home: &Home) -> Result<Endpoint, EndpointError> {
        let (node, authority, roster) = home.load(&self)?;
        roster.check_time(self.now()).map_err(|error| home.ended(error))?;
        // Until the store is where a fork finds it.
        let _fork = HeldOff::begin();
        let store = HomeStore::open(&home.path, self.entropy_source(), self.now())?;
        let hedge = store.hedge();
        self.with_store(node, authority, roster, hedge, Box::new(store))
    }

    /// What looks into envelopes with the keys of an existing home. Nothing in the home changes by it: no key is made, renewed or burned, no
    /// life of its journal begins, and a crew that is running there does not notice.
    ///
    /// # Errors
    /// If the home is damaged, readable by others, or of a newer version.
    pub fn inspector(self, home: &Home) -> Result<Inspector, EndpointError> {
        let (node, authority, roster) = home.read()?;
        let roster = authority.renew(&roster, self.now()).unwrap_or(roster);
        roster.check_time(self.now()).map_err(|error| home.ended(error))?;
        let _fork = HeldOff::begin();
        let store = ReadingStore::open(&home.path)?;
        let unused = Secret::init_with(|_| ());
        let inspector = Inspector::over(self.with_store(node, authority, roster, unused, Box::new(store))?);
        for name in home.agents()? {
            let key = files::read_key(&home.path.join(AGENTS).join(format!("{name}.pem")))?;
            inspector.hold(&name, key.verifying_key())?;
        }
        Ok(inspector)
    }

    /// An endpoint with the home at `path`, made when there is none.
    ///
    /// # Errors
    /// As [`Home::init`] and [`Builder::home`].
    pub fn home_or_init(self, path: impl AsRef<Path>, node: &str) -> Result<(Endpoint, Created), EndpointError> {
        let (home, created) = Home::init_with(path.as_ref(), node, &self)?;
        Ok((self.home(&home)?, created))
    }
}

fn write_home(path: &Path, node: &str, builder: &Builder) -> Result<(), EndpointError> {
    let entropy = builder.entropy_source();
    let root = Root::generate_from(entropy)?;
    let key = SigningKey::generate(entropy)?;
    let claims = RosterClaims { nodes: vec![RosterNode::new(node, *key.verifying_key())?], ..RosterClaims::default() };
    let roster = root.sign_roster(None, claims, builder.now());
    files::write_key(&path.join(ROOT), root.signing_key())?;
    files::write_new(&path.join(ROSTER), roster.as_bytes())?;
    write_node(path, &key, entropy)?;
    Ok(())
}

/// What every home has, whoever's domain it is in.
fn write_node(path: &Path, key: &SigningKey, entropy: &dyn Entropy) -> Result<(), StoreFailed> {
    files::write_new(&path.join(".gitignore"), b"*\n")?;
    files::write_key(&path.join(NODE), key)?;
    files::make_folder(&path.join(AGENTS))?;
    HomeStore::create(path, entropy)
}

fn damaged(path: &Path, error: &OpenError) -> StoreFailed {
    StoreFailed(format!("`{}` is damaged ({error}); restore it from a backup or make a new home", path.display()))
}

/// The signing key of an agent, made when there is none. Two processes that make it at once agree on one.
fn agent_key(home: &Path, name: &str, entropy: &dyn Entropy) -> Result<SigningKey, StoreFailed> {
    let path = home.join(AGENTS).join(format!("{name}.pem"));
    if !path.exists() {
        let key = SigningKey::generate(entropy).map_err(|error| StoreFailed(error.to_string()))?;
        match files::write_key(&path, &key) {
            Ok(()) => {}
            Err(_) if path.exists() => {}
            Err(error) => return Err(error),
        }
    }
    files::read_key(&path)
}

fn io_error(message: impl Into<String>) -> io::Error {
    io::Error::other(message.into())
}
