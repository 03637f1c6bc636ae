//! Receive keys and journal in SQLite.
//!
//! `secure_delete` overwrites an erased key in the database, and the write-ahead log is emptied after each erasure. Copies that the file
//! system, an SSD or a backup made before are out of reach; `docs/security.md` says so.

use std::path::{Path, PathBuf};

use rusqlite::{Connection, OptionalExtension, config::DbConfig, params};

use super::{
    ROSTER, STORE, STORE_KEY, agent_key,
    connection::{Writing, closed_for_fork, connect, database, to_nothing},
    files,
    life::{LifeId, Mark, Marker},
    log, tables,
};
#[cfg(feature = "node")]
use super::{checkpoints::keep_short, worker::Worker};
#[cfg(feature = "node")]
use crate::journal::beginning;
use crate::{
    entropy::{Entropy, System, random},
    error::StoreFailed,
    fork::{HeldOff, is_forking},
    journal::{HeldKey, RECEIVE_KEY_KEPT, Row, Seen, Store},
    key::{ReceiveKey, ReceiveKeyId, SigningKey},
    limits::{CLOCK_TOLERANCE, MAX_JOURNAL_ROWS, MAX_RECEIVE_KEYS, MAX_ROSTER},
    roster::Roster,
    schedule::StoreKey,
    secret::Secret,
};

/// Seconds between two purges of the journal.
const PURGE_EVERY: u64 = 60;

/// What `began` says of a life that has not taken a message yet, less the latest time that an earlier life knew.
const NOT_YET: i64 = -1;

/// The store of a home. Several processes may use one home at once; SQLite's lock and unique key decide between them.
pub(super) struct HomeStore {
    pub(super) home: PathBuf,
    /// Of the file, so that no other is taken for it later.
    number: Option<u64>,
    pub(super) connection: Connection,
    /// Receive keys were erased since the log was last emptied.
    log_holds_erased: bool,
    pub(super) marker: Marker,
    pub(super) life: LifeId,
    pub(super) key: StoreKey,
    /// This process as one that works on messages, once it does.
    #[cfg(feature = "node")]
    pub(super) worker: Option<Worker>,
    /// The roster's file as it was last read.
    roster_read: Option<files::Stamp>,
    process: u32,
    /// Why the connection, for a fork, is one to nothing.
    closed: Option<StoreFailed>,
    /// The last to go: the connection must not be closed in the middle of a fork.
    _fork: Option<HeldOff>,
}

impl HomeStore {
    /// Makes the tables of a new home, and the key of what is secret in them.
    pub(super) fn create(home: &Path, entropy: &dyn Entropy) -> Result<(), StoreFailed> {
        let _fork = HeldOff::begin();
        let path = home.join(STORE);
        files::create_private(&path).map_err(|error| files::fail("make", &path, &error))?;
        let connection = connect(&path)?;
        let life = random::<16>(entropy).map_err(|error| StoreFailed(error.to_string()))?;
        let key = Secret::<32>::try_init_with(|key| entropy.fill(key)).map_err(|error| StoreFailed(error.to_string()))?;
        files::write_secret(&home.join(STORE_KEY), &key)?;
        tables::make(&connection, &life).map_err(|error| database(&path, &error))
    }

    /// Opens the store and settles whose life it is in: when the marker does not match, or the journal comes from a time that is yet to be,
    /// the receive keys are burned.
    pub(super) fn open(home: &Path, entropy: &dyn Entropy, now: u64) -> Result<Self, StoreFailed> {
        let _fork = HeldOff::begin();
        if is_forking() {
            return Err(StoreFailed("a home cannot be opened between the two ends of a fork; open it before or after".into()));
        }
        // It is opened again by its name, wherever the process works then.
        let home = &std::path::absolute(home).map_err(|error| files::fail("open", home, &error))?;
        let path = home.join(STORE);
        files::check_private(&path)?;
        let key = read_store_key(home)?;
        let mut connection = connect(&path)?;
        tables::check_version(&connection, &path)?;
        tables::migrate(&mut connection).map_err(|error| database(&path, &error))?;
        let marker = Marker::of(&path).map_err(|error| files::fail("mark", &path, &error))?;
        let new_life = random::<16>(entropy).map_err(|error| StoreFailed(error.to_string()))?;
        let settled = settle(&mut connection, &marker, Moment::Start, new_life);
        let (life, burned) = settled.map_err(|error| database(&path, &error))?;
        let process = std::process::id();
        let mut store = Self {
            home: home.clone(),
            number: files::stamp(&path).map(|(number, ..)| number),
            connection,
            log_holds_erased: burned == Burned::InLog,
            marker,
            life,
            key,
            #[cfg(feature = "node")]
            worker: None,
            roster_read: None,
            process,
            closed: None,
            _fork: None,
        };
        if store.horizon()? > now {
            store.begin_life()?;
        }
        Ok(store)
    }

