//! What is written to Redis behind the commit: markers of stored reports, and quotas given back.
//!
//! All of it is hints. A queue holds what comes while Redis is away, the oldest go when it is full, and what could not
//! be written is dropped: the builder drops the twins.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use redis::{Cmd, RedisResult, Value};
use tokio::sync::Notify;
use tokio::task::JoinSet;

use super::connect::LinkConnection;
use super::failure::Failure;
use super::keys::{Keys, SlotTag};
use super::link::{Lease, Shared};
use super::questions::id_of;
use super::script::{LuaScript, is_unknown, reporter_script};
use super::{KEPT_S, interval_micros, marker};
use crate::fast::{MarkerPlace, Probe};
use crate::telemetry::metrics::Metrics;

/// Jobs that wait to be written, at most, and as many that are put off; the oldest are dropped. About 100 bytes each.
const JOBS_MAX: usize = 100_000;
/// Jobs in one pipeline. Some milliseconds of the server's time: questions of reports wait behind it.
const PIPELINE_MAX: usize = 256;
/// How long a marker is, bytes.
const MARKER_BYTES: i64 = 16;
/// What a server says of a value that is no text.
const WRONG_TYPE: &str = "WRONGTYPE";
/// Jobs on their way to the nodes of a Cluster at once.
const IN_FLIGHT_MAX: usize = 64;
/// From how many jobs in a pipeline on the next ones are let gather, so that few pipelines carry many.
const GATHER_FROM: usize = 8;
/// How long they gather. Only other nodes wait for them.
const GATHER: Duration = Duration::from_millis(4);
/// Longest time a pipeline may take.
const PIPELINE_TIMEOUT: Duration = Duration::from_secs(1);
/// How often one looks whether all is written, when the gateway stops.
const FLUSH_LOOK_EVERY: Duration = Duration::from_millis(2);
/// How often one looks whether Redis is back, while jobs wait.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// What is written after the commit.
pub(super) enum Job {
    /// A report is stored.
    Mark(Probe),
    /// A report could not be stored: its reporter gets one back.
    GiveBack(Probe),
}

impl Job {
    fn probe(&self) -> &Probe {
        match self {
            Self::Mark(probe) | Self::GiveBack(probe) => probe,
        }
    }
}

/// Jobs for Redis; bounded, the oldest go first.
pub(super) struct JobQueue {
    lists: Mutex<Lists>,
    news: Notify,
    /// Some jobs are on their way.
    in_hand: AtomicBool,
    metrics: Arc<Metrics>,
}

#[derive(Default)]
struct Lists {
    waiting: VecDeque<Job>,
    /// For a part of the Cluster that is away.
    put_off: VecDeque<Job>,
}

impl JobQueue {
    pub(super) fn new(metrics: Arc<Metrics>) -> Self {
        Self { lists: Mutex::default(), news: Notify::new(), in_hand: AtomicBool::new(false), metrics }
    }

    pub(super) fn push(&self, job: Job) {
        let dropped = push_bounded(&mut self.lists().waiting, job);
        dropped.iter().for_each(|job| self.count_dropped(job));
        self.news.notify_one();
    }

    fn put_off(&self, job: Job) {
        let dropped = push_bounded(&mut self.lists().put_off, job);
        dropped.iter().for_each(|job| self.count_dropped(job));
    }

    /// Some jobs, those that were put off too when `all_are_due`.
    fn take(&self, all_are_due: bool) -> Vec<Job> {
        let mut lists = self.lists();
        let list = if all_are_due && !lists.put_off.is_empty() { &mut lists.put_off } else { &mut lists.waiting };
        let count = list.len().min(PIPELINE_MAX);
        self.in_hand.store(count > 0, Ordering::SeqCst);
        list.drain(..count).collect()
    }

    /// Waits until all that was pushed is written, at most so long.
    pub(super) async fn flush(&self, at_most: Duration) {
        let written = async {
            while self.in_hand.load(Ordering::SeqCst) || !self.lists().waiting.is_empty() {
                tokio::time::sleep(FLUSH_LOOK_EVERY).await;
            }
        };
        // What is left then is lost: hints.
        let _ = tokio::time::timeout(at_most, written).await;
    }

