//! The store of a home as an inspection sees it: all is read, nothing is written.

use std::path::{Path, PathBuf};

use rusqlite::{Connection, OpenFlags};

use super::{
    STORE,
    connection::{BUSY_TIME, closed_for_fork, database, to_nothing},
    files,
    store::{look_up, read_keys, read_store_key},
    tables::{check_is_today, check_version},
};
use crate::{
    entropy::Entropy,
    error::StoreFailed,
    fork::{HeldOff, is_forking},
    journal::{HeldKey, Row, Seen, Store},
    key::{ReceiveKeyId, SigningKey},
    roster::Roster,
    schedule::StoreKey,
};

/// Receive keys and journal, whosever life they are in: looking opens no message, so it need not be settled whose turn it is.
pub(super) struct ReadingStore {
    path: PathBuf,
    connection: Connection,
    key: StoreKey,
    process: u32,
    /// Why the connection, for a fork, is one to nothing.
    closed: Option<StoreFailed>,
}

impl ReadingStore {
    pub(super) fn open(home: &Path) -> Result<Self, StoreFailed> {
        let _fork = HeldOff::begin();
        // It is opened again by its name, wherever the process works then.
        let path = std::path::absolute(home).map_err(|error| files::fail("open", home, &error))?.join(STORE);
        files::check_private(&path)?;
        let key = read_store_key(home)?;
        let connection = connect(&path)?;
        Ok(Self { path, connection, key, process: std::process::id(), closed: None })
    }

    fn failed(&self, error: &rusqlite::Error) -> StoreFailed {
        self.closed.clone().unwrap_or_else(|| database(&self.path, error))
    }

    fn refuse<T>(&self) -> Result<T, StoreFailed> {
        Err(StoreFailed(format!("`{}` was opened for reading only", self.path.display())))
    }
}

fn connect(path: &Path) -> Result<Connection, StoreFailed> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags).map_err(|error| database(path, &error))?;
    connection.busy_timeout(BUSY_TIME).map_err(|error| database(path, &error))?;
    check_version(&connection, path)?;
    check_is_today(&connection, path)?;
    Ok(connection)
}

impl Store for ReadingStore {
    fn look_up(&mut self, rows: &[&Row]) -> Result<Vec<Seen>, StoreFailed> {
        look_up(&self.connection, rows).map_err(|error| self.failed(&error))
    }

    fn insert(&mut self, _: &[&Row], _: u64) -> Result<Vec<Seen>, StoreFailed> {
        self.refuse()
    }

    fn agent_key(&mut self, _: &str, _: &dyn Entropy) -> Result<SigningKey, StoreFailed> {
        self.refuse()
    }

    fn receive_keys(&mut self, agent: &str, _: u64) -> Result<Vec<HeldKey>, StoreFailed> {
        read_keys(&self.connection, &self.key, agent).map_err(|error| self.failed(&error))
    }

    fn add_receive_key(&mut self, _: &str, _: HeldKey, _: Vec<HeldKey>) -> Result<Vec<HeldKey>, StoreFailed> {
        self.refuse()
    }

    fn receive_key(&mut self, _: ReceiveKeyId) -> Result<Option<(String, HeldKey)>, StoreFailed> {
        Ok(None)
    }

    fn kept_roster(&mut self) -> Result<Option<Vec<u8>>, StoreFailed> {
        Ok(None)
    }

    fn keep_roster(&mut self, _: &Roster) -> Result<(), StoreFailed> {
        self.refuse()
    }

    fn begin_life(&mut self) -> Result<(), StoreFailed> {
        self.refuse()
    }

    fn settle(&mut self) -> Result<(), StoreFailed> {
        self.refuse()
    }

    fn after_fork(&mut self) -> Result<(), StoreFailed> {
        self.refuse()
    }

    fn close_for_fork(&mut self) {
        let Ok(nothing) = to_nothing() else { return };
        let before = core::mem::replace(&mut self.connection, nothing);
        if self.closed.is_none() && self.process != std::process::id() {
            // The parent's, which did not tell of the fork.
            core::mem::forget(before);
        }
        self.closed = Some(closed_for_fork());
    }

    fn reopen(&mut self) {
        if self.closed.is_none() && self.process != std::process::id() {
            self.close_for_fork();
        }
        if self.closed.is_some() && !is_forking() {
            self.closed = connect(&self.path).map(|connection| self.connection = connection).err();
            self.process = std::process::id();
        }
    }

    #[cfg(feature = "node")]
    fn working(&mut self) -> Result<&mut dyn crate::journal::Working, StoreFailed> {
        self.refuse()
    }
}
