//! Codes that were sent to numbers, the tries at them, how many were sent, and how often visitors of the pages may do what
//! they do: what that costs has to be bounded, so unlike the rest of the fast state none of it is guessed while Redis is
//! away.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::{FastState, NotReached};
use crate::domain::clock::{Clock, MICROS_PER_SECOND, Moment};

/// How often a full table is searched for what has run out, at most: every second.
const SWEEP_INTERVAL_MICROS: i64 = MICROS_PER_SECOND;
/// What a code takes beside its counts: itself, and the tries at it.
const ENTRIES_OF_A_CODE: usize = 2;
/// A stored code begins with so many bytes that no other has.
pub const SALT_BYTES: usize = 16;

/// One of the counts that something adds to. The count begins with the first and ends `window_s` later.
#[derive(Clone, Copy)]
pub struct CountLimit {
    /// What is counted, as a keyed tag.
    pub key: [u8; 16],
    /// How many there may be.
    pub max: u32,
    /// In how many seconds.
    pub window_s: u32,
}

/// Whether there may be one more.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Taken {
    /// It was counted everywhere.
    Yes,
    /// Some count is full; nothing was counted.
    Full {
        /// The place of the one that stays full longest.
        limit: usize,
        /// Seconds until there is room in all of them.
        retry_after_s: u64,
    },
    /// There is no room to count it; nothing was counted.
    NoRoom,
}

/// How a code is tried.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum CodeTry {
    /// It was the right one: whoever says so first has it, and it is gone.
    Right,
    /// It was not. Counted.
    Wrong,
    /// It was the right one, and counted as wrong before.
    Settled,
    /// It could not be looked at, and was counted as wrong before.
    Released,
}

impl CodeTry {
    /// As the script knows it.
    pub(super) const fn word(self) -> &'static str {
        match self {
            Self::Right => "right",
            Self::Wrong => "wrong",
            Self::Settled => "settled",
            Self::Released => "released",
        }
    }
}

/// What came of a try.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Tried {
    /// Counted as wrong, or not any more.
    Counted,
    /// The code is used by this try and by no other.
    Used,
    /// There is no such code, or another took its place.
    Gone,
    /// Too many were wrong; nothing else was looked at.
    TooMany {
        /// Seconds until one may try again.
        retry_after_s: u64,
    },
}

/// How many wrong tries there may be.
#[derive(Clone, Copy)]
pub struct TryLimit {
    /// So many.
    pub max: u32,
    /// In so many seconds.
    pub window_s: u32,
}

impl FastState {
    /// Counts a send everywhere, or nowhere. `now` is none for the time of whom is asked.
    ///
    /// # Errors
    /// When nobody can be asked: then nothing may be sent.
    pub async fn take_sends(&self, limits: &[CountLimit], now: Option<Moment>) -> Result<Taken, NotReached> {
        match self {
            Self::Memory(memory) => Ok(memory.codes.take(limits, ENTRIES_OF_A_CODE)),
            Self::Redis(redis) => redis.count(limits, 1, now).await,
        }
    }

    /// Counts what a visitor of the pages does, everywhere or nowhere. In memory these counts have a table of their own:
    /// whoever fills it keeps nobody from a code.
    ///
    /// # Errors
    /// When nobody can be asked: then it may not be done.
    pub async fn take_tries(&self, limits: &[CountLimit], now: Option<Moment>) -> Result<Taken, NotReached> {
        match self {
            Self::Memory(memory) => Ok(memory.tries.take(limits, 0)),
            Self::Redis(redis) => redis.count(limits, 1, now).await,
        }
    }

    /// Counts no more what was no guess. What cannot be given back stays counted.
    pub async fn give_back_tries(&self, limits: &[CountLimit], now: Option<Moment>) {
        match self {
            Self::Memory(memory) => memory.tries.give_back(limits),
            Self::Redis(redis) => {
                let _ = redis.count(limits, -1, now).await;
            }
        }
    }

    /// Counts a send no more that did not happen. What cannot be given back stays counted.
    pub async fn give_back_sends(&self, limits: &[CountLimit], now: Option<Moment>) {
        match self {
            Self::Memory(memory) => memory.codes.give_back(limits),
            Self::Redis(redis) => {
                let _ = redis.count(limits, -1, now).await;
            }
        }
    }

    /// Keeps a code, in place of the one before.
    ///
    /// # Errors
    /// When it cannot be kept.
    pub async fn put_code(&self, key: &[u8; 16], value: Vec<u8>, kept_s: u32) -> Result<(), NotReached> {
        match self {
            Self::Memory(memory) => memory.codes.put(*key, value, kept_s),
            Self::Redis(redis) => redis.put_code(key, &value, kept_s).await,
        }
    }

    /// Finds a code.
    ///
    /// # Errors
    /// When that cannot be looked up. It is not the same as nothing.
    pub async fn find_code(&self, key: &[u8; 16]) -> Result<Option<Vec<u8>>, NotReached> {
        match self {
            Self::Memory(memory) => Ok(memory.codes.find(key)),
            Self::Redis(redis) => redis.find_code(key).await,
        }
    }

