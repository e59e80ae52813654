//! The fast state in Redis, with a small memory of its own to fall back on.
//!
//! Redis may hang, lie, be flushed or die. Every call has a time limit; after a failure the node goes on with what it
//! remembers itself, until `link` has made sure that Redis is whole again. Everything read is checked under the mark
//! key.
//!
//! `connect` makes connections, `link` keeps one in place, `keys` names keys, `questions` gathers what
//! reports ask, `script` calls Lua, `jobs` writes behind the commit, `codes` are those sent by SMS, `failure` tells what
//! concerns whom.

mod codes;
mod connect;
mod failure;
mod jobs;
mod keys;
mod link;
mod questions;
mod script;

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use redis::{Cmd, FromRedisValue, RedisResult};
use tokio::sync::oneshot;
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::error::Elapsed;

use self::connect::Connector;
use self::failure::Failure;
use self::jobs::{Job, JobQueue, JobScripts};
use self::keys::{Keys, SlotTag};
use self::link::{Lease, Link};
use self::questions::{Answer, Asked, Asker, Question, Questions};
use self::script::{LuaScript, reporter_script};
use super::asked::QUESTION_TTL_S;
use super::memory::MemoryState;
use super::{Admission, CarrierRate, Granted, NonceTag, NotReached, Probe};
use crate::config::fast_url::RedisTarget;
use crate::domain::clock::{MICROS_PER_DAY, MICROS_PER_SECOND, Moment};
use crate::domain::report::REPEAT_WINDOW_MICROS;
use crate::telemetry::metrics::Metrics;

/// How long a report is remembered, and its reporter after the last one: as long as a report may be sent again, 32 days.
const KEPT_S: i64 = 32 * 24 * 60 * 60;
/// Pause before a task that has panicked is started again.
const RESTART_PAUSE: Duration = Duration::from_secs(1);
/// Where the last of the records that `reporter.lua` keeps has its marker, bytes.
const MARKER_PLACE_MAX: u16 = 3_576;
/// How long a claim is remembered.
const CLAIM_KEPT_S: i64 = REPEAT_WINDOW_MICROS / MICROS_PER_SECOND;

/// Settings of the Redis state.
#[derive(Clone, Debug)]
pub struct RedisSettings {
    /// Where Redis is, and how to get in.
    pub target: RedisTarget,
    /// First part of every key.
    pub key_prefix: String,
    /// Longest time one answer may take.
    pub timeout: Duration,
    /// Reports a reporter may send a day.
    pub reporter_per_day: u32,
}

/// The fast state in Redis.
pub struct RedisState {
    link: Link,
    keys: Keys,
    asker: Arc<Asker>,
    replace: LuaScript,
    /// None with a Cluster, where each question finds its own node.
    questions: Option<Arc<Questions>>,
    jobs: Arc<JobQueue>,
    lease_script: LuaScript,
    count_script: LuaScript,
    try_code_script: LuaScript,
    tasks: Vec<JoinHandle<()>>,
    local: MemoryState,
}

impl Drop for RedisState {
    fn drop(&mut self) {
        self.tasks.iter().for_each(JoinHandle::abort);
    }
}

