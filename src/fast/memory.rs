//! The fast state in this process: two bounded tables and the quotas.

use std::mem;
use std::num::NonZeroU32;
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::asked::AskedTable;
use super::codes::CodeTable;
use super::quota::{DailyQuotas, Take};
use super::{Admission, Probe};
use crate::domain::clock::{Clock, MICROS_PER_SECOND};
use crate::domain::report::REPEAT_WINDOW_MICROS;
use crate::domain::tag_map::{TagMap, fold};

/// Parts of a table, each with a lock of its own.
const SHARDS: usize = 16;
/// The repeat window in the unit of the hint table.
const REPEAT_WINDOW_S: i64 = REPEAT_WINDOW_MICROS / MICROS_PER_SECOND;

/// The part of a table that `key` belongs to: by its middle bits, because the hash table uses the lowest and highest.
pub(super) fn shard_of(key: u64, shards: usize) -> usize {
    usize::try_from(key >> 24 & 0xffff).unwrap_or(0) % shards.max(1)
}

/// 8 bytes of a 16-byte tag, folded from all of it: the first half of a carrier's UUID is a time, so two carriers made in
/// one millisecond differ in the second half alone.
pub(super) fn short_key(tag: &[u8; 16]) -> u64 {
    fold(u128::from_be_bytes(*tag))
}

/// A table that forgets its older half when full. For filters, where forgetting costs a little and refusing would lose
/// reports; quotas are kept otherwise.
struct Generations<K, V> {
    current: TagMap<K, V>,
    previous: TagMap<K, V>,
    half_max: usize,
}

impl<K: std::hash::Hash + Eq, V: Copy> Generations<K, V> {
    fn new(half_max: usize) -> Self {
        Self { current: TagMap::default(), previous: TagMap::default(), half_max: half_max.max(1) }
    }

    fn get(&self, key: &K) -> Option<V> {
        self.current.get(key).or_else(|| self.previous.get(key)).copied()
    }

    fn insert(&mut self, key: K, value: V) {
        if self.current.len() >= self.half_max {
            self.previous = mem::take(&mut self.current);
        }
        self.current.insert(key, value);
    }

    fn insert_first(&mut self, key: K, value: V) {
        if !self.previous.contains_key(&key) && !self.current.contains_key(&key) {
            self.insert(key, value);
        }
    }

    fn clear(&mut self) {
        self.current = TagMap::default();
        self.previous = TagMap::default();
    }
}

struct Tables {
    /// Report id to marker half of the body.
    seen: Generations<u128, [u8; 8]>,
    /// Hint key to second of receipt.
    hints: Generations<u64, u32>,
}

/// The fast state in memory.
pub struct MemoryState {
    shards: Vec<Mutex<Tables>>,
    quotas: DailyQuotas,
    pub(super) asked: AskedTable,
    pub(super) codes: CodeTable,
    pub(super) tries: CodeTable,
}

/// How much the memory may hold.
#[derive(Clone, Copy, Debug)]
pub struct MemoryLimits {
    /// Report ids remembered.
    pub seen_max: usize,
    /// Reporters with a live quota.
    pub reporters_max: usize,
    /// Reports a reporter may send a day.
    pub reporter_per_day: NonZeroU32,
    /// Questions to reporters that wait for an answer.
    pub questions_max: usize,
    /// Codes that were sent, and what is counted of them; and as many counts of what visitors of the pages do.
    pub codes_max: usize,
}

impl MemoryState {
    /// An empty state.
    #[must_use]
    pub fn new(limits: MemoryLimits, clock: Clock) -> Self {
        let half_max = limits.seen_max / 2 / SHARDS;
        let tables = || Tables { seen: Generations::new(half_max), hints: Generations::new(half_max) };
        Self {
            shards: (0..SHARDS).map(|_| Mutex::new(tables())).collect(),
            quotas: DailyQuotas::new(limits.reporter_per_day, limits.reporters_max, clock.clone()),
            asked: AskedTable::new(limits.questions_max, clock.clone()),
            codes: CodeTable::new(limits.codes_max, clock.clone()),
            tries: CodeTable::new(limits.codes_max, clock),
        }
    }

    fn shard(&self, key: u64) -> MutexGuard<'_, Tables> {
        #[expect(clippy::indexing_slicing, reason = "`shard_of` is below the number of shards")]
        self.shards[shard_of(key, SHARDS)].lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// See [`super::FastState::admit`].
    pub fn admit(&self, probe: &Probe, take_quota: bool) -> Admission {
        if let Some(stored) = self.find_stored(probe) {
            return stored;
        }
        if take_quota {
            match self.quotas.take(short_key(&probe.quota_key)) {
                Take::Taken => {}
                Take::Over { retry_after_s } => return Admission::OverQuota { retry_after_s },
                Take::Full => return Admission::Full,
            }
        }
        Admission::New { repeat: self.is_repeat(probe), place: None }
    }

    /// Whether the report is remembered as stored.
    pub(super) fn find_stored(&self, probe: &Probe) -> Option<Admission> {
        let id = u128::from_be_bytes(*probe.id.as_bytes());
        let body_mark = self.shard(short_key(probe.id.as_bytes())).seen.get(&id)?;
        Some(if body_mark == probe.body_mark { Admission::Stored } else { Admission::Conflict })
    }

