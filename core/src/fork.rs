//! [`Forking`]: what a process does around a fork, so that its child can go on with its endpoints.
//!
//! A child made by fork has a copy of all memory and only the thread that forked: a lock that another thread held is held in it for ever, and
//! SQLite believes to hold locks on files that the kernel gave to its parent alone (<https://sqlite.org/howtocorrupt.html>, section 2.6).

use core::{
    cell::RefCell,
    fmt,
    ops::{Deref, DerefMut},
};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard, Weak};

use crate::journal::Store;

/// The store of an endpoint.
pub(crate) type Shared = Mutex<Box<dyn Store>>;

/// Read by each thread that holds a lock of an endpoint, written by one that forks.
static FORK: RwLock<()> = RwLock::new(());

/// The stores of this process.
static STORES: Mutex<Vec<Weak<Shared>>> = Mutex::new(Vec::new());

thread_local! {
    static HELD: RefCell<Held> = const { RefCell::new(Held { times: 0, lock: None }) };
}

/// What this thread holds of [`FORK`]. It is locked once, however often it is wanted: while a fork waits, nobody else may read.
struct Held {
    times: usize,
    /// `None` in the thread that forks, which has it locked already.
    lock: Option<RwLockReadGuard<'static, ()>>,
}

/// Held by the thread that forks, from before the fork until after it, in parent and child: no thread is inside an endpoint meanwhile, and no
/// file of a home is open that must not cross a fork. Endpoints open them again when they are used next.
///
/// For whoever calls `fork`, by `pthread_atfork` say; the Python package and the C interface do so themselves. Without it a child goes on as well,
/// provided that no other thread of its parent was in a call and that the parent keeps its home open for as long as the child does.
///
/// A thread that forks inside a hook of an endpoint is given one that does nothing.
#[must_use = "the fork is to be made while it is held"]
pub struct Forking {
    alone: Option<Alone>,
    process: u32,
}

/// No other thread is inside an endpoint, nor makes one. Let go in this order.
struct Alone {
    stores: MutexGuard<'static, Vec<Weak<Shared>>>,
    _own: Option<HeldOff>,
    _fork: RwLockWriteGuard<'static, ()>,
}

impl Forking {
    /// Waits for the threads that are inside an endpoint, and closes the files.
    pub fn begin() -> Self {
        let process = std::process::id();
        if HELD.try_with(|held| held.borrow().times > 0).unwrap_or(true) {
            return Self { alone: None, process };
        }
        let fork = FORK.write().unwrap_or_else(PoisonError::into_inner);
        let own = HeldOff::after(|| Some(None));
        let stores = STORES.lock().unwrap_or_else(PoisonError::into_inner);
        for_each(&stores, |store| store.close_for_fork());
        Self { alone: Some(Alone { stores, _own: own, _fork: fork }), process }
    }
}

impl Drop for Forking {
    fn drop(&mut self) {
        if let Some(alone) = self.alone.as_ref().filter(|_| self.process != std::process::id()) {
            for_each(&alone.stores, |store| store.leave_to_parent());
        }
    }
}

impl fmt::Debug for Forking {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Forking").finish_non_exhaustive()
    }
}

fn for_each(stores: &[Weak<Shared>], what: impl Fn(&mut dyn Store)) {
    for store in stores.iter().filter_map(Weak::upgrade) {
        what(&mut **store.lock().unwrap_or_else(PoisonError::into_inner));
    }
}

/// A store that a fork must not find open.
pub(crate) fn share(store: Box<dyn Store>) -> Arc<Shared> {
    let store = Arc::new(Mutex::new(store));
    let mut stores = STORES.lock().unwrap_or_else(PoisonError::into_inner);
    stores.retain(|store| store.strong_count() > 0);
    stores.push(Arc::downgrade(&store));
    store
}

/// While a thread has one, no other forks by [`Forking`].
pub(crate) struct HeldOff {
    /// A thread that is about to end cannot count any more, and holds nothing off.
    is_counted: bool,
}

impl HeldOff {
    pub(crate) fn begin() -> Self {
        Self::after(|| Some(Some(FORK.read().unwrap_or_else(PoisonError::into_inner)))).unwrap_or(Self { is_counted: false })
    }

    /// `None` if another thread forks or is about to: for a thread that is waited for before a fork.
    #[cfg(all(feature = "home", feature = "node"))]
    pub(crate) fn try_begin() -> Option<Self> {
        Self::after(|| FORK.try_read().ok().map(Some))
    }

    /// `lock` is asked the first time.
    fn after(lock: impl FnOnce() -> Option<Option<RwLockReadGuard<'static, ()>>>) -> Option<Self> {
        let counted = HELD.try_with(|held| {
            let mut held = held.borrow_mut();
            if held.times == 0 {
                held.lock = lock()?;
            }
            held.times += 1;
            Some(Self { is_counted: true })
        });
        counted.unwrap_or(Some(Self { is_counted: false }))
    }
}

impl Drop for HeldOff {
    fn drop(&mut self) {
        if !self.is_counted {
            return;
        }
        let _ended = HELD.try_with(|held| {
            let mut held = held.borrow_mut();
            held.times = held.times.saturating_sub(1);
            if held.times == 0 {
                held.lock = None;
            }
        });
    }
}

/// A lock of an endpoint that this thread holds.
pub(crate) struct Locked<'a, T: ?Sized> {
    inside: MutexGuard<'a, T>,
    _fork: HeldOff,
}

/// Takes a lock of an endpoint. What panicked under it left it as it was before or after a step.
pub(crate) fn lock<T: ?Sized>(mutex: &Mutex<T>) -> Locked<'_, T> {
    let fork = HeldOff::begin();
    Locked { inside: mutex.lock().unwrap_or_else(PoisonError::into_inner), _fork: fork }
}

impl<T: ?Sized> Deref for Locked<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.inside
    }
}

impl<T: ?Sized> DerefMut for Locked<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        &mut self.inside
    }
}

#[cfg(test)]
mod tests {
    use std::{
        sync::atomic::{AtomicBool, Ordering},
        thread,
    };

    use super::*;
    use crate::journal::MemoryStore;

    #[test]
    fn nobody_is_inside_while_a_thread_forks() {
        let (outer, inner, done) = (share(Box::new(MemoryStore::default())), Mutex::new(0), AtomicBool::new(false));
        thread::scope(|threads| {
            for _ in 0..3 {
                threads.spawn(|| {
                    while !done.load(Ordering::Relaxed) {
                        let _outer = lock(&outer);
                        *lock(&inner) += 1;
                        drop(lock(&inner));
                    }
                });
            }
            let alone = (0..2000).all(|_| {
                let _fork = Forking::begin();
                inner.try_lock().is_ok() && outer.try_lock().is_ok()
            });
            done.store(true, Ordering::Relaxed);
            assert!(alone);
        });
    }

    #[test]
    fn a_hook_that_forks_waits_for_nobody() {
        let inside = Mutex::new(());
        let _inside = lock(&inside);
        assert!(Forking::begin().alone.is_none());
    }
}
