//! The fast state in one Redis server, with a small memory of its own to fall back on.
//!
//! Redis may hang, lie, be flushed or die. Every call has a time limit; after a failure the circuit stays open for a
//! while and the node goes on with what it remembers itself. Everything read is checked under the mark key.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use redis::aio::{ConnectionManager, ConnectionManagerConfig};
use redis::{Client, Script};
use tokio::sync::Notify;

use super::memory::MemoryState;
use super::{Admission, Probe};
use crate::domain::clock::MICROS_PER_SECOND;
use crate::domain::report::REPEAT_WINDOW_MICROS;

/// How long a marker is kept: as long as a report may be sent again, 32 days.
const SEEN_TTL_S: u64 = 32 * 24 * 60 * 60;
/// How long a repeat hint is kept.
const HINT_TTL_S: i64 = REPEAT_WINDOW_MICROS / MICROS_PER_SECOND;
/// How long the circuit stays open after a failure.
const CIRCUIT_OPEN: Duration = Duration::from_secs(1);
/// Longest time a connection may take to be made.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);
/// Jobs that wait to be written to Redis, at most; the oldest are dropped.
const JOBS_MAX: usize = 100_000;
/// Jobs in one pipeline.
const PIPELINE_MAX: usize = 1_000;

/// Settings of the Redis state.
#[derive(Clone, Debug)]
pub struct RedisSettings {
    /// `redis://…` or `redis+unix://…`.
    pub url: String,
    /// First part of every key.
    pub key_prefix: String,
    /// Longest time one answer may take.
    pub timeout: Duration,
    /// Reports a reporter may send a day.
    pub reporter_per_day: u32,
}

/// What is written after the commit.
enum Job {
    Mark(Probe),
    GiveBack(Probe),
}

/// Jobs for Redis; bounded, the oldest go first.
#[derive(Default)]
struct JobQueue {
    jobs: Mutex<VecDeque<Job>>,
    news: Notify,
}

impl JobQueue {
    fn push(&self, job: Job) {
        let mut jobs = self.jobs.lock().unwrap_or_else(PoisonError::into_inner);
        if jobs.len() >= JOBS_MAX {
            jobs.pop_front();
        }
        jobs.push_back(job);
        drop(jobs);
        self.news.notify_one();
    }

    fn take(&self) -> Vec<Job> {
        let mut jobs = self.jobs.lock().unwrap_or_else(PoisonError::into_inner);
        let count = jobs.len().min(PIPELINE_MAX);
        jobs.drain(..count).collect()
    }
}

/// Open until a time, after a failure.
struct Circuit {
    started: Instant,
    open_until_ms: AtomicI64,
}

impl Circuit {
    fn now_ms(&self) -> i64 {
        i64::try_from(self.started.elapsed().as_millis()).unwrap_or(i64::MAX)
    }

    fn is_open(&self) -> bool {
        self.now_ms() < self.open_until_ms.load(Ordering::Relaxed)
    }

    /// Whether the last answer asked for did not come.
    fn has_failed(&self) -> bool {
        self.open_until_ms.load(Ordering::Relaxed) != 0
    }

    /// Whether this caller may try. When the time is up, one caller finds out for all the others.
    fn may_try(&self) -> bool {
        let until = self.open_until_ms.load(Ordering::Relaxed);
        if until == 0 {
            return true;
        }
        let now = self.now_ms();
        now >= until
            && self.open_until_ms.compare_exchange(until, now + open_ms(), Ordering::Relaxed, Ordering::Relaxed).is_ok()
    }

    fn record_success(&self) {
        if self.open_until_ms.swap(0, Ordering::Relaxed) != 0 {
            tracing::info!("redis answers again: duplicates and quotas are shared by all nodes");
        }
    }

    fn record_failure(&self, reason: &str) {
        let until = self.now_ms() + open_ms();
        if self.open_until_ms.swap(until.max(1), Ordering::Relaxed) == 0 {
            tracing::warn!(reason, "redis does not answer: {LOST_WITHOUT_REDIS}");
        }
    }
}

