//! The link to Redis: a task that keeps one connection in place, and those who use it.
//!
//! Users take the connection as it is now, or learn at once that there is none; nobody waits for one to be made. Who
//! sees it fail says so. Then Redis is left alone, until the task has made sure that it can be written to again: so
//! reports try nothing out, and the state is whole again without any.
//!
//! In a Cluster that holds for each group of neighbouring slots by itself: a node that fails takes its own keys with it.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use redis::RedisResult;
use tokio::sync::Notify;
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::Instant;
use tokio::time::error::Elapsed;

use super::connect::{CONNECT_TIMEOUT, Connector, LinkConnection};
use super::failure::Failure;
use super::keep_running;
use super::keys::{Keys, SLOT_GROUPS, SlotTag};
use super::questions::{Asked, Asker};
use super::script::LuaScript;
use crate::config::fast_url::HostPort;
use crate::telemetry::metrics::Metrics;

/// How often the connection is tried out.
const CHECK_INTERVAL: Duration = Duration::from_secs(1);
/// How long Redis is left alone after a failure, before it is tried out.
const SUSPENSION: Duration = Duration::from_secs(1);
/// Pause after the first failed try to connect; it doubles from try to try.
const RECONNECT_PAUSE_MIN: Duration = Duration::from_millis(100);
/// Longest pause between two tries to connect.
const RECONNECT_PAUSE_MAX: Duration = Duration::from_secs(1);
/// Failures in a row, with tries in between, after which a connection is given up. One slow answer is no reason to.
const STRIKES_MAX: u32 = 3;
/// Sentinels are asked at every so many checks whether the master is still the master.
/// A master that was cut off from them, or demoted by hand, goes on taking writes for a while.
const CHECKS_PER_LOOK_AT_SENTINELS: u32 = 3;
/// The quota that is taken of to try the connection out: its key is gone in a second, and there is always one left.
const CHECK_INTERVAL_MICROS: u64 = 1_000;
const CHECK_BURST: u32 = 1_000_000;
const CHECK_KEPT_S: i64 = 1;

/// The link of a node to Redis.
pub(super) struct Link {
    shared: Arc<Shared>,
    supervisor: JoinHandle<()>,
}

/// What users and the supervisor share.
pub(super) struct Shared {
    connector: Connector,
    check_keys: Vec<Vec<u8>>,
    /// Asks what every report asks, to try the connection out.
    checker: Arc<Asker>,
    state: Mutex<State>,
    /// A connection or a group of slots has failed.
    news: Notify,
    metrics: Arc<Metrics>,
}

struct State {
    connection: Option<LinkConnection>,
    /// Which master it leads to, when a Sentinel named it.
    master: Option<HostPort>,
    /// Number of the connection, so that the failure of an earlier one is not put down to it.
    generation: u64,
    /// Why there is no connection.
    down: Failure,
    /// One for each group of slots; one for all without a Cluster.
    groups: Vec<Group>,
    /// What was logged last.
    told: Option<Failure>,
}

#[derive(Clone, Copy, Default)]
struct Group {
    /// Why it is not used at the moment.
    failure: Option<Failure>,
    /// Failures in a row.
    strikes: u32,
}

/// A connection to use for one call.
pub(super) struct Lease {
    pub(super) connection: LinkConnection,
    generation: u64,
    group: usize,
}

impl Drop for Link {
    fn drop(&mut self) {
        self.supervisor.abort();
    }
}

impl Link {
    /// Tries once to connect, and keeps the link from then on. Must be called within a Tokio runtime that outlives it:
    /// the connections live on that one.
    pub(super) async fn start(
        connector: Connector,
        keys: &Keys,
        admit_script: Arc<LuaScript>,
        timeout: Duration,
        metrics: Arc<Metrics>,
    ) -> Self {
        let groups = if connector.is_cluster() { SLOT_GROUPS } else { 1 };
        let state = State {
            connection: None,
            master: None,
            generation: 0,
            down: Failure::Disconnected,
            groups: vec![Group::default(); groups],
            told: None,
        };
        let checker = Arc::new(Asker {
            script: admit_script,
            interval_micros: CHECK_INTERVAL_MICROS,
            per_day: CHECK_BURST,
            kept_s: CHECK_KEPT_S,
            timeout,
        });
        let shared = Arc::new(Shared {
            connector,
            check_keys: keys.checks(),
            checker,
            state: Mutex::new(state),
            news: Notify::new(),
            metrics,
        });
        shared.connect().await;
        let supervised = Arc::clone(&shared);
        let supervisor = tokio::spawn(keep_running("the link to redis", move || supervise(Arc::clone(&supervised))));
        Self { shared, supervisor }
    }

    /// The same link, for a task beside the users.
    pub(super) fn shared(&self) -> Arc<Shared> {
        Arc::clone(&self.shared)
    }
}

