//! Lanes: a secret that belongs to one signer and one reader, used once the reader has named it (SPEC.md, "Lanes").

use std::{collections::HashMap, sync::Arc};

use crate::{
    certificate::Certificate,
    key::{LaneId, ReceiveKeyId, Thumbprint},
    limits::{CLOCK_TOLERANCE, LANE_KEPT, LANE_LIFETIME, LANE_MESSAGES, LANE_OFFER_WAIT, MAX_ACKNOWLEDGED, MAX_LANES, MAX_LANES_PER_PEER},
    schedule::{LaneEnds, LaneSecret},
};

/// One direction between two keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Pair {
    pub(crate) signer: Thumbprint,
    pub(crate) reader: Thumbprint,
}

impl Pair {
    pub(crate) fn reversed(self) -> Self {
        Self { signer: self.reader, reader: self.signer }
    }
}

/// What an opening says to the reader and a lane message does not. When it changes, the next message is an opening.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Terms {
    pub(crate) receive_key: ReceiveKeyId,
    pub(crate) policy: Option<[u8; 16]>,
    pub(crate) roster: u64,
}

/// A lane this endpoint sends in, or offers to.
pub(crate) struct Outgoing {
    pub(crate) id: LaneId,
    pub(crate) secret: Arc<LaneSecret>,
    pub(crate) terms: Terms,
    pub(crate) since: u64,
    sent: u32,
}

impl Outgoing {
    pub(crate) fn new(id: LaneId, secret: LaneSecret, terms: Terms, since: u64) -> Self {
        Self { id, secret: Arc::new(secret), terms, since, sent: 0 }
    }
}

/// A lane this endpoint reads.
#[derive(Clone)]
pub(crate) struct Incoming {
    pub(crate) secret: Arc<LaneSecret>,
    pub(crate) ends: LaneEnds,
    pub(crate) certificate: Arc<Certificate>,
    /// Whether its sender is this very endpoint: nobody else can seal in it then, and nobody else can open.
    pub(crate) near: bool,
    since: u64,
    named: Named,
}

/// Whether the sender of a lane knows that it is held.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Named {
    /// It does not.
    No,
    /// It was told, by a message that may not have arrived yet.
    At(u64),
    /// It has used it.
    Used,
}

/// All lanes of an endpoint. They are never written down: a restart ends them.
#[derive(Default)]
pub(crate) struct Lanes {
    offered: HashMap<Pair, Outgoing>,
    sending: HashMap<Pair, Outgoing>,
    receiving: HashMap<LaneId, Incoming>,
}

impl Lanes {
    /// The lane to seal the next message of `pair` in, if there is one on these terms. Counts the message.
    pub(crate) fn next(&mut self, pair: Pair, terms: &Terms, now: u64) -> Option<(LaneId, Arc<LaneSecret>)> {
        let lane = self.sending.get_mut(&pair)?;
        if !is_within(lane.since, LANE_LIFETIME, now) || lane.sent >= LANE_MESSAGES || lane.terms != *terms {
            self.sending.remove(&pair);
            return None;
        }
        lane.sent += 1;
        Some((lane.id, Arc::clone(&lane.secret)))
    }

    /// Forgets lanes whose time is over, and their secrets with them.
    pub(crate) fn purge(&mut self, now: u64) {
        self.offered.retain(|_, lane| is_within(lane.since, LANE_LIFETIME, now));
        self.sending.retain(|_, lane| is_within(lane.since, LANE_LIFETIME, now));
        self.receiving.retain(|_, lane| is_within(lane.since, LANE_KEPT, now));
    }

    /// Remembers what an opening offered, unless an earlier offer may still be named.
    pub(crate) fn offer(&mut self, pair: Pair, lane: Outgoing) {
        let waiting = self.offered.get(&pair).is_some_and(|earlier| is_within(earlier.since, LANE_OFFER_WAIT, lane.since));
        if !waiting {
            self.offered.insert(pair, lane);
        }
    }

    /// The reader of `pair` has named `lanes`: what was offered is now used. Whether it was.
    pub(crate) fn confirm(&mut self, pair: Pair, lanes: &[LaneId]) -> bool {
        let named = self.offered.get(&pair).is_some_and(|offer| lanes.contains(&offer.id));
        let lane = if named { self.offered.remove(&pair) } else { None };
        lane.map(|lane| self.sending.insert(pair, lane)).is_some()
    }

