//! A carrier's limits: items a second, items at once, items in a day; one for all nodes where they share a Redis.
//!
//! A node leases items there, some 50 ms worth of what it spends, before it runs out of them, and gives back what it does
//! not need. So a request takes one by an addition, and asks nobody; only the first after a pause waits for an answer.
//! While Redis is away each node goes by limits of its own, with all of the rate and what it knows of the day.

use std::collections::HashMap;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use actix_web::http::header::HeaderValue;
use actix_web::web::Bytes;
use governor::clock::Clock as GovernorClock;
use governor::middleware::StateInformationMiddleware;
use governor::state::{InMemoryState, NotKeyed};
use governor::{Quota, RateLimiter};
use tokio::sync::{Notify, mpsc};
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::{Instant, MissedTickBehavior};

use super::authenticate::RateFields;
use super::signatures::nonces::REMEMBERED_S;
use crate::domain::clock::{Clock, Day, Moment};
use crate::fast::{CarrierRate, FastState, Granted};
use crate::http::problem::Problem;

/// How often one looks what a node has leased and does not spend. What it spends in this time is what it leases.
const LOOK_EVERY: Duration = Duration::from_millis(50);
/// How often a node asks for what is used up, at most: items gather meanwhile, for whoever asks.
const ASK_AGAIN_AFTER: Duration = Duration::from_millis(10);
/// How long a node goes by its own limit when nothing could be leased, before it asks again.
const OWN_FOR: Duration = Duration::from_millis(100);
/// How soon a node asks again for items of a day that is used up: another node may give back what it does not need.
const ASK_FOR_DAY_AGAIN_AFTER: Duration = Duration::from_secs(1);

type OwnLimiter = RateLimiter<NotKeyed, InMemoryState, Clock, StateInformationMiddleware>;

/// How much a carrier may. It belongs to the carrier, not to a key or to other terms: what changes these refills nothing.
pub struct CarrierLimit {
    rate: CarrierRate,
    policy: HeaderValue,
    /// The node's own.
    own: OwnLimiter,
    /// What this node has let through today, of its own limit or of what was leased.
    today: Arc<DayCount>,
    /// The node's share of what all nodes share.
    share: Option<Arc<Share>>,
}

impl CarrierLimit {
    /// A limit that is full; as far as this node knows, where it is shared.
    pub fn new(rate: CarrierRate, clock: Clock, carrier: &[u8; 16], leases: Option<&Leases>) -> Self {
        let share = leases.map(|leases| Arc::new(Share::new(*carrier, rate, clock.clone(), leases)));
        Self::with(rate, clock, Arc::default(), share)
    }

    fn with(rate: CarrierRate, clock: Clock, today: Arc<DayCount>, share: Option<Arc<Share>>) -> Self {
        let CarrierRate { per_second, burst, per_day, .. } = rate;
        let quota = Quota::per_second(per_second).allow_burst(burst);
        let window_s = burst.get().div_ceil(per_second.get());
        let day = per_day.map_or_else(String::new, |per_day| format!(", \"carrier_day\";q={per_day};w=86400"));
        Self {
            rate,
            policy: header_value(format!("\"carrier\";q={burst};w={window_s}{day}")),
            own: RateLimiter::direct_with_clock(quota, clock).with_middleware(),
            today,
            share,
        }
    }

    /// The limit on other terms. What was used up stays so: no more is left than was.
    #[must_use]
    pub fn on_terms(&self, rate: CarrierRate) -> Self {
        if let Some(share) = &self.share {
            share.set_rate(rate);
        }
        let next = Self::with(rate, self.own.clock().clone(), Arc::clone(&self.today), self.share.clone());
        // Asking takes one, which was left.
        let left = self.own.check().map_or(0, |state| state.remaining_burst_capacity().saturating_add(1));
        if let Some(used) = NonZeroU32::new(rate.burst.get().saturating_sub(left)) {
            // There are as many: it is full.
            let _ = next.own.check_n(used);
        }
        next
    }

    /// Items a second, at once, and in a day.
    #[must_use]
    pub const fn rate(&self) -> CarrierRate {
        self.rate
    }

