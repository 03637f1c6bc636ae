//! Whatever becomes of envelopes on the way, each genuine message opens once: two agents, held against a model that knows what was opened and
//! which lanes its reader named.
//!
//! An input is a list of events, two bytes each: an envelope is sealed, arrives (never, late, again, in another order, altered, at the wrong
//! reader), a lane is forgotten, time passes, a process restarts.

#![no_main]

use std::{
    cell::RefCell,
    collections::HashSet,
    fs,
    path::{Path, PathBuf},
    process,
};

use libfuzzer_sys::fuzz_target;
use sealwire::{
    Address, Claims, Clock, Draft, Endpoint, Envelope, LaneId, OpenError, Sealed,
    limits::{CLOCK_TOLERANCE, LANE_KEPT, MAX_LANES_PER_PEER, MAX_LIFETIME, REQUEST_LIFETIME},
};
use sealwire_fuzz::Hands;

/// Events of one input; more only repeat what fewer do.
const EVENTS: usize = 64;

/// Seconds that may pass at a time: within the wait for an offer, past it, past a lane's time, past a message's, past a certificate's.
const TIMES: [u64; 8] = [1, 5, 20, 40, 300, 700, 5000, 70_000];

/// Seconds between two inputs: all that one input made is over before the next.
const BETWEEN: u64 = 4 * MAX_LIFETIME;

/// An agent and the process that hosts it.
struct Site {
    endpoint: Option<Endpoint>,
    agent: Address,
    /// The model: lanes that this process has named to the other agent.
    named: HashSet<LaneId>,
    /// The model: when openings were opened by this process.
    openings: Vec<u64>,
}

/// An envelope that was sealed in this input.
struct Genuine {
    to: usize,
    envelope: Envelope,
    expires: u64,
    opened: bool,
}

struct World {
    home: PathBuf,
    hands: Hands,
    sites: [Site; 2],
    sealed: Vec<Genuine>,
}

impl World {
    fn new() -> Self {
        let memory = Path::new("/dev/shm");
        let folder = if memory.is_dir() { memory.into() } else { std::env::temp_dir() };
        let (home, hands) = (folder.join(format!("sealwire-fuzz-{}", process::id())), Hands::at(1_800_000_000));
        let sites = ["a", "b"].map(|name| {
            let (endpoint, agent) = start(&home, &hands, name);
            Site { endpoint: Some(endpoint), agent, named: HashSet::new(), openings: Vec::new() }
        });
        Self { home, hands, sites, sealed: Vec::new() }
    }

    fn run(&mut self, events: &[u8]) {
        self.pass(BETWEEN);
        self.sealed.clear();
        for event in events.chunks_exact(2).take(EVENTS) {
            self.happen(event[0], usize::from(event[1]));
        }
        for number in 0..self.sealed.len() {
            self.arrive(number);
            self.arrive(number);
        }
    }

    fn happen(&mut self, what: u8, which: usize) {
        let number = which.checked_rem(self.sealed.len());
        match (what % 10, number) {
            (0, _) => self.seal(which % 2, REQUEST_LIFETIME),
            (1, _) => self.seal(which % 2, MAX_LIFETIME),
            (2, _) => self.acknowledge(which % 2),
            (3, _) => self.pass(TIMES[which % TIMES.len()]),
            (4, _) => self.restart(which % 2),
            (5 | 6, Some(number)) => self.arrive(number),
            (7, Some(number)) => self.arrive_altered(number, which),
            (8, Some(number)) => self.arrive_elsewhere(number),
            (9, Some(number)) => self.forget(number),
            _ => {}
        }
    }

    fn endpoint(&self, site: usize) -> &Endpoint {
        self.sites[site].endpoint.as_ref().expect("a process that runs")
    }

    fn seal(&mut self, from: usize, lifetime: u64) {
        let draft = Draft::new("task", self.sealed.len().to_be_bytes()).lifetime(lifetime);
        let [author, reader] = [from, 1 - from].map(|site| &self.sites[site].agent);
        let sealed = self.endpoint(from).seal(author, reader, &draft).expect("sealed");
        self.send(from, sealed);
    }

    /// Names the lanes of the other agent, as one does that has nothing to say.
    fn acknowledge(&mut self, from: usize) {
        let [author, reader] = [from, 1 - from].map(|site| &self.sites[site].agent);
        if let Some(sealed) = self.endpoint(from).acknowledge(author, reader).expect("sealed, or nothing to name") {
            self.send(from, sealed);
        }
    }

