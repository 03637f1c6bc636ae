//! What pairing keeps in a home: a home that joins, and the invites of a home that invites.

use std::{fs, path::Path};

use super::{Created, FIRST_ROOT, Home, NODE, ROOT, ROSTER, files, write_node};
use crate::{
    cbor::{Malformed, Reader, Writer},
    domain::Domain,
    endpoint::NodeKey,
    entropy::System,
    error::{OpenError, StoreFailed},
    home::Membership,
    key::{SigningKey, VerifyingKey, write_hex},
    limits::MAX_LABEL,
    roster::{MAX_PATTERNS, Roster, read_words, write_words},
};

const INVITES: &str = "invites";

/// Seconds for which the record of an invite that has ended is kept. A clock that is set back by less finds it still spent.
const RECORD_KEPT: u64 = 30 * 24 * 60 * 60;

/// A home whose node joins a domain, with the key it joins with. The key is on disk before anybody hears of it, so that whoever is interrupted goes
/// on as the same node.
#[derive(Debug)]
pub(crate) struct Joining {
    home: Home,
    node: NodeKey,
}

impl Joining {
    /// The home at `path`, made when there is none.
    pub(crate) fn at(path: &Path, domain: &Domain, name: &str) -> Result<Self, StoreFailed> {
        let home = Home { path: path.to_path_buf() };
        if !home.exists() {
            let aside = files::Folder::aside(path)?;
            let key = SigningKey::generate(&System).map_err(|error| StoreFailed(error.to_string()))?;
            write_node(aside.path(), &key, &System)?;
            let _created = if aside.put_in_place(path)? { Created::Now } else { Created::Before };
        }
        files::check_private(&home.path)?;
        home.check_may_join(domain, name)?;
        let key = files::read_key(&home.path.join(NODE))?;
        Ok(Self { node: NodeKey { name: name.into(), key: key.into() }, home })
    }

    pub(crate) fn home(&self) -> &Home {
        &self.home
    }

    pub(crate) fn node(&self) -> &NodeKey {
        &self.node
    }

    /// Keeps the roster: the home is whole from here on.
    pub(crate) fn finish(&self, roster: &Roster, first_root: &VerifyingKey) -> Result<Membership, StoreFailed> {
        let path = &self.home.path;
        files::write_public_key(&path.join(FIRST_ROOT), first_root)?;
        if path.join(ROSTER).exists() {
            let (_, known) = self.home.read_roster()?;
            let newer = roster.version() > known.version() && roster.root() != known.root();
            // A root that took over since is vouched for by the invite; from the same root, one roster follows the other as ever.
            if !newer {
                known.follow(roster.clone()).map_err(|error| conflict(path, &error))?;
            }
        }
        files::replace(&path.join(ROSTER), roster.as_bytes())?;
        files::sync_folder(path)?;
        self.home.membership()
    }
}

fn conflict(home: &Path, error: &OpenError) -> StoreFailed {
    StoreFailed(format!(
        "the roster that came is not one after that in `{}`: {error}; was the inviter's home restored from a backup?",
        home.display()
    ))
}

/// What a home remembers of an invite it made; not its secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Record {
    pub(crate) node: String,
    pub(crate) patterns: Vec<String>,
    pub(crate) expires: u64,
}

/// Whether an invite was good for a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Spent {
    /// It was not used before; now it is.
    Now,
    /// It was used by the same key before.
    BeforeBySame,
    /// It was used by another.
    BeforeByOther,
}

impl Home {
    /// That a node by that name can join `domain` from here.
    fn check_may_join(&self, domain: &Domain, name: &str) -> Result<(), StoreFailed> {
        let home = self.path.display();
        if self.path.join(ROOT).exists() {
            return Err(StoreFailed(format!(
                "`{home}` is a home with a domain of its own; join from another place with --home, or move that folder away first"
            )));
        }
        if !self.path.join(ROSTER).exists() {
            return Ok(());
        }
        // The node may have been revoked: that is for the inviter to say.
        let (_, roster) = self.read_roster()?;
        if roster.domain() != *domain {
            return Err(StoreFailed(format!(
                "`{home}` has joined another domain; join from another place with --home, or move that folder away first"
            )));
        }
        let key = files::read_key(&self.path.join(NODE))?;
        match roster.claims().nodes.iter().find(|node| node.key == *key.verifying_key()) {
            Some(node) if node.name != name => Err(StoreFailed(format!(
                "`{home}` is the home of node `{}`, and the invite is for `{name}`; a node keeps its name",
                node.name
            ))),
            _ => Ok(()),
        }
    }

