//! `Node`: an endpoint on a network, for threads that wait. The core's own node runs on a runtime of its own inside.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, PoisonError,
        mpsc::{self, RecvTimeoutError},
    },
    time::{Duration, Instant},
};

use pyo3::{
    exceptions::{PyRuntimeError, PyTypeError, PyValueError},
    prelude::*,
    types::{PyBytes, PyTuple},
};
use sealwire::{
    Address, MessageRef,
    node::{self, Piece, Refusal, Reply, Ticket},
    transport::{Streams, stream::Tls},
};
use tokio::runtime::{Builder, Handle, Runtime};

use crate::{
    ending::{enter, own_thread},
    endpoint::{Endpoint, Ref, Words, draft},
    error::Raised,
    hooks::callable,
    message::Message,
    object::Object,
    transport::{Broker, Carrier, Certificates, connect},
};

/// How often a thread that waits looks whether its user wants it to stop.
const GLANCE: Duration = Duration::from_millis(200);

/// Sends and receives for the agents of one endpoint, and keeps what is under way through a restart.
///
/// `listen` takes connections, as in `["tcp://0.0.0.0:7451"]`; `peers` says where other nodes are, beside what the roster says. `tls` has
/// certificates for `tls://`; without any, nodes show each other their node keys. `via` goes through a server instead, as in
/// `"jetstream://host:4222"`, or through an object with `send` and `receive`. One for each process; shared by its threads.
#[pyclass(frozen, module = "sealwire")]
pub(crate) struct Node {
    inner: Mutex<Option<Inner>>,
    runtime: OwnRuntime,
    /// A child made by fork has this object and none of its threads.
    process: u32,
    #[pyo3(get)]
    endpoint: Py<Endpoint>,
    /// Where it takes connections, with the ports that the system chose.
    #[pyo3(get)]
    listening: Vec<String>,
    /// What it goes through, if it is not streams: a location, or the type of an object.
    #[pyo3(get)]
    via: Option<String>,
}

/// A runtime that ends without waiting for handlers that are at work.
struct OwnRuntime(Option<Runtime>);

impl OwnRuntime {
    /// One thread serves the network, and seals and opens where no hook of the user's is asked: what is passed from thread to thread takes longer
    /// than that. Handlers, hooks and large messages have threads of their own.
    fn new() -> Result<Self, Raised> {
        let made = Builder::new_multi_thread().worker_threads(1).thread_name("sealwire").on_thread_start(own_thread).enable_all().build();
        Ok(Self(Some(made.map_err(|error| Raised::transport(&error))?)))
    }

    fn handle(&self) -> Result<Handle, Raised> {
        self.0.as_ref().map(|runtime| runtime.handle().clone()).ok_or_else(|| node::NodeError::Closed.into())
    }
}

impl Drop for OwnRuntime {
    fn drop(&mut self) {
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}

/// A node as [`Node::peers`] tells of it.
type Peer = (String, Option<String>, bool, Option<String>);

/// What is there until the node is closed.
#[derive(Clone)]
struct Inner {
    node: node::Node<Carrier>,
    carrier: Carrier,
    given: Arc<BTreeMap<String, String>>,
}

#[pymethods]
impl Node {
    #[new]
    #[pyo3(signature = (endpoint, *, listen = Vec::new(), peers = BTreeMap::new(), via = None, tls = None, nats = None))]
    #[allow(clippy::too_many_arguments, reason = "to Python they are keywords")]
    fn new(
        py: Python<'_>,
        endpoint: Py<Endpoint>,
        listen: Vec<String>,
        peers: BTreeMap<String, String>,
        via: Option<&Bound<'_, PyAny>>,
        tls: Option<Certificates>,
        nats: Option<Broker>,
    ) -> Result<Self, Raised> {
        if via.is_some() && !(listen.is_empty() && peers.is_empty()) {
            return Err(Raised::from(PyValueError::new_err("a node goes `via` something, or it has `listen` and `peers`; not both")));
        }
        crate::log::listen(py)?;
        // It tells this crate when Python ends.
        py.import("sealwire.ending")?;
        let (core, runtime) = (Arc::clone(&endpoint.get().endpoint), OwnRuntime::new()?);
        let (handle, given) = (runtime.handle()?, Arc::new(peers));
        let (carrier, via) = match via {
            None => (py.detach(|| handle.block_on(streams(&core, &listen, &given, tls.as_ref())))?, None),
            Some(via) => match via.extract::<String>() {
                Ok(location) => (py.detach(|| handle.block_on(connect(&location, nats.as_ref(), tls.as_ref())))?, Some(location)),
                Err(_) => (Carrier::Object(Object::new(via)?), Some(via.get_type().name()?.to_string())),
            },
        };
        let listening = match &carrier {
            Carrier::Streams(streams) => streams.listening().iter().map(|location| location.as_str().to_owned()).collect(),
            _ => Vec::new(),
        };
        let node = py.detach(|| {
            let _entered = handle.enter();
            node::Node::builder(core, carrier.clone()).work_in_place().build()
        })?;
        let inner = Mutex::new(Some(Inner { node, carrier, given }));
        Ok(Self { inner, runtime, process: std::process::id(), endpoint, listening, via })
    }

