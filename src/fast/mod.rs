//! The fast state: what is stored already, and how much each reporter may still send.
//!
//! A filter and a budget, never the truth: it is read before the append and written after the commit, so whatever it
//! loses or invents, the journal and the builder come to the same result.

pub mod asked;
pub mod codes;
pub mod memory;
pub mod quota;
pub mod redis;

use std::num::NonZeroU32;
use std::time::Duration;

use crate::domain::clock::Moment;
use crate::domain::report::ReportId;

/// What the fast state is asked about one submission.
#[derive(Clone)]
pub struct Probe {
    /// Computed id of the report.
    pub id: ReportId,
    /// Marker half that says that this store holds this id; another for each id.
    pub store_mark: [u8; 8],
    /// Marker half of this body.
    pub body_mark: [u8; 8],
    /// Owner and fingerprint, mixed: the key of the repeat hint.
    pub hint_key: [u8; 16],
    /// Owner and reporter, mixed: the key of the reporter's quota.
    pub quota_key: [u8; 16],
    /// When it was received.
    pub now: Moment,
    /// Where its marker goes, when Redis has said so.
    pub place: Option<MarkerPlace>,
}

/// Where in the value of a reporter in Redis the marker of a report goes, bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MarkerPlace(u16);

/// What the fast state answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Admission {
    /// Stored already, with this body.
    Stored,
    /// Stored already, with another body.
    Conflict,
    /// New as far as is known. The reporter's quota has been taken, if that was asked.
    New {
        /// The same was said within the window, as far as is known.
        repeat: bool,
        /// For [`Probe::place`].
        place: Option<MarkerPlace>,
    },
    /// The reporter has used up the day.
    OverQuota {
        /// Seconds until the next report is taken.
        retry_after_s: u64,
    },
    /// The table of quotas is full of live keys.
    Full,
}

/// A nonce as nodes name it to each other. Made under a key of theirs.
#[derive(Clone, Copy)]
pub struct NonceTag {
    /// Its name.
    pub name: [u8; 16],
    /// Shows that a node has claimed it.
    pub proof: [u8; 8],
}

/// How much a carrier may.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct CarrierRate {
    /// Items a second.
    pub per_second: NonZeroU32,
    /// Items at once.
    pub burst: NonZeroU32,
    /// Items in a day; none when as many may come as do.
    pub per_day: Option<NonZeroU32>,
    /// Minutes by which the day begins before UTC's.
    pub utc_offset_minutes: i32,
}

/// What a node was granted of a carrier's limit.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Granted {
    /// Items that it may spend.
    pub items: u32,
    /// Items that are left for all nodes.
    pub left: u32,
    /// Items that are left of the day, for all nodes; none where it has no limit.
    pub left_today: Option<u32>,
    /// How long until one more can be granted; zero when all that was wanted was.
    pub wait: Duration,
}

/// The fast state could not be asked: what it holds is not known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NotReached;

/// The fast state of a node.
#[expect(clippy::large_enum_variant, reason = "a node has one")]
pub enum FastState {
    /// In this process: for one node.
    Memory(memory::MemoryState),
    /// In Redis (a server, Sentinel or a Cluster), shared by all nodes, with memory to fall back on.
    Redis(redis::RedisState),
}

impl FastState {
    /// Looks whether the report is stored already, and if not takes one of the reporter's quota (`take_quota`).
    pub async fn admit(&self, probe: &Probe, take_quota: bool) -> Admission {
        match self {
            Self::Memory(memory) => memory.admit(probe, take_quota),
            Self::Redis(redis) => redis.admit(probe, take_quota).await,
        }
    }

    /// The same where the answer is at hand; none where somebody has to be asked.
    pub fn admit_at_once(&self, probe: &Probe, take_quota: bool) -> Option<Admission> {
        match self {
            Self::Memory(memory) => Some(memory.admit(probe, take_quota)),
            Self::Redis(_) => None,
        }
    }