    /// The key the domain began with.
    pub(crate) fn first_root(&self) -> Result<VerifyingKey, StoreFailed> {
        let first = self.read_first_root()?;
        let root = self.read_root()?;
        first.or(root.map(|root| *root.verifying_key())).ok_or_else(|| self.incomplete())
    }

    /// Remembers an invite, and forgets those that ended long ago.
    pub(crate) fn open_invite(&self, id: &[u8; 16], record: &Record, now: u64) -> Result<(), StoreFailed> {
        let folder = self.path.join(INVITES);
        if !folder.exists() {
            files::make_folder(&folder).or_else(|error| if folder.exists() { Ok(()) } else { Err(error) })?;
        }
        self.forget_invites(now);
        let mut writer = Writer::default();
        writer.array(3).text(&record.node);
        write_words(&mut writer, &record.patterns);
        files::write_new(&folder.join(hex(id)), &writer.uint(record.expires).finish())?;
        files::sync_folder(&folder)?;
        files::sync_folder(&self.path)
    }

    pub(crate) fn invite_record(&self, id: &[u8; 16]) -> Result<Option<Record>, StoreFailed> {
        let path = self.path.join(INVITES).join(hex(id));
        if !path.exists() {
            return Ok(None);
        }
        let bytes = fs::read(&path).map_err(|error| files::fail("read", &path, &error))?;
        decode(&bytes).map(Some).map_err(|error| StoreFailed(format!("`{}` is damaged ({error}); make a new invite", path.display())))
    }

    /// Uses an invite up for the key of one node. It is on disk for good when this returns; of two that come at once, one is first.
    pub(crate) fn spend_invite(&self, id: &[u8; 16], key: &VerifyingKey) -> Result<Spent, StoreFailed> {
        let folder = self.path.join(INVITES);
        let path = folder.join(format!("{}.spent", hex(id)));
        let key = key.thumbprint();
        match files::write_new(&path, key.as_bytes()) {
            Ok(()) => {
                files::sync_folder(&folder)?;
                Ok(Spent::Now)
            }
            Err(error) if !path.exists() => Err(error),
            Err(_) => {
                let by = fs::read(&path).map_err(|error| files::fail("read", &path, &error))?;
                Ok(if by == key.as_bytes() { Spent::BeforeBySame } else { Spent::BeforeByOther })
            }
        }
    }

    /// Records that cannot be removed do no harm.
    fn forget_invites(&self, now: u64) {
        let folder = self.path.join(INVITES);
        let Ok(files) = fs::read_dir(&folder) else { return };
        for file in files.filter_map(Result::ok).filter(|file| file.path().extension().is_none()) {
            let record = fs::read(file.path()).ok().and_then(|bytes| decode(&bytes).ok());
            if record.is_some_and(|record| record.expires.saturating_add(RECORD_KEPT) < now) {
                let _gone = fs::remove_file(file.path());
                let _gone = fs::remove_file(file.path().with_extension("spent"));
            }
        }
    }
}

fn decode(bytes: &[u8]) -> Result<Record, Malformed> {
    let mut reader = Reader::new(bytes)?;
    reader.array(3, "expected an invite's record")?;
    let node = reader.text("expected a name")?.to_owned();
    let patterns = read_words(&mut reader, MAX_PATTERNS, MAX_LABEL)?;
    Ok(Record { node, patterns, expires: reader.uint("expected a time")? })
}

fn hex(id: &[u8; 16]) -> String {
    struct Hex<'a>(&'a [u8]);
    impl core::fmt::Display for Hex<'_> {
        fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
            write_hex(f, self.0)
        }
    }
    Hex(id).to_string()
}
