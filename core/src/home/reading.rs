//! The store of a home as an inspection sees it: all is read, nothing is written.

use std::path::{Path, PathBuf};

use rusqlite::{Connection, OpenFlags};

use super::{
    STORE, files,
    store::{BUSY_TIME, database, look_up, read_keys, read_store_key, to_nothing},
    tables::{check_is_today, check_version},
};
use crate::{
    entropy::Entropy,
    error::StoreFailed,
    fork::HeldOff,
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
    /// The connection, for a fork, is one to nothing.
    is_closed: bool,
}

impl ReadingStore {
    pub(super) fn open(home: &Path) -> Result<Self, StoreFailed> {
        let _fork = HeldOff::begin();
        let path = home.join(STORE);
        files::check_private(&path)?;
        let key = read_store_key(home)?;
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(&path, flags).map_err(|error| database(&path, &error))?;
        connection.busy_timeout(BUSY_TIME).map_err(|error| database(&path, &error))?;
        check_version(&connection, &path)?;
        check_is_today(&connection, &path)?;
        Ok(Self { path, connection, key, is_closed: false })
    }

    fn check_open(&self) -> Result<(), StoreFailed> {
        if self.is_closed { Err(StoreFailed(format!("`{}` was closed for a fork; inspect anew", self.path.display()))) } else { Ok(()) }
    }

    fn refuse<T>(&self) -> Result<T, StoreFailed> {
        Err(StoreFailed(format!("`{}` was opened for reading only", self.path.display())))
    }
}

impl Store for ReadingStore {
    fn look_up(&mut self, rows: &[&Row]) -> Result<Vec<Seen>, StoreFailed> {
        self.check_open()?;
        look_up(&self.connection, rows).map_err(|error| database(&self.path, &error))
    }

    fn insert(&mut self, _: &[&Row], _: u64) -> Result<Vec<Seen>, StoreFailed> {
        self.refuse()
    }

    fn agent_key(&mut self, _: &str, _: &dyn Entropy) -> Result<SigningKey, StoreFailed> {
        self.refuse()
    }

    fn receive_keys(&mut self, agent: &str, _: u64) -> Result<Vec<HeldKey>, StoreFailed> {
        self.check_open()?;
        read_keys(&self.connection, &self.key, agent).map_err(|error| database(&self.path, &error))
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

    /// A connection must not cross a fork; whoever forks looks again from the start.
    fn after_fork(&mut self) -> Result<(), StoreFailed> {
        self.refuse()
    }

    fn close_for_fork(&mut self) {
        let Ok(nothing) = to_nothing() else { return };
        self.connection = nothing;
        self.is_closed = true;
    }

    #[cfg(feature = "node")]
    fn working(&mut self) -> Result<&mut dyn crate::journal::Working, StoreFailed> {
        self.refuse()
    }
}
