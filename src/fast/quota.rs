//! The reporter's daily quota: governor's GCRA over a table that is bounded, and that can give back.
//!
//! governor's own keyed tables grow without bound and cannot undo a decision; its algorithm takes any table.

use std::num::NonZeroU32;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use governor::middleware::NoOpMiddleware;
use governor::nanos::Nanos;
use governor::state::StateStore;
use governor::state::keyed::ShrinkableKeyedStateStore;
use governor::{Quota, RateLimiter};

use super::memory::shard_of;
use crate::domain::clock::{Clock, LimitInstant, MICROS_PER_SECOND, Moment};
use crate::domain::tag_map::TagMap;

/// Parts of the table, each with a lock of its own.
const SHARDS: usize = 16;
/// How often a full table is searched for keys that are no longer live, at most: every second.
const SWEEP_INTERVAL_MICROS: i64 = MICROS_PER_SECOND;
/// The time a daily quota is spread over.
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

type Shard = TagMap<u64, u64>;

/// Theoretical arrival times by key, at most `per_shard_max` in each part.
struct BoundedTable {
    shards: Vec<Mutex<Shard>>,
    per_shard_max: usize,
}

impl BoundedTable {
    fn shard(&self, key: u64) -> MutexGuard<'_, Shard> {
        // Unwrap safety: `shard_of` stays below the number of shards.
        #[expect(clippy::indexing_slicing, reason = "`shard_of` is below the number of shards")]
        self.shards[shard_of(key, self.shards.len())].lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn has_room_for(&self, key: u64) -> bool {
        let shard = self.shard(key);
        shard.len() < self.per_shard_max || shard.contains_key(&key)
    }
}

/// A handle that can be given to governor and kept as well.
struct SharedTable(Arc<BoundedTable>);

impl StateStore for SharedTable {
    type Key = u64;

    fn measure_and_replace<T, F, E>(&self, key: &u64, f: F) -> Result<T, E>
    where
        F: Fn(Option<Nanos>) -> Result<(T, Nanos), E>,
    {
        let mut shard = self.0.shard(*key);
        let before = shard.get(key).copied().map(Nanos::from);
        let (outcome, after) = f(before)?;
        shard.insert(*key, after.as_u64());
        Ok(outcome)
    }
}

impl ShrinkableKeyedStateStore<u64> for SharedTable {
    fn retain_recent(&self, drop_below: Nanos) {
        for shard in &self.0.shards {
            shard.lock().unwrap_or_else(PoisonError::into_inner).retain(|_, at| *at >= drop_below.as_u64());
        }
    }
    fn shrink_to_fit(&self) {}
    fn len(&self) -> usize {
        self.0.shards.iter().map(|shard| shard.lock().unwrap_or_else(PoisonError::into_inner).len()).sum()
    }
    fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// The answer of a quota.
#[derive(Debug, PartialEq, Eq)]
pub enum Take {
    /// One was taken.
    Taken,
    /// None is left.
    Over {
        /// Whole seconds until one is free, at least 1.
        retry_after_s: u64,
    },
    /// The key is new and the table is full of live keys.
    Full,
}

/// Daily quotas by key. A burst of the whole day's number, then one every 24 h ÷ number.
pub struct DailyQuotas {
    limiter: RateLimiter<u64, SharedTable, Clock, NoOpMiddleware<LimitInstant>>,
    table: Arc<BoundedTable>,
    clock: Clock,
    interval_nanos: u64,
    last_sweep: AtomicI64,
}

impl DailyQuotas {
    /// `per_day` for each key, `keys_max` keys at most.
    #[must_use]
    pub fn new(per_day: NonZeroU32, keys_max: usize, clock: Clock) -> Self {
        let interval = DAY / per_day.get();
        let table = Arc::new(BoundedTable {
            shards: (0..SHARDS).map(|_| Mutex::new(Shard::default())).collect(),
            per_shard_max: keys_max.div_ceil(SHARDS),
        });
        // `with_period` refuses a period of zero only; a day in u32 parts has at least 20 µs.
        let quota = Quota::with_period(interval).unwrap_or_else(|| Quota::per_second(per_day)).allow_burst(per_day);
        Self {
            limiter: RateLimiter::new(quota, SharedTable(Arc::clone(&table)), clock.clone()),
            table,
            clock,
            interval_nanos: u64::try_from(interval.as_nanos()).unwrap_or(u64::MAX),
            last_sweep: AtomicI64::new(0),
        }
    }

