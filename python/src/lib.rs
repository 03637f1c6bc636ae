//! The native half of the Python package `sealwire`: keys, formats and checks. What is sugar, and what knows CrewAI, is Python.
//!
//! Each class here is frozen and shared by threads; the interpreter is released around cryptography and storage.

#![forbid(unsafe_code)]

use pyo3::prelude::*;

mod command;
mod ending;
mod endpoint;
mod error;
mod fork;
mod header;
mod home;
mod hooks;
mod log;
mod message;
mod node;
mod object;
mod transport;

/// The native half of `sealwire`.
#[pymodule(gil_used = false)]
mod _sealwire {
    #[pymodule_export]
    use super::command::command;
    #[pymodule_export]
    use super::ending::python_ends;
    #[pymodule_export]
    use super::endpoint::Endpoint;
    #[pymodule_export]
    use super::fork::{after_fork, before_fork};
    #[pymodule_export]
    use super::header::Header;
    #[pymodule_export]
    use super::home::Home;
    #[pymodule_export]
    use super::hooks::{Entry, Request};
    #[pymodule_export]
    use super::message::{Message, Sealed};
    #[pymodule_export]
    use super::node::{Incoming, Node};
}
