//! The replay journal: which messages were opened. One unique key decides (SPEC.md, "Replay").

use std::collections::{BTreeMap, HashMap, hash_map::Entry};

use crate::{
    entropy::Entropy,
    error::{EntropyFailed, StoreFailed},
    key::{MessageId, ReceiveKey, ReceiveKeyId, SigningKey, Thumbprint},
    limits::{CERTIFICATE_LIFETIME, CLOCK_TOLERANCE, MAX_JOURNAL_ROWS, MAX_LIFETIME},
    roster::Roster,
};

#[cfg(feature = "node")]
mod work;

#[cfg(feature = "node")]
pub(crate) use work::{Arrival, Change, Expects, Left, Outgoing, RowKey, Work, Working};
#[cfg(all(feature = "home", feature = "node"))]
pub(crate) use work::{KeptAnswer, beginning};

/// A message as the journal knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Row {
    pub(crate) reader: Thumbprint,
    pub(crate) signer: Thumbprint,
    pub(crate) id: MessageId,
    /// SHA-256 of the signature input: header and body.
    pub(crate) digest: [u8; 32],
    pub(crate) expires: u64,
}

/// What the journal says of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Seen {
    /// Never seen; after an insert, now it is.
    New,
    /// This very message was opened before.
    Before,
    /// Another message with this id was.
    Other,
    /// It ends before the horizon, so its row may be gone. As it has not expired, the clock was set back since.
    BeyondHorizon,
    /// The signer has used up its rows.
    Full,
    /// The journal is not the one this endpoint's receive keys belong to.
    OtherLife,
}

/// Seconds after its making at which a receive key is erased: its certificate's time, the longest message sealed at the end of it, and
/// three times the difference of two clocks (the sender's from ours, in the certificate's time, in the message's).
pub(crate) const RECEIVE_KEY_KEPT: u64 = CERTIFICATE_LIFETIME + MAX_LIFETIME + 3 * CLOCK_TOLERANCE;

/// A receive key with its time.
pub(crate) struct HeldKey {
    pub(crate) key: ReceiveKey,
    pub(crate) created: u64,
}

/// What an endpoint keeps: its journal, and where there is a home, its keys.
pub(crate) trait Store: Send {
    /// What is known of each message, quota aside. Changes nothing.
    fn look_up(&mut self, rows: &[&Row]) -> Result<Vec<Seen>, StoreFailed>;

    /// Adds each message that is new, all in one transaction: most of what a journal costs is a transaction. In another life than this
    /// endpoint's, adds nothing.
    fn insert(&mut self, rows: &[&Row], now: u64) -> Result<Vec<Seen>, StoreFailed>;

    /// The signing key of an agent, made when there is none.
    fn agent_key(&mut self, name: &str, entropy: &dyn Entropy) -> Result<SigningKey, StoreFailed>;

    /// The receive keys of an agent that are still held, newest first. Those whose time is over are erased, as are those made in the future:
    /// the clock was ahead then, and they would never be the oldest.
    fn receive_keys(&mut self, agent: &str, now: u64) -> Result<Vec<HeldKey>, StoreFailed>;

    /// Keeps a new receive key beside those in `held`, unless another process was faster: then its key is the one to use. Returns what is
    /// held now, newest first.
    fn add_receive_key(&mut self, agent: &str, new: HeldKey, held: Vec<HeldKey>) -> Result<Vec<HeldKey>, StoreFailed>;

    /// The receive key of that name, if it is still held here and of the present life.
    fn receive_key(&mut self, id: ReceiveKeyId) -> Result<Option<(String, HeldKey)>, StoreFailed>;

    /// The roster that is kept, if one is: another process of the home may have put a newer one in force.
    fn kept_roster(&mut self) -> Result<Option<Vec<u8>>, StoreFailed>;

    /// Whether another roster may be kept than was last read by [`Store::kept_roster`]. Cheap enough to be asked with each message.
    fn roster_changed(&mut self) -> bool {
        false
    }

    /// Keeps the roster that is in force from now on.
    fn keep_roster(&mut self, roster: &Roster) -> Result<(), StoreFailed>;

