//! [`Replies`]: which request a reply answered, so that it need not be kept once its reader confirms it.

use std::collections::{HashMap, VecDeque};

use tokio::time::{Duration, Instant};

use crate::{journal::RowKey, key::MessageId};

/// Replies that are remembered until they are confirmed. Older ones are kept until their request has ended.
const MAX: usize = 1 << 16;

/// Requests whose reply was repeated lately.
const MAX_REPEATED: usize = 1 << 12;

/// Pause between two repetitions of a reply: copies of a request cost no more than their opening.
const REPEAT_AFTER: Duration = Duration::from_millis(500);

#[derive(Default)]
pub(super) struct Replies {
    of: HashMap<MessageId, RowKey>,
    order: VecDeque<MessageId>,
    repeated: HashMap<RowKey, Instant>,
}

impl Replies {
    pub(super) fn add(&mut self, reply: MessageId, request: RowKey) {
        while self.order.len() >= MAX {
            if let Some(oldest) = self.order.pop_front() {
                self.of.remove(&oldest);
            }
        }
        self.of.insert(reply, request);
        self.order.push_back(reply);
    }

    /// The author of a message with row `by` confirms `reply`: the request whose reply need not be kept any more, if it was theirs.
    pub(super) fn confirm(&mut self, reply: MessageId, by: &RowKey) -> Option<RowKey> {
        let request = *self.of.get(&reply)?;
        if request.signer != by.signer || request.reader != by.reader {
            return None;
        }
        self.of.remove(&reply)
    }

    /// Whether the reply to a request that came again may be sent again.
    pub(super) fn may_repeat(&mut self, request: &RowKey, now: Instant) -> bool {
        if self.repeated.get(request).is_some_and(|last| now.duration_since(*last) < REPEAT_AFTER) {
            return false;
        }
        if self.repeated.len() >= MAX_REPEATED {
            self.repeated.retain(|_, last| now.duration_since(*last) < REPEAT_AFTER);
            if self.repeated.len() >= MAX_REPEATED {
                return false;
            }
        }
        self.repeated.insert(*request, now);
        true
    }
}