    /// Hosts an agent that sends and waits for replies, and returns its address.
    fn host(&self, py: Python<'_>, name: &str) -> Result<String, Raised> {
        let (handle, inner) = self.parts()?;
        let address = py.detach(|| {
            let _entered = handle.enter();
            inner.node.host(name)
        })?;
        Ok(address.to_string())
    }

    /// Hosts an agent and gives its messages to `handler`, `at_once` at a time, each in a thread of its own.
    ///
    /// `handler(incoming)` returns `None`, or what it says back: a body, or `(kind, body, content_type, labels)`. What it raises is told to
    /// who asked, as the exception's text.
    #[pyo3(signature = (name, handler, *, at_once = 8))]
    fn serve(&self, py: Python<'_>, name: &str, handler: &Bound<'_, PyAny>, at_once: usize) -> Result<String, Raised> {
        let (runtime, inner) = self.parts()?;
        let handler = Arc::new(callable(handler, "handler")?);
        let work = move |request| {
            let handler = Arc::clone(&handler);
            async move {
                match tokio::task::spawn_blocking(move || handle(&handler, request)).await {
                    Ok(Some(handled)) => handled,
                    // The work is for the next process.
                    Ok(None) => std::future::pending().await,
                    Err(_) => Err(Refusal::from("its handler failed")),
                }
            }
        };
        let address = py.detach(|| {
            let _entered = runtime.enter();
            inner.node.serve_at_once(name, at_once, work)
        })?;
        Ok(address.to_string())
    }

    /// Asks, waits for the reply, and returns it. `timeout` is in seconds. `on_sent` gets `(signer, id)` of the request once it was taken
    /// over; `on_part` the parts of the reply that come ahead of it, and `None` when the other side begins anew. Once `given_up` returns
    /// `True`, the request is taken back.
    #[pyo3(signature = (sender, reader, body, *, kind, timeout, thread = None, labels = Vec::new(), content_type = None, answers = None,
                        came_from = None, on_sent = None, on_part = None, given_up = None))]
    #[allow(clippy::too_many_arguments, reason = "to Python they are keywords")]
    fn request(
        &self,
        py: Python<'_>,
        sender: &str,
        reader: &str,
        body: Vec<u8>,
        kind: &str,
        timeout: f64,
        thread: Option<[u8; 16]>,
        labels: Vec<String>,
        content_type: Option<&str>,
        answers: Option<Ref>,
        came_from: Option<Ref>,
        on_sent: Option<Py<PyAny>>,
        on_part: Option<Py<PyAny>>,
        given_up: Option<Py<PyAny>>,
    ) -> Result<Message, Raised> {
        let (runtime, inner) = self.parts()?;
        let (from, to) = (sender.parse::<Address>()?, reader.parse::<Address>()?);
        let draft = draft(kind, body, Words { thread, labels, content_type, answers, came_from });
        let deadline = Duration::try_from_secs_f64(timeout).map_err(|_| PyTypeError::new_err("timeout is a number of seconds"))?;
        py.detach(|| inner.find(&runtime, &to));
        let reply = py.detach(|| {
            let patience = Patience { until: Instant::now() + deadline, given_up };
            let node = inner.node.clone();
            // Nobody can resume it from Python, so the reply need not be kept.
            let asking = async move { node.ask_once(&from, &to, draft, deadline).await };
            let (mut ticket, mut piece) = match &on_sent {
                None => in_time(&runtime, &patience, async { Ok::<_, node::NodeError>(next(asking.await?).await) })??,
                Some(_) => {
                    let ticket = in_time(&runtime, &patience, asking)??;
                    tell(on_sent.as_ref(), |py| Ok(py_ref(ticket.request()).into_pyobject(py)?.into_any().unbind()))?;
                    in_time(&runtime, &patience, next(ticket))?
                }
            };
            loop {
                match piece? {
                    Piece::Reply(reply) => return Ok::<_, Raised>(reply),
                    Piece::Part(bytes) => tell(on_part.as_ref(), |py| Ok(PyBytes::new(py, &bytes).into_any().unbind()))?,
                    Piece::Again => tell(on_part.as_ref(), |py| Ok(py.None()))?,
                    _ => {}
                }
                (ticket, piece) = in_time(&runtime, &patience, next(ticket))?;
            }
        })?;
        Ok(Message::new(py, &reply)?)
    }

    /// Sends one way. When it returns, the message was taken over: it is sent until it is acknowledged or its time is over.
    #[pyo3(signature = (sender, reader, body, *, kind, thread = None, labels = Vec::new(), content_type = None, answers = None,
                        came_from = None))]
    #[allow(clippy::too_many_arguments, reason = "to Python they are keywords")]
    fn send(
        &self,
        py: Python<'_>,
        sender: &str,
        reader: &str,
        body: Vec<u8>,
        kind: &str,
        thread: Option<[u8; 16]>,
        labels: Vec<String>,
        content_type: Option<&str>,
        answers: Option<Ref>,
        came_from: Option<Ref>,
    ) -> Result<Ref, Raised> {
        let (runtime, inner) = self.parts()?;
        let (from, to) = (sender.parse::<Address>()?, reader.parse::<Address>()?);
        let draft = draft(kind, body, Words { thread, labels, content_type, answers, came_from });
        py.detach(|| inner.find(&runtime, &to));
        let patience = Patience { until: Instant::now() + Duration::from_secs(sealwire::limits::REQUEST_LIFETIME), given_up: None };
        let sending = async move { inner.node.send(&from, &to, draft).await };
        let sent = py.detach(|| in_time(&runtime, &patience, sending))??;
        Ok(py_ref(sent))
    }

    /// Messages that were taken over and are neither acknowledged nor answered nor over their time.
    fn under_way(&self, py: Python<'_>) -> Result<usize, Raised> {
        let (_, inner) = self.parts()?;
        Ok(py.detach(|| inner.node.under_way()))
    }

    /// The nodes it knows a way to: name, location if it has one, whether there is a connection, and what the trouble was if there was any.
    fn peers(&self) -> Result<Vec<Peer>, Raised> {
        let Carrier::Streams(streams) = self.parts()?.1.carrier else { return Ok(Vec::new()) };
        Ok(streams
            .peers()
            .into_iter()
            .map(|peer| (peer.name, peer.location.map(|at| at.as_str().to_owned()), peer.connected, peer.trouble))
            .collect())
    }

    /// Stops. With a home, what is under way goes on in the next process.
    fn close(&self, py: Python<'_>) -> PyResult<()> {
        let inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner).take();
        let (Some(inner), Ok(runtime)) = (inner.filter(|_| self.process == std::process::id()), self.runtime.handle()) else {
            return Ok(());
        };
        py.detach(|| runtime.block_on(inner.node.close()));
        match inner.carrier {
            Carrier::Object(object) => object.close(py),
            _ => Ok(()),
        }
    }

    fn __repr__(&self) -> String {
        format!("Node({:?})", self.endpoint.get().endpoint.node())
    }
}