    /// Forgets what was opened and burns the receive keys: nothing sealed before can be opened after.
    fn begin_life(&mut self) -> Result<(), StoreFailed>;

    /// Joins the life that another process has begun, or begins one: what follows [`Seen::OtherLife`].
    fn settle(&mut self) -> Result<(), StoreFailed>;

    /// Called in a child made by fork, before anything else is done with the store.
    fn after_fork(&mut self) -> Result<(), StoreFailed>;

    /// Closes what a fork must not find open.
    fn close_for_fork(&mut self) {}

    /// Opens again what [`Store::close_for_fork`] closed, if it did, in the process that had it open. Where that fails, what is called next says why.
    fn reopen(&mut self) {}

    /// Called in a child made by fork that may never use the store: lets go of what tells others that the parent lives.
    fn leave_to_parent(&mut self) {}

    /// What a node keeps here.
    #[cfg(feature = "node")]
    fn working(&mut self) -> Result<&mut dyn Working, StoreFailed>;
}

/// The rows of a journal in memory.
#[derive(Default)]
pub(crate) struct Rows {
    rows: HashMap<(Thumbprint, Thumbprint, MessageId), ([u8; 32], u64)>,
    by_end: BTreeMap<u64, Vec<(Thumbprint, Thumbprint, MessageId)>>,
    rows_of: HashMap<Thumbprint, u64>,
    horizon: u64,
}

/// A journal in memory, for an endpoint without a home. Its receive keys die with it, so nothing it forgot can be opened again.
#[derive(Default)]
pub(crate) struct MemoryStore {
    rows: Rows,
    #[cfg(feature = "node")]
    work: work::MemoryWork,
    /// When this life took its first message, if it follows another life.
    #[cfg(feature = "node")]
    began: Option<u64>,
    /// The latest time that an earlier life knew, if there was one.
    #[cfg(feature = "node")]
    earlier: Option<u64>,
    /// The latest time at which this life took a message.
    #[cfg(feature = "node")]
    latest: u64,
}

impl Rows {
    /// What is known of a message, quota aside.
    pub(crate) fn seen(&self, row: &Row) -> Seen {
        match self.rows.get(&(row.reader, row.signer, row.id)) {
            Some((digest, _)) if *digest == row.digest => Seen::Before,
            Some(_) => Seen::Other,
            None if row.expires <= self.horizon => Seen::BeyondHorizon,
            None => Seen::New,
        }
    }

    /// Forgets what has ended and adds a message that is new.
    pub(crate) fn insert(&mut self, row: &Row, now: u64) -> Seen {
        self.purge(now);
        let seen = self.seen(row);
        if seen == Seen::New && self.rows_of.get(&row.signer).is_some_and(|rows| *rows >= MAX_JOURNAL_ROWS) {
            return Seen::Full;
        }
        if seen == Seen::New {
            let key = (row.reader, row.signer, row.id);
            self.rows.insert(key, (row.digest, row.expires));
            self.by_end.entry(row.expires).or_default().push(key);
            *self.rows_of.entry(row.signer).or_default() += 1;
        }
        seen
    }

    fn purge(&mut self, now: u64) {
        while let Some(first) = self.by_end.first_entry() {
            let end = *first.key();
            if end.saturating_add(CLOCK_TOLERANCE) > now {
                break;
            }
            self.horizon = self.horizon.max(end);
            for key in first.remove() {
                self.rows.remove(&key);
                if let Entry::Occupied(mut rows) = self.rows_of.entry(key.1) {
                    *rows.get_mut() -= 1;
                    if *rows.get() == 0 {
                        rows.remove();
                    }
                }
            }
        }
    }
}

impl Store for MemoryStore {
    fn look_up(&mut self, rows: &[&Row]) -> Result<Vec<Seen>, StoreFailed> {
        Ok(rows.iter().map(|row| self.rows.seen(row)).collect())
    }

    fn insert(&mut self, rows: &[&Row], now: u64) -> Result<Vec<Seen>, StoreFailed> {
        #[cfg(feature = "node")]
        self.work.purge(now.saturating_sub(CLOCK_TOLERANCE));
        Ok(rows.iter().map(|row| self.rows.insert(row, now)).collect())
    }

