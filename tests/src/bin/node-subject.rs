//! A node on a home, for tests that kill it.
//!
//! Usage: `node-subject HOME FOLDER COUNT`. The agent `boss` asks `worker`, both in this process, to do the tasks 0 to COUNT - 1, and writes a file
//! FOLDER/asked/N with the name of the request, and FOLDER/answers/N once it was done. The worker writes a file FOLDER/effects/ID for each
//! message, under the message's id, before it replies; one in FOLDER/again if it was there already, and one in FOLDER/unmarked if it was not
//! told that it may. Started again it goes on; it ends when all is done.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use std::{
    collections::HashSet,
    fs,
    io::ErrorKind,
    path::{Path, PathBuf},
    time::Duration,
};

use sealwire::{
    Address, Draft, Endpoint, KeyId, MessageId, MessageRef,
    node::{Node, Reply, Request, Ticket},
    transport::Memory,
};
use tokio::task::JoinSet;

const LONG: Duration = Duration::from_secs(300);

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [home, folder, count] = arguments.as_slice() else { panic!("node-subject HOME FOLDER COUNT") };
    let (folder, count): (PathBuf, usize) = (folder.into(), count.parse().unwrap());
    for part in ["again", "answers", "aside", "asked", "effects", "unmarked"] {
        fs::create_dir_all(folder.join(part)).unwrap();
    }
    let (endpoint, _) = Endpoint::builder().home_or_init(home, "local").unwrap();
    let node = Node::builder(endpoint, Memory::new()).resend_after(Duration::from_millis(200)).build().unwrap();
    let boss = node.host("boss").unwrap();
    let place = folder.clone();
    let worker = node.serve_at_once("worker", 4, move |request| work(request, place.clone())).unwrap();

    // What was asked and not answered, and what the process before had no time to note.
    let not_answered = |number: &usize| !folder.join("answers").join(number.to_string()).exists();
    let mut earlier: HashSet<_> = (0..count).filter(not_answered).filter_map(|number| noted(&folder, number)).collect();
    earlier.extend(node.outstanding().into_iter().map(|(_, _, request)| request));
    let mut running = JoinSet::new();
    for request in earlier {
        let (node, folder) = (node.clone(), folder.clone());
        running.spawn(async move { note(&node, node.resume(request).await.unwrap(), &folder).await });
    }
    running.join_all().await;
    let mut running = JoinSet::new();
    for number in (0..count).filter(not_answered) {
        let (node, boss, worker, folder) = (node.clone(), boss.clone(), worker.clone(), folder.clone());
        running.spawn(async move { ask(&node, &boss, &worker, number, &folder).await });
    }
    running.join_all().await;
    assert_eq!((node.outstanding().len(), node.under_way()), (0, 0));
    node.close().await;
    println!("done");
}

async fn ask(node: &Node<Memory>, boss: &Address, worker: &Address, number: usize, folder: &Path) {
    let ticket = node.ask(boss, worker, Draft::new("task", number.to_string()), LONG).await.unwrap();
    let MessageRef { signer, id } = ticket.request();
    write(folder, &format!("asked/{number}"), format!("{signer} {id}").as_bytes());
    note(node, ticket, folder).await;
}

/// The request that was noted for a task.
fn noted(folder: &Path, number: usize) -> Option<MessageRef> {
    let text = fs::read_to_string(folder.join("asked").join(number.to_string())).ok()?;
    let [signer, id] = [&text[..32], &text[33..]].map(|name| hex::decode(name).unwrap().try_into().unwrap());
    Some(MessageRef { signer: KeyId::from_bytes(signer), id: MessageId::from_bytes(id) })
}

/// Notes what was answered, and only then lets go of the reply.
async fn note(node: &Node<Memory>, ticket: Ticket, folder: &Path) {
    let request = ticket.request();
    let reply = ticket.reply().await.unwrap();
    write(folder, &format!("answers/{}", std::str::from_utf8(reply.body()).unwrap()), b"");
    node.settle(request).await.unwrap();
}

/// Writes a file aside and puts it in place whole: a kill must not leave half of it.
fn write(folder: &Path, name: &str, content: &[u8]) {
    let aside = folder.join("aside").join(format!("{}-{}", name.replace('/', "-"), std::process::id()));
    fs::write(&aside, content).unwrap();
    fs::rename(aside, folder.join(name)).unwrap();
}

async fn work(request: Request, folder: PathBuf) -> Result<Reply, sealwire::node::Refusal> {
    let id = request.message().header().id.to_string();
    // Written aside and put in place whole: a kill must not leave an effect that says nothing.
    let aside = folder.join("aside").join(format!("{id}-{}", std::process::id()));
    fs::write(&aside, request.message().body()).unwrap();
    match fs::hard_link(&aside, folder.join("effects").join(&id)) {
        Ok(()) => {}
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {
            fs::write(folder.join("again").join(&id), "").unwrap();
            if !request.is_redelivered() {
                fs::write(folder.join("unmarked").join(&id), "").unwrap();
            }
        }
        Err(error) => panic!("{error}"),
    }
    tokio::time::sleep(Duration::from_millis(3)).await;
    Ok(Reply::new("result", request.into_message().into_body()))
}
