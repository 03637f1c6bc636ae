//! [`Streams`]: a transport over TCP, Unix sockets, TLS, or any other stream of bytes (SPEC.md, "Stream transport").
//!
//! One connection to each peer. A parcel is kept by its sender until the reader has acknowledged it, and sent again when the connection
//! was lost in between; all queues are bounded, and a reader that has stopped stops its senders. Nothing that arrives is believed.

use core::{fmt, time::Duration};
use std::{
    collections::HashMap,
    io,
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
};

use tokio::{
    sync::{Semaphore, watch},
    time::{Instant, timeout_at},
};

use super::{Location, Parcel, Transport, TransportError};
use crate::{address::Address, limits::MAX_PARCEL};

mod builder;
mod connection;
mod dialer;
mod frame;
mod inbox;
mod layer;
mod link;
mod listener;
mod receipts;
mod socket;
#[cfg(test)]
mod tests;
#[cfg(feature = "tls")]
mod tls;

pub use builder::Builder;
pub use inbox::StreamDelivery;
pub use layer::{ByteStream, Layer, Pending, Secured, Stream};
#[cfg(feature = "tls")]
pub use tls::{Tls, TlsBuilder};

use connection::{Connection, Use};
use frame::{Frame, Hello, Session};
use inbox::Inboxes;
use link::Link;
use receipts::Receipts;
use socket::Sockets;

/// How long [`Streams::send`] waits for room before it says [`TransportError::Full`]: a busy moment passes, a stopped reader does not.
const ROOM: Duration = Duration::from_secs(2);

/// Time for making a connection, its layer's handshake and both hellos, over a slow link.
const HELLO: Duration = Duration::from_secs(10);

/// KiB of large parcels that all connections together may be reading: four of the largest.
const READING: usize = 4 * MAX_PARCEL / 1024;

/// Peers known by what they announced, beyond which those that are gone and wait for nothing are forgotten.
const MAX_ANNOUNCED: usize = 1024;

/// A transport over streams of bytes. Clones are the same transport; it is closed with the last of them.
///
/// The node's part of an address decides where a parcel goes; a peer may also be named as `agent@node`, for an agent with a process of
/// its own. Needs a tokio runtime.
#[derive(Clone)]
pub struct Streams(Arc<Handle>);

/// Closes when the user has let go; tasks hold what is inside only.
struct Handle(Arc<Shared>);

impl Drop for Handle {
    fn drop(&mut self) {
        self.0.close();
    }
}

struct Shared {
    names: Vec<String>,
    sockets: Sockets,
    inboxes: Arc<Inboxes>,
    budget: Arc<Semaphore>,
    closing: watch::Sender<bool>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// By the name of a node or an agent.
    links: HashMap<String, Arc<Link>>,
    sessions: HashMap<Session, Weak<Receipts>>,
    listening: Vec<Location>,
}

/// What is known of a peer, for people and for commands that look for faults.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct PeerStatus {
    /// The node or agent.
    pub name: String,
    /// Where it is; `None` if it connects to us.
    pub location: Option<Location>,
    /// Whether there is a connection now.
    pub connected: bool,
    /// Parcels it has not acknowledged.
    pub under_way: usize,
    /// Why the last connection ended or could not be made.
    pub trouble: Option<String>,
}

impl Streams {
    /// Begins a transport for `name`: a node (`pi1`), or one of its agents (`researcher@pi1`) if this process speaks for that one only.
    pub fn builder(name: &str) -> Builder {
        Builder::new(name)
    }

    /// Tells where the node or agent `name` is, now or anew. What is under way to it goes there.
    ///
    /// # Errors
    /// If the name is none, or nothing here can reach such a location.
    pub fn set_peer(&self, name: &str, location: Location) -> io::Result<()> {
        if !frame::is_name(name) {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "a peer is a node or an agent, such as `pi2` or `researcher@pi2`"));
        }
        self.0.0.sockets.check(&location)?;
        self.0.0.set_peer(name, location)
    }

    /// Forgets a peer, and drops what is under way to it.
    pub fn forget_peer(&self, name: &str) {
        if let Some(link) = self.0.0.lock().links.remove(name) {
            link.close();
        }
    }

    /// The peers and how they are reached, by name.
    pub fn peers(&self) -> Vec<PeerStatus> {
        let state = self.0.0.lock();
        let mut peers: Vec<_> = state.links.iter().map(|(name, link)| PeerStatus::of(name, link)).collect();
        peers.sort_by(|a, b| a.name.cmp(&b.name));
        peers
    }

    /// Where it listens, with the ports that the system has chosen.
    pub fn listening(&self) -> Vec<Location> {
        self.0.0.lock().listening.clone()
    }

    /// Waits until all that was taken over has been acknowledged, at most for `time`; `false` if something is still under way.
    pub async fn drained(&self, time: Duration) -> bool {
        let deadline = Instant::now() + time;
        loop {
            let busy = self.0.0.lock().links.values().find(|link| !link.is_empty()).cloned();
            let Some(link) = busy else { return true };
            let mut room = core::pin::pin!(link.room.notified());
            room.as_mut().enable();
            if !link.is_empty() && timeout_at(deadline, room).await.is_err() {
                return false;
            }
        }
    }

    /// Ends it. Acknowledgements that were given are still told; what is under way is not waited for (see [`Streams::drained`]).
    pub fn close(&self) {
        self.0.0.close();
    }
}

