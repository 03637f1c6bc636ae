//! The tables of a store, of each version there was, and how one becomes the next.

use std::path::Path;

use rusqlite::{Connection, params};

use super::{
    connection::{Writing, database},
    life::LifeId,
};
use crate::error::StoreFailed;

/// Version of the tables below, in SQLite's `user_version`.
const VERSION: i64 = 3;

/// Version 1: receive keys and journal.
pub(super) const TABLES: &str = "
    CREATE TABLE life (one INTEGER PRIMARY KEY CHECK (one = 1), id BLOB NOT NULL, sequence INTEGER NOT NULL,
                       horizon INTEGER NOT NULL, purged INTEGER NOT NULL);
    CREATE TABLE receive_key (id BLOB PRIMARY KEY, agent TEXT NOT NULL, created INTEGER NOT NULL, wrapped BLOB NOT NULL);
    CREATE TABLE opened (reader BLOB NOT NULL, signer BLOB NOT NULL, id BLOB NOT NULL, digest BLOB NOT NULL, expires INTEGER NOT NULL,
                         PRIMARY KEY (reader, signer, id)) WITHOUT ROWID;
    CREATE TABLE quota (signer BLOB PRIMARY KEY, used INTEGER NOT NULL) WITHOUT ROWID;
    CREATE TRIGGER opened_added AFTER INSERT ON opened BEGIN
        INSERT INTO quota VALUES (new.signer, 1) ON CONFLICT (signer) DO UPDATE SET used = used + 1;
    END;
    CREATE TRIGGER opened_gone AFTER DELETE ON opened BEGIN
        UPDATE quota SET used = used - 1 WHERE signer = old.signer;
        DELETE FROM quota WHERE signer = old.signer AND used = 0;
    END;
";

/// What version 2 added: what a node works on, what it sends, whom it knows. Contents are encrypted.
pub(super) const TABLES_OF_NODES: &str = "
    ALTER TABLE life ADD COLUMN began INTEGER NOT NULL DEFAULT 0;
    CREATE TABLE work (reader BLOB NOT NULL, signer BLOB NOT NULL, id BLOB NOT NULL, worker BLOB NOT NULL, state INTEGER NOT NULL,
                       expires INTEGER NOT NULL, content BLOB NOT NULL);
    CREATE INDEX work_id ON work (id);
    CREATE TABLE outbox (signer BLOB NOT NULL, id BLOB NOT NULL, worker BLOB NOT NULL, sender TEXT NOT NULL, recipient TEXT NOT NULL,
                         reader BLOB NOT NULL, expires INTEGER NOT NULL, expects INTEGER NOT NULL, content BLOB NOT NULL);
    CREATE INDEX outbox_id ON outbox (id);
    CREATE TABLE peer (address TEXT PRIMARY KEY, met INTEGER NOT NULL, certificate BLOB NOT NULL) WITHOUT ROWID;
";

/// What version 3 put together, as each page that a transaction changes is written twice: what is counted stands in one table, what a node works
/// on and sends in its index. `turn` is the order in which a worker took it over.
const TABLES_IN_FEWER_PAGES: &str = "
    CREATE TABLE counter (of BLOB PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
    INSERT INTO counter SELECT x'', sequence FROM life UNION ALL SELECT signer, used FROM quota;
    ALTER TABLE life DROP COLUMN sequence;
    DROP TRIGGER opened_added;
    DROP TRIGGER opened_gone;
    DROP TABLE quota;
    CREATE TRIGGER opened_added AFTER INSERT ON opened BEGIN
        INSERT INTO counter VALUES (new.signer, 1) ON CONFLICT (of) DO UPDATE SET value = value + 1;
    END;
    CREATE TRIGGER opened_gone AFTER DELETE ON opened BEGIN
        UPDATE counter SET value = value - 1 WHERE of = old.signer;
        DELETE FROM counter WHERE of = old.signer AND value = 0;
    END;
    ALTER TABLE work RENAME TO work_before;
    CREATE TABLE work (id BLOB NOT NULL, signer BLOB NOT NULL, reader BLOB NOT NULL, worker BLOB NOT NULL, turn INTEGER NOT NULL,
                       state INTEGER NOT NULL, expires INTEGER NOT NULL, content BLOB NOT NULL,
                       PRIMARY KEY (id, signer, reader)) WITHOUT ROWID;
    INSERT INTO work SELECT id, signer, reader, worker, rowid, state, expires, content FROM work_before;
    DROP TABLE work_before;
    ALTER TABLE outbox RENAME TO outbox_before;
    CREATE TABLE outbox (id BLOB NOT NULL, signer BLOB NOT NULL, worker BLOB NOT NULL, turn INTEGER NOT NULL, sender TEXT NOT NULL,
                         recipient TEXT NOT NULL, reader BLOB NOT NULL, expires INTEGER NOT NULL, expects INTEGER NOT NULL,
                         content BLOB NOT NULL, PRIMARY KEY (id, signer)) WITHOUT ROWID;
    INSERT INTO outbox SELECT id, signer, worker, rowid, sender, recipient, reader, expires, expects, content FROM outbox_before;
    DROP TABLE outbox_before;
";

/// Makes them in a new database, in its first life.
pub(super) fn make(connection: &Connection, life: &LifeId) -> rusqlite::Result<()> {
    connection.execute_batch(TABLES)?;
    connection.execute("INSERT INTO life VALUES (1, ?1, 0, 0, 0)", params![life])?;
    connection.execute_batch(TABLES_OF_NODES)?;
    connection.execute_batch(TABLES_IN_FEWER_PAGES)?;
    connection.pragma_update(None, "user_version", VERSION)
}

/// Refuses a store of a newer version, and one that was never finished.
pub(super) fn check_version(connection: &Connection, path: &Path) -> Result<(), StoreFailed> {
    let version: i64 = connection.pragma_query_value(None, "user_version", |row| row.get(0)).map_err(|error| database(path, &error))?;
    match version {
        1..=VERSION => Ok(()),
        0 => Err(StoreFailed(format!("`{}` is empty; restore it from a backup or make a new home", path.display()))),
        newer => Err(StoreFailed(format!("`{}` is of version {newer}, this sealwire knows {VERSION}: update it", path.display()))),
    }
}

/// Refuses a store of an earlier version, for who only reads.
pub(super) fn check_is_today(connection: &Connection, path: &Path) -> Result<(), StoreFailed> {
    let version: i64 = connection.pragma_query_value(None, "user_version", |row| row.get(0)).map_err(|error| database(path, &error))?;
    if version == VERSION {
        return Ok(());
    }
    let path = path.display();
    Err(StoreFailed(format!("`{path}` is of version {version}; start what uses this home once, which brings it up to version {VERSION}")))
}

/// Brings the tables of an older version up to this one. Of several processes that start at once, one does.
pub(super) fn migrate(connection: &mut Connection) -> rusqlite::Result<()> {
    let version = |connection: &Connection| connection.pragma_query_value::<i64, _>(None, "user_version", |row| row.get(0));
    if version(connection)? == VERSION {
        return Ok(());
    }
    let transaction = Writing::begin(connection)?;
    for (earlier, tables) in [(1, TABLES_OF_NODES), (2, TABLES_IN_FEWER_PAGES)] {
        if version(&transaction)? == earlier {
            transaction.execute_batch(tables)?;
            transaction.pragma_update(None, "user_version", earlier + 1)?;
        }
    }
    transaction.commit()
}
