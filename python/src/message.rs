//! `Sealed` and `Message`: what sealing and opening give.

use pyo3::{prelude::*, types::PyBytes};
use sealwire::Form;

use crate::header::Header;

/// An envelope and the header that was signed in it.
#[pyclass(frozen, module = "sealwire")]
pub(crate) struct Sealed {
    /// What travels.
    #[pyo3(get)]
    envelope: Py<PyBytes>,
    /// What was signed.
    #[pyo3(get)]
    header: Py<Header>,
    form: Form,
}

impl Sealed {
    pub(crate) fn new(py: Python<'_>, sealed: sealwire::Sealed) -> PyResult<Self> {
        let form = sealed.envelope.form();
        let envelope = PyBytes::new(py, sealed.envelope.as_bytes()).unbind();
        Ok(Self { envelope, header: Py::new(py, Header(sealed.header))?, form })
    }
}

#[pymethods]
impl Sealed {
    /// `"opening"` or `"lane"`.
    #[getter]
    fn form(&self) -> &'static str {
        name(self.form)
    }

    fn __repr__(&self, py: Python<'_>) -> String {
        let size = self.envelope.bind(py).as_bytes().len();
        format!("Sealed({} of {size} bytes, {})", name(self.form), self.header.get().0.kind)
    }
}

/// An opened envelope: authentic, meant for its reader, fresh, opened for the first time, and allowed.
#[pyclass(frozen, module = "sealwire")]
pub(crate) struct Message {
    /// What the author signed.
    #[pyo3(get)]
    header: Py<Header>,
    /// The body.
    #[pyo3(get)]
    body: Py<PyBytes>,
    form: Form,
}

impl Message {
    pub(crate) fn new(py: Python<'_>, message: &sealwire::Message) -> PyResult<Self> {
        let body = PyBytes::new(py, message.body()).unbind();
        Ok(Self { header: Py::new(py, Header(message.header().clone()))?, body, form: message.form() })
    }
}

#[pymethods]
impl Message {
    /// `"opening"` or `"lane"`.
    #[getter]
    fn form(&self) -> &'static str {
        name(self.form)
    }

    fn __repr__(&self, py: Python<'_>) -> String {
        let header = &self.header.get().0;
        format!("Message({} from {}, {} bytes)", header.kind, header.from, self.body.bind(py).as_bytes().len())
    }
}

pub(crate) const fn name(form: Form) -> &'static str {
    match form {
        Form::Opening => "opening",
        Form::Lane => "lane",
    }
}