    /// Takes one, if there is one.
    pub fn take(&self, key: u64) -> Take {
        if !self.table.has_room_for(key) && !self.sweep_and_find_room(key) {
            return Take::Full;
        }
        match self.limiter.check_key(&key) {
            Ok(()) => Take::Taken,
            Err(not_until) => {
                let wait = not_until.wait_time_from(governor::clock::Clock::now(&self.clock));
                Take::Over { retry_after_s: wait.as_secs().saturating_add(1) }
            }
        }
    }

    /// Undoes one [`DailyQuotas::take`]: exact, because GCRA adds one interval for each.
    pub fn give_back(&self, key: u64) {
        let mut shard = self.table.shard(key);
        if let Some(at) = shard.get_mut(&key) {
            *at = at.saturating_sub(self.interval_nanos);
        }
    }

    /// Forgets all keys.
    pub fn forget_all(&self) {
        self.table.shards.iter().for_each(|shard| shard.lock().unwrap_or_else(PoisonError::into_inner).clear());
    }

    fn sweep_and_find_room(&self, key: u64) -> bool {
        let now: Moment = self.clock.now();
        let last = self.last_sweep.load(Ordering::Relaxed);
        let due = now.0.saturating_sub(last) >= SWEEP_INTERVAL_MICROS;
        if due && self.last_sweep.compare_exchange(last, now.0, Ordering::Relaxed, Ordering::Relaxed).is_ok() {
            self.limiter.retain_recent();
        }
        self.table.has_room_for(key)
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may stop where it fails")]
    use super::*;

    fn quotas(per_day: u32, keys_max: usize) -> (DailyQuotas, Clock) {
        let clock = Clock::mock(Moment(1_700_000_000_000_000));
        (DailyQuotas::new(NonZeroU32::new(per_day).unwrap(), keys_max, clock.clone()), clock)
    }

    #[test]
    fn a_day_holds_its_number_and_time_gives_one_back_after_the_other() {
        let (quotas, clock) = quotas(20, 100);
        (0..20).for_each(|_| assert_eq!(quotas.take(1), Take::Taken));
        assert_eq!(quotas.take(1), Take::Over { retry_after_s: 72 * 60 + 1 });
        assert_eq!(quotas.take(2), Take::Taken);
        clock.advance(Duration::from_secs(72 * 60));
        assert_eq!(quotas.take(1), Take::Taken);
        assert!(matches!(quotas.take(1), Take::Over { .. }));
    }

    #[test]
    fn what_is_given_back_can_be_taken_again_and_no_more() {
        let (quotas, _clock) = quotas(2, 100);
        (0..2).for_each(|_| assert_eq!(quotas.take(1), Take::Taken));
        quotas.give_back(1);
        assert_eq!(quotas.take(1), Take::Taken);
        assert!(matches!(quotas.take(1), Take::Over { .. }));
    }

    #[test]
    fn a_full_table_refuses_new_keys_keeps_live_ones_and_heals_with_time() {
        let (quotas, clock) = quotas(1, SHARDS);
        let admitted: Vec<u64> = (0..1_000).filter(|key| quotas.take(*key) == Take::Taken).collect();
        assert!(admitted.len() <= SHARDS, "{}", admitted.len());
        assert!(admitted.iter().all(|key| matches!(quotas.take(*key), Take::Over { .. })));
        assert_eq!(quotas.take(5_000), Take::Full);
        // governor keeps a key for some intervals after it is whole again, to be sure.
        clock.advance(DAY * 4);
        assert_eq!(quotas.take(5_000), Take::Taken);
    }
}
