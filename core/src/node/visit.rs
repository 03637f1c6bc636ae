//! [`Visit`]: a call on nodes that run, by a command that is over in a moment.
//!
//! It has no agent, keeps nothing, and is no node to those it calls on: it goes by a name of its own, so that what is meant for the node of its
//! home still goes there.

use core::fmt;
use std::{collections::HashMap, io, time::SystemTime};

use tokio::time::{Duration, Instant, timeout_at};

use super::clock::{self, Nonce};
use crate::{
    address::{Address, NODE},
    error::Seconds,
    home::Membership,
    key::write_hex,
    notice::Notice,
    roster::Roster,
    transport::{Delivery, Location, Parcel, Streams, Transport},
};

/// Calls on the other nodes of a domain, at the `tcp://` addresses that the roster has of them.
#[derive(Debug)]
pub struct Visit {
    streams: Streams,
    own: Address,
    roster: Roster,
    called: Vec<String>,
}

/// Another node's clock, and what it runs.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Clock {
    /// Seconds it is ahead of this one; negative if it is behind. As exact as the time the question and the answer took.
    pub ahead: i64,
    /// The version of its program.
    pub version: String,
}

/// `7 min 12 s behind`, as it is said of the other clock.
impl fmt::Display for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let way = if self.ahead < 0 { "behind" } else { "ahead" };
        write!(f, "{} {way}", Seconds(self.ahead.unsigned_abs()))
    }
}

impl Visit {
    /// Begins to call. Needs a tokio runtime.
    ///
    /// # Errors
    /// If there is no randomness.
    pub async fn begin(known: &Membership) -> io::Result<Self> {
        let name = format!("visit-{}", Hex(random()?));
        let own = Address::new(NODE, &name).map_err(io::Error::other)?;
        let streams = Streams::builder(&name).build().await?;
        let mut called = Vec::new();
        for node in known.roster().claims().nodes.iter().filter(|node| node.name != known.node()) {
            let location = node.addresses.iter().find(|address| address.starts_with("tcp://"));
            let location = location.and_then(|address| address.parse::<Location>().ok());
            if location.is_some_and(|location| streams.set_peer(&node.name, location).is_ok()) {
                called.push(node.name.clone());
            }
        }
        Ok(Self { streams, own, roster: known.roster().clone(), called })
    }

    /// The nodes that are called on; the others have no such address.
    pub fn called(&self) -> &[String] {
        &self.called
    }

    /// Gives them the roster, and returns who has taken it, or knew it, within `patience`.
    pub async fn tell_roster(&self, patience: Duration) -> Vec<String> {
        for node in &self.called {
            self.tell(node, Notice::Roster(self.roster.as_bytes().to_vec())).await;
        }
        let _all = self.streams.drained(patience).await;
        let took =
            self.streams.peers().into_iter().filter(|peer| peer.connected && peer.under_way == 0 && self.called.contains(&peer.name));
        took.map(|peer| peer.name).collect()
    }

    /// Asks them what time it is; those that answer within `patience`, by name.
    ///
    /// # Errors
    /// If there is no randomness.
    pub async fn clocks(&self, patience: Duration) -> io::Result<HashMap<String, Clock>> {
        let mut asked = HashMap::new();
        for node in &self.called {
            let nonce = random()?;
            asked.insert(node.clone(), nonce);
            self.tell(node, Notice::AskTime { asker: self.own.clone(), nonce }).await;
        }
        let (until, mut clocks) = (Instant::now() + patience, HashMap::new());
        while clocks.len() < asked.len() {
            let Ok(Ok(delivery)) = timeout_at(until, self.streams.receive(&self.own)).await else { break };
            if let Ok(Notice::Time(answer)) = Notice::decode(delivery.bytes()) {
                clocks.extend(self.read(&answer, &asked));
            }
            let _closed = delivery.acknowledge().await;
        }
        Ok(clocks)
    }

    fn read(&self, answer: &[u8], asked: &HashMap<String, Nonce>) -> Option<(String, Clock)> {
        let here = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_secs());
        let answers = |(node, nonce): (&String, &Nonce)| Some((node.clone(), clock::verify(answer, &self.roster, node, nonce).ok()?));
        let (node, (there, version)) = asked.iter().find_map(answers)?;
        Some((node, Clock { ahead: there.saturating_sub(here) as i64 - here.saturating_sub(there) as i64, version }))
    }

    async fn tell(&self, node: &str, notice: Notice) {
        if let Ok(to) = Address::new(NODE, node) {
            // Whom it does not reach is not among those who answer.
            let _unreached = self.streams.send(&to, Parcel::from(notice)).await;
        }
    }
}

struct Hex(Nonce);

impl fmt::Display for Hex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_hex(f, &self.0)
    }
}

fn random() -> io::Result<Nonce> {
    let mut nonce = Nonce::default();
    getrandom::fill(&mut nonce).map_err(|_| io::Error::other("the system gives no randomness"))?;
    Ok(nonce)
}
