//! Parts of a reply that come before it is whole, such as the tokens of a model (SPEC.md, "Parts").

use std::collections::BTreeMap;

/// The kind of a message that is a part of a reply.
pub(super) const KIND: &str = "part";

/// Parts that are held because one before them is not here yet. Beyond them the missing one is given up.
const MAX_EARLY: usize = 64;

/// A part as it travels.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Part {
    /// Which run of the handler made it: made at random, another after a crash.
    pub(super) run: [u8; 8],
    /// Its place among the parts of the run.
    pub(super) number: u64,
    pub(super) bytes: Vec<u8>,
}

impl Part {
    pub(super) fn encode(&self) -> Vec<u8> {
        [self.run.as_slice(), &self.number.to_be_bytes(), &self.bytes].concat()
    }

    pub(super) fn decode(body: &[u8]) -> Option<Self> {
        let (run, rest) = body.split_first_chunk::<8>()?;
        let (number, bytes) = rest.split_first_chunk::<8>()?;
        Some(Self { run: *run, number: u64::from_be_bytes(*number), bytes: bytes.to_vec() })
    }
}

/// Puts parts in order.
#[derive(Default)]
pub(super) struct Order {
    run: Option<[u8; 8]>,
    next: u64,
    early: BTreeMap<u64, Vec<u8>>,
}

/// What comes out of it.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Ordered {
    Part(Vec<u8>),
    /// The handler began anew: what came before is of an earlier run.
    Again,
}

impl Order {
    pub(super) fn add(&mut self, part: Part) -> Vec<Ordered> {
        let mut out = Vec::new();
        if self.run != Some(part.run) {
            let again = self.run.is_some();
            *self = Self { run: Some(part.run), ..Self::default() };
            out.extend(again.then_some(Ordered::Again));
        }
        if part.number >= self.next {
            self.early.insert(part.number, part.bytes);
        }
        if self.early.len() > MAX_EARLY
            && let Some((first, _)) = self.early.first_key_value()
        {
            self.next = *first;
        }
        while let Some(bytes) = self.early.remove(&self.next) {
            out.push(Ordered::Part(bytes));
            self.next += 1;
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn part(run: u8, number: u64) -> Part {
        Part { run: [run; 8], number, bytes: vec![number as u8] }
    }

    #[test]
    fn parts_come_out_in_order_and_once() {
        let mut order = Order::default();
        assert_eq!(order.add(part(1, 1)), []);
        assert_eq!(order.add(part(1, 0)), [Ordered::Part(vec![0]), Ordered::Part(vec![1])]);
        assert_eq!(order.add(part(1, 1)), []);
        assert_eq!(order.add(part(2, 0)), [Ordered::Again, Ordered::Part(vec![0])]);
    }

    #[test]
    fn a_lost_part_holds_up_only_so_many() {
        let mut order = Order::default();
        let out: usize = (1..=MAX_EARLY as u64 + 1).map(|number| order.add(part(1, number)).len()).sum();
        assert_eq!(out, MAX_EARLY + 1);
        assert!(order.early.is_empty());
    }

    #[test]
    fn what_is_written_is_read_back() {
        assert_eq!(Part::decode(&part(3, 7).encode()), Some(part(3, 7)));
        assert_eq!(Part::decode(&[0; 15]), None);
    }
}
