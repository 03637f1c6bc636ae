//! [`enrol`]: pairs a home with another one on the same machine, without anybody who carries the invite.

use std::{
    net::{Ipv4Addr, TcpListener},
    path::Path,
    thread,
};

use super::{CONNECTION_TIME, Invite, JOIN_TIME, Join, Joined, Offer, PairingError, Terms, join, stream::how};
use crate::home::Home;

/// Lists the node `node`, with its home at `path`, in the domain of `home`, which holds the root key. The home is made when there is none; one that is
/// listed already gets the roster once more, and is listed with what is asked for now. Inviter and joiner speak over the loopback device, as two
/// machines do over theirs.
///
/// # Errors
/// As [`Offer::make`] and [`join`].
pub fn enrol(home: &Home, path: &Path, node: &str, patterns: Vec<String>, addresses: Vec<String>) -> Result<Joined, PairingError> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).map_err(|error| PairingError::Cut(how(&error)))?;
    let here = listener.local_addr().map_err(|error| PairingError::Cut(how(&error)))?;
    let terms = Terms { node: node.into(), patterns, lifetime: JOIN_TIME + CONNECTION_TIME };
    let offer = Offer::make(home, listener, vec![here.to_string()], terms)?;
    let invite: Invite = offer.invite().to_text().parse()?;
    let waiting = thread::spawn(move || offer.wait(|_, _| ()));
    let joined = join(&invite, path, &Join { hosts: Vec::new(), addresses: Some(addresses) })?;
    // Who has joined has been heard; what fails after that is the inviter's own disk.
    waiting.join().unwrap_or(Err(PairingError::Cut("the inviter stopped".into())))?;
    Ok(joined)
}
