//! A thread that can be told to stop, and waiting for it.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

use crate::store::StoreError;

/// How long a stop waits for what the thread has in hand.
const STOP_WAIT: Duration = Duration::from_secs(5);

/// A running thread; stops when told or dropped.
pub struct Running {
    stopping: Arc<Stopping>,
}

impl Running {
    /// Starts a thread of this name, which looks whether it is to stop.
    ///
    /// # Errors
    /// When no thread can be started.
    pub fn start(name: &str, work: impl FnOnce(&Arc<Stopping>) + Send + 'static) -> Result<Self, StoreError> {
        let stopping = Arc::<Stopping>::default();
        let told = Arc::clone(&stopping);
        let run = move || {
            work(&told);
            told.end();
        };
        std::thread::Builder::new().name(name.to_owned()).spawn(run).map_err(StoreError::Thread)?;
        Ok(Self { stopping })
    }

    /// Lets the thread finish what it has in hand, for a while, and end.
    pub fn stop(&self) {
        self.stopping.stop(STOP_WAIT);
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Once waited for is enough: it may hang.
        if !self.stopping.is_told() {
            self.stop();
        }
    }
}

/// What a thread and its owner share.
#[derive(Default)]
pub struct Stopping {
    is_told: AtomicBool,
    has_ended: Mutex<bool>,
    changed: Condvar,
}

impl Stopping {
    /// Whether the thread is to stop.
    #[must_use]
    pub fn is_told(&self) -> bool {
        self.is_told.load(Ordering::SeqCst)
    }

    /// Sleeps, unless the thread is to stop.
    pub fn sleep(&self, at_most: Duration) {
        let ended = self.has_ended.lock().unwrap_or_else(PoisonError::into_inner);
        drop(self.changed.wait_timeout_while(ended, at_most, |_| !self.is_told()));
    }

    /// Says that the thread has ended.
    fn end(&self) {
        *self.has_ended.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.changed.notify_all();
    }

    /// Tells the thread to stop, and waits for it, but not for ever: it may hang in the database.
    fn stop(&self, wait_at_most: Duration) {
        {
            // Under the lock, or a thread that is about to sleep would not hear it.
            let _ended = self.has_ended.lock().unwrap_or_else(PoisonError::into_inner);
            self.is_told.store(true, Ordering::SeqCst);
        }
        self.changed.notify_all();
        let ended = self.has_ended.lock().unwrap_or_else(PoisonError::into_inner);
        drop(self.changed.wait_timeout_while(ended, wait_at_most, |ended| !*ended));
    }
}