    pub(super) fn is_repeat(&self, probe: &Probe) -> bool {
        let key = short_key(&probe.hint_key);
        let first_s = self.shard(key).hints.get(&key);
        first_s.is_some_and(|first_s| seconds(probe) - i64::from(first_s) < REPEAT_WINDOW_S)
    }

    /// See [`super::FastState::mark_stored`].
    pub fn mark_stored(&self, probe: &Probe) {
        let id_key = short_key(probe.id.as_bytes());
        let id = u128::from_be_bytes(*probe.id.as_bytes());
        let mut shard = self.shard(id_key);
        // The first body of an id stands, as it does for the builder.
        shard.seen.insert_first(id, probe.body_mark);
        drop(shard);
        // The window starts at the first report and does not slide.
        if !self.is_repeat(probe) {
            let key = short_key(&probe.hint_key);
            self.shard(key).hints.insert(key, u32::try_from(seconds(probe)).unwrap_or(u32::MAX));
        }
    }

    /// See [`super::FastState::give_back`].
    pub fn give_back(&self, probe: &Probe) {
        self.quotas.give_back(short_key(&probe.quota_key));
    }

    /// See [`super::FastState::forget_all`].
    pub fn forget_all(&self) {
        self.forget_seen();
        self.quotas.forget_all();
        self.asked.clear();
        self.codes.clear();
        self.tries.clear();
    }

    /// See [`super::FastState::forget_seen`].
    pub fn forget_seen(&self) {
        for shard in &self.shards {
            let mut tables = shard.lock().unwrap_or_else(PoisonError::into_inner);
            tables.seen.clear();
            tables.hints.clear();
        }
    }
}

fn seconds(probe: &Probe) -> i64 {
    probe.now.0 / MICROS_PER_SECOND
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may stop where it fails")]
    use super::*;
    use crate::domain::clock::{MICROS_PER_DAY, Moment};
    use crate::domain::report::ReportId;

    fn state(seen_max: usize) -> MemoryState {
        let reporter_per_day = NonZeroU32::new(2).unwrap();
        let limits =
            MemoryLimits { seen_max, reporters_max: 1_000, reporter_per_day, questions_max: 10, codes_max: 10 };
        MemoryState::new(limits, Clock::mock(Moment(MICROS_PER_DAY)))
    }
    fn probe(number: u64) -> Probe {
        let mut bytes = [0; 16];
        // Spread like a MAC.
        let spread = u128::from(number + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835);
        bytes.iter_mut().zip(spread.to_be_bytes()).for_each(|(to, from)| *to = from);
        Probe {
            id: ReportId::from_mac(bytes),
            store_mark: [0; 8],
            body_mark: [1; 8],
            hint_key: bytes,
            quota_key: [7; 16],
            now: Moment(MICROS_PER_DAY),
            place: None,
        }
    }

    #[test]
    fn a_stored_report_is_seen_and_another_body_is_a_conflict() {
        let state = state(1_000);
        assert_eq!(state.admit(&probe(1), false), Admission::New { repeat: false, place: None });
        state.mark_stored(&probe(1));
        assert_eq!(state.admit(&probe(1), true), Admission::Stored);
        let other = Probe { body_mark: [2; 8], ..probe(1) };
        assert_eq!(state.admit(&other, true), Admission::Conflict);
    }

    #[test]
    fn what_was_seen_takes_no_quota() {
        let state = state(1_000);
        state.mark_stored(&probe(1));
        (0..5).for_each(|_| assert_eq!(state.admit(&probe(1), true), Admission::Stored));
        assert_eq!(state.admit(&probe(2), true), Admission::New { repeat: false, place: None });
        assert_eq!(state.admit(&probe(3), true), Admission::New { repeat: false, place: None });
        assert!(matches!(state.admit(&probe(4), true), Admission::OverQuota { .. }));
        state.give_back(&probe(4));
        assert_eq!(state.admit(&probe(4), true), Admission::New { repeat: false, place: None });
    }

    #[test]
    fn the_repeat_window_is_a_day_from_the_first_and_does_not_slide() {
        let state = state(1_000);
        let at = |id: u64, hours: i64| Probe {
            hint_key: [3; 16],
            now: Moment(MICROS_PER_DAY + hours * MICROS_PER_DAY / 24),
            ..probe(id)
        };
        state.mark_stored(&at(1, 0));
        assert_eq!(state.admit(&at(2, 23), false), Admission::New { repeat: true, place: None });
        state.mark_stored(&at(2, 23));
        assert_eq!(state.admit(&at(3, 24), false), Admission::New { repeat: false, place: None });
    }

    #[test]
    fn tags_that_differ_in_one_half_have_different_keys() {
        let tag = |value: u128| short_key(&value.to_be_bytes());
        assert_ne!(tag(1), tag(2));
        assert_ne!(tag(1 << 64), tag(2 << 64));
    }

    #[test]
    fn a_full_table_forgets_the_oldest_and_stays_bounded() {
        let state = state(320);
        (0..10_000).for_each(|number| state.mark_stored(&probe(number)));
        let kept = (0..10_000).filter(|number| state.find_stored(&probe(*number)).is_some()).count();
        assert!((100..=330).contains(&kept), "{kept}");
        assert_eq!(state.find_stored(&probe(9_999)), Some(Admission::Stored));
    }
}
