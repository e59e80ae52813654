//! Telling a thread to stop, and waiting for it.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Condvar, Mutex, PoisonError};
use std::time::Duration;

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
    pub fn end(&self) {
        *self.has_ended.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.changed.notify_all();
    }

    /// Tells the thread to stop, and waits for it, but not for ever: it may hang in the database.
    pub fn stop(&self, wait_at_most: Duration) {
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
