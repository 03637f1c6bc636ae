//! Peers: how their certificates come here, and what they are told (SPEC.md, "Notices").
//!
//! Each notice could come from anybody. What it makes a node do is bounded by a [`Pace`]; what it carries is believed only as far as it
//! proves itself.

use std::{
    collections::{HashMap, HashSet, VecDeque},
    sync::{MutexGuard, PoisonError},
};

use tokio::time::{Duration, Instant, timeout};

use super::{Inner, NodeError, desk::Job, pace::Pace};
use crate::{
    address::{Address, NODE},
    envelope::{Claims, Envelope},
    error::OpenError,
    journal::Change,
    notice::Notice,
    transport::Transport,
};

/// Peers of one agent that are told when it has started, or lost a lane or key: those it had to do with last.
const MAX_RECENT: usize = 64;

/// Peers that are known again after a restart.
pub(super) const MAX_REMEMBERED: usize = 1024;

/// Nodes that are told of a newer roster, those that were met first. They tell others.
const MAX_TOLD: usize = 256;

/// First and longest pause between two questions for one certificate.
const PAUSES: [Duration; 2] = [Duration::from_millis(250), Duration::from_secs(5)];

/// What a node knows of others beside their certificates.
pub(super) struct Peers {
    /// Questions for a certificate, by agent.
    asks: Pace<Address>,
    /// Questions for a roster, by whom it is asked of.
    asks_roster: Pace<Address>,
    /// Answers with a certificate, by asker: an answer is twenty times its question, and goes to whom the question names.
    answers: Pace<Address>,
    /// Answers with a roster.
    answers_roster: Pace<Address>,
    /// Certificates looked at: each costs two signatures' checks.
    looks: Pace<[u8; 32]>,
    /// Rosters looked at.
    looks_roster: Pace<[u8; 32]>,
    /// Hints given about one of our agents.
    hints: Pace<Address>,
    /// Answers with the time: each costs a signature.
    clocks: Pace<Address>,
    recent: HashMap<Address, VecDeque<Address>>,
    /// When the certificate that the home keeps of a peer was issued.
    kept: HashMap<Address, u64>,
}

impl Default for Peers {
    fn default() -> Self {
        let second = Duration::from_secs(1);
        Self {
            asks: Pace::new(second / 5, 1000),
            asks_roster: Pace::new(second, 10),
            answers: Pace::new(second / 10, 500),
            answers_roster: Pace::new(second, 10),
            looks: Pace::new(second, 500),
            looks_roster: Pace::new(second, 10),
            hints: Pace::new(second, 100),
            clocks: Pace::new(second / 10, 10),
            recent: HashMap::new(),
            kept: HashMap::new(),
        }
    }
}

impl Peers {
    /// `agent` has had to do with `peer`.
    fn meet(&mut self, agent: &Address, peer: &Address) {
        let recent = self.recent.entry(agent.clone()).or_default();
        if recent.front() == Some(peer) {
            return;
        }
        recent.retain(|known| known != peer);
        recent.push_front(peer.clone());
        recent.truncate(MAX_RECENT);
    }
}

