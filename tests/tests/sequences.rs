//! Whatever happens in whatever order, to two agents in two processes of one home: sealing, losing, repeating, reordering, altering, misdirecting,
//! time, restarts, a backup put back, new keys, a revocation. Held against a model; `proptest` makes the sequences, and short ones of what fails.
//!
//! Nothing opens twice, nothing but what was sealed, and only at its reader; what is refused is refused for a reason that the model has too;
//! and afterwards the two can talk, unless one is revoked.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

use std::{
    collections::HashSet,
    fs,
    path::PathBuf,
    process,
    sync::atomic::{AtomicU32, Ordering},
};

use proptest::{collection::vec, prelude::*, test_runner::RngSeed};
use sealwire::{
    Address, Claims, Clock, Draft, Endpoint, Envelope, Form, Home, LaneId, OpenError, SealError, Sealed,
    limits::{CLOCK_TOLERANCE, MAX_LANES_PER_PEER, MAX_LIFETIME, REQUEST_LIFETIME},
};
use sealwire_tests::{backup::copy, prescribed::Hands};

const START: u64 = 1_800_000_000;

/// Events of one sequence.
const EVENTS: usize = 40;

const NAMES: [&str; 2] = ["a", "b"];

#[derive(Debug, Clone)]
enum Event {
    Seal {
        from: usize,
        lifetime: u64,
    },
    /// An envelope arrives, the same one again as often as it is chosen. One that is never chosen arrives at the end.
    Arrive(usize),
    Alter {
        which: usize,
        at: usize,
        mask: u8,
    },
    Misdirect(usize),
    Pass(u64),
    Restart(usize),
    Backup,
    Restore,
    Rotate(usize),
    Revoke(usize),
}

fn event() -> impl Strategy<Value = Event> {
    let site = 0..2_usize;
    prop_oneof![
        8 => (site.clone(), prop_oneof![Just(REQUEST_LIFETIME), Just(MAX_LIFETIME)]).prop_map(|(from, lifetime)| Event::Seal { from, lifetime }),
        8 => any::<usize>().prop_map(Event::Arrive),
        2 => (any::<usize>(), any::<usize>(), 1..=u8::MAX).prop_map(|(which, at, mask)| Event::Alter { which, at, mask }),
        1 => any::<usize>().prop_map(Event::Misdirect),
        2 => prop_oneof![Just(1), Just(40), Just(700), Just(70_000)].prop_map(Event::Pass),
        2 => site.clone().prop_map(Event::Restart),
        1 => Just(Event::Backup),
        1 => Just(Event::Restore),
        1 => site.clone().prop_map(Event::Rotate),
        1 => site.prop_map(Event::Revoke),
    ]
}

/// An envelope that was sealed.
struct Genuine {
    from: usize,
    envelope: Envelope,
    expires: u64,
    opened: bool,
    /// Keys or lanes it needs may be gone: by a restart of its reader, a backup, or a new key.
    disturbed: bool,
}

struct World {
    place: PathBuf,
    hands: Hands,
    /// A process for each agent; none while the home's files are touched.
    sites: [Option<(Endpoint, Address)>; 2],
    sealed: Vec<Genuine>,
    /// Openings that each process has opened.
    openings: [usize; 2],
    /// Lanes that each process has named to the other: one that it has not named, it does not have.
    named: [HashSet<LaneId>; 2],
    /// Which agents are revoked, now and in the backup.
    revoked: [bool; 2],
    backup: Option<[bool; 2]>,
}

