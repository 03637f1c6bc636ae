//! `Endpoint`: hosts agents, seals and opens.

use std::{
    ffi::OsStr,
    path::{Path, PathBuf},
    sync::Arc,
};

use pyo3::{prelude::*, pybacked::PyBackedBytes, types::PyBytes};
use sealwire::{Address, Created, Draft, KeyId, MessageId, MessageRef, Roster, Thread};

use crate::{
    error::Raised,
    hooks::{AuditFunction, ClockFunction, PolicyFunction, callable},
    message::{Message, Sealed},
};

/// A message as Python names it: `(signer, id)`.
pub(crate) type Ref = ([u8; 16], [u8; 16]);

/// Hosts agents, seals what they write and opens what is sealed for them.
///
/// Without `home` everything is in memory, in a domain of its own; with it, the home is opened, or made if there is none.
/// `policy(request)` allows by returning `True`; `audit(entry)` must not raise. Shared by threads.
#[pyclass(frozen, module = "sealwire")]
pub(crate) struct Endpoint {
    pub(crate) endpoint: Arc<sealwire::Endpoint>,
    home: Option<PathBuf>,
    /// Whether this call made the home.
    #[pyo3(get)]
    created: bool,
}

#[pymethods]
impl Endpoint {
    #[new]
    #[pyo3(signature = (home = None, *, node = None, policy = None, audit = None, clock = None))]
    fn new(
        py: Python<'_>,
        home: Option<PathBuf>,
        node: Option<&str>,
        policy: Option<&Bound<'_, PyAny>>,
        audit: Option<&Bound<'_, PyAny>>,
        clock: Option<&Bound<'_, PyAny>>,
    ) -> Result<Self, Raised> {
        let mut builder = sealwire::Endpoint::builder();
        if let Some(policy) = policy {
            builder = builder.policy(PolicyFunction(callable(policy, "policy")?));
        }
        if let Some(audit) = audit {
            builder = builder.audit(AuditFunction(callable(audit, "audit")?));
        }
        if let Some(clock) = clock {
            builder = builder.clock(ClockFunction(callable(clock, "clock")?));
        }
        let node = node.unwrap_or(DEFAULT_NODE);
        let (endpoint, created) = py.detach(|| match &home {
            None => builder.in_memory(node).map(|endpoint| (endpoint, Created::Before)),
            Some(home) => builder.home_or_init(home, node),
        })?;
        Ok(Self { endpoint: Arc::new(endpoint), home, created: created == Created::Now })
    }

    /// The node's name.
    #[getter]
    fn node(&self) -> &str {
        self.endpoint.node()
    }