impl Node {
    fn parts(&self) -> Result<(Handle, Inner), Raised> {
        if self.process != std::process::id() {
            return Err(Raised::from(PyRuntimeError::new_err("this node was made before a fork; make one in each process")));
        }
        let inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner).clone();
        Ok((self.runtime.handle()?, inner.ok_or(node::NodeError::Closed)?))
    }
}

/// Streams at these places. TLS is there in any case: with the user's certificates, or with the keys of nodes.
async fn streams(
    core: &Arc<sealwire::Endpoint>,
    listen: &[String],
    peers: &BTreeMap<String, String>,
    certificates: Option<&Certificates>,
) -> Result<Carrier, Raised> {
    let own = || Tls::of_members(Arc::clone(core)).map_err(|error| Raised::transport(&error));
    let streams = Streams::builder(core.node()).tls(certificates.map_or_else(own, Certificates::tls)?);
    let streams = listen.iter().fold(streams, |streams, location| streams.listen(location));
    let streams = peers.iter().fold(streams, |streams, (name, location)| streams.peer(name, location));
    Ok(Carrier::Streams(streams.build().await.map_err(|error| Raised::transport(&error))?))
}

/// How long a thread waits.
struct Patience {
    until: Instant,
    /// Asked now and then; `True` ends the wait.
    given_up: Option<Py<PyAny>>,
}

impl Patience {
    /// Time until the next look around.
    fn moment(&self) -> Duration {
        GLANCE.min(self.until.saturating_duration_since(Instant::now()))
    }

    /// Raises when the time is over, nobody wants the reply any more, or the user has pressed Ctrl-C.
    fn glance(&self) -> Result<(), Raised> {
        let given_up = Python::attach(|py| {
            py.check_signals()?;
            self.given_up.as_ref().map_or(Ok(false), |given_up| given_up.call0(py)?.is_truthy(py))
        })?;
        if !given_up && Instant::now() < self.until { Ok(()) } else { Err(node::NodeError::Deadline.into()) }
    }
}

