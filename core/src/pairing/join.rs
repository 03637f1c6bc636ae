//! [`join`]: uses an invite, over TCP, and keeps what comes of it in a home.

use std::{
    io,
    net::{TcpStream, ToSocketAddrs},
    path::Path,
    thread,
    time::{Duration, Instant},
};

use super::{
    CONNECTION_TIME, Invite, JOIN_TIME, MAX_MESSAGE, PairingError,
    joiner::Calling,
    message::MAX_VERDICT,
    offer::announced,
    stream::{Stream, how},
};
use crate::{
    entropy::{Clock, System},
    home::{Home, Joining, Membership},
};

/// Seconds one address has to take a connection; the next one is tried then.
const CONNECT_TIME: u64 = 4;

/// Pause between two rounds of all addresses.
const PAUSE: Duration = Duration::from_millis(500);

/// What a joining node asks for.
#[derive(Debug, Clone, Default)]
pub struct Join {
    /// Names it would host; empty: all that the invite allows.
    pub hosts: Vec<String>,
    /// Where others may reach it; none given: the address it calls from, with the usual port.
    pub addresses: Option<Vec<String>>,
}

/// A node that has joined.
#[derive(Debug)]
#[non_exhaustive]
pub struct Joined {
    /// Its home.
    pub home: Home,
    /// What it knows of its domain.
    pub membership: Membership,
}

/// Joins the domain of `invite` with the home at `path`, which is made when there is none. A home that began to join goes on with its key; a home
/// that has joined this domain fetches the roster once more.
///
/// # Errors
/// Why not; the home is left such that the same invite, or a new one, can finish.
pub fn join(invite: &Invite, path: &Path, join: &Join) -> Result<Joined, PairingError> {
    let joining = Joining::at(path, &invite.domain, invite.node())?;
    let deadline = Instant::now() + Duration::from_secs(JOIN_TIME);
    loop {
        let error = match attempt(invite, &joining, join) {
            Ok(membership) => return Ok(Joined { home: joining.home().clone(), membership }),
            Err(error) => error,
        };
        // An invite that is over by this clock gets its one try: the clock may be wrong, and who answers says so.
        let over_here = System.now() >= invite.expires();
        if over_here || !is_worth_another_try(&error) || Instant::now() + PAUSE >= deadline {
            return Err(over(invite, error));
        }
        thread::sleep(PAUSE);
    }
}

fn is_worth_another_try(error: &PairingError) -> bool {
    matches!(error, PairingError::Unreachable(_) | PairingError::Cut(_) | PairingError::Busy)
}

/// An invite that is over has nobody waiting for it: then that is the cause.
pub(super) fn over(invite: &Invite, error: PairingError) -> PairingError {
    match (error, System.now().checked_sub(invite.expires())) {
        (PairingError::Unreachable(_) | PairingError::Cut(_), Some(by)) => PairingError::Expired { by },
        (error, _) => error,
    }
}

/// All addresses once, until one answers.
fn attempt(invite: &Invite, joining: &Joining, join: &Join) -> Result<Membership, PairingError> {
    let mut tried = Vec::new();
    for address in invite.addresses() {
        match connect(address) {
            Ok(stream) => match converse(invite, joining, join, stream) {
                // Somebody else may be at this address of another network.
                Err(PairingError::Malformed(_) | PairingError::UnknownInvite) if invite.addresses().last() != Some(address) => {
                    tried.push(format!("`{address}` (somebody else)"));
                }
                outcome => return outcome,
            },
            Err(error) => tried.push(format!("`{address}` ({})", how(&error))),
        }
    }
    Err(PairingError::Unreachable(tried.join(", ")))
}

fn connect(address: &str) -> io::Result<TcpStream> {
    let mut last = io::Error::from(io::ErrorKind::AddrNotAvailable);
    for address in address.to_socket_addrs()? {
        match TcpStream::connect_timeout(&address, Duration::from_secs(CONNECT_TIME)) {
            // A port that nobody listens at can connect to itself.
            Ok(stream) if stream.local_addr().ok() == Some(address) => last = io::ErrorKind::ConnectionRefused.into(),
            Ok(stream) => return Ok(stream),
            Err(error) => last = error,
        }
    }
    Err(last)
}

pub(super) fn converse(invite: &Invite, joining: &Joining, join: &Join, stream: TcpStream) -> Result<Membership, PairingError> {
    let cut = |error: io::Error| match error.kind() {
        io::ErrorKind::InvalidData => crate::cbor::Malformed { what: "message is too long", offset: 0 }.into(),
        _ => PairingError::Cut(how(&error)),
    };
    let mut stream = Stream::new(stream, Duration::from_secs(CONNECTION_TIME)).map_err(cut)?;
    let (calling, hello) = Calling::start(invite, &System)?;
    stream.send(&hello).map_err(cut)?;
    let welcomed = calling.welcome(&stream.receive(MAX_MESSAGE).map_err(cut)?, System.now())?;
    let addresses = join.addresses.clone().unwrap_or_else(|| stream.local_ip().and_then(announced).into_iter().collect());
    let (asking, request) = welcomed.request(joining.node(), join.hosts.clone(), addresses, System.now())?;
    stream.send(&request).map_err(cut)?;
    let listed = asking.verdict(&stream.receive(MAX_VERDICT).map_err(cut)?, System.now())?;
    let membership = joining.finish(&listed.roster, &listed.first_root)?;
    // The roster is kept: that the other side does not hear of it undoes nothing.
    let _unheard = stream.send(&listed.kept());
    Ok(membership)
}
