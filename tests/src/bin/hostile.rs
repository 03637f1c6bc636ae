//! Hostile delivery: what an attacker who carries the envelopes can do to agents with stores, counted.
//!
//! Usage: `hostile [--deliveries N] [--seed N]`. Two processes of one home on disk and two hosts with their journal in memory write to each other.
//! Every envelope goes through an attacker, who flips, cuts, extends, forges, splices, repeats, reorders and misdirects it, and delivers it again
//! after restarts and after a backup was put back. A sender seals anew what was refused as `UnknownKey` or `UnknownLane`.
//!
//! It ends with 1 if a genuine message was lost or harmed, one was released twice, something forged was released, or memory grew. The seed decides
//! what is done and in which order; keys are new in each run.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use std::{
    collections::{BTreeMap, HashSet},
    fs,
    path::PathBuf,
    process::ExitCode,
};

use sealwire::{Address, Claims, Draft, Endpoint, Envelope, Form, Message, NodeKey, OpenError, Root, RosterClaims, RosterNode};
use sealwire_tests::{backup::copy, prescribed::Hands};

const START: u64 = 1_800_000_000;

/// Deliveries in a second of the agents' clock: the journals forget, lanes end and keys are renewed as in days of use.
const PER_SECOND: u64 = 4;

/// Genuine envelopes under way at a time. Any of them may be the next.
const UNDER_WAY: usize = 16;

/// Envelopes that the attacker keeps, old and new.
const KEPT: usize = 1024;

/// Deliveries between two events in the home on disk: a process restarts, a backup is made, it is put back.
const EVENT: u64 = 1000;

/// How often a message is sealed anew at most. Each time its reader has lost a key or a lane, which happens every few thousand deliveries.
const ANEW: u32 = 20;

/// Bytes by which resident memory may grow after the warm-up. The journals are the same size by then; allocator and SQLite's cache still move.
const GROWTH: u64 = 8_000_000;

/// So many bytes before the id of key or lane, an envelope of either form has its tag.
const BEFORE_ID: usize = 16;

/// Deliveries until journals and caches have their size: the journal keeps a row for 12 minutes.
const WARM_UP: u64 = 4000;

fn main() -> ExitCode {
    let (deliveries, seed) = arguments();
    let mut trial = Trial::new(deliveries, seed);
    for number in 0..deliveries {
        trial.step(number);
    }
    trial.finish();
    trial.report(deliveries, seed)
}

fn arguments() -> (u64, u64) {
    let (mut deliveries, mut seed) = (20_000, 1);
    let words: Vec<String> = std::env::args().skip(1).collect();
    for pair in words.chunks(2) {
        match pair {
            [name, value] if name == "--deliveries" => deliveries = value.parse().expect("a number of deliveries"),
            [name, value] if name == "--seed" => seed = value.parse().expect("a seed"),
            _ => panic!("hostile [--deliveries N] [--seed N]"),
        }
    }
    (deliveries, seed)
}

/// SplitMix64: choices that a seed repeats.
struct Dice(u64);

impl Dice {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.next() % end as u64).unwrap()
    }
}

/// An endpoint with the agent that writes and reads there.
struct Site {
    endpoint: Endpoint,
    agent: Address,
    /// Which agent it writes to, by site.
    peer: usize,
    /// Receive keys and lanes that something was opened with since the last restart: they must stay.
    held: HashSet<[u8; 16]>,
}

/// A home on disk, a backup of it, and how its processes start.
struct Disk {
    place: PathBuf,
    hands: Hands,
    restored: u32,
}

impl Disk {
    fn home(&self) -> PathBuf {
        self.place.join("home")
    }

    fn backup(&self) -> PathBuf {
        self.place.join("backup")
    }

    fn start(&self) -> (Endpoint, [Address; 2]) {
        let (endpoint, _) = Endpoint::builder().clock(self.hands.clone()).home_or_init(self.home(), "local").unwrap();
        let agents = ["a", "b"].map(|name| endpoint.host(name).unwrap());
        (endpoint, agents)
    }

    fn save(&self) {
        let _the_one_before = fs::remove_dir_all(self.backup());
        copy(&self.home(), &self.backup());
    }

