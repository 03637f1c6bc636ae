//! One connection: what is read and written on it once both sides have said who they are.

use core::{
    sync::atomic::{AtomicBool, Ordering::Relaxed},
    time::Duration,
};
use std::{io, sync::Arc};

use tokio::{
    io::{AsyncRead, AsyncWrite, AsyncWriteExt, BufReader},
    sync::{Notify, Semaphore, watch},
    time::{Instant, timeout_at},
};

use super::{
    frame::{self, Frame},
    inbox::Inboxes,
    layer::ByteStream,
    link::{Link, Next},
    receipts::{Receipts, Wanted},
};

/// How long a connection is silent before it is asked whether it lives: rarely when nothing is expected, soon when something is.
const PING: (Duration, Duration) = (Duration::from_secs(30), Duration::from_secs(5));

/// How long it may take to answer. Longer than a Wi-Fi takes to come back, shorter than a person waits.
const ANSWER: Duration = Duration::from_secs(15);

/// A connection, its peer's session, and the link it serves if it is used to send.
pub(super) struct Connection {
    pub(super) inboxes: Arc<Inboxes>,
    pub(super) budget: Arc<Semaphore>,
    pub(super) receipts: Arc<Receipts>,
    /// The link whose receipts come on this connection, and whether its parcels are sent on it.
    pub(super) link: Option<(Arc<Link>, Use)>,
    pub(super) closing: watch::Receiver<bool>,
}

/// What a connection is used for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Use {
    Sending,
    /// Its peer is sent to on a connection of our own, at the address we were given.
    Receiving,
}

/// What reader and writer of a connection tell each other.
struct Shared {
    wake: Arc<Notify>,
    heard: AtomicBool,
    pong_due: AtomicBool,
}

/// A link that uses this connection, until it ends in whatever way.
struct Attached<'a> {
    link: &'a Link,
    number: u64,
}

impl Drop for Attached<'_> {
    fn drop(&mut self) {
        self.link.detach(self.number);
    }
}

impl Connection {
    /// Serves the connection until it fails, is replaced, or the transport is closed.
    pub(super) async fn serve(self, stream: ByteStream) -> io::Result<()> {
        let shared = Shared { wake: Arc::new(Notify::new()), heard: AtomicBool::new(true), pong_due: AtomicBool::new(false) };
        self.receipts.attach(&shared.wake);
        let sending = self.link.as_ref().filter(|(_, purpose)| *purpose == Use::Sending).map(|(link, _)| Arc::clone(link));
        let attached = sending.as_deref().map(|link| Attached { link, number: link.attach(&shared.wake) });
        let (reading, writing) = tokio::io::split(stream);
        tokio::select! {
            outcome = self.read(reading, &shared) => outcome,
            outcome = self.write(writing, &shared, attached.as_ref().map(|attached| (attached.link, attached.number))) => outcome,
        }
    }

    async fn read(&self, reading: impl AsyncRead + Unpin, shared: &Shared) -> io::Result<()> {
        let mut reading = BufReader::with_capacity(16 * 1024, reading);
        loop {
            match frame::read(&mut reading, &self.budget, || shared.heard.store(true, Relaxed)).await? {
                Frame::Parcel { number, to, bytes } => match self.receipts.wants(number, &to) {
                    Wanted::Yes if self.inboxes.put(&to, bytes, &self.receipts, number) => {}
                    Wanted::Yes => self.receipts.refuse(number, to),
                    Wanted::Here => {}
                    Wanted::Flood => return Err(frame::invalid("a peer that sends and does not listen")),
                },
                Frame::Done(numbers) => self.links(|link| link.done(&numbers)),
                Frame::Later(numbers) => self.links(|link| numbers.iter().for_each(|number| link.later(*number))),
                Frame::Ping => {
                    shared.pong_due.store(true, Relaxed);
                    shared.wake.notify_one();
                }
                Frame::Pong => {}
                Frame::Hello(_) => return Err(frame::invalid("a second hello")),
            }
        }
    }

    fn links(&self, tell: impl FnOnce(&Link)) {
        if let Some((link, _)) = &self.link {
            tell(link);
        }
    }

    async fn write(&self, mut to: impl AsyncWrite + Unpin, shared: &Shared, link: Option<(&Link, u64)>) -> io::Result<()> {
        let mut closing = self.closing.clone();
        let mut asked: Option<Instant> = None;
        let mut out = Vec::new();
        loop {
            if shared.pong_due.swap(false, Relaxed) {
                frame::write_pong(&mut out);
            }
            let due = self.receipts.due();
            let is_written = !out.is_empty() || *closing.borrow() || link.is_some_and(|(link, _)| link.has_unsent());
            let told = due.filter(|due| !is_written && *due > Instant::now());
            if told.is_none() {
                self.receipts.write(&mut out);
            }
            let next = link.map_or(Next::All(None), |(link, number)| link.next(number, &mut out));
            if !out.is_empty() {
                frame::write(&mut to, &out).await?;
            }
            if let Next::Large(parcel) = &next {
                frame::write(&mut to, parcel).await?;
            }
            to.flush().await?;
            out.clear();
            out.shrink_to(frame::CHUNK);
            if *closing.borrow() {
                return to.shutdown().await;
            }
            let retry = match next {
                Next::TakenOver => return Err(io::Error::new(io::ErrorKind::ConnectionAborted, "another connection has taken over")),
                Next::Large(_) => continue,
                Next::All(retry) => retry,
            };
            if shared.heard.swap(false, Relaxed) {
                asked = None;
            }
            if asked.is_some_and(|asked| asked.elapsed() > ANSWER) {
                return Err(io::Error::new(io::ErrorKind::TimedOut, "the other side does not answer"));
            }
            let quiet = if link.is_none_or(|(link, _)| link.is_empty()) && asked.is_none() { PING.0 } else { PING.1 };
            let quiet = Instant::now() + quiet;
            tokio::select! {
                woken = timeout_at([retry, told].into_iter().flatten().fold(quiet, Instant::min), shared.wake.notified()) => {
                    if woken.is_err() && Instant::now() >= quiet {
                        asked.get_or_insert_with(Instant::now);
                        frame::write_ping(&mut out);
                    }
                }
                _ = closing.changed() => {}
            }
        }
    }
}
