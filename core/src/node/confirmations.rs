//! [`Confirmations`]: which messages were processed and are to be acknowledged to their authors. They ride on whatever goes that way; what
//! does not find a ride in time goes in a message of its own.

use std::collections::HashMap;

use tokio::time::{Duration, Instant};

use crate::{address::Address, key::MessageId, limits::MAX_ACKNOWLEDGED};

/// How long the acknowledgement of a one-way message waits for a ride: its author seals anew after 5 s.
pub(super) const SOON: Duration = Duration::from_millis(100);

/// How long that of a reply waits: nothing is sent again for the lack of it, the other side only keeps the reply for longer.
pub(super) const AT_LEISURE: Duration = Duration::from_secs(2);

/// Acknowledgements that wait for a ride, over all pairs. What comes beyond them is forgotten; its author will ask again.
const MAX_WAITING: usize = 1 << 16;

/// From whom to whom.
pub(super) type Way = (Address, Address);

#[derive(Default)]
pub(super) struct Confirmations {
    waiting: HashMap<Way, (Vec<MessageId>, Instant)>,
    count: usize,
}

impl Confirmations {
    /// Acknowledges `id` from `way.0` to `way.1` by `due`. Whether a message full of them is waiting now.
    pub(super) fn add(&mut self, way: Way, id: MessageId, due: Instant) -> bool {
        if self.count >= MAX_WAITING {
            return false;
        }
        let (ids, first) = self.waiting.entry(way).or_insert_with(|| (Vec::new(), due));
        if !ids.contains(&id) {
            ids.push(id);
            self.count += 1;
        }
        *first = due.min(*first);
        ids.len() >= MAX_ACKNOWLEDGED
    }

    /// What rides on the next message of this way.
    pub(super) fn ride(&mut self, way: &Way) -> Vec<MessageId> {
        let Some((ids, _)) = self.waiting.get_mut(way) else { return Vec::new() };
        let riding: Vec<_> = ids.drain(..ids.len().min(MAX_ACKNOWLEDGED)).collect();
        if ids.is_empty() {
            self.waiting.remove(way);
        }
        self.count -= riding.len();
        riding
    }

    pub(super) fn next_due(&self) -> Option<Instant> {
        self.waiting.values().map(|(_, due)| *due).min()
    }

    /// All ways on which something waits.
    pub(super) fn all(&self) -> Vec<Way> {
        self.waiting.keys().cloned().collect()
    }

    /// The ways on which something has waited long enough.
    pub(super) fn due(&self, now: Instant) -> Vec<Way> {
        self.waiting.iter().filter(|(_, (_, due))| *due <= now).map(|(way, _)| way.clone()).collect()
    }
}
