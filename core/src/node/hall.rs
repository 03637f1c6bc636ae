//! [`Hall`]: where messages wait for the handler of one agent.

use std::{
    collections::{HashMap, VecDeque},
    future::Future,
    pin::Pin,
    sync::Arc,
};

use tokio::sync::watch;

use super::{Refusal, Reply, Request};
use crate::{journal::RowKey, message::Message};

/// Messages that wait for one agent. They are in the store; only their names are here. Beyond them, senders are told to wait.
pub(super) const MAX_WAITING: usize = 1 << 14;

/// Bytes of messages that wait in memory, so that they need not be read again. The rest is in the store only.
const MAX_READY: usize = 16 * 1024 * 1024;

/// Runs of one handler at a time, unless it was said otherwise: as many as a small machine has model calls under way.
pub(super) const AT_ONCE: usize = 64;

pub(super) type Handler = Arc<dyn Fn(Request) -> Pin<Box<dyn Future<Output = Result<Reply, Refusal>> + Send>> + Send + Sync>;

/// A message that waits.
pub(super) struct Waiting {
    pub(super) key: RowKey,
    /// The message, unless it is only in the store.
    pub(super) message: Option<Message>,
    pub(super) redelivered: bool,
}

#[derive(Default)]
pub(super) struct Hall {
    handler: Option<(Handler, usize)>,
    queue: VecDeque<Waiting>,
    ready: usize,
    running: HashMap<RowKey, watch::Sender<bool>>,
}

impl Hall {
    pub(super) fn open(&mut self, handler: Handler, at_once: usize) {
        self.handler = Some((handler, at_once));
    }

    pub(super) fn is_full(&self) -> bool {
        self.queue.len() >= MAX_WAITING
    }

    #[cfg(test)]
    pub(super) fn waiting(&self) -> usize {
        self.queue.len()
    }

    pub(super) fn enter(&mut self, mut waiting: Waiting) {
        let size = waiting.message.as_ref().map_or(0, |message| message.body().len());
        if self.ready + size > MAX_READY {
            waiting.message = None;
        } else {
            self.ready += size;
        }
        self.queue.push_back(waiting);
    }

    /// The next message for the handler, if there is one and it may run once more.
    pub(super) fn next(&mut self) -> Option<(Handler, Waiting, watch::Receiver<bool>)> {
        let (handler, at_once) = self.handler.as_ref()?;
        if self.running.len() >= *at_once {
            return None;
        }
        let waiting = self.queue.pop_front()?;
        self.ready -= waiting.message.as_ref().map_or(0, |message| message.body().len());
        let (cancel, cancelled) = watch::channel(false);
        self.running.insert(waiting.key, cancel);
        Some((Arc::clone(handler), waiting, cancelled))
    }

    pub(super) fn done(&mut self, key: &RowKey) {
        self.running.remove(key);
    }

    /// Tells a run that nobody waits for it, or takes the message out of the queue: then it is returned.
    pub(super) fn cancel(&mut self, key: &RowKey) -> bool {
        if let Some(running) = self.running.get(key) {
            running.send_replace(true);
            return false;
        }
        let Some(at) = self.queue.iter().position(|waiting| waiting.key == *key) else { return false };
        if let Some(waiting) = self.queue.remove(at) {
            self.ready -= waiting.message.as_ref().map_or(0, |message| message.body().len());
        }
        true
    }
}
