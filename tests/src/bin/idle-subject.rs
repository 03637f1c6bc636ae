//! A node that has worked and has nothing more to do, for a test that measures it.
//!
//! Usage: `idle-subject HOME`. A node on that home takes connections on loopback; its agent `boss` asks `worker` a hundred times. Then it prints
//! `idle` and does nothing until its standard input ends.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use std::time::Duration;

use sealwire::{
    Draft, Endpoint,
    node::{Node, Reply, Request},
    transport::Streams,
};

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() {
    let home = std::env::args().nth(1).expect("idle-subject HOME");
    let (endpoint, _) = Endpoint::builder().home_or_init(home, "local").unwrap();
    let streams = Streams::builder("local").listen("tcp://127.0.0.1:0").build().await.unwrap();
    let node = Node::builder(endpoint, streams).build().unwrap();
    let boss = node.host("boss").unwrap();
    let worker =
        node.serve("worker", |request: Request| async move { Ok(Reply::new("result", request.into_message().into_body())) }).unwrap();
    for _ in 0..100 {
        let reply = node.request(&boss, &worker, Draft::new("task", [7; 4096]), Duration::from_secs(60)).await.unwrap();
        assert_eq!(reply.body().len(), 4096);
    }
    println!("idle");
    tokio::task::spawn_blocking(|| std::io::read_to_string(std::io::stdin())).await.unwrap().unwrap();
    node.close().await;
}
