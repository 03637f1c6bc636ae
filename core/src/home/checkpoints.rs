//! [`keep_short`]: beside a node, a thread brings the write-ahead log into the database. It waits for the disk, and those who write do not.

use std::{
    ffi::c_int,
    path::Path,
    sync::mpsc::{SyncSender, sync_channel},
    thread::{self, JoinHandle},
};

use rusqlite::{Connection, hooks::Wal};

use super::{connection::connect, log::MOST};
use crate::fork::HeldOff;

/// Pages, 2 MiB, after which the thread brings the log into the database. The log begins anew once all of it is there; while messages are written
/// without a pause there is always something new, and who writes brings in the rest at [`MOST`].
const EVERY: c_int = MOST / 4;

/// Bytes of the thread's stack: SQLite needs a tenth of it.
const STACK: usize = 256 * 1024;

/// Has a thread keep the log of a connection short, as long as the connection is open. For nodes, which have threads: a process with one thread may
/// fork at any time without saying so, and the child must not inherit a lock of SQLite's in the middle of this.
pub(super) fn keep_short(connection: &mut Connection) -> rusqlite::Result<()> {
    let mut checkpoints = Checkpoints { store: connection.path().map(str::to_owned), told: 0, thread: None };
    connection.wal_hook(Some(move |log: &mut Wal, pages: c_int| {
        checkpoints.wrote(log, pages);
        Ok(())
    }))
}

/// The thread is there from the first time on, and ends with this.
struct Checkpoints {
    store: Option<String>,
    /// Pages that were in the log when the thread was told last.
    told: c_int,
    thread: Option<(SyncSender<()>, JoinHandle<()>)>,
}

impl Checkpoints {
    /// There are so many pages in the log.
    fn wrote(&mut self, log: &mut Wal, pages: c_int) {
        if pages >= MOST {
            // The transaction is written whatever becomes of this. A disk that fails here fails the next one.
            let _failed = log.checkpoint();
        }
        if pages < self.told {
            self.told = 0;
        }
        if pages - self.told < EVERY {
            return;
        }
        self.told = pages;
        if self.thread.is_none() {
            self.thread = self.store.as_deref().and_then(begin);
        }
        if let Some((due, _)) = &self.thread {
            // What waits to be done already is done for this one too.
            let _waits = due.try_send(());
        }
    }
}

impl Drop for Checkpoints {
    fn drop(&mut self) {
        if let Some((due, thread)) = self.thread.take() {
            drop(due);
            let _panicked = thread.join();
        }
    }
}

/// Without a thread, or without its connection, those who write do it all.
fn begin(store: &str) -> Option<(SyncSender<()>, JoinHandle<()>)> {
    let (due, told) = sync_channel(1);
    let store = store.to_owned();
    let work = move || {
        let mut connection = None;
        while told.recv().is_ok() {
            // Before a fork this thread is waited for, and the fork waits for nobody then.
            let Some(_fork) = HeldOff::try_begin() else { continue };
            if connection.is_none() {
                connection = connect(Path::new(&store)).ok();
            }
            // A disk that fails here fails whoever writes next, who says so.
            let _failed = connection.as_ref().map(|connection| connection.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |_| Ok(())));
        }
    };
    let thread = thread::Builder::new().name("sealwire-log".into()).stack_size(STACK).spawn(work).ok()?;
    Some((due, thread))
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::*;
    use crate::{
        Draft, Endpoint,
        home::{STORE, place::Place},
    };

    type Outcome = Result<(), Box<dyn std::error::Error>>;

    fn wait_until(what: impl Fn() -> bool) -> bool {
        let until = Instant::now() + Duration::from_secs(20);
        while !what() && Instant::now() < until {
            thread::sleep(Duration::from_millis(5));
        }
        what()
    }

    #[test]
    fn the_log_is_brought_in_beside_who_writes() -> Outcome {
        let place = Place::new("beside");
        let open = || Endpoint::builder().home_or_init(&place.0, "local").map(|(endpoint, _)| endpoint);
        let (author, reader) = (open()?, open()?);
        let (a, b) = (author.host("a")?, reader.host("b")?);
        author.introduce(reader.certificate(&b).ok_or("it is hosted there")?.as_bytes())?;
        let database = || std::fs::metadata(place.0.join(STORE)).map_or(0, |file| file.len());
        let before = database();
        reader.adopt()?;
        for _ in 0..EVERY {
            reader.open(&author.seal(&a, &b, &Draft::new("task", "x"))?.envelope)?;
        }
        assert!(wait_until(|| database() > before), "nobody has brought it in");
        drop((author, reader));
        assert!(!place.0.join(format!("{STORE}-wal")).exists(), "the thread has ended, and its connection was not the last");
        Ok(())
    }
}