impl RedisState {
    /// Opens the state. Waits a little for Redis, which need not be there yet. `local` is the memory to fall back on.
    /// Must be called within a Tokio runtime that outlives the state.
    pub async fn open(settings: RedisSettings, local: MemoryState, metrics: Arc<Metrics>) -> Self {
        let RedisSettings { target, key_prefix, timeout, reporter_per_day } = settings;
        let keys = Keys::new(&key_prefix);
        let connector = Connector::new(target, timeout);
        let is_cluster = connector.is_cluster();
        let script = Arc::new(LuaScript::new(reporter_script!("admit")));
        let link = Link::start(connector, &keys, Arc::clone(&script), timeout, Arc::clone(&metrics)).await;
        let per_day = reporter_per_day.max(1);
        let interval_micros = interval_micros(per_day);
        let asker = Arc::new(Asker { script, interval_micros, per_day, kept_s: KEPT_S, timeout });
        let jobs = Arc::new(JobQueue::new(metrics));
        let scripts = Arc::new(JobScripts::new(keys.clone(), reporter_per_day));
        let (queue, shared) = (Arc::clone(&jobs), link.shared());
        let write = move || jobs::write_jobs(Arc::clone(&queue), Arc::clone(&shared), Arc::clone(&scripts), timeout);
        let mut tasks = vec![tokio::spawn(keep_running("the writer of marks", write))];
        let questions = (!is_cluster).then(Arc::<Questions>::default);
        if let Some(questions) = questions.clone() {
            let (shared, asker) = (link.shared(), Arc::clone(&asker));
            let ask = move || questions::ask_questions(Arc::clone(&questions), Arc::clone(&shared), Arc::clone(&asker));
            tasks.push(tokio::spawn(keep_running("the asker of questions", ask)));
        }
        let lease_script = LuaScript::new(include_str!("../scripts/lease.lua"));
        let replace = LuaScript::new(include_str!("../scripts/replace.lua"));
        let count_script = LuaScript::new(include_str!("../scripts/count.lua"));
        let try_code_script = LuaScript::new(include_str!("../scripts/try_code.lua"));
        Self { link, keys, asker, replace, questions, jobs, lease_script, count_script, try_code_script, tasks, local }
    }

    /// See [`super::FastState::admit`].
    pub async fn admit(&self, probe: &Probe, take_quota: bool) -> Admission {
        // What this node stored itself a moment ago needs no round trip, and its mark may still be on the way.
        if let Some(stored) = self.local.find_stored(probe) {
            return stored;
        }
        let Some(lease) = self.link.lease(SlotTag::of(probe)) else {
            return self.local.admit(probe, take_quota);
        };
        let asked = match &self.questions {
            Some(questions) => self.ask_with_others(questions, probe, take_quota).await,
            None => self.ask_alone(lease, probe, take_quota).await,
        };
        match asked {
            Some(answer) => answer.read(probe, self.local.is_repeat(probe)),
            None => self.local.admit(probe, take_quota),
        }
    }

    /// No answer in time is none; who asks for all tells the link why.
    async fn ask_with_others(&self, questions: &Questions, probe: &Probe, take_quota: bool) -> Option<Answer> {
        let (reply, answer) = oneshot::channel();
        let (tag, asked) = (SlotTag::of(probe), Asked::of(&self.keys, probe, take_quota));
        questions.push(Question { tag, asked, reply });
        tokio::time::timeout(self.asker.timeout, answer).await.ok()?.ok()
    }

    async fn ask_alone(&self, mut lease: Lease, probe: &Probe, take_quota: bool) -> Option<Answer> {
        let asked = [Asked::of(&self.keys, probe, take_quota)];
        let answer = self.asker.ask(&mut lease.connection, asked.iter());
        let failure = match tokio::time::timeout(self.asker.timeout, answer).await {
            Ok(Ok(mut answers)) => return answers.pop(),
            Ok(Err(error)) => Failure::of(&error),
            Err(_elapsed) => Failure::TimedOut,
        };
        self.link.report_failure(&lease, failure);
        None
    }

    /// See [`super::FastState::put_question`]. Without Redis nothing is asked: another node may get the answer.
    pub async fn put_question(&self, reporter: &[u8; 16], value: Vec<u8>) -> bool {
        let mut command = redis::cmd("SET");
        command.arg(self.keys.question(reporter)).arg(value).arg("EX").arg(QUESTION_TTL_S);
        self.ask_once::<()>(reporter, &command).await.is_ok()
    }

    /// See [`super::FastState::find_question`].
    pub async fn find_question(&self, reporter: &[u8; 16]) -> Result<Option<Vec<u8>>, NotReached> {
        let mut command = redis::cmd("GET");
        command.arg(self.keys.question(reporter));
        self.ask_once(reporter, &command).await
    }

