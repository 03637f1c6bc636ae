//! [`Node`]: an endpoint, a transport and a memory. Requests and replies, one-way messages and handlers over any way there is.
//!
//! What a node takes over is sent until it is acknowledged, answered or expired, through restarts where there is a home. A handler is given
//! each message at least once; who asks is given one reply. `docs/node.md` says what that means, `SPEC.md`, "Acknowledgement", how it is done.
//!
//! ```
//! use sealwire::{Draft, Endpoint, node::{Node, Reply, Request}, transport::Memory};
//!
//! # tokio::runtime::Builder::new_current_thread().enable_time().build()?.block_on(async {
//! let node = Node::builder(Endpoint::builder().in_memory("local")?, Memory::new()).build()?;
//! let boss = node.host("boss")?;
//! let researcher = node.serve("researcher", |request: Request| async move {
//!     let question = String::from_utf8_lossy(request.message().body()).into_owned();
//!     Ok(Reply::new("result", format!("{question}? 42")))
//! })?;
//! let reply = node.request(&boss, &researcher, Draft::new("task", "the answer"), std::time::Duration::from_secs(60)).await?;
//! assert_eq!(reply.body(), b"the answer? 42");
//! node.close().await;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! # })?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use std::{
    collections::{HashMap, HashSet},
    fmt,
    future::Future,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::{
    sync::{Notify, OwnedSemaphorePermit, Semaphore, mpsc, oneshot, watch},
    time::{Duration, Instant, timeout_at},
};
use tracing::Instrument;

use crate::{
    address::Address,
    endpoint::Endpoint,
    header::MessageRef,
    journal::{Change, Expects, RowKey, Work},
    key::{MessageId, Thumbprint},
    message::{Draft, Message},
    transport::Transport,
};

mod builder;
mod clock;
mod confirmations;
mod courier;
mod desk;
mod error;
mod flights;
mod hall;
mod inbox;
mod pace;
mod panics;
mod parts;
mod peers;
mod replies;
mod request;
mod ticket;
mod upkeep;
#[cfg(all(feature = "home", feature = "tcp"))]
mod visit;

pub use builder::Builder;
pub use error::NodeError;
pub use request::{Refusal, Reply, Request};
pub use ticket::{Piece, Ticket};
#[cfg(all(feature = "home", feature = "tcp"))]
pub use visit::{Clock, Visit};

pub(crate) use clock::{MAX_ANSWER, Nonce, sign as sign_clock};

use confirmations::{Confirmations, Way};
use courier::Couriers;
use desk::{Finish, Job, Outcome};
use flights::{End, Flight, Flights};
use hall::{Hall, Waiting};
use panics::{Panicked, caught};
use peers::Peers;
use replies::Replies;
use ticket::{Ended, Keep};

/// Messages under way at a time. Who sends more waits.
const MAX_FLIGHTS: usize = 4096;

/// KiB of messages under way at a time; sixteen of the largest.
const MAX_FLIGHT_ROOM: usize = 256 * 1024;

/// Bytes of messages that are sealed or opened [in place](Builder::work_in_place): what takes about as long as writing them down.
const IN_PLACE: usize = 64 * 1024;

/// Sends and receives for the agents of one endpoint. One for each process; clones are the same node.
///
/// When the last one is dropped the node stops where it is; [`Node::close`] stops it in order.
pub struct Node<T: Transport + 'static>(Arc<Owner<T>>);

impl<T: Transport + 'static> Clone for Node<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<T: Transport + 'static> fmt::Debug for Node<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Node").field("endpoint", &self.0.inner.endpoint).field("under_way", &self.0.inner.flights().len()).finish()
    }
}

/// What the handles of a node share. The tasks hold the inside only, and end with this.
struct Owner<T> {
    inner: Arc<Inner<T>>,
    gone: tokio::sync::Mutex<mpsc::Receiver<()>>,
}

impl<T> Drop for Owner<T> {
    fn drop(&mut self) {
        self.inner.closed.send_replace(true);
    }
}

