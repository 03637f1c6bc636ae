//! What a node keeps in a home: messages being worked on, replies, what is to be sent, peers. Content is encrypted before SQLite sees it.

use rusqlite::{Connection, OptionalExtension, TransactionBehavior, params};

use super::{
    store::{self, HomeStore, Page, advance, failed_io, is_continued, life_is_new, purge_if_due, signed, unsigned},
    worker::{self, Worker, WorkerId},
};
use crate::{
    address::Address,
    entropy::System,
    envelope::Form,
    error::StoreFailed,
    journal::{Arrival, Change, Expects, Left, Outgoing, RowKey, Seen, Work, Working},
    kept::Kept,
    key::{MessageId, Thumbprint},
    schedule::StoreKey,
};

const PENDING_OPENING: i64 = 0;
const PENDING_LANE: i64 = 1;
const DONE: i64 = 2;

const EXPECTS_ACKNOWLEDGEMENT: i64 = 0;
const EXPECTS_REPLY: i64 = 1;

impl HomeStore {
    fn worker(&mut self) -> Result<WorkerId, StoreFailed> {
        if let Some(worker) = &self.worker {
            return Ok(worker.id);
        }
        let worker = Worker::begin(&self.home, &System)?;
        Ok(self.worker.insert(worker).id)
    }