impl PeerStatus {
    fn of(name: &str, link: &Link) -> Self {
        let (location, trouble) = (link.location(), link.trouble());
        Self { name: name.into(), location, connected: link.is_connected(), under_way: link.waiting(), trouble }
    }
}

impl fmt::Debug for Streams {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Streams({})", self.0.0.names.join(", "))
    }
}

impl Transport for Streams {
    type Delivery = StreamDelivery;

    /// Takes a parcel over, or waits some seconds for room.
    async fn send(&self, to: &Address, parcel: Parcel) -> Result<(), TransportError> {
        let shared = &self.0.0;
        let bytes = parcel.into_bytes();
        if bytes.len() > MAX_PARCEL {
            return Err(TransportError::TooLarge { size: bytes.len(), limit: MAX_PARCEL });
        }
        if shared.is_own(to) { shared.send_here(to, bytes).await } else { shared.send_there(to, bytes).await }
    }

    async fn receive(&self, reader: &Address) -> Result<StreamDelivery, TransportError> {
        self.0.0.inboxes.next(reader).await
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_closed(&self) -> bool {
        *self.closing.borrow()
    }

    /// Whether the reader is of this process: by its own name, or by its node's unless it has a process of its own.
    fn is_own(&self, to: &Address) -> bool {
        let named = |name: &str| self.names.iter().any(|own| own == name);
        let elsewhere = || self.lock().links.get(to.as_str()).is_some_and(|link| link.is_sure());
        named(to.as_str()) || (named(to.node()) && !elsewhere())
    }

    async fn send_here(&self, to: &Address, mut bytes: Vec<u8>) -> Result<(), TransportError> {
        let deadline = Instant::now() + ROOM;
        loop {
            if self.is_closed() {
                return Err(TransportError::Closed);
            }
            let (back, room) = match self.inboxes.put_own(to, bytes) {
                Ok(()) => return Ok(()),
                Err(full) => full,
            };
            if timeout_at(deadline, room.notified()).await.is_err() {
                return Err(TransportError::Full { limit: inbox::LIMIT });
            }
            bytes = back;
        }
    }

    async fn send_there(&self, to: &Address, mut bytes: Vec<u8>) -> Result<(), TransportError> {
        let deadline = Instant::now() + ROOM;
        loop {
            if self.is_closed() {
                return Err(TransportError::Closed);
            }
            let link = self.link_to(to).ok_or_else(|| TransportError::NoRoute { to: to.clone() })?;
            let mut room = core::pin::pin!(link.room.notified());
            room.as_mut().enable();
            bytes = match link.push(to, bytes) {
                Ok(()) => return Ok(()),
                Err(back) => back,
            };
            if timeout_at(deadline, room).await.is_err() {
                return Err(TransportError::Full { limit: link::MAX_PER_READER });
            }
        }
    }

    /// The way to a reader. What we were given or was proven comes before what peers said of themselves, as anyone may say anything.
    fn link_to(&self, to: &Address) -> Option<Arc<Link>> {
        let state = self.lock();
        let (agent, node) = (state.links.get(to.as_str()), state.links.get(to.node()));
        let given = [agent, node].into_iter().flatten().find(|link| link.is_sure());
        given.or(agent).or(node).cloned()
    }

    fn set_peer(self: &Arc<Self>, name: &str, location: Location) -> io::Result<()> {
        let mut state = self.lock();
        let known = state.links.get(name).cloned();
        let dialled = known.as_ref().and_then(|link| link.location());
        if dialled.as_ref() == Some(&location) {
            return Ok(());
        }
        let link = match known {
            Some(link) => link,
            None => Arc::new(Link::new(new_session()?, None)),
        };
        link.set_location(location);
        state.links.insert(name.into(), Arc::clone(&link));
        drop(state);
        if dialled.is_none() {
            tokio::spawn(dialer::run(Arc::clone(self), name.into(), link));
        }
        Ok(())
    }

    /// The link to a peer that has connected: one it announced before, or a new one; and whether to send on that connection.
    fn link_from(&self, names: &[String], claim: Claim) -> io::Result<(Arc<Link>, Use)> {
        let mut state = self.lock();
        let known: Vec<_> = names.iter().filter_map(|name| state.links.get(name)).cloned().collect();
        if let Some(link) = known.iter().find(|link| link.location().is_some()) {
            if !link.is_connected() {
                link.back.notify_one();
            }
            return Ok((Arc::clone(link), Use::Receiving));
        }
        if claim == Claim::Said && known.iter().any(|link| link.is_sure()) {
            return Err(io::Error::new(io::ErrorKind::PermissionDenied, "another peer has proven that it has this name"));
        }
        if state.links.len() >= MAX_ANNOUNCED {
            state.links.retain(|_, link| link.location().is_some() || link.is_connected() || !link.is_empty());
        }
        let link = match known.into_iter().next() {
            Some(link) => link,
            None => Arc::new(Link::new(new_session()?, None)),
        };
        if claim == Claim::Proven {
            link.set_proven();
        }
        for name in names {
            state.links.insert(name.clone(), Arc::clone(&link));
        }
        Ok((link, Use::Sending))
    }

    /// State of a peer's session, which outlives its connections as long as something of it is here.
    fn receipts_of(&self, session: Session) -> Arc<Receipts> {
        let mut state = self.lock();
        if let Some(receipts) = state.sessions.get(&session).and_then(Weak::upgrade) {
            return receipts;
        }
        state.sessions.retain(|_, receipts| receipts.strong_count() > 0);
        let receipts = Arc::<Receipts>::default();
        state.sessions.insert(session, Arc::downgrade(&receipts));
        receipts
    }

    fn hello(&self, session: Session) -> Hello {
        Hello { session, names: self.names.clone() }
    }

    fn connection(&self, session: Session, link: Arc<Link>, purpose: Use) -> Connection {
        Connection {
            inboxes: Arc::clone(&self.inboxes),
            budget: Arc::clone(&self.budget),
            receipts: self.receipts_of(session),
            link: Some((link, purpose)),
            closing: self.closing.subscribe(),
        }
    }

    fn close(&self) {
        self.closing.send_replace(true);
        self.inboxes.close();
        let state = self.lock();
        state.links.values().for_each(|link| {
            link.room.notify_waiters();
            link.moved.notify_one();
        });
    }
}

/// What the names in a hello are worth.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Claim {
    /// The layer has proven the node, or only the user could connect.
    Proven,
    Said,
}

