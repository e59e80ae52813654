//! Nonces that were seen: none counts twice. Each node remembers its own; with Redis they are shared.

use std::collections::HashSet;
use std::sync::{Mutex, PoisonError};

use super::verify::{AGE_MAX_S, AHEAD_MAX_S};
use crate::domain::clock::{MICROS_PER_SECOND, Moment};

/// How long a nonce is remembered, seconds: as long as its signature can be good from when it first is, and for nodes whose
/// clocks are a minute apart.
pub const REMEMBERED_S: i64 = AGE_MAX_S + 2 * AHEAD_MAX_S;

/// What is known of a nonce.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Nonce {
    /// Not seen before; it is now.
    Fresh,
    /// Seen before.
    Replayed,
    /// No room: to take it unseen would be to take it twice.
    NoRoom,
}

/// The nonces of one carrier: another's flood takes no room of it. About 20 bytes each.
pub struct NonceMemory {
    windows: Mutex<Windows>,
}

struct Windows {
    began: Moment,
    current: HashSet<[u8; 16]>,
    previous: HashSet<[u8; 16]>,
}

impl Default for NonceMemory {
    fn default() -> Self {
        let windows = Windows { began: Moment(0), current: HashSet::new(), previous: HashSet::new() };
        Self { windows: Mutex::new(windows) }
    }
}

impl NonceMemory {
    /// Claims a nonce, named by its keyed hash. What is claimed is remembered for [`REMEMBERED_S`] at least and twice that
    /// at most; `max` of them in [`REMEMBERED_S`], which follows from the carrier's rate.
    pub fn claim(&self, nonce: [u8; 16], now: Moment, max: usize) -> Nonce {
        let window_micros = REMEMBERED_S * MICROS_PER_SECOND;
        let mut windows = self.windows.lock().unwrap_or_else(PoisonError::into_inner);
        let age_micros = now.micros_since(windows.began);
        if age_micros >= window_micros {
            let current = std::mem::take(&mut windows.current);
            // After a longer pause not even the last ones are needed.
            windows.previous = if age_micros < 2 * window_micros { current } else { HashSet::new() };
            windows.began = now;
        }
        if windows.current.contains(&nonce) || windows.previous.contains(&nonce) {
            return Nonce::Replayed;
        }
        if windows.current.len() >= max {
            return Nonce::NoRoom;
        }
        windows.current.insert(nonce);
        Nonce::Fresh
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: i64 = 1_700_000_000;

    fn at(seconds: i64) -> Moment {
        Moment((START + seconds) * MICROS_PER_SECOND)
    }

    #[test]
    fn a_nonce_counts_once_for_as_long_as_a_signature_can_be_good() {
        let memory = NonceMemory::default();
        assert_eq!(memory.claim([1; 16], at(0), 9), Nonce::Fresh);
        assert_eq!(memory.claim([2; 16], at(REMEMBERED_S - 1), 9), Nonce::Fresh);
        for seconds in [1, REMEMBERED_S - 1, REMEMBERED_S] {
            assert_eq!(memory.claim([1; 16], at(seconds), 9), Nonce::Replayed, "{seconds}");
        }
        // It came at the end of its window.
        assert_eq!(memory.claim([2; 16], at(2 * REMEMBERED_S - 2), 9), Nonce::Replayed);
        assert_eq!(memory.claim([1; 16], at(4 * REMEMBERED_S), 9), Nonce::Fresh);
    }

    #[test]
    fn without_room_a_nonce_is_not_taken_and_later_it_is() {
        let memory = NonceMemory::default();
        assert_eq!(memory.claim([1; 16], at(0), 2), Nonce::Fresh);
        assert_eq!(memory.claim([2; 16], at(0), 2), Nonce::Fresh);
        assert_eq!(memory.claim([3; 16], at(1), 2), Nonce::NoRoom);
        assert_eq!(memory.claim([1; 16], at(1), 2), Nonce::Replayed);
        assert_eq!(memory.claim([3; 16], at(REMEMBERED_S), 2), Nonce::Fresh);
    }

    #[test]
    fn a_clock_that_is_set_back_forgets_nothing() {
        let memory = NonceMemory::default();
        assert_eq!(memory.claim([1; 16], at(100), 9), Nonce::Fresh);
        assert_eq!(memory.claim([1; 16], at(-100), 9), Nonce::Replayed);
    }
}
