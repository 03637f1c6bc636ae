//! The side that is asked.

use std::{
    io::Read,
    path::Path,
    sync::{Arc, Mutex},
    time::Duration,
};

use rusqlite::{Connection, params};
use sealwire::{
    Transport,
    node::{Node, Refusal, Reply, Request},
};

use crate::task;

/// `effect`: what was done, once for each message. `again`: runs that found it done, and whether they were told that this may be.
const TABLES: &str = "
    CREATE TABLE IF NOT EXISTS effect (id BLOB PRIMARY KEY, number INTEGER NOT NULL) WITHOUT ROWID;
    CREATE TABLE IF NOT EXISTS again (id BLOB NOT NULL, told INTEGER NOT NULL);
";

/// Serves `worker` until the input ends.
pub(crate) async fn run<T: Transport + 'static>(node: &Node<T>, log: &Path) {
    let effects = Arc::new(Mutex::new(open(log)));
    let handler = move |request: Request| {
        let effects = Arc::clone(&effects);
        async move { work(&effects, request).await }
    };
    node.serve("worker", handler).unwrap();
    println!("served");
    let ended = tokio::task::spawn_blocking(|| std::io::stdin().read_to_end(&mut Vec::new()));
    ended.await.unwrap().unwrap();
}

fn open(log: &Path) -> Connection {
    std::fs::create_dir_all(log).unwrap();
    let effects = Connection::open(log.join("effects.db")).unwrap();
    effects.busy_timeout(Duration::from_secs(30)).unwrap();
    effects.pragma_update(None, "journal_mode", "wal").unwrap();
    // The processes are killed, the machine is not.
    effects.pragma_update(None, "synchronous", "off").unwrap();
    effects.execute_batch(TABLES).unwrap();
    effects
}

async fn work(effects: &Mutex<Connection>, request: Request) -> Result<Reply, Refusal> {
    let (id, told) = (request.message().header().id, request.is_redelivered());
    let number = task::number(request.message().body()).ok_or("a task without number")?;
    {
        let effects = effects.lock().unwrap();
        let mut insert = effects.prepare_cached("INSERT OR IGNORE INTO effect VALUES (?1, ?2)").unwrap();
        if insert.execute(params![id.as_bytes(), number as i64]).unwrap() == 0 {
            effects.execute("INSERT INTO again VALUES (?1, ?2)", params![id.as_bytes(), told]).unwrap();
        }
    }
    // Some work after the effect, so that a kill meets runs that have made theirs and not replied.
    tokio::time::sleep(Duration::from_millis(number % 7)).await;
    if task::is_one_way(number) {
        return Ok(Reply::none());
    }
    Ok(Reply::new("result", task::answer(request.message().body())))
}
