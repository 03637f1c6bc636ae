//! Two nodes, each with a home: one is copied, restored, and goes on.

use std::{
    collections::HashMap,
    fs,
    net::TcpListener,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex,
        atomic::{AtomicU32, AtomicU64, Ordering},
    },
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use sealwire::{
    Clock, Endpoint, Home, MessageId,
    node::{Node, Reply, Request},
    pairing::{Join, Offer, Terms, join},
    transport::Memory,
};

use crate::world::{LONG, task};

/// A clock that is ahead of the machine's by so many seconds.
#[derive(Clone, Default)]
struct Ahead(Arc<AtomicU64>);

impl Clock for Ahead {
    fn now(&self) -> u64 {
        SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs() + self.0.load(Ordering::SeqCst)
    }
}

pub(crate) struct Place(PathBuf);

impl Place {
    /// Homes of two nodes of one domain, `n0` and `n1`.
    pub(crate) fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let place = Self(std::env::temp_dir().join(format!("sealwire-homes-{}-{count}", std::process::id())));
        let (home, _) = Home::init(place.0.join("n0"), "n0").unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let terms = Terms { node: "n1".into(), patterns: vec!["*".into()], lifetime: 600 };
        let offer = Offer::make(&home, listener, vec![address], terms).unwrap();
        let invite = offer.invite().to_text().parse().unwrap();
        let waiting = std::thread::spawn(move || offer.wait(|_, error| panic!("{error}")).unwrap());
        join(&invite, &place.0.join("n1"), &Join { hosts: Vec::new(), addresses: Some(Vec::new()) }).unwrap();
        waiting.join().unwrap();
        place
    }

    pub(crate) fn join(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    pub(crate) fn node(&self, name: &str, transport: &Memory) -> Node<Memory> {
        self.node_at(name, transport, &Ahead::default())
    }

    fn node_at(&self, name: &str, transport: &Memory, clock: &Ahead) -> Node<Memory> {
        let endpoint = Endpoint::builder().clock(clock.clone()).home(&Home::at(self.0.join(name)).unwrap()).unwrap();
        Node::builder(endpoint, transport.clone()).resend_after(Duration::from_millis(50)).build().unwrap()
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        fs::remove_dir_all(&self.0).ok();
    }
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    fs::set_permissions(to, fs::metadata(from).unwrap().permissions()).unwrap();
    for file in fs::read_dir(from).unwrap() {
        let file = file.unwrap();
        let target = to.join(file.file_name());
        if file.file_type().unwrap().is_dir() {
            copy(&file.path(), &target);
        } else {
            fs::copy(file.path(), target).unwrap();
        }
    }
}

type Runs = Arc<Mutex<HashMap<MessageId, Vec<bool>>>>;

fn serve(node: &Node<Memory>, runs: &Runs) -> sealwire::Address {
    let runs = Arc::clone(runs);
    let work = move |request: Request| {
        runs.lock().unwrap().entry(request.message().header().id).or_default().push(request.is_redelivered());
        async move { Ok(Reply::new("result", request.into_message().into_body())) }
    };
    node.serve("worker", work).unwrap()
}

/// The worker's home is put back to an earlier copy, again and again, of a running node and of one that was closed. No request is lost, and what
/// runs twice is marked the second time.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restored_home_loses_nothing_and_repeats_nothing_unmarked() {
    let (place, transport) = (Place::new(), Memory::new());
    let runs = Runs::default();
    let asking = place.node("n0", &transport);
    let boss = asking.host("boss").unwrap();
    let mut worker = place.node("n1", &transport);
    let address = serve(&worker, &runs);
    let mut number = 0;
    for round in 0..4 {
        let mut asked = tokio::task::JoinSet::new();
        for _ in 0..20 {
            number += 1;
            let (node, boss, worker) = (asking.clone(), boss.clone(), address.clone());
            asked.spawn(async move {
                let reply = node.request(&boss, &worker, task(&number.to_string()), LONG).await.unwrap();
                assert_eq!(reply.body(), number.to_string().as_bytes());
            });
        }
        let backup = place.0.join(format!("backup-{round}"));
        if round % 2 == 0 {
            // Of a running node, in the middle of its work.
            copy(&place.0.join("n1"), &backup);
        }
        tokio::time::sleep(Duration::from_millis(30)).await;
        worker.close().await;
        drop(worker);
        if round % 2 == 1 {
            copy(&place.0.join("n1"), &backup);
        }
        fs::remove_dir_all(place.0.join("n1")).unwrap();
        copy(&backup, &place.0.join("n1"));
        worker = place.node("n1", &transport);
        assert_eq!(serve(&worker, &runs), address);
        while let Some(answered) = asked.join_next().await {
            answered.unwrap();
        }
    }
    let runs = std::mem::take(&mut *runs.lock().unwrap());
    assert_eq!(runs.len(), number);
    for (id, runs) in runs {
        assert!(runs.iter().skip(1).all(|marked| *marked), "{id}: {runs:?}");
    }
    worker.close().await;
    asking.close().await;
}

/// A copy of the worker's home runs where none of its messages arrive. Its certificate is newer than the original's, which is told of by
/// whoever seals for it: the original makes a newer one, and is served again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_copy_does_not_cut_the_original_off() {
    let (place, transport, clock) = (Place::new(), Memory::new(), Ahead::default());
    let asking = place.node_at("n0", &transport, &clock);
    let boss = asking.host("boss").unwrap();
    let worker = place.node_at("n1", &transport, &clock);
    let runs = Runs::default();
    let address = serve(&worker, &runs);
    asking.request(&boss, &address, task("before"), LONG).await.unwrap();
    copy(&place.0.join("n1"), &place.0.join("n2"));
    clock.0.store(60, Ordering::SeqCst);
    let copied = place.node_at("n2", &Memory::new(), &clock);
    assert_eq!(copied.host("worker").unwrap(), address);
    asking.endpoint().introduce(copied.endpoint().certificate(&address).unwrap().as_bytes()).unwrap();
    let reply = asking.request(&boss, &address, task("after"), LONG).await.unwrap();
    assert_eq!(reply.body(), b"after");
    assert_eq!(runs.lock().unwrap().len(), 2, "by the original");
    for node in [copied, worker, asking] {
        node.close().await;
    }
}