fn open_ms() -> i64 {
    i64::try_from(CIRCUIT_OPEN.as_millis()).unwrap_or(i64::MAX)
}

/// What an operator has to know while Redis is away.
const LOST_WITHOUT_REDIS: &str =
    "reports are taken and still counted once, but retries may be answered 201 and quotas are per node";

/// The fast state in Redis.
pub struct RedisState {
    connection: ConnectionManager,
    settings: RedisSettings,
    admit_script: Script,
    circuit: Arc<Circuit>,
    jobs: Arc<JobQueue>,
    local: MemoryState,
}

impl RedisState {
    /// Prepares the state; Redis need not be there yet. `local` is the memory to fall back on. Must be called within
    /// a Tokio runtime that outlives the state.
    ///
    /// # Errors
    /// When the URL cannot be read.
    pub fn new(settings: RedisSettings, local: MemoryState) -> redis::RedisResult<Self> {
        let client = Client::open(settings.url.as_str())?;
        let config = ConnectionManagerConfig::new()
            .set_number_of_retries(1)
            .set_connection_timeout(Some(CONNECT_TIMEOUT))
            .set_response_timeout(Some(settings.timeout));
        let connection = ConnectionManager::new_lazy_with_config(client, config)?;
        let circuit = Arc::new(Circuit { started: Instant::now(), open_until_ms: AtomicI64::new(0) });
        let state = Self {
            admit_script: Script::new(include_str!("scripts/admit.lua")),
            jobs: Arc::new(JobQueue::default()),
            connection,
            settings,
            circuit,
            local,
        };
        state.spawn_writer();
        Ok(state)
    }

    /// See [`super::FastState::admit`].
    pub async fn admit(&self, probe: &Probe, take_quota: bool) -> Admission {
        // What this node stored itself a moment ago needs no round trip, and its mark may still be on the way.
        if let Some(stored) = self.local.find_stored(probe) {
            return stored;
        }
        if !self.circuit.may_try() {
            return self.local.admit(probe, take_quota);
        }
        match tokio::time::timeout(self.settings.timeout, self.ask(probe, take_quota)).await {
            Ok(Ok(reply)) => {
                self.circuit.record_success();
                reply.read(probe)
            }
            Ok(Err(error)) => {
                // The kind only: a server's own words may quote a key.
                self.circuit.record_failure(&format!("{:?}", error.kind()));
                self.local.admit(probe, take_quota)
            }
            Err(_elapsed) => {
                self.circuit.record_failure("no answer in time");
                self.local.admit(probe, take_quota)
            }
        }
    }

    async fn ask(&self, probe: &Probe, take_quota: bool) -> redis::RedisResult<Reply> {
        let per_day = u64::from(self.settings.reporter_per_day.max(1));
        let interval_micros = 24 * 60 * 60 * 1_000_000 / per_day;
        let mut connection = self.connection.clone();
        let (outcome, marker, number): (i64, Vec<u8>, i64) = self
            .admit_script
            .key(self.key("seen", probe.id.as_bytes()))
            .key(self.key("said", &probe.hint_key))
            .key(self.key("quota", &probe.quota_key))
            .arg(&probe.store_mark)
            .arg(i64::from(take_quota))
            .arg(interval_micros)
            .arg(per_day)
            .invoke_async(&mut connection)
            .await?;
        Ok(Reply { outcome, marker, number })
    }

    fn key(&self, kind: &str, tag: &[u8; 16]) -> Vec<u8> {
        key(&self.settings.key_prefix, kind, tag)
    }

    /// See [`super::FastState::mark_stored`].
    pub fn mark_stored(&self, probe: &Probe) {
        self.local.mark_stored(probe);
        self.jobs.push(Job::Mark(probe.clone()));
    }

    /// See [`super::FastState::give_back`].
    pub fn give_back(&self, probe: &Probe) {
        self.local.give_back(probe);
        self.jobs.push(Job::GiveBack(probe.clone()));
    }

