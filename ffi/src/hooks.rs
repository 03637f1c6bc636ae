//! Policy and audit as functions of C.

use core::ffi::c_void;

use sealwire::{Audit, Decision, Direction, Entry, Form, Policy, Request, Verdict};

use crate::{
    envelope::sealwire_form,
    header::sealwire_header,
    pointer::read,
    result::{Failure, sealwire_result},
    view::sealwire_text,
};

/// What a hook returns to agree. Anything else is a no: 0, and whatever a function returns that forgot to.
pub const SEALWIRE_YES: i32 = 1;

/// Decides whether a message may be sealed or released: `SEALWIRE_YES`, within a second, or it may not.
///
/// It is called by the thread that seals or opens, by several at once, and gets back the `user` it was set with. It must return: no `longjmp`,
/// no exception. `request` is valid until it returns.
pub type sealwire_policy = Option<unsafe extern "C" fn(user: *mut c_void, request: *const sealwire_request) -> i32>;

/// Records a decision durably: `SEALWIRE_YES` when it is written. Otherwise the message is not sealed or not released.
///
/// It is called as a `sealwire_policy` is.
pub type sealwire_audit = Option<unsafe extern "C" fn(user: *mut c_void, entry: *const sealwire_entry) -> i32>;

/// Which way a message goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(C)]
pub enum sealwire_direction {
    /// It is about to be sealed here.
    Seal = 1,
    /// It was opened here and is about to be released.
    Open = 2,
    /// It is looked into. Policy is not asked.
    Inspect = 3,
}

impl From<Direction> for sealwire_direction {
    fn from(direction: Direction) -> Self {
        match direction {
            Direction::Seal => Self::Seal,
            Direction::Open => Self::Open,
            Direction::Inspect => Self::Inspect,
        }
    }
}

/// What was decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(C)]
pub enum sealwire_decision {
    /// Sealed, or released.
    Allowed = 1,
    /// Policy said no.
    Denied = 2,
    /// It was not acceptable before policy was asked.
    Refused = 3,
}

/// What a policy is asked: the header and the size of the body, never the body.
pub struct sealwire_request {
    direction: Direction,
    header: sealwire_header,
    size: usize,
    sender_clearances: Vec<String>,
    reader_clearances: Vec<String>,
}

impl From<&Request<'_>> for sealwire_request {
    fn from(request: &Request<'_>) -> Self {
        Self {
            direction: request.direction,
            header: sealwire_header(request.header.clone()),
            size: request.size,
            sender_clearances: request.sender_clearances.to_vec(),
            reader_clearances: request.reader_clearances.to_vec(),
        }
    }
}

/// Which way it goes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sealwire_request_direction(
    request: *const sealwire_request,
    direction: *mut sealwire_direction,
) -> sealwire_result {
    // SAFETY: the rules of pointers.
    unsafe { read(request, "request", direction, |request| Ok(request.direction.into())) }
}

/// The header: authentic when the message is opened.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sealwire_request_header(request: *const sealwire_request, header: *mut *const sealwire_header) -> sealwire_result {
    // SAFETY: the rules of pointers.
    unsafe { read(request, "request", header, |request| Ok(&raw const request.header)) }
}

/// Size of the body in bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sealwire_request_size(request: *const sealwire_request, size: *mut usize) -> sealwire_result {
    // SAFETY: the rules of pointers.
    unsafe { read(request, "request", size, |request| Ok(request.size)) }
}

/// One of the words that the root cleared the author's node for, counted from 0. `SEALWIRE_RESULT_ABSENT` past the last.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sealwire_request_sender_clearance(
    request: *const sealwire_request,
    index: usize,
    clearance: *mut sealwire_text,
) -> sealwire_result {
    // SAFETY: the rules of pointers.
    unsafe { read(request, "request", clearance, |request| word(&request.sender_clearances, index)) }
}

/// One of the words that the root cleared the reader's node for, counted from 0. `SEALWIRE_RESULT_ABSENT` past the last.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sealwire_request_reader_clearance(
    request: *const sealwire_request,
    index: usize,
    clearance: *mut sealwire_text,
) -> sealwire_result {
    // SAFETY: the rules of pointers.
    unsafe { read(request, "request", clearance, |request| word(&request.reader_clearances, index)) }
}

fn word(words: &[String], index: usize) -> Result<sealwire_text, Failure> {
    words.get(index).map(|word| word.as_str().into()).ok_or(Failure::absent("there are not that many"))
}

/// One decision, as an audit log gets it: never content, never a key.
pub struct sealwire_entry {
    time: u64,
    direction: Direction,
    decision: sealwire_decision,
    reason: Option<String>,
    header: Option<sealwire_header>,
    size: usize,
    form: Option<Form>,
}