    fn take_in_life(&mut self, arrivals: &[Arrival<'_>], worker: &WorkerId, now: u64) -> rusqlite::Result<Vec<Seen>> {
        self.find_marker()?;
        let (marker, life, key) = (&self.marker, self.life, &self.key);
        let transaction = self.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let mark = store::mark(&transaction)?;
        if mark.life != life || !is_continued(marker, &mark)? {
            return Ok(vec![Seen::OtherLife; arrivals.len()]);
        }
        purge_if_due(&transaction, now)?;
        life_is_new(&transaction, now)?;
        let mut seen = Vec::with_capacity(arrivals.len());
        for arrival in arrivals {
            seen.push(take(&transaction, key, arrival, worker)?);
        }
        if seen.contains(&Seen::New) {
            advance(&transaction, marker, mark)?;
        }
        transaction.commit()?;
        Ok(seen)
    }

    fn apply_in_one(&mut self, changes: &[Change], worker: &WorkerId) -> rusqlite::Result<()> {
        let key = &self.key;
        let transaction = self.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        for change in changes {
            apply(&transaction, key, change, worker)?;
        }
        transaction.commit()
    }

    fn adopt_ended(&mut self, ended: &[WorkerId], worker: &WorkerId) -> rusqlite::Result<Left> {
        let transaction = self.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let mut left = Left::default();
        for gone in ended {
            left.work.extend(pending_of(&transaction, gone)?);
            left.outgoing.extend(outgoing_of(&transaction, gone)?);
            for table in ["work", "outbox"] {
                transaction.execute(&format!("UPDATE {table} SET worker = ?1 WHERE worker = ?2"), params![worker, gone])?;
            }
        }
        transaction.commit()?;
        Ok(left)
    }
}

impl Working for HomeStore {
    fn take_all(&mut self, arrivals: &[Arrival<'_>], now: u64) -> Result<Vec<Seen>, StoreFailed> {
        let worker = self.worker()?;
        self.take_in_life(arrivals, &worker, now).map_err(|error| self.failed(&error))
    }

    fn began(&mut self) -> Result<u64, StoreFailed> {
        let began = self.connection.prepare_cached("SELECT began FROM life").and_then(|mut began| began.query_row([], |row| row.get(0)));
        began.map(unsigned).map_err(|error| self.failed(&error))
    }

    fn apply(&mut self, changes: &[Change]) -> Result<(), StoreFailed> {
        let worker = self.worker()?;
        self.apply_in_one(changes, &worker).map_err(|error| self.failed(&error))
    }

    fn work(&mut self, key: &RowKey) -> Result<Option<Work>, StoreFailed> {
        let found = self.connection.prepare_cached("SELECT state, content FROM work WHERE id = ?1 AND signer = ?2 AND reader = ?3");
        let found = found.and_then(|mut found| {
            let row = params![key.id.as_bytes(), key.signer.as_bytes(), key.reader.as_bytes()];
            found.query_row(row, |row| read_work(&self.key, key, row)).optional()
        });
        found.map_err(|error| self.failed(&error))
    }

    fn outgoing(&mut self, signer: &Thumbprint, id: MessageId) -> Result<Option<Kept>, StoreFailed> {
        let found = self.connection.prepare_cached("SELECT content FROM outbox WHERE id = ?1 AND signer = ?2");
        let found = found.and_then(|mut found| {
            let read = |row: &rusqlite::Row<'_>| unlock(&self.key, &outbox_place(signer, id), row.get_ref(0)?.as_blob()?);
            found.query_row(params![id.as_bytes(), signer.as_bytes()], read).optional()
        });
        found.map_err(|error| self.failed(&error))
    }

    fn adopt(&mut self) -> Result<Left, StoreFailed> {
        let worker = self.worker()?;
        let workers = workers(&self.connection).map_err(|error| self.failed(&error))?;
        let mut ended = Vec::new();
        for other in workers.into_iter().filter(|other| *other != worker) {
            if worker::has_ended(&self.home, &other)? {
                ended.push(other);
            }
        }
        self.adopt_ended(&ended, &worker).map_err(|error| self.failed(&error))
    }

    fn peers(&mut self, limit: usize) -> Result<Vec<Vec<u8>>, StoreFailed> {
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let read = |connection: &Connection| -> rusqlite::Result<Vec<Vec<u8>>> {
            connection.prepare("SELECT certificate FROM peer ORDER BY met DESC LIMIT ?1")?.query_map([limit], |row| row.get(0))?.collect()
        };
        read(&self.connection).map_err(|error| self.failed(&error))
    }
}

fn take(connection: &Connection, key: &StoreKey, arrival: &Arrival<'_>, worker: &WorkerId) -> rusqlite::Result<Seen> {
    let row = arrival.row;
    let seen = Page::read(connection, row)?.add(connection, row)?;
    if seen != Seen::New {
        return Ok(seen);
    }
    if let Some(kept) = arrival.kept {
        let state = if arrival.form == Form::Lane { PENDING_LANE } else { PENDING_OPENING };
        let content = lock(key, &work_place(&row.key(), state), kept, &row.digest)?;
        let values =
            params![row.reader.as_bytes(), row.signer.as_bytes(), row.id.as_bytes(), worker, state, signed(row.expires), content];
        connection.prepare_cached("INSERT INTO work VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)")?.execute(values)?;
    }
    Ok(Seen::New)
}

fn apply(connection: &Connection, key: &StoreKey, change: &Change, worker: &WorkerId) -> rusqlite::Result<()> {
    match change {
        Change::Send { outgoing, kept, digest } => send(connection, key, outgoing, kept, digest, worker),
        Change::Sent { signer, id } => connection
            .prepare_cached("DELETE FROM outbox WHERE id = ?1 AND signer = ?2")?
            .execute(params![id.as_bytes(), signer.as_bytes()])
            .map(drop),
        Change::Finished { key: row, reply: Some((reply, digest)) } => {
            let content = lock(key, &work_place(row, DONE), reply, digest)?;
            let sql = "UPDATE work SET state = ?4, content = ?5 WHERE id = ?1 AND signer = ?2 AND reader = ?3";
            let values = params![row.id.as_bytes(), row.signer.as_bytes(), row.reader.as_bytes(), DONE, content];
            connection.prepare_cached(sql)?.execute(values).map(drop)
        }
        Change::Finished { key: row, reply: None } | Change::Confirmed { key: row } => {
            let sql = "DELETE FROM work WHERE id = ?1 AND signer = ?2 AND reader = ?3";
            let values = params![row.id.as_bytes(), row.signer.as_bytes(), row.reader.as_bytes()];
            connection.prepare_cached(sql)?.execute(values).map(drop)
        }
        Change::Met { address, certificate, now } => {
            let sql = "INSERT INTO peer VALUES (?1, ?2, ?3) ON CONFLICT (address) DO UPDATE SET met = ?2, certificate = ?3";
            connection.prepare_cached(sql)?.execute(params![address.as_str(), signed(*now), certificate]).map(drop)
        }
    }
}

fn send(
    connection: &Connection,
    key: &StoreKey,
    outgoing: &Outgoing,
    kept: &Kept,
    digest: &[u8; 32],
    worker: &WorkerId,
) -> rusqlite::Result<()> {
    let Outgoing { from, to, signer, reader, id, expires, expects } = outgoing;
    let content = lock(key, &outbox_place(signer, *id), kept, digest)?;
    let expects = if *expects == Expects::Reply { EXPECTS_REPLY } else { EXPECTS_ACKNOWLEDGEMENT };
    let values = params![
        signer.as_bytes(),
        id.as_bytes(),
        worker,
        from.as_str(),
        to.as_str(),
        reader.as_bytes(),
        signed(*expires),
        expects,
        content
    ];
    connection.prepare_cached("INSERT INTO outbox VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)")?.execute(values).map(drop)
}

fn workers(connection: &Connection) -> rusqlite::Result<Vec<WorkerId>> {
    connection.prepare("SELECT worker FROM work UNION SELECT worker FROM outbox")?.query_map([], |row| row.get(0))?.collect()
}

fn pending_of(connection: &Connection, worker: &WorkerId) -> rusqlite::Result<Vec<RowKey>> {
    let mut rows = connection.prepare("SELECT reader, signer, id FROM work WHERE worker = ?1 AND state <> ?2 ORDER BY rowid")?;
    let read = |row: &rusqlite::Row<'_>| {
        let (reader, signer) = (Thumbprint::from_bytes(row.get(0)?), Thumbprint::from_bytes(row.get(1)?));
        Ok(RowKey { reader, signer, id: MessageId::from_bytes(row.get(2)?) })
    };
    rows.query_map(params![worker, DONE], read)?.collect()
}

fn outgoing_of(connection: &Connection, worker: &WorkerId) -> rusqlite::Result<Vec<Outgoing>> {
    let sql = "SELECT sender, recipient, signer, reader, id, expires, expects FROM outbox WHERE worker = ?1 ORDER BY rowid";
    let mut rows = connection.prepare(sql)?;
    let read = |row: &rusqlite::Row<'_>| {
        let expects = if row.get::<_, i64>(6)? == EXPECTS_REPLY { Expects::Reply } else { Expects::Acknowledgement };
        Ok(Outgoing {
            from: address(row, 0)?,
            to: address(row, 1)?,
            signer: Thumbprint::from_bytes(row.get(2)?),
            reader: Thumbprint::from_bytes(row.get(3)?),
            id: MessageId::from_bytes(row.get(4)?),
            expires: unsigned(row.get(5)?),
            expects,
        })
    };
    rows.query_map([worker], read)?.collect()
}

