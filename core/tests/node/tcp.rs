//! Nodes over TCP: one goes away in the middle and comes back elsewhere.

use std::time::Duration;

use sealwire::{
    Endpoint,
    node::{Node, Refusal, Reply, Request},
    transport::Streams,
};
use tokio::task::JoinSet;

use crate::world::{LONG, endpoints, task};

fn node(endpoint: Endpoint, streams: &Streams) -> Node<Streams> {
    Node::builder(endpoint, streams.clone()).resend_after(Duration::from_millis(100)).build().unwrap()
}

async fn echo(request: Request) -> Result<Reply, Refusal> {
    tokio::time::sleep(Duration::from_millis(5)).await;
    Ok(Reply::new("result", request.into_message().into_body()))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_survive_a_link_that_breaks() {
    let mut ends = endpoints(2);
    let (theirs, ours) = (ends.pop().unwrap(), ends.pop().unwrap());
    let listening = Streams::builder("n1").listen("tcp://127.0.0.1:0").build().await.unwrap();
    let calling = Streams::builder("n0").peer("n1", &listening.listening()[0].to_string()).build().await.unwrap();
    let (asking, serving) = (node(ours, &calling), node(theirs, &listening));
    let (boss, worker) = (asking.host("boss").unwrap(), serving.serve_at_once("worker", 8, echo).unwrap());
    let mut asked = JoinSet::new();
    for number in 0..300 {
        let (node, boss, worker) = (asking.clone(), boss.clone(), worker.clone());
        asked.spawn(async move {
            let reply = node.request(&boss, &worker, task(&number.to_string()), LONG).await.unwrap();
            assert_eq!(reply.body(), number.to_string().as_bytes());
        });
    }
    for _ in 0..3 {
        tokio::time::sleep(Duration::from_millis(30)).await;
        calling.forget_peer("n1");
        tokio::time::sleep(Duration::from_millis(30)).await;
        calling.set_peer("n1", listening.listening()[0].clone()).unwrap();
    }
    while let Some(answered) = asked.join_next().await {
        answered.unwrap();
    }
    asking.close().await;
    serving.close().await;
}