impl std::ops::Deref for Link {
    type Target = Shared;
    fn deref(&self) -> &Shared {
        &self.shared
    }
}

/// For those who use the link.
impl Shared {
    /// The connection as it is now; none while Redis, or the part that holds this tag, is left alone.
    pub(super) fn lease(&self, tag: SlotTag) -> Option<Lease> {
        let state = self.state();
        let group = if state.groups.len() > 1 { tag.group() } else { 0 };
        if state.groups.get(group).is_none_or(|group| group.failure.is_some()) {
            return None;
        }
        Some(Lease { connection: state.connection.clone()?, generation: state.generation, group })
    }

    /// Says that a call failed. What concerns one report alone is counted and changes nothing.
    pub(super) fn report_failure(&self, lease: &Lease, failure: Failure) {
        self.metrics.count_redis_failure(failure.word());
        if !failure.concerns_all() {
            return;
        }
        let mut state = self.state();
        let is_current = state.generation == lease.generation && state.connection.is_some();
        let Some(group) = state.groups.get_mut(lease.group).filter(|group| is_current && group.failure.is_none())
        else {
            return;
        };
        *group = Group { failure: Some(failure), strikes: 1 };
        if failure.ends_connection() && !self.connector.is_cluster() {
            state.drop_connection(failure);
        }
        self.tell(&mut state);
        drop(state);
        self.news.notify_one();
    }

    /// Whether there is a connection, and some of it is in use.
    pub(super) fn is_usable(&self) -> bool {
        let state = self.state();
        state.connection.is_some() && state.groups.iter().any(|group| group.failure.is_none())
    }

    /// Why Redis, or a part of it, is not used at the moment.
    pub(super) fn failure(&self) -> Option<Failure> {
        self.state().failure()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells the operators what has changed: once when Redis is lost, once when it is whole again.
    fn tell(&self, state: &mut State) {
        let failure = state.failure();
        self.metrics.set_redis_up(failure.is_none());
        match (state.told, failure) {
            (None, Some(failure)) => tracing::warn!(reason = failure.word(), "{}", failure.sentence()),
            (Some(_), None) => {
                tracing::info!("redis answers again: duplicates, quotas and limits are shared by all nodes")
            }
            (None, None) | (Some(_), Some(_)) => {}
        }
        state.told = failure;
    }
}

impl State {
    fn failure(&self) -> Option<Failure> {
        if self.connection.is_none() {
            return Some(self.down);
        }
        self.groups.iter().find_map(|group| group.failure)
    }

    fn drop_connection(&mut self, failure: Failure) {
        self.connection = None;
        self.master = None;
        self.down = failure;
    }
}

/// Keeps a connection in place for ever.
async fn supervise(shared: Arc<Shared>) {
    let mut pause = RECONNECT_PAUSE_MIN;
    let mut connected_at = Instant::now();
    let mut checks = 0_u32;
    loop {
        if shared.state().connection.is_none() {
            // After a connection that has lasted, the first try is made at once.
            if connected_at.elapsed() > RECONNECT_PAUSE_MAX {
                pause = RECONNECT_PAUSE_MIN;
            } else {
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(RECONNECT_PAUSE_MAX);
            }
            connected_at = Instant::now();
            shared.connect().await;
            continue;
        }
        shared.wait_for_next_check().await;
        checks = checks.wrapping_add(1);
        let is_due = checks.is_multiple_of(CHECKS_PER_LOOK_AT_SENTINELS);
        if (is_due || shared.failure().is_some()) && shared.leave_old_master().await {
            continue;
        }
        shared.check().await;
    }
}

/// For the supervisor.
impl Shared {
    /// Makes a connection, tries it out and puts it in place; whether that went well.
    async fn connect(&self) -> bool {
        let connecting = async {
            let (connection, master) = self.connector.connect().await?;
            let results = self.try_out(&connection).await;
            // A Cluster may be whole in parts.
            match results.iter().find_map(|result| *result) {
                Some(failure) if results.iter().all(Option::is_some) => Err(failure),
                _ => Ok((connection, master, results)),
            }
        };
        // Twice the time: for connecting, and for the answers of many nodes.
        let connected = tokio::time::timeout(CONNECT_TIMEOUT * 2, connecting).await.unwrap_or(Err(Failure::TimedOut));
        let mut state = self.state();
        match connected {
            Ok((connection, master, results)) => {
                state.connection = Some(connection);
                state.master = master;
                state.generation += 1;
                state.groups = results.iter().map(|failure| Group { failure: *failure, strikes: 0 }).collect();
            }
            Err(failure) => {
                self.metrics.count_redis_failure(failure.word());
                state.down = failure;
            }
        }
        self.tell(&mut state);
        state.connection.is_some()
    }