/// A node as its tasks see it.
struct Inner<T> {
    endpoint: Arc<Endpoint>,
    transport: Arc<T>,
    couriers: Couriers<T>,
    resend_after: Duration,
    in_place: bool,
    desk: mpsc::Sender<Job>,
    flights: Mutex<Flights>,
    confirmations: Mutex<Confirmations>,
    replies: Mutex<Replies>,
    peers: Mutex<Peers>,
    /// A certificate or roster has come.
    met: Notify,
    /// Peers that the home knew at the start.
    known: Vec<Address>,
    halls: Mutex<HashMap<Address, Hall>>,
    attached: Mutex<HashSet<Address>>,
    /// What a process that has ended was working on, until its agent is hosted here.
    left: Mutex<HashMap<Thumbprint, Vec<RowKey>>>,
    /// How waits for replies have ended.
    ended: mpsc::UnboundedSender<Ended>,
    ending: Mutex<Option<mpsc::UnboundedReceiver<Ended>>>,
    /// Something may be due earlier than was known.
    alarm: Notify,
    room: [Arc<Semaphore>; 2],
    closed: watch::Sender<bool>,
    /// Held by each task; when all are gone, so is the node.
    alive: Mutex<Option<mpsc::Sender<()>>>,
}

impl<T: Transport + 'static> Node<T> {
    /// How to make one, of an endpoint and whatever carries its envelopes.
    pub fn builder(endpoint: impl Into<Arc<Endpoint>>, transport: T) -> Builder<T> {
        Builder::new(endpoint.into(), transport)
    }

    fn inner(&self) -> &Arc<Inner<T>> {
        &self.0.inner
    }

    /// The endpoint.
    pub fn endpoint(&self) -> &Endpoint {
        &self.0.inner.endpoint
    }

    /// Hosts an agent that sends and waits for replies. What arrives for it besides waits until it is served.
    ///
    /// # Errors
    /// As [`Endpoint::host`].
    pub fn host(&self, name: &str) -> Result<Address, NodeError> {
        let agent = self.endpoint().host(name)?;
        self.inner().attach(&agent)?;
        Ok(agent)
    }

    /// Hosts an agent and gives its messages to `handler`, 64 at a time.
    ///
    /// # Errors
    /// As [`Endpoint::host`].
    pub fn serve<F, R>(&self, name: &str, handler: F) -> Result<Address, NodeError>
    where
        F: Fn(Request) -> R + Send + Sync + 'static,
        R: Future<Output = Result<Reply, Refusal>> + Send + 'static,
    {
        self.serve_at_once(name, hall::AT_ONCE, handler)
    }

    /// As [`Node::serve`], with that many runs of the handler at a time, at least one.
    ///
    /// # Errors
    /// As [`Endpoint::host`].
    pub fn serve_at_once<F, R>(&self, name: &str, at_once: usize, handler: F) -> Result<Address, NodeError>
    where
        F: Fn(Request) -> R + Send + Sync + 'static,
        R: Future<Output = Result<Reply, Refusal>> + Send + 'static,
    {
        let agent = self.host(name)?;
        let handler: hall::Handler = Arc::new(move |request| Box::pin(handler(request)));
        self.inner().halls().entry(agent.clone()).or_default().open(handler, at_once.max(1));
        self.inner().pump(&agent);
        Ok(agent)
    }

    /// Asks, and waits for the reply until the deadline. Dropping the future takes the request back.
    ///
    /// # Errors
    /// [`NodeError::Deadline`] when it passes, [`NodeError::Failed`] with the handler's words; see [`NodeError`].
    pub async fn request<B: AsRef<[u8]>>(
        &self,
        from: &Address,
        to: &Address,
        draft: Draft<B>,
        deadline: Duration,
    ) -> Result<Message, NodeError> {
        let until = Instant::now() + deadline;
        let asked = timeout_at(until, self.ask_once(from, to, draft, deadline)).await.map_err(|_| NodeError::Deadline)??;
        timeout_at(until, asked.reply()).await.map_err(|_| NodeError::Deadline)?
    }

    /// Asks, and returns once the request was taken over: it is sent until it is answered or the deadline passes, through restarts too where
    /// there is a home. The [`Ticket`] waits for the reply; dropping it takes the request back.
    ///
    /// # Errors
    /// If it was not taken over; see [`NodeError`].
    pub async fn ask<B: AsRef<[u8]>>(
        &self,
        from: &Address,
        to: &Address,
        draft: Draft<B>,
        deadline: Duration,
    ) -> Result<Ticket, NodeError> {
        self.ask_keeping(from, to, draft, deadline, Keep::Yes).await
    }

    /// As [`Node::ask`], for somebody who will not ask for the reply again: it is kept nowhere, and costs less. Not for a request that may be
    /// [left](Ticket::leave): its reply is lost if it comes in that moment.
    ///
    /// # Errors
    /// As [`Node::ask`].
    pub async fn ask_once<B: AsRef<[u8]>>(
        &self,
        from: &Address,
        to: &Address,
        draft: Draft<B>,
        deadline: Duration,
    ) -> Result<Ticket, NodeError> {
        self.ask_keeping(from, to, draft, deadline, Keep::No).await
    }

    async fn ask_keeping<B: AsRef<[u8]>>(
        &self,
        from: &Address,
        to: &Address,
        draft: Draft<B>,
        deadline: Duration,
        keep: Keep,
    ) -> Result<Ticket, NodeError> {
        let (waiting, reply) = oneshot::channel();
        let (parts, arriving) = mpsc::channel(ticket::MAX_PARTS);
        // Times are whole seconds: the message must not end before the deadline does.
        let lifetime = deadline.as_secs().saturating_add(2);
        let draft = draft.lifetime(lifetime.min(crate::limits::MAX_LIFETIME));
        let message = self.hand_in(from, to, draft, Expects::Reply, End::Waiting(waiting), Some(parts), keep, deadline).await?;
        Ok(Ticket::new(message, reply, arriving, self.inner().ended.clone(), keep))
    }

    /// Sends one way. When it returns the message was taken over: it is sent until it is acknowledged or its lifetime ends.
    ///
    /// # Errors
    /// If it was not taken over; see [`NodeError`].
    pub async fn send<B: AsRef<[u8]>>(&self, from: &Address, to: &Address, draft: Draft<B>) -> Result<MessageRef, NodeError> {
        let patience = Duration::from_secs(draft.lifetime);
        self.hand_in(from, to, draft, Expects::Acknowledgement, End::Untold, None, Keep::Yes, patience).await
    }

    /// Requests that nobody waits for, as their process ended or they were left, and which are not answered or whose reply nobody has taken:
    /// by whom, to whom and which.
    pub fn outstanding(&self) -> Vec<(Address, Address, MessageRef)> {
        let outstanding = self.inner().flights().outstanding();
        let name = |outgoing: crate::journal::Outgoing| {
            let message = MessageRef { signer: outgoing.signer.short(), id: outgoing.id };
            (outgoing.from, outgoing.to, message)
        };
        outstanding.into_iter().map(name).collect()
    }

    /// Waits for the reply to a request that was left, or that an earlier process of this home has asked. A reply that was taken already is
    /// given again until it was [settled](Node::settle) or its time is over: in case it was not noted.
    ///
    /// # Errors
    /// [`NodeError::NotOutstanding`] if there is no such request, or somebody waits for it already; [`NodeError::Revoked`] if its reply is here
    /// and its author was revoked since; [`NodeError::Store`] if the home fails.
    pub async fn resume(&self, request: MessageRef) -> Result<Ticket, NodeError> {
        let (waiting, reply) = oneshot::channel();
        let inner = Arc::clone(self.inner());
        let resumed = inner.flights().resume(request.id, waiting);
        match resumed {
            flights::Resumed::Waits => {}
            flights::Resumed::IsWaitedFor => return Err(NodeError::NotOutstanding),
            flights::Resumed::NotUnderWay(waiting) => {
                let reader = Arc::clone(&inner);
                let found = inner.aside(move || reader.endpoint.answer(&request)).await.ok_or(NodeError::Closed)??;
                let reply = found.ok_or(NodeError::NotOutstanding)?;
                inner.endpoint.check_release(&reply).map_err(|_| NodeError::Revoked(reply.header().from.clone()))?;
                let _received_below = waiting.send(Ok(reply));
            }
        }
        let (_, arriving) = mpsc::channel(1);
        Ok(Ticket::new(request, reply, arriving, inner.ended.clone(), Keep::Yes))
    }

    /// Says that the reply to a request was noted where a restart does not lose it: it is not kept any more. Without this it is kept until its
    /// time is over.
    ///
    /// # Errors
    /// [`NodeError::Closed`] if the node was closed.
    pub async fn settle(&self, request: MessageRef) -> Result<(), NodeError> {
        self.inner().flights().take_answered(request.id);
        self.inner().desk.send(Job::Write(vec![Change::Settled { request }])).await.map_err(|_| NodeError::Closed)
    }

    /// Messages that were taken over and are neither acknowledged nor answered nor expired.
    pub fn under_way(&self) -> usize {
        self.inner().flights().len()
    }

    /// Stops: what was taken over is written, acknowledgements that wait are sent, runs of handlers end where they are. With a home, the next
    /// process goes on; without, what was under way is lost.
    pub async fn close(&self) {
        let inner = self.inner();
        let (noted, done) = oneshot::channel();
        if inner.ended.send(Ended::Flush(noted)).is_ok() {
            let _closed = done.await;
        }
        let ways = inner.confirmations().all();
        for way in ways {
            let _closed = inner.desk.send(Job::Acknowledge(way)).await;
        }
        let (flushed, done) = oneshot::channel();
        if inner.desk.send(Job::Flush(flushed)).await.is_ok() {
            let _flushed = done.await;
        }
        inner.couriers.flush(ticket::CLOSING).await;
        inner.closed.send_replace(true);
        inner.flights().close();
        inner.alive.lock().unwrap_or_else(PoisonError::into_inner).take();
        let mut gone = self.0.gone.lock().await;
        while gone.recv().await.is_some() {}
        inner.endpoint.retire();
    }

    #[allow(clippy::too_many_arguments, reason = "the parts of one message; a type of their own would have no other use")]
    async fn hand_in<B: AsRef<[u8]>>(
        &self,
        from: &Address,
        to: &Address,
        draft: Draft<B>,
        expects: Expects,
        end: End,
        parts: Option<mpsc::Sender<parts::Part>>,
        keep: Keep,
        patience: Duration,
    ) -> Result<MessageRef, NodeError> {
        let inner = self.inner();
        if [desk::ACK, desk::CANCEL, desk::FAILED, parts::KIND].contains(&draft.kind.as_str()) {
            return Err(NodeError::Reserved(draft.kind));
        }
        let draft = draft.with_body_owned();
        inner.attach(from)?;
        inner.meet(from, to, patience).await?;
        let room = inner.room_for(draft.body.len()).await?;
        let (taken, answer) = oneshot::channel();
        let send = desk::Send { from: from.clone(), to: to.clone(), draft, expects, end, parts, keep, room, taken };
        inner.desk.send(Job::Send(Box::new(send))).await.map_err(|_| NodeError::Closed)?;
        answer.await.map_err(|_| NodeError::Closed)?
    }
}