/// Waits for something to be done, and looks around now and then. The thread waits by itself: a timer of the runtime would wake one of its threads.
fn in_time<T: Send + 'static>(runtime: &Handle, patience: &Patience, work: impl Future<Output = T> + Send + 'static) -> Result<T, Raised> {
    let (done, waiting) = mpsc::sync_channel(1);
    let task = runtime.spawn(async move { _ = done.send(work.await) });
    loop {
        match waiting.recv_timeout(patience.moment()) {
            Ok(done) => return Ok(done),
            Err(RecvTimeoutError::Disconnected) => return Err(node::NodeError::Closed.into()),
            Err(RecvTimeoutError::Timeout) => patience.glance().inspect_err(|_| task.abort())?,
        }
    }
}

async fn next(mut ticket: Ticket) -> (Ticket, Result<Piece, node::NodeError>) {
    let piece = ticket.next().await;
    (ticket, piece)
}

fn tell(whom: Option<&Py<PyAny>>, what: impl FnOnce(Python<'_>) -> PyResult<Py<PyAny>>) -> Result<(), Raised> {
    let Some(whom) = whom else { return Ok(()) };
    Ok(Python::attach(|py| whom.call1(py, (what(py)?,)).map(drop))?)
}

impl Inner {
    /// Tells the transport where the reader's node is, as the roster says, unless there is a connection already: a node that has connected is
    /// answered there, whether or not it takes connections itself.
    fn find(&self, runtime: &Handle, to: &Address) {
        let Carrier::Streams(streams) = &self.carrier else { return };
        let _entered = runtime.enter();
        let own = to.node() == self.node.endpoint().node();
        let names = [to.as_str(), to.node()];
        if own || names.iter().any(|name| self.given.contains_key(*name)) {
            return;
        }
        if streams.peers().iter().any(|peer| peer.connected && names.contains(&peer.name.as_str())) {
            return;
        }
        let roster = self.node.endpoint().roster();
        let Some(node) = roster.node(to.node()) else { return };
        // An address that this transport cannot reach is a hint for another one.
        let _reached = node.addresses.iter().filter_map(|location| location.parse().ok()).any(|at| streams.set_peer(to.node(), at).is_ok());
    }
}

/// A message for a handler, which is given each at least once.
#[pyclass(frozen, module = "sealwire")]
pub(crate) struct Incoming {
    /// The message.
    #[pyo3(get)]
    message: Py<Message>,
    /// Whether an earlier process may have begun or done this work. Effects made under the message's id are found again.
    #[pyo3(get)]
    redelivered: bool,
    /// Unix time after which nobody waits.
    #[pyo3(get)]
    deadline: u64,
    request: tokio::sync::Mutex<node::Request>,
    runtime: Handle,
}

#[pymethods]
impl Incoming {
    /// Whether who asked has taken it back.
    #[getter]
    fn cancelled(&self, py: Python<'_>) -> bool {
        let look = async { tokio::time::timeout(Duration::ZERO, self.request.lock().await.cancelled()).await.is_ok() };
        py.detach(|| self.runtime.block_on(look))
    }

    /// Sends a part of the reply ahead.
    fn part(&self, py: Python<'_>, part: &[u8]) -> Result<(), Raised> {
        Ok(py.detach(|| self.runtime.block_on(async { self.request.lock().await.part(part).await }))?)
    }

    fn __repr__(&self) -> String {
        format!("Incoming(redelivered={})", self.redelivered)
    }
}

/// Calls a handler and makes a reply of what it returns; `None` if Python ends.
fn handle(handler: &Py<PyAny>, request: node::Request) -> Option<Result<Reply, Refusal>> {
    enter(|py| {
        let handled = Message::new(py, request.message()).and_then(|message| {
            let incoming = Incoming {
                message: Py::new(py, message)?,
                redelivered: request.is_redelivered(),
                deadline: request.deadline(),
                request: tokio::sync::Mutex::new(request),
                runtime: Handle::current(),
            };
            reply(&handler.bind(py).call1((Py::new(py, incoming)?,))?)
        });
        handled.map_err(|error| Refusal::from(error.value(py).to_string()))
    })
}

fn reply(said: &Bound<'_, PyAny>) -> PyResult<Reply> {
    if said.is_none() {
        return Ok(Reply::none());
    }
    if let Ok(body) = said.cast::<PyBytes>() {
        return Ok(Reply::new("result", body.as_bytes()));
    }
    let said =
        said.cast::<PyTuple>().map_err(|_| PyTypeError::new_err("a handler returns None, bytes, or (kind, body, content_type, labels)"))?;
    let (kind, body, content_type, labels): (String, Vec<u8>, Option<String>, Vec<String>) = said.extract()?;
    let reply = content_type.into_iter().fold(Reply::new(kind, body), Reply::content_type);
    Ok(labels.into_iter().fold(reply, Reply::label))
}

fn py_ref(message: MessageRef) -> Ref {
    (*message.signer.as_bytes(), *message.id.as_bytes())
}