    /// Takes a lane that a verified opening offered. A pair that has its number gives up the oldest that nobody used; if all are in use, or
    /// the endpoint has its number, the lane is not taken and the sender goes on with openings.
    pub(crate) fn accept(&mut self, id: LaneId, secret: LaneSecret, ends: LaneEnds, certificate: Arc<Certificate>, now: u64) -> bool {
        self.purge(now);
        let of_pair = self.receiving.iter().filter(|(_, lane)| lane.ends.signer == ends.signer && lane.ends.reader == ends.reader);
        let of_pair: Vec<_> = of_pair.map(|(id, lane)| (*id, lane.named, lane.since)).collect();
        if of_pair.len() >= MAX_LANES_PER_PEER {
            let unused = of_pair.iter().filter(|(_, named, since)| *named != Named::Used && !is_within(*since, LANE_OFFER_WAIT, now));
            let Some((oldest, ..)) = unused.min_by_key(|(.., since)| *since) else { return false };
            self.receiving.remove(oldest);
        }
        if self.receiving.len() >= MAX_LANES {
            return false;
        }
        self.receiving.insert(id, Incoming { secret: Arc::new(secret), ends, certificate, near: false, since: now, named: Named::No });
        true
    }

    /// The lane to open an envelope with.
    pub(crate) fn find(&self, id: LaneId, now: u64) -> Option<Incoming> {
        self.receiving.get(&id).filter(|lane| is_within(lane.since, LANE_KEPT, now)).cloned()
    }

    /// A message came in the lane: its sender knows that it is held, and it need not be named again.
    pub(crate) fn used(&mut self, id: LaneId) {
        if let Some(lane) = self.receiving.get_mut(&id) {
            lane.named = Named::Used;
        }
    }

    /// The sender of a lane that was just taken is this very endpoint, and has heard that it is held.
    pub(crate) fn meets_itself(&mut self, id: LaneId) {
        if let Some(lane) = self.receiving.get_mut(&id) {
            lane.near = true;
            lane.named = Named::Used;
        }
    }

    /// Lanes from the reader of `pair` back to its signer whose naming is due: to be named by the next message of `pair`.
    pub(crate) fn unnamed(&self, pair: Pair, now: u64) -> Vec<LaneId> {
        let back = pair.reversed();
        let is_back = |lane: &Incoming| lane.ends.signer == back.signer && lane.ends.reader == back.reader;
        let due = |lane: &Incoming| is_back(lane) && lane.naming_is_due(now);
        self.receiving.iter().filter(|(_, lane)| due(lane)).map(|(id, _)| *id).take(MAX_ACKNOWLEDGED).collect()
    }

    /// These lanes were named in a message that is on its way.
    pub(crate) fn named(&mut self, lanes: &[LaneId], now: u64) {
        for id in lanes {
            if let Some(lane) = self.receiving.get_mut(id)
                && lane.named == Named::No
            {
                lane.named = Named::At(now);
            }
        }
    }

    /// Stops sending in a lane. Returns its reader, if it was one that is used or offered here.
    pub(crate) fn forget(&mut self, id: LaneId) -> Option<Thumbprint> {
        let is_it = |lanes: &HashMap<Pair, Outgoing>| lanes.iter().find(|(_, lane)| lane.id == id).map(|(pair, _)| *pair);
        let pair = is_it(&self.sending).or_else(|| is_it(&self.offered))?;
        self.offered.retain(|_, lane| lane.id != id);
        self.sending.retain(|_, lane| lane.id != id);
        Some(pair.reader)
    }

    /// Stops sending in lanes to a reader that has started anew.
    #[cfg(feature = "node")]
    pub(crate) fn forget_reader(&mut self, reader: &Thumbprint) {
        self.offered.retain(|pair, _| pair.reader != *reader);
        self.sending.retain(|pair, _| pair.reader != *reader);
    }

    /// Drops each lane that touches a key for which `is_gone` holds, or that was derived from a receive key for which `is_erased` holds.
    pub(crate) fn drop_where(&mut self, is_gone: impl Fn(&Thumbprint) -> bool, is_erased: impl Fn(&ReceiveKeyId) -> bool) {
        let stays = |pair: &Pair| !is_gone(&pair.signer) && !is_gone(&pair.reader);
        self.offered.retain(|pair, _| stays(pair));
        self.sending.retain(|pair, _| stays(pair));
        self.receiving.retain(|_, lane| !is_gone(&lane.ends.signer) && !is_gone(&lane.ends.reader) && !is_erased(&lane.ends.receive_key));
    }
}

impl Incoming {
    /// A lane is named until its sender uses it, in all messages of the first seconds: the sender remembers only one offer, and the first
    /// naming may be lost. Later a sender that has not used it never will.
    fn naming_is_due(&self, now: u64) -> bool {
        match self.named {
            Named::No => is_within(self.since, LANE_LIFETIME, now),
            Named::At(first) => is_within(first, LANE_OFFER_WAIT, now),
            Named::Used => false,
        }
    }
}

/// Whether `now` is within `lifetime` seconds of `since`; a clock that was set back by more than clocks may differ ends it too.
fn is_within(since: u64, lifetime: u64, now: u64) -> bool {
    now.saturating_sub(since) < lifetime && since.saturating_sub(now) <= CLOCK_TOLERANCE
}