fn address(row: &rusqlite::Row<'_>, column: usize) -> rusqlite::Result<Address> {
    let text: String = row.get(column)?;
    text.parse().map_err(|_| failed_io(std::io::Error::other("the outbox is damaged: an address is not of its form")))
}

fn read_work(key: &StoreKey, row_key: &RowKey, row: &rusqlite::Row<'_>) -> rusqlite::Result<Work> {
    let state: i64 = row.get(0)?;
    let kept = unlock(key, &work_place(row_key, state), row.get_ref(1)?.as_blob()?)?;
    Ok(match state {
        DONE => Work::Done(kept),
        PENDING_LANE => Work::Pending(Form::Lane, kept),
        _ => Work::Pending(Form::Opening, kept),
    })
}

/// Where a message is kept, as part of the key it is encrypted with: what somebody moved is not read.
fn work_place(key: &RowKey, state: i64) -> Vec<u8> {
    let parts: [&[u8]; 5] = [b"work", &state.to_be_bytes(), key.reader.as_bytes(), key.signer.as_bytes(), key.id.as_bytes()];
    parts.concat()
}

fn outbox_place(signer: &Thumbprint, id: MessageId) -> Vec<u8> {
    [b"outbox".as_slice(), signer.as_bytes(), id.as_bytes()].concat()
}

fn lock(key: &StoreKey, place: &[u8], kept: &Kept, digest: &[u8; 32]) -> rusqlite::Result<Vec<u8>> {
    key.lock(place, kept.as_bytes(), digest, &System).map_err(|error| failed_io(std::io::Error::other(error.to_string())))
}

fn unlock(key: &StoreKey, place: &[u8], locked: &[u8]) -> rusqlite::Result<Kept> {
    let damaged = || failed_io(std::io::Error::other("a message that is kept is damaged, or the store's key is of another home"));
    key.unlock(place, locked).map(Kept::from_bytes).map_err(|_| damaged())
}
