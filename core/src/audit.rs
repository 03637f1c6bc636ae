//! [`Audit`]: every decision is recorded, or the message is not released.

use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::{envelope::Form, header::Header, policy::Direction};

/// One line of the log: never content, never a key.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct Entry<'a> {
    /// Unix time of the decision.
    pub time: u64,
    /// Which way the message went.
    pub direction: Direction,
    /// What was decided.
    pub decision: Decision<'a>,
    /// The header, if it is authentic or our own; what an unauthentic envelope claims is not recorded as if somebody had said it.
    pub header: Option<&'a Header>,
    /// Size in bytes: of the body when the header is there, of the envelope otherwise.
    pub size: usize,
    /// The form of the envelope, once it is known.
    pub form: Option<Form>,
}

/// What was decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision<'a> {
    /// Sealed, or released.
    Allowed,
    /// Policy said no.
    Denied(&'a str),
    /// It was not acceptable before policy was asked.
    Refused(&'a str),
}

/// A log. If it fails, nothing is released.
pub trait Audit: Send + Sync {
    /// Writes one entry, durably enough for the one who asks for the log.
    ///
    /// # Errors
    /// In words; the message is then not sealed or not released.
    fn record(&self, entry: &Entry<'_>) -> Result<(), String>;
}

impl<F: Fn(&Entry<'_>) -> Result<(), String> + Send + Sync> Audit for F {
    fn record(&self, entry: &Entry<'_>) -> Result<(), String> {
        self(entry)
    }
}

/// The log of an endpoint that was given none.
#[derive(Debug, Clone, Copy)]
pub(crate) struct NoLog;

impl Audit for NoLog {
    fn record(&self, _: &Entry<'_>) -> Result<(), String> {
        Ok(())
    }
}

/// Records an entry; a panic is a failure like any other.
pub(crate) fn record(audit: &dyn Audit, entry: &Entry<'_>) -> Result<(), String> {
    catch_unwind(AssertUnwindSafe(|| audit.record(entry))).unwrap_or_else(|_| Err("the audit log panicked".into()))
}
