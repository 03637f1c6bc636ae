//! [`Pace`]: how often something is done that anybody can ask for.

use std::{collections::HashMap, hash::Hash};

use tokio::time::{Duration, Instant};

/// Names that are remembered. When there are more, all wait for the oldest to be forgotten.
const MAX_NAMES: usize = 4096;

/// Lets something pass once in a while for each name, and so often in all.
pub(super) struct Pace<K> {
    each: Duration,
    per_second: u32,
    last: HashMap<K, Instant>,
    second: Option<(Instant, u32)>,
}

impl<K: Hash + Eq> Pace<K> {
    /// Once in `each` for a name, `per_second` in all.
    pub(super) fn new(each: Duration, per_second: u32) -> Self {
        Self { each, per_second, last: HashMap::new(), second: None }
    }

    /// Whether it may pass now. Noted, if so.
    pub(super) fn allows(&mut self, name: K, now: Instant) -> bool {
        if self.last.get(&name).is_some_and(|last| now.duration_since(*last) < self.each) {
            return false;
        }
        let (since, count) = self.second.filter(|(since, _)| now.duration_since(*since) < Duration::from_secs(1)).unwrap_or((now, 0));
        if count >= self.per_second {
            return false;
        }
        if self.last.len() >= MAX_NAMES {
            let each = self.each;
            self.last.retain(|_, last| now.duration_since(*last) < each);
            if self.last.len() >= MAX_NAMES {
                return false;
            }
        }
        self.second = Some((since, count + 1));
        self.last.insert(name, now);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_passes_once_in_a_while_and_all_so_often() {
        let (mut pace, start) = (Pace::new(Duration::from_secs(10), 2), Instant::now());
        assert!(pace.allows("a", start));
        assert!(!pace.allows("a", start + Duration::from_secs(9)));
        assert!(pace.allows("b", start));
        assert!(!pace.allows("c", start), "two in one second");
        assert!(pace.allows("c", start + Duration::from_secs(2)));
        assert!(pace.allows("a", start + Duration::from_secs(10)));
    }

    #[test]
    fn names_are_bounded() {
        let (mut pace, start) = (Pace::new(Duration::from_secs(10), u32::MAX), Instant::now());
        let passed = (0..2 * MAX_NAMES).filter(|name| pace.allows(*name, start)).count();
        assert_eq!(passed, MAX_NAMES);
    }
}
