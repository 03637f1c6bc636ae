//! What Python does around a fork: [`Forking`] is held meanwhile.

use std::cell::RefCell;

use pyo3::prelude::*;
use sealwire::Forking;

thread_local! {
    static FORKING: RefCell<Option<Forking>> = const { RefCell::new(None) };
}

/// Waits until no thread is inside an endpoint, and closes homes: they are opened again when they are used next.
#[pyfunction]
pub(crate) fn before_fork(py: Python<'_>) {
    // Who is inside may want the interpreter before it comes out.
    py.detach(|| {
        let forking = Forking::begin();
        FORKING.with(|held| *held.borrow_mut() = Some(forking));
    });
}

/// In parent and child.
#[pyfunction]
pub(crate) fn after_fork() {
    FORKING.with(|held| drop(held.borrow_mut().take()));
}
