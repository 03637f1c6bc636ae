//! What a node keeps in a home: messages being worked on, replies, what is to be sent, peers. Content is encrypted before SQLite sees it.

use rusqlite::{Connection, OptionalExtension, params};

use super::{
    STORE,
    checkpoints::keep_short,
    connection::{Writing, database},
    store::{HomeStore, Page, advance, failed_io, signed, unsigned},
    worker::{self, Worker, WorkerId},
};
use crate::{
    address::Address,
    entropy::System,
    envelope::Form,
    error::StoreFailed,
    header::MessageRef,
    journal::{Arrival, Change, Expects, KeptAnswer, Left, Outgoing, RowKey, Seen, Work, Working},
    kept::Kept,
    key::{MessageId, Thumbprint},
    schedule::StoreKey,
};

const PENDING_OPENING: i64 = 0;
const PENDING_LANE: i64 = 1;
const DONE: i64 = 2;

const EXPECTS_ACKNOWLEDGEMENT: i64 = 0;
const EXPECTS_REPLY: i64 = 1;
/// What stands there is the reply, which came as an opening; one more if it came in a lane.
const ANSWERED: i64 = 2;
/// As [`ANSWERED`], and somebody was given it.
const TAKEN: i64 = 4;

/// By whom something was taken over, and as the how many-th of what that worker has taken over.
#[derive(Clone, Copy)]
struct Turn {
    worker: WorkerId,
    number: i64,
}

impl Turn {
    /// The one so many after this.
    fn after(self, turns: usize) -> Self {
        Self { number: self.number + i64::try_from(turns).unwrap_or_default(), ..self }
    }
}

impl HomeStore {
    fn worker(&mut self) -> Result<&mut Worker, StoreFailed> {
        match &mut self.worker {
            Some(worker) => Ok(worker),
            none => {
                let kept = keep_short(&mut self.connection);
                kept.map_err(|error| database(&self.home.join(STORE), &error))?;
                Ok(none.insert(Worker::begin(&self.home, &System)?))
            }
        }
    }

    /// The first of so many turns of this process.
    fn turns(&mut self, count: usize) -> Result<Turn, StoreFailed> {
        let worker = self.worker()?;
        let first = Turn { worker: worker.id, number: worker.turns };
        worker.turns = first.after(count).number;
        Ok(first)
    }

