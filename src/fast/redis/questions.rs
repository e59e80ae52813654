//! Questions of reports to one server, gathered: while one pipeline is on its way the next questions gather, as reports do
//! for the journal. Under low load a question goes out at once and alone; under high load dozens share one message, one
//! answer and one waking, which cost more than the questions.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use redis::{Cmd, RedisResult};
use tokio::sync::{Notify, oneshot};

use super::failure::Failure;
use super::keys::SlotTag;
use super::link::{Lease, Shared};
use super::script::{LuaScript, is_unknown};

/// Questions in one pipeline: some milliseconds of the server's time.
const PIPELINE_MAX: usize = 256;

/// What the script says: outcome, marker, number.
pub(super) type Answer = (i64, Vec<u8>, i64);

/// A question on its way.
pub(super) struct Question {
    pub(super) tag: SlotTag,
    pub(super) keys: [Vec<u8>; 3],
    pub(super) store_mark: [u8; 8],
    pub(super) take_quota: bool,
    /// Dropped when there is no answer.
    pub(super) reply: oneshot::Sender<Answer>,
}

/// Questions that wait for their turn. There are no more than requests in hand.
#[derive(Default)]
pub(super) struct Questions {
    waiting: Mutex<Vec<Question>>,
    news: Notify,
}

impl Questions {
    pub(super) fn push(&self, question: Question) {
        let mut waiting = self.lock();
        waiting.push(question);
        let is_first = waiting.len() == 1;
        drop(waiting);
        if is_first {
            self.news.notify_one();
        }
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Question>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn take(&self) -> Vec<Question> {
        loop {
            {
                let mut waiting = self.lock();
                let count = waiting.len().min(PIPELINE_MAX);
                if count > 0 {
                    return waiting.drain(..count).collect();
                }
            }
            self.news.notified().await;
        }
    }
}

/// What every question has in common.
pub(super) struct Asker {
    pub(super) script: Arc<LuaScript>,
    pub(super) interval_micros: u64,
    pub(super) per_day: u32,
    /// Longest time an answer may take.
    pub(super) timeout: Duration,
}

impl Asker {
    /// The arguments of a question after its keys.
    pub(super) fn fill(&self, command: &mut Cmd, store_mark: &[u8; 8], take_quota: bool) {
        command.arg(store_mark).arg(i64::from(take_quota)).arg(self.interval_micros).arg(self.per_day);
    }

    fn command(&self, question: &Question, by_text: bool) -> Cmd {
        let mut command =
            if by_text { self.script.by_text(&question.keys) } else { self.script.by_hash(&question.keys) };
        self.fill(&mut command, &question.store_mark, question.take_quota);
        command
    }
}

/// Asks for ever.
pub(super) async fn ask_questions(questions: Arc<Questions>, link: Arc<Shared>, asker: Arc<Asker>) {
    loop {
        let mut batch = questions.take().await;
        // Who has given up would take of a quota for nothing.
        batch.retain(|question| !question.reply.is_closed());
        let Some(first) = batch.first() else { continue };
        if let Some(lease) = link.lease(first.tag) {
            ask(&link, &asker, lease, batch).await;
        }
    }
}

async fn ask(link: &Shared, asker: &Asker, mut lease: Lease, mut batch: Vec<Question>) {
    // The second time for what the server did not do because it does not know the script.
    for by_text in [false, true] {
        let mut pipeline = redis::pipe();
        pipeline.ignore_errors();
        for question in &batch {
            pipeline.add_command(asker.command(question, by_text));
        }
        let answers = pipeline.query_async::<Vec<RedisResult<Answer>>>(&mut lease.connection);
        let answers = match tokio::time::timeout(asker.timeout, answers).await {
            Ok(Ok(answers)) => answers,
            Ok(Err(error)) => return link.report_failure(&lease, Failure::of(&error)),
            Err(_elapsed) => return link.report_failure(&lease, Failure::TimedOut),
        };
        let mut unknown = Vec::new();
        for (question, answer) in batch.into_iter().zip(answers) {
            match answer {
                Ok(answer) => {
                    // Whoever left does not need it.
                    let _ = question.reply.send(answer);
                }
                Err(error) if is_unknown(&error) && !by_text => unknown.push(question),
                Err(error) => link.report_failure(&lease, Failure::of(&error)),
            }
        }
        if unknown.is_empty() {
            return;
        }
        batch = unknown;
    }
}
