//! Hooks: policy, audit and clock as Python functions. Whatever they raise is a no.

use pyo3::{
    prelude::*,
    types::{PyFrozenSet, PyString},
};
use sealwire::{Audit, Clock, Decision, Direction, Policy, Verdict};

use crate::{ending::enter, header::Header, message::name};

/// Why a hook was not asked.
const ENDS: &str = "Python ends";

/// What a policy function is asked.
#[pyclass(frozen, module = "sealwire")]
pub(crate) struct Request {
    direction: Direction,
    /// The header: authentic when the direction is `"open"`.
    #[pyo3(get)]
    header: Py<Header>,
    /// Size of the body in bytes.
    #[pyo3(get)]
    size: usize,
}

#[pymethods]
impl Request {
    /// `"seal"` or `"open"`.
    #[getter]
    fn direction(&self) -> &'static str {
        direction(self.direction)
    }

    /// Address of the author.
    #[getter]
    fn sender(&self) -> &str {
        self.header.get().0.from.as_str()
    }

    /// Address of the reader.
    #[getter]
    fn reader(&self) -> &str {
        self.header.get().0.to.as_str()
    }

    /// What kind of message it is.
    #[getter]
    fn kind(&self) -> &str {
        &self.header.get().0.kind
    }

    /// Words on the message.
    #[getter]
    fn labels<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyFrozenSet>> {
        PyFrozenSet::new(py, &self.header.get().0.labels)
    }

    fn __repr__(&self) -> String {
        format!("Request({} {:?})", direction(self.direction), self.header.get().0)
    }
}

/// One decision, as an audit function gets it.
#[pyclass(frozen, module = "sealwire")]
pub(crate) struct Entry {
    /// Unix time.
    #[pyo3(get)]
    time: u64,
    direction: Direction,
    /// `"allowed"`, `"denied"` or `"refused"`.
    #[pyo3(get)]
    decision: &'static str,
    /// Why not.
    #[pyo3(get)]
    reason: Option<String>,
    /// The header, if it is authentic.
    #[pyo3(get)]
    header: Option<Py<Header>>,
    /// Size in bytes: of the body when the header is there, of the envelope otherwise.
    #[pyo3(get)]
    size: usize,
    /// `"opening"` or `"lane"`.
    #[pyo3(get)]
    form: Option<&'static str>,
}

#[pymethods]
impl Entry {
    /// `"seal"` or `"open"`.
    #[getter]
    fn direction(&self) -> &'static str {
        direction(self.direction)
    }

    fn __repr__(&self) -> String {
        let header = self.header.as_ref().map(|header| format!(" {:?}", header.get().0)).unwrap_or_default();
        format!("Entry({} {}{header})", direction(self.direction), self.decision)
    }
}

impl Entry {
    fn new(py: Python<'_>, entry: &sealwire::Entry<'_>) -> PyResult<Self> {
        let (decision, reason) = match entry.decision {
            Decision::Allowed => ("allowed", None),
            Decision::Denied(reason) => ("denied", Some(reason.to_owned())),
            Decision::Refused(reason) => ("refused", Some(reason.to_owned())),
        };
        let header = entry.header.map(|header| Py::new(py, Header(header.clone()))).transpose()?;
        let form = entry.form.map(name);
        Ok(Self { time: entry.time, direction: entry.direction, decision, reason, header, size: entry.size, form })
    }
}

/// A Python function as policy: `True` allows, anything else does not; a string says why.
pub(crate) struct PolicyFunction(pub(crate) Py<PyAny>);

impl Policy for PolicyFunction {
    fn decide(&self, request: &sealwire::Request<'_>) -> Verdict {
        let verdict =
            enter(|py| self.ask(py, request).unwrap_or_else(|error| Verdict::Deny(format!("the policy raised {}", exception(py, &error)))));
        verdict.unwrap_or_else(|| Verdict::Deny(ENDS.into()))
    }
}

impl PolicyFunction {
    fn ask(&self, py: Python<'_>, request: &sealwire::Request<'_>) -> PyResult<Verdict> {
        let header = Py::new(py, Header(request.header.clone()))?;
        let answer = self.0.call1(py, (Request { direction: request.direction, header, size: request.size },))?;
        let answer = answer.bind(py);
        if answer.is(pyo3::types::PyBool::new(py, true)) {
            return Ok(Verdict::Allow);
        }
        let reason = answer.cast::<PyString>().map(|reason| reason.to_string());
        Ok(Verdict::Deny(reason.unwrap_or_else(|_| "the policy did not return True".into())))
    }
}

/// A Python function as audit: if it raises, nothing is released.
pub(crate) struct AuditFunction(pub(crate) Py<PyAny>);

impl Audit for AuditFunction {
    fn record(&self, entry: &sealwire::Entry<'_>) -> Result<(), String> {
        let recorded = enter(|py| {
            let entry = Py::new(py, Entry::new(py, entry)?)?;
            self.0.call1(py, (entry,)).map(drop)
        });
        recorded.ok_or(ENDS)?.map_err(|error: PyErr| error.to_string())
    }
}

/// A Python function as clock. One that fails says 1970: everything is from the future then, and refused.
pub(crate) struct ClockFunction(pub(crate) Py<PyAny>);

impl Clock for ClockFunction {
    fn now(&self) -> u64 {
        enter(|py| self.0.call0(py).and_then(|now| now.extract(py)).ok()).flatten().unwrap_or(0)
    }
}

/// Checks early that a hook can be called, so that the error names the argument.
pub(crate) fn callable(hook: &Bound<'_, PyAny>, what: &str) -> PyResult<Py<PyAny>> {
    if hook.is_callable() {
        Ok(hook.clone().unbind())
    } else {
        Err(pyo3::exceptions::PyTypeError::new_err(format!("`{what}` is a function, not {}", hook.get_type().name()?)))
    }
}

/// The name of an exception, without its text: that may quote what the policy looked at.
fn exception(py: Python<'_>, error: &PyErr) -> String {
    error.get_type(py).name().map_or_else(|_| "an exception".into(), |name| name.to_string())
}

const fn direction(direction: Direction) -> &'static str {
    match direction {
        Direction::Seal => "seal",
        Direction::Open => "open",
        Direction::Inspect => "inspect",
    }
}
