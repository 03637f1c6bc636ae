//! [`Receipts`]: what one session of a peer has to be told about the parcels that came in it.

use std::{
    collections::{BTreeSet, HashMap},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::{
    sync::Notify,
    time::{Duration, Instant},
};

use super::frame;
use crate::address::Address;

/// Numbers that wait to be told, beyond which a peer that does not listen is hung up on.
const MAX_WAITING: usize = 16 * frame::MAX_RECEIPTS;

/// How long what is done waits to be told with something else: a reply that is soon there, or more of its kind.
const LEISURE: Duration = Duration::from_millis(2);

/// Numbers that are told at once, so that the other side does not run out of room.
const ENOUGH: usize = 64;

/// Readers a session may have been refused for at a time; a sender has no more parcels under way.
const MAX_REFUSED: usize = 1024;

/// State of one session, shared by its connections and by the parcels that came in it. It ends with the last of them; what the sender
/// was not told by then, it sends again.
#[derive(Default)]
pub(super) struct Receipts(Mutex<State>);

#[derive(Default)]
struct State {
    /// Taken and not yet processed: when they come again they are here already.
    held: BTreeSet<u64>,
    done: Vec<u64>,
    /// When what is done is told at the latest.
    due: Option<Instant>,
    later: Vec<u64>,
    /// For each reader without room, the first number that was refused. Nothing behind it is taken first, which keeps the order.
    refused: HashMap<Address, u64>,
    writer: Option<Arc<Notify>>,
}

impl Receipts {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A new connection of the session: `writer` is woken when there is something to tell.
    pub(super) fn attach(&self, writer: &Arc<Notify>) {
        self.lock().writer = Some(Arc::clone(writer));
    }

    /// Whether parcel `number` for `to` is to be taken now. What was refused and comes again opens the way for those behind it.
    pub(super) fn wants(&self, number: u64, to: &Address) -> Wanted {
        let mut state = self.lock();
        if state.done.len() + state.later.len() > MAX_WAITING || state.refused.len() > MAX_REFUSED {
            return Wanted::Flood;
        }
        if state.held.contains(&number) {
            return Wanted::Here;
        }
        match state.refused.get(to) {
            Some(first) if number > *first => Wanted::Here,
            Some(first) if number == *first => {
                state.refused.remove(to);
                Wanted::Yes
            }
            _ => Wanted::Yes,
        }
    }

    pub(super) fn hold(&self, number: u64) {
        self.lock().held.insert(number);
    }

    pub(super) fn done(&self, number: u64) {
        let mut state = self.lock();
        state.held.remove(&number);
        state.done.push(number);
        if state.done.len() == 1 {
            state.due = Some(Instant::now() + LEISURE);
            state.wake();
        } else if state.done.len() == ENOUGH {
            state.due = None;
            state.wake();
        }
    }

    /// That `number` was not taken, and nothing for that reader will be until it comes again.
    pub(super) fn refuse(&self, number: u64, to: Address) {
        let mut state = self.lock();
        state.refused.insert(to, number);
        state.later.push(number);
        state.wake();
    }

    /// When there is something to tell, if nothing else is written before.
    pub(super) fn due(&self) -> Option<Instant> {
        let state = self.lock();
        if !state.later.is_empty() || state.done.len() >= ENOUGH { Some(Instant::now()) } else { state.due }
    }

    /// Writes what there is to tell.
    pub(super) fn write(&self, out: &mut Vec<u8>) {
        let (done, later) = {
            let mut state = self.lock();
            state.due = None;
            (core::mem::take(&mut state.done), core::mem::take(&mut state.later))
        };
        frame::write_done(out, &done);
        frame::write_later(out, &later);
    }
}

impl State {
    fn wake(&self) {
        if let Some(writer) = &self.writer {
            writer.notify_one();
        }
    }
}

/// What to do with a parcel that came.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Wanted {
    Yes,
    /// It is here already, or behind one that was refused.
    Here,
    /// The sender makes work and does not listen.
    Flood,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(receipts: &Receipts) -> usize {
        let mut out = Vec::new();
        receipts.write(&mut out);
        out.len()
    }

    #[test]
    fn what_is_done_waits_for_company_and_not_for_long() {
        let (receipts, begun) = (Receipts::default(), Instant::now());
        assert_eq!((receipts.due(), written(&receipts)), (None, 0));
        receipts.done(1);
        let due = receipts.due().unwrap_or(begun);
        assert!(begun < due && due <= Instant::now() + LEISURE);
        receipts.done(2);
        assert_eq!(receipts.due(), Some(due), "the first decides");
        let one = { written(&receipts) };
        assert!(one > 0 && receipts.due().is_none(), "told once");
        (0..ENOUGH as u64).for_each(|number| receipts.done(number));
        assert!(receipts.due() <= Some(Instant::now()), "many are told at once");
        assert!(written(&receipts) > one && receipts.due().is_none());
    }

    #[test]
    fn a_refusal_is_told_at_once() -> Result<(), crate::InvalidName> {
        let receipts = Receipts::default();
        receipts.done(1);
        receipts.refuse(2, Address::new("worker", "pi2")?);
        assert!(receipts.due() <= Some(Instant::now()));
        Ok(())
    }
}
