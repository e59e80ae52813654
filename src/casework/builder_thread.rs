//! The thread that runs the builder while the gateway serves.

use std::panic::AssertUnwindSafe;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::builder::{BuildError, Turn, build_slice};
use crate::store::StoreError;
use crate::store::connection::{Connection, StoreLocation};
use crate::telemetry::metrics::Metrics;

/// How long the builder waits for news before it looks by itself: other processes may have appended.
const IDLE_WAIT: Duration = Duration::from_millis(200);
/// How long reports may gather for the next slice when few come, so that a trickle does not cost a sync each.
const GATHER_FEW: Duration = Duration::from_millis(20);
/// How long they may gather when many come. The indexes are random: a slice of a thousand rows writes a thousand pages of
/// each, one of ten thousand hardly more. Longer would let cases lag a second behind 10,000 reports/s.
const GATHER_MANY: Duration = Duration::from_millis(400);
/// How long they may gather in a flood, when the processor is better spent on acknowledging.
const GATHER_FLOOD: Duration = Duration::from_millis(1_200);
/// From how many rows in a slice on there are many.
const MANY_ROWS: usize = 500;
/// From how many rows in a slice on it is a flood: more than 20,000 reports/s.
const FLOOD_ROWS: usize = 8_000;
/// How long the lock is left to others between full slices that held it long: SQLite looks for it every 100 ms.
const LET_OTHERS: Duration = Duration::from_millis(120);
/// From when on a slice has held the lock long.
const LONG_SLICE: Duration = Duration::from_millis(100);
/// How long after a failure the builder tries again.
const RETRY_WAIT: Duration = Duration::from_secs(1);

/// Settings of the builder.
#[derive(Clone, Debug)]
pub struct BuilderSettings {
    /// Rows in one transaction.
    pub slice_rows: i64,
    /// First part of a case reference, such as `VN`.
    pub country: String,
}

/// The bell that the journal writer rings after a commit, and what the builder last said of itself.
#[derive(Default)]
pub struct BuilderBell {
    rung: Mutex<bool>,
    changed: Condvar,
    stopping: AtomicBool,
    failing: AtomicBool,
    cursor_seq: AtomicI64,
}

impl BuilderBell {
    /// Says that there are new rows.
    pub fn ring(&self) {
        *self.rung.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.changed.notify_one();
    }

    fn wait(&self, at_most: Duration) {
        let rung = self.rung.lock().unwrap_or_else(PoisonError::into_inner);
        let (mut rung, _) =
            self.changed.wait_timeout_while(rung, at_most, |rung| !*rung).unwrap_or_else(PoisonError::into_inner);
        *rung = false;
    }

    /// Sleeps, unless the builder is to stop.
    fn sleep(&self, at_most: Duration) {
        let rung = self.rung.lock().unwrap_or_else(PoisonError::into_inner);
        // Rings do not count: what comes now is what is gathered.
        drop(self.changed.wait_timeout_while(rung, at_most, |_| !self.stopping.load(Ordering::SeqCst)));
    }

    /// Whether the last slice failed.
    #[must_use]
    pub fn is_failing(&self) -> bool {
        self.failing.load(Ordering::Relaxed)
    }

    /// The row that was built in last.
    #[must_use]
    pub fn cursor_seq(&self) -> i64 {
        self.cursor_seq.load(Ordering::Relaxed)
    }
}

/// A running builder; stops when told or dropped.
pub struct BuilderThread {
    bell: Arc<BuilderBell>,
    thread: Option<JoinHandle<()>>,
}

impl BuilderThread {
    /// Starts the builder on a connection of its own.
    ///
    /// # Errors
    /// When the database or a thread cannot be opened.
    pub fn start(
        location: &StoreLocation,
        settings: BuilderSettings,
        bell: Arc<BuilderBell>,
        metrics: Arc<Metrics>,
    ) -> Result<Self, StoreError> {
        let connection = location.open_builder()?;
        let mut worker = Worker { connection, settings, bell: Arc::clone(&bell), metrics };
        let thread = std::thread::Builder::new()
            .name("builder".to_owned())
            .spawn(move || {
                let bell = Arc::clone(&worker.bell);
                if std::panic::catch_unwind(AssertUnwindSafe(|| worker.run())).is_err() {
                    bell.failing.store(true, Ordering::Relaxed);
                    tracing::error!("the builder panicked: no case is built until the gateway is started again");
                }
            })
            .map_err(|source| StoreError::Directory { path: "builder thread".into(), source })?;
        Ok(Self { bell, thread: Some(thread) })
    }

    /// Lets the slice in hand finish, then stops.
    pub fn stop(&mut self) {
        self.bell.stopping.store(true, Ordering::SeqCst);
        self.bell.ring();
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the builder's thread was lost");
        }
    }
}

impl Drop for BuilderThread {
    fn drop(&mut self) {
        self.stop();
    }
}

struct Worker {
    connection: Connection,
    settings: BuilderSettings,
    bell: Arc<BuilderBell>,
    metrics: Arc<Metrics>,
}

impl Worker {
    fn run(&mut self) {
        // Intake comes first when both want the processor: an acknowledgement has a caller waiting, a case has not.
        if let Err(error) = rustix::process::nice(NICE_STEP) {
            tracing::debug!(%error, "the builder keeps the priority of the process");
        }
        while !self.bell.stopping.load(Ordering::SeqCst) {
            let began = Instant::now();
            match build_slice(&mut self.connection, &self.settings.country, self.settings.slice_rows) {
                Ok(turn) => self.after_turn(&turn, began.elapsed()),
                Err(BuildError::Store(error)) if error.is_locked() => self.bell.wait(RETRY_WAIT),
                Err(error) => {
                    // Once per change, not once per try.
                    if !self.bell.failing.swap(true, Ordering::Relaxed) {
                        tracing::error!(%error, "no case is built until this is mended; reports are still taken");
                    }
                    self.bell.sleep(RETRY_WAIT);
                }
            }
        }
    }

    fn after_turn(&self, turn: &Turn, took: Duration) {
        if self.bell.failing.swap(false, Ordering::Relaxed) {
            tracing::info!("cases are built again");
        }
        if turn.rebuild_began {
            tracing::error!(
                "the builder's cursor does not fit the journal (restored from a backup?): \
                 memberships, counts and voices are made anew; references and decisions stay"
            );
            return;
        }
        self.bell.cursor_seq.store(turn.cursor_seq, Ordering::Relaxed);
        self.metrics.built_rows.inc_by(u64::try_from(turn.rows).unwrap_or(0));
        self.metrics.conflicts.inc_by(u64::try_from(turn.conflicts).unwrap_or(0));
        let slice_was_full = i64::try_from(turn.rows).unwrap_or(0) >= self.settings.slice_rows;
        if turn.rows == 0 {
            self.bell.wait(IDLE_WAIT);
        } else if !slice_was_full {
            self.bell.sleep(gather_after(turn.rows));
        } else if took >= LONG_SLICE {
            self.bell.sleep(LET_OTHERS);
        }
    }
}

/// How long reports gather after a slice of so many rows.
const fn gather_after(rows: usize) -> Duration {
    if rows >= FLOOD_ROWS {
        GATHER_FLOOD
    } else if rows >= MANY_ROWS {
        GATHER_MANY
    } else {
        GATHER_FEW
    }
}

/// How much nicer than the rest of the process the builder's thread is.
const NICE_STEP: i32 = 19;
