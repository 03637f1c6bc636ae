//! What Python does around a fork: [`Forking`] is held meanwhile.

use std::cell::RefCell;

use pyo3::prelude::*;
use sealwire::Forking;

thread_local! {
    /// The last is the innermost: a hook of a fork may fork itself.
    static FORKING: RefCell<Vec<Forking>> = const { RefCell::new(Vec::new()) };
}

/// Waits until no thread is at work in an endpoint, and closes homes: they are opened again when they are used next.
#[pyfunction]
pub(crate) fn before_fork(py: Python<'_>) {
    // Who is at work may want the interpreter, for a clock say. So nobody who has it may wait for the end of a fork: each method of this package
    // lets go of it before it asks the core for anything under a lock.
    py.detach(|| {
        let forking = Forking::begin();
        FORKING.with(|held| held.borrow_mut().push(forking));
    });
}

/// In parent and child.
#[pyfunction]
pub(crate) fn after_fork() {
    let forking = FORKING.with(|held| held.borrow_mut().pop());
    drop(forking);
}