async fn send_hello(stream: &mut ByteStream, hello: &Hello) -> io::Result<()> {
    let mut out = Vec::new();
    hello.write(&mut out);
    frame::write(stream, &out).await?;
    tokio::io::AsyncWriteExt::flush(stream).await
}

/// Reads a hello, and holds it against what the layer has proven.
async fn read_hello(stream: &mut ByteStream, proven: Option<&str>) -> io::Result<Hello> {
    let nothing = Semaphore::new(0);
    let Frame::Hello(hello) = frame::read(stream, &nothing, || ()).await? else {
        return Err(frame::invalid("the other side did not begin with a hello"));
    };
    let node_of = |name: &str| name.rsplit_once('@').map_or(name, |(_, node)| node).to_string();
    match proven {
        Some(proven) if hello.names.iter().any(|name| node_of(name) != proven) => {
            Err(frame::invalid("the other side speaks for a node that its certificate is not bound to"))
        }
        _ => Ok(hello),
    }
}

fn new_session() -> io::Result<Session> {
    let mut session = Session::default();
    getrandom::fill(&mut session).map_err(|_| io::Error::other("the system gives no randomness"))?;
    Ok(session)
}

/// `time`, changed by up to a half, so that those who failed together do not come back together.
fn jittered(time: Duration) -> Duration {
    let mut random = [0; 2];
    let random = getrandom::fill(&mut random).map_or(0, |()| u16::from_be_bytes(random));
    time / 2 + time.mul_f64(f64::from(random) / f64::from(u16::MAX))
}
