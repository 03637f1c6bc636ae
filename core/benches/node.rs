//! Nodes over loopback with everything on (outbox, journal, acknowledgements), beside what a program without sealwire does over plain TCP and under
//! mutual TLS. `cargo bench -p sealwire --features node,pairing,tls --bench node -- [MESSAGES] [SIZE…] [--assert]`.
//!
//! A line for each size and way: messages one way a second of wall time, and a second of processor time of the sending and of the receiving side,
//! which are threads of their own in this process; median and 99th percentile of the time of a request and its reply, one at a time. *Times*
//! compares with plain TCP in the same run: processor time of both sides, and the median. `--assert` fails when a side of nodes with homes does
//! fewer than 5,000 messages of 4 KiB a second and core.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

use std::{
    net::TcpListener,
    path::{Path, PathBuf},
    sync::atomic::{AtomicU32, Ordering},
    time::{Duration, Instant},
};

use sealwire::{
    Address, Draft, Endpoint, Home, NodeKey, Root, RosterClaims,
    node::{Node, Reply, Request},
    pairing::{Join, Offer, Terms, join},
    transport::Streams,
};
use tokio::task::JoinSet;

#[path = "../tests/transports/authority.rs"]
#[allow(unreachable_pub, reason = "shared with the tests of transports")]
mod authority;
#[path = "node/plain.rs"]
mod plain;
#[path = "node/side.rs"]
mod side;

use side::{Side, Times};

/// Deadline of a request. One of 10 minutes or more goes without a lane.
const LONG: Duration = Duration::from_secs(60);
const AT_ONCE: usize = 256;
const SIZES: [usize; 4] = [256, 4 * 1024, 64 * 1024, 1024 * 1024];

/// Bytes sent one way at each size, at most. Without sealwire ten times as many messages are sent: they are faster.
const ENOUGH: usize = 256 * 1024 * 1024;

/// Messages of 4 KiB a second and core that a node with a home sends at least, and receives.
const TARGET: f64 = 5_000.0;

struct Measured {
    /// Messages one way a second.
    rate: f64,
    /// Messages one way a second of processor time that the sending and the receiving side took.
    per_core: [f64; 2],
    /// Requests, in order of their time.
    times: Vec<Duration>,
}

impl Measured {
    fn new(count: usize, [wall, sending, receiving]: Times, mut times: Vec<Duration>) -> Self {
        times.sort();
        let a_second = |time: Duration| count as f64 / time.as_secs_f64();
        Self { rate: a_second(wall), per_core: [a_second(sending), a_second(receiving)], times }
    }

    fn percentile(&self, percent: usize) -> f64 {
        self.times[self.times.len() * percent / 100].as_secs_f64() * 1e6
    }

    /// Seconds of processor time for one message, on both sides together.
    fn cost(&self) -> f64 {
        self.per_core.iter().map(|rate| rate.recip()).sum()
    }
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let numbers: Vec<usize> = arguments.iter().filter_map(|argument| argument.parse().ok()).collect();
    let (count, sizes) = numbers.split_first().map_or((10_000, &SIZES[..]), |(count, sizes)| (*count, sizes));
    let sizes = if sizes.is_empty() { &SIZES[..] } else { sizes };
    println!(
        "{:>8} {:<15} {:>10} {:>13} {:>15} {:>6} {:>9} {:>9} {:>6}",
        "bytes", "way", "one way /s", "sending /core", "receiving /core", "times", "p50 µs", "p99 µs", "times"
    );
    let sides = ["sending", "receiving"].map(Side::new);
    for size in sizes {
        let (many, count) = ((10 * count).min(ENOUGH / size), count.min(ENOUGH / size));
        let place = Place::new();
        let plain = plain::tcp(&sides, *size, many);
        print(*size, "TCP", &plain, &plain);
        print(*size, "mutual TLS", &plain::mutual_tls(&sides, &place.0, *size, many), &plain);
        print(*size, "sealed, memory", &sealed(&sides, in_memory(), *size, count), &plain);
        let with_homes = sealed(&sides, with_homes(&place), *size, count);
        print(*size, "sealed, homes", &with_homes, &plain);
        if *size == 4096 && arguments.iter().any(|argument| argument == "--assert") {
            assert!(with_homes.per_core.iter().all(|rate| *rate >= TARGET), "{:.0?} messages a second and core", with_homes.per_core);
        }
    }
}

