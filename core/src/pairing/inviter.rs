//! The inviter's side of a pairing: bytes in, bytes out. Each stage is made only from the one before.

use super::{
    Invite, PairingError,
    joiner::{compare_clocks, debug_by_name},
    message::{self, Frame, Greeting, HELLO, Hello, KEPT, REQUEST, VERDICT, Verdict, WELCOME, Welcome},
    schedule::{Prover, Schedule, Transcript, invite_id},
};
use crate::{
    entropy::{Entropy, random},
    key::VerifyingKey,
    roster::{Roster, RosterNode, covers},
};

pub use super::message::Request;

/// Message 2 is on its way, to somebody who knows the secret.
pub struct Answering {
    schedule: Schedule,
    said: Transcript,
}

impl Answering {
    /// Takes message 1 and answers with message 2.
    ///
    /// # Errors
    /// If it is for another invite, or does not prove the secret, or is not of its form. Say no more to who sent it than [`turn_away`] does.
    pub fn answer(
        invite: &Invite,
        first_root: &VerifyingKey,
        message: &[u8],
        now: u64,
        entropy: &dyn Entropy,
    ) -> Result<(Self, Vec<u8>), PairingError> {
        let before = Transcript::of(&invite.domain);
        let frame = Frame::parse(HELLO, message)?;
        let hello = Hello::decode(frame.claimed())?;
        if hello.invite != invite_id(&invite.secret) {
            return Err(PairingError::UnknownInvite);
        }
        frame.proven(&Prover::of_invite(&invite.secret), HELLO, before)?;
        let said = before.after(message);
        let (encapsulated, schedule) = Schedule::answer(&invite.secret, &invite.domain, said, &hello.one_time, entropy)?;
        let sealed = message::seal(&schedule, WELCOME, said, Greeting::encode(now, first_root));
        let body = Welcome::encode(&random(entropy)?, &encapsulated, &sealed);
        let message = message::write(schedule.prover(), WELCOME, said, &body);
        Ok((Self { schedule, said: said.after(&message) }, message))
    }

    /// Takes message 3: a request from who knows the secret and holds the key it names.
    ///
    /// # Errors
    /// If that is not so, or the message is not of its form.
    pub fn request(self, invite: &Invite, message: &[u8]) -> Result<Applicant, PairingError> {
        let Self { schedule, said } = self;
        let sealed = Frame::parse(REQUEST, message)?.proven(schedule.prover(), REQUEST, said)?;
        let (time, request) = Request::verify(&message::open(&schedule, REQUEST, said, sealed)?, &invite.domain, said)?;
        if request.node != invite.node() {
            return Err(PairingError::NotAuthentic);
        }
        Ok(Applicant { schedule, request, time, said: said.after(message) })
    }
}

/// Somebody who may use the invite, if it is still good.
pub struct Applicant {
    schedule: Schedule,
    request: Request,
    time: u64,
    said: Transcript,
}

impl Applicant {
    /// What it asks for.
    pub fn request(&self) -> &Request {
        &self.request
    }

    /// The node as it will be listed: with the `patterns` of the invite, or those of them that it asks for.
    ///
    /// # Errors
    /// If the invite is over, the clocks differ, another node has its name, its key is revoked, or it asks to host what `patterns` do not cover.
    pub fn examine(&self, invite: &Invite, patterns: &[String], roster: &Roster, now: u64) -> Result<RosterNode, PairingError> {
        compare_clocks(self.time, now)?;
        if now >= invite.expires() {
            return Err(PairingError::Expired { by: now - invite.expires() });
        }
        let Request { node, key, hosts, addresses } = &self.request;
        if roster.is_revoked(&key.thumbprint()) {
            return Err(PairingError::Revoked);
        }
        let others = |listed: &RosterNode| (listed.name == *node) != (listed.key == *key);
        if roster.claims().nodes.iter().any(others) {
            return Err(PairingError::NameTaken(node.clone()));
        }
        let outside = hosts.iter().find(|wanted| !patterns.iter().any(|allowed| covers(allowed, wanted)));
        if let Some(wanted) = outside {
            let allowed = patterns.iter().map(|pattern| format!("`{pattern}`")).collect::<Vec<_>>().join(", ");
            return Err(PairingError::OutsidePattern { wanted: wanted.clone(), allowed });
        }
        let hosts = if hosts.is_empty() { patterns.to_vec() } else { hosts.clone() };
        let clearances = roster.node(node).map(|listed| listed.clearances.clone()).unwrap_or_default();
        Ok(RosterNode { name: node.clone(), key: *key, hosts, clearances, addresses: addresses.clone() })
    }

    /// Message 4 with the roster that lists the node.
    pub fn admit(self, roster: &Roster) -> (Listing, Vec<u8>) {
        let message = self.verdict(Verdict::listed(roster.as_bytes()));
        let said = self.said.after(&message);
        (Listing { schedule: self.schedule, said }, message)
    }

    /// Message 4 with the reason why not.
    pub fn refuse(self, reason: &PairingError) -> Vec<u8> {
        self.verdict(Verdict::refused(reason))
    }

    fn verdict(&self, content: Vec<u8>) -> Vec<u8> {
        let sealed = message::seal(&self.schedule, VERDICT, self.said, content);
        message::write(self.schedule.prover(), VERDICT, self.said, &sealed)
    }
}

/// Message 4 is on its way.
pub struct Listing {
    schedule: Schedule,
    said: Transcript,
}

impl Listing {
    /// Takes message 5: the joiner keeps the roster.
    ///
    /// # Errors
    /// If it is not proven.
    pub fn kept(self, message: &[u8]) -> Result<(), PairingError> {
        let body = Frame::parse(KEPT, message)?.proven(self.schedule.prover(), KEPT, self.said)?;
        if body.is_empty() { Ok(()) } else { Err(PairingError::NotAuthentic) }
    }
}

/// What is said to who has not proven the secret.
pub fn turn_away(reason: &PairingError) -> Vec<u8> {
    message::turn_away(reason)
}

debug_by_name!(Answering, Applicant, Listing);
