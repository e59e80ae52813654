//! The journal writer: one thread, one connection, one commit for all that is queued, then an answer to each.
//!
//! Under low load a commit holds one report, at once. While a commit syncs, the next ones gather, so under high load it
//! holds dozens. What must happen after the commit happens here, because a handler's future is dropped
//! when its client leaves.

use std::sync::Arc;
use std::time::{Duration, Instant};

use diesel::result::{DatabaseErrorKind, Error as DieselError};

use super::journal_queue::{Entry, JournalQueue, NotAppended};
use crate::casework::builder_thread::BuilderBell;
use crate::crypto::envelope::SealedDataKey;
use crate::domain::report::Report;
use crate::fast::FastState;
use crate::store::StoreError;
use crate::store::connection::{Connection, StoreLocation};
use crate::store::duty::Duty;
use crate::store::journal;
use crate::telemetry::metrics::Metrics;

/// How long a stop waits for the commit in hand.
const STOP_WAIT: Duration = Duration::from_secs(4);

/// Called once when the journal can no longer be trusted to be on disk: the process must end.
pub type OnFatal = Box<dyn Fn(&'static str) + Send + Sync>;

/// What the writer works with.
pub struct WriterParts {
    /// Where the journal is.
    pub location: StoreLocation,
    /// What is to be appended.
    pub queue: Arc<JournalQueue>,
    /// Told what is stored.
    pub fast: Arc<FastState>,
    /// Rung after a commit.
    pub bell: Arc<BuilderBell>,
    /// What is counted.
    pub metrics: Arc<Metrics>,
    /// See [`OnFatal`].
    pub on_fatal: OnFatal,
}

/// A running journal writer.
pub struct JournalWriter {
    parts: Arc<WriterParts>,
    duty: Arc<Duty>,
}

impl JournalWriter {
    /// Starts the writer. It opens the journal when the first report comes, and again after each failure.
    ///
    /// # Errors
    /// When no thread can be started.
    pub fn start(parts: WriterParts) -> Result<Self, StoreError> {
        let writer = Self { parts: Arc::new(parts), duty: Arc::default() };
        writer.spawn(0)?;
        Ok(writer)
    }

    fn spawn(&self, turn: u64) -> Result<(), StoreError> {
        let worker = Worker {
            parts: Arc::clone(&self.parts),
            duty: Arc::clone(&self.duty),
            turn,
            open: None,
            committed_data_key: None,
            is_distrusted: false,
        };
        let thread = std::thread::Builder::new().name("journal-writer".to_owned());
        thread.spawn(move || run(worker)).map(|_| ()).map_err(StoreError::Thread)
    }

    /// Starts another thread when the present one hangs on a server that was failed over from.
    pub fn tend(&self) {
        let Some(turn) = self.duty.relieve_if_hanging(self.parts.location.generation()) else { return };
        tracing::warn!(
            "the journal writer hangs on a server that was failed over from; another goes on with the new one"
        );
        if let Err(error) = self.spawn(turn) {
            tracing::error!(%error, "no report can be stored");
        }
    }

    /// Commits what is queued, then stops. A commit that hangs is not waited for: its outcome is unknown, and nobody was
    /// told that it is stored.
    pub fn stop(&self) {
        self.parts.queue.close();
        if !self.duty.wait_for_end(STOP_WAIT) {
            tracing::error!("the database does not answer: whether the reports in hand are stored is not known");
        }
    }
}

impl Drop for JournalWriter {
    fn drop(&mut self) {
        // Once waited for is enough: it may hang.
        if !self.parts.queue.is_closed() {
            self.stop();
        }
    }
}

struct Worker {
    parts: Arc<WriterParts>,
    duty: Arc<Duty>,
    turn: u64,
    open: Option<OpenJournal>,
    /// The data key whose row is known to be committed.
    committed_data_key: Option<i64>,
    /// A sync has failed.
    is_distrusted: bool,
}

struct OpenJournal {
    connection: Connection,
    generation: u64,
    /// How often the database had been lost from sight when it was opened.
    doubts: u64,
}

/// Closes the queue and refuses what is left in it, however the writer ends: nobody waits for an answer for ever. A writer
/// that was relieved leaves the queue to the next one.
struct CloseOnExit(Worker);

impl Drop for CloseOnExit {
    fn drop(&mut self) {
        let Self(worker) = self;
        if !worker.duty.end(worker.turn) {
            return;
        }
        worker.parts.queue.close();
        while let Some(left) = worker.parts.queue.take_all(Vec::new(), 0) {
            left.into_iter().for_each(|entry| worker.refuse(entry, NotAppended::StoreFailed));
        }
        if std::thread::panicking() {
            (worker.parts.on_fatal)("the journal writer panicked");
        }
    }
}

fn run(worker: Worker) {
    let mut guard = CloseOnExit(worker);
    let mut batch = Vec::new();
    let mut last_rows = 0;
    let queue = Arc::clone(&guard.0.parts.queue);
    while let Some(taken) = queue.take_all(batch, last_rows) {
        last_rows = taken.len();
        batch = guard.0.write(taken);
        // From a failed sync on nobody hears a yes: the guard closes the queue.
        if guard.0.is_distrusted || !guard.0.duty.finish(guard.0.turn) {
            return;
        }
    }
}

impl Worker {
    /// Commits a batch and answers everyone in it.
    fn write(&mut self, mut batch: Vec<Entry>) -> Vec<Entry> {
        let started = Instant::now();
        self.parts.metrics.commit_rows.observe(f64::from(u32::try_from(batch.len()).unwrap_or(u32::MAX)));
        match self.commit(&batch) {
            Ok(()) => {
                self.parts.metrics.commit_seconds.observe(started.elapsed().as_secs_f64());
                self.acknowledge_all(&mut batch);
                self.parts.bell.ring();
            }
            // Only the data can be at fault: find the row, and let the others through.
            Err(error) if is_data_error(&error) && batch.len() > 1 => {
                for entry in batch.drain(..) {
                    self.write(vec![entry]);
                }
            }
            Err(error) => self.refuse_all(&mut batch, &error),
        }
        batch
    }

    fn commit(&mut self, batch: &[Entry]) -> Result<(), StoreError> {
        let mut last_key = self.open_journal()?;
        let mut keys: Vec<&SealedDataKey> = Vec::new();
        for entry in batch {
            let key = entry.data_key.sealed();
            if last_key != Some(key.id) {
                keys.push(key);
                last_key = Some(key.id);
            }
        }
        let rows: Vec<&Report> = batch.iter().map(|entry| &entry.report).collect();
        let Some(journal) = self.open.as_mut() else { return Err(StoreError::OldPrimary) };
        journal::append(&mut journal.connection, &keys, &rows)?;
        if journal.generation != self.parts.location.generation() {
            // Committed on a server that another has taken over from: it may never be heard of again.
            return Err(StoreError::OldPrimary);
        }
        self.committed_data_key = last_key;
        Ok(())
    }

    /// Opens the journal, unless it is open and still the one to write to; the data key that is known to be in it.
    fn open_journal(&mut self) -> Result<Option<i64>, StoreError> {
        let (generation, doubts) = (self.parts.location.generation(), self.parts.location.doubts());
        self.duty.begin(self.turn, self.open.as_ref().map_or(generation, |open| open.generation));
        if self.open.as_ref().is_none_or(|open| open.generation != generation || open.doubts != doubts) {
            self.open = None;
            // Another database may not have it.
            self.committed_data_key = None;
            let (connection, generation) =
                self.parts.location.open_in_generation(StoreLocation::open_journal_writer)?;
            self.duty.begin(self.turn, generation);
            self.open = Some(OpenJournal { connection, generation, doubts });
        }
        Ok(self.committed_data_key)
    }

    /// In three passes. Marks come before answers, so that a client's next try on this node is seen. Answers go out in one
    /// go, so that the threads that parse wake once for all of them. Memory is freed when nobody waits any more.
    fn acknowledge_all(&self, batch: &mut Vec<Entry>) {
        let reports = batch.iter().filter_map(|entry| entry.probe.as_ref());
        let accepted = reports.map(|probe| self.parts.fast.mark_stored(probe)).count();
        self.parts.metrics.accepted.inc_by(u64::try_from(accepted).unwrap_or(0));
        for reply in batch.iter_mut().filter_map(|entry| entry.reply.take()) {
            // A client that left does not matter: the report is stored.
            let _ = reply.send(Ok(()));
        }
        batch.clear();
    }

    fn refuse_all(&mut self, batch: &mut Vec<Entry>, error: &StoreError) {
        let reason = match error {
            _ if is_data_error(error) => NotAppended::RowRefused,
            // Sent, and perhaps committed before the answer was lost.
            StoreError::Query(_) | StoreError::OldPrimary if self.parts.location.is_shared() => {
                NotAppended::OutcomeUnknown
            }
            _ => NotAppended::StoreFailed,
        };
        if !is_data_error(error) {
            // Before anyone is told, so that who hears of it and tries again finds the database in doubt.
            self.parts.location.doubt();
        }
        tracing::error!(%error, reports = batch.len(), "these reports were not acknowledged; their senders were told");
        batch.drain(..).for_each(|entry| self.refuse(entry, reason));
        if is_data_error(error) {
            return;
        }
        if is_sync_failure(error) {
            // After a failed sync the kernel may have dropped the dirty pages: what was written before is in doubt.
            self.is_distrusted = true;
            (self.parts.on_fatal)("the journal could not be synced to disk");
        }
        if self.parts.location.is_shared() {
            // Whatever became of the server, the next batch begins with a session of its own. Nobody waits for its end.
            self.open = None;
        }
    }

    fn refuse(&self, mut entry: Entry, reason: NotAppended) {
        if reason != NotAppended::OutcomeUnknown
            && let Some(probe) = &entry.probe
        {
            self.parts.fast.give_back(probe);
        }
        self.parts.metrics.not_appended.inc();
        if let Some(reply) = entry.reply.take() {
            let _ = reply.send(Err(reason));
        }
    }
}

/// Whether the error lies in a row (SQLSTATE class 23) and not in the database.
fn is_data_error(error: &StoreError) -> bool {
    matches!(
        error,
        StoreError::Query(
            DieselError::DatabaseError(
                DatabaseErrorKind::UniqueViolation
                    | DatabaseErrorKind::ForeignKeyViolation
                    | DatabaseErrorKind::NotNullViolation
                    | DatabaseErrorKind::CheckViolation,
                _
            ) | DieselError::SerializationError(_)
        )
    )
}

/// SQLite says no more than this through diesel; a full disk and a busy file have words of their own.
fn is_sync_failure(error: &StoreError) -> bool {
    matches!(error, StoreError::Query(DieselError::DatabaseError(_, information))
        if information.message().contains("disk I/O error"))
}
