//! [`Draft`] (to be sealed) and [`Message`] (opened): what people write and read.

use core::{fmt, ops::Range};

use crate::{
    envelope::{Envelope, Form},
    header::{Header, MessageRef},
    key::{Thread, Thumbprint},
    limits::REQUEST_LIFETIME,
};

/// A message to be sealed. Nothing here travels by itself: [`Endpoint::seal`](crate::Endpoint::seal) makes an [`Envelope`] of it.
///
/// The body is anything that lends bytes; it is read in place and copied once, into the envelope.
#[derive(Clone, PartialEq, Eq)]
pub struct Draft<B> {
    pub(crate) kind: String,
    pub(crate) body: B,
    pub(crate) thread: Option<Thread>,
    pub(crate) labels: Vec<String>,
    pub(crate) content_type: Option<String>,
    pub(crate) answers: Option<MessageRef>,
    pub(crate) came_from: Option<MessageRef>,
    pub(crate) lifetime: u64,
}

impl<B: AsRef<[u8]>> Draft<B> {
    /// A message of a kind, such as `task` or `result`. It lives 10 minutes in a thread of its own.
    pub fn new(kind: impl Into<String>, body: B) -> Self {
        Self {
            kind: kind.into(),
            body,
            thread: None,
            labels: Vec::new(),
            content_type: None,
            answers: None,
            came_from: None,
            lifetime: REQUEST_LIFETIME,
        }
    }

    /// Adds a word that policy reads.
    #[must_use]
    pub fn label(mut self, label: impl Into<String>) -> Self {
        self.labels.push(label.into());
        self
    }

    /// Makes it part of a conversation.
    #[must_use]
    pub fn thread(mut self, thread: Thread) -> Self {
        self.thread = Some(thread);
        self
    }

    /// Names the message this one answers.
    #[must_use]
    pub fn answers(mut self, message: MessageRef) -> Self {
        self.answers = Some(message);
        self
    }

    /// Names the message this one was made from.
    #[must_use]
    pub fn came_from(mut self, message: MessageRef) -> Self {
        self.came_from = Some(message);
        self
    }

    /// Media type of the body.
    #[must_use]
    pub fn content_type(mut self, content_type: impl Into<String>) -> Self {
        self.content_type = Some(content_type.into());
        self
    }

    /// How long the message may be opened, in seconds from now: at most [`MAX_LIFETIME`](crate::limits::MAX_LIFETIME).
    #[must_use]
    pub fn lifetime(mut self, seconds: u64) -> Self {
        self.lifetime = seconds;
        self
    }

    /// The same with a body of its own, to be handed to another task.
    #[cfg(feature = "node")]
    pub(crate) fn with_body_owned(self) -> Draft<Vec<u8>> {
        let Self { kind, body, thread, labels, content_type, answers, came_from, lifetime } = self;
        Draft { kind, body: body.as_ref().to_vec(), thread, labels, content_type, answers, came_from, lifetime }
    }
}

impl<B: AsRef<[u8]>> fmt::Debug for Draft<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Draft({} of {} bytes)", self.kind, self.body.as_ref().len())
    }
}

/// An envelope, and what was signed in it.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Sealed {
    /// What travels.
    pub envelope: Envelope,
    /// What was signed.
    pub header: Header,
}

/// An opened envelope: authentic, meant for this reader, fresh, seen for the first time and allowed.
pub struct Message {
    pub(crate) header: Header,
    pub(crate) signer: Thumbprint,
    pub(crate) form: Form,
    pub(crate) plaintext: Vec<u8>,
    pub(crate) body: Range<usize>,
}

impl Message {
    /// What the author signed.
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// The author's key, in full.
    pub fn signer(&self) -> &Thumbprint {
        &self.signer
    }

    /// The form it came in.
    pub fn form(&self) -> Form {
        self.form
    }

    /// The body.
    pub fn body(&self) -> &[u8] {
        self.plaintext.get(self.body.clone()).unwrap_or_default()
    }

    /// The body, without copying it to another allocation.
    pub fn into_body(mut self) -> Vec<u8> {
        self.plaintext.truncate(self.body.end);
        self.plaintext.drain(..self.body.start);
        self.plaintext
    }
}

impl fmt::Debug for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Message({:?}, {} bytes, {})", self.header, self.body.len(), self.form)
    }
}