    fn horizon(&self) -> Result<u64, StoreFailed> {
        horizon(&self.connection).map_err(|error| self.failed(&error))
    }

    /// The key that hedges this home's randomness.
    pub(super) fn hedge(&self) -> Secret<32> {
        self.key.hedge()
    }

    pub(super) fn failed(&self, error: &rusqlite::Error) -> StoreFailed {
        self.closed.clone().unwrap_or_else(|| database(&self.home.join(STORE), error))
    }

    fn connect_again(&mut self) -> Result<(), StoreFailed> {
        let path = self.home.join(STORE);
        if files::stamp(&path).map(|(number, ..)| number) != self.number {
            return Err(StoreFailed(format!("`{}` is not the file any more that it was; make the endpoint anew", path.display())));
        }
        #[cfg_attr(not(feature = "node"), allow(unused_mut, reason = "a node has a thread for it"))]
        let mut connection = connect(&path)?;
        #[cfg(feature = "node")]
        if self.worker.is_some() {
            keep_short(&mut connection).map_err(|error| database(&path, &error))?;
        }
        self.connection = connection;
        self.closed = None;
        Ok(())
    }

    /// Erases receive keys and sees to it that the write-ahead log does not keep them.
    fn erase(&mut self, sql: &str, parameters: impl rusqlite::Params) -> rusqlite::Result<()> {
        if self.connection.execute(sql, parameters)? > 0 {
            self.log_holds_erased = true;
        }
        if self.log_holds_erased {
            self.log_holds_erased = !log::empty(&self.connection)?;
        }
        Ok(())
    }

    /// In a child whose parent did not tell of the fork: not even closing a connection of the parent's is allowed.
    fn forget_parents(&mut self) {
        if self.closed.is_none()
            && let Ok(nothing) = to_nothing()
        {
            core::mem::forget(core::mem::replace(&mut self.connection, nothing));
            self.closed = Some(closed_for_fork());
        }
    }

    fn is_in(&mut self, life: LifeId, burned: Burned) {
        self.life = life;
        self.log_holds_erased |= burned == Burned::InLog;
    }

    /// Looks for the marker again where it was removed: another process may have made a new one.
    pub(super) fn find_marker(&mut self) -> rusqlite::Result<()> {
        if self.marker.is_unlinked() {
            self.marker = Marker::of(&self.home.join(STORE)).map_err(failed_io)?;
        }
        Ok(())
    }

    fn insert_in_life(&mut self, rows: &[&Row], now: u64) -> rusqlite::Result<Vec<Seen>> {
        let Some((first, rest)) = rows.split_first() else { return Ok(Vec::new()) };
        self.find_marker()?;
        let transaction = Writing::begin(&self.connection)?;
        let Some(page) = self.first_page(&transaction, first, now)? else { return Ok(vec![Seen::OtherLife; rows.len()]) };
        let mut seen = vec![page.add(&transaction, first)?];
        for row in rest {
            seen.push(Page::read(&transaction, row)?.add(&transaction, row)?);
        }
        if seen.contains(&Seen::New) {
            advance(&transaction, &self.marker, page.mark)?;
        }
        transaction.commit()?;
        Ok(seen)
    }

