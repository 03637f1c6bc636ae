//! Connections to the store's database: how they are set up, what writes by one, and what takes the place of one for a fork.

use std::{ops::Deref, path::Path, time::Duration};

use rusqlite::{Connection, OpenFlags};

use super::log;
use crate::error::StoreFailed;

/// How long a process waits for another that writes.
pub(super) const BUSY_TIME: Duration = Duration::from_secs(10);

/// Bytes of a page. A message of a few KiB is kept in two of them; each page that a transaction touches costs two writes, whatever its size, and
/// larger ones are copied for small rows.
const PAGE: i64 = 4096;

/// Statements that are kept prepared: more than there are.
const STATEMENTS: usize = 64;

/// A connection that has nothing to do with any file.
pub(super) fn to_nothing() -> Result<Connection, StoreFailed> {
    Connection::open_in_memory().map_err(|error| StoreFailed(error.to_string()))
}

pub(super) fn closed_for_fork() -> StoreFailed {
    StoreFailed("the home was closed for a fork".into())
}

pub(super) fn connect(path: &Path) -> Result<Connection, StoreFailed> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags).map_err(|error| database(path, &error))?;
    let set = connection.busy_timeout(BUSY_TIME).and_then(|()| {
        connection.pragma_update(None, "page_size", PAGE)?;
        connection.pragma_update(None, "journal_mode", "wal")?;
        connection.pragma_update(None, "wal_autocheckpoint", log::MOST)?;
        // A power cut may lose the last transactions; it also ends the life of the receive keys, so none of them can be replayed.
        connection.pragma_update(None, "synchronous", "normal")?;
        connection.pragma_update(None, "secure_delete", "on")?;
        connection.set_prepared_statement_cache_capacity(STATEMENTS);
        connection.pragma_update(None, "temp_store", "memory")
    });
    set.map_err(|error| database(path, &error))?;
    Ok(connection)
}

/// A transaction that writes. Dropped without a commit, it has changed nothing.
pub(super) struct Writing<'c>(&'c Connection);

impl<'c> Writing<'c> {
    /// What begins and ends it is kept prepared, which rusqlite's own transactions do not do: they are short.
    pub(super) fn begin(connection: &'c Connection) -> rusqlite::Result<Self> {
        connection.prepare_cached("BEGIN IMMEDIATE")?.execute([])?;
        Ok(Self(connection))
    }

    pub(super) fn commit(self) -> rusqlite::Result<()> {
        self.0.prepare_cached("COMMIT")?.execute([]).map(drop)
    }
}

impl Deref for Writing<'_> {
    type Target = Connection;

    fn deref(&self) -> &Connection {
        self.0
    }
}

impl Drop for Writing<'_> {
    fn drop(&mut self) {
        if !self.0.is_autocommit() {
            // Should it fail, the next one cannot begin, and says so.
            let _failed = self.0.execute_batch("ROLLBACK");
        }
    }
}

pub(super) fn database(path: &Path, error: &rusqlite::Error) -> StoreFailed {
    let remedy = match error.sqlite_error_code() {
        Some(rusqlite::ErrorCode::NotADatabase | rusqlite::ErrorCode::DatabaseCorrupt) => {
            "; it is damaged: restore it from a backup or make a new home"
        }
        Some(rusqlite::ErrorCode::ReadOnly | rusqlite::ErrorCode::CannotOpen) => "; choose a home that this user may write",
        _ => "",
    };
    StoreFailed(format!("`{}` failed: {error}{remedy}", path.display()))
}