    /// Waits for a job, and not for long when some are put off.
    async fn wait(&self) {
        loop {
            let are_some_put_off = {
                let lists = self.lists();
                if !lists.waiting.is_empty() {
                    return;
                }
                !lists.put_off.is_empty()
            };
            if are_some_put_off {
                let _ = tokio::time::timeout(LOOK_EVERY, self.news.notified()).await;
                return;
            }
            self.news.notified().await;
        }
    }

    fn lists(&self) -> MutexGuard<'_, Lists> {
        self.lists.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// For a job that failed. A mark that may have been written into nothing is tried once more, by the script: it would
    /// stay there for ever.
    fn give_up(&self, job: Job) {
        match job {
            Job::Mark(probe) if probe.place.is_some() => self.push(Job::Mark(Probe { place: None, ..probe })),
            job => self.count_dropped(&job),
        }
    }

    fn count_dropped(&self, job: &Job) {
        if matches!(job, Job::Mark(_)) {
            self.metrics.redis_marks_dropped.inc();
        }
    }
}

/// Adds a job; the one that had to make room for it.
fn push_bounded(list: &mut VecDeque<Job>, job: Job) -> Option<Job> {
    let dropped = if list.len() >= JOBS_MAX { list.pop_front() } else { None };
    list.push_back(job);
    dropped
}

/// How jobs become commands.
pub(super) struct JobScripts {
    keys: Keys,
    mark: LuaScript,
    give_back: LuaScript,
    interval_micros: u64,
}

impl JobScripts {
    pub(super) fn new(keys: Keys, reporter_per_day: u32) -> Self {
        Self {
            keys,
            mark: LuaScript::new(reporter_script!("mark")),
            give_back: LuaScript::new(reporter_script!("give_back")),
            interval_micros: interval_micros(reporter_per_day),
        }
    }

    fn command(&self, job: &Job, way: Way) -> Cmd {
        let call = |script: &LuaScript, probe: &Probe| {
            let keys = [self.keys.reporter(probe)];
            if matches!(way, Way::ScriptText) { script.by_text(&keys) } else { script.by_hash(&keys) }
        };
        match (job, way) {
            // Cheaper than the script, which would look for the record.
            (Job::Mark(probe), Way::Place(MarkerPlace(place))) => {
                let mut command = redis::cmd("SETRANGE");
                command.arg(self.keys.reporter(probe)).arg(place).arg(&marker(probe)[..]);
                command
            }
            (Job::Mark(probe), _) => {
                let mut command = call(&self.mark, probe);
                command.arg(&marker(probe)[..]).arg(id_of(probe)).arg(KEPT_S);
                command
            }
            // Not exact when the answer of the taking was lost: then the reporter has one more, once.
            (Job::GiveBack(probe), _) => {
                let mut command = call(&self.give_back, probe);
                command.arg(self.interval_micros).arg(id_of(probe));
                command
            }
        }
    }
}

/// How a job is tried.
#[derive(Clone, Copy)]
enum Way {
    /// By writing into the record, at this place.
    Place(MarkerPlace),
    ScriptHash,
    ScriptText,
}

impl Way {
    fn first(job: &Job) -> Self {
        match job {
            Job::Mark(Probe { place: Some(place), .. }) => Self::Place(*place),
            Job::Mark(_) | Job::GiveBack(_) => Self::ScriptHash,
        }
    }

    /// The way to try after this answer; none when it is done.
    fn after(self, answer: RedisResult<Value>) -> Result<Option<Self>, Failure> {
        match (self, answer) {
            // A value that holds the record ends with a byte more than the marker. So the record is gone, and what stands
            // there now the script makes a value of.
            (Self::Place(MarkerPlace(place)), Ok(Value::Int(length))) if length <= i64::from(place) + MARKER_BYTES => {
                Ok(Some(Self::ScriptHash))
            }
            (_, Ok(_)) => Ok(None),
            (Self::Place(_), Err(error)) if error.code() == Some(WRONG_TYPE) => Ok(Some(Self::ScriptHash)),
            (Self::ScriptHash, Err(error)) if is_unknown(&error) => Ok(Some(Self::ScriptText)),
            (_, Err(error)) => Err(Failure::of(&error)),
        }
    }
}