    /// See [`super::FastState::replace_question`].
    pub async fn replace_question(
        &self,
        reporter: &[u8; 16],
        before: &[u8],
        value: Vec<u8>,
        kept_s: i64,
    ) -> Result<bool, NotReached> {
        let mut lease = self.link.lease(SlotTag::of_reporter(reporter)).ok_or(NotReached)?;
        let keys = [self.keys.question(reporter)];
        let fill = |command: &mut Cmd| {
            command.arg(before).arg(value.as_slice()).arg(kept_s);
        };
        let answer = self.replace.call::<bool>(&mut lease.connection, &keys, fill);
        let answer = tokio::time::timeout(self.asker.timeout, answer).await;
        self.take_answer(&lease, answer)
    }

    async fn ask_once<T: FromRedisValue>(&self, reporter: &[u8; 16], command: &Cmd) -> Result<T, NotReached> {
        let mut lease = self.link.lease(SlotTag::of_reporter(reporter)).ok_or(NotReached)?;
        let answer = tokio::time::timeout(self.asker.timeout, command.query_async(&mut lease.connection)).await;
        self.take_answer(&lease, answer)
    }

    /// No answer is told to the link.
    fn take_answer<T>(&self, lease: &Lease, answer: Result<RedisResult<T>, Elapsed>) -> Result<T, NotReached> {
        let failure = match answer {
            Ok(Ok(answer)) => return Ok(answer),
            Ok(Err(error)) => Failure::of(&error),
            Err(_elapsed) => Failure::TimedOut,
        };
        self.link.report_failure(lease, failure);
        Err(NotReached)
    }

    /// See [`super::FastState::claim_nonce`].
    pub async fn claim_nonce(&self, nonce: &NonceTag, remembered: Duration) -> bool {
        let Some(mut lease) = self.link.lease(SlotTag::of_nonce(&nonce.name)) else { return true };
        // Begins with what only nodes can make: any other value there is none of ours, and claims nothing. Ends with what
        // is this call's: a client library that asks again after a lost answer meets its own claim.
        let mut random = [0; 8];
        if getrandom::fill(&mut random).is_err() {
            return true;
        }
        let claim = [nonce.proof, random].concat();
        let mut command = redis::cmd("SET");
        let remembered_ms = u64::try_from(remembered.as_millis()).unwrap_or(u64::MAX);
        command.arg(self.keys.nonce(&nonce.name)).arg(&claim).arg("NX").arg("GET").arg("PX").arg(remembered_ms);
        let answer = command.query_async::<Option<Vec<u8>>>(&mut lease.connection);
        let failure = match tokio::time::timeout(self.asker.timeout, answer).await {
            Ok(Ok(before)) => return before.is_none_or(|before| before == claim || !is_claim(&before, nonce)),
            Ok(Err(error)) => Failure::of(&error),
            Err(_elapsed) => Failure::TimedOut,
        };
        self.link.report_failure(&lease, failure);
        true
    }

    /// See [`super::FastState::lease_items`].
    pub async fn lease_items(
        &self,
        carrier: &[u8; 16],
        rate: CarrierRate,
        items: i64,
        now: Option<Moment>,
    ) -> Option<Granted> {
        let mut lease = self.link.lease(SlotTag::of_carrier(carrier))?;
        let keys = [self.keys.carrier(carrier)];
        let fill = |command: &mut Cmd| {
            command.arg(rate.per_second.get()).arg(rate.burst.get()).arg(items);
            match now {
                Some(now) => command.arg(now.0),
                None => command.arg(""),
            };
            let offset_s = i64::from(rate.utc_offset_minutes) * 60;
            command.arg(rate.per_day.map_or(0, NonZeroU32::get)).arg(offset_s);
        };
        let answer = self.lease_script.call::<(i64, i64, i64, i64)>(&mut lease.connection, &keys, fill);
        let failure = match tokio::time::timeout(self.asker.timeout, answer).await {
            Ok(Ok(answer)) => match read_granted(answer, rate, items) {
                Some(granted) => return Some(granted),
                None => Failure::Data,
            },
            Ok(Err(error)) => Failure::of(&error),
            Err(_elapsed) => Failure::TimedOut,
        };
        self.link.report_failure(&lease, failure);
        None
    }

