//! Reading back every report that was acknowledged, until each is counted or time is up.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

use crate::attempts::{Counts, add_counts, count, until_answered};
use crate::gateway::{Gateway, ReadAnswer};
use crate::progress::Progress;

/// The pause before those that are not counted yet are asked for again.
pub const POLL_INTERVAL: Duration = Duration::from_millis(500);
/// The status of a report that the builder has not come to.
pub const WAITING_STATUS: &str = "accepted";

/// What the gateway knows about the reports it acknowledged.
#[derive(Debug, Default)]
pub struct ReadBack {
    /// Reports that it knows.
    pub read: u64,
    /// Reports that it acknowledged and does not know.
    pub missing: u64,
    /// Known reports by status.
    pub statuses: Counts,
    /// Distinct references of cases.
    pub case_references: HashSet<String>,
    /// Requests sent again, by reason.
    pub retries: Counts,
    /// Answers that the API does not describe, and requests that were never answered.
    pub unexpected: Counts,
}

impl ReadBack {
    fn add(&mut self, answer: Result<ReadAnswer, String>) {
        match answer {
            Ok(ReadAnswer::Known { status, case_reference }) => {
                self.read += 1;
                count(&mut self.statuses, status);
                self.case_references.extend(case_reference);
            }
            Ok(ReadAnswer::Missing) => self.missing += 1,
            Ok(ReadAnswer::Unexpected(what)) => count(&mut self.unexpected, what),
            Err(reason) => count(&mut self.unexpected, format!("reading back, gave up after: {reason}")),
        }
    }
}

/// Reads every id once, and then again those that still wait to be counted, for at most `wait` after the first pass.
///
/// # Errors
/// When a task panicked.
pub async fn read_all(
    gateway: &Arc<Gateway>,
    ids: Vec<String>,
    connections: usize,
    wait: Duration,
    progress: &Progress,
) -> anyhow::Result<ReadBack> {
    let mut total = ReadBack::default();
    let mut pending = ids;
    let mut deadline = None;
    loop {
        let pass = Pass { gateway: Arc::clone(gateway), ids: pending, next: AtomicUsize::new(0) };
        let answers = Arc::new(pass).run(connections, &mut total.retries).await?;
        let is_last_pass = Instant::now() >= *deadline.get_or_insert_with(|| Instant::now() + wait);
        pending = Vec::new();
        for (id, answer) in answers {
            if !is_last_pass && is_waiting(&answer) {
                pending.push(id);
            } else {
                total.add(answer);
                progress.step();
            }
        }
        if pending.is_empty() {
            return Ok(total);
        }
        sleep(POLL_INTERVAL).await;
    }
}

fn is_waiting(answer: &Result<ReadAnswer, String>) -> bool {
    matches!(answer, Ok(ReadAnswer::Known { status, .. }) if status == WAITING_STATUS)
}

type Answers = Vec<(String, Result<ReadAnswer, String>)>;

struct Pass {
    gateway: Arc<Gateway>,
    ids: Vec<String>,
    next: AtomicUsize,
}

impl Pass {
    async fn run(self: Arc<Self>, connections: usize, retries: &mut Counts) -> anyhow::Result<Answers> {
        let mut tasks = JoinSet::new();
        for _ in 0..connections.min(self.ids.len()) {
            tasks.spawn(Arc::clone(&self).read_in_turn());
        }
        let mut all = Answers::new();
        while let Some(result) = tasks.join_next().await {
            let (answers, retried) = result?;
            all.extend(answers);
            add_counts(retries, retried);
        }
        Ok(all)
    }

    async fn read_in_turn(self: Arc<Self>) -> (Answers, Counts) {
        let mut answers = Answers::new();
        let mut retries = Counts::new();
        while let Some(id) = self.ids.get(self.next.fetch_add(1, Ordering::Relaxed)) {
            let answer = until_answered(|| self.gateway.read(id), &mut retries).await;
            answers.push((id.clone(), answer));
        }
        (answers, retries)
    }
}
