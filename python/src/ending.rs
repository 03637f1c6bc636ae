//! The end of Python, and the threads of the core that call it.
//!
//! A thread that wants the interpreter while it is being finalized is ended by CPython with `pthread_exit`, which no Rust frame below bears:
//! the process aborts (rust-lang/rust#135929; before CPython 3.14). PyO3 sees to its own calls, but not to Python code that waits for
//! something in between. So these threads enter only until Python begins to end, and Python waits for those that are inside.

use std::{
    cell::Cell,
    sync::atomic::{AtomicU32, AtomicUsize, Ordering},
    thread::sleep,
    time::{Duration, Instant},
};

use pyo3::prelude::*;

/// How long Python waits for handlers and for a user's transport when it ends: as long as a node that is closed waits for its transport.
const PATIENCE: Duration = Duration::from_secs(2);

/// How often it looks whether they are done.
const GLANCE: Duration = Duration::from_millis(5);

/// Threads inside, and [`ENDED`] once no more may enter.
static INSIDE: AtomicUsize = AtomicUsize::new(0);
const ENDED: usize = 1 << (usize::BITS - 1);

/// The process that has these threads. A child made by fork has none of them.
static PROCESS: AtomicU32 = AtomicU32::new(0);

#[derive(Clone, Copy, PartialEq)]
enum Is {
    /// Made by Python, which ends it in good order.
    Pythons,
    Outside,
    Inside,
}

thread_local! {
    static THIS: Cell<Is> = const { Cell::new(Is::Pythons) };
}

/// Says that this thread is one of the core's. To be said before it calls Python.
pub(crate) fn own_thread() {
    PROCESS.store(std::process::id(), Ordering::Relaxed);
    THIS.set(Is::Outside);
}

/// Calls Python from any thread; `None` if it ends.
pub(crate) fn enter<R>(what: impl FnOnce(Python<'_>) -> R) -> Option<R> {
    let _inside = if THIS.get() == Is::Outside { Some(Inside::new()?) } else { None };
    Python::try_attach(what)
}

struct Inside;

impl Inside {
    fn new() -> Option<Self> {
        let inside = Self;
        let before = INSIDE.fetch_add(1, Ordering::SeqCst);
        THIS.set(Is::Inside);
        (before & ENDED == 0).then_some(inside)
    }
}

impl Drop for Inside {
    fn drop(&mut self) {
        THIS.set(Is::Outside);
        INSIDE.fetch_sub(1, Ordering::SeqCst);
    }
}

/// Python ends: no thread of the core enters any more, and those that are inside are waited for, within reason.
#[pyfunction]
pub(crate) fn python_ends(py: Python<'_>) {
    if PROCESS.load(Ordering::Relaxed) != std::process::id() {
        return;
    }
    INSIDE.fetch_or(ENDED, Ordering::SeqCst);
    let until = Instant::now() + PATIENCE;
    py.detach(|| {
        while INSIDE.load(Ordering::SeqCst) != ENDED && Instant::now() < until {
            sleep(GLANCE);
        }
    });
}