    /// See [`super::FastState::mark_stored`].
    pub fn mark_stored(&self, probe: &Probe) {
        self.local.mark_stored(probe);
        self.jobs.push(Job::Mark(probe.clone()));
    }

    /// See [`super::FastState::give_back`].
    pub fn give_back(&self, probe: &Probe) {
        self.local.give_back(probe);
        // While Redis is away the quota was taken here.
        if self.link.lease(SlotTag::of(probe)).is_some() {
            self.jobs.push(Job::GiveBack(probe.clone()));
        }
    }

    /// See [`super::FastState::degradation`].
    #[must_use]
    pub fn degradation(&self) -> Option<&'static str> {
        self.link.failure().map(Failure::sentence)
    }

    /// See [`super::FastState::flush`].
    pub async fn flush(&self, at_most: Duration) {
        if self.link.failure().is_none() {
            self.jobs.flush(at_most).await;
        }
    }

    /// See [`super::FastState::forget_seen`].
    pub fn forget_local_seen(&self) {
        self.local.forget_seen();
    }

    /// Forgets what this node remembers itself.
    pub fn forget_local(&self) {
        self.local.forget_all();
    }
}

/// Runs a task that should never end, and again when it has panicked: nothing else would mend what it looks after.
async fn keep_running<F: Future<Output = ()> + Send + 'static>(what: &'static str, task: impl Fn() -> F) {
    loop {
        // A set, because what is in it ends with it.
        let mut running = JoinSet::new();
        running.spawn(task());
        let _ = running.join_next().await;
        tracing::error!("{what} has ended and is started again");
        tokio::time::sleep(RESTART_PAUSE).await;
    }
}

/// The time that one report of a day's number stands for.
fn interval_micros(per_day: u32) -> u64 {
    MICROS_PER_DAY.unsigned_abs() / u64::from(per_day.max(1))
}

/// What Redis remembers of a stored report: the half of the store, the half of the body.
fn marker(probe: &Probe) -> [u8; 16] {
    let mut marker = [0; 16];
    marker.iter_mut().zip(probe.store_mark.iter().chain(&probe.body_mark)).for_each(|(to, from)| *to = *from);
    marker
}

/// Whether a node has written this as its claim of the nonce.
fn is_claim(value: &[u8], nonce: &NonceTag) -> bool {
    value.len() == 16 && value.starts_with(&nonce.proof)
}

/// What was granted; none when no script of ours can have said so.
fn read_granted(answer: (i64, i64, i64, i64), rate: CarrierRate, items: i64) -> Option<Granted> {
    let (granted, left, wait_micros, left_today) = answer;
    let per_day = rate.per_day.map(|per_day| i64::from(per_day.get()));
    // An item takes a second at most, and a day ends; the one after it where the clock was set back.
    let wait_max = if left_today == 0 { 2 * MICROS_PER_DAY } else { MICROS_PER_SECOND };
    let can_be = (0..=items.max(0)).contains(&granted)
        && (0..=i64::from(rate.burst.get())).contains(&left)
        && (0..=wait_max).contains(&wait_micros)
        && per_day.map_or(left_today == -1, |per_day| (0..=per_day).contains(&left_today));
    let granted = Granted {
        items: u32::try_from(granted).ok()?,
        left: u32::try_from(left).ok()?,
        left_today: u32::try_from(left_today).ok(),
        wait: Duration::from_micros(wait_micros.unsigned_abs()),
    };
    can_be.then_some(granted)
}