    /// The domain's name: SHA-256 of its root key.
    #[getter]
    fn domain<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        PyBytes::new(py, self.endpoint.domain().as_bytes())
    }

    /// Where its home is, if it has one.
    #[getter]
    fn home(&self) -> Option<&OsStr> {
        self.home.as_deref().map(Path::as_os_str)
    }

    /// Hosts an agent: makes or loads its keys, certifies it, and returns its address. Hosting it again changes nothing.
    fn host(&self, py: Python<'_>, name: &str) -> Result<String, Raised> {
        Ok(py.detach(|| self.endpoint.host(name))?.to_string())
    }

    /// The nodes of the domain: name, patterns of the agents each may host, and where it is.
    fn members(&self, py: Python<'_>) -> Vec<Member> {
        py.detach(|| members(&self.endpoint.roster()))
    }

    /// Addresses of the agents hosted here.
    fn agents(&self, py: Python<'_>) -> Vec<String> {
        py.detach(|| self.endpoint.agents().iter().map(ToString::to_string).collect())
    }

    /// Seals `body` for `reader` and nobody else, signed by `sender`, an agent hosted here.
    ///
    /// `answers` and `came_from` are `(signer, id)` of other messages; `lifetime` is in seconds.
    #[pyo3(signature = (sender, reader, body, *, kind, thread = None, labels = Vec::new(), content_type = None, answers = None,
                        came_from = None, lifetime = None))]
    #[allow(clippy::too_many_arguments, reason = "to Python they are keywords")]
    fn seal(
        &self,
        py: Python<'_>,
        sender: &str,
        reader: &str,
        body: &[u8],
        kind: &str,
        thread: Option<[u8; 16]>,
        labels: Vec<String>,
        content_type: Option<&str>,
        answers: Option<Ref>,
        came_from: Option<Ref>,
        lifetime: Option<u64>,
    ) -> Result<Sealed, Raised> {
        let (from, to) = (sender.parse::<Address>()?, reader.parse::<Address>()?);
        let mut draft = draft(kind, body, Words { thread, labels, content_type, answers, came_from });
        draft = lifetime.into_iter().fold(draft, Draft::lifetime);
        let sealed = py.detach(|| self.endpoint.seal(&from, &to, &draft))?;
        Ok(Sealed::new(py, sealed)?)
    }

    /// Opens an envelope for an agent hosted here.
    fn open(&self, py: Python<'_>, envelope: &[u8]) -> Result<Message, Raised> {
        let message = py.detach(|| self.endpoint.open_bytes(envelope))?;
        Ok(Message::new(py, &message)?)
    }

    /// Opens envelopes that arrived together, in order, at less cost than one by one. In place of a message that is refused stands the
    /// exception that `open` would raise.
    fn open_all(&self, py: Python<'_>, envelopes: Vec<PyBackedBytes>) -> PyResult<Vec<Py<PyAny>>> {
        let opened = py.detach(|| {
            let wire: Vec<&[u8]> = envelopes.iter().map(|envelope| &**envelope).collect();
            self.endpoint.open_all_bytes(&wire)
        });
        let in_python = |opened| match opened {
            Ok(message) => Ok(Py::new(py, Message::new(py, &message)?)?.into_any()),
            Err(refused) => Ok(PyErr::from(Raised::from(refused)).into_value(py).into_any()),
        };
        opened.into_iter().map(in_python).collect()
    }

    /// The certificate of a hosted agent, to be given to those who seal for it.
    fn certificate<'py>(&self, py: Python<'py>, address: &str) -> Result<Bound<'py, PyBytes>, Raised> {
        let agent = address.parse()?;
        let certificate = py.detach(|| self.endpoint.certificate(&agent));
        let certificate =
            certificate.ok_or_else(|| crate::error::UnknownAgent::new_err(format!("`{address}` is not hosted here; host it first")))?;
        Ok(PyBytes::new(py, certificate.as_bytes()))
    }

    /// Takes a peer's certificate and returns its address; from then on messages can be sealed for it.
    fn introduce(&self, py: Python<'_>, certificate: &[u8]) -> Result<String, Raised> {
        Ok(py.detach(|| self.endpoint.introduce(certificate))?.to_string())
    }

    fn __repr__(&self) -> String {
        match &self.home {
            Some(home) => format!("Endpoint({:?}, node={:?})", home.display().to_string(), self.endpoint.node()),
            None => format!("Endpoint(None, node={:?})", self.endpoint.node()),
        }
    }
}

/// A node of a roster: its name, patterns of the agents it may host, and where it is.
pub(crate) type Member = (String, Vec<String>, Vec<String>);

pub(crate) fn members(roster: &Roster) -> Vec<Member> {
    let nodes = roster.claims().nodes.clone();
    nodes.into_iter().map(|node| (node.name, node.hosts, node.addresses)).collect()
}

/// The node of a home that nobody named.
pub(crate) const DEFAULT_NODE: &str = "local";

/// What a message says beside kind and body.
pub(crate) struct Words<'a> {
    pub(crate) thread: Option<[u8; 16]>,
    pub(crate) labels: Vec<String>,
    pub(crate) content_type: Option<&'a str>,
    pub(crate) answers: Option<Ref>,
    pub(crate) came_from: Option<Ref>,
}

pub(crate) fn draft<B: AsRef<[u8]>>(kind: &str, body: B, words: Words<'_>) -> Draft<B> {
    let draft = words.labels.into_iter().fold(Draft::new(kind, body), Draft::label);
    let draft = words.thread.into_iter().map(Thread::from_bytes).fold(draft, Draft::thread);
    let draft = words.content_type.into_iter().fold(draft, Draft::content_type);
    let draft = words.answers.into_iter().map(message_ref).fold(draft, Draft::answers);
    words.came_from.into_iter().map(message_ref).fold(draft, Draft::came_from)
}

fn message_ref((signer, id): Ref) -> MessageRef {
    MessageRef { signer: KeyId::from_bytes(signer), id: MessageId::from_bytes(id) }
}