    /// Tries a code that begins with this salt, in one step: of many right tries at once one has it, and no wrong one is
    /// uncounted.
    ///
    /// # Errors
    /// When it is not known what came of it.
    pub async fn try_code(
        &self,
        key: &[u8; 16],
        salt: &[u8; SALT_BYTES],
        code_try: CodeTry,
        limit: TryLimit,
        now: Option<Moment>,
    ) -> Result<Tried, NotReached> {
        match self {
            Self::Memory(memory) => Ok(memory.codes.try_code(key, salt, code_try, limit)),
            Self::Redis(redis) => redis.try_code(key, salt, code_try, limit, now).await,
        }
    }
}

/// Seconds, at least 1, of a wait in microseconds.
pub(super) fn whole_seconds(wait_micros: i64) -> u64 {
    u64::try_from(wait_micros).unwrap_or(0).div_ceil(MICROS_PER_SECOND.unsigned_abs()).max(1)
}

struct Kept {
    value: Vec<u8>,
    until_micros: i64,
}

#[derive(Clone, Copy)]
struct Count {
    count: u32,
    until_micros: i64,
}

/// A count that has not run out; one that begins now, else.
fn live(counts: &HashMap<[u8; 16], Count>, key: &[u8; 16], window_s: u32, now: i64) -> Count {
    let kept = counts.get(key).filter(|count| count.until_micros > now).copied();
    kept.unwrap_or(Count { count: 0, until_micros: now + i64::from(window_s) * MICROS_PER_SECOND })
}

#[derive(Default)]
struct Tables {
    codes: HashMap<[u8; 16], Kept>,
    tries: HashMap<[u8; 16], Count>,
    sends: HashMap<[u8; 16], Count>,
    swept_at: i64,
}

impl Tables {
    fn len(&self) -> usize {
        self.codes.len() + self.tries.len() + self.sends.len()
    }

    /// Whether there is room for so many more. What is live is never put out.
    fn has_room_for(&mut self, more: usize, max: usize, now: i64) -> bool {
        if self.len() + more <= max {
            return true;
        }
        if now.saturating_sub(self.swept_at) >= SWEEP_INTERVAL_MICROS {
            self.swept_at = now;
            self.codes.retain(|_, kept| kept.until_micros > now);
            self.tries.retain(|_, count| count.until_micros > now);
            self.sends.retain(|_, count| count.until_micros > now);
        }
        self.len() + more <= max
    }
}

/// All of it in memory, under one lock.
pub struct CodeTable {
    tables: Mutex<Tables>,
    max: usize,
    clock: Clock,
}

impl CodeTable {
    /// An empty table of at most `max` codes and counts.
    #[must_use]
    pub fn new(max: usize, clock: Clock) -> Self {
        Self { tables: Mutex::default(), max, clock }
    }

    fn open(&self) -> (MutexGuard<'_, Tables>, i64) {
        (self.tables.lock().unwrap_or_else(PoisonError::into_inner), self.clock.now().0)
    }

    /// Counts one in all of them, if there is room for so many more entries beside.
    fn take(&self, limits: &[CountLimit], beside: usize) -> Taken {
        let (mut tables, now) = self.open();
        let counts: Vec<Count> =
            limits.iter().map(|limit| live(&tables.sends, &limit.key, limit.window_s, now)).collect();
        let full = limits.iter().zip(&counts).enumerate().filter(|(_, (limit, count))| count.count >= limit.max);
        if let Some((until, limit)) = full.map(|(place, (_, count))| (count.until_micros, place)).max() {
            return Taken::Full { limit, retry_after_s: whole_seconds(until - now) };
        }
        let new = limits.iter().filter(|limit| !tables.sends.contains_key(&limit.key)).count();
        if !tables.has_room_for(new + beside, self.max, now) {
            return Taken::NoRoom;
        }
        for (limit, count) in limits.iter().zip(counts) {
            tables.sends.insert(limit.key, Count { count: count.count + 1, ..count });
        }
        Taken::Yes
    }

    fn give_back(&self, limits: &[CountLimit]) {
        let (mut tables, _) = self.open();
        for limit in limits {
            if let Some(count) = tables.sends.get_mut(&limit.key) {
                count.count = count.count.saturating_sub(1);
            }
        }
    }

    fn put(&self, key: [u8; 16], value: Vec<u8>, kept_s: u32) -> Result<(), NotReached> {
        let (mut tables, now) = self.open();
        if !tables.codes.contains_key(&key) && !tables.has_room_for(1, self.max, now) {
            return Err(NotReached);
        }
        tables.codes.insert(key, Kept { value, until_micros: now + i64::from(kept_s) * MICROS_PER_SECOND });
        Ok(())
    }

    fn find(&self, key: &[u8; 16]) -> Option<Vec<u8>> {
        let (tables, now) = self.open();
        tables.codes.get(key).filter(|kept| kept.until_micros > now).map(|kept| kept.value.clone())
    }

