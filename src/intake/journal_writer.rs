//! The journal writer: one thread, one connection, one commit for all that is queued, then an answer to each.
//!
//! Under low load a commit holds one report, at once. While a commit syncs, the next ones gather, so under high load it
//! holds dozens. What must happen after the commit happens here, because a handler's future is dropped
//! when its client leaves.

use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Instant;

use diesel::connection::SimpleConnection;
use diesel::result::{DatabaseErrorKind, Error as DieselError};

use super::journal_queue::{Entry, JournalQueue, NotAppended};
use crate::casework::builder_thread::BuilderBell;
use crate::fast::FastState;
use crate::store::StoreError;
use crate::store::connection::{Connection, StoreLocation};
use crate::store::journal;
use crate::telemetry::metrics::Metrics;

/// Called once when the journal can no longer be trusted to be on disk: the process must end.
pub type OnFatal = Box<dyn Fn(&'static str) + Send>;

/// A running journal writer.
pub struct JournalWriter {
    queue: Arc<JournalQueue>,
    thread: Option<JoinHandle<()>>,
}

impl JournalWriter {
    /// Starts the writer.
    ///
    /// # Errors
    /// When the journal or a thread cannot be opened.
    pub fn start(
        location: &StoreLocation,
        queue: Arc<JournalQueue>,
        fast: Arc<FastState>,
        bell: Arc<BuilderBell>,
        metrics: Arc<Metrics>,
        on_fatal: OnFatal,
    ) -> Result<Self, StoreError> {
        let connection = location.open_journal_writer()?;
        let worker =
            Worker { connection, fast, bell, metrics, on_fatal, committed_data_key: None, is_distrusted: false };
        let thread_queue = Arc::clone(&queue);
        let thread = std::thread::Builder::new()
            .name("journal-writer".to_owned())
            .spawn(move || run(worker, &thread_queue))
            .map_err(|source| StoreError::Directory { path: "journal writer thread".into(), source })?;
        Ok(Self { queue, thread: Some(thread) })
    }

    /// Commits what is queued, then stops.
    pub fn stop(&mut self) {
        self.queue.close();
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the journal writer had panicked");
        }
    }
}

impl Drop for JournalWriter {
    fn drop(&mut self) {
        self.stop();
    }
}

struct Worker {
    connection: Connection,
    fast: Arc<FastState>,
    bell: Arc<BuilderBell>,
    metrics: Arc<Metrics>,
    on_fatal: OnFatal,
    /// The data key whose row is known to be committed.
    committed_data_key: Option<i64>,
    /// A sync has failed.
    is_distrusted: bool,
}

/// Closes the queue and refuses what is left in it, however the writer ends: nobody waits for an answer for ever.
struct CloseOnExit<'a> {
    queue: &'a JournalQueue,
    worker: Worker,
}

impl Drop for CloseOnExit<'_> {
    fn drop(&mut self) {
        self.queue.close();
        while let Some(left) = self.queue.take_all(Vec::new(), 0) {
            left.into_iter().for_each(|entry| self.worker.refuse(entry, NotAppended::StoreFailed));
        }
        if std::thread::panicking() {
            (self.worker.on_fatal)("the journal writer panicked");
        }
    }
}

fn run(worker: Worker, queue: &JournalQueue) {
    let mut guard = CloseOnExit { queue, worker };
    let mut batch = Vec::new();
    let mut last_rows = 0;
    while let Some(taken) = queue.take_all(batch, last_rows) {
        last_rows = taken.len();
        batch = guard.worker.write(taken);
        if guard.worker.is_distrusted {
            // The guard closes the queue: from here on nobody hears a yes.
            return;
        }
    }
}

impl Worker {
    /// Commits a batch and answers everyone in it.
    fn write(&mut self, mut batch: Vec<Entry>) -> Vec<Entry> {
        let started = Instant::now();
        self.metrics.commit_rows.observe(f64::from(u32::try_from(batch.len()).unwrap_or(u32::MAX)));
        match self.commit(&batch) {
            Ok(()) => {
                self.metrics.commit_seconds.observe(started.elapsed().as_secs_f64());
                self.acknowledge_all(&mut batch);
                self.bell.ring();
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

    fn commit(&mut self, batch: &[Entry]) -> Result<(), DieselError> {
        self.connection.batch_execute("BEGIN IMMEDIATE")?;
        let inserted = self.insert_all(batch);
        let outcome = inserted.and_then(|last_key| {
            self.connection.batch_execute("COMMIT")?;
            self.committed_data_key = last_key;
            Ok(())
        });
        if outcome.is_err() {
            // After a failed COMMIT there may or may not be a transaction left; without one this fails, which is fine.
            let _ = self.connection.batch_execute("ROLLBACK");
        }
        outcome
    }

    /// Inserts all rows; the data key that is committed when they are.
    fn insert_all(&mut self, batch: &[Entry]) -> Result<Option<i64>, DieselError> {
        let mut last_key = self.committed_data_key;
        for entry in batch {
            let data_key = entry.data_key.sealed();
            if last_key != Some(data_key.id) {
                journal::insert_data_key(&mut self.connection, data_key)?;
                last_key = Some(data_key.id);
            }
            journal::insert_report(&mut self.connection, &entry.report)?;
        }
        Ok(last_key)
    }

    /// In three passes. Marks come before answers, so that a client's next try on this node is seen. Answers go out in one
    /// go, so that the threads that parse wake once for all of them. Memory is freed when nobody waits any more.
    fn acknowledge_all(&self, batch: &mut Vec<Entry>) {
        batch.iter().for_each(|entry| self.fast.mark_stored(&entry.probe));
        self.metrics.accepted.inc_by(u64::try_from(batch.len()).unwrap_or(0));
        for reply in batch.iter_mut().filter_map(|entry| entry.reply.take()) {
            // A client that left does not matter: the report is stored.
            let _ = reply.send(Ok(()));
        }
        batch.clear();
    }

    fn refuse_all(&mut self, batch: &mut Vec<Entry>, error: &DieselError) {
        let reason = if is_data_error(error) { NotAppended::RowRefused } else { NotAppended::StoreFailed };
        tracing::error!(%error, reports = batch.len(), "the journal took none of these reports; their senders were told");
        batch.drain(..).for_each(|entry| self.refuse(entry, reason));
        if is_sync_failure(error) {
            // After a failed sync the kernel may have dropped the dirty pages: what was written before is in doubt.
            self.is_distrusted = true;
            (self.on_fatal)("the journal could not be synced to disk");
        }
    }

    fn refuse(&self, mut entry: Entry, reason: NotAppended) {
        self.fast.give_back(&entry.probe);
        self.metrics.not_appended.inc();
        if let Some(reply) = entry.reply.take() {
            let _ = reply.send(Err(reason));
        }
    }
}

/// Whether the error lies in a row (SQLSTATE classes 22 and 23) and not in the database.
fn is_data_error(error: &DieselError) -> bool {
    matches!(
        error,
        DieselError::DatabaseError(
            DatabaseErrorKind::UniqueViolation
                | DatabaseErrorKind::ForeignKeyViolation
                | DatabaseErrorKind::NotNullViolation
                | DatabaseErrorKind::CheckViolation,
            _
        ) | DieselError::SerializationError(_)
    )
}

/// SQLite says no more than this through diesel; a full disk and a busy file have words of their own.
fn is_sync_failure(error: &DieselError) -> bool {
    matches!(error, DieselError::DatabaseError(_, information) if information.message().contains("disk I/O error"))
}