    fn take_in_life(&mut self, arrivals: &[Arrival<'_>], turn: Turn, now: u64) -> rusqlite::Result<(Vec<Seen>, u64)> {
        let Some(first) = arrivals.first() else { return Ok(Default::default()) };
        self.find_marker()?;
        let transaction = Writing::begin(&self.connection)?;
        let Some(page) = self.first_page(&transaction, first.row, now)? else {
            return Ok((vec![Seen::OtherLife; arrivals.len()], 0));
        };
        let began = page.life_began(&transaction, now)?;
        let mut seen = vec![take(&transaction, &self.key, &page, first, turn)?];
        for (number, arrival) in arrivals.iter().enumerate().skip(1) {
            seen.push(take(&transaction, &self.key, &Page::read(&transaction, arrival.row)?, arrival, turn.after(number))?);
        }
        if seen.contains(&Seen::New) {
            advance(&transaction, &self.marker, page.mark)?;
        }
        transaction.commit()?;
        Ok((seen, began))
    }

    fn apply_in_one(&mut self, changes: &[Change], turn: Turn) -> rusqlite::Result<()> {
        let transaction = Writing::begin(&self.connection)?;
        for (number, change) in changes.iter().enumerate() {
            apply(&transaction, &self.key, change, turn.after(number))?;
        }
        transaction.commit()
    }

    /// Takes over what others have left, in their order and behind what this process has taken over. Returns the number of the next turn.
    fn adopt_ended(&mut self, ended: &[WorkerId], turn: Turn) -> rusqlite::Result<(Left, i64)> {
        let transaction = Writing::begin(&self.connection)?;
        let (mut left, mut next) = (Left::default(), turn.number);
        for gone in ended {
            left.work.extend(pending_of(&transaction, gone)?);
            for (outgoing, state) in outgoing_of(&transaction, gone)? {
                match state {
                    ..ANSWERED => left.outgoing.push(outgoing),
                    ANSWERED..TAKEN => left.answered.push(outgoing),
                    TAKEN.. => {}
                }
            }
            let sql = "SELECT max(turn) FROM (SELECT turn FROM work WHERE worker = ?1 UNION ALL SELECT turn FROM outbox WHERE worker = ?1)";
            let last: Option<i64> = transaction.query_row(sql, [gone], |row| row.get(0))?;
            for table in ["work", "outbox"] {
                let sql = format!("UPDATE {table} SET worker = ?1, turn = turn + ?2 WHERE worker = ?3");
                transaction.execute(&sql, params![turn.worker, next, gone])?;
            }
            next += last.map_or(0, |last| last + 1);
        }
        transaction.commit()?;
        Ok((left, next))
    }
}

impl Working for HomeStore {
    fn take_all(&mut self, arrivals: &[Arrival<'_>], now: u64) -> Result<(Vec<Seen>, u64), StoreFailed> {
        let turn = self.turns(arrivals.len())?;
        self.take_in_life(arrivals, turn, now).map_err(|error| self.failed(&error))
    }

    fn apply(&mut self, changes: &[Change]) -> Result<(), StoreFailed> {
        let turn = self.turns(changes.len())?;
        self.apply_in_one(changes, turn).map_err(|error| self.failed(&error))
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
        let found = self.connection.prepare_cached("SELECT content FROM outbox WHERE id = ?1 AND signer = ?2 AND expects < ?3");
        let found = found.and_then(|mut found| {
            let read = |row: &rusqlite::Row<'_>| unlock(&self.key, &outbox_place(signer, id), row.get_ref(0)?.as_blob()?);
            found.query_row(params![id.as_bytes(), signer.as_bytes(), ANSWERED], read).optional()
        });
        found.map_err(|error| self.failed(&error))
    }

    fn answer(&mut self, request: &MessageRef) -> Result<Option<KeptAnswer>, StoreFailed> {
        let read = |row: &rusqlite::Row<'_>| {
            let (signer, author) = (Thumbprint::from_bytes(row.get(0)?), Thumbprint::from_bytes(row.get(1)?));
            let form = if row.get::<_, i64>(2)? % 2 == 0 { Form::Opening } else { Form::Lane };
            let kept = unlock(&self.key, &answer_place(&signer, request.id), row.get_ref(3)?.as_blob()?)?;
            Ok(KeptAnswer { author, form, kept })
        };
        let find = || -> rusqlite::Result<Option<KeptAnswer>> {
            let sql = "SELECT signer, reader, expects, content FROM outbox WHERE id = ?1 AND substr(signer, 1, 16) = ?2 AND expects >= ?3";
            let asked = params![request.id.as_bytes(), request.signer.as_bytes(), ANSWERED];
            self.connection.prepare_cached(sql)?.query_row(asked, read).optional()
        };
        find().map_err(|error| self.failed(&error))
    }

    fn adopt(&mut self) -> Result<Left, StoreFailed> {
        let turn = self.turns(0)?;
        let workers = workers(&self.connection).map_err(|error| self.failed(&error))?;
        let mut ended = Vec::new();
        for other in workers.into_iter().filter(|other| *other != turn.worker) {
            if worker::has_ended(&self.home, &other)? {
                ended.push(other);
            }
        }
        let (left, next) = self.adopt_ended(&ended, turn).map_err(|error| self.failed(&error))?;
        self.worker()?.turns = next;
        Ok(left)
    }

    fn retire(&mut self) {
        self.worker = None;
    }