impl World {
    fn new() -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let name = format!("sealwire-sequences-{}-{}", process::id(), NUMBER.fetch_add(1, Ordering::Relaxed));
        let place = std::env::temp_dir().join(name);
        fs::create_dir(&place).unwrap();
        let hands = Hands::at(START);
        let mut world = Self {
            place,
            hands,
            sites: [None, None],
            sealed: Vec::new(),
            openings: [0; 2],
            named: Default::default(),
            revoked: [false; 2],
            backup: None,
        };
        world.start(0);
        world.start(1);
        world.meet();
        world
    }

    fn home(&self) -> PathBuf {
        self.place.join("home")
    }

    fn start(&mut self, site: usize) {
        let (endpoint, _) = Endpoint::builder().clock(self.hands.clone()).home_or_init(self.home(), "local").unwrap();
        let hosted = endpoint.host(NAMES[site]);
        assert_eq!(hosted.is_err(), self.revoked[site], "{hosted:?}");
        self.sites[site] = Some((endpoint, format!("{}@local", NAMES[site]).parse().unwrap()));
        self.openings[site] = 0;
        self.named[site].clear();
    }

    fn site(&self, site: usize) -> (&Endpoint, &Address) {
        let (endpoint, agent) = self.sites[site].as_ref().expect("a process that runs");
        (endpoint, agent)
    }

    /// Each gets the other's certificate, as it is now.
    fn meet(&self) {
        for site in 0..2 {
            _ = self.site(site).0.maintain();
        }
        for site in 0..2 {
            let (endpoint, agent) = self.site(1 - site);
            if let Some(certificate) = endpoint.certificate(agent) {
                let introduced = self.site(site).0.introduce(certificate.as_bytes());
                assert!(introduced.is_ok() || self.revoked[1 - site], "{introduced:?}");
            }
        }
    }

    fn happen(&mut self, event: &Event) {
        let count = self.sealed.len();
        match *event {
            Event::Seal { from, lifetime } => {
                let sealed = self.seal(from, lifetime);
                assert!(sealed || self.is_cut(), "not sealed, and nobody is revoked");
            }
            Event::Arrive(which) if count > 0 => _ = self.arrive(which % count),
            Event::Alter { which, at, mask } if count > 0 => self.alter(which % count, at, mask),
            Event::Misdirect(which) if count > 0 => {
                let genuine = &self.sealed[which % count];
                assert!(self.site(genuine.from).0.open(&genuine.envelope).is_err(), "opened by its author");
            }
            Event::Arrive(_) | Event::Alter { .. } | Event::Misdirect(_) => {}
            Event::Pass(seconds) => {
                self.hands.forward(seconds);
                self.meet();
            }
            Event::Restart(site) => self.restart(site),
            Event::Backup => self.back_up(),
            Event::Restore => self.restore(),
            Event::Rotate(site) => self.rotate(site),
            Event::Revoke(site) => self.revoke(site),
        }
    }

    /// Whether somebody is revoked, so that the two cannot talk.
    fn is_cut(&self) -> bool {
        self.revoked.contains(&true)
    }

    fn seal(&mut self, from: usize, lifetime: u64) -> bool {
        let draft = Draft::new("task", self.sealed.len().to_be_bytes()).lifetime(lifetime);
        let ((endpoint, author), (_, reader)) = (self.site(from), self.site(1 - from));
        match endpoint.seal(author, reader, &draft) {
            Ok(Sealed { envelope, header, .. }) => {
                self.named[from].extend(header.acknowledged.lanes);
                self.sealed.push(Genuine { from, envelope, expires: header.expires, opened: false, disturbed: false });
                true
            }
            Err(SealError::Revoked(_) | SealError::ReaderExpired(_) | SealError::UnknownReader(_) | SealError::NotHosted(_)) => false,
            Err(error) => panic!("{error}"),
        }
    }

    /// Whether it opened.
    fn arrive(&mut self, which: usize) -> bool {
        let (now, cut, genuine) = (self.hands.now(), self.is_cut(), &self.sealed[which]);
        let (reader, lane) = (1 - genuine.from, lane(&genuine.envelope));
        let opened = self.site(reader).0.open(&genuine.envelope);
        let (is_over, crowded) = (now >= genuine.expires, self.openings[reader] > MAX_LANES_PER_PEER);
        match opened {
            Ok(message) => {
                assert!(!genuine.opened, "opened twice");
                // A reader that is revoked has the keys to what was sealed for it before.
                assert!(!self.revoked[genuine.from], "opened, though its author is revoked");
                assert!(now < genuine.expires + CLOCK_TOLERANCE, "opened after its time");
                assert_eq!(message.body(), which.to_be_bytes(), "another message");
                assert_eq!(message.header().from.name(), NAMES[genuine.from]);
                self.openings[reader] += usize::from(message.form() == Form::Opening);
                self.sealed[which].opened = true;
                return true;
            }
            Err(OpenError::Duplicate(_)) => assert!(genuine.opened, "never opened, and said to be"),
            Err(OpenError::UnknownLane) if crowded || lane.is_some_and(|lane| !self.named[reader].contains(&lane)) => {}
            Err(error) => assert!(genuine.disturbed || is_over || cut, "lost: {error}"),
        }
        false
    }

    fn alter(&self, which: usize, at: usize, mask: u8) {
        let genuine = &self.sealed[which];
        let mut bytes = genuine.envelope.as_bytes().to_vec();
        let at = at % bytes.len();
        bytes[at] ^= mask;
        assert!(self.site(1 - genuine.from).0.open_bytes(&bytes).is_err(), "opened, and nobody sealed it");
    }

    fn disturb(&mut self, is_disturbed: impl Fn(&Genuine) -> bool) {
        for genuine in self.sealed.iter_mut().filter(|genuine| is_disturbed(genuine)) {
            genuine.disturbed = true;
        }
    }

    fn restart(&mut self, site: usize) {
        self.sites[site] = None;
        self.start(site);
        self.disturb(|genuine| genuine.from != site);
        self.meet();
    }

    /// Does something to the home while no process has it open.
    fn apart(&mut self, touch: impl FnOnce(&Self)) {
        self.sites = [None, None];
        touch(self);
        self.start(0);
        self.start(1);
        self.disturb(|_| true);
        self.meet();
    }

    fn back_up(&mut self) {
        self.apart(|world| {
            _ = fs::remove_dir_all(world.place.join("backup"));
            copy(&world.home(), &world.place.join("backup"));
        });
        self.backup = Some(self.revoked);
    }

    fn restore(&mut self) {
        let Some(revoked) = self.backup else { return };
        self.revoked = revoked;
        self.apart(|world| {
            fs::remove_dir_all(world.home()).unwrap();
            copy(&world.place.join("backup"), &world.home());
        });
    }

    /// A new key for an agent; the old one is revoked, as `sealwire rotate` does.
    fn rotate(&mut self, site: usize) {
        let home = Home::at(self.home()).unwrap();
        let (old, _) = home.renew_agent(NAMES[site]).unwrap();
        home.membership().unwrap().revoke_key(old, self.hands.now()).unwrap();
        self.revoked[site] = false;
        self.disturb(|_| true);
        self.restart(site);
    }

    fn revoke(&mut self, site: usize) {
        let agent = self.site(site).1.clone();
        Home::at(self.home()).unwrap().membership().unwrap().revoke_agent(&agent, self.hands.now()).unwrap();
        self.revoked[site] = true;
    }

    /// What is still on its way arrives, twice. Then the two talk.
    fn finish(&mut self) {
        for which in 0..self.sealed.len() {
            _ = self.arrive(which);
            assert!(!self.arrive(which));
        }
        self.meet();
        for from in [0, 1, 0, 1] {
            assert_eq!(self.say(from), !self.is_cut(), "from {}", NAMES[from]);
        }
    }

    /// Whether a message arrives, sealed anew if its reader has lost the lane.
    fn say(&mut self, from: usize) -> bool {
        if !self.seal(from, REQUEST_LIFETIME) {
            return false;
        }
        if self.arrive(self.sealed.len() - 1) {
            return true;
        }
        let Some(lost) = self.sealed.last().and_then(|genuine| lane(&genuine.envelope)) else { return false };
        self.site(from).0.forget_lane(lost);
        self.seal(from, REQUEST_LIFETIME) && self.arrive(self.sealed.len() - 1)
    }
}

fn lane(envelope: &Envelope) -> Option<LaneId> {
    match envelope.claims() {
        Claims::Lane(lane) => Some(lane),
        _ => None,
    }
}

impl Drop for World {
    fn drop(&mut self) {
        self.sites = [None, None];
        _ = fs::remove_dir_all(&self.place);
    }
}

/// Sequences, unless `PROPTEST_CASES` says how many: a few seconds of them, the same each time.
const CASES: u32 = 64;

fn config() -> ProptestConfig {
    let failure_persistence = None;
    match std::env::var("PROPTEST_CASES") {
        Ok(_) => ProptestConfig { failure_persistence, ..ProptestConfig::default() },
        Err(_) => ProptestConfig { cases: CASES, rng_seed: RngSeed::Fixed(1), failure_persistence, ..ProptestConfig::default() },
    }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn nothing_is_lost_and_nothing_comes_twice(events in vec(event(), 1..EVENTS)) {
        let mut world = World::new();
        events.iter().for_each(|event| world.happen(event));
        world.finish();
    }
}