fn print(size: usize, way: &str, measured: &Measured, plain: &Measured) {
    let Measured { rate, per_core: [sending, receiving], .. } = measured;
    let (p50, p99) = (measured.percentile(50), measured.percentile(99));
    let (slower, later) = (measured.cost() / plain.cost(), p50 / plain.percentile(50));
    println!("{size:>8} {way:<15} {rate:>10.0} {sending:>13.0} {receiving:>15.0} {slower:>6.1} {p50:>9.0} {p99:>9.0} {later:>6.1}");
}

/// A folder that goes away.
struct Place(PathBuf);

impl Place {
    fn new() -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let name = format!("bench-{}-{}", std::process::id(), NUMBER.fetch_add(1, Ordering::Relaxed));
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        std::fs::remove_dir_all(&self.0).ok();
    }
}

/// Endpoints of two nodes of a domain, in memory.
fn in_memory() -> [Endpoint; 2] {
    let root = Root::generate().unwrap();
    let keys = ["n0", "n1"].map(|name| NodeKey::generate(name).unwrap());
    let claims = RosterClaims { nodes: keys.iter().map(|key| key.listed().unwrap()).collect(), ..RosterClaims::default() };
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
    let roster = root.sign_roster(None, claims, now);
    keys.map(|key| Endpoint::builder().member(key, *root.verifying_key(), roster.clone()).unwrap())
}

/// The same, each with a home.
fn with_homes(place: &Place) -> [Endpoint; 2] {
    let (home, _) = Home::init(place.0.join("n0"), "n0").unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let terms = Terms { node: "n1".into(), patterns: vec!["*".into()], lifetime: 600 };
    let offer = Offer::make(&home, listener, vec![address], terms).unwrap();
    let invite = offer.invite().to_text().parse().unwrap();
    let waiting = std::thread::spawn(move || offer.wait(|_, error| panic!("{error}")).unwrap());
    let joined = join(&invite, &place.0.join("n1"), &Join { hosts: Vec::new(), addresses: Some(Vec::new()) }).unwrap();
    waiting.join().unwrap();
    [home, joined.home].map(|home| Endpoint::builder().home(&home).unwrap())
}

fn sealed(sides: &[Side; 2], [left, right]: [Endpoint; 2], size: usize, count: usize) -> Measured {
    let [sending, receiving] = sides;
    let serve = |request: Request| async move {
        if request.message().header().kind == "say" {
            Ok(Reply::none())
        } else {
            Ok(Reply::new("result", request.into_message().into_body()))
        }
    };
    let (right, b, location) = receiving.run(async move {
        let listening = Streams::builder("n1").listen("tcp://127.0.0.1:0").build().await.unwrap();
        let location = listening.listening().first().unwrap().to_string();
        let right = Node::builder(right, listening).build().unwrap();
        let b = right.serve("b", serve).unwrap();
        (right, b, location)
    });
    let (left, times, talk) = sending.run(async move {
        let dialling = Streams::builder("n0").peer("n1", &location).build().await.unwrap();
        let left = Node::builder(left, dialling).build().unwrap();
        let (a, body) = (left.host("a").unwrap(), vec![7_u8; size]);
        let mut times = Vec::new();
        for _ in 0..20 + count.min(1000) {
            let since = Instant::now();
            left.request(&a, &b, Draft::new("task", &body), LONG).await.unwrap();
            times.push(since.elapsed());
        }
        times.drain(..20);
        (left, times, (a, b, body))
    });
    let (a, b, body) = talk;
    let took = side::time(sides, one_way(left.clone(), a, b, body, count));
    sending.run(async move { left.close().await });
    receiving.run(async move { right.close().await });
    Measured::new(count, took, times)
}

/// Ends when all are acknowledged.
async fn one_way(left: Node<Streams>, a: Address, b: Address, body: Vec<u8>, count: usize) {
    let mut sending = JoinSet::new();
    for lane in 0..AT_ONCE {
        let (left, a, b, body) = (left.clone(), a.clone(), b.clone(), body.clone());
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
}
