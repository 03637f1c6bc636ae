//! A node on a paired home, for tests that kill it, cut it off and set it back (`tests/hosts/soak.py`).
//!
//! ```text
//! soak-node ask  HOME LOG AHEAD WAY WORKER COUNT PER_SECOND
//! soak-node work HOME LOG AHEAD WAY
//! ```
//!
//! `ask` hosts `boss`, gives WORKER the tasks 0 to COUNT - 1, at most PER_SECOND a second (0: as they are answered), and notes each answer in
//! LOG. Started again it goes on; it ends when all is answered and nothing is under way. `work` hosts `worker`, which notes one effect for each
//! message under the message's id, until its input ends. AHEAD is by how many seconds the clock of the node is ahead. WAY is
//! `tcp,LISTEN,NODE=LOCATION` or `jetstream,URL`.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod asker;
mod book;
mod task;
mod worker;

use std::{
    path::{Path, PathBuf},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use sealwire::{
    Clock, Endpoint, Home, Transport,
    node::Node,
    transport::{
        JetStream, Streams,
        nats::{Keeping, Server},
    },
};

/// A clock that is ahead of the machine's, or behind it.
struct Ahead(i64);

impl Clock for Ahead {
    fn now(&self) -> u64 {
        SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs().saturating_add_signed(self.0)
    }
}

/// What a process is to do.
enum Part {
    Ask(asker::Asker),
    Work(PathBuf),
}

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let (home, ahead, way, part) = match arguments.as_slice() {
        ["ask", home, log, ahead, way, worker, count, per_second] => {
            let asker = asker::Asker {
                log: log.into(),
                to: worker.parse().unwrap(),
                count: count.parse().unwrap(),
                per_second: per_second.parse().unwrap(),
            };
            (home, ahead, way, Part::Ask(asker))
        }
        ["work", home, log, ahead, way] => (home, ahead, way, Part::Work(log.into())),
        _ => panic!("soak-node ask|work HOME LOG AHEAD WAY …"),
    };
    let home = Home::at(Path::new(home)).unwrap();
    let endpoint = Endpoint::builder().clock(Ahead(ahead.parse().unwrap())).home(&home).unwrap();
    match way.split(',').collect::<Vec<_>>().as_slice() {
        ["tcp", listen, peers @ ..] => {
            let mut streams = Streams::builder(endpoint.node()).listen(listen);
            for (node, location) in peers.iter().filter_map(|peer| peer.split_once('=')) {
                streams = streams.peer(node, location);
            }
            play(part, endpoint, streams.build().await.unwrap()).await;
        }
        ["jetstream", url] => play(part, endpoint, connect(url).await).await,
        _ => panic!("unknown way `{way}`"),
    }
}

/// Connects to a broker that may be down at the moment.
async fn connect(url: &str) -> JetStream {
    loop {
        match JetStream::connect(&Server::new(url), Keeping::default()).await {
            Ok(connected) => return connected,
            Err(error) => eprintln!("{error}"),
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

async fn play<T: Transport + 'static>(part: Part, endpoint: Endpoint, transport: T) {
    let node = Node::builder(endpoint, transport).build().unwrap();
    match part {
        Part::Ask(asker) => asker.run(&node).await,
        Part::Work(log) => worker::run(&node, &log).await,
    }
    node.close().await;
}
