//! `Header`: what the author of a message signed.

use pyo3::{
    prelude::*,
    types::{PyBytes, PyTuple},
};
use sealwire::MessageRef;

/// What the author signed. It is made by sealing and opening only.
#[pyclass(frozen, eq, module = "sealwire")]
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Header(pub(crate) sealwire::Header);

#[pymethods]
impl Header {
    /// Address of the author.
    #[getter]
    fn sender(&self) -> &str {
        self.0.from.as_str()
    }

    /// Address of the only reader.
    #[getter]
    fn reader(&self) -> &str {
        self.0.to.as_str()
    }

    /// What kind of message it is.
    #[getter]
    fn kind(&self) -> &str {
        &self.0.kind
    }

    /// The conversation, 16 bytes.
    #[getter]
    fn thread<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        PyBytes::new(py, self.0.thread.as_bytes())
    }

    /// The message's own id, 16 bytes.
    #[getter]
    fn id<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        PyBytes::new(py, self.0.id.as_bytes())
    }

    /// Short name of the author's key, 16 bytes.
    #[getter]
    fn signer<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        PyBytes::new(py, self.0.signer.as_bytes())
    }

    /// Names this message for good: `(signer, id)`.
    #[getter(r#ref)]
    fn message_ref<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        to_tuple(py, self.0.message_ref())
    }

    /// Words that policy reads, sorted.
    #[getter]
    fn labels<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        PyTuple::new(py, &self.0.labels)
    }

    /// Media type of the body.
    #[getter]
    fn content_type(&self) -> Option<&str> {
        self.0.content_type.as_deref()
    }

    /// The message this one answers, as `(signer, id)`.
    #[getter]
    fn answers<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyTuple>>> {
        self.0.answers.map(|message| to_tuple(py, message)).transpose()
    }

    /// The message this one was made from, as `(signer, id)`.
    #[getter]
    fn came_from<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyTuple>>> {
        self.0.came_from.map(|message| to_tuple(py, message)).transpose()
    }

    /// Unix time of sealing.
    #[getter]
    fn issued(&self) -> u64 {
        self.0.issued
    }

    /// Unix time at which the message ends.
    #[getter]
    fn expires(&self) -> u64 {
        self.0.expires
    }

    fn __repr__(&self) -> String {
        format!("Header({} to {}, {} {})", self.0.from, self.0.to, self.0.kind, self.0.id)
    }
}

fn to_tuple(py: Python<'_>, message: MessageRef) -> PyResult<Bound<'_, PyTuple>> {
    PyTuple::new(py, [PyBytes::new(py, message.signer.as_bytes()), PyBytes::new(py, message.id.as_bytes())])
}