    /// See [`super::FastState::degradation`].
    #[must_use]
    pub fn degradation(&self) -> Option<&'static str> {
        self.circuit.has_failed().then_some(LOST_WITHOUT_REDIS)
    }

    /// Forgets what this node remembers itself.
    pub fn forget_local(&self) {
        self.local.forget_all();
    }

    fn spawn_writer(&self) {
        let jobs = Arc::clone(&self.jobs);
        let circuit = Arc::clone(&self.circuit);
        let mut connection = self.connection.clone();
        let settings = self.settings.clone();
        tokio::spawn(async move {
            loop {
                let batch = jobs.take();
                if batch.is_empty() {
                    jobs.news.notified().await;
                    continue;
                }
                if circuit.is_open() {
                    // Markers are hints; those of an outage are dropped, and the builder drops the twins.
                    tokio::time::sleep(CIRCUIT_OPEN).await;
                    continue;
                }
                match write(&mut connection, &settings, &batch).await {
                    Ok(()) => circuit.record_success(),
                    Err(reason) => circuit.record_failure(&reason),
                }
            }
        });
    }
}

/// Writes a batch of jobs in one pipeline.
async fn write(connection: &mut ConnectionManager, settings: &RedisSettings, batch: &[Job]) -> Result<(), String> {
    let prefix = settings.key_prefix.as_str();
    let mut pipeline = redis::pipe();
    for job in batch {
        match job {
            Job::Mark(probe) => {
                pipeline.cmd("EVAL").arg(include_str!("scripts/mark.lua")).arg(2);
                pipeline.arg(key(prefix, "seen", probe.id.as_bytes())).arg(key(prefix, "said", &probe.hint_key));
                pipeline.arg(&marker(probe)[..]).arg(SEEN_TTL_S).arg(HINT_TTL_S).ignore();
            }
            Job::GiveBack(probe) => {
                // Not exact when the answer of the taking was lost: then the reporter has one more, once.
                let interval = 24 * 60 * 60 * 1_000_000 / i64::from(settings.reporter_per_day.max(1));
                pipeline.cmd("EVAL").arg(include_str!("scripts/give_back.lua")).arg(1);
                pipeline.arg(key(prefix, "quota", &probe.quota_key)).arg(interval).ignore();
            }
        }
    }
    match tokio::time::timeout(settings.timeout.max(CONNECT_TIMEOUT), pipeline.query_async::<()>(connection)).await {
        Ok(Ok(())) => Ok(()),
        Ok(Err(error)) => Err(format!("{:?}", error.kind())),
        Err(_elapsed) => Err("no answer in time".to_owned()),
    }
}

/// What Redis remembers of a stored report: the half of the store, the half of the body.
fn marker(probe: &Probe) -> [u8; 16] {
    let mut marker = [0; 16];
    marker.iter_mut().zip(probe.store_mark.iter().chain(&probe.body_mark)).for_each(|(to, from)| *to = *from);
    marker
}

fn key(prefix: &str, kind: &str, tag: &[u8; 16]) -> Vec<u8> {
    let mut key = Vec::with_capacity(prefix.len() + kind.len() + 2 + tag.len());
    for part in [prefix.as_bytes(), b":", kind.as_bytes(), b":", tag] {
        key.extend_from_slice(part);
    }
    key
}

/// What the script answered.
struct Reply {
    outcome: i64,
    marker: Vec<u8>,
    number: i64,
}

impl Reply {
    fn read(&self, probe: &Probe) -> Admission {
        match self.outcome {
            1 if self.marker == marker(probe) => Admission::Stored,
            // Looked at again here: an answer can be made up as well as a value.
            1 if self.marker.len() == 16 && self.marker.starts_with(&probe.store_mark) => Admission::Conflict,
            1 => Admission::New { repeat: false },
            2 => Admission::OverQuota {
                retry_after_s: u64::try_from(self.number / MICROS_PER_SECOND).unwrap_or(0).saturating_add(1),
            },
            _ => Admission::New { repeat: self.number == 1 },
        }
    }
}