    fn send(&mut self, from: usize, Sealed { envelope, header, .. }: Sealed) {
        self.sites[from].named.extend(header.acknowledged.lanes);
        self.sealed.push(Genuine { to: 1 - from, envelope, expires: header.expires, opened: false });
    }

    fn arrive(&mut self, number: usize) {
        let now = self.hands.now();
        let genuine = &self.sealed[number];
        let opened = self.endpoint(genuine.to).open(&genuine.envelope);
        let site = &self.sites[genuine.to];
        let lane = match genuine.envelope.claims() {
            Claims::Lane(lane) => Some(lane),
            _ => None,
        };
        let held = lane.is_none_or(|lane| site.named.contains(&lane));
        let crowded = site.openings.iter().filter(|at| now - **at < LANE_KEPT).count() > MAX_LANES_PER_PEER;
        match &opened {
            Ok(message) => {
                assert!(!genuine.opened, "opened twice");
                assert!(held, "opened in a lane that its reader never named");
                assert!(now < genuine.expires + CLOCK_TOLERANCE, "opened after its time");
                assert!(message.header().kind != "task" || message.body() == number.to_be_bytes(), "another message");
            }
            Err(OpenError::Duplicate(_)) => assert!(genuine.opened, "lost: never opened, and said to be"),
            Err(OpenError::UnknownLane) => assert!(!held || crowded || now >= genuine.expires, "lost: its lane is held"),
            Err(refused) => assert!(now >= genuine.expires, "lost: {refused}"),
        }
        if opened.is_ok() {
            self.sealed[number].opened = true;
            let site = &mut self.sites[self.sealed[number].to];
            site.openings.extend(lane.is_none().then_some(now));
        }
    }

    fn arrive_altered(&self, number: usize, which: usize) {
        let Genuine { to, envelope, .. } = &self.sealed[number];
        let mut bytes = envelope.as_bytes().to_vec();
        let at = which * 131 % bytes.len();
        bytes[at] ^= 1 << (which % 8);
        assert!(self.endpoint(*to).open_bytes(&bytes).is_err(), "opened, and nobody sealed it");
    }

    fn arrive_elsewhere(&self, number: usize) {
        let Genuine { to, envelope, .. } = &self.sealed[number];
        assert!(self.endpoint(1 - to).open(envelope).is_err(), "opened by another than its reader");
    }

    /// What anybody on the way may say: that the lane is lost.
    fn forget(&self, number: usize) {
        let Genuine { to, envelope, .. } = &self.sealed[number];
        if let Claims::Lane(lane) = envelope.claims() {
            self.endpoint(1 - to).forget_lane(lane);
        }
    }

    fn pass(&mut self, seconds: u64) {
        self.hands.forward(seconds);
        self.meet();
    }

    fn restart(&mut self, site: usize) {
        let name = self.sites[site].agent.name().to_owned();
        self.sites[site].endpoint = None;
        let (endpoint, agent) = start(&self.home, &self.hands, &name);
        self.sites[site] = Site { endpoint: Some(endpoint), agent, named: HashSet::new(), openings: Vec::new() };
        self.meet();
    }

    /// Each gets the other's certificate, as it is now.
    fn meet(&self) {
        (0..2).for_each(|site| self.endpoint(site).maintain().expect("maintained"));
        for site in 0..2 {
            let certificate = self.endpoint(1 - site).certificate(&self.sites[1 - site].agent).expect("hosted");
            self.endpoint(site).introduce(certificate.as_bytes()).expect("introduced");
        }
    }
}

impl Drop for World {
    fn drop(&mut self) {
        let _stays_there = fs::remove_dir_all(&self.home);
    }
}

/// A process of the home, which hosts one of the two agents.
fn start(home: &Path, hands: &Hands, name: &str) -> (Endpoint, Address) {
    let (endpoint, _) = Endpoint::builder().clock(hands.clone()).home_or_init(home, "local").expect("an endpoint");
    let agent = endpoint.host(name).expect("an agent");
    (endpoint, agent)
}

thread_local! {
    static WORLD: RefCell<World> = RefCell::new(World::new());
}

fuzz_target!(|events: &[u8]| WORLD.with_borrow_mut(|world| world.run(events)));