    /// Nonces that are remembered, at most, in the time they are: twice as many as signed requests can be taken.
    #[must_use]
    pub fn nonces_max(&self) -> usize {
        let (per_second, burst) = (u64::from(self.rate.per_second.get()), u64::from(self.rate.burst.get()));
        let max = per_second.saturating_mul(2 * REMEMBERED_S.unsigned_abs()).saturating_add(burst);
        usize::try_from(max).unwrap_or(usize::MAX)
    }

    /// Takes one item of the carrier's limit.
    ///
    /// # Errors
    /// 429 with the time to wait.
    pub async fn take_one(&self) -> Result<RateFields, Problem> {
        match self.take().await {
            Ok(left) => Ok(self.fields(left)),
            Err(used_up) => Err(used_up.problem().with_rate(self.fields(self.left_beside(used_up)))),
        }
    }

    /// Takes one item for one report of many, which has no place for rate limit fields.
    ///
    /// # Errors
    /// 429 with the time to wait.
    pub async fn take_one_of_many(&self) -> Result<(), Problem> {
        self.take().await.map(drop).map_err(UsedUp::problem)
    }

    /// The same where the answer is at hand; none where somebody has to be asked.
    #[must_use]
    pub fn take_one_of_many_at_once(&self) -> Option<Result<(), Problem>> {
        let taken = match self.share.as_ref().map(Share::look) {
            Some(Look::Taken(_)) => {
                self.count_leased();
                Ok(())
            }
            Some(Look::UsedUp(used_up)) => Err(used_up),
            Some(Look::Unknown) => return None,
            Some(Look::Away) | None => self.take_own().map(drop),
        };
        Some(taken.map_err(UsedUp::problem))
    }

    /// How many are left then, or what is used up.
    async fn take(&self) -> Result<Left, UsedUp> {
        if let Some(share) = &self.share
            && let Some(taken) = share.take().await
        {
            if taken.is_ok() {
                self.count_leased();
            }
            return taken;
        }
        self.take_own()
    }

    fn take_own(&self) -> Result<Left, UsedUp> {
        let (today, ends_in) = self.day();
        let per_day = self.rate.per_day.map(NonZeroU32::get);
        let taken_today = self.today.take(today, per_day).ok_or(UsedUp::Day(ends_in))?;
        match self.own.check() {
            Ok(state) => Ok(Left {
                items: state.remaining_burst_capacity(),
                today: per_day.map(|per_day| per_day.saturating_sub(taken_today)),
            }),
            Err(not_until) => {
                self.today.give_back(today);
                Err(UsedUp::Rate(not_until.wait_time_from(GovernorClock::now(self.own.clock()))))
            }
        }
    }

    fn count_leased(&self) {
        // Whether there was one was asked elsewhere.
        let _ = self.today.take(self.day().0, None);
    }

    /// The carrier's day, and how soon it ends.
    fn day(&self) -> (Day, Duration) {
        let offset = self.rate.utc_offset_minutes;
        let now = Clock::now(self.own.clock());
        (now.day_at(offset), now.rest_of_day_at(offset))
    }

    /// What is left of the one limit when the other is used up, as far as this node knows.
    fn left_beside(&self, used_up: UsedUp) -> Left {
        match (used_up, &self.share) {
            (UsedUp::Day(_), _) => Left { items: 0, today: Some(0) },
            (UsedUp::Rate(_), Some(share)) => Left { items: 0, today: share.left_today() },
            (UsedUp::Rate(_), None) => {
                let taken = self.today.taken(self.day().0);
                Left { items: 0, today: self.rate.per_day.map(|per_day| per_day.get().saturating_sub(taken)) }
            }
        }
    }

    fn fields(&self, left: Left) -> RateFields {
        let Left { items, today } = left;
        let full_in_s = self.rate.burst.get().saturating_sub(items).div_ceil(self.rate.per_second.get());
        let today = today
            .map_or_else(String::new, |today| format!(", \"carrier_day\";r={today};t={}", whole_seconds(self.day().1)));
        let limit = header_value(format!("\"carrier\";r={items};t={full_in_s}{today}"));
        RateFields { policy: self.policy.clone(), limit }
    }
}

/// What is left of a carrier's limits, as far as is known.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Left {
    /// Items at once.
    items: u32,
    /// Items of this day; none where it has no limit.
    today: Option<u32>,
}

