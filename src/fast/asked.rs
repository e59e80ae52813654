//! Questions to subscribers that wait for an answer: a bounded table that forgets by time alone.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use crate::domain::clock::{Clock, MICROS_PER_SECOND};

/// How long a question waits for an answer, and an answer that is stored for its retries, seconds.
pub const QUESTION_TTL_S: i64 = 10 * 60;
/// How long a question is kept whose answer came but could not be stored, seconds: as long as an SMS gateway tries again.
pub const ANSWER_TRIED_S: i64 = 24 * 60 * 60;
/// How often a full table is searched for what has run out, at most: every second.
const SWEEP_INTERVAL_MICROS: i64 = MICROS_PER_SECOND;

struct Kept {
    value: Vec<u8>,
    until_micros: i64,
}

struct Table {
    kept: HashMap<[u8; 16], Kept>,
    swept_at: i64,
}

impl Table {
    /// Whether there is room for one more, once what has run out is gone.
    fn has_room(&mut self, max: usize, now: i64) -> bool {
        if self.kept.len() >= max && now.saturating_sub(self.swept_at) >= SWEEP_INTERVAL_MICROS {
            self.swept_at = now;
            self.kept.retain(|_, kept| kept.until_micros > now);
        }
        self.kept.len() < max
    }
}

/// The table. A full one takes no new key: then nothing is asked.
pub struct AskedTable {
    table: Mutex<Table>,
    max: usize,
    clock: Clock,
}

impl AskedTable {
    /// An empty table of at most `max` questions.
    #[must_use]
    pub fn new(max: usize, clock: Clock) -> Self {
        Self { table: Mutex::new(Table { kept: HashMap::new(), swept_at: i64::MIN }), max, clock }
    }

    /// Keeps a value for ten minutes; false when there is no room.
    pub fn put(&self, key: [u8; 16], value: Vec<u8>) -> bool {
        let now = self.clock.now().0;
        let mut table = self.table.lock().unwrap_or_else(PoisonError::into_inner);
        if !table.kept.contains_key(&key) && !table.has_room(self.max, now) {
            return false;
        }
        table.kept.insert(key, Kept { value, until_micros: now + QUESTION_TTL_S * MICROS_PER_SECOND });
        true
    }

    /// Finds what is kept and has not run out.
    pub fn find(&self, key: &[u8; 16]) -> Option<Vec<u8>> {
        let now = self.clock.now().0;
        let table = self.table.lock().unwrap_or_else(PoisonError::into_inner);
        table.kept.get(key).filter(|kept| kept.until_micros > now).map(|kept| kept.value.clone())
    }

    /// Replaces a value if it still is the one that was read (empty: nothing was there), and keeps it so long; whether it
    /// was.
    pub fn replace(&self, key: &[u8; 16], before: &[u8], value: Vec<u8>, kept_s: i64) -> bool {
        let now = self.clock.now().0;
        let mut table = self.table.lock().unwrap_or_else(PoisonError::into_inner);
        let stored = table.kept.get(key).filter(|kept| kept.until_micros > now);
        let may_replace = match stored {
            Some(stored) => stored.value == before,
            None => before.is_empty() && (table.kept.contains_key(key) || table.has_room(self.max, now)),
        };
        if may_replace {
            table.kept.insert(*key, Kept { value, until_micros: now + kept_s * MICROS_PER_SECOND });
        }
        may_replace
    }

    /// Forgets everything.
    pub fn clear(&self) {
        self.table.lock().unwrap_or_else(PoisonError::into_inner).kept.clear();
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::domain::clock::Moment;

    fn key(number: u8) -> [u8; 16] {
        [number; 16]
    }

    #[test]
    fn a_question_is_kept_for_ten_minutes() {
        let clock = Clock::mock(Moment(0));
        let table = AskedTable::new(10, clock.clone());
        assert!(table.put(key(1), vec![1]));
        clock.advance(Duration::from_secs(599));
        assert_eq!(table.find(&key(1)), Some(vec![1]));
        clock.advance(Duration::from_secs(1));
        assert_eq!(table.find(&key(1)), None);
    }

    #[test]
    fn of_two_who_replace_what_they_read_one_does() {
        let clock = Clock::mock(Moment(0));
        let table = AskedTable::new(1, clock.clone());
        assert!(!table.replace(&key(1), &[1], vec![2], 60), "nothing is there");
        assert!(table.replace(&key(2), &[], vec![1], 60), "as was read");
        assert!(!table.replace(&key(2), &[], vec![2], 60), "somebody was faster");
        clock.advance(Duration::from_secs(60));
        assert!(table.put(key(1), vec![1]));
        assert!(table.replace(&key(1), &[1], vec![2], 1_200));
        assert!(!table.replace(&key(1), &[1], vec![3], 1_200));
        clock.advance(Duration::from_secs(1_199));
        assert_eq!(table.find(&key(1)), Some(vec![2]), "kept as long as was said");
        clock.advance(Duration::from_secs(1));
        assert!(!table.replace(&key(1), &[2], vec![3], 60), "run out");
    }

    #[test]
    fn a_full_table_takes_no_other_key_until_some_have_run_out() {
        let clock = Clock::mock(Moment(0));
        let table = AskedTable::new(2, clock.clone());
        assert!(table.put(key(1), vec![1]) && table.put(key(2), vec![2]));
        assert!(!table.put(key(3), vec![3]));
        assert!(table.put(key(1), vec![4]), "one that is there may change");
        assert_eq!(table.find(&key(1)), Some(vec![4]));
        clock.advance(Duration::from_secs(600));
        assert!(table.put(key(3), vec![3]));
        assert_eq!(table.find(&key(2)), None);
        table.clear();
        assert_eq!(table.find(&key(3)), None);
    }
}
