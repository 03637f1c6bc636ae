//! [`Ticket`]: what waits for the reply to a request that was taken over.

use std::{collections::VecDeque, fmt};

use tokio::{
    sync::{mpsc, oneshot},
    time::Duration,
};

use super::{
    NodeError,
    confirmations::Way,
    desk::FAILED,
    parts::{Order, Ordered, Part},
    request,
};
use crate::{header::MessageRef, key::MessageId, message::Message};

/// Parts of a reply that wait to be read. Who reads more slowly loses parts, never the reply.
pub(super) const MAX_PARTS: usize = 256;

/// How long a node that is closed waits for the transport to take what it was given.
pub(super) const CLOSING: Duration = Duration::from_secs(2);

/// Longest text of a refusal that is passed on, in characters.
const MAX_REASON: usize = 1024;

/// What comes of a request.
#[derive(Debug)]
#[non_exhaustive]
pub enum Piece {
    /// A part of the reply, ahead of it.
    Part(Vec<u8>),
    /// The handler began anew after a crash: parts so far belong to a run that has no reply.
    Again,
    /// The reply. Nothing follows.
    Reply(Box<Message>),
}

/// What became of the wait for a reply.
pub(super) enum Ended {
    /// Nobody waits any more, and nobody will.
    Abandoned(MessageId),
    /// Somebody will ask again.
    Left(MessageId),
    /// It was taken by who asked.
    Taken { request: MessageId, way: Way, reply: MessageId, keep: Keep },
    /// All before it was looked at.
    Flush(oneshot::Sender<()>),
}

/// Whether a reply is kept for who may ask again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Keep {
    Yes,
    No,
}

/// A request that was taken over. Dropping it without the reply takes the request back.
pub struct Ticket {
    request: MessageRef,
    reply: oneshot::Receiver<Result<Message, NodeError>>,
    parts: mpsc::Receiver<Part>,
    order: Order,
    ready: VecDeque<Piece>,
    /// Where the node is told how the wait ended, as long as it has not.
    ended: Option<mpsc::UnboundedSender<Ended>>,
    keep: Keep,
}

impl Ticket {
    pub(super) fn new(
        request: MessageRef,
        reply: oneshot::Receiver<Result<Message, NodeError>>,
        parts: mpsc::Receiver<Part>,
        ended: mpsc::UnboundedSender<Ended>,
        keep: Keep,
    ) -> Self {
        Self { request, reply, parts, order: Order::default(), ready: VecDeque::new(), ended: Some(ended), keep }
    }

    /// Names the request, also after a restart: [`Node::resume`](super::Node::resume) takes it up while it is not answered, or its reply is kept.
    pub fn request(&self) -> MessageRef {
        self.request
    }

    /// Waits for the reply, whatever parts come before it. In a home it is kept until its time is over or [`Node::settle`](super::Node::settle)
    /// says that it was noted: until then [`Node::resume`](super::Node::resume) gives it again. After [`Node::ask_once`](super::Node::ask_once) it
    /// is not kept.
    ///
    /// # Errors
    /// [`NodeError::Deadline`] when the request's time is over, [`NodeError::Failed`] with the handler's words.
    pub async fn reply(mut self) -> Result<Message, NodeError> {
        let answer = (&mut self.reply).await;
        self.settle(answer)
    }

    /// Waits for the next piece: parts as they come, then the reply.
    ///
    /// # Errors
    /// As [`Ticket::reply`]; [`NodeError::NotOutstanding`] after the reply.
    pub async fn next(&mut self) -> Result<Piece, NodeError> {
        loop {
            if let Some(piece) = self.ready.pop_front() {
                return Ok(piece);
            }
            if self.ended.is_none() {
                return Err(NodeError::NotOutstanding);
            }
            tokio::select! {
                biased;
                Some(part) = self.parts.recv() => self.put_in_order(part),
                answer = &mut self.reply => {
                    let reply = self.settle(answer)?;
                    // Parts that came with the reply are before it.
                    while let Ok(part) = self.parts.try_recv() {
                        self.put_in_order(part);
                    }
                    self.ready.push_back(Piece::Reply(Box::new(reply)));
                }
            }
        }
    }

    fn put_in_order(&mut self, part: Part) {
        let pieces = self.order.add(part).into_iter().map(|ordered| match ordered {
            Ordered::Part(bytes) => Piece::Part(bytes),
            Ordered::Again => Piece::Again,
        });
        self.ready.extend(pieces);
    }

    fn settle(&mut self, answer: Result<Result<Message, NodeError>, oneshot::error::RecvError>) -> Result<Message, NodeError> {
        let ended = self.ended.take();
        let message = answer.map_err(|_| NodeError::Closed)??;
        if let Some(ended) = ended {
            let (way, reply) = (request::back(&message), message.header().id);
            let _closed = ended.send(Ended::Taken { request: self.request.id, way, reply, keep: self.keep });
        }
        if message.header().kind != FAILED {
            return Ok(message);
        }
        Err(NodeError::Failed(String::from_utf8_lossy(message.body()).chars().take(MAX_REASON).collect()))
    }

    /// Lets the request go on without waiting for it. [`Node::resume`](super::Node::resume) takes it up; with a home, a later process can, too.
    pub fn leave(mut self) -> MessageRef {
        self.reply.close();
        if let Some(ended) = self.ended.take() {
            let _closed = ended.send(Ended::Left(self.request.id));
        }
        self.request
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        if let Some(ended) = self.ended.take() {
            let _closed = ended.send(Ended::Abandoned(self.request.id));
        }
    }
}

impl fmt::Debug for Ticket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Ticket({})", self.request.id)
    }
}
