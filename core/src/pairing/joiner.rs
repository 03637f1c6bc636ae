//! The joiner's side of a pairing: bytes in, bytes out. Each stage is made only from the one before.

use super::{
    Invite, PairingError,
    message::{self, Frame, Greeting, HELLO, Hello, KEPT, REQUEST, Request, VERDICT, Verdict, WELCOME, Welcome},
    schedule::{Prover, Schedule, Transcript, invite_id},
};
use crate::{
    domain::Domain,
    endpoint::NodeKey,
    entropy::{Entropy, random},
    key::{ReceiveKey, VerifyingKey},
    limits::CLOCK_TOLERANCE,
    roster::{Roster, covers},
};

/// Message 1 is on its way.
pub struct Calling<'i> {
    invite: &'i Invite,
    one_time: ReceiveKey,
    said: Transcript,
}

impl<'i> Calling<'i> {
    /// Begins, with message 1.
    ///
    /// # Errors
    /// If there are no random bytes.
    pub fn start(invite: &'i Invite, entropy: &dyn Entropy) -> Result<(Self, Vec<u8>), PairingError> {
        let one_time = ReceiveKey::generate(entropy)?;
        let body = Hello::encode(&invite_id(&invite.secret), &random(entropy)?, one_time.public());
        let before = Transcript::of(&invite.domain);
        let message = message::write(&Prover::of_invite(&invite.secret), HELLO, before, &body);
        Ok((Self { invite, one_time, said: before.after(&message) }, message))
    }

    /// Takes message 2: the inviter knows the secret, has the root key that the invite names, and its clock agrees with `now`.
    ///
    /// # Errors
    /// If one of these is not so, or the message is not of its form.
    pub fn welcome(self, message: &[u8], now: u64) -> Result<Welcomed<'i>, PairingError> {
        let Self { invite, one_time, said } = self;
        let frame = Frame::parse(WELCOME, message)?;
        let welcome = Welcome::decode(frame.claimed())?;
        let schedule = Schedule::take(&invite.secret, &invite.domain, said, &one_time, &welcome.encapsulated)?;
        frame.proven(schedule.prover(), WELCOME, said)?;
        let greeting = Greeting::decode(&message::open(&schedule, WELCOME, said, welcome.sealed)?)?;
        if Domain::of(&greeting.first_root) != invite.domain {
            return Err(PairingError::OtherRoot);
        }
        compare_clocks(now, greeting.time)?;
        Ok(Welcomed { invite, schedule, first_root: greeting.first_root, said: said.after(message) })
    }
}

/// The inviter has proven who it is.
pub struct Welcomed<'i> {
    invite: &'i Invite,
    schedule: Schedule,
    first_root: VerifyingKey,
    said: Transcript,
}

impl<'i> Welcomed<'i> {
    /// Asks that `node`, by the name of the invite, be listed. `hosts` is what it would host; empty: all that the invite allows.
    ///
    /// # Errors
    /// If a pattern or an address is not of its form.
    pub fn request(
        self,
        node: &NodeKey,
        hosts: Vec<String>,
        addresses: Vec<String>,
        now: u64,
    ) -> Result<(Asking<'i>, Vec<u8>), PairingError> {
        let Self { invite, schedule, first_root, said } = self;
        let request = Request { node: invite.node().into(), key: *node.key.verifying_key(), hosts, addresses };
        request.check().map_err(|what| crate::address::InvalidName { what })?;
        let content = request.sign(now, &node.key, &invite.domain, said)?;
        let sealed = message::seal(&schedule, REQUEST, said, content);
        let message = message::write(schedule.prover(), REQUEST, said, &sealed);
        let said = said.after(&message);
        Ok((Asking { invite, schedule, first_root, request, said }, message))
    }
}

/// Message 3 is on its way. The invite may be spent from here on, for this node's key.
pub struct Asking<'i> {
    invite: &'i Invite,
    schedule: Schedule,
    first_root: VerifyingKey,
    request: Request,
    said: Transcript,
}

impl Asking<'_> {
    /// Takes message 4: the roster of the domain the invite names, which lists this node.
    ///
    /// # Errors
    /// Why the inviter refuses; or the roster is not what it should be.
    pub fn verdict(self, message: &[u8], now: u64) -> Result<Listed, PairingError> {
        let Self { invite, schedule, first_root, request, said } = self;
        let sealed = Frame::parse(VERDICT, message)?.proven(schedule.prover(), VERDICT, said)?;
        let roster = match Verdict::decode(&message::open(&schedule, VERDICT, said, sealed)?)? {
            Verdict::Listed(roster) => roster,
            Verdict::Refused(reason) => return Err(reason),
        };
        let roster = Roster::verify_kept(&roster, &first_root).map_err(PairingError::Roster)?;
        if !invite.is_root(roster.root()) {
            return Err(PairingError::OtherRoot);
        }
        roster.check_time(now).map_err(PairingError::Roster)?;
        let asked = |pattern: &String| request.hosts.is_empty() || request.hosts.iter().any(|wanted| covers(wanted, pattern));
        let listed = roster.node(&request.node).is_some_and(|node| node.key == request.key && node.hosts.iter().all(asked));
        if !listed {
            return Err(PairingError::NotListed);
        }
        Ok(Listed { roster, first_root, schedule, said: said.after(message) })
    }
}

/// The node is listed.
pub struct Listed {
    /// The roster, to be kept.
    pub roster: Roster,
    /// The key the domain began with, to be kept.
    pub first_root: VerifyingKey,
    schedule: Schedule,
    said: Transcript,
}

impl Listed {
    /// Message 5, to be sent once the roster is kept.
    pub fn kept(self) -> Vec<u8> {
        message::write(self.schedule.prover(), KEPT, self.said, &[])
    }
}

/// That the joiner's clock and the inviter's do not differ by more than two clocks may.
pub(super) fn compare_clocks(joiner: u64, inviter: u64) -> Result<(), PairingError> {
    let by = joiner.abs_diff(inviter);
    match by > CLOCK_TOLERANCE {
        false => Ok(()),
        true if joiner > inviter => Err(PairingError::ClockAhead { by }),
        true => Err(PairingError::ClockBehind { by }),
    }
}

macro_rules! debug_by_name {
    ($($name:ident $(<$life:lifetime>)?),*) => {
        $(impl core::fmt::Debug for $name $(<$life>)? {
            fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
                f.write_str(stringify!($name))
            }
        })*
    };
}
pub(super) use debug_by_name;

debug_by_name!(Calling<'_>, Welcomed<'_>, Asking<'_>, Listed);
