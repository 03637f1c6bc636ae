//! [`Link`]: what is under way to one peer, until the peer says that it was processed.

use core::time::Duration;
use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::{sync::Notify, time::Instant};

use super::frame::{self, Session};
use crate::{address::Address, transport::Location};

/// Parcels under way to one peer: at 50 ms a round trip, 20,000 a second.
pub(super) const MAX_UNDER_WAY: usize = 1024;

/// Bytes under way to one peer: two of the largest parcels and something beside them.
const MAX_BYTES: usize = 40 * 1024 * 1024;

/// Parcels under way to one reader, so that one who has stopped leaves room for the others of its node.
pub(super) const MAX_PER_READER: usize = 512;

/// Bytes under way to one reader; less than its inbox holds, so that it is rarely told to wait.
const MAX_BYTES_PER_READER: usize = 24 * 1024 * 1024;

/// Time after which a parcel that was refused is tried again, doubled each time up to the second number.
const PAUSE: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(2));

/// Bytes a second that are spent on trying a refused parcel again.
const TRYING: u64 = 1024 * 1024;

/// Parcels up to this size are copied together into one write.
const SMALL: usize = 16 * 1024;

/// The queue to one peer. It outlives connections: what was not processed is sent again on the next one.
pub(super) struct Link {
    pub(super) session: Session,
    state: Mutex<State>,
    /// Somebody may send again.
    pub(super) room: Notify,
    /// The peer's address has changed, or it was forgotten.
    pub(super) moved: Notify,
    /// Somebody who says to be the peer has connected: it may be there again.
    pub(super) back: Notify,
}

#[derive(Default)]
struct State {
    parcels: BTreeMap<u64, UnderWay>,
    /// Numbers that were not written on the present connection.
    unsent: BTreeSet<u64>,
    last: u64,
    bytes: usize,
    readers: HashMap<Address, Reader>,
    connection: u64,
    connected: bool,
    writer: Option<Arc<Notify>>,
    location: Option<Location>,
    trouble: Option<String>,
    proven: bool,
    closed: bool,
}

struct UnderWay {
    to: Address,
    bytes: Arc<Vec<u8>>,
}

#[derive(Default)]
struct Reader {
    parcels: usize,
    bytes: usize,
    pause: Duration,
    until: Option<Instant>,
    /// The parcel that was refused. Until one of this reader was processed, it alone is tried.
    refused: Option<u64>,
}

/// What a connection has to write next.
pub(super) enum Next {
    /// Heads and small parcels are in the buffer; this large one follows them.
    Large(Arc<Vec<u8>>),
    /// What there was is in the buffer. If there is a time, something is to be tried again then.
    All(Option<Instant>),
    /// Another connection has taken over.
    TakenOver,
}