    /// Whether no node has claimed this nonce before, named by the first half of `nonce`; the second half proves the
    /// claim. Where that cannot be asked, the answer is yes: each node remembers its own.
    pub async fn claim_nonce(&self, nonce: &NonceTag, remembered: Duration) -> bool {
        match self {
            Self::Memory(_) => true,
            Self::Redis(redis) => redis.claim_nonce(nonce, remembered).await,
        }
    }

    /// Whether all nodes share carriers' limits, as long as that goes well.
    #[must_use]
    pub const fn shares_limits(&self) -> bool {
        matches!(self, Self::Redis(_))
    }

    /// Takes up to so many items of a carrier's limit for this node, or gives some back (`items` below 0). None when
    /// nobody can be asked. `now` is none for the time of whom is asked.
    pub async fn lease_items(
        &self,
        carrier: &[u8; 16],
        rate: CarrierRate,
        items: i64,
        now: Option<Moment>,
    ) -> Option<Granted> {
        match self {
            Self::Memory(_) => None,
            Self::Redis(redis) => redis.lease_items(carrier, rate, items, now).await,
        }
    }

    /// Remembers that the report is committed. Never waits.
    pub fn mark_stored(&self, probe: &Probe) {
        match self {
            Self::Memory(memory) => memory.mark_stored(probe),
            Self::Redis(redis) => redis.mark_stored(probe),
        }
    }

    /// Waits until what was remembered is where other nodes, and this one after a restart, look for it.
    pub async fn flush(&self, at_most: Duration) {
        match self {
            Self::Memory(_) => {}
            Self::Redis(redis) => redis.flush(at_most).await,
        }
    }

    /// Gives one back to the reporter, whose report could not be stored. Never waits.
    pub fn give_back(&self, probe: &Probe) {
        match self {
            Self::Memory(memory) => memory.give_back(probe),
            Self::Redis(redis) => redis.give_back(probe),
        }
    }

    /// Keeps what is remembered of a question to a reporter for ten minutes; false when it cannot be kept.
    pub async fn put_question(&self, key: &[u8; 16], value: Vec<u8>) -> bool {
        match self {
            Self::Memory(memory) => memory.asked.put(*key, value),
            Self::Redis(redis) => redis.put_question(key, value).await,
        }
    }

    /// Finds what is remembered of the question to a reporter.
    ///
    /// # Errors
    /// When that cannot be looked up. It is not the same as nothing.
    pub async fn find_question(&self, key: &[u8; 16]) -> Result<Option<Vec<u8>>, NotReached> {
        match self {
            Self::Memory(memory) => Ok(memory.asked.find(key)),
            Self::Redis(redis) => redis.find_question(key).await,
        }
    }

    /// Replaces what is remembered of a question, if that still is what was read (empty: nothing was there), and keeps it
    /// for `kept_s` seconds; whether it was. Of two who do so with the same reading, one does.
    ///
    /// # Errors
    /// When it is not known whether it was replaced.
    pub async fn replace_question(
        &self,
        key: &[u8; 16],
        before: &[u8],
        value: Vec<u8>,
        kept_s: i64,
    ) -> Result<bool, NotReached> {
        match self {
            Self::Memory(memory) => Ok(memory.asked.replace(key, before, value, kept_s)),
            Self::Redis(redis) => redis.replace_question(key, before, value, kept_s).await,
        }
    }

    /// What is lost at the moment, in a sentence; none when nothing is.
    #[must_use]
    pub fn degradation(&self) -> Option<&'static str> {
        match self {
            Self::Memory(_) => None,
            Self::Redis(redis) => redis.degradation(),
        }
    }

    /// Forgets what this node remembers as stored: the store is another. What Redis holds is not believed by itself.
    pub fn forget_seen(&self) {
        match self {
            Self::Memory(memory) => memory.forget_seen(),
            Self::Redis(redis) => redis.forget_local_seen(),
        }
    }

    /// Forgets everything, as a restart or a `FLUSHALL` would; for tests of exactly that.
    pub fn forget_all(&self) {
        match self {
            Self::Memory(memory) => memory.forget_all(),
            Self::Redis(redis) => redis.forget_local(),
        }
    }
}
