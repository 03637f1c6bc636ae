//! Nodes that nobody introduced.

use std::time::Duration;

use sealwire::{
    Address,
    node::{NodeError, Refusal, Reply, Request},
    transport::Memory,
};

use crate::world::{LONG, nodes, task};

async fn echo(request: Request) -> Result<Reply, Refusal> {
    Ok(Reply::new("result", request.message().body().to_vec()))
}

#[tokio::test]
async fn certificates_are_asked_for() {
    let nodes = nodes(3, &Memory::new());
    let boss = nodes[0].host("boss").unwrap();
    for node in &nodes[1..] {
        let worker = node.serve("worker", echo).unwrap();
        let reply = nodes[0].request(&boss, &worker, task("hello"), LONG).await.unwrap();
        assert_eq!((reply.body(), &reply.header().from), (b"hello".as_slice(), &worker));
    }
}

#[tokio::test]
async fn who_is_not_there_is_unreachable_in_time() {
    let nodes = nodes(1, &Memory::new());
    let boss = nodes[0].host("boss").unwrap();
    let nobody: Address = "nobody@n7".parse().unwrap();
    let asked = nodes[0].request(&boss, &nobody, task("hello"), Duration::from_millis(300)).await;
    assert!(matches!(asked, Err(NodeError::Unreachable(_) | NodeError::Deadline)), "{asked:?}");
}
