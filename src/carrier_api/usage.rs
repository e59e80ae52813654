//! Counting what becomes of each carrier's reports. Counted in memory, which costs a report an addition; written to the
//! database about once a second and at a stop, by [`UsageBook::take`] and [`crate::store::usage::add_usage`].
//!
//! These are figures: what a node has not written when it is killed is lost, and what is counted in the second around
//! midnight may stand with the other day.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::domain::clock::Day;
use crate::store::usage::UsageRow;

/// Taken as new.
pub const ACCEPTED: &str = "accepted";
/// Stored already.
pub const DUPLICATE: &str = "duplicate";

/// What was counted of one carrier and not written yet.
#[derive(Default)]
pub struct Usage {
    accepted: AtomicU64,
    duplicate: AtomicU64,
    /// By the code of the problem, of which there is a fixed list.
    refused: Mutex<BTreeMap<&'static str, u64>>,
}

impl Usage {
    /// Counts a report that was taken, or had been.
    pub fn count_taken(&self, is_new: bool) {
        let count = if is_new { &self.accepted } else { &self.duplicate };
        count.fetch_add(1, Ordering::Relaxed);
    }

    /// Counts what was refused.
    pub fn count_refused(&self, code: &'static str) {
        let mut refused = lock(&self.refused);
        *refused.entry(code).or_default() += 1;
    }

    fn take(&self) -> Vec<(&'static str, u64)> {
        let refused = std::mem::take(&mut *lock(&self.refused));
        let taken = [
            (ACCEPTED, self.accepted.swap(0, Ordering::Relaxed)),
            (DUPLICATE, self.duplicate.swap(0, Ordering::Relaxed)),
        ];
        taken.into_iter().chain(refused).filter(|(_, count)| *count > 0).collect()
    }
}

/// The figures of all carriers.
#[derive(Default)]
pub struct UsageBook {
    /// By the carrier's UUID, 16 bytes.
    carriers: Mutex<HashMap<Vec<u8>, Arc<Usage>>>,
    /// What could not be written.
    left: Mutex<Vec<UsageRow>>,
}

impl UsageBook {
    /// Where a carrier's are counted.
    #[must_use]
    pub fn of(&self, carrier_id: &[u8]) -> Arc<Usage> {
        Arc::clone(lock(&self.carriers).entry(carrier_id.to_vec()).or_default())
    }

    /// Takes what was counted since the last time, as of `day`, to be written; and what could not be written then.
    #[must_use]
    pub fn take(&self, day: Day) -> Vec<UsageRow> {
        let mut rows = std::mem::take(&mut *lock(&self.left));
        for (carrier_id, usage) in lock(&self.carriers).iter() {
            for (what, count) in usage.take() {
                let count = i64::try_from(count).unwrap_or(i64::MAX);
                let same = |row: &&mut UsageRow| row.carrier_id == *carrier_id && row.day == day.0 && row.what == what;
                match rows.iter_mut().find(same) {
                    Some(row) => row.count = row.count.saturating_add(count),
                    None => {
                        rows.push(UsageRow { carrier_id: carrier_id.clone(), day: day.0, what: what.to_owned(), count })
                    }
                }
            }
        }
        rows
    }

    /// Keeps what could not be written until the next time.
    pub fn give_back(&self, rows: Vec<UsageRow>) {
        lock(&self.left).extend(rows);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_taken_is_counted_anew_and_what_was_given_back_is_added() {
        let book = UsageBook::default();
        let usage = book.of(&[1; 16]);
        usage.count_taken(true);
        usage.count_taken(true);
        usage.count_taken(false);
        usage.count_refused("wrong_type");
        let row = |day, what: &str, count| UsageRow { carrier_id: vec![1; 16], day, what: what.to_owned(), count };
        let mut first = book.take(Day(5));
        first.sort();
        assert_eq!(first, [row(5, "accepted", 2), row(5, "duplicate", 1), row(5, "wrong_type", 1)]);
        assert_eq!(book.take(Day(5)), []);
        book.give_back(vec![row(5, "accepted", 2)]);
        book.of(&[1; 16]).count_taken(true);
        assert_eq!(book.take(Day(5)), [row(5, "accepted", 3)]);
        book.give_back(vec![row(5, "accepted", 3)]);
        usage.count_taken(true);
        assert_eq!(book.take(Day(6)), [row(5, "accepted", 3), row(6, "accepted", 1)]);
    }
}
