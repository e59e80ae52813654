//! A duty that one thread has at a time, and that another takes over when the first hangs on a server which was failed
//! over from.
//!
//! A call to a database that hangs cannot be taken back. What can be done is to leave the thread where it is: when its call
//! returns after all, it finishes what it has in hand, finds that it is no longer on duty, and ends.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// How long a call may take before its thread counts as hanging, once there is another server.
const HANGS_AFTER: Duration = Duration::from_secs(1);
/// How many hanging threads are left behind, at most.
const LEFT_BEHIND_MAX: usize = 8;

/// Who has the duty, and whether it is at work.
#[derive(Default)]
pub struct Duty {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    turn: u64,
    at_work: Option<AtWork>,
    has_ended: bool,
    left_behind: usize,
}

struct AtWork {
    since: Instant,
    /// Of the server it works with.
    generation: u64,
}

impl Duty {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The thread of `turn` begins a call to the database of this generation.
    pub fn begin(&self, turn: u64, generation: u64) {
        let mut state = self.lock();
        if state.turn == turn {
            state.at_work = Some(AtWork { since: Instant::now(), generation });
        }
    }

    /// The call has returned. Whether the thread of `turn` is still on duty; if not it has to end.
    #[must_use]
    pub fn finish(&self, turn: u64) -> bool {
        let mut state = self.lock();
        if state.turn != turn {
            return false;
        }
        state.at_work = None;
        true
    }

    /// The thread of `turn` ends. Whether it was on duty.
    pub fn end(&self, turn: u64) -> bool {
        let mut state = self.lock();
        let was_on_duty = state.turn == turn;
        if was_on_duty {
            state.has_ended = true;
        } else {
            state.left_behind = state.left_behind.saturating_sub(1);
        }
        drop(state);
        self.changed.notify_all();
        was_on_duty
    }

    /// Takes the duty from a thread that hangs with an older generation than `generation`; the turn of the next one.
    #[must_use]
    pub fn relieve_if_hanging(&self, generation: u64) -> Option<u64> {
        let mut state = self.lock();
        let hangs = state
            .at_work
            .as_ref()
            .is_some_and(|at_work| at_work.generation != generation && at_work.since.elapsed() >= HANGS_AFTER);
        if !hangs || state.left_behind >= LEFT_BEHIND_MAX {
            return None;
        }
        state.turn += 1;
        state.left_behind += 1;
        state.at_work = None;
        Some(state.turn)
    }

    /// Waits until the thread on duty has ended; whether it has.
    #[must_use]
    pub fn wait_for_end(&self, at_most: Duration) -> bool {
        let state = self.lock();
        let (state, _) = self
            .changed
            .wait_timeout_while(state, at_most, |state| !state.has_ended)
            .unwrap_or_else(PoisonError::into_inner);
        state.has_ended
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_thread_that_hangs_with_an_older_server_is_relieved() {
        let duty = Duty::default();
        assert_eq!(duty.relieve_if_hanging(1), None, "nobody is at work");
        duty.begin(0, 0);
        assert_eq!(duty.relieve_if_hanging(1), None, "not long enough");
        std::thread::sleep(HANGS_AFTER);
        assert_eq!(duty.relieve_if_hanging(0), None, "there is no other server");
        assert_eq!(duty.relieve_if_hanging(1), Some(1));
        duty.begin(1, 1);
        assert!(!duty.finish(0), "who was relieved has to end");
        assert!(!duty.end(0));
        assert!(duty.finish(1));
        assert!(!duty.wait_for_end(Duration::ZERO));
        assert!(duty.end(1));
        assert!(duty.wait_for_end(Duration::ZERO));
    }
}
