//! [`Forking`]: what a process does around a fork, so that its child can go on with its endpoints.
//!
//! A child made by fork has a copy of all memory and only the thread that forked: a lock that another thread held is held in it for ever, and
//! SQLite believes to hold locks on files that the kernel gave to its parent alone (<https://sqlite.org/howtocorrupt.html>, section 2.6).

use core::{
    cell::RefCell,
    fmt,
    ops::{Deref, DerefMut},
};
use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard, Weak},
    thread,
};

use crate::journal::{MemoryStore, Store};

/// The store of an endpoint.
pub(crate) type Shared = Mutex<Box<dyn Store>>;

/// Read by each thread that holds a lock of an endpoint, written by one that forks.
static FORK: RwLock<()> = RwLock::new(());

/// The stores of this process. Locked for a moment only, and by nobody at a fork: who locks it holds forks off.
static STORES: Mutex<Vec<Weak<Shared>>> = Mutex::new(Vec::new());

thread_local! {
    static HELD: RefCell<Held> = const { RefCell::new(Held { times: 0, lock: None, forking: None }) };
}

/// What this thread holds of [`FORK`]. It is locked once, however often it is wanted: while a fork waits, nobody else may read.
struct Held {
    times: usize,
    /// `None` in the thread that forks, which has it locked already.
    lock: Option<RwLockReadGuard<'static, ()>>,
    /// The process that this thread forks, from before the fork until after it.
    forking: Option<u32>,
}

/// Held by the thread that forks, from before the fork until after it, in parent and child: no other thread is at work in an endpoint meanwhile,
/// and no file of a home is open that must not cross a fork. Endpoints open them again when they are used next.
///
/// For whoever calls `fork`, by `pthread_atfork` say; the Python package and the C interface do so themselves. Without it a child goes on as well,
/// provided that no other thread of its parent was in a call and that the parent keeps its home open for as long as the child does.
///
/// A thread that forks while it is at work in an endpoint, as in a [`Clock`](crate::Clock), is given one that does nothing.
#[must_use = "the fork is to be made while it is held"]
pub struct Forking {
    alone: Option<RwLockWriteGuard<'static, ()>>,
    process: u32,
}

impl Forking {
    /// Waits for the threads that are at work in an endpoint, and closes the files.
    pub fn begin() -> Self {
        let alone = (!is_inside()).then(|| FORK.write().unwrap_or_else(PoisonError::into_inner));
        let process = std::process::id();
        if alone.is_some() {
            forks(Some(process));
            for_each(|store| store.close_for_fork());
        }
        Self { alone, process }
    }
}

impl Drop for Forking {
    fn drop(&mut self) {
        if self.alone.is_some() {
            if self.process != std::process::id() {
                for_each(|store| store.leave_to_parent());
            }
            forks(None);
        }
    }
}

/// Whether this thread is at work in an endpoint, or forks already.
fn is_inside() -> bool {
    let inside = |held: &Held| held.times > 0 || held.forking.is_some();
    // What cannot be looked at is being changed, further up on this thread.
    HELD.try_with(|held| held.try_borrow().map_or(true, |held| inside(&held))).unwrap_or(true)
}

fn forks(process: Option<u32>) {
    let _noted = HELD.try_with(|held| held.borrow_mut().forking = process);
}

/// Whether this thread is about to fork this process: what it opens would cross the fork.
#[cfg(feature = "home")]
pub(crate) fn is_forking() -> bool {
    HELD.try_with(|held| held.borrow().forking == Some(std::process::id())).unwrap_or(false)
}

impl fmt::Debug for Forking {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Forking").finish_non_exhaustive()
    }
}

/// For the thread that has [`FORK`] to itself.
fn for_each(what: impl Fn(&mut dyn Store)) {
    let stores: Vec<_> = known().iter().filter_map(Weak::upgrade).collect();
    for store in stores {
        what(&mut **store.lock().unwrap_or_else(PoisonError::into_inner));
    }
}

fn known() -> MutexGuard<'static, Vec<Weak<Shared>>> {
    STORES.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A store that a fork must not find open.
