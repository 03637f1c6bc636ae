//! [`Object`]: a Python object as the transport of a node. `sealwire.carrier.Carrier` calls it, in threads of its own.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use pyo3::{
    intern,
    prelude::*,
    pybacked::PyBackedBytes,
    types::{PyBytes, PyCFunction, PyDict, PyTuple},
};
use sealwire::{
    Address,
    limits::MAX_PARCEL,
    transport::{Delivery, Parcel, TransportError},
};
use tokio::{
    runtime::Handle,
    sync::{Notify, OwnedSemaphorePermit, Semaphore},
    task::spawn_blocking,
};

use crate::ending::enter;

/// KiB of parcels of one reader that are fetched and not acknowledged: two of the largest.
const ROOM: usize = 32 * 1024;

/// A transport written in Python. Clones are the same one; the last closes it.
#[derive(Clone)]
pub(crate) struct Object(Arc<Held>);

struct Held {
    carrier: Py<PyAny>,
    inboxes: Mutex<HashMap<Address, Arc<Inbox>>>,
}

/// What was fetched for one reader: parcels that wait, by their numbers, so that one that comes back stands where it stood.
struct Inbox {
    waiting: Mutex<(u64, BTreeMap<u64, Arrived>)>,
    news: Notify,
    /// Closed with the transport.
    room: Arc<Semaphore>,
}

struct Arrived {
    bytes: PyBackedBytes,
    /// What the transport is told when it was processed; `None` if it does not ask.
    receipt: Option<Py<PyAny>>,
    _room: OwnedSemaphorePermit,
}

impl Object {
    /// `transport` has `send` and `receive`.
    pub(crate) fn new(transport: &Bound<'_, PyAny>) -> PyResult<Self> {
        let carrier = transport.py().import("sealwire.carrier")?.call_method1("Carrier", (transport,))?;
        carrier.call_method0("open")?;
        Ok(Self(Arc::new(Held { carrier: carrier.unbind(), inboxes: Mutex::default() })))
    }

    /// Closes it: what waits in `receive` ends, and the user's own `close` is called.
    pub(crate) fn close(&self, py: Python<'_>) -> PyResult<()> {
        self.0.shut();
        self.0.carrier.call_method0(py, intern!(py, "close")).map(drop)
    }

    pub(crate) async fn send(&self, to: &Address, parcel: Parcel) -> Result<(), TransportError> {
        let (held, to) = (Arc::clone(&self.0), to.to_string());
        call(move |py| held.carrier.call_method1(py, intern!(py, "send"), (to, PyBytes::new(py, parcel.as_bytes()))).map(drop)).await
    }

    pub(crate) async fn receive(&self, reader: &Address) -> Result<ObjectDelivery, TransportError> {
        let known = self.0.inboxes().get(reader).map(Arc::clone);
        let inbox = match known {
            Some(inbox) => inbox,
            None => self.listen(reader).await?,
        };
        inbox.next(self).await
    }

    /// Lets the carrier fetch for a reader.
    async fn listen(&self, reader: &Address) -> Result<Arc<Inbox>, TransportError> {
        let inbox = Arc::new(Inbox { waiting: Mutex::default(), news: Notify::new(), room: Arc::new(Semaphore::new(ROOM)) });
        // It is there before anything is fetched, so that nobody fetches a second time.
        self.0.inboxes().insert(reader.clone(), Arc::clone(&inbox));
        let (held, to, arrived, runtime) = (Arc::clone(&self.0), reader.to_string(), Arc::clone(&inbox), Handle::current());
        let listening = call(move |py| {
            let put = move |given: &Bound<'_, PyTuple>, _: Option<&Bound<'_, PyDict>>| arrived.put(given, &runtime);
            let put = PyCFunction::new_closure(py, None, None, put)?;
            held.carrier.call_method1(py, intern!(py, "listen"), (to, put)).map(drop)
        });
        listening.await.inspect_err(|_| _ = self.0.inboxes().remove(reader))?;
        Ok(inbox)
    }
}

impl Held {
    fn inboxes(&self) -> MutexGuard<'_, HashMap<Address, Arc<Inbox>>> {
        self.inboxes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn shut(&self) {
        for inbox in self.inboxes().values() {
            inbox.room.close();
            inbox.news.notify_one();
        }
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.shut();
        // An interpreter that ends closes its carriers itself.
        let _closed = enter(|py| self.carrier.call_method0(py, intern!(py, "close")).map(drop));
    }
}

impl Inbox {
    fn waiting(&self) -> MutexGuard<'_, (u64, BTreeMap<u64, Arrived>)> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes what came, as `(envelope, receipt)`, once there is room. `False`: the node is closed.
    fn put(&self, given: &Bound<'_, PyTuple>, runtime: &Handle) -> PyResult<bool> {
        let (bytes, receipt): (PyBackedBytes, Option<Py<PyAny>>) = given.extract()?;
        let size = u32::try_from((bytes.len() / 1024).clamp(1, ROOM))?;
        let room = given.py().detach(|| runtime.block_on(Arc::clone(&self.room).acquire_many_owned(size)));
        let Ok(room) = room else { return Ok(false) };
        // What is too large is nothing that a node has sent.
        if bytes.len() <= MAX_PARCEL {
            let mut waiting = self.waiting();
            waiting.0 += 1;
            let number = waiting.0;
            waiting.1.insert(number, Arrived { bytes, receipt, _room: room });
            self.news.notify_one();
        }
        Ok(true)
    }

    async fn next(self: &Arc<Self>, object: &Object) -> Result<ObjectDelivery, TransportError> {
        loop {
            let news = self.news.notified();
            if self.room.is_closed() {
                return Err(TransportError::Closed);
            }
            let first = self.waiting().1.pop_first();
            if let Some((number, arrived)) = first {
                return Ok(ObjectDelivery { arrived: Some(arrived), number, object: object.clone(), inbox: Arc::clone(self) });
            }
            news.await;
        }
    }
}

/// A parcel that a Python object has brought.
pub(crate) struct ObjectDelivery {
    arrived: Option<Arrived>,
    number: u64,
    object: Object,
    inbox: Arc<Inbox>,
}

impl Delivery for ObjectDelivery {
    fn bytes(&self) -> &[u8] {
        self.arrived.as_ref().map(|arrived| &*arrived.bytes).unwrap_or_default()
    }

    async fn acknowledge(mut self) -> Result<(), TransportError> {
        let receipt = self.arrived.take().and_then(|arrived| arrived.receipt);
        let Some(receipt) = receipt else { return Ok(()) };
        let held = Arc::clone(&self.object.0);
        call(move |py| held.carrier.call_method1(py, intern!(py, "acknowledge"), (receipt,)).map(drop)).await
    }
}

impl Drop for ObjectDelivery {
    fn drop(&mut self) {
        if let Some(arrived) = self.arrived.take() {
            self.inbox.waiting().1.insert(self.number, arrived);
            self.inbox.news.notify_one();
        }
    }
}

/// Calls Python where it may wait. What it raises has failed; if the interpreter ends meanwhile, so has the transport.
async fn call(what: impl FnOnce(Python<'_>) -> PyResult<()> + Send + 'static) -> Result<(), TransportError> {
    let called = spawn_blocking(move || enter(|py| what(py).map_err(|error| TransportError::Failed(error.to_string()))));
    called.await.ok().flatten().unwrap_or(Err(TransportError::Closed))
}
