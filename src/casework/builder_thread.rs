//! The thread that runs the builder while the gateway serves.

use std::panic::AssertUnwindSafe;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::blanking;
use super::builder::{BuildError, Turn, build_slice};
use crate::store::StoreError;
use crate::store::connection::{Connection, StoreLocation};
use crate::store::duty::Duty;
use crate::store::upkeep;
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
/// How long after a failure the builder tries again, or looks whether another node's builder has died.
const RETRY_WAIT: Duration = Duration::from_millis(500);
/// How long a stop waits for the slice in hand.
const STOP_WAIT: Duration = Duration::from_secs(10);
/// How often partitions are made ahead.
const UPKEEP_EVERY: Duration = Duration::from_secs(600);
/// How long rows may be held back before an operator is told by what.
const HELD_BACK_AFTER: Duration = Duration::from_secs(5);

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
    default_partition_used: AtomicBool,
    held_back_by: Mutex<Option<String>>,
    blanking_fails: AtomicBool,
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

    /// What an operator has to look after, in sentences.
    #[must_use]
    pub fn complaints(&self) -> Vec<String> {
        let mut complaints = Vec::new();
        if self.is_failing() {
            let failing = "the builder fails: reports are taken, and no case is built until it is mended";
            complaints.push(failing.to_owned());
        }
        if self.default_partition_used.load(Ordering::Relaxed) {
            let used =
                "journal.reports_default holds rows: a month had no partition, and its rows cannot be dropped with it";
            complaints.push(used.to_owned());
        }
        if self.blanking_fails.load(Ordering::Relaxed) {
            let fails = "rows of withdrawn reports cannot be blanked: they count for nothing, but are still there";
            complaints.push(fails.to_owned());
        }
        if let Some(holder) = self.held_back_by.lock().unwrap_or_else(PoisonError::into_inner).as_ref() {
            complaints.push(format!("the builder waits for a transaction that has not ended: {holder}"));
        }
        complaints
    }

    /// The row that was built in last.
    #[must_use]
    pub fn cursor_seq(&self) -> i64 {
        self.cursor_seq.load(Ordering::Relaxed)
    }
}

/// A running builder; stops when told or dropped.
pub struct BuilderThread {
    parts: Arc<BuilderParts>,
    duty: Arc<Duty>,
}

/// What the builder works with.
pub struct BuilderParts {
    /// Where the store is.
    pub location: StoreLocation,
    /// How it works.
    pub settings: BuilderSettings,
    /// Rung when there are new rows.
    pub bell: Arc<BuilderBell>,
    /// What is counted.
    pub metrics: Arc<Metrics>,
}

impl BuilderThread {
    /// Starts the builder. It opens a connection of its own, again after each failure.
    ///
    /// # Errors
    /// When no thread can be started.
    pub fn start(parts: BuilderParts) -> Result<Self, StoreError> {
        let builder = Self { parts: Arc::new(parts), duty: Arc::default() };
        builder.spawn(0)?;
        Ok(builder)
    }

    fn spawn(&self, turn: u64) -> Result<(), StoreError> {
        let (parts, duty) = (Arc::clone(&self.parts), Arc::clone(&self.duty));
        let run = move || {
            let mut worker =
                Worker { parts: Arc::clone(&parts), duty: Arc::clone(&duty), turn, open: None, waits_since: None };
            if std::panic::catch_unwind(AssertUnwindSafe(|| worker.run())).is_err() {
                parts.bell.failing.store(true, Ordering::Relaxed);
                tracing::error!("the builder panicked: no case is built until the gateway is started again");
            }
            duty.end(turn);
        };
        std::thread::Builder::new().name("builder".to_owned()).spawn(run).map(|_| ()).map_err(StoreError::Thread)
    }

    /// Starts another thread when the present one hangs on a server that was failed over from.
    pub fn tend(&self) {
        let Some(turn) = self.duty.relieve_if_hanging(self.parts.location.generation()) else { return };
        tracing::warn!("the builder hangs on a server that was failed over from; another goes on with the new one");
        if let Err(error) = self.spawn(turn) {
            tracing::error!(%error, "no case is built");
        }
    }

    /// Lets the slice in hand finish, then stops.
    pub fn stop(&self) {
        self.parts.bell.stopping.store(true, Ordering::SeqCst);
        self.parts.bell.ring();
        if !self.duty.wait_for_end(STOP_WAIT) {
            tracing::warn!("the database does not answer: the slice in hand is left to be rolled back");
        }
    }
}

impl Drop for BuilderThread {
    fn drop(&mut self) {
        // Once waited for is enough: it may hang.
        if !self.parts.bell.stopping.load(Ordering::SeqCst) {
            self.stop();
        }
    }
}

struct Worker {
    parts: Arc<BuilderParts>,
    duty: Arc<Duty>,
    turn: u64,
    open: Option<OpenStore>,
    /// Since when there have been rows that cannot be read yet.
    waits_since: Option<Instant>,
}

struct OpenStore {
    connection: Connection,
    generation: u64,
    last_upkeep: Option<Instant>,
}