    /// The page of the first message of a transaction, after a purge once a minute; `None` in another life than that of the keys here.
    pub(super) fn first_page(&self, transaction: &Writing<'_>, row: &Row, now: u64) -> rusqlite::Result<Option<Page>> {
        let page = Page::read(transaction, row)?;
        if page.mark.life != self.life || !is_continued(&self.marker, &page.mark)? {
            return Ok(None);
        }
        if page.purged.abs_diff(now) < PURGE_EVERY {
            return Ok(Some(page));
        }
        purge(transaction, now)?;
        Page::read(transaction, row).map(Some)
    }
}

impl Store for HomeStore {
    fn look_up(&mut self, rows: &[&Row]) -> Result<Vec<Seen>, StoreFailed> {
        look_up(&self.connection, rows).map_err(|error| self.failed(&error))
    }

    fn insert(&mut self, rows: &[&Row], now: u64) -> Result<Vec<Seen>, StoreFailed> {
        self.insert_in_life(rows, now).map_err(|error| self.failed(&error))
    }

    fn agent_key(&mut self, name: &str, entropy: &dyn Entropy) -> Result<SigningKey, StoreFailed> {
        agent_key(&self.home, name, entropy)
    }

    fn receive_keys(&mut self, agent: &str, now: u64) -> Result<Vec<HeldKey>, StoreFailed> {
        let times = params![agent, signed(now.saturating_sub(RECEIVE_KEY_KEPT)), signed(now.saturating_add(CLOCK_TOLERANCE))];
        let erased = self.erase("DELETE FROM receive_key WHERE agent = ?1 AND (created <= ?2 OR created > ?3)", times);
        erased.and_then(|()| read_keys(&self.connection, &self.key, agent)).map_err(|error| self.failed(&error))
    }

    fn receive_key(&mut self, id: ReceiveKeyId) -> Result<Option<(String, HeldKey)>, StoreFailed> {
        let found = self
            .connection
            .prepare_cached("SELECT id, wrapped, created, agent FROM receive_key WHERE id = ?1")
            .and_then(|mut found| found.query_row([id.as_bytes()], |row| Ok((row.get(3)?, read_key(&self.key, row)?))).optional());
        found.map_err(|error| self.failed(&error))
    }

    fn kept_roster(&mut self) -> Result<Option<Vec<u8>>, StoreFailed> {
        let path = self.home.join(ROSTER);
        // Looked at first: what is written in between is read once more.
        let stamp = files::stamp(&path);
        let kept = files::read(&path, MAX_ROSTER).map_err(|error| files::fail("read", &path, &error))?;
        self.roster_read = stamp;
        Ok(Some(kept.to_vec()))
    }

    /// A file that is not there has nothing new to say; upkeep tells that it is missing.
    fn roster_changed(&mut self) -> bool {
        files::stamp(&self.home.join(ROSTER)).is_some_and(|stamp| self.roster_read != Some(stamp))
    }

    fn keep_roster(&mut self, roster: &Roster) -> Result<(), StoreFailed> {
        files::replace(&self.home.join(ROSTER), roster.as_bytes())
    }

    fn begin_life(&mut self) -> Result<(), StoreFailed> {
        let new_life = random::<16>(&System).map_err(|error| StoreFailed(error.to_string()))?;
        let begun = begin(&mut self.connection, &self.marker, new_life);
        let burned = begun.map_err(|error| self.failed(&error))?;
        self.is_in(new_life, burned);
        Ok(())
    }

    fn settle(&mut self) -> Result<(), StoreFailed> {
        let new_life = random::<16>(&System).map_err(|error| StoreFailed(error.to_string()))?;
        let settled = settle(&mut self.connection, &self.marker, Moment::Later, new_life);
        let (life, burned) = settled.map_err(|error| self.failed(&error))?;
        self.is_in(life, burned);
        Ok(())
    }

