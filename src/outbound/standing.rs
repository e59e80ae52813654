//! What telling carriers says of itself, for operators.

use std::sync::atomic::{AtomicBool, Ordering};

/// One of the two threads, as it does at the moment.
#[derive(Default)]
pub struct Doing {
    is_failing: AtomicBool,
    has_broken_down: AtomicBool,
}

impl Doing {
    /// It works, again or still.
    pub fn works(&self) {
        self.is_failing.store(false, Ordering::Relaxed);
    }

    /// It fails and will try again. Whether that is new.
    pub fn fails(&self) -> bool {
        !self.is_failing.swap(true, Ordering::Relaxed)
    }

    /// It will not try again before the next start.
    pub fn breaks_down(&self) {
        self.has_broken_down.store(true, Ordering::Relaxed);
    }

    fn complaint(&self, failing: &'static str, broken_down: &'static str) -> Option<&'static str> {
        if self.has_broken_down.load(Ordering::Relaxed) {
            return Some(broken_down);
        }
        self.is_failing.load(Ordering::Relaxed).then_some(failing)
    }
}

/// Both threads of a node; without them it has nothing to complain of.
#[derive(Default)]
pub struct Standing {
    /// Whether this node tells carriers: it holds the authority's private key.
    pub tells: bool,
    /// `desk.rs`.
    pub desk: Doing,
    /// `dispatch.rs`.
    pub webhooks: Doing,
}

impl Standing {
    /// What is lost at the moment, in sentences. Why, stands in the log.
    #[must_use]
    pub fn complaints(&self) -> Vec<&'static str> {
        let desk = self.desk.complaint(
            "telling carriers fails: no decision is handed out until it is mended",
            "telling carriers broke down: no decision is handed out until the gateway is started again",
        );
        let webhooks = self.webhooks.complaint(
            "calling webhooks fails: messages wait until it is mended",
            "calling webhooks broke down: messages wait until the gateway is started again",
        );
        desk.into_iter().chain(webhooks).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_is_said_once_and_a_breakdown_stays() {
        let standing = Standing::default();
        assert!(standing.complaints().is_empty());
        assert!(standing.desk.fails() && !standing.desk.fails());
        assert!(standing.webhooks.fails());
        assert_eq!(standing.complaints().len(), 2);
        standing.desk.works();
        standing.webhooks.works();
        assert!(standing.complaints().is_empty() && standing.desk.fails());
        standing.desk.breaks_down();
        standing.desk.works();
        let complaints = standing.complaints();
        assert!(complaints.len() == 1 && complaints.iter().all(|complaint| complaint.contains("broke down")));
    }
}