impl Link {
    pub(super) fn new(session: Session, location: Option<Location>) -> Self {
        let state = State { location, ..State::default() };
        Self { session, state: Mutex::new(state), room: Notify::new(), moved: Notify::new(), back: Notify::new() }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a parcel over, or gives it back if there is no room or the link has ended.
    pub(super) fn push(&self, to: &Address, bytes: Vec<u8>) -> Result<(), Vec<u8>> {
        let mut state = self.lock();
        if state.closed || !state.has_room(to, bytes.len()) {
            return Err(bytes);
        }
        state.last += 1;
        let number = state.last;
        state.bytes += bytes.len();
        let reader = state.readers.entry(to.clone()).or_default();
        reader.parcels += 1;
        reader.bytes += bytes.len();
        state.parcels.insert(number, UnderWay { to: to.clone(), bytes: Arc::new(bytes) });
        state.unsent.insert(number);
        state.wake();
        Ok(())
    }

    /// Begins a connection; returns its number. All that is under way is to be written again.
    pub(super) fn attach(&self, writer: &Arc<Notify>) -> u64 {
        let mut state = self.lock();
        state.wake(); // the connection before this one finds that it was replaced
        state.connection += 1;
        state.connected = true;
        state.trouble = None;
        state.writer = Some(Arc::clone(writer));
        state.unsent = state.parcels.keys().copied().collect();
        state.readers.values_mut().for_each(|reader| (reader.until, reader.refused) = (None, None));
        state.connection
    }

    /// Ends connection `number`, if it is the present one.
    pub(super) fn detach(&self, number: u64) {
        let mut state = self.lock();
        if state.connection == number {
            state.connected = false;
            state.writer = None;
        }
    }

    /// Fills `out` with what is to be written next.
    pub(super) fn next(&self, connection: u64, out: &mut Vec<u8>) -> Next {
        let mut state = self.lock();
        if state.connection != connection || state.closed {
            return Next::TakenOver;
        }
        let now = Instant::now();
        let mut retry: Option<Instant> = None;
        while out.len() < frame::CHUNK {
            let Some(number) = state.first_unsent(now, &mut retry) else { return Next::All(retry) };
            state.unsent.remove(&number);
            let Some(parcel) = state.parcels.get(&number) else { continue };
            frame::write_parcel_head(out, number, &parcel.to, parcel.bytes.len());
            if parcel.bytes.len() > SMALL {
                return Next::Large(Arc::clone(&parcel.bytes));
            }
            out.extend_from_slice(&parcel.bytes);
        }
        Next::All(Some(now))
    }

    /// Forgets parcels that were processed.
    pub(super) fn done(&self, numbers: &[u64]) {
        let mut state = self.lock();
        numbers.iter().for_each(|number| state.remove(*number));
        if !state.unsent.is_empty() {
            state.wake();
        }
        drop(state);
        self.room.notify_waiters();
    }

    /// Sends a parcel that was refused, and those behind it for the same reader, again after a pause.
    pub(super) fn later(&self, number: u64) {
        let mut state = self.lock();
        let Some((to, size)) = state.parcels.get(&number).map(|parcel| (parcel.to.clone(), parcel.bytes.len() as u64)) else { return };
        let again: Vec<u64> = state.parcels.range(number..).filter(|(_, parcel)| parcel.to == to).map(|(number, _)| *number).collect();
        state.unsent.extend(again);
        let reader = state.readers.entry(to).or_default();
        reader.pause = (reader.pause * 2).clamp(PAUSE.0, PAUSE.1);
        reader.until = Some(Instant::now() + reader.pause + Duration::from_millis(1000 * size / TRYING));
        reader.refused = Some(number);
        state.wake();
    }

    pub(super) fn has_unsent(&self) -> bool {
        !self.lock().unsent.is_empty()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.lock().parcels.is_empty()
    }

    pub(super) fn waiting(&self) -> usize {
        self.lock().parcels.len()
    }

    pub(super) fn is_connected(&self) -> bool {
        self.lock().connected
    }

    /// Whether the way to this peer is more than what somebody said: it was given, or the peer has proven who it is.
    pub(super) fn is_sure(&self) -> bool {
        let state = self.lock();
        state.location.is_some() || state.proven
    }

    pub(super) fn set_proven(&self) {
        self.lock().proven = true;
    }

    pub(super) fn location(&self) -> Option<Location> {
        self.lock().location.clone()
    }

    /// Gives it another address; whoever dials is told.
    pub(super) fn set_location(&self, location: Location) {
        let before = self.lock().location.replace(location);
        if before.is_some() {
            self.moved.notify_one();
        }
    }

    pub(super) fn trouble(&self) -> Option<String> {
        self.lock().trouble.clone()
    }

    pub(super) fn set_trouble(&self, trouble: String) {
        self.lock().trouble = Some(trouble);
    }

    pub(super) fn is_closed(&self) -> bool {
        self.lock().closed
    }

    /// Ends it; what was under way is dropped.
    pub(super) fn close(&self) {
        let mut state = self.lock();
        state.closed = true;
        state.parcels.clear();
        state.unsent.clear();
        state.wake();
        drop(state);
        self.room.notify_waiters();
        self.moved.notify_one();
    }
}

impl State {
    fn has_room(&self, to: &Address, bytes: usize) -> bool {
        let (parcels, held) = self.readers.get(to).map_or((0, 0), |reader| (reader.parcels, reader.bytes));
        self.parcels.len() < MAX_UNDER_WAY
            && self.bytes + bytes <= MAX_BYTES
            && parcels < MAX_PER_READER
            && held + bytes <= MAX_BYTES_PER_READER
    }

    /// The first number that is to be written; readers who have asked for a pause are passed over, and the end of their pause is noted.
    fn first_unsent(&self, now: Instant, retry: &mut Option<Instant>) -> Option<u64> {
        let reader_of = |number: &u64| self.readers.get(&self.parcels.get(number)?.to);
        for number in &self.unsent {
            let Some(reader) = reader_of(number) else { return Some(*number) };
            match reader.until.filter(|until| *until > now) {
                Some(until) => *retry = Some(retry.map_or(until, |earlier| earlier.min(until))),
                None if reader.refused.is_some_and(|refused| *number > refused) => {}
                None => return Some(*number),
            }
        }
        None
    }

    fn remove(&mut self, number: u64) {
        self.unsent.remove(&number);
        let Some(parcel) = self.parcels.remove(&number) else { return };
        self.bytes = self.bytes.saturating_sub(parcel.bytes.len());
        let Some(reader) = self.readers.get_mut(&parcel.to) else { return };
        reader.parcels = reader.parcels.saturating_sub(1);
        reader.bytes = reader.bytes.saturating_sub(parcel.bytes.len());
        (reader.pause, reader.until, reader.refused) = (Duration::ZERO, None, None);
        if reader.parcels == 0 {
            self.readers.remove(&parcel.to);
        }
    }

    fn wake(&self) {
        if let Some(writer) = &self.writer {
            writer.notify_one();
        }
    }
}