impl<T: Transport + 'static> Inner<T> {
    fn peers(&self) -> MutexGuard<'_, Peers> {
        self.peers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn tell(&self, to: &Address, notice: Notice) {
        tracing::trace!(%to, ?notice, "told");
        self.couriers.carry(to, notice.into());
    }

    fn roster_version(&self) -> u64 {
        self.endpoint.roster_version()
    }

    /// Waits until there is a certificate to seal for `to` with.
    pub(super) async fn meet(&self, from: &Address, to: &Address, patience: Duration) -> Result<(), NodeError> {
        let (until, [mut pause, longest]) = (Instant::now() + patience, PAUSES);
        loop {
            // Asked before it is looked, so that an answer in between is not missed.
            let met = self.met.notified();
            if self.endpoint.knows(to) {
                return Ok(());
            }
            if Instant::now() >= until || *self.closed.borrow() {
                return Err(NodeError::Unreachable(to.clone()));
            }
            self.ask_certificate(from, to);
            let _asked_again = timeout(pause.min(until - Instant::now()), met).await;
            pause = (pause * 2).min(longest);
        }
    }

    /// Asks for the certificate of `about`, at its own address.
    pub(super) fn ask_certificate(&self, asker: &Address, about: &Address) {
        if self.peers().asks.allows(about.clone(), Instant::now()) {
            let roster = self.roster_version();
            self.tell(about, Notice::AskCertificate { about: about.clone(), asker: asker.clone(), roster });
        }
    }

    fn ask_roster(&self, asker: &Address, of: &Address) {
        if self.peers().asks_roster.allows(of.clone(), Instant::now()) {
            self.tell(of, Notice::AskRoster { asker: asker.clone(), roster: self.roster_version() });
        }
    }

    /// Hears what is said to the node itself, whichever agents it hosts.
    pub(super) fn listen_as_node(self: &std::sync::Arc<Self>) {
        match Address::new(NODE, self.endpoint.node()) {
            Ok(node) => self.receive_for(&node),
            Err(error) => tracing::error!(%error, "nothing is heard for the node itself"),
        }
    }

    /// Lets other nodes know that there is a newer roster: they ask for it then.
    pub(super) fn tell_of_roster(&self) {
        let roster = self.endpoint.roster();
        let Ok(asker) = Address::new(NODE, self.endpoint.node()) else { return };
        let met: HashSet<_> = self.peers().recent.values().flatten().map(|peer| peer.node().to_owned()).collect();
        let (met, others): (Vec<_>, Vec<_>) = roster.claims().nodes.iter().map(|node| &node.name).partition(|name| met.contains(*name));
        for name in met.into_iter().chain(others).filter(|name| *name != self.endpoint.node()).take(MAX_TOLD) {
            if let Ok(node) = Address::new(NODE, name) {
                self.tell(&node, Notice::AskRoster { asker: asker.clone(), roster: roster.version() });
            }
        }
    }

    /// Hears what is said in the open. `false`: it is no notice.
    pub(super) fn hear(&self, agent: &Address, bytes: &[u8], jobs: &mut Vec<Job>) -> bool {
        if !Notice::may_be(bytes) {
            return false;
        }
        match Notice::decode(bytes) {
            Ok(notice) => self.heard(agent, notice, jobs),
            Err(error) => tracing::debug!(%agent, %error, "something that is no notice"),
        }
        true
    }

    fn heard(&self, agent: &Address, notice: Notice, jobs: &mut Vec<Job>) {
        tracing::trace!(%agent, ?notice, "heard");
        let now = Instant::now();
        match notice {
            Notice::AskCertificate { about, asker, roster } => {
                self.answer_roster(&about, &asker, roster);
                if self.endpoint.lists(&asker)
                    && let Some(certificate) = self.endpoint.certificate(&about)
                    && self.peers().answers.allows(asker.clone(), now)
                {
                    self.tell(&asker, Notice::Certificate(certificate.as_bytes().to_vec()));
                }
            }
            Notice::AskRoster { asker, roster } => self.answer_roster(agent, &asker, roster),
            Notice::Certificate(certificate) => self.look_at(agent, &certificate, jobs),
            Notice::Started(certificate) => self.look_at(agent, &certificate, jobs),
            Notice::Roster(roster) => self.look_at_roster(&roster),
            Notice::AskTime { asker, nonce } => {
                if self.peers().clocks.allows(asker.clone(), now) {
                    match self.endpoint.sign_clock(&nonce) {
                        Ok(time) => self.tell(&asker, Notice::Time(time)),
                        Err(error) => tracing::warn!(%error, "the time is not told"),
                    }
                }
            }
            // Commands ask for it; nobody here has.
            Notice::Time(_) => {}
            Notice::UnknownLane(lane) => {
                if let Some(reader) = self.endpoint.lose_lane(lane) {
                    self.flights().hurry(&reader, now);
                    self.alarm.notify_one();
                }
            }
        }
    }

    /// Gives the roster to who knows an older one, or asks for it who says to know a newer.
    fn answer_roster(&self, agent: &Address, asker: &Address, theirs: u64) {
        let ours = self.roster_version();
        if theirs > ours {
            self.ask_roster(agent, asker);
        } else if theirs < ours && self.endpoint.lists(asker) && self.peers().answers_roster.allows(asker.clone(), Instant::now()) {
            self.tell(asker, Notice::Roster(self.endpoint.roster().as_bytes().to_vec()));
        }
    }

    /// A certificate proves itself; what it changes is what its node has certified. An older one than is known changes nothing.
    fn look_at(&self, agent: &Address, certificate: &[u8], jobs: &mut Vec<Job>) {
        let now = Instant::now();
        if !self.peers().looks.allows(crate::endpoint::digest(certificate), now) {
            return;
        }
        let peer = match self.endpoint.introduce_newer(certificate) {
            Ok(Some(peer)) => peer,
            Ok(None) => return self.met.notify_waiters(),
            Err(error) => return tracing::debug!(%agent, %error, "a certificate that does not hold"),
        };
        tracing::debug!(%agent, %peer, "met");
        self.keep_peer(&peer, jobs);
        self.peers().meet(agent, &peer);
        self.met.notify_waiters();
        self.flights().hurry(&peer, now);
        self.alarm.notify_one();
    }

    fn look_at_roster(&self, roster: &[u8]) {
        if !self.peers().looks_roster.allows(crate::endpoint::digest(roster), Instant::now()) {
            return;
        }
        match self.endpoint.follow(roster) {
            Ok(()) => self.met.notify_waiters(),
            Err(error @ OpenError::RosterConflict { .. }) => {
                tracing::error!(%error, "the root signed two rosters, or an old one was shown")
            }
            Err(error) => tracing::debug!(%error, "a roster that does not hold"),
        }
    }

    /// A message came from `peer` in an opening: its certificate was in it.
    pub(super) fn came_from(&self, agent: &Address, peer: &Address, jobs: &mut Vec<Job>) {
        self.peers().meet(agent, peer);
        self.keep_peer(peer, jobs);
    }

    fn keep_peer(&self, peer: &Address, jobs: &mut Vec<Job>) {
        let Some(certificate) = self.endpoint.certificate_of(peer) else { return };
        let mut peers = self.peers();
        if peers.kept.len() >= crate::limits::MAX_PEERS {
            peers.kept.clear();
        }
        if peers.kept.insert(peer.clone(), certificate.issued()) != Some(certificate.issued()) && self.endpoint.hosts(peer).is_none() {
            let (certificate, now) = (certificate.as_bytes().to_vec(), self.endpoint.now());
            jobs.push(Job::Write(vec![Change::Met { address: peer.clone(), certificate, now }]));
        }
    }

    /// Takes the peers that the home knows, and tells them that `agent` has started.
    pub(super) fn greet(&self, agent: &Address, known: &[Address]) {
        let Some(certificate) = self.endpoint.certificate(agent) else { return };
        for peer in known.iter().take(MAX_RECENT).filter(|peer| self.endpoint.hosts(peer).is_none()) {
            self.peers().meet(agent, peer);
            self.tell(peer, Notice::Started(certificate.as_bytes().to_vec()));
        }
    }

    /// An envelope for `agent` was refused: tells those who may have sent it what they can do. An envelope names no sender.
    pub(super) fn hint(&self, agent: &Address, bytes: &[u8], error: &OpenError) {
        let lost_lane = match (error, Envelope::parse(bytes.to_vec()).map(|envelope| envelope.claims())) {
            (OpenError::UnknownLane, Ok(Claims::Lane(lane))) => Some(lane),
            (OpenError::UnknownKey, Ok(Claims::Opening(_))) => None,
            _ => return,
        };
        let told = {
            let mut peers = self.peers();
            if !peers.hints.allows(agent.clone(), Instant::now()) {
                return;
            }
            peers.recent.get(agent).cloned().unwrap_or_default()
        };
        if *error == OpenError::UnknownKey
            && let Err(error) = self.endpoint.certify_again(agent)
        {
            tracing::warn!(%agent, %error, "not certified anew");
        }
        let certificate = self.endpoint.certificate(agent);
        for peer in told {
            // The lane may be gone because the key behind it is: the certificate says which to seal for.
            if let Some(certificate) = &certificate {
                self.tell(&peer, Notice::Certificate(certificate.as_bytes().to_vec()));
            }
            if let Some(lane) = lost_lane {
                self.tell(&peer, Notice::UnknownLane(lane));
            }
        }
    }

    /// A message was proven to be from `from`, who knows a newer roster.
    pub(super) fn is_behind(&self, agent: &Address, from: &Address) {
        self.ask_roster(agent, from);
    }
}
