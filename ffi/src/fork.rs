//! What this library does around a fork of its process: [`Forking`] is held meanwhile.

use std::{cell::RefCell, sync::Once};

use sealwire::Forking;

thread_local! {
    /// The last is the innermost: a handler of a fork may fork itself.
    static FORKING: RefCell<Vec<Forking>> = const { RefCell::new(Vec::new()) };
}

/// Has each later `fork` of this process wait for the threads that are in a call.
pub(crate) fn watch() {
    static WATCHED: Once = Once::new();
    WATCHED.call_once(|| {
        // SAFETY: the functions are there for as long as this library is, and do not unwind. Without memory for their registration, forks
        // are what they are without this.
        unsafe { libc::pthread_atfork(Some(before), Some(after), Some(after)) };
    });
}

unsafe extern "C" fn before() {
    let forking = Forking::begin();
    // A thread that is about to end has nowhere to keep it, and forks all the same.
    let _kept = FORKING.try_with(|held| held.borrow_mut().push(forking));
}

unsafe extern "C" fn after() {
    let _ended = FORKING.try_with(|held| held.borrow_mut().pop());
}
