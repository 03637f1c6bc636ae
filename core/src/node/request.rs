//! [`Request`] and [`Reply`]: what a handler is given and what it gives back.

use core::fmt;

use tokio::sync::{mpsc, watch};

use super::{NodeError, desk::Job, parts};
use crate::{
    address::Address,
    message::{Draft, Message},
};

/// A message for a handler.
///
/// A handler is given each message at least once. When a process ends in the middle of one, the next is given it again, and
/// [`Request::is_redelivered`] says so: effects outside should be made under the message's id, so that a second one finds the first.
pub struct Request {
    pub(super) message: Message,
    pub(super) redelivered: bool,
    pub(super) cancelled: watch::Receiver<bool>,
    pub(super) desk: mpsc::Sender<Job>,
    pub(super) run: [u8; 8],
    pub(super) parts: u64,
}

impl Request {
    /// The message: authentic, for this agent, allowed by policy.
    pub fn message(&self) -> &Message {
        &self.message
    }

    /// The message, for a handler that needs nothing else.
    pub fn into_message(self) -> Message {
        self.message
    }

    /// Whether an earlier run may have begun or done this work, and its process ended before that was noted.
    pub fn is_redelivered(&self) -> bool {
        self.redelivered
    }

    /// Unix time after which nobody waits for the reply.
    pub fn deadline(&self) -> u64 {
        self.message.header().expires
    }

    /// Returns once nobody waits any more: the author took the request back. A handler need not look; its reply is dropped then.
    pub async fn cancelled(&self) {
        let mut cancelled = self.cancelled.clone();
        if cancelled.wait_for(|cancelled| *cancelled).await.is_err() {
            std::future::pending::<()>().await;
        }
    }

    /// Sends a part of the reply ahead, such as a few tokens of a model. Parts come in order or, when the way loses one, end early; the reply
    /// stands alone and is kept, parts are not.
    ///
    /// # Errors
    /// If the node was closed.
    pub async fn part(&mut self, bytes: &[u8]) -> Result<(), NodeError> {
        let header = self.message.header();
        let part = parts::Part { run: self.run, number: self.parts, bytes: bytes.to_vec() };
        let draft = Draft::new(parts::KIND, part.encode()).answers(header.message_ref()).thread(header.thread);
        self.parts += 1;
        let told = Job::Tell { from: header.to.clone(), to: header.from.clone(), draft };
        self.desk.send(told).await.map_err(|_| NodeError::Closed)
    }
}

impl fmt::Debug for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Request({:?}, redelivered: {})", self.message, self.redelivered)
    }
}

/// What a handler says back.
pub struct Reply(pub(super) Option<Draft<Vec<u8>>>);

impl Reply {
    /// A reply of a kind, such as `result`.
    pub fn new(kind: impl Into<String>, body: impl Into<Vec<u8>>) -> Self {
        Self(Some(Draft::new(kind, body.into())))
    }

    /// Nothing: the message is acknowledged as processed, and that is all.
    pub fn none() -> Self {
        Self(None)
    }

    /// Adds a word that policy reads.
    #[must_use]
    pub fn label(self, label: impl Into<String>) -> Self {
        Self(self.0.map(|draft| draft.label(label)))
    }

    /// Media type of the body.
    #[must_use]
    pub fn content_type(self, content_type: impl Into<String>) -> Self {
        Self(self.0.map(|draft| draft.content_type(content_type)))
    }
}

impl fmt::Debug for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Reply({:?})", self.0)
    }
}

/// Why a handler did not do it. The text is sealed and told to who asked: nothing in it that they must not know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal(pub(super) String);

impl<S: Into<String>> From<S> for Refusal {
    fn from(reason: S) -> Self {
        Self(reason.into())
    }
}

/// The agent at the other end of a message, as handlers write to it.
pub(super) fn back(message: &Message) -> (Address, Address) {
    (message.header().to.clone(), message.header().from.clone())
}
