//! Nodes over loopback, with everything on: outbox, journal, acknowledgements. `cargo bench --features node,tcp,pairing --bench node [MESSAGES]`.
//!
//! One line for each kind of endpoint, transport and size: messages one way a second of wall time and a second and core, and the median time
//! of a request and its reply.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

use std::{
    net::TcpListener,
    path::Path,
    sync::atomic::{AtomicU32, Ordering},
    time::{Duration, Instant},
};

use sealwire::{
    Address, Draft, Endpoint, Home, NodeKey, Root, RosterClaims, Transport,
    node::{Node, Reply, Request},
    pairing::{Join, Offer, Terms, join},
    transport::{Memory, Streams},
};
use tokio::task::JoinSet;

const LONG: Duration = Duration::from_secs(600);
const AT_ONCE: usize = 256;

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() {
    let count = std::env::args().filter_map(|argument| argument.parse().ok()).next().unwrap_or(10_000);
    println!("{:<7} {:<7} {:>8} {:>12} {:>16} {:>14}", "keeps", "over", "bytes", "one way /s", "one way /s·core", "request, µs");
    for size in [256, 4096, 65_536] {
        for home in [false, true] {
            let (a, b) = endpoints(home);
            let memory = Memory::new();
            measure("memory", home, (a, memory.clone()), (b, memory), size, count).await;
            let (a, b) = endpoints(home);
            let (left, right) = streams().await;
            measure("tcp", home, (a, left), (b, right), size, count).await;
        }
    }
}

async fn streams() -> (Streams, Streams) {
    let right = Streams::builder("b@n1").listen("tcp://127.0.0.1:0").build().await.unwrap();
    let location = right.listening().first().unwrap().to_string();
    let left = Streams::builder("a@n0").peer("b@n1", &location).build().await.unwrap();
    (left, right)
}

/// Two nodes of a domain, in memory or each with a home.
fn endpoints(home: bool) -> (Endpoint, Endpoint) {
    if home {
        return homes();
    }
    let root = Root::generate().unwrap();
    let keys: Vec<_> = ["n0", "n1"].iter().map(|name| NodeKey::generate(name).unwrap()).collect();
    let claims = RosterClaims { nodes: keys.iter().map(|key| key.listed().unwrap()).collect(), ..RosterClaims::default() };
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
    let roster = root.sign_roster(None, claims, now);
    let mut made = keys.into_iter().map(|key| Endpoint::builder().member(key, *root.verifying_key(), roster.clone()).unwrap());
    (made.next().unwrap(), made.next().unwrap())
}

fn homes() -> (Endpoint, Endpoint) {
    let folder =
        Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("bench-{}-{}", std::process::id(), NUMBER.fetch_add(1, Ordering::Relaxed)));
    let (home, _) = Home::init(folder.join("n0"), "n0").unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let terms = Terms { node: "n1".into(), patterns: vec!["*".into()], lifetime: 600 };
    let offer = Offer::make(&home, listener, vec![address], terms).unwrap();
    let invite = offer.invite().to_text().parse().unwrap();
    let waiting = std::thread::spawn(move || offer.wait(|_, error| panic!("{error}")).unwrap());
    let joined = join(&invite, &folder.join("n1"), &Join { hosts: Vec::new(), addresses: Some(Vec::new()) }).unwrap();
    waiting.join().unwrap();
    let open = |home| Endpoint::builder().home(home).unwrap();
    (open(&home), open(&joined.home))
}

static NUMBER: AtomicU32 = AtomicU32::new(0);

async fn measure<T: Transport + 'static>(over: &str, home: bool, left: (Endpoint, T), right: (Endpoint, T), size: usize, count: usize) {
    let (left, right) = (Node::builder(left.0, left.1).build().unwrap(), Node::builder(right.0, right.1).build().unwrap());
    let a = left.host("a").unwrap();
    let serve = |request: Request| async move {
        if request.message().header().kind == "say" {
            Ok(Reply::none())
        } else {
            Ok(Reply::new("result", request.into_message().into_body()))
        }
    };
    let b = right.serve("b", serve).unwrap();
    left.endpoint().introduce(right.endpoint().certificate(&b).unwrap().as_bytes()).unwrap();
    right.endpoint().introduce(left.endpoint().certificate(&a).unwrap().as_bytes()).unwrap();
    let body = vec![7_u8; size];
    for _ in 0..20 {
        left.request(&a, &b, Draft::new("task", &body), LONG).await.unwrap();
    }
    let (wall, cpu) = one_way(&left, &a, &b, &body, count).await;
    let mut times = Vec::new();
    for _ in 0..count.min(1000) {
        let since = Instant::now();
        left.request(&a, &b, Draft::new("task", &body), LONG).await.unwrap();
        times.push(since.elapsed());
    }
    times.sort();
    let keeps = if home { "home" } else { "memory" };
    let (rate, per_core) = (count as f64 / wall.as_secs_f64(), count as f64 / cpu.as_secs_f64());
    println!("{keeps:<7} {over:<7} {size:>8} {rate:>12.0} {per_core:>16.0} {:>14}", times[times.len() / 2].as_micros());
    left.close().await;
    right.close().await;
}

/// Wall time and processor time until all are acknowledged.
async fn one_way<T: Transport + 'static>(left: &Node<T>, a: &Address, b: &Address, body: &[u8], count: usize) -> (Duration, Duration) {
    let (since, cpu) = (Instant::now(), processor_time());
    let mut sending = JoinSet::new();
    for lane in 0..AT_ONCE {
        let (left, a, b, body) = (left.clone(), a.clone(), b.clone(), body.to_vec());
        sending.spawn(async move {
            for _ in (lane..count).step_by(AT_ONCE) {
                left.send(&a, &b, Draft::new("say", &body)).await.unwrap();
            }
        });
    }
    while let Some(sent) = sending.join_next().await {
        sent.unwrap();
    }
    while left.under_way() > 0 {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    (since.elapsed(), processor_time() - cpu)
}

/// Of this process, in hundredths of a second.
fn processor_time() -> Duration {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    let ticks: u64 = stat.rsplit(')').next().unwrap().split_whitespace().skip(11).take(2).map(|field| field.parse::<u64>().unwrap()).sum();
    Duration::from_millis(ticks * 10)
}