/// Which of a carrier's limits is used up, and for how long.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum UsedUp {
    Rate(Duration),
    Day(Duration),
}

impl UsedUp {
    fn problem(self) -> Problem {
        match self {
            Self::Rate(wait) => Problem::carrier_over_limit(whole_seconds(wait)),
            Self::Day(wait) => Problem::carrier_over_day_quota(whole_seconds(wait)),
        }
    }
}

/// How many items a node has let through in a day: the day in the upper half, the items in the lower.
#[derive(Default)]
struct DayCount(AtomicU64);

impl DayCount {
    /// Counts one, unless there are `max` already; how many there are then.
    fn take(&self, today: Day, max: Option<u32>) -> Option<u32> {
        let mut taken = 0;
        let count = |stored: u64| {
            let before = Self::items_of(stored, today);
            taken = before.saturating_add(1);
            max.is_none_or(|max| before < max).then(|| Self::stored(today, taken))
        };
        self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, count).ok().map(|_| taken)
    }

    fn give_back(&self, today: Day) {
        let count = |stored: u64| Some(Self::stored(today, Self::items_of(stored, today).saturating_sub(1)));
        let _ = self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, count);
    }

    fn taken(&self, today: Day) -> u32 {
        Self::items_of(self.0.load(Ordering::Relaxed), today)
    }

    const fn stored(today: Day, items: u32) -> u64 {
        (today.0.cast_unsigned() as u64) << 32 | items as u64
    }

    #[expect(clippy::cast_possible_truncation, reason = "the lower half is meant")]
    const fn items_of(stored: u64, today: Day) -> u32 {
        if stored >> 32 == today.0.cast_unsigned() as u64 { stored as u32 } else { 0 }
    }
}

/// What a look at a share finds.
enum Look {
    /// An item, and what is left.
    Taken(Left),
    /// None.
    UsedUp(UsedUp),
    /// None here; whether there is one elsewhere is not known.
    Unknown,
    /// Nobody can be asked.
    Away,
}

/// What a node has leased of one carrier's limit.
struct Share {
    carrier: [u8; 16],
    clock: Clock,
    per_second: AtomicU32,
    burst: AtomicU32,
    /// 0 for as many as come.
    per_day: AtomicU32,
    utc_offset_minutes: i32,
    /// Items leased and not spent.
    held: AtomicU32,
    /// Items left for all nodes, as was told last.
    left: AtomicU32,
    /// The same of the day.
    left_today: AtomicU32,
    /// Fewer than these, and more are leased.
    low: AtomicU32,
    /// There was none, of the day or of the rate; the time, as the limits count it, until which nothing is asked, and the
    /// one until which there is none.
    is_day_used_up: AtomicBool,
    ask_again_at: AtomicU64,
    used_up_until: AtomicU64,
    /// Nothing could be leased; and the time, as the machine counts it, until which nothing is asked.
    away_until: AtomicU64,
    /// Spent since the last look, and between that and the one before.
    spent: AtomicU32,
    spent_before: AtomicU32,
    /// Requests that wait for an answer.
    waiting: AtomicU32,
    /// A question is on its way.
    is_asking: AtomicBool,
    news: Notify,
    questions: mpsc::UnboundedSender<Arc<Share>>,
    /// The longest a request waits.
    timeout: Duration,
}

impl Share {
    fn new(carrier: [u8; 16], rate: CarrierRate, clock: Clock, leases: &Leases) -> Self {
        Self {
            carrier,
            clock,
            per_second: AtomicU32::new(rate.per_second.get()),
            burst: AtomicU32::new(rate.burst.get()),
            per_day: AtomicU32::new(rate.per_day.map_or(0, NonZeroU32::get)),
            utc_offset_minutes: rate.utc_offset_minutes,
            held: AtomicU32::new(0),
            left: AtomicU32::new(0),
            left_today: AtomicU32::new(0),
            low: AtomicU32::new(0),
            is_day_used_up: AtomicBool::new(false),
            ask_again_at: AtomicU64::new(0),
            used_up_until: AtomicU64::new(0),
            away_until: AtomicU64::new(0),
            spent: AtomicU32::new(0),
            spent_before: AtomicU32::new(0),
            waiting: AtomicU32::new(0),
            is_asking: AtomicBool::new(false),
            news: Notify::new(),
            questions: leases.questions.clone(),
            timeout: leases.timeout,
        }
    }

