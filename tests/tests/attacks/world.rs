//! Who is attacked: agents of one domain, on hosts of their own or in one home.

use std::{
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use sealwire::{Address, Clock, Draft, Endpoint, Envelope, Form, Message, NodeKey, OpenError, Root, RosterClaims, RosterNode};

use crate::hostile::open;

pub(crate) const START: u64 = 1_800_000_000;

/// A clock that a test sets.
#[derive(Clone)]
pub(crate) struct Hands(Arc<AtomicU64>);

impl Hands {
    pub(crate) fn new() -> Self {
        Self(Arc::new(AtomicU64::new(START)))
    }

    pub(crate) fn set(&self, seconds_after_start: i64) {
        self.0.store(START.checked_add_signed(seconds_after_start).unwrap(), Ordering::SeqCst);
    }
}

impl Clock for Hands {
    fn now(&self) -> u64 {
        self.0.load(Ordering::SeqCst)
    }
}

/// Three hosts with one agent each: `a@one` writes to `b@two`; `m@three` belongs to the same domain and means ill.
pub(crate) struct Hosts {
    pub(crate) root: Root,
    pub(crate) hands: Hands,
    pub(crate) one: Endpoint,
    pub(crate) two: Endpoint,
    pub(crate) three: Endpoint,
    pub(crate) a: Address,
    pub(crate) b: Address,
    pub(crate) m: Address,
}

impl Hosts {
    pub(crate) fn new() -> Self {
        let (root, hands) = (Root::generate().unwrap(), Hands::new());
        let nodes = ["one", "two", "three"].map(|name| NodeKey::generate(name).unwrap());
        let listed: Vec<RosterNode> = nodes.iter().map(|node| node.listed().unwrap()).collect();
        let roster = root.sign_roster(None, RosterClaims { nodes: listed, ..RosterClaims::default() }, START);
        let [one, two, three] =
            nodes.map(|node| Endpoint::builder().clock(hands.clone()).member(node, *root.verifying_key(), roster.clone()).unwrap());
        let [a, b, m] = [(&one, "a"), (&two, "b"), (&three, "m")].map(|(host, name)| host.host(name).unwrap());
        one.introduce(two.certificate(&b).unwrap().as_bytes()).unwrap();
        three.introduce(two.certificate(&b).unwrap().as_bytes()).unwrap();
        Self { root, hands, one, two, three, a, b, m }
    }

    /// A message from `a` to `b`, in the form asked for.
    pub(crate) fn seal(&self, form: Form, body: &str) -> Envelope {
        if form == Form::Lane {
            self.settle_lane();
        }
        let sealed = self.one.seal(&self.a, &self.b, &Draft::new("task", body)).unwrap();
        assert_eq!(sealed.envelope.form(), form);
        sealed.envelope
    }

    /// Lets `b` name a lane to `a`, unless they have one.
    pub(crate) fn settle_lane(&self) {
        let first = self.one.seal(&self.a, &self.b, &Draft::new("task", "first")).unwrap().envelope;
        if self.two.open(&first).unwrap().form() == Form::Opening {
            let named = self.two.acknowledge(&self.b, &self.a).unwrap().unwrap();
            self.one.open(&named.envelope).unwrap();
        }
    }

    pub(crate) fn open(&self, envelope: &Envelope) -> Result<Message, OpenError> {
        open(&self.two, envelope.as_bytes())
    }
}

/// A folder that goes away with the test.
pub(crate) struct Scratch(PathBuf);

impl Scratch {
    pub(crate) fn new(test: &str) -> Self {
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{test}-{}", std::process::id()));
        let _left_by_an_earlier_run = std::fs::remove_dir_all(&path);
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    pub(crate) fn join(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Two agents of one home.
pub(crate) struct Homely {
    pub(crate) endpoint: Endpoint,
    pub(crate) hands: Hands,
    a: Address,
    b: Address,
}

impl Homely {
    /// Starts on a home, as a process would.
    pub(crate) fn start(home: &Path) -> Self {
        Self::start_at(home, Hands::new())
    }

    /// As [`Homely::start`], by the machine's own clock: other processes take part.
    pub(crate) fn start_now(home: &Path) -> Self {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
        let hands = Hands::new();
        hands.0.store(now, Ordering::SeqCst);
        Self::start_at(home, hands)
    }

    fn start_at(home: &Path, hands: Hands) -> Self {
        let (endpoint, _) = Endpoint::builder().clock(hands.clone()).home_or_init(home, "local").unwrap();
        let (a, b) = (endpoint.host("a").unwrap(), endpoint.host("b").unwrap());
        Self { endpoint, hands, a, b }
    }

    pub(crate) fn seal(&self, body: &str) -> Envelope {
        self.endpoint.seal(&self.a, &self.b, &Draft::new("task", body)).unwrap().envelope
    }

    pub(crate) fn open(&self, envelope: &Envelope) -> Result<Message, OpenError> {
        open(&self.endpoint, envelope.as_bytes())
    }
}