impl Worker {
    fn run(&mut self) {
        // Intake comes first when both want the processor: an acknowledgement has a caller waiting, a case has not.
        if let Err(error) = rustix::process::nice(NICE_STEP) {
            tracing::debug!(%error, "the builder keeps the priority of the process");
        }
        let parts = Arc::clone(&self.parts);
        while !parts.bell.stopping.load(Ordering::SeqCst) {
            let began = Instant::now();
            let outcome = self.take_turn();
            if !self.duty.finish(self.turn) {
                return;
            }
            match outcome {
                Ok(turn) => self.after_turn(&turn, began.elapsed()),
                Err(BuildError::Store(error)) if error.is_locked() => parts.bell.wait(RETRY_WAIT),
                Err(error) => {
                    // Once per change, not once per try.
                    if !parts.bell.failing.swap(true, Ordering::Relaxed) {
                        tracing::error!(%error, "no case is built until this is mended; reports are still taken");
                    }
                    self.open = None;
                    parts.bell.sleep(RETRY_WAIT);
                }
            }
        }
    }

    /// Opens the store, unless it is open and still the one to read, and builds a slice.
    fn take_turn(&mut self) -> Result<Turn, BuildError> {
        let location = &self.parts.location;
        let generation = location.generation();
        self.duty.begin(self.turn, self.open.as_ref().map_or(generation, |open| open.generation));
        if self.open.as_ref().is_none_or(|open| open.generation != generation) {
            self.open = None;
            let (connection, generation) = location.open_in_generation(StoreLocation::open_builder)?;
            self.duty.begin(self.turn, generation);
            self.open = Some(OpenStore { connection, generation, last_upkeep: None });
        }
        let Some(open) = self.open.as_mut() else { return Ok(Turn::default()) };
        let connection = &mut open.connection;
        if open.last_upkeep.is_none_or(|last| last.elapsed() >= UPKEEP_EVERY) {
            open.last_upkeep = Some(Instant::now());
            let is_used = upkeep::keep_partitions(connection)?;
            if is_used && !self.parts.bell.default_partition_used.load(Ordering::Relaxed) {
                tracing::error!("journal.reports_default holds rows: there was no partition for their month");
            }
            self.parts.bell.default_partition_used.store(is_used, Ordering::Relaxed);
            self.parts.metrics.default_partition_used.set(i64::from(is_used));
        }
        let turn = build_slice(connection, &self.parts.settings.country, self.parts.settings.slice_rows)?;
        note_blanking(&self.parts.bell, blanking::blank_some(location, connection));
        if turn.rows == 0 && !turn.rebuild_began && upkeep::is_held_back(connection)? {
            let since = *self.waits_since.get_or_insert_with(Instant::now);
            if since.elapsed() >= HELD_BACK_AFTER {
                let holder = upkeep::find_oldest_transaction(connection)?;
                self.note_wait(since.elapsed(), Some(holder.unwrap_or_else(|| "it cannot be seen".to_owned())));
            }
        } else {
            self.waits_since = None;
            self.note_wait(Duration::ZERO, None);
        }
        Ok(turn)
    }

    fn note_wait(&self, waited: Duration, holder: Option<String>) {
        self.parts.metrics.builder_held_back_seconds.set(i64::try_from(waited.as_secs()).unwrap_or(i64::MAX));
        let mut held_back_by = self.parts.bell.held_back_by.lock().unwrap_or_else(PoisonError::into_inner);
        if let (Some(holder), None) = (&holder, held_back_by.as_ref()) {
            tracing::warn!(holder, "no case is built while this transaction has not ended");
        }
        *held_back_by = holder;
    }

    fn after_turn(&self, turn: &Turn, took: Duration) {
        let BuilderParts { bell, metrics, settings, .. } = &*self.parts;
        if bell.failing.swap(false, Ordering::Relaxed) {
            tracing::info!("cases are built again");
        }
        if turn.rebuild_began {
            tracing::error!(
                "the builder's cursor does not fit the journal (restored from a backup?): \
                 memberships, counts and voices are made anew; references and decisions stay"
            );
            return;
        }
        bell.cursor_seq.store(turn.cursor_seq, Ordering::Relaxed);
        metrics.built_rows.inc_by(u64::try_from(turn.rows).unwrap_or(0));
        metrics.conflicts.inc_by(u64::try_from(turn.conflicts).unwrap_or(0));
        let slice_was_full = i64::try_from(turn.rows).unwrap_or(0) >= settings.slice_rows;
        if turn.rows == 0 {
            bell.wait(IDLE_WAIT);
        } else if !slice_was_full {
            bell.sleep(gather_after(turn.rows));
        } else if took >= LONG_SLICE {
            bell.sleep(LET_OTHERS);
        }
    }
}

/// Reports are counted all the same when rows cannot be blanked: they are tried again with the next slice.
fn note_blanking(bell: &BuilderBell, outcome: Result<usize, StoreError>) {
    match outcome {
        // The journal is being written: in a moment.
        Err(error) if error.is_locked() => {}
        Err(error) => {
            if !bell.blanking_fails.swap(true, Ordering::Relaxed) {
                tracing::error!(%error, "rows of withdrawn reports are not blanked");
            }
        }
        Ok(blanked) => {
            if bell.blanking_fails.swap(false, Ordering::Relaxed) || blanked > 0 {
                tracing::info!(blanked, "rows of withdrawn reports are blank");
            }
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
