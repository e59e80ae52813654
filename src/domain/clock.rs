//! Time as the gateway sees it: microseconds since 1970 UTC, and a clock that tests can turn by hand.

use std::fmt;
use std::ops::Add;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use governor::clock::{Clock as GovernorClock, Reference};
use governor::nanos::Nanos;

/// Microseconds in one second.
pub const MICROS_PER_SECOND: i64 = 1_000_000;
/// Microseconds in one day.
pub const MICROS_PER_DAY: i64 = 24 * 60 * 60 * MICROS_PER_SECOND;
/// The longest time stamp read from a caller, bytes. RFC 3339 with nanoseconds and an offset needs 35.
const TIME_STAMP_MAX_BYTES: usize = 40;

/// A moment, in microseconds since 1970-01-01T00:00:00Z. The unit of every time in both databases.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Moment(pub i64);

impl Moment {
    /// Reads an RFC 3339 time stamp with an offset; finer digits than microseconds are cut.
    #[must_use]
    pub fn parse_rfc3339(text: &str) -> Option<Self> {
        // The library also reads time zone annotations in brackets (RFC 9557); the wire format promises RFC 3339 only.
        if text.len() > TIME_STAMP_MAX_BYTES || text.contains('[') {
            return None;
        }
        text.parse::<jiff::Timestamp>().ok().map(|stamp| Self(stamp.as_microsecond()))
    }

    /// The moment as RFC 3339 in UTC with milliseconds, such as `2026-11-24T08:00:00.123Z`.
    #[must_use]
    pub fn to_rfc3339(self) -> String {
        jiff::Timestamp::from_microsecond(self.0).map_or_else(|_| String::new(), |stamp| format!("{stamp:.3}"))
    }

    /// So long after it.
    #[must_use]
    pub fn after(self, by: Duration) -> Self {
        Self(self.0.saturating_add(i64::try_from(by.as_micros()).unwrap_or(i64::MAX)))
    }

    /// The year in UTC, for references.
    #[must_use]
    pub fn year(self) -> i16 {
        jiff::Timestamp::from_microsecond(self.0).map_or(0, |stamp| jiff::tz::Offset::UTC.to_datetime(stamp).year())
    }

    /// Microseconds from `earlier` to this moment; negative when `earlier` is later.
    #[must_use]
    pub const fn micros_since(self, earlier: Self) -> i64 {
        self.0.saturating_sub(earlier.0)
    }
}

/// A day, as days since 1970-01-01.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Day(pub i32);

impl Day {
    /// Reads `2026-11-24`.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let moment = if text.len() == 10 { Moment::parse_rfc3339(&format!("{text}T00:00:00Z"))? } else { return None };
        Some(moment.day_at(0))
    }
}

impl fmt::Display for Day {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let first = Moment(i64::from(self.0).saturating_mul(MICROS_PER_DAY)).to_rfc3339();
        f.write_str(first.get(..10).unwrap_or_default())
    }
}

impl Moment {
    /// The day it lies in, where clocks are so many minutes ahead of UTC.
    #[must_use]
    pub fn day_at(self, utc_offset_minutes: i32) -> Day {
        let there = self.0.saturating_add(i64::from(utc_offset_minutes).saturating_mul(60 * MICROS_PER_SECOND));
        Day(i32::try_from(there.div_euclid(MICROS_PER_DAY)).unwrap_or(i32::MAX))
    }

    /// How soon that day ends; never zero.
    #[must_use]
    pub fn rest_of_day_at(self, utc_offset_minutes: i32) -> Duration {
        let there = self.0.saturating_add(i64::from(utc_offset_minutes).saturating_mul(60 * MICROS_PER_SECOND));
        Duration::from_micros((MICROS_PER_DAY - there.rem_euclid(MICROS_PER_DAY)).unsigned_abs())
    }
}

/// Where the time comes from. An enum and not a trait: there are exactly two, and it is cloned into every part.
#[derive(Clone)]
pub enum Clock {
    /// The machine's clock.
    System,
    /// A clock that moves only when a test moves it.
    Mock(Arc<AtomicI64>),
}

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::System => "Clock::System",
            Self::Mock(_) => "Clock::Mock",
        })
    }
}

impl Clock {
    /// A clock that stands at `start` until it is moved.
    #[must_use]
    pub fn mock(start: Moment) -> Self {
        Self::Mock(Arc::new(AtomicI64::new(start.0)))
    }