impl From<&Entry<'_>> for sealwire_entry {
    fn from(entry: &Entry<'_>) -> Self {
        let (decision, reason) = match entry.decision {
            Decision::Allowed => (sealwire_decision::Allowed, None),
            Decision::Denied(reason) => (sealwire_decision::Denied, Some(reason.into())),
            Decision::Refused(reason) => (sealwire_decision::Refused, Some(reason.into())),
        };
        let header = entry.header.cloned().map(sealwire_header);
        Self { time: entry.time, direction: entry.direction, decision, reason, header, size: entry.size, form: entry.form }
    }
}

/// Unix time of the decision.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sealwire_entry_time(entry: *const sealwire_entry, time: *mut u64) -> sealwire_result {
    // SAFETY: the rules of pointers.
    unsafe { read(entry, "entry", time, |entry| Ok(entry.time)) }
}

/// Which way the message went.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sealwire_entry_direction(entry: *const sealwire_entry, direction: *mut sealwire_direction) -> sealwire_result {
    // SAFETY: the rules of pointers.
    unsafe { read(entry, "entry", direction, |entry| Ok(entry.direction.into())) }
}

/// What was decided.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sealwire_entry_decision(entry: *const sealwire_entry, decision: *mut sealwire_decision) -> sealwire_result {
    // SAFETY: the rules of pointers.
    unsafe { read(entry, "entry", decision, |entry| Ok(entry.decision)) }
}

/// Why not, or `SEALWIRE_RESULT_ABSENT` if it was allowed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sealwire_entry_reason(entry: *const sealwire_entry, reason: *mut sealwire_text) -> sealwire_result {
    // SAFETY: the rules of pointers.
    unsafe { read(entry, "entry", reason, |entry| entry.reason.as_deref().map(Into::into).ok_or(Failure::absent("it was allowed"))) }
}

/// The header, or `SEALWIRE_RESULT_ABSENT`: what an unauthentic envelope claims is not recorded.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sealwire_entry_header(entry: *const sealwire_entry, header: *mut *const sealwire_header) -> sealwire_result {
    // SAFETY: the rules of pointers.
    unsafe {
        read(entry, "entry", header, |entry| {
            entry.header.as_ref().map(|header| &raw const *header).ok_or(Failure::absent("no header is authentic"))
        })
    }
}

/// Size in bytes: of the body when the header is there, of the envelope otherwise.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sealwire_entry_size(entry: *const sealwire_entry, size: *mut usize) -> sealwire_result {
    // SAFETY: the rules of pointers.
    unsafe { read(entry, "entry", size, |entry| Ok(entry.size)) }
}

/// The form of the envelope, or `SEALWIRE_RESULT_ABSENT` while that is not known.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sealwire_entry_form(entry: *const sealwire_entry, form: *mut sealwire_form) -> sealwire_result {
    // SAFETY: the rules of pointers.
    unsafe { read(entry, "entry", form, |entry| entry.form.map(Into::into).ok_or(Failure::absent("the form is not known"))) }
}

/// A pointer of the caller, given back to its hooks and never followed here.
#[derive(Clone, Copy)]
pub(crate) struct User(pub(crate) *mut c_void);

// SAFETY: it is only passed on; that its hooks may use it in several threads is what `sealwire_policy` asks of them.
unsafe impl Send for User {}
// SAFETY: as above.
unsafe impl Sync for User {}

/// A function of C, and the pointer it gets.
#[derive(Clone, Copy)]
pub(crate) struct Hook<F> {
    pub(crate) function: F,
    pub(crate) user: User,
}

impl Policy for Hook<unsafe extern "C" fn(*mut c_void, *const sealwire_request) -> i32> {
    fn decide(&self, request: &Request<'_>) -> Verdict {
        let request = sealwire_request::from(request);
        // SAFETY: whoever set the hook promised a function of this type; the request outlives the call.
        let answer = unsafe { (self.function)(self.user.0, &raw const request) };
        if answer == SEALWIRE_YES { Verdict::Allow } else { Verdict::Deny("the policy did not return SEALWIRE_YES".into()) }
    }
}

impl Audit for Hook<unsafe extern "C" fn(*mut c_void, *const sealwire_entry) -> i32> {
    fn record(&self, entry: &Entry<'_>) -> Result<(), String> {
        let entry = sealwire_entry::from(entry);
        // SAFETY: whoever set the hook promised a function of this type; the entry outlives the call.
        let answer = unsafe { (self.function)(self.user.0, &raw const entry) };
        if answer == SEALWIRE_YES { Ok(()) } else { Err("the audit function did not return SEALWIRE_YES".into()) }
    }
}
