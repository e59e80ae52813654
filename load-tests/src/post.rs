//! Posting all reports of a run over a number of connections, at a given rate or as fast as they are taken.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};

use crate::attempts::{Counts, add_counts, count, until_answered};
use crate::gateway::{Gateway, PostAnswer};
use crate::lines::{Line, Lines};
use crate::progress::Progress;
use crate::report::Run;

/// All that the connections share.
pub struct Posting {
    /// Where reports go.
    pub gateway: Arc<Gateway>,
    /// How bodies are made.
    pub run: Run,
    /// What they say.
    pub lines: Lines,
    /// The time between two reports, or `None` for no limit.
    pub interval: Option<Duration>,
    /// Counts answered lines.
    pub progress: Progress,
}

/// What was said to the reports of a run.
#[derive(Debug, Default)]
pub struct Posted {
    /// 201 answers.
    pub accepted: u64,
    /// 200 answers.
    pub duplicates: u64,
    /// 201 answers with the hint `repeat`.
    pub repeats: u64,
    /// Refusals by code.
    pub refused: Counts,
    /// Requests sent again, by reason.
    pub retries: Counts,
    /// Answers that the API does not describe, and reports that were never answered.
    pub unexpected: Counts,
    /// The id in each 201 and 200 answer.
    pub ids: Vec<String>,
}

impl Posted {
    fn add(&mut self, answer: Result<PostAnswer, String>) {
        match answer {
            Ok(PostAnswer::Accepted { id, repeat }) => {
                self.accepted += 1;
                self.repeats += u64::from(repeat);
                self.ids.push(id);
            }
            Ok(PostAnswer::Duplicate { id }) => {
                self.duplicates += 1;
                self.ids.push(id);
            }
            Ok(PostAnswer::Refused(code)) => count(&mut self.refused, code),
            Ok(PostAnswer::Unexpected(what)) => count(&mut self.unexpected, what),
            Err(reason) => count(&mut self.unexpected, format!("gave up after: {reason}")),
        }
    }

    fn merge(&mut self, other: Self) {
        self.accepted += other.accepted;
        self.duplicates += other.duplicates;
        self.repeats += other.repeats;
        self.ids.extend(other.ids);
        add_counts(&mut self.refused, other.refused);
        add_counts(&mut self.retries, other.retries);
        add_counts(&mut self.unexpected, other.unexpected);
    }
}

impl Posting {
    /// Posts every line once, `connections` at a time.
    ///
    /// # Errors
    /// When a body cannot be made, or a task panicked.
    pub async fn post_all(self: &Arc<Self>, connections: usize) -> anyhow::Result<Posted> {
        let next = Arc::new(AtomicUsize::new(0));
        let start = Instant::now();
        let mut tasks = JoinSet::new();
        for _ in 0..connections {
            tasks.spawn(Arc::clone(self).post_in_turn(Arc::clone(&next), start));
        }
        let mut total = Posted::default();
        while let Some(posted) = tasks.join_next().await {
            total.merge(posted??);
        }
        Ok(total)
    }

    /// Takes the next line that nobody has taken, until there is none.
    async fn post_in_turn(self: Arc<Self>, next: Arc<AtomicUsize>, start: Instant) -> anyhow::Result<Posted> {
        let mut posted = Posted::default();
        loop {
            let turn = next.fetch_add(1, Ordering::Relaxed);
            let Some(line) = self.lines.lines.get(turn) else { return Ok(posted) };
            if let Some(interval) = self.interval {
                sleep_until(start + interval.mul_f64(turn as f64)).await;
            }
            self.post_line(line, &mut posted).await?;
            self.progress.step();
        }
    }

    async fn post_line(&self, line: &Line, posted: &mut Posted) -> anyhow::Result<()> {
        let body = self.run.body(line.number, &line.text)?;
        let answer = until_answered(|| self.gateway.post(&body), &mut posted.retries).await;
        posted.add(answer);
        Ok(())
    }
}