    fn set_rate(&self, rate: CarrierRate) {
        self.per_second.store(rate.per_second.get(), Ordering::Relaxed);
        self.burst.store(rate.burst.get(), Ordering::Relaxed);
        self.per_day.store(rate.per_day.map_or(0, NonZeroU32::get), Ordering::Relaxed);
        // What was said of the time to wait was said of the other rate.
        self.ask_again_at.store(0, Ordering::Release);
    }

    fn rate(&self) -> CarrierRate {
        let number = |of: &AtomicU32| NonZeroU32::new(of.load(Ordering::Relaxed)).unwrap_or(NonZeroU32::MIN);
        CarrierRate {
            per_second: number(&self.per_second),
            burst: number(&self.burst),
            per_day: self.per_day(),
            utc_offset_minutes: self.utc_offset_minutes,
        }
    }

    fn per_day(&self) -> Option<NonZeroU32> {
        NonZeroU32::new(self.per_day.load(Ordering::Relaxed))
    }

    fn left_today(&self) -> Option<u32> {
        self.per_day().map(|_| self.left_today.load(Ordering::Relaxed))
    }

    fn look(self: &Arc<Self>) -> Look {
        let taken = self.held.fetch_update(Ordering::AcqRel, Ordering::Acquire, |held| held.checked_sub(1));
        if let Ok(held) = taken {
            let held = held.saturating_sub(1);
            self.spent.fetch_add(1, Ordering::Relaxed);
            if held < self.low.load(Ordering::Relaxed) && self.used_up().is_none() && !self.is_away() {
                self.ask();
            }
            return Look::Taken(Left {
                items: held.saturating_add(self.left.load(Ordering::Relaxed)),
                today: self.left_today().map(|left| held.saturating_add(left)),
            });
        }
        match self.used_up() {
            _ if self.is_away() => Look::Away,
            Some(used_up) => Look::UsedUp(used_up),
            None => Look::Unknown,
        }
    }

    /// None when it is time to ask.
    fn used_up(&self) -> Option<UsedUp> {
        let now = GovernorClock::now(&self.clock).as_nanos();
        if self.ask_again_at.load(Ordering::Acquire) <= now {
            return None;
        }
        let wait = Duration::from_nanos(self.used_up_until.load(Ordering::Relaxed).saturating_sub(now));
        let is_of_day = self.is_day_used_up.load(Ordering::Relaxed);
        Some(if is_of_day { UsedUp::Day(wait) } else { UsedUp::Rate(wait) })
    }

    fn is_away(&self) -> bool {
        machine_nanos() < self.away_until.load(Ordering::Acquire)
    }

    /// Takes one, and waits for an answer if it must; none when there was none in time.
    async fn take(self: &Arc<Self>) -> Option<Result<Left, UsedUp>> {
        let mut deadline = None;
        let mut look = self.look();
        loop {
            match look {
                Look::Taken(left) => return Some(Ok(left)),
                Look::UsedUp(used_up) => return Some(Err(used_up)),
                Look::Away => return None,
                Look::Unknown => {}
            }
            let deadline = *deadline.get_or_insert_with(|| Instant::now() + self.timeout);
            let news = self.news.notified();
            tokio::pin!(news);
            // From here on no answer is missed; one may have come before.
            news.as_mut().enable();
            look = self.look();
            if !matches!(look, Look::Unknown) {
                continue;
            }
            let _waiting = Waiting::count(&self.waiting);
            self.ask();
            tokio::time::timeout_at(deadline, news).await.ok()?;
            look = self.look();
        }
    }

    /// Asks for more, unless that is on its way.
    fn ask(self: &Arc<Self>) {
        if !self.is_asking.swap(true, Ordering::AcqRel) {
            // Nobody listens only when the gateway ends.
            let _ = self.questions.send(Arc::clone(self));
        }
    }

    /// As many as are spent between two looks, or are waited for.
    fn wanted(&self) -> u32 {
        let counts = [&self.spent, &self.spent_before, &self.waiting];
        let wanted = counts.into_iter().map(|count| count.load(Ordering::Relaxed)).max().unwrap_or(1);
        wanted.clamp(1, self.burst.load(Ordering::Relaxed).max(1))
    }

