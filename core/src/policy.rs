//! [`Policy`]: who may say what to whom. Asked before sealing and after opening.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    time::{Duration, Instant},
};

use crate::{header::Header, limits::POLICY_TIME};

/// Which way a message goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Direction {
    /// It is about to be sealed here.
    Seal,
    /// It was opened here and is about to be released.
    Open,
    /// It is looked into with the keys that are held here. Policy is not asked: nothing is released to an agent.
    Inspect,
}

impl core::fmt::Display for Direction {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(match self {
            Self::Seal => "seal",
            Self::Open => "open",
            Self::Inspect => "inspect",
        })
    }
}

/// What a policy sees: the header and what the roster says of the two nodes. Never a body, never a key.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct Request<'a> {
    /// Which way it goes.
    pub direction: Direction,
    /// The header: already signed and verified when it is [`Direction::Open`].
    pub header: &'a Header,
    /// Size of the body in bytes.
    pub size: usize,
    /// What the root cleared the author's node for.
    pub sender_clearances: &'a [String],
    /// What the root cleared the reader's node for.
    pub reader_clearances: &'a [String],
}

/// A rule. Whatever is not a timely [`Verdict::Allow`] (a panic, over a second of thought) is a no.
pub trait Policy: Send + Sync {
    /// Decides on one message.
    fn decide(&self, request: &Request<'_>) -> Verdict;

    /// Names the rule's present content, so that a peer's next message after a change is a full opening. `None`: it never changes.
    fn digest(&self) -> Option<[u8; 16]> {
        None
    }
}

/// A policy's answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// It may pass.
    Allow,
    /// It may not, and why. The reason reaches the caller and the log: it must hold nothing secret.
    Deny(String),
}

/// The policy of an endpoint that was given none: what is authentic and meant for the reader may pass.
#[derive(Debug, Clone, Copy)]
pub(crate) struct AllowAuthentic;

impl Policy for AllowAuthentic {
    fn decide(&self, _: &Request<'_>) -> Verdict {
        Verdict::Allow
    }
}

impl<F: Fn(&Request<'_>) -> Verdict + Send + Sync> Policy for F {
    fn decide(&self, request: &Request<'_>) -> Verdict {
        self(request)
    }
}

/// The policy's digest; a panic is a no.
pub(crate) fn digest(policy: &dyn Policy) -> Result<Option<[u8; 16]>, String> {
    catch_unwind(AssertUnwindSafe(|| policy.digest())).map_err(|_| "the policy panicked".into())
}

/// Asks the policy; every way of not answering is a no.
pub(crate) fn ask(policy: &dyn Policy, request: &Request<'_>) -> Verdict {
    let asked = Instant::now();
    let verdict = catch_unwind(AssertUnwindSafe(|| policy.decide(request)));
    match verdict {
        Err(_) => Verdict::Deny("the policy panicked".into()),
        Ok(Verdict::Allow) if asked.elapsed() > Duration::from_secs(POLICY_TIME) => Verdict::Deny("the policy took over 1 s".into()),
        Ok(verdict) => verdict,
    }
}