impl<T: Transport + 'static> Inner<T> {
    fn new(builder: Builder<T>, known: Vec<Address>) -> (Arc<Self>, mpsc::Receiver<Job>, mpsc::Receiver<()>) {
        let Builder { endpoint, transport, resend_after, in_place } = builder;
        let (transport, in_place) = (Arc::new(transport), in_place && !endpoint.calls_its_user());
        let (desk, jobs) = mpsc::channel(desk::MAX_JOBS);
        let (alive, gone) = mpsc::channel(1);
        let (ended, ending) = mpsc::unbounded_channel();
        let inner = Self {
            endpoint,
            couriers: Couriers::new(Arc::clone(&transport)),
            transport,
            resend_after,
            in_place,
            desk,
            flights: Mutex::default(),
            confirmations: Mutex::default(),
            replies: Mutex::default(),
            peers: Mutex::default(),
            met: Notify::new(),
            known,
            halls: Mutex::default(),
            attached: Mutex::default(),
            left: Mutex::default(),
            ended,
            ending: Mutex::new(Some(ending)),
            alarm: Notify::new(),
            room: [Arc::new(Semaphore::new(MAX_FLIGHTS)), Arc::new(Semaphore::new(MAX_FLIGHT_ROOM))],
            closed: watch::channel(false).0,
            alive: Mutex::new(Some(alive)),
        };
        (Arc::new(inner), jobs, gone)
    }

    fn flights(&self) -> MutexGuard<'_, Flights> {
        self.flights.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn confirmations(&self) -> MutexGuard<'_, Confirmations> {
        self.confirmations.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn replies(&self) -> MutexGuard<'_, Replies> {
        self.replies.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn halls(&self) -> MutexGuard<'_, HashMap<Address, Hall>> {
        self.halls.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn left(&self) -> MutexGuard<'_, HashMap<Thumbprint, Vec<RowKey>>> {
        self.left.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Runs something until it ends or the node is closed.
    fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        let alive = self.alive.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let Some(alive) = alive else { return };
        let mut closed = self.closed.subscribe();
        tokio::spawn(async move {
            tokio::select! {
                _ = closed.wait_for(|closed| *closed) => {}
                () = task => {}
            }
            drop(alive);
        });
    }

    /// Does something that takes the processor or the disk for a while, elsewhere.
    async fn aside<R: Send + 'static>(&self, work: impl FnOnce() -> R + Send + 'static) -> Option<R> {
        let alive = self.alive.lock().unwrap_or_else(PoisonError::into_inner).clone()?;
        let done = tokio::task::spawn_blocking(move || {
            let result = work();
            drop(alive);
            result
        });
        done.await.inspect_err(|error| tracing::error!(%error, "work that was put aside panicked")).ok()
    }

    /// Does something with so many bytes of messages: here if the node may and they are few, else [aside](Self::aside).
    async fn work<R: Send + 'static>(&self, size: usize, work: impl FnOnce() -> R + Send + 'static) -> Option<R> {
        if !self.in_place || size > IN_PLACE {
            return self.aside(work).await;
        }
        let done = catch_unwind(AssertUnwindSafe(work));
        done.inspect_err(|_| tracing::error!("work that was done in place panicked")).ok()
    }

    /// Begins to receive for an agent that is hosted here; again changes nothing.
    fn attach(self: &Arc<Self>, agent: &Address) -> Result<(), NodeError> {
        if self.endpoint.hosts(agent).is_none() {
            return Err(crate::error::SealError::NotHosted(agent.clone()).into());
        }
        if !self.attached.lock().unwrap_or_else(PoisonError::into_inner).insert(agent.clone()) {
            return Ok(());
        }
        self.release_left(agent)?;
        self.receive_for(agent);
        self.greet(agent, &self.known);
        Ok(())
    }

    fn receive_for(self: &Arc<Self>, agent: &Address) {
        let (arrived, arriving) = mpsc::channel(inbox::AT_ONCE);
        self.spawn(inbox::receive(Arc::clone(self), agent.clone(), arrived));
        self.spawn(inbox::open(Arc::clone(self), agent.clone(), arriving));
    }

    /// Room among the messages under way; waits for it.
    async fn room_for(&self, size: usize) -> Result<[OwnedSemaphorePermit; 2], NodeError> {
        let [count, bytes] = &self.room;
        let kib = u32::try_from((size / 1024 + 1).min(MAX_FLIGHT_ROOM)).unwrap_or(u32::MAX);
        let one = Arc::clone(count).acquire_owned().await.map_err(|_| NodeError::Closed)?;
        let room = Arc::clone(bytes).acquire_many_owned(kib).await.map_err(|_| NodeError::Closed)?;
        Ok([one, room])
    }

    /// Puts a message under way.
    fn take_off(&self, flight: Flight) {
        let mut flights = self.flights();
        let earlier = flights.next_due();
        flights.add(flight);
        self.hasten(earlier, flights.next_due());
    }

    /// Acknowledges a message to its author, with the next message that goes there or within `wait`.
    fn confirm(&self, way: Way, id: MessageId, wait: Duration) {
        let mut confirmations = self.confirmations();
        let earlier = confirmations.next_due();
        confirmations.add(way, id, Instant::now() + wait);
        self.hasten(earlier, confirmations.next_due());
    }

    /// Something is due at `next` that was due at `earlier` before: upkeep is told, unless it looks up by then anyway.
    fn hasten(&self, earlier: Option<Instant>, next: Option<Instant>) {
        if next != earlier && next.is_some_and(|next| next < Instant::now() + upkeep::LOOK) {
            self.alarm.notify_one();
        }
    }

    /// Lets the handler of `agent` begin as much as it may.
    fn pump(self: &Arc<Self>, agent: &Address) {
        loop {
            let Some((handler, waiting, cancelled)) = self.halls().get_mut(agent).and_then(Hall::next) else { return };
            let (inner, agent) = (Arc::clone(self), agent.clone());
            self.spawn(async move {
                let key = waiting.key;
                inner.handle(handler, waiting, cancelled).await;
                if let Some(hall) = inner.halls().get_mut(&agent) {
                    hall.done(&key);
                }
                inner.pump(&agent);
            });
        }
    }

    /// Runs a handler on one message and notes what became of it.
    async fn handle(self: &Arc<Self>, handler: hall::Handler, waiting: Waiting, cancelled: watch::Receiver<bool>) {
        let Waiting { key, message, redelivered } = waiting;
        let message = match message {
            Some(message) => message,
            None => match self.fetch(key).await {
                Some(message) => message,
                None => return,
            },
        };
        if let Err(error) = self.endpoint.check_release(&message) {
            tracing::info!(from = %message.header().from, id = %message.header().id, %error, "waited, and is not released");
            let _closed = self.desk.send(Job::Write(vec![Change::Finished { key, reply: None }])).await;
            return;
        }
        let header = message.header();
        let (from, to) = request::back(&message);
        let (request, thread, expires) = (header.message_ref(), header.thread, header.expires);
        let mut run = [0; 8];
        if getrandom::fill(&mut run).is_err() {
            return;
        }
        let size = message.body().len();
        let span =
            tracing::debug_span!("handle", from = %header.from, to = %header.to, kind = header.kind, id = %request.id, size, redelivered);
        let given = Request { message, redelivered, cancelled: cancelled.clone(), desk: self.desk.clone(), run, parts: 0 };
        let outcome = match caught(async { handler(given).await }.instrument(span)).await {
            Ok(Ok(Reply(Some(draft)))) => Outcome::Reply(draft),
            Ok(Ok(Reply(None))) => Outcome::Nothing,
            Ok(Err(Refusal(reason))) => Outcome::Failed(reason),
            Err(Panicked) => Outcome::Failed("its handler panicked".into()),
        };
        let outcome = if *cancelled.borrow() { Outcome::Nothing } else { outcome };
        let finish = Finish { key, from, to, request, thread, expires, outcome };
        let _closed = self.desk.send(Job::Finish(Box::new(finish))).await;
    }

    /// A message that is only in the store.
    async fn fetch(self: &Arc<Self>, key: RowKey) -> Option<Message> {
        let inner = Arc::clone(self);
        let fetched = self.aside(move || match inner.endpoint.work(&key) {
            Ok(Some(Work::Pending(form, kept))) => inner.endpoint.released_again(&key, form, kept).map(Some),
            Ok(_) => Ok(None),
            Err(error) => Err(error),
        });
        fetched.await?.inspect_err(|error| tracing::warn!(%error, "a message that waited cannot be read")).ok()?
    }
}

#[cfg(test)]
mod tests;