pub(crate) fn share(store: Box<dyn Store>) -> Arc<Shared> {
    let _fork = HeldOff::begin();
    let store = Arc::new(Mutex::new(store));
    let mut stores = known();
    stores.retain(|store| store.strong_count() > 0);
    stores.push(Arc::downgrade(&store));
    store
}

/// What takes the place of a store that ends.
pub(crate) fn nothing() -> Arc<Shared> {
    Arc::new(Mutex::new(Box::new(MemoryStore::default())))
}

/// Ends a store, which a fork must find open or gone. Where one is under way it is not waited for here: who ends the store may have what the fork
/// waits for, such as Python's interpreter.
pub(crate) fn end(store: Arc<Shared>) {
    match HeldOff::try_begin() {
        Some(_fork) => drop(store),
        None => {
            let later = move || {
                let _fork = HeldOff::begin();
                drop(store);
            };
            // Without a thread it is waited for after all, where the store is dropped.
            let _waits = thread::Builder::new().name("sealwire-end".into()).spawn(later);
        }
    }
}

/// While a thread has one, no other forks by [`Forking`].
pub(crate) struct HeldOff {
    /// A thread that is about to end cannot count any more, and holds nothing off.
    is_counted: bool,
}

impl HeldOff {
    pub(crate) fn begin() -> Self {
        Self::after(|| Some(FORK.read().unwrap_or_else(PoisonError::into_inner))).unwrap_or(Self { is_counted: false })
    }

    /// `None` if another thread forks or is about to: for a thread that is waited for before a fork.
    pub(crate) fn try_begin() -> Option<Self> {
        Self::after(|| FORK.try_read().ok())
    }

    /// `lock` is asked the first time.
    fn after(lock: impl FnOnce() -> Option<RwLockReadGuard<'static, ()>>) -> Option<Self> {
        let counted = HELD.try_with(|held| {
            let mut held = held.borrow_mut();
            if held.times == 0 && held.forking.is_none() {
                held.lock = Some(lock()?);
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
    use std::sync::atomic::{AtomicBool, Ordering};

    use super::*;

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
    fn what_the_thread_that_forks_does_itself_waits_for_nobody() {
        let forking = Forking::begin();
        let inside = Mutex::new(());
        drop(lock(&inside));
        assert!(forking.alone.is_some() && Forking::begin().alone.is_none());
        drop(forking);
        assert!(Forking::begin().alone.is_some());
    }

    #[test]
    fn who_ends_an_endpoint_does_not_wait_for_a_fork() {
        let forking = Forking::begin();
        let store = share(Box::new(MemoryStore::default()));
        let known = Arc::downgrade(&store);
        assert!(thread::spawn(|| end(store)).join().is_ok());
        assert!(known.strong_count() > 0, "the fork finds it");
        drop(forking);
        while known.strong_count() > 0 {
            thread::yield_now();
        }
    }

    #[test]
    fn a_hook_that_forks_waits_for_nobody() {
        let inside = Mutex::new(());
        let _inside = lock(&inside);
        assert!(Forking::begin().alone.is_none());
    }

    #[cfg(feature = "home")]
    #[test]
    fn homes_are_closed_for_a_fork_and_opened_again() -> Result<(), Box<dyn std::error::Error>> {
        use crate::{Draft, Endpoint, OpenError, home::place::Place};

        let place = Place::new("fork");
        let endpoint = Endpoint::builder().home_or_init(&place.0, "local")?.0;
        let (a, b) = (endpoint.host("a")?, endpoint.host("b")?);
        let inspector = Endpoint::builder().inspector(&crate::Home::at(&place.0)?)?;
        let sealed = endpoint.seal(&a, &b, &Draft::new("task", "x"))?;
        let forking = Forking::begin();
        assert!(matches!(endpoint.open(&sealed.envelope), Err(OpenError::Store(_))), "who forks has it closed");
        assert!(inspector.inspect(&sealed.envelope).is_err());
        assert!(Endpoint::builder().home_or_init(&place.0, "local").is_err());
        drop(forking);
        assert_eq!(endpoint.open(&sealed.envelope)?.body(), b"x");
        assert!(inspector.inspect(&sealed.envelope).is_ok());
        Ok(())
    }
}