    /// The newest that is known decides, in one statement: of several processes that renew at once, the first adds a key.
    fn add_receive_key(&mut self, agent: &str, new: HeldKey, held: Vec<HeldKey>) -> Result<Vec<HeldKey>, StoreFailed> {
        let id = new.key.public().id();
        let newest = held.first().map(|newest| newest.key.public().id().as_bytes().to_vec());
        let row = params![id.as_bytes(), agent, signed(new.created), self.key.wrap(id, &new.key.seed()), newest];
        let insert = "INSERT INTO receive_key SELECT ?1, ?2, ?3, ?4 WHERE ?5 IS
                      (SELECT id FROM receive_key WHERE agent = ?2 ORDER BY created DESC, rowid DESC LIMIT 1)";
        let added = self.connection.execute(insert, row).map(drop);
        let surplus = "DELETE FROM receive_key WHERE agent = ?1 AND rowid NOT IN
                       (SELECT rowid FROM receive_key WHERE agent = ?1 ORDER BY created DESC, rowid DESC LIMIT ?2)";
        let erased = added.and_then(|()| self.erase(surplus, params![agent, MAX_RECEIVE_KEYS as i64]));
        erased.map_err(|error| self.failed(&error))?;
        self.receive_keys(agent, new.created)
    }

    fn after_fork(&mut self) -> Result<(), StoreFailed> {
        self.leave_to_parent();
        self.reopen();
        self.connect_again()?;
        self.process = std::process::id();
        Store::settle(self)
    }

    /// By the book: SQLite forbids a connection to cross a fork. The log stays as it is, for who opens the home next, here or in the child.
    fn close_for_fork(&mut self) {
        if self.process != std::process::id() {
            self.forget_parents();
            return;
        }
        let Ok(nothing) = to_nothing() else { return };
        let _checkpoint = self.connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true);
        self.connection = nothing;
        self.closed = Some(closed_for_fork());
    }

    fn reopen(&mut self) {
        if self.process != std::process::id() {
            self.forget_parents();
        } else if self.closed.is_some() && !is_forking() {
            self.closed = self.connect_again().err();
        }
    }

    fn leave_to_parent(&mut self) {
        #[cfg(feature = "node")]
        if self.process != std::process::id() {
            self.worker = None;
        }
    }

    #[cfg(feature = "node")]
    fn working(&mut self) -> Result<&mut dyn crate::journal::Working, StoreFailed> {
        Ok(self)
    }
}

impl Drop for HomeStore {
    fn drop(&mut self) {
        self._fork = Some(HeldOff::begin());
        if self.process != std::process::id() {
            self.forget_parents();
        }
    }
}

/// When the store is settled.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Moment {
    /// A process opens the store.
    Start,
    /// A process that has it open finds another life in it.
    Later,
}

/// Where receive keys are that were burned.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Burned {
    Nowhere,
    /// Somebody reads, so that the log could not be emptied.
    InLog,
}

/// Joins the present life if journal and marker agree, else burns the receive keys and begins `new_life`.
fn settle(connection: &mut Connection, marker: &Marker, moment: Moment, new_life: LifeId) -> rusqlite::Result<(LifeId, Burned)> {
    let transaction = Writing::begin(connection)?;
    let may_join = marker.is_kept() || moment == Moment::Later;
    if let Some(mark) = read_mark(&transaction, marker)?.filter(|_| may_join) {
        return Ok((mark.life, Burned::Nowhere));
    }
    drop(transaction);
    Ok((new_life, begin(connection, marker, new_life)?))
}

/// Burns the receive keys and forgets what was opened: without the keys, none of it can be opened again.
fn begin(connection: &mut Connection, marker: &Marker, new_life: LifeId) -> rusqlite::Result<Burned> {
    let transaction = Writing::begin(connection)?;
    transaction.execute_batch("DELETE FROM receive_key; DELETE FROM opened; DELETE FROM work;")?;
    let read = |row: &rusqlite::Row<'_>| Ok((row.get(0)?, row.get(1)?, row.get(2)?));
    let sql = "SELECT (SELECT value FROM counter WHERE of = x''), began, purged FROM life";
    let (sequence, began, purged): (i64, i64, i64) = transaction.query_row(sql, [], read)?;
    // Before the first life there was none in which something was processed.
    let began = if sequence == 0 { 0 } else { NOT_YET - latest_known(began, purged) };
    transaction.execute("UPDATE life SET id = ?1, horizon = 0, purged = 0, began = ?2", params![new_life, began])?;
    advance(&transaction, marker, Mark { life: new_life, sequence: unsigned(sequence) })?;
    transaction.commit()?;
    Ok(if log::empty(connection)? { Burned::Nowhere } else { Burned::InLog })
}

