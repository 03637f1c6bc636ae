//! The store's write-ahead log: when it is brought into the database, and that what was erased does not stay in it.

use std::{
    ffi::c_int,
    thread::sleep,
    time::{Duration, Instant},
};

use rusqlite::Connection;

use super::connection::BUSY_TIME;

/// Pages in the log, 8 MiB, at which who writes brings it into the database. What is sent and acknowledged in between is never brought there.
pub(super) const MOST: c_int = 2048;

/// Brings the log into the database and cuts it to nothing. Says whether it did: who reads, or does the same, is waited for.
pub(super) fn empty(connection: &Connection) -> rusqlite::Result<bool> {
    let until = Instant::now() + BUSY_TIME;
    // SQLite waits for who reads and not for who brings the log into the database too.
    while connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get(0))? {
        if Instant::now() > until {
            return Ok(false);
        }
        sleep(Duration::from_millis(1));
    }
    Ok(true)
}

#[cfg(test)]
mod tests {
    use std::{
        sync::atomic::{AtomicBool, Ordering},
        thread,
    };

    use super::*;
    use crate::home::{STORE, connection::connect, place::Place};

    type Outcome = Result<(), Box<dyn std::error::Error>>;

    /// Keys that were erased must not stay in the log because somebody else is about to bring it in.
    #[test]
    fn it_is_emptied_while_others_bring_it_in() -> Outcome {
        let place = Place::new("emptied");
        let (_home, _) = crate::Home::init(&place.0, "local")?;
        let (store, done) = (place.0.join(STORE), AtomicBool::new(false));
        let connection = connect(&store)?;
        thread::scope(|threads| {
            threads.spawn(|| {
                let Ok(other) = connect(&store) else { return };
                while !done.load(Ordering::Relaxed) {
                    let _busy = other.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |_| Ok(()));
                }
            });
            let log = place.0.join(format!("{STORE}-wal"));
            let emptied = (0..200).try_fold(true, |emptied, _| -> Result<_, Box<dyn std::error::Error>> {
                connection.execute("UPDATE life SET id = randomblob(16)", [])?;
                Ok(emptied && empty(&connection)? && std::fs::metadata(&log)?.len() == 0)
            });
            done.store(true, Ordering::Relaxed);
            assert!(emptied?);
            Ok(())
        })
    }
}
