//! [`Offer`]: an invite that waits for its joiner.

use std::{
    io,
    net::{IpAddr, SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
        mpsc::{self, Receiver, Sender},
    },
    thread,
    time::Duration,
};

use super::{
    CONNECTION_TIME, ENVELOPE_PORT, Invite, MAX_CONNECTIONS, MAX_FAILED_TRIES, MAX_INVITE_LIFETIME, MAX_MESSAGE, PairingError,
    inviter::{Answering, Applicant, turn_away},
    schedule::invite_id,
    stream::{Stream, how},
};
use crate::{
    address::InvalidName,
    entropy::{Clock, System},
    error::StoreFailed,
    home::{Home, Membership, Record, Spent},
    key::VerifyingKey,
    roster::{MAX_PATTERNS, RosterNode, check_pattern},
};

/// How often the listener is looked at. A person waits for it.
const POLL: Duration = Duration::from_millis(20);

/// What an invite is for.
#[derive(Debug, Clone)]
pub struct Terms {
    /// The name of the node to come.
    pub node: String,
    /// Names it may host.
    pub patterns: Vec<String>,
    /// Seconds the invite is good for.
    pub lifetime: u64,
}

/// A node that was listed.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Admitted {
    /// The node as the roster lists it.
    pub node: RosterNode,
    /// Version of the roster that lists it.
    pub roster: u64,
    /// Where it came from.
    pub from: IpAddr,
}

/// An open invite: a listener, and the home that will list who comes.
#[derive(Debug)]
pub struct Offer {
    listener: TcpListener,
    desk: Arc<Desk>,
}

impl Offer {
    /// Makes an invite and waits for its joiner at `listener`. `addresses` is where the joiner will find it, as `host:port`.
    ///
    /// # Errors
    /// If the home does not hold the root key, or the terms are not of their form.
    pub fn make(home: &Home, listener: TcpListener, addresses: Vec<String>, terms: Terms) -> Result<Self, PairingError> {
        let Terms { node, patterns, lifetime } = terms;
        patterns.iter().try_for_each(|pattern| check_pattern(pattern))?;
        if patterns.is_empty() || patterns.len() > MAX_PATTERNS {
            return Err(InvalidName { what: "an invite has 1 to 64 patterns of names" }.into());
        }
        if lifetime == 0 || lifetime > MAX_INVITE_LIFETIME {
            return Err(InvalidName { what: "an invite is good for 1 second to 24 hours" }.into());
        }
        let membership = root_membership(home)?;
        if node == membership.node() {
            return Err(PairingError::NameTaken(node));
        }
        let now = System.now();
        let expires = now.saturating_add(lifetime);
        let invite = Invite::new(membership.roster(), &node, addresses, expires, &System)?;
        let record = Record { node, patterns, expires };
        home.open_invite(&invite_id(&invite.secret), &record, now)?;
        Self::over(home, listener, invite, record)
    }

    /// Waits once more for an invite that this home made: the command was interrupted, and the joiner still has the line.
    ///
    /// # Errors
    /// If this home did not make it.
    pub fn resume(home: &Home, listener: TcpListener, invite: Invite) -> Result<Self, PairingError> {
        root_membership(home)?;
        let record = home.invite_record(&invite_id(&invite.secret))?.ok_or(PairingError::UnknownInvite)?;
        Self::over(home, listener, invite, record)
    }

    fn over(home: &Home, listener: TcpListener, invite: Invite, record: Record) -> Result<Self, PairingError> {
        let nonblocking = listener.set_nonblocking(true);
        nonblocking.map_err(|error| StoreFailed(format!("cannot listen: {error}")))?;
        let first_root = home.first_root()?;
        let desk = Desk { home: home.clone(), invite, patterns: record.patterns, first_root, alone: Mutex::new(()) };
        Ok(Self { listener, desk: Arc::new(desk) })
    }

    /// The invite, to be handed over.
    pub fn invite(&self) -> &Invite {
        &self.desk.invite
    }

    /// The node's patterns.
    pub fn patterns(&self) -> &[String] {
        &self.desk.patterns
    }

    /// Waits until the node is listed and keeps the roster, or the invite is over. `on_failure` is told of each try that failed.
    ///
    /// # Errors
    /// If the invite ends, too many try without the secret, or nobody says that the roster arrived.
    pub fn wait(self, mut on_failure: impl FnMut(SocketAddr, &PairingError)) -> Result<Admitted, PairingError> {
        self.wait_while(|from, error| {
            on_failure(from, error);
            true
        })
    }

    /// Waits on after a failure only while `go_on` says so.
    fn wait_while(self, mut go_on: impl FnMut(SocketAddr, &PairingError) -> bool) -> Result<Admitted, PairingError> {
        let (tell, told) = mpsc::channel();
        let (mut failed, mut listed) = (0, None);
        let active = Arc::new(AtomicUsize::new(0));
        loop {
            // Looked at first: a connection tells what it has to tell before it is counted out.
            let over = System.now() >= self.desk.invite.expires() && active.load(Ordering::Acquire) == 0;
            self.accept(&tell, &active);
            while let Some((from, event)) = next(&told) {
                match event {
                    Event::Kept(admitted) => return Ok(*admitted),
                    Event::Listed(node) => listed = Some(node),
                    Event::Failed(error) => {
                        failed += u32::from(is_without_secret(&error));
                        if !go_on(from, &error) {
                            return Err(error);
                        }
                    }
                }
            }
            if over {
                return Err(self.over_without(listed));
            }
            if failed >= MAX_FAILED_TRIES {
                return Err(PairingError::TooManyTries);
            }
        }
    }