    /// The time that Redis should go by, where it is not its own: a clock that tests turn.
    fn now(&self) -> Option<Moment> {
        match &self.clock {
            Clock::System => None,
            Clock::Mock(_) => Some(Clock::now(&self.clock)),
        }
    }

    fn settle(&self, rate: CarrierRate, wanted: u32, answer: Option<Granted>) {
        match answer {
            Some(Granted { items, left, left_today, wait }) => {
                self.left.store(left, Ordering::Relaxed);
                self.left_today.store(left_today.unwrap_or(0), Ordering::Relaxed);
                self.low.store(wanted / 2, Ordering::Relaxed);
                self.held.fetch_add(items, Ordering::AcqRel);
                let mut ask_again_at = 0;
                if items < wanted {
                    let is_of_day = left_today == Some(0);
                    let pause = if is_of_day { wait.min(ASK_FOR_DAY_AGAIN_AFTER) } else { pause(rate, wait) };
                    let now = GovernorClock::now(&self.clock).as_nanos();
                    ask_again_at = now.saturating_add(nanos(pause));
                    self.is_day_used_up.store(is_of_day, Ordering::Relaxed);
                    self.used_up_until.store(now.saturating_add(nanos(wait.max(pause))), Ordering::Relaxed);
                }
                self.ask_again_at.store(ask_again_at, Ordering::Release);
            }
            None => {
                self.away_until.store(machine_nanos().saturating_add(nanos(OWN_FOR)), Ordering::Release);
            }
        }
        self.is_asking.store(false, Ordering::Release);
        self.news.notify_waiters();
    }

    /// Takes out what is held and is more than was spent since the last look.
    fn take_surplus(&self) -> u32 {
        let spent = self.spent.swap(0, Ordering::Relaxed);
        self.spent_before.store(spent, Ordering::Relaxed);
        let kept = |held: u32| (held > spent).then_some(spent);
        let surplus = match self.held.fetch_update(Ordering::AcqRel, Ordering::Acquire, kept) {
            Ok(held) => held.saturating_sub(spent),
            Err(_few) => 0,
        };
        self.left.fetch_add(surplus, Ordering::Relaxed);
        self.left_today.fetch_add(surplus, Ordering::Relaxed);
        surplus
    }

    fn is_idle(&self) -> bool {
        let counts = [&self.held, &self.spent, &self.spent_before, &self.waiting];
        counts.iter().all(|count| count.load(Ordering::Relaxed) == 0) && !self.is_asking.load(Ordering::Relaxed)
    }
}

/// A request that waits, as long as its client does.
struct Waiting<'a>(&'a AtomicU32);

