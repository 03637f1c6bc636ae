//! A node that seals and opens on its runtime's own threads, where that is soon done and nobody is asked.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering::SeqCst},
    },
    thread::{ThreadId, current},
    time::{SystemTime, UNIX_EPOCH},
};

use sealwire::{
    Clock, Draft, Endpoint, Entropy, EntropyFailed, Verdict,
    node::{Node, NodeError, Refusal, Reply, Request},
    transport::Memory,
};
use tokio::runtime::Handle;

use crate::world::{LONG, task};

/// Randomness that notes which threads ask for it, which is when they seal, and panics when told to.
#[derive(Clone, Default)]
struct Watched {
    threads: Arc<Mutex<Vec<ThreadId>>>,
    panics: Arc<AtomicBool>,
}

impl Watched {
    /// Whether something was sealed elsewhere than in this thread since the last look.
    fn went_aside(&self) -> bool {
        let threads = std::mem::take(&mut *self.threads.lock().unwrap());
        assert!(!threads.is_empty(), "something was sealed");
        threads.iter().any(|thread| *thread != current().id())
    }
}

impl Entropy for Watched {
    fn fill(&self, out: &mut [u8]) -> Result<(), EntropyFailed> {
        assert!(!self.panics.swap(false, SeqCst), "as the test wants");
        self.threads.lock().unwrap().push(current().id());
        getrandom::fill(out).map_err(|_| EntropyFailed)
    }
}

async fn echo(request: Request) -> Result<Reply, Refusal> {
    Ok(Reply::new("result", request.into_message().into_body()))
}

fn node(endpoint: Endpoint) -> Node<Memory> {
    Node::builder(endpoint, Memory::new()).work_in_place().build().unwrap()
}

#[tokio::test]
async fn what_is_soon_done_is_done_in_place() {
    let watched = Watched::default();
    let node = node(Endpoint::builder().entropy(watched.clone()).in_memory("n0").unwrap());
    let (boss, worker) = (node.host("boss").unwrap(), node.serve("worker", echo).unwrap());
    watched.went_aside();
    for (size, aside) in [(4096, false), (1024 * 1024, true), (4096, false)] {
        let reply = node.request(&boss, &worker, Draft::new("task", vec![7; size]), LONG).await.unwrap();
        assert_eq!(reply.body(), vec![7; size]);
        assert_eq!(watched.went_aside(), aside, "{size} bytes");
    }
    node.close().await;
}

/// A hook may wait, and wait for the runtime: it is never asked on a thread that the runtime needs.
#[tokio::test]
async fn hooks_are_asked_where_they_may_wait() {
    let policy = |_: &sealwire::Request<'_>| {
        Handle::current().block_on(tokio::task::yield_now());
        Verdict::Allow
    };
    let node = node(Endpoint::builder().policy(policy).in_memory("n0").unwrap());
    let (boss, worker) = (node.host("boss").unwrap(), node.serve("worker", echo).unwrap());
    assert_eq!(node.request(&boss, &worker, task("x"), LONG).await.unwrap().body(), b"x");
    node.close().await;
}

/// A clock of the user's is asked for each message, and under locks of the user's.
#[tokio::test]
async fn nothing_is_done_in_place_by_a_clock_of_the_users() {
    struct Given;
    impl Clock for Given {
        fn now(&self) -> u64 {
            SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
        }
    }
    let watched = Watched::default();
    let node = node(Endpoint::builder().entropy(watched.clone()).clock(Given).in_memory("n0").unwrap());
    let (boss, worker) = (node.host("boss").unwrap(), node.serve("worker", echo).unwrap());
    watched.went_aside();
    node.request(&boss, &worker, task("x"), LONG).await.unwrap();
    assert!(watched.went_aside());
    node.close().await;
}

#[tokio::test]
async fn a_panic_in_place_is_the_end_of_one_message() {
    let watched = Watched::default();
    let node = node(Endpoint::builder().entropy(watched.clone()).in_memory("n0").unwrap());
    let (boss, worker) = (node.host("boss").unwrap(), node.serve("worker", echo).unwrap());
    watched.panics.store(true, SeqCst);
    assert_eq!(node.request(&boss, &worker, task("x"), LONG).await.map(drop), Err(NodeError::Closed));
    assert_eq!(node.request(&boss, &worker, task("y"), LONG).await.unwrap().body(), b"y");
    node.close().await;
}
