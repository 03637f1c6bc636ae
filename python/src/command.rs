//! `command`: the command line, the same as that of the binary.

use std::ffi::OsString;

use pyo3::{IntoPyObjectExt, prelude::*};
use sealwire_cli::{Call, Outcome};

/// Does what a command line says, the program's name first. Returns the exit code, or the Python module whose `main` does the rest, with its
/// arguments.
#[pyfunction]
pub(crate) fn command(py: Python<'_>, line: Vec<OsString>) -> PyResult<Bound<'_, PyAny>> {
    match py.detach(|| sealwire_cli::command(line)) {
        Outcome::Exit(code) => code.into_bound_py_any(py),
        Outcome::Python(Call { module, arguments }) => (module, arguments).into_bound_py_any(py),
    }
}
