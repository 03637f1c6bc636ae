//! What Python does around a fork: [`Forking`] is held meanwhile.

use std::{cell::RefCell, thread::sleep, time::Duration};

use pyo3::prelude::*;
use sealwire::Forking;

/// How often a fork looks whether the threads that are at work in an endpoint are done.
const GLANCE: Duration = Duration::from_millis(1);

thread_local! {
    /// The last is the innermost: a hook of a fork may fork itself.
    static FORKING: RefCell<Vec<Forking>> = const { RefCell::new(Vec::new()) };
}

/// Waits until no thread is at work in an endpoint, and closes homes: they are opened again when they are used next.
///
/// Tried again and again, as who is at work may want the interpreter, for a clock say: it is given to them in between, and once the fork has begun
/// nobody has it who could wait for its end.
#[pyfunction]
pub(crate) fn before_fork(py: Python<'_>) {
    let forking = loop {
        match Forking::try_begin() {
            Some(forking) => break forking,
            None => py.detach(|| sleep(GLANCE)),
        }
    };
    FORKING.with(|held| held.borrow_mut().push(forking));
}

/// In parent and child.
#[pyfunction]
pub(crate) fn after_fork() {
    let forking = FORKING.with(|held| held.borrow_mut().pop());
    drop(forking);
}