impl<'a> Waiting<'a> {
    fn count(count: &'a AtomicU32) -> Self {
        count.fetch_add(1, Ordering::Relaxed);
        Self(count)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Leases what nodes share, in one task beside the requests.
pub struct Leases {
    questions: mpsc::UnboundedSender<Arc<Share>>,
    timeout: Duration,
    task: JoinHandle<()>,
}

impl Drop for Leases {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Leases {
    /// Begins; none where nodes share nothing. Must be called within a Tokio runtime that outlives it. `timeout` is the
    /// longest a request waits for an answer.
    #[must_use]
    pub fn start(fast: Arc<FastState>, timeout: Duration) -> Option<Self> {
        // No more questions than carriers: each has one on its way at most.
        let (questions, asked) = mpsc::unbounded_channel();
        fast.shares_limits().then(|| Self { questions, timeout, task: tokio::spawn(tend(fast, asked)) })
    }
}

async fn tend(fast: Arc<FastState>, mut asked: mpsc::UnboundedReceiver<Arc<Share>>) {
    let mut calls = JoinSet::new();
    // Those that hold or spend something.
    let mut shares: HashMap<[u8; 16], Arc<Share>> = HashMap::new();
    let mut looks = tokio::time::interval(LOOK_EVERY);
    looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            share = asked.recv() => {
                let Some(share) = share else { return };
                shares.entry(share.carrier).or_insert_with(|| Arc::clone(&share));
                let fast = Arc::clone(&fast);
                calls.spawn(async move {
                    let (rate, wanted) = (share.rate(), share.wanted());
                    let answer = fast.lease_items(&share.carrier, rate, i64::from(wanted), share.now()).await;
                    share.settle(rate, wanted, answer);
                });
            }
            _ = looks.tick(), if !shares.is_empty() => {
                for share in shares.values() {
                    let surplus = share.take_surplus();
                    if surplus > 0 {
                        let (fast, share) = (Arc::clone(&fast), Arc::clone(share));
                        calls.spawn(async move {
                            let (rate, back) = (share.rate(), -i64::from(surplus));
                            // What cannot be given back is lost: the carrier gets no more than it may.
                            let _ = fast.lease_items(&share.carrier, rate, back, share.now()).await;
                        });
                    }
                }
                shares.retain(|_, share| !share.is_idle());
            }
            _ = calls.join_next(), if !calls.is_empty() => {}
        }
    }
}

/// How long nothing is asked for when less was granted than was wanted: until there is one more, and at least so long that
/// not every single item is asked for; but not so long that the limit could become full and lose some.
fn pause(rate: CarrierRate, wait: Duration) -> Duration {
    let half_full = Duration::from_secs(u64::from(rate.burst.get())) / rate.per_second.get() / 2;
    wait.max(ASK_AGAIN_AFTER.min(half_full))
}

/// Nanoseconds by the machine's clock that never steps back.
fn machine_nanos() -> u64 {
    GovernorClock::now(&Clock::System).as_nanos()
}

fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

/// A header value of digits and signs of our own.
fn header_value(text: String) -> HeaderValue {
    HeaderValue::from_maybe_shared(Bytes::from(text)).unwrap_or(HeaderValue::from_static("\"carrier\""))
}

/// Whole seconds that are enough to wait, at least 1.
fn whole_seconds(wait: Duration) -> u64 {
    wait.as_secs().saturating_add(u64::from(wait.subsec_nanos() > 0)).max(1)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may stop where it fails")]
    use super::*;

    fn rate(per_second: u32, burst: u32) -> CarrierRate {
        let (per_second, burst) = (per_second.try_into().unwrap(), burst.try_into().unwrap());
        CarrierRate { per_second, burst, per_day: None, utc_offset_minutes: 0 }
    }

    fn limit(rate: CarrierRate) -> CarrierLimit {
        CarrierLimit::new(rate, Clock::mock(Moment(0)), &[1; 16], None)
    }

    #[test]
    fn other_terms_refill_nothing() {
        for (used, next, left) in [(3, rate(1, 10), 7), (10, rate(2, 20), 0), (1, rate(1, 4), 4), (0, rate(1, 20), 10)]
        {
            let before = limit(rate(1, 10));
            (0..used).for_each(|_| assert!(before.take_own().is_ok()));
            let after = before.on_terms(next);
            assert_eq!((0..100).take_while(|_| after.take_own().is_ok()).count(), left, "{used} used, then {next:?}");
        }
    }

    #[test]
    fn a_day_is_counted_apart_from_the_next() {
        let (today, tomorrow, count) = (Day(20_000), Day(20_001), DayCount::default());
        assert_eq!([1, 2, 3].map(|_| count.take(today, Some(2))), [Some(1), Some(2), None]);
        assert_eq!((count.taken(today), count.taken(tomorrow)), (2, 0));
        count.give_back(today);
        assert_eq!(count.take(today, None), Some(2));
        assert_eq!(count.take(tomorrow, Some(1)), Some(1));
        assert_eq!((count.taken(today), count.taken(tomorrow)), (0, 1));
    }

    #[test]
    fn twice_the_signed_requests_that_can_be_taken_are_remembered() {
        assert_eq!(limit(rate(1_000, 2_000)).nonces_max(), 842_000);
        assert_eq!(limit(rate(5_000, 1)).nonces_max(), 4_200_001);
    }

    #[test]
    fn what_is_used_up_is_asked_for_seldom_but_before_it_is_full_again() {
        let milliseconds = Duration::from_millis;
        assert_eq!(pause(rate(1, 3), milliseconds(900)), milliseconds(900));
        assert_eq!(pause(rate(1_000, 2_000), milliseconds(1)), milliseconds(10));
        assert_eq!(pause(rate(1_000, 4), milliseconds(1)), milliseconds(2));
        assert_eq!(pause(rate(1_000, 1), milliseconds(1)), milliseconds(1));
    }
}