    fn agent_key(&mut self, _: &str, entropy: &dyn Entropy) -> Result<SigningKey, StoreFailed> {
        SigningKey::generate(entropy).map_err(|EntropyFailed| StoreFailed(EntropyFailed.to_string()))
    }

    fn receive_keys(&mut self, _: &str, _: u64) -> Result<Vec<HeldKey>, StoreFailed> {
        Ok(Vec::new())
    }

    fn add_receive_key(&mut self, _: &str, new: HeldKey, mut held: Vec<HeldKey>) -> Result<Vec<HeldKey>, StoreFailed> {
        held.insert(0, new);
        Ok(held)
    }

    fn receive_key(&mut self, _: ReceiveKeyId) -> Result<Option<(String, HeldKey)>, StoreFailed> {
        Ok(None)
    }

    fn kept_roster(&mut self) -> Result<Option<Vec<u8>>, StoreFailed> {
        Ok(None)
    }

    fn keep_roster(&mut self, _: &Roster) -> Result<(), StoreFailed> {
        Ok(())
    }

    fn begin_life(&mut self) -> Result<(), StoreFailed> {
        *self = Self {
            #[cfg(feature = "node")]
            earlier: self.earlier.max(self.began).max(Some(self.latest)),
            // What was taken over to be sent has nothing to do with what was received.
            #[cfg(feature = "node")]
            work: core::mem::take(&mut self.work).of_next_life(),
            ..Self::default()
        };
        Ok(())
    }

    fn settle(&mut self) -> Result<(), StoreFailed> {
        Ok(())
    }

    fn after_fork(&mut self) -> Result<(), StoreFailed> {
        Ok(())
    }

    #[cfg(feature = "node")]
    fn working(&mut self) -> Result<&mut dyn Working, StoreFailed> {
        Ok(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(id: u8, digest: u8, expires: u64) -> Row {
        let key = |byte| Thumbprint::from_bytes([byte; 32]);
        Row { reader: key(1), signer: key(2), id: MessageId::from_bytes([id; 16]), digest: [digest; 32], expires }
    }

    #[test]
    fn a_message_is_new_once_and_its_id_is_taken() {
        let mut rows = Rows::default();
        assert_eq!(rows.insert(&row(1, 1, 100), 10), Seen::New);
        assert_eq!(rows.insert(&row(1, 1, 100), 10), Seen::Before);
        assert_eq!(rows.insert(&row(1, 2, 100), 10), Seen::Other);
    }

    #[test]
    fn a_clock_that_jumps_forward_and_back_revives_nothing() {
        let mut rows = Rows::default();
        assert_eq!(rows.insert(&row(1, 1, 100), 10), Seen::New);
        assert_eq!(rows.insert(&row(2, 2, 1_000_600), 1_000_000), Seen::New);
        assert_eq!(rows.insert(&row(1, 1, 100), 10), Seen::BeyondHorizon);
        assert_eq!(rows.insert(&row(3, 3, 610), 10), Seen::New, "later messages pass");
    }

    #[test]
    fn rows_are_given_back_when_they_end() {
        let mut rows = Rows::default();
        rows.insert(&row(1, 1, 100), 10);
        rows.insert(&row(2, 2, 900), 100 + CLOCK_TOLERANCE);
        assert_eq!(rows.rows.len(), 1);
        assert_eq!(rows.rows_of.values().sum::<u64>(), 1);
    }

    #[test]
    fn a_full_quota_empties_with_time() {
        let mut rows = Rows::default();
        rows.insert(&row(1, 1, 100), 10);
        rows.rows_of.insert(Thumbprint::from_bytes([2; 32]), MAX_JOURNAL_ROWS);
        assert_eq!(rows.seen(&row(2, 2, 100)), Seen::New);
        assert_eq!(rows.insert(&row(2, 2, 100), 10), Seen::Full);
        assert_eq!(rows.insert(&row(2, 2, 900), 100 + CLOCK_TOLERANCE), Seen::New);
    }
}