/// The latest time that a life knew which ends now, or one before it: the next purge would have been due before anything was taken later.
fn latest_known(began: i64, purged: i64) -> i64 {
    let earlier = if began < 0 { NOT_YET - began } else { began };
    if purged == 0 { earlier } else { earlier.max(purged.saturating_add(signed(PURGE_EVERY))) }
}

/// The journal's mark, if it continues the marker's.
fn read_mark(connection: &Connection, marker: &Marker) -> rusqlite::Result<Option<Mark>> {
    let mark = mark(connection)?;
    Ok(is_continued(marker, &mark)?.then_some(mark))
}

/// Whether a journal at `mark` is the one the marker speaks of. Without volatile storage there is no marker to contradict it.
pub(super) fn is_continued(marker: &Marker, mark: &Mark) -> rusqlite::Result<bool> {
    if !marker.is_kept() {
        return Ok(true);
    }
    let known = marker.read().map_err(failed_io)?;
    Ok(known.is_some_and(|known| mark.continues(&known)))
}

pub(super) fn advance(connection: &Connection, marker: &Marker, mark: Mark) -> rusqlite::Result<()> {
    let next = Mark { sequence: mark.sequence + 1, ..mark };
    connection.prepare_cached("UPDATE counter SET value = ?1 WHERE of = x''")?.execute([signed(next.sequence)])?;
    marker.write(next).map_err(failed_io)
}

/// All that the journal says about one message, read by one statement.
pub(super) struct Page {
    pub(super) mark: Mark,
    horizon: u64,
    purged: u64,
    #[cfg(feature = "node")]
    began: i64,
    digest: Option<[u8; 32]>,
    /// Rows of its signer.
    pub(super) used: u64,
}

impl Page {
    pub(super) fn read(connection: &Connection, row: &Row) -> rusqlite::Result<Self> {
        let sql = "SELECT id, (SELECT value FROM counter WHERE of = x''), horizon, purged,
                          (SELECT digest FROM opened WHERE reader = ?1 AND signer = ?2 AND opened.id = ?3),
                          (SELECT value FROM counter WHERE of = ?2), began FROM life";
        let message = params![row.reader.as_bytes(), row.signer.as_bytes(), row.id.as_bytes()];
        connection.prepare_cached(sql)?.query_row(message, |read| {
            let mark = Mark { life: read.get(0)?, sequence: unsigned(read.get(1)?) };
            let used = read.get::<_, Option<i64>>(5)?.map_or(0, unsigned);
            Ok(Self {
                mark,
                horizon: unsigned(read.get(2)?),
                purged: unsigned(read.get(3)?),
                #[cfg(feature = "node")]
                began: read.get(6)?,
                digest: read.get(4)?,
                used,
            })
        })
    }

    pub(super) fn seen(&self, row: &Row) -> Seen {
        match &self.digest {
            Some(digest) if *digest == row.digest => Seen::Before,
            Some(_) => Seen::Other,
            None if row.expires <= self.horizon => Seen::BeyondHorizon,
            None => Seen::New,
        }
    }

    /// When the present life began, which is noted when it takes its first message: what was sealed before may have been processed in an earlier
    /// one.
    #[cfg(feature = "node")]
    pub(super) fn life_began(&self, connection: &Connection, now: u64) -> rusqlite::Result<u64> {
        if self.began >= 0 {
            return Ok(unsigned(self.began));
        }
        let began = beginning(now, unsigned(NOT_YET - self.began));
        connection.execute("UPDATE life SET began = ?1", [signed(began)])?;
        Ok(began)
    }