/// Writes jobs for ever.
pub(super) async fn write_jobs(queue: Arc<JobQueue>, link: Arc<Shared>, scripts: Arc<JobScripts>, timeout: Duration) {
    loop {
        queue.wait().await;
        // What comes while Redis is away waits: later it still tells other nodes what is stored.
        while !link.is_usable() {
            tokio::time::sleep(LOOK_EVERY).await;
        }
        let batch = queue.take(link.failure().is_none());
        let Some(first) = batch.first() else { continue };
        let is_worth_gathering = (GATHER_FROM..PIPELINE_MAX).contains(&batch.len());
        match link.lease(SlotTag::of(first.probe())) {
            Some(lease) if matches!(lease.connection, LinkConnection::Server(_)) => {
                write_pipeline(&queue, &link, &scripts, lease, batch).await;
            }
            _ => write_to_nodes(&queue, &link, &scripts, timeout, batch).await,
        }
        queue.in_hand.store(false, Ordering::SeqCst);
        if is_worth_gathering {
            tokio::time::sleep(GATHER).await;
        }
    }
}

/// Writes a batch to one server, in one pipeline, and in further ones what that met otherwise than it should be.
async fn write_pipeline(queue: &JobQueue, link: &Shared, scripts: &JobScripts, mut lease: Lease, batch: Vec<Job>) {
    let first = |job| (Way::first(&job), job);
    let mut batch: Vec<(Way, Job)> = batch.into_iter().map(first).collect();
    while !batch.is_empty() {
        let mut pipeline = redis::pipe();
        pipeline.ignore_errors();
        for (way, job) in &batch {
            pipeline.add_command(scripts.command(job, *way));
        }
        let answers = pipeline.query_async::<Vec<RedisResult<Value>>>(&mut lease.connection);
        let failure = match tokio::time::timeout(PIPELINE_TIMEOUT, answers).await {
            Ok(Ok(answers)) => {
                let tried = batch.into_iter().zip(answers);
                batch = tried
                    .filter_map(|((way, job), answer)| match way.after(answer) {
                        Ok(next) => next.map(|way| (way, job)),
                        Err(failure) => {
                            link.report_failure(&lease, failure);
                            queue.give_up(job);
                            None
                        }
                    })
                    .collect();
                continue;
            }
            Ok(Err(error)) => Failure::of(&error),
            Err(_elapsed) => Failure::TimedOut,
        };
        link.report_failure(&lease, failure);
        return batch.into_iter().for_each(|(_, job)| queue.give_up(job));
    }
}

/// Writes a batch to the nodes of a Cluster, each job by itself: so every one finds its node, also one that moves.
async fn write_to_nodes(
    queue: &Arc<JobQueue>,
    link: &Arc<Shared>,
    scripts: &Arc<JobScripts>,
    timeout: Duration,
    batch: Vec<Job>,
) {
    let mut in_flight = JoinSet::new();
    for job in batch {
        if in_flight.len() >= IN_FLIGHT_MAX {
            let _ = in_flight.join_next().await;
        }
        let (queue, link, scripts) = (Arc::clone(queue), Arc::clone(link), Arc::clone(scripts));
        in_flight.spawn(async move {
            let Some(mut lease) = link.lease(SlotTag::of(job.probe())) else { return queue.put_off(job) };
            if let Err(failure) = write_one(&mut lease.connection, &scripts, &job, timeout).await {
                link.report_failure(&lease, failure);
                queue.give_up(job);
            }
        });
    }
    while in_flight.join_next().await.is_some() {}
}

async fn write_one(
    connection: &mut LinkConnection,
    scripts: &JobScripts,
    job: &Job,
    timeout: Duration,
) -> Result<(), Failure> {
    let mut way = Some(Way::first(job));
    while let Some(tried) = way {
        let command = scripts.command(job, tried);
        let answer = tokio::time::timeout(timeout, command.query_async(connection)).await;
        way = tried.after(answer.map_err(|_elapsed| Failure::TimedOut)?)?;
    }
    Ok(())
}
