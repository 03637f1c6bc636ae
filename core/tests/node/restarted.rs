//! Nodes with a home that end and start again.

use std::{
    path::PathBuf,
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};

use sealwire::{
    Endpoint,
    node::{Node, NodeError, Reply, Request},
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

fn echo(request: Request) -> impl Future<Output = Result<Reply, sealwire::node::Refusal>> {
    std::future::ready(Ok(Reply::new("result", request.into_message().into_body())))
}

/// Who asked had the reply in hand and ended before they noted it: it is given again, by this process and the next, until it is settled.
#[tokio::test]
async fn a_reply_that_was_taken_is_given_again_until_it_is_settled() {
    let (place, transport) = (Place::new(), Memory::new());
    let node = place.node(&transport);
    let (boss, worker) = (node.host("boss").unwrap(), node.serve("worker", echo).unwrap());
    let ticket = node.ask(&boss, &worker, task("x"), LONG).await.unwrap();
    let request = ticket.request();
    assert_eq!(tokio::time::timeout(LONG, ticket.reply()).await.unwrap().unwrap().body(), b"x");
    assert_eq!((node.outstanding(), node.under_way()), (vec![], 0));
    let again = node.resume(request).await.unwrap().reply().await.unwrap();
    assert_eq!((again.body(), again.form()), (b"x".as_slice(), sealwire::Form::Opening));
    node.close().await;
    drop(node);

    let node = place.node(&transport);
    assert_eq!(node.outstanding(), [], "it was taken");
    assert_eq!(node.resume(request).await.unwrap().reply().await.unwrap().body(), b"x");
    node.settle(request).await.unwrap();
    node.close().await;
    drop(node);

    let node = place.node(&transport);
    assert_eq!(node.resume(request).await.map(drop), Err(NodeError::NotOutstanding));
    node.close().await;
}

/// The process ends between the arrival of a reply and its being taken: the request is outstanding, and its reply is there although its author
/// is not asked again.
#[tokio::test]
async fn a_reply_that_arrived_is_outstanding_until_it_is_taken() {
    let (place, transport) = (Place::new(), Memory::new());
    let node = place.node(&transport);
    let (boss, worker) = (node.host("boss").unwrap(), node.serve("worker", echo).unwrap());
    let ticket = node.ask(&boss, &worker, task("x"), LONG).await.unwrap();
    let request = ticket.request();
    while node.under_way() > 0 {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    // As a kill would do: nobody says that they took it, and nobody that they gave it up.
    std::mem::forget(ticket);
    node.close().await;
    drop(node);

    let node = place.node(&Memory::new());
    assert_eq!(node.outstanding(), [(boss, worker, request)]);
    assert_eq!(node.resume(request).await.unwrap().reply().await.unwrap().body(), b"x");
    assert_eq!(node.outstanding(), []);
    node.close().await;
}

/// Two processes receive for one agent, so that the reply to what one asked may be given to the other. It is not lost: who asked finds it in
/// their home.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reply_that_another_process_of_the_home_was_given_is_found() {
    let (place, transport) = (Place::new(), Memory::new());
    let (asking, other) = (place.node(&transport), place.node(&transport));
    let (boss, worker) = (asking.host("boss").unwrap(), asking.serve("worker", echo).unwrap());
    other.host("boss").unwrap();
    let mut asked = tokio::task::JoinSet::new();
    for number in 0..40 {
        let (node, boss, worker) = (asking.clone(), boss.clone(), worker.clone());
        asked.spawn(async move {
            let reply = node.request(&boss, &worker, task(&number.to_string()), LONG).await.unwrap();
            assert_eq!(reply.body(), number.to_string().as_bytes());
        });
    }
    asked.join_all().await;
    other.close().await;
    asking.close().await;
}

#[tokio::test]
async fn who_has_left_may_come_back() {
    let transport = Memory::new();
    let node = Node::builder(Endpoint::builder().in_memory("local").unwrap(), transport).build().unwrap();
    let (boss, worker) = (node.host("boss").unwrap(), node.serve("worker", echo).unwrap());
    let request = node.ask(&boss, &worker, task("x"), LONG).await.unwrap().leave();
    while node.under_way() > 0 {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let reply = tokio::time::timeout(LONG, node.resume(request).await.unwrap().reply()).await.unwrap().unwrap();
    assert_eq!(reply.body(), b"x");
    node.close().await;
    assert_eq!(node.resume(request).await.map(drop), Err(NodeError::Closed));
}

/// Who asks once has the reply in hand when it comes, and it is kept for nobody.
#[tokio::test]
async fn a_reply_to_who_asks_once_is_not_kept() {
    let (place, transport) = (Place::new(), Memory::new());
    let node = place.node(&transport);
    let (boss, worker) = (node.host("boss").unwrap(), node.serve("worker", echo).unwrap());
    let ticket = node.ask_once(&boss, &worker, task("x"), LONG).await.unwrap();
    let request = ticket.request();
    while node.under_way() > 0 {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(node.resume(request).await.map(drop), Err(NodeError::NotOutstanding), "the reply has come");
    assert_eq!(tokio::time::timeout(LONG, ticket.reply()).await.unwrap().unwrap().body(), b"x");
    assert_eq!(node.outstanding(), []);
    node.close().await;
    drop(node);

    let node = place.node(&transport);
    assert_eq!((node.outstanding(), node.under_way()), (vec![], 0), "and the request is over");
    node.close().await;
}

/// Once it was left, somebody may ask again.
#[tokio::test]
async fn a_request_that_is_asked_once_and_left_is_kept() {
    let (place, transport) = (Place::new(), Memory::new());
    let node = place.node(&transport);
    let (boss, worker) = (node.host("boss").unwrap(), node.host("worker").unwrap());
    let request = node.ask_once(&boss, &worker, task("x"), LONG).await.unwrap().leave();
    while node.outstanding().is_empty() {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    node.serve("worker", echo).unwrap();
    for _ in 0..2 {
        let reply = node.resume(request).await.unwrap().reply();
        assert_eq!(tokio::time::timeout(LONG, reply).await.unwrap().unwrap().body(), b"x");
    }
    node.close().await;
}

/// So it is if they ask at once.
#[tokio::test]
async fn a_request_that_is_asked_once_left_and_resumed_is_kept() {
    let (place, transport) = (Place::new(), Memory::new());
    let node = place.node(&transport);
    let (boss, worker) = (node.host("boss").unwrap(), node.host("worker").unwrap());
    let request = node.ask_once(&boss, &worker, task("x"), LONG).await.unwrap().leave();
    let resumed = node.resume(request).await.unwrap();
    node.serve("worker", echo).unwrap();
    assert_eq!(tokio::time::timeout(LONG, resumed.reply()).await.unwrap().unwrap().body(), b"x");
    assert_eq!(node.resume(request).await.unwrap().reply().await.unwrap().body(), b"x");
    node.close().await;
}
