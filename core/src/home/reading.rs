//! The store of a home as an inspection sees it: all is read, nothing is written.

use std::path::{Path, PathBuf};

use rusqlite::{Connection, OpenFlags};

use super::{
    files,
    store::{BUSY_TIME, check_version, database, look_up, read_keys},
};
use crate::{
    entropy::Entropy,
    error::StoreFailed,
    journal::{HeldKey, Row, Seen, Store},
    key::{ReceiveKey, ReceiveKeyId, SigningKey},
    roster::Roster,
};

/// Receive keys and journal, whosever life they are in: looking opens no message, so it need not be settled whose turn it is.
pub(super) struct ReadingStore {
    path: PathBuf,
    connection: Connection,
}

impl ReadingStore {
    pub(super) fn open(path: &Path) -> Result<Self, StoreFailed> {
        files::check_private(path)?;
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(path, flags).map_err(|error| database(path, &error))?;
        connection.busy_timeout(BUSY_TIME).map_err(|error| database(path, &error))?;
        check_version(&connection, path)?;
        Ok(Self { path: path.to_path_buf(), connection })
    }

    fn refuse<T>(&self) -> Result<T, StoreFailed> {
        Err(StoreFailed(format!("`{}` was opened for reading only", self.path.display())))
    }
}

impl Store for ReadingStore {
    fn look_up(&mut self, row: &Row) -> Result<Seen, StoreFailed> {
        look_up(&self.connection, row).map_err(|error| database(&self.path, &error))
    }

    fn insert(&mut self, _: &Row, _: u64) -> Result<Seen, StoreFailed> {
        self.refuse()
    }

    fn agent_key(&mut self, _: &str, _: &dyn Entropy) -> Result<SigningKey, StoreFailed> {
        self.refuse()
    }

    fn receive_keys(&mut self, agent: &str, _: u64) -> Result<Vec<HeldKey>, StoreFailed> {
        read_keys(&self.connection, agent).map_err(|error| database(&self.path, &error))
    }

    fn add_receive_key(&mut self, _: &str, _: &ReceiveKey, _: u64) -> Result<(), StoreFailed> {
        self.refuse()
    }

    fn receive_key(&mut self, _: ReceiveKeyId) -> Result<Option<(String, HeldKey)>, StoreFailed> {
        Ok(None)
    }

    fn keep_roster(&mut self, _: &Roster) -> Result<(), StoreFailed> {
        self.refuse()
    }

    fn begin_life(&mut self) -> Result<(), StoreFailed> {
        self.refuse()
    }

    /// A connection must not cross a fork; whoever forks looks again from the start.
    fn after_fork(&mut self) -> Result<(), StoreFailed> {
        self.refuse()
    }
}
