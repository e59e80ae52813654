//! The queue between the handlers and the journal writer: bounded in items and in bytes, taken whole.

use std::mem;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::oneshot;

use crate::crypto::envelope::DataKey;
use crate::domain::report::Report;
use crate::fast::Probe;

/// From how many reports in the last batch on the next one is let gather for a moment.
const GATHER_FROM_ROWS: usize = 8;

/// How many reports end the gathering.
const GATHER_ROWS: usize = 64;
/// How long reports gather at most. A sync takes about half of it; a caller waits for milliseconds under such load.
const GATHER_MAX: Duration = Duration::from_millis(1);
/// Bytes of a row besides its envelope, for the byte bound of the queue.
const ROW_BYTES: usize = 512;

/// Why a report was not acknowledged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NotAppended {
    /// The queue is full.
    QueueFull,
    /// The database failed, or the writer has stopped.
    StoreFailed,
    /// The database refused this very row.
    RowRefused,
    /// The database was lost while it had the report: nobody knows whether it is stored.
    OutcomeUnknown,
}

/// A report on its way to the journal, with everything the writer does when it is there: the handler may be gone.
pub struct Entry {
    /// What is appended.
    pub report: Report,
    /// The data key that sealed it, committed with the first report under it.
    pub data_key: Arc<DataKey>,
    /// What the fast state is told afterwards; nothing of an amendment, whose report it knows already.
    pub probe: Option<Probe>,
    /// Who waits; none once answered.
    pub reply: Option<oneshot::Sender<Result<(), NotAppended>>>,
}

impl Entry {
    fn bytes(&self) -> usize {
        ROW_BYTES + self.report.envelope.len()
    }
}

/// Bounds of the queue.
#[derive(Clone, Copy, Debug)]
pub struct QueueLimits {
    /// Reports.
    pub items_max: usize,
    /// Bytes, of envelopes and rows.
    pub bytes_max: usize,
}

#[derive(Default)]
struct Waiting {
    entries: Vec<Entry>,
    bytes: usize,
    closed: bool,
    /// With how many entries the writer wants to be woken.
    wake_at: usize,
}

/// The queue.
pub struct JournalQueue {
    waiting: Mutex<Waiting>,
    news: Condvar,
    limits: QueueLimits,
    gathers: bool,
}

impl JournalQueue {
    /// An empty queue. `gathers`: whether under load the writer waits a moment for more. A commit of a server takes so long
    /// that enough gathers meanwhile.
    #[must_use]
    pub fn new(limits: QueueLimits, gathers: bool) -> Self {
        Self { waiting: Mutex::new(Waiting::default()), news: Condvar::new(), limits, gathers }
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts a report in, at once or not at all.
    ///
    /// # Errors
    /// The entry comes back when there is no room, or when the writer has stopped.
    pub fn push(&self, entry: Entry) -> Result<(), (Box<Entry>, NotAppended)> {
        let bytes = entry.bytes();
        let mut waiting = self.lock();
        if waiting.closed {
            return Err((Box::new(entry), NotAppended::StoreFailed));
        }
        if waiting.entries.len() >= self.limits.items_max || waiting.bytes + bytes > self.limits.bytes_max {
            return Err((Box::new(entry), NotAppended::QueueFull));
        }
        waiting.bytes += bytes;
        waiting.entries.push(entry);
        let is_awaited = waiting.entries.len() == waiting.wake_at;
        drop(waiting);
        if is_awaited {
            self.news.notify_one();
        }
        Ok(())
    }

    /// Takes everything, waiting until there is something. `None` when the queue is closed and empty.
    ///
    /// After a batch of some size (`last_rows`) the next one gathers for a moment: the threads that parse then run
    /// on undisturbed, and half as many syncs acknowledge a quarter more. After a small one nothing waits.
    ///
    /// `emptied` is handed in so that its memory is used again.
    pub fn take_all(&self, mut emptied: Vec<Entry>, last_rows: usize) -> Option<Vec<Entry>> {
        emptied.clear();
        let mut waiting = self.lock();
        if self.gathers && last_rows >= GATHER_FROM_ROWS {
            waiting.wake_at = GATHER_ROWS;
            let is_short = |waiting: &mut Waiting| waiting.entries.len() < GATHER_ROWS && !waiting.closed;
            (waiting, _) =
                self.news.wait_timeout_while(waiting, GATHER_MAX, is_short).unwrap_or_else(PoisonError::into_inner);
        }
        waiting.wake_at = 1;
        waiting = self
            .news
            .wait_while(waiting, |waiting| waiting.entries.is_empty() && !waiting.closed)
            .unwrap_or_else(PoisonError::into_inner);
        if waiting.entries.is_empty() {
            return None;
        }
        waiting.bytes = 0;
        mem::swap(&mut waiting.entries, &mut emptied);
        Some(emptied)
    }

    /// Takes no more; what is queued can still be taken.
    pub fn close(&self) {
        self.lock().closed = true;
        self.news.notify_all();
    }

    /// How many reports wait.
    #[must_use]
    pub fn len(&self) -> usize {
        self.lock().entries.len()
    }

    /// Whether half of the room is taken. Who sends many at once then waits, so that there is room for those who send one.
    #[must_use]
    pub fn is_half_full(&self) -> bool {
        let waiting = self.lock();
        waiting.entries.len() > self.limits.items_max / 2 || waiting.bytes > self.limits.bytes_max / 2
    }

    /// Whether none waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether the writer has stopped taking reports.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.lock().closed
    }
}
