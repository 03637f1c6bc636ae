//! Nodes with a home that end and start again.

use std::{
    path::PathBuf,
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};

use sealwire::{
    Endpoint,
    node::{Node, Reply, Request},
    transport::Memory,
};

use crate::world::{LONG, task};

/// A home of its own for each test, removed at the end.
struct Place(PathBuf);

impl Place {
    fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        Self(std::env::temp_dir().join(format!("sealwire-node-{}-{count}", std::process::id())))
    }

    fn node(&self, transport: &Memory) -> Node<Memory> {
        let (endpoint, _) = Endpoint::builder().home_or_init(&self.0, "local").unwrap();
        Node::builder(endpoint, transport.clone()).resend_after(Duration::from_millis(50)).build().unwrap()
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        std::fs::remove_dir_all(&self.0).ok();
    }
}

#[tokio::test]
async fn what_was_being_worked_on_is_released_again_and_marked() {
    let (place, transport) = (Place::new(), Memory::new());
    let node = place.node(&transport);
    let boss = node.host("boss").unwrap();
    let (began, mut begins) = tokio::sync::mpsc::channel(1);
    let worker = node
        .serve("worker", move |request: Request| {
            let began = began.clone();
            async move {
                assert!(!request.is_redelivered());
                began.send(()).await.unwrap();
                std::future::pending().await
            }
        })
        .unwrap();
    let request = node.ask(&boss, &worker, task("x"), LONG).await.unwrap().leave();
    begins.recv().await.unwrap();
    node.close().await;
    drop(node);

    let node = place.node(&transport);
    assert_eq!(node.outstanding(), [(boss, worker, request)]);
    let ticket = node.resume(request).await.unwrap();
    node.serve("worker", |request: Request| async move {
        assert!(request.is_redelivered());
        Ok(Reply::new("result", [b"did ", request.message().body()].concat()))
    })
    .unwrap();
    let reply = tokio::time::timeout(LONG, ticket.reply()).await.unwrap().unwrap();
    assert_eq!(reply.body(), b"did x");
    node.close().await;
}

/// The reply has come and nobody took it before the end: it is there afterwards, and the handler does not run again.
#[tokio::test]
async fn a_reply_that_nobody_took_is_still_there() {
    let (place, transport) = (Place::new(), Memory::new());
    let node = place.node(&transport);
    let boss = node.host("boss").unwrap();
    let worker = node.serve("worker", |_: Request| std::future::pending()).unwrap();
    let request = node.ask(&boss, &worker, task("x"), LONG).await.unwrap().leave();
    while transport_is_quiet(&node).await {}
    node.close().await;
    drop(node);

    let node = place.node(&transport);
    node.serve("worker", |_: Request| async { Ok(Reply::new("result", "once")) }).unwrap();
    tokio::time::sleep(Duration::from_millis(300)).await;
    node.close().await;
    drop(node);

    let node = place.node(&transport);
    node.serve("worker", |_: Request| async { panic!("it was done") }).unwrap();
    let reply = tokio::time::timeout(LONG, node.resume(request).await.unwrap().reply()).await.unwrap().unwrap();
    assert_eq!(reply.body(), b"once");
    assert_eq!(node.outstanding(), []);
    assert_eq!(node.under_way(), 0);
    node.close().await;
}

/// Gives the request a moment to arrive.
async fn transport_is_quiet(_: &Node<Memory>) -> bool {
    tokio::time::sleep(Duration::from_millis(200)).await;
    false
}

#[tokio::test]
async fn one_way_messages_are_sent_on() {
    let (place, transport) = (Place::new(), Memory::new());
    let node = place.node(&transport);
    let (a, b) = (node.host("a").unwrap(), node.host("b").unwrap());
    for number in 0..10 {
        node.send(&a, &b, task(&number.to_string())).await.unwrap();
    }
    node.close().await;
    drop(node);

    let node = place.node(&Memory::new());
    assert_eq!(node.under_way(), 10);
    let (told, mut hears) = tokio::sync::mpsc::channel(16);
    node.serve("b", move |request: Request| {
        let told = told.clone();
        async move {
            told.send(request.into_message().into_body()).await.unwrap();
            Ok(Reply::none())
        }
    })
    .unwrap();
    let mut heard = Vec::new();
    while heard.len() < 10 {
        heard.push(tokio::time::timeout(LONG, hears.recv()).await.unwrap().unwrap());
    }
    heard.sort();
    heard.dedup();
    assert_eq!(heard.len(), 10);
    node.close().await;
}

/// Content at rest is not in the clear, and neither are replies.
#[tokio::test]
async fn nothing_of_what_is_kept_can_be_read_in_the_home() {
    let (place, transport) = (Place::new(), Memory::new());
    let node = place.node(&transport);
    let (boss, needle) = (node.host("boss").unwrap(), "a needle of some length");
    let worker =
        node.serve("worker", |request: Request| async move { Ok(Reply::new("result", request.into_message().into_body())) }).unwrap();
    let nobody = node.host("nobody").unwrap();
    node.request(&boss, &worker, task(needle), LONG).await.unwrap();
    node.send(&boss, &nobody, task(needle)).await.unwrap();
    tokio::time::sleep(Duration::from_millis(100)).await;
    let mut read = 0;
    for file in std::fs::read_dir(&place.0).unwrap() {
        let Ok(bytes) = std::fs::read(file.unwrap().path()) else { continue };
        read += bytes.len();
        assert!(!bytes.windows(needle.len()).any(|window| window == needle.as_bytes()));
        assert!(!bytes.windows(4).any(|window| window == b"task"), "not even the header");
    }
    assert!(read > 4096, "the store was read");
    node.close().await;
}