    /// The present moment.
    #[must_use]
    pub fn now(&self) -> Moment {
        match self {
            Self::System => {
                let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
                Moment(i64::try_from(since_epoch.as_micros()).unwrap_or(i64::MAX))
            }
            Self::Mock(micros) => Moment(micros.load(Ordering::SeqCst)),
        }
    }

    /// The moment where a test turns the clock; none where everybody's clock is right, and may be asked.
    #[must_use]
    pub fn turned(&self) -> Option<Moment> {
        match self {
            Self::System => None,
            Self::Mock(_) => Some(self.now()),
        }
    }

    /// Moves a mock clock forward; the machine's clock does not move.
    pub fn advance(&self, by: Duration) {
        if let Self::Mock(micros) = self {
            micros.fetch_add(i64::try_from(by.as_micros()).unwrap_or(i64::MAX), Ordering::SeqCst);
        }
    }
}

/// A point on the time line of the rate limits, in nanoseconds since the process began to look.
///
/// On the machine it follows the clock that never steps back, or a corrected clock would stop all intake for as long as
/// the step was. A mock clock turns the limits with everything else.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct LimitInstant(u64);

impl LimitInstant {
    /// Nanoseconds on that time line.
    #[must_use]
    pub const fn as_nanos(self) -> u64 {
        self.0
    }
}

impl Add<Nanos> for LimitInstant {
    type Output = Self;
    fn add(self, other: Nanos) -> Self {
        Self(self.0.saturating_add(other.as_u64()))
    }
}

impl Reference for LimitInstant {
    fn duration_since(&self, earlier: Self) -> Nanos {
        self.0.saturating_sub(earlier.0).into()
    }
    fn saturating_sub(&self, duration: Nanos) -> Self {
        Self(self.0.checked_sub(duration.as_u64()).unwrap_or(self.0))
    }
}

impl GovernorClock for Clock {
    type Instant = LimitInstant;
    fn now(&self) -> LimitInstant {
        static STARTED: OnceLock<Instant> = OnceLock::new();
        LimitInstant(match self {
            Self::System => u64::try_from(STARTED.get_or_init(Instant::now).elapsed().as_nanos()).unwrap_or(u64::MAX),
            Self::Mock(micros) => u64::try_from(micros.load(Ordering::SeqCst)).unwrap_or(0).saturating_mul(1_000),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_stamp_is_read_with_any_offset_and_written_in_utc() {
        let moment = Moment::parse_rfc3339("2026-11-24T15:00:00.5+07:00");
        assert_eq!(moment.map(Moment::to_rfc3339).as_deref(), Some("2026-11-24T08:00:00.500Z"));
    }

    #[test]
    fn a_time_stamp_without_an_offset_or_with_a_zone_name_is_not_read() {
        for text in ["2026-11-24T15:00:00", "2026-11-24", "", "2026-11-24T15:00:00+07:00[Asia/Ho_Chi_Minh]"] {
            assert_eq!(Moment::parse_rfc3339(text), None, "{text}");
        }
    }

    #[test]
    fn a_day_begins_at_midnight_of_its_region() {
        let day = |text: &str| Moment::parse_rfc3339(text).map(|moment| moment.day_at(420).to_string());
        assert_eq!(day("2026-11-24T16:59:59.999999Z").as_deref(), Some("2026-11-24"));
        assert_eq!(day("2026-11-24T17:00:00Z").as_deref(), Some("2026-11-25"));
        assert_eq!(day("1969-12-31T16:59:59Z").as_deref(), Some("1969-12-31"));
        let rest = |text: &str| Moment::parse_rfc3339(text).map(|moment| moment.rest_of_day_at(420));
        assert_eq!(rest("2026-11-24T16:59:59.999999Z"), Some(Duration::from_micros(1)));
        assert_eq!(rest("2026-11-24T17:00:00Z"), Some(Duration::from_secs(86_400)));
        assert_eq!(rest("1969-12-31T16:59:59Z"), Some(Duration::from_secs(1)));
        assert_eq!(Day::parse("2026-11-24"), Moment::parse_rfc3339("2026-11-24T05:00:00Z").map(|at| at.day_at(420)));
        for text in ["", "2026-11-31", "2026-1-24", "24.11.2026", "2026-11-24T00:00:00Z", "2026-11-2\u{e9}"] {
            assert_eq!(Day::parse(text), None, "{text}");
        }
    }

    #[test]
    fn a_mock_clock_moves_only_when_it_is_moved() {
        let clock = Clock::mock(Moment(5));
        assert_eq!(clock.now(), Moment(5));
        clock.advance(Duration::from_micros(7));
        assert_eq!(clock.now(), Moment(12));
    }
}