    /// In turn: the folder is replaced, or the store's content is.
    fn restore(&mut self) {
        self.restored += 1;
        if self.restored % 2 == 1 {
            fs::remove_dir_all(self.home()).unwrap();
            copy(&self.backup(), &self.home());
        } else {
            for name in ["store.db-wal", "store.db-shm"] {
                let _may_not_be_there = fs::remove_file(self.home().join(name));
            }
            fs::write(self.home().join("store.db"), fs::read(self.backup().join("store.db")).unwrap()).unwrap();
        }
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.place);
    }
}

/// A genuine envelope: message `number`, from the peer of the site `to`.
#[derive(Clone)]
struct Genuine {
    number: usize,
    to: usize,
    anew: u32,
    envelope: Envelope,
}

struct Trial {
    dice: Dice,
    hands: Hands,
    disk: Disk,
    sites: Vec<Site>,
    under_way: Vec<Genuine>,
    kept: Vec<Genuine>,
    /// The model: what was released, by number. Written once at the start, so that it does not grow.
    released: Vec<bool>,
    sealed: usize,
    done: u64,
    counts: BTreeMap<&'static str, u64>,
    faults: BTreeMap<&'static str, u64>,
    memory: Vec<(u64, u64)>,
}

impl Trial {
    fn new(deliveries: u64, seed: u64) -> Self {
        let hands = Hands::at(START);
        let place = std::env::temp_dir().join(format!("sealwire-hostile-{}", std::process::id()));
        fs::create_dir_all(&place).unwrap();
        let disk = Disk { place, hands: hands.clone(), restored: 0 };
        let [(first, [a, _]), (second, [_, b])] = [disk.start(), disk.start()];
        let [third, fourth] = in_memory(&hands);
        let mut sites = Vec::new();
        for (endpoint, agent, peer) in [(first, a, 1), (second, b, 0), (third.0, third.1, 3), (fourth.0, fourth.1, 2)] {
            sites.push(Site { endpoint, agent, peer, held: HashSet::new() });
        }
        // Not zeros: those would take no memory until they are written.
        let mut released = vec![true; usize::try_from(deliveries).unwrap() + UNDER_WAY];
        released.fill(false);
        let (under_way, kept, counts, faults, memory) = (Vec::new(), Vec::new(), BTreeMap::new(), BTreeMap::new(), Vec::new());
        let mut trial =
            Self { dice: Dice(seed), hands, disk, sites, under_way, kept, released, sealed: 0, done: 0, counts, faults, memory };
        trial.introduce();
        trial
    }

    /// Hosts that keep nothing on disk exchange their certificates.
    fn introduce(&mut self) {
        for (reader, author) in [(2, 3), (3, 2)] {
            let certificate = self.sites[author].endpoint.certificate(&self.sites[author].agent).unwrap();
            self.sites[reader].endpoint.introduce(certificate.as_bytes()).unwrap();
        }
    }

    fn count(&mut self, what: &'static str) {
        *self.counts.entry(what).or_default() += 1;
    }

    fn fault(&mut self, what: &'static str, number: usize, why: Option<&OpenError>) {
        let faults = self.faults.entry(what).or_default();
        *faults += 1;
        if *faults <= 3 {
            let why = why.map_or(String::new(), |error| format!(": {error}"));
            println!("{what}: message {number} at delivery {}{why}", self.done);
        }
    }

    /// One delivery, with what happens before it.
    fn step(&mut self, number: u64) {
        self.done = number;
        self.hands.set(START + number / PER_SECOND);
        if number % EVENT == EVENT - 1 {
            self.event(number / EVENT);
        }
        while self.under_way.len() < UNDER_WAY {
            let to = self.dice.below(self.sites.len());
            let number = self.sealed;
            self.sealed += 1;
            self.seal(number, to, 0);
        }
        if number == WARM_UP || (number > WARM_UP && number.is_multiple_of(1000)) {
            self.memory.push((number, resident()));
        }
        self.attack();
    }

    fn seal(&mut self, number: usize, to: usize, anew: u32) {
        let [author, reader] = [self.sites[to].peer, to].map(|site| &self.sites[site]);
        let body = [&(number as u64).to_be_bytes()[..], &vec![7; number % 200]].concat();
        let envelope = author.endpoint.seal(&author.agent, &reader.agent, &Draft::new("task", body)).unwrap().envelope;
        let genuine = Genuine { number, to, anew, envelope };
        if self.kept.len() < KEPT {
            self.kept.push(genuine.clone());
        } else {
            let place = self.dice.below(KEPT);
            self.kept[place] = genuine.clone();
        }
        self.under_way.push(genuine);
    }