    fn try_code(&self, key: &[u8; 16], salt: &[u8; SALT_BYTES], code_try: CodeTry, limit: TryLimit) -> Tried {
        let (mut tables, now) = self.open();
        let tries = live(&tables.tries, key, limit.window_s, now);
        let was_counted = matches!(code_try, CodeTry::Settled | CodeTry::Released);
        if was_counted {
            tables.tries.insert(*key, Count { count: tries.count.saturating_sub(1), ..tries });
        } else if tries.count >= limit.max {
            return Tried::TooMany { retry_after_s: whole_seconds(tries.until_micros - now) };
        }
        let is_there =
            tables.codes.get(key).is_some_and(|kept| kept.until_micros > now && kept.value.starts_with(salt));
        match code_try {
            CodeTry::Released => Tried::Counted,
            CodeTry::Right | CodeTry::Wrong | CodeTry::Settled if !is_there => Tried::Gone,
            CodeTry::Right | CodeTry::Settled => {
                tables.codes.remove(key);
                Tried::Used
            }
            CodeTry::Wrong => {
                // There is room: it was looked for when the code was sent.
                tables.tries.insert(*key, Count { count: tries.count + 1, ..tries });
                Tried::Counted
            }
        }
    }

    /// Forgets everything.
    pub(super) fn clear(&self) {
        *self.open().0 = Tables::default();
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const LIMIT: TryLimit = TryLimit { max: 2, window_s: 3_600 };

    fn table(max: usize) -> (CodeTable, Clock) {
        let clock = Clock::mock(Moment(0));
        (CodeTable::new(max, clock.clone()), clock)
    }
    fn limit(key: u8, max: u32, window_s: u32) -> CountLimit {
        CountLimit { key: [key; 16], max, window_s }
    }

    #[test]
    fn a_send_that_one_count_refuses_takes_nothing_of_the_others() {
        let (table, clock) = table(100);
        let (tight, wide) = (limit(1, 1, 60), limit(2, 2, 600));
        assert_eq!(table.take(&[tight, wide], ENTRIES_OF_A_CODE), Taken::Yes);
        for _ in 0..5 {
            assert_eq!(table.take(&[tight, wide], ENTRIES_OF_A_CODE), Taken::Full { limit: 0, retry_after_s: 60 });
        }
        assert_eq!(table.take(&[wide], ENTRIES_OF_A_CODE), Taken::Yes, "the refused ones took nothing");
        clock.advance(Duration::from_secs(60));
        assert_eq!(table.take(&[tight, wide], ENTRIES_OF_A_CODE), Taken::Full { limit: 1, retry_after_s: 540 });
        table.give_back(&[wide]);
        assert_eq!(table.take(&[tight, wide], ENTRIES_OF_A_CODE), Taken::Yes);
    }

    #[test]
    fn a_full_table_refuses_and_puts_nothing_live_out() {
        let (table, clock) = table(4);
        assert_eq!(table.take(&[limit(1, 9, 60)], ENTRIES_OF_A_CODE), Taken::Yes);
        assert_eq!(table.put([1; 16], vec![1; 16], 60), Ok(()));
        assert_eq!(table.take(&[limit(2, 9, 60)], ENTRIES_OF_A_CODE), Taken::NoRoom);
        assert_eq!(table.find(&[1; 16]), Some(vec![1; 16]));
        clock.advance(Duration::from_secs(60));
        assert_eq!(table.take(&[limit(2, 9, 60)], ENTRIES_OF_A_CODE), Taken::Yes);
        assert_eq!(table.find(&[1; 16]), None);
    }

    #[test]
    fn wrong_tries_are_counted_across_codes_and_a_settled_one_is_not() {
        let (table, _) = table(100);
        let (key, first, second) = ([9; 16], [1; 16], [2; 16]);
        let code_try = |salt: &[u8; 16], code_try| table.try_code(&key, salt, code_try, LIMIT);
        assert_eq!(code_try(&first, CodeTry::Wrong), Tried::Gone, "no code, no try");
        assert_eq!(table.put(key, first.to_vec(), 600), Ok(()));
        assert_eq!(code_try(&first, CodeTry::Wrong), Tried::Counted);
        assert_eq!(code_try(&first, CodeTry::Wrong), Tried::Counted);
        assert_eq!(code_try(&first, CodeTry::Settled), Tried::Used, "it was counted before");
        assert_eq!(table.put(key, second.to_vec(), 600), Ok(()));
        assert_eq!(code_try(&first, CodeTry::Right), Tried::Gone, "replaced");
        assert_eq!(code_try(&second, CodeTry::Wrong), Tried::Counted);
        assert_eq!(code_try(&second, CodeTry::Right), Tried::TooMany { retry_after_s: 3_600 });
        assert_eq!(code_try(&second, CodeTry::Released), Tried::Counted);
        assert_eq!(code_try(&second, CodeTry::Right), Tried::Used);
        assert_eq!(code_try(&second, CodeTry::Right), Tried::Gone);
    }
}