    /// Adds the message it was read for, if that is new and its signer has rows left.
    pub(super) fn add(&self, connection: &Connection, row: &Row) -> rusqlite::Result<Seen> {
        match self.seen(row) {
            Seen::New if self.used >= MAX_JOURNAL_ROWS => Ok(Seen::Full),
            Seen::New => add(connection, row).map(|()| Seen::New),
            seen => Ok(seen),
        }
    }
}

pub(super) fn look_up(connection: &Connection, rows: &[&Row]) -> rusqlite::Result<Vec<Seen>> {
    // One view for all of them: each statement by itself would lock the file and let it go again.
    let _view = if rows.len() > 1 { Some(connection.unchecked_transaction()?) } else { None };
    rows.iter().map(|row| Page::read(connection, row).map(|page| page.seen(row))).collect()
}

fn horizon(connection: &Connection) -> rusqlite::Result<u64> {
    connection.query_row("SELECT horizon FROM life", [], |row| row.get(0)).map(unsigned)
}

fn add(connection: &Connection, row: &Row) -> rusqlite::Result<()> {
    let values = params![row.reader.as_bytes(), row.signer.as_bytes(), row.id.as_bytes(), row.digest, signed(row.expires)];
    connection.prepare_cached("INSERT INTO opened VALUES (?1, ?2, ?3, ?4, ?5)")?.execute(values).map(drop)
}

/// Forgets messages that have ended, after raising the horizon to the last of them. It reads every row, once a minute: an index by time would
/// cost each message more than that.
fn purge(connection: &Connection, now: u64) -> rusqlite::Result<()> {
    let ended = signed(now.saturating_sub(CLOCK_TOLERANCE));
    connection.execute("UPDATE life SET purged = ?1", [signed(now)])?;
    connection
        .execute("UPDATE life SET horizon = max(horizon, coalesce((SELECT max(expires) FROM opened WHERE expires <= ?1), 0))", [ended])?;
    for table in ["opened", "work", "outbox"] {
        connection.execute(&format!("DELETE FROM {table} WHERE expires <= ?1"), [ended])?;
    }
    Ok(())
}

/// The journal's mark, whatever the marker says.
pub(super) fn mark(connection: &Connection) -> rusqlite::Result<Mark> {
    let mut mark = connection.prepare_cached("SELECT id, (SELECT value FROM counter WHERE of = x'') FROM life")?;
    mark.query_row([], |row| Ok(Mark { life: row.get(0)?, sequence: unsigned(row.get(1)?) }))
}

/// The key of the store in `home`.
pub(super) fn read_store_key(home: &Path) -> Result<StoreKey, StoreFailed> {
    files::read_secret(&home.join(STORE_KEY)).map(StoreKey::new)
}

pub(super) fn read_keys(connection: &Connection, key: &StoreKey, agent: &str) -> rusqlite::Result<Vec<HeldKey>> {
    let mut statement =
        connection.prepare_cached("SELECT id, wrapped, created FROM receive_key WHERE agent = ?1 ORDER BY created DESC, rowid DESC")?;
    let keys = statement.query_map([agent], |row| read_key(key, row))?;
    keys.collect()
}

/// Id, key and time, the first three columns.
fn read_key(key: &StoreKey, row: &rusqlite::Row<'_>) -> rusqlite::Result<HeldKey> {
    let (id, wrapped) = (ReceiveKeyId::from_bytes(row.get(0)?), row.get_ref(1)?.as_blob()?);
    let damaged = || failed_io(std::io::Error::other(format!("a receive key is damaged, or `{STORE_KEY}` is of another home")));
    let seed = key.unwrap(id, wrapped).map_err(|_| damaged())?;
    Ok(HeldKey { key: ReceiveKey::from_seed(&seed), created: unsigned(row.get(2)?) })
}

pub(super) fn failed_io(error: std::io::Error) -> rusqlite::Error {
    rusqlite::Error::ToSqlConversionFailure(Box::new(error))
}

/// SQLite's integers are signed; times beyond its range are as good as never.
pub(super) fn signed(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

pub(super) fn unsigned(value: i64) -> u64 {
    u64::try_from(value).unwrap_or(0)
}