    fn event(&mut self, number: u64) {
        match number % 6 {
            1 => self.restart(&[0, 1], "backups made", |disk| disk.save()),
            4 => self.restart(&[0, 1], "backups restored", Disk::restore),
            0 | 3 => self.restart(&[0], "restarts", |_| ()),
            _ => self.restart(&[1], "restarts", |_| ()),
        }
    }

    fn restart(&mut self, sites: &[usize], what: &'static str, meanwhile: impl FnOnce(&mut Disk)) {
        // An endpoint in memory takes the place, so that the one on disk is gone before its files are touched.
        for &site in sites {
            self.sites[site].endpoint = Endpoint::builder().in_memory("nobody").unwrap();
            self.sites[site].held.clear();
        }
        meanwhile(&mut self.disk);
        for &site in sites {
            self.sites[site].endpoint = self.disk.start().0;
        }
        self.count(what);
    }

    fn attack(&mut self) {
        let at = self.dice.below(UNDER_WAY);
        let genuine = self.under_way[at].clone();
        let mut bytes = genuine.envelope.as_bytes().to_vec();
        let (place, end) = (self.dice.below(bytes.len()), bytes.len());
        match self.dice.below(16) {
            0..4 => self.deliver(at),
            4..7 => {
                bytes[place] ^= 1 << self.dice.below(8);
                self.deliver_altered("flipped", &genuine, &bytes);
            }
            // The tag alone: whoever acts before it is checked sees the genuine header.
            7 => {
                let id = id(&genuine.envelope);
                let after_tag = bytes.windows(id.len()).position(|part| part == id).unwrap();
                bytes[after_tag - BEFORE_ID] ^= 0x80;
                self.deliver_altered("flipped", &genuine, &bytes);
            }
            8 => self.deliver_altered("truncated", &genuine, &bytes[..place]),
            9 => {
                bytes.push(self.dice.next() as u8);
                self.deliver_altered("extended", &genuine, &bytes);
            }
            // The genuine key or lane, and as ciphertext what nobody sealed.
            10 => {
                let last = (64 + self.dice.below(100)).min(end);
                bytes[56..last].iter_mut().for_each(|byte| *byte = self.dice.next() as u8);
                self.deliver_altered("forged", &genuine, &bytes);
            }
            11 => {
                let other = self.kept[self.dice.below(self.kept.len())].envelope.as_bytes();
                let spliced = [&bytes[..place], &other[place.min(other.len())..]].concat();
                if spliced != bytes && spliced != other {
                    self.deliver_altered("spliced", &genuine, &spliced);
                }
            }
            // Another host, where no key for it is.
            12 => {
                let elsewhere = (genuine.to + 2) % self.sites.len();
                let opened = self.sites[elsewhere].endpoint.open_bytes(&bytes);
                self.refused("misdirected", &genuine, opened);
            }
            _ => {
                let old = self.kept[self.dice.below(self.kept.len())].clone();
                if self.released[old.number] {
                    // Also to the other process of the home.
                    let to = if self.dice.below(4) == 0 { self.sites[old.to].peer } else { old.to };
                    let opened = self.sites[to].endpoint.open(&old.envelope);
                    self.again(&old, opened);
                }
            }
        }
    }

    fn deliver_altered(&mut self, what: &'static str, genuine: &Genuine, bytes: &[u8]) {
        let opened = self.sites[genuine.to].endpoint.open_bytes(bytes);
        self.refused(what, genuine, opened);
    }

    fn refused(&mut self, what: &'static str, genuine: &Genuine, opened: Result<Message, OpenError>) {
        self.count(what);
        if opened.is_ok() {
            self.fault("forged and released", genuine.number, None);
        }
    }

    fn again(&mut self, genuine: &Genuine, opened: Result<Message, OpenError>) {
        self.count("replayed");
        if opened.is_ok() {
            self.fault("released twice", genuine.number, None);
        }
    }