    /// As [`Offer::wait`], until a try fails of which `is_enough` says so.
    #[cfg(test)]
    pub(super) fn wait_until(self, is_enough: impl Fn(&PairingError) -> bool) -> Result<Admitted, PairingError> {
        self.wait_while(|_, error| !is_enough(error))
    }

    #[cfg(test)]
    pub(super) fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    fn over_without(&self, listed: Option<String>) -> PairingError {
        let over = PairingError::Expired { by: System.now().saturating_sub(self.desk.invite.expires()) };
        listed.map_or(over, |node| PairingError::NotConfirmed { node })
    }

    fn accept(&self, tell: &Sender<(SocketAddr, Event)>, active: &Arc<AtomicUsize>) {
        let Ok((stream, from)) = self.listener.accept() else { return };
        if active.load(Ordering::Acquire) >= MAX_CONNECTIONS {
            return;
        }
        let (desk, tell, place) = (Arc::clone(&self.desk), tell.clone(), Place::take(active));
        let served = thread::Builder::new().spawn(move || {
            let listed = |node: &str| drop(tell.send((from, Event::Listed(node.into()))));
            let event = desk.serve(stream, from, listed).map_or_else(Event::Failed, |admitted| Event::Kept(Box::new(admitted)));
            // Told before the place is free: who sees no connection has heard of all of them.
            let _nobody_waits = tell.send((from, event));
            drop(place);
        });
        // Without a thread there is no service; the joiner tries again.
        drop(served);
    }
}

/// What the connections tell.
enum Event {
    Listed(String),
    Kept(Box<Admitted>),
    Failed(PairingError),
}

fn next(told: &Receiver<(SocketAddr, Event)>) -> Option<(SocketAddr, Event)> {
    told.recv_timeout(POLL).ok()
}

/// One of the connections that are served at once.
struct Place(Arc<AtomicUsize>);

impl Place {
    fn take(active: &Arc<AtomicUsize>) -> Self {
        active.fetch_add(1, Ordering::AcqRel);
        Self(Arc::clone(active))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

fn is_without_secret(error: &PairingError) -> bool {
    matches!(error, PairingError::UnknownInvite | PairingError::NotAuthentic | PairingError::Malformed(_))
}

fn root_membership(home: &Home) -> Result<Membership, PairingError> {
    let membership = home.membership()?;
    if membership.holds_root() {
        return Ok(membership);
    }
    let home = home.path().display();
    Err(StoreFailed(format!(
        "`{home}` does not hold the root key of its domain: invite in the home that does, where `sealwire init` made it"
    ))
    .into())
}

/// Serves joiners, one home's invite.
#[derive(Debug)]
struct Desk {
    home: Home,
    invite: Invite,
    patterns: Vec<String>,
    first_root: VerifyingKey,
    /// Held from the examination of an applicant until it is listed.
    alone: Mutex<()>,
}

impl Desk {
    fn serve(&self, stream: TcpStream, from: SocketAddr, listed: impl Fn(&str)) -> Result<Admitted, PairingError> {
        let cut = |error: io::Error| PairingError::Cut(how(&error));
        let mut stream = Stream::new(stream, Duration::from_secs(CONNECTION_TIME)).map_err(cut)?;
        let hello = stream.receive(MAX_MESSAGE).map_err(cut)?;
        let (answering, welcome) = match Answering::answer(&self.invite, &self.first_root, &hello, System.now(), &System) {
            Ok(answered) => answered,
            Err(error) => {
                let _nobody_listens = stream.send(&turn_away(&error));
                return Err(error);
            }
        };
        stream.send(&welcome).map_err(cut)?;
        let applicant = answering.request(&self.invite, &stream.receive(MAX_MESSAGE).map_err(cut)?)?;
        let (node, membership) = match self.list(&applicant, stream.local_ip()) {
            Ok(listed) => listed,
            Err(error) => {
                let _nobody_listens = stream.send(&applicant.refuse(&error));
                return Err(error);
            }
        };
        listed(&node.name);
        let (listing, verdict) = applicant.admit(membership.roster());
        stream.send(&verdict).map_err(cut)?;
        listing.kept(&stream.receive(MAX_MESSAGE).map_err(cut)?)?;
        stream.close();
        Ok(Admitted { node, roster: membership.roster().version(), from: from.ip().to_canonical() })
    }

    /// Spends the invite, then lists the node. Once it is spent, the same key can come again; the node is listed anew, and nothing else changes.
    fn list(&self, applicant: &Applicant, local: Option<IpAddr>) -> Result<(RosterNode, Membership), PairingError> {
        let _alone = self.alone.lock().unwrap_or_else(PoisonError::into_inner);
        let mut membership = self.home.membership()?;
        let now = System.now();
        let node = applicant.examine(&self.invite, &self.patterns, membership.roster(), now)?;
        match self.home.spend_invite(&invite_id(&self.invite.secret), &node.key)? {
            Spent::Now | Spent::BeforeBySame => {}
            Spent::BeforeByOther => return Err(PairingError::Used),
        }
        let own_address = local.and_then(announced);
        if membership.roster().node(&node.name) != Some(&node) {
            membership.admit(node.clone(), own_address, now)?;
        }
        Ok((node, membership))
    }
}

/// Where a node that says nothing else may be reached by others. An address of this machine only is none.
pub(super) fn announced(ip: IpAddr) -> Option<String> {
    let ip = ip.to_canonical();
    let scoped = matches!(ip, IpAddr::V6(ip) if ip.is_unicast_link_local());
    (!ip.is_loopback() && !scoped).then(|| format!("tcp://{}", SocketAddr::new(ip, ENVELOPE_PORT)))
}
