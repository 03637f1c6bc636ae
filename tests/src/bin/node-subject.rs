//! A node on a home, for tests that kill it.
//!
//! Usage: `node-subject HOME FOLDER COUNT`. The agent `boss` asks `worker`, both in this process, to do the tasks 0 to COUNT - 1, and writes a file
//! FOLDER/answers/N for each that was done. The worker writes a file FOLDER/effects/ID for each message, under the message's id, before it
//! replies. Started again it goes on; it ends when all is done, with `done`, the greatest number of runs that found their effect there already,
//! and whether one of them was not told that it may.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use std::{
    fs,
    io::ErrorKind,
    path::{Path, PathBuf},
    time::Duration,
};

use sealwire::{
    Address, Draft, Endpoint, Message, MessageRef,
    node::{Node, NodeError, Reply, Request},
    transport::Memory,
};
use tokio::task::JoinSet;

const LONG: Duration = Duration::from_secs(300);

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [home, folder, count] = arguments.as_slice() else { panic!("node-subject HOME FOLDER COUNT") };
    let (folder, count): (PathBuf, usize) = (folder.into(), count.parse().unwrap());
    for part in ["again", "answers", "aside", "effects", "unmarked"] {
        fs::create_dir_all(folder.join(part)).unwrap();
    }
    let (endpoint, _) = Endpoint::builder().home_or_init(home, "local").unwrap();
    let node = Node::builder(endpoint, Memory::new()).resend_after(Duration::from_millis(200)).build().unwrap();
    let boss = node.host("boss").unwrap();
    let place = folder.clone();
    let worker = node.serve_at_once("worker", 4, move |request| work(request, place.clone())).unwrap();

    let mut asked = JoinSet::new();
    for (_, _, request) in node.outstanding() {
        let node = node.clone();
        asked.spawn(async move { resume(&node, request).await });
    }
    note(&mut asked, &folder).await;
    for number in (0..count).filter(|number| !folder.join("answers").join(number.to_string()).exists()) {
        asked.spawn(ask(node.clone(), boss.clone(), worker.clone(), number));
    }
    note(&mut asked, &folder).await;
    node.close().await;
    println!("done");
}

async fn ask(node: Node<Memory>, boss: Address, worker: Address, number: usize) -> Option<Message> {
    Some(node.request(&boss, &worker, Draft::new("task", number.to_string()), LONG).await.unwrap())
}

/// A reply that was handed to the process that was killed, and acknowledged before that was noted, is not there any more: then it is asked anew.
async fn resume(node: &Node<Memory>, request: MessageRef) -> Option<Message> {
    let reply = match node.resume(request).await {
        Ok(ticket) => ticket.reply().await,
        Err(error) => Err(error),
    };
    match reply {
        Err(NodeError::NoReply | NodeError::NotOutstanding) => None,
        reply => Some(reply.unwrap()),
    }
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

async fn note(asked: &mut JoinSet<Option<Message>>, folder: &Path) {
    while let Some(answered) = asked.join_next().await {
        let Some(reply) = answered.unwrap() else { continue };
        let number = String::from_utf8(reply.body().to_vec()).unwrap();
        fs::write(folder.join("answers").join(number), "").unwrap();
    }
}