    /// A genuine envelope arrives unaltered. It stays under way if its sender has to seal it anew.
    fn deliver(&mut self, at: usize) {
        let genuine = self.under_way.swap_remove(at);
        let site = &mut self.sites[genuine.to];
        let id = id(&genuine.envelope);
        match site.endpoint.open(&genuine.envelope) {
            Ok(message) => {
                site.held.insert(id);
                let expected = (genuine.number as u64).to_be_bytes();
                if !message.body().starts_with(&expected) || message.header().from != self.sites[self.sites[genuine.to].peer].agent {
                    self.fault("forged and released", genuine.number, None);
                }
                if std::mem::replace(&mut self.released[genuine.number], true) {
                    self.fault("released twice", genuine.number, None);
                }
                self.count(if message.form() == Form::Lane { "released in lanes" } else { "released as openings" });
                if self.dice.below(4) == 0 {
                    let opened = self.sites[genuine.to].endpoint.open(&genuine.envelope);
                    self.again(&genuine, opened);
                }
            }
            Err(error @ (OpenError::UnknownKey | OpenError::UnknownLane)) => {
                if site.held.contains(&id) {
                    self.fault("key or lane lost", genuine.number, Some(&error));
                }
                self.seal_anew(&genuine);
            }
            Err(OpenError::RosterBehind { .. }) => {
                let roster = self.sites[self.sites[genuine.to].peer].endpoint.roster();
                self.sites[genuine.to].endpoint.follow(roster.as_bytes()).unwrap();
                self.under_way.push(genuine);
            }
            Err(error) => self.fault("lost", genuine.number, Some(&error)),
        }
    }

    fn seal_anew(&mut self, genuine: &Genuine) {
        if genuine.anew == ANEW {
            return self.fault("lost", genuine.number, None);
        }
        let author = &self.sites[self.sites[genuine.to].peer].endpoint;
        if let Claims::Lane(lane) = genuine.envelope.claims() {
            author.forget_lane(lane);
        } else {
            self.introduce();
        }
        self.count("sealed anew");
        self.seal(genuine.number, genuine.to, genuine.anew + 1);
    }

    /// What is still under way arrives.
    fn finish(&mut self) {
        while !self.under_way.is_empty() {
            self.deliver(0);
        }
        for number in 0..self.sealed {
            if !self.released[number] {
                self.fault("lost", number, None);
            }
        }
    }

    fn report(&self, deliveries: u64, seed: u64) -> ExitCode {
        println!("{deliveries} deliveries, seed {seed}, {} genuine messages", self.sealed);
        for (what, count) in &self.counts {
            println!("{count:>9} {what}");
        }
        let mut good = self.faults.is_empty();
        for what in ["lost", "released twice", "forged and released", "key or lane lost"] {
            println!("{:>9} {what} (wanted: 0)", self.faults.get(what).unwrap_or(&0));
        }
        for what in ["released in lanes", "released as openings", "replayed", "flipped", "forged", "misdirected", "backups restored"] {
            if deliveries >= 10_000 && !self.counts.contains_key(what) {
                println!("nothing was {what}: this run shows nothing about it");
                good = false;
            }
        }
        if let Some((_, first)) = self.memory.first() {
            let most = self.memory.iter().map(|(_, bytes)| *bytes).max().unwrap();
            let grown = most.saturating_sub(*first);
            println!("{:>9} bytes resident after {WARM_UP} deliveries, at most {grown} more later (wanted: at most {GROWTH})", first);
            good &= grown <= GROWTH;
        }
        if good { ExitCode::SUCCESS } else { ExitCode::FAILURE }
    }
}

/// Two hosts of one domain that keep nothing on disk.
fn in_memory(hands: &Hands) -> [(Endpoint, Address); 2] {
    let root = Root::generate().unwrap();
    let nodes = ["three", "four"].map(|name| NodeKey::generate(name).unwrap());
    let listed: Vec<RosterNode> = nodes.iter().map(|node| node.listed().unwrap()).collect();
    let roster = root.sign_roster(None, RosterClaims { nodes: listed, ..RosterClaims::default() }, START);
    nodes.map(|node| {
        let endpoint = Endpoint::builder().clock(hands.clone()).member(node, *root.verifying_key(), roster.clone()).unwrap();
        let agent = endpoint.host("agent").unwrap();
        (endpoint, agent)
    })
}

/// The key or the lane that an envelope names.
fn id(envelope: &Envelope) -> [u8; 16] {
    match envelope.claims() {
        Claims::Opening(key) => *key.as_bytes(),
        Claims::Lane(lane) => *lane.as_bytes(),
        _ => panic!("a third form"),
    }
}

/// Resident memory in bytes; 0 where the system does not tell.
fn resident() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let kilobytes = status.lines().find_map(|line| line.strip_prefix("VmRSS:")?.split_whitespace().next()?.parse::<u64>().ok());
    kilobytes.unwrap_or_default() * 1024
}