    fn peers(&mut self, limit: usize) -> Result<Vec<Vec<u8>>, StoreFailed> {
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let read = |connection: &Connection| -> rusqlite::Result<Vec<Vec<u8>>> {
            connection.prepare("SELECT certificate FROM peer ORDER BY met DESC LIMIT ?1")?.query_map([limit], |row| row.get(0))?.collect()
        };
        read(&self.connection).map_err(|error| self.failed(&error))
    }
}

fn take(connection: &Connection, key: &StoreKey, page: &Page, arrival: &Arrival<'_>, turn: Turn) -> rusqlite::Result<Seen> {
    let row = arrival.row;
    let seen = page.add(connection, row)?;
    if seen != Seen::New {
        return Ok(seen);
    }
    if let Some(request) = arrival.answers {
        match arrival.kept {
            Some(reply) => answer(connection, key, arrival, request, reply)?,
            None => forget(connection, &row.reader, &row.signer, request, EXPECTS_REPLY)?,
        }
    } else if let Some(kept) = arrival.kept {
        let state = if arrival.form == Form::Lane { PENDING_LANE } else { PENDING_OPENING };
        let content = lock(key, &work_place(&row.key(), state), kept, &row.digest)?;
        let (id, signer, reader) = (row.id.as_bytes(), row.signer.as_bytes(), row.reader.as_bytes());
        let values = params![id, signer, reader, turn.worker, turn.number, state, signed(row.expires), content];
        connection.prepare_cached("INSERT INTO work VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)")?.execute(values)?;
    }
    Ok(Seen::New)
}

/// Puts a reply in the place of the request that it answers: from then on the request is not sent any more and the reply is not lost.
fn answer(connection: &Connection, key: &StoreKey, arrival: &Arrival<'_>, request: MessageId, reply: &Kept) -> rusqlite::Result<()> {
    let row = arrival.row;
    let state = ANSWERED + i64::from(arrival.form == Form::Lane);
    let content = lock(key, &answer_place(&row.reader, request), reply, &row.digest)?;
    let sql = "UPDATE outbox SET expects = ?5, expires = max(expires, ?6), content = ?7
               WHERE id = ?1 AND signer = ?2 AND reader = ?3 AND expects = ?4";
    let (id, signer, reader) = (request.as_bytes(), row.reader.as_bytes(), row.signer.as_bytes());
    let values = params![id, signer, reader, EXPECTS_REPLY, state, signed(row.expires), content];
    connection.prepare_cached(sql)?.execute(values).map(drop)
}

/// Forgets a message that is sent, if it is for `reader` and expects that of it.
fn forget(connection: &Connection, signer: &Thumbprint, reader: &Thumbprint, id: MessageId, expects: i64) -> rusqlite::Result<()> {
    let sql = "DELETE FROM outbox WHERE id = ?1 AND signer = ?2 AND reader = ?3 AND expects = ?4";
    connection.prepare_cached(sql)?.execute(params![id.as_bytes(), signer.as_bytes(), reader.as_bytes(), expects]).map(drop)
}

fn apply(connection: &Connection, key: &StoreKey, change: &Change, turn: Turn) -> rusqlite::Result<()> {
    match change {
        Change::Send { outgoing, kept, digest } => send(connection, key, outgoing, kept, digest, turn),
        Change::Sent { signer, id } => connection
            .prepare_cached("DELETE FROM outbox WHERE id = ?1 AND signer = ?2")?
            .execute(params![id.as_bytes(), signer.as_bytes()])
            .map(drop),
        Change::Acknowledged { signer, reader, id } => forget(connection, signer, reader, *id, EXPECTS_ACKNOWLEDGEMENT),
        Change::Taken { signer, id } => {
            let sql = "UPDATE outbox SET expects = expects + ?4 WHERE id = ?1 AND signer = ?2 AND expects BETWEEN ?3 AND ?3 + 1";
            connection.prepare_cached(sql)?.execute(params![id.as_bytes(), signer.as_bytes(), ANSWERED, TAKEN - ANSWERED]).map(drop)
        }
        Change::Settled { request } => {
            let sql = "DELETE FROM outbox WHERE id = ?1 AND substr(signer, 1, 16) = ?2 AND expects >= ?3";
            connection.prepare_cached(sql)?.execute(params![request.id.as_bytes(), request.signer.as_bytes(), ANSWERED]).map(drop)
        }
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

fn send(connection: &Connection, key: &StoreKey, outgoing: &Outgoing, kept: &Kept, digest: &[u8; 32], turn: Turn) -> rusqlite::Result<()> {
    let Outgoing { from, to, signer, reader, id, expires, expects } = outgoing;
    let content = lock(key, &outbox_place(signer, *id), kept, digest)?;
    let expects = if *expects == Expects::Reply { EXPECTS_REPLY } else { EXPECTS_ACKNOWLEDGEMENT };
    let values = params![
        id.as_bytes(),
        signer.as_bytes(),
        turn.worker,
        turn.number,
        from.as_str(),
        to.as_str(),
        reader.as_bytes(),
        signed(*expires),
        expects,
        content
    ];
    connection.prepare_cached("INSERT INTO outbox VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)")?.execute(values).map(drop)
}

fn workers(connection: &Connection) -> rusqlite::Result<Vec<WorkerId>> {
    connection.prepare("SELECT worker FROM work UNION SELECT worker FROM outbox")?.query_map([], |row| row.get(0))?.collect()
}

fn pending_of(connection: &Connection, worker: &WorkerId) -> rusqlite::Result<Vec<RowKey>> {
    let mut rows = connection.prepare("SELECT reader, signer, id FROM work WHERE worker = ?1 AND state <> ?2 ORDER BY turn")?;
    let read = |row: &rusqlite::Row<'_>| {
        let (reader, signer) = (Thumbprint::from_bytes(row.get(0)?), Thumbprint::from_bytes(row.get(1)?));
        Ok(RowKey { reader, signer, id: MessageId::from_bytes(row.get(2)?) })
    };
    rows.query_map(params![worker, DONE], read)?.collect()
}

/// What a worker has taken over to send, each with its state.
fn outgoing_of(connection: &Connection, worker: &WorkerId) -> rusqlite::Result<Vec<(Outgoing, i64)>> {
    let sql = "SELECT sender, recipient, signer, reader, id, expires, expects FROM outbox WHERE worker = ?1 ORDER BY turn";
    let mut rows = connection.prepare(sql)?;
    let read = |row: &rusqlite::Row<'_>| {
        let state = row.get(6)?;
        let expects = if state == EXPECTS_ACKNOWLEDGEMENT { Expects::Acknowledgement } else { Expects::Reply };
        let outgoing = Outgoing {
            from: address(row, 0)?,
            to: address(row, 1)?,
            signer: Thumbprint::from_bytes(row.get(2)?),
            reader: Thumbprint::from_bytes(row.get(3)?),
            id: MessageId::from_bytes(row.get(4)?),
            expires: unsigned(row.get(5)?),
            expects,
        };
        Ok((outgoing, state))
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

fn answer_place(signer: &Thumbprint, request: MessageId) -> Vec<u8> {
    [b"answer".as_slice(), signer.as_bytes(), request.as_bytes()].concat()
}

fn lock(key: &StoreKey, place: &[u8], kept: &Kept, digest: &[u8; 32]) -> rusqlite::Result<Vec<u8>> {
    key.lock(place, kept.as_bytes(), digest, &System).map_err(|error| failed_io(std::io::Error::other(error.to_string())))
}

fn unlock(key: &StoreKey, place: &[u8], locked: &[u8]) -> rusqlite::Result<Kept> {
    let damaged = || failed_io(std::io::Error::other("a message that is kept is damaged, or the store's key is of another home"));
    key.unlock(place, locked).map(Kept::from_bytes).map_err(|_| damaged())
}

#[cfg(test)]
mod tests {
    use std::sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    };

    use super::*;
    use crate::{
        Clock, Draft, Endpoint, Envelope, Home,
        endpoint::{Admission, SealedKept, Taken},
        home::{STORE, place::Place, tables},
    };

    type Outcome = Result<(), Box<dyn std::error::Error>>;

    /// A store as earlier versions made it, of one as it is made today. In place, so that the marker goes on.
    fn make_earlier(home: &std::path::Path, version: i64) -> rusqlite::Result<()> {
        let connection = Connection::open(home.join(STORE))?;
        let tables = ["life", "receive_key", "opened", "work", "outbox"];
        connection
            .execute_batch("DROP TRIGGER opened_added; DROP TRIGGER opened_gone; ALTER TABLE life DROP COLUMN began; DROP TABLE peer;")?;
        tables.iter().try_for_each(|table| connection.execute_batch(&format!("ALTER TABLE {table} RENAME TO {table}_today")))?;
        connection.execute_batch(tables::TABLES)?;
        connection.execute_batch(
            "INSERT INTO life SELECT one, id, (SELECT value FROM counter WHERE of = x''), horizon, purged FROM life_today;
             INSERT INTO receive_key SELECT * FROM receive_key_today;
             INSERT INTO opened SELECT * FROM opened_today;
             DROP TABLE counter;",
        )?;
        if version == 2 {
            connection.execute_batch(tables::TABLES_OF_NODES)?;
            connection.execute_batch(
                "INSERT INTO work SELECT reader, signer, id, worker, state, expires, content FROM work_today ORDER BY turn;
                 INSERT INTO outbox SELECT signer, id, worker, sender, recipient, reader, expires, expects, content FROM outbox_today
                     ORDER BY turn;",
            )?;
        }
        tables.iter().try_for_each(|table| connection.execute_batch(&format!("DROP TABLE {table}_today")))?;
        connection.pragma_update(None, "user_version", version)
    }

    fn outgoing(from: &Address, to: &Address, sealed: &SealedKept) -> Outgoing {
        let SealedKept { signer, reader, .. } = *sealed;
        let (id, expires) = (sealed.header.id, sealed.header.expires);
        Outgoing { from: from.clone(), to: to.clone(), signer, reader, id, expires, expects: Expects::Reply }
    }

    fn send(endpoint: &Endpoint, from: &Address, to: &Address, body: &str) -> Result<Outgoing, Box<dyn std::error::Error>> {
        let sealed = endpoint.seal_kept(from, to, &Draft::new("task", body), Vec::new())?;
        let outgoing = outgoing(from, to, &sealed);
        endpoint.apply(&[Change::Send { outgoing: outgoing.clone(), kept: sealed.kept, digest: sealed.digest }])?;
        Ok(outgoing)
    }

    /// A store of an earlier version is brought up to date: what it knew is known, and what was under way goes on in its order.
    #[test]
    fn a_store_of_an_earlier_version_goes_on() -> Outcome {
        for earlier in [1, 2] {
            let place = Place::new(&format!("v{earlier}"));
            let open = || Endpoint::builder().home_or_init(&place.0, "local").map(|(endpoint, _)| endpoint);
            let (author, reader) = (open()?, open()?);
            let (a, b) = (author.host("a")?, reader.host("b")?);
            author.introduce(reader.certificate(&b).ok_or("it is hosted there")?.as_bytes())?;
            let seal = |body: &str| author.seal(&a, &b, &Draft::new("task", body));
            let (opened, taken) = (seal("x")?, [seal("y")?, seal("z")?]);
            reader.open(&opened.envelope)?;
            for sealed in &taken {
                assert!(!redelivered(&reader, &sealed.envelope)?);
            }
            let sent = [send(&author, &a, &b, "one")?, send(&author, &a, &b, "two")?, send(&author, &a, &b, "three")?];
            drop((author, reader));
            make_earlier(&place.0, earlier)?;

            let unread = Endpoint::builder().inspector(&Home::at(&place.0)?).map(drop);
            assert!(unread.is_err_and(|error| error.to_string().contains("start what uses this home once")));
            let endpoint = Endpoint::builder().home(&Home::at(&place.0)?)?;
            endpoint.host("b")?;
            assert!(matches!(endpoint.open(&opened.envelope), Err(crate::OpenError::Duplicate(_))), "the journal is the same");
            let left = endpoint.adopt()?;
            let work: Vec<_> = left.work.iter().map(|key| key.id).collect();
            let taken = taken.map(|sealed| sealed.header.id);
            assert_eq!((&*left.outgoing, &*work), if earlier == 1 { (&[][..], &[][..]) } else { (&sent[..], &taken[..]) });
            for key in left.work {
                assert!(matches!(endpoint.work(&key)?, Some(Work::Pending(..))));
            }
            let connection = Connection::open(place.0.join(STORE))?;
            let version: i64 = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
            let rows: i64 = connection.query_row("SELECT sum(value) FROM counter WHERE of <> x''", [], |row| row.get(0))?;
            assert_eq!((version, rows), (3, 3));
        }
        Ok(())
    }

    /// Whoever takes over goes on in the order in which it was handed in, however many have done so before.
    #[test]
    fn what_is_taken_over_keeps_its_order() -> Outcome {
        let place = Place::new("order");
        let open = || Endpoint::builder().home_or_init(&place.0, "local").map(|(endpoint, _)| endpoint);
        let mut sent = Vec::new();
        for generation in 0..3 {
            let endpoint = open()?;
            let (a, b) = (endpoint.host("a")?, endpoint.host("b")?);
            assert_eq!(endpoint.adopt()?.outgoing, sent, "in generation {generation}");
            for _ in 0..5 {
                sent.push(send(&endpoint, &a, &b, "x")?);
            }
        }
        Ok(())
    }

    /// What is kept is read in its place only, and whole or not at all.
    #[test]
    fn what_was_moved_or_altered_is_not_read() -> Outcome {
        let place = Place::new("moved");
        let (endpoint, _) = Endpoint::builder().home_or_init(&place.0, "local")?;
        let (a, b) = (endpoint.host("a")?, endpoint.host("b")?);
        let mut ids = Vec::new();
        for body in ["one", "two"] {
            let sealed = endpoint.seal_kept(&a, &b, &Draft::new("task", body), Vec::new())?;
            let outgoing = outgoing(&a, &b, &sealed);
            let (signer, id) = (outgoing.signer, outgoing.id);
            endpoint.apply(&[Change::Send { outgoing, kept: sealed.kept.clone(), digest: sealed.digest }])?;
            assert_eq!(endpoint.outgoing(&signer, id)?, Some(sealed.kept));
            ids.push((signer, id));
        }
        let connection = Connection::open(place.0.join(STORE))?;
        let swap = "UPDATE outbox SET content = (SELECT content FROM outbox WHERE turn = 1) WHERE turn = 0";
        connection.execute_batch(swap)?;
        let [(signer, first), (_, second)] = ids.as_slice() else { return Err("two".into()) };
        assert!(endpoint.outgoing(signer, *first).is_err(), "moved");
        assert!(endpoint.outgoing(signer, *second)?.is_some());
        connection.execute_batch("UPDATE outbox SET content = substr(content, 1, length(content) - 1) WHERE turn = 1")?;
        assert!(endpoint.outgoing(signer, *second).is_err(), "cut");
        Ok(())
    }

    /// A worker that lives keeps what it has; what it leaves is taken over once.
    #[test]
    fn what_a_worker_leaves_is_taken_over_once() -> Outcome {
        let place = Place::new("left");
        let open = || Endpoint::builder().home_or_init(&place.0, "local").map(|(endpoint, _)| endpoint);
        let first = open()?;
        let (a, b) = (first.host("a")?, first.host("b")?);
        let outgoing = send(&first, &a, &b, "x")?;
        let (second, third) = (open()?, open()?);
        assert_eq!(second.adopt()?.outgoing, [], "its worker lives");
        drop(first);
        assert_eq!(second.adopt()?.outgoing, [outgoing]);
        assert_eq!(third.adopt()?.outgoing, [], "taken over by another");
        Ok(())
    }

    /// A clock that a test sets.
    #[derive(Clone)]
    struct Hands(Arc<AtomicU64>);

    impl Clock for Hands {
        fn now(&self) -> u64 {
            self.0.load(Ordering::Relaxed)
        }
    }

    fn redelivered(endpoint: &Endpoint, envelope: &Envelope) -> Result<bool, Box<dyn std::error::Error>> {
        match endpoint.take(&[envelope.as_bytes()], &|_, _| Ok(Admission::Kept)).pop() {
            Some(Ok(Taken::New { in_earlier_life, .. })) => Ok(in_earlier_life),
            Some(Ok(Taken::Again { .. })) => Err("known already".into()),
            Some(Err(refused)) => Err(refused.error.into()),
            None => Err("no answer".into()),
        }
    }

    /// A machine without a battery restarts, twice, with its clock behind, and takes messages before the clock is set. What was processed before
    /// the restarts comes again after that.
    #[test]
    fn a_clock_that_is_behind_after_a_restart_hides_no_redelivery() -> Outcome {
        const HOUR: u64 = 3_600;
        let place = Place::new("behind");
        let hands = Hands(Arc::new(AtomicU64::new(2_000_000_000)));
        let open = || Endpoint::builder().clock(hands.clone()).home_or_init(&place.0, "local").map(|(endpoint, _)| endpoint);
        let endpoint = open()?;
        hands.0.fetch_add(HOUR, Ordering::Relaxed);
        let (a, b) = (endpoint.host("a")?, endpoint.host("b")?);
        let processed = endpoint.seal_kept(&a, &b, &Draft::new("task", "x"), Vec::new())?;
        assert!(!redelivered(&endpoint, &processed.envelope)?, "the first life");
        drop(endpoint);

        hands.0.fetch_sub(HOUR / 2, Ordering::Relaxed);
        for restart in ["first", "second"] {
            // As the machine has restarted, no marker speaks of this life.
            Connection::open(place.0.join(STORE))?.execute("UPDATE life SET id = randomblob(16)", [])?;
            let endpoint = open()?;
            let (a, b) = (endpoint.host("a")?, endpoint.host("b")?);
            let other = endpoint.seal(&a, &b, &Draft::new("task", restart))?;
            assert!(redelivered(&endpoint, &other.envelope)?, "nobody can tell whether the clock is behind");
        }
        hands.0.fetch_add(HOUR / 2 + 60, Ordering::Relaxed);
        let endpoint = open()?;
        let (a, b) = (endpoint.host("a")?, endpoint.host("b")?);
        assert!(redelivered(&endpoint, &endpoint.seal_anew(&processed.kept)?)?, "processed by an earlier life");
        hands.0.fetch_add(HOUR, Ordering::Relaxed);
        let new = endpoint.seal(&a, &b, &Draft::new("task", "new"))?;
        assert!(!redelivered(&endpoint, &new.envelope)?, "written long after");
        Ok(())
    }
}