    /// Waits until the connection is to be tried out: at the regular time, or some time after it has failed. Ends at
    /// once when it is gone.
    async fn wait_for_next_check(&self) {
        let mut until = Instant::now() + CHECK_INTERVAL;
        while tokio::time::timeout_at(until, self.news.notified()).await.is_ok() {
            if self.state().connection.is_none() {
                return;
            }
            until = Instant::now() + SUSPENSION;
        }
    }

    /// Drops the connection when the Sentinels name another master; whether it did.
    async fn leave_old_master(&self) -> bool {
        let (generation, ours) = {
            let state = self.state();
            (state.generation, state.master.clone())
        };
        let Some(ours) = ours else { return false };
        if self.connector.named_master().await.is_none_or(|named| named == ours) {
            return false;
        }
        self.metrics.count_redis_failure(Failure::Demoted.word());
        let mut state = self.state();
        if state.generation == generation {
            state.drop_connection(Failure::Demoted);
        }
        self.tell(&mut state);
        true
    }

    /// Tries the connection out and takes the consequences.
    async fn check(&self) {
        let (generation, connection) = {
            let state = self.state();
            let Some(connection) = state.connection.clone() else { return };
            (state.generation, connection)
        };
        let results = self.try_out(&connection).await;
        if self.judge(generation, &results) {
            self.connect().await;
        }
    }

    /// Takes down what trying the connection out has shown; whether another is to be put in its place.
    fn judge(&self, generation: u64, results: &[Option<Failure>]) -> bool {
        let mut state = self.state();
        if state.generation != generation || state.connection.is_none() {
            return false;
        }
        let is_cluster = self.connector.is_cluster();
        let mut given_up = None;
        for (group, failure) in state.groups.iter_mut().zip(results) {
            group.strikes = if failure.is_some() { group.strikes.saturating_add(1) } else { 0 };
            group.failure = *failure;
            let Some(failure) = *failure else { continue };
            self.metrics.count_redis_failure(failure.word());
            let is_struck_out = group.strikes.is_multiple_of(STRIKES_MAX) && !failure.is_refusal_to_write();
            if is_struck_out || (failure.ends_connection() && !is_cluster) {
                given_up = Some(failure);
            }
        }
        let is_whole_in_parts = results.iter().any(Option::is_none);
        if is_cluster && !is_whole_in_parts {
            // A Cluster's client mends what it can. When nothing answers it has lost its way, and would look for it
            // without a pause.
            given_up = results.first().copied().flatten();
        }
        // While a part is whole, the connection is kept until there is another.
        if let Some(failure) = given_up.filter(|_| !is_whole_in_parts) {
            state.drop_connection(failure);
        }
        self.tell(&mut state);
        given_up.is_some() && is_whole_in_parts
    }

    /// Asks the question of every report with a key of its own in each group of slots. It writes: only that tells a
    /// full server or a replica from one that is of use. One server is asked with all of them at once, as reports do: the
    /// node of a Cluster shows itself by refusing that.
    async fn try_out(&self, connection: &LinkConnection) -> Vec<Option<Failure>> {
        if let LinkConnection::Server(_) = connection {
            let asked = self.check_keys.iter().map(|key| Asked::nothing(key)).collect();
            return vec![try_with(Arc::clone(&self.checker), connection.clone(), asked).await];
        }
        let mut tries = JoinSet::new();
        for (group, key) in self.check_keys.iter().enumerate() {
            let tried = try_with(Arc::clone(&self.checker), connection.clone(), vec![Asked::nothing(key)]);
            tries.spawn(async move { (group, tried.await) });
        }
        // Who does not come back has failed.
        let mut results = vec![Some(Failure::Disconnected); self.check_keys.len()];
        while let Some(tried) = tries.join_next().await {
            if let Ok((group, failure)) = tried
                && let Some(result) = results.get_mut(group)
            {
                *result = failure;
            }
        }
        results
    }
}

async fn try_with(checker: Arc<Asker>, mut connection: LinkConnection, asked: Vec<Asked>) -> Option<Failure> {
    let tried = async {
        checker.ask(&mut connection, asked.iter()).await?;
        // Marks are written by a command that the script has no use for, and that one may have no right to.
        let Some(first) = asked.first() else { return Ok(()) };
        redis::cmd("SETRANGE").arg(&first.reporter).arg(0).arg("").query_async(&mut connection).await
    };
    failure_of(tokio::time::timeout(checker.timeout, tried).await)
}

/// What came of a call with a time limit.
fn failure_of<T>(answer: Result<RedisResult<T>, Elapsed>) -> Option<Failure> {
    match answer {
        Ok(Ok(_)) => None,
        // A key on its way to another node of the Cluster says that both are there.
        Ok(Err(error)) => Some(Failure::of(&error)).filter(|failure| *failure != Failure::OnTheWay),
        Err(_elapsed) => Some(Failure::TimedOut),
    }
}
