//! Questions of reports, and those to one server gathered: while one call is on its way the next questions gather, as
//! reports do for the journal. Under low load a question goes out at once and alone; under high load dozens share one call of
//! the script, one answer and one waking, which cost more than the questions.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use redis::aio::ConnectionLike;
use redis::{Cmd, FromRedisValue, ParsingError, RedisResult, Value};
use tokio::sync::{Notify, oneshot};

use super::failure::Failure;
use super::keys::{Keys, SlotTag};
use super::link::{Lease, Shared};
use super::script::LuaScript;
use super::{CLAIM_KEPT_S, MARKER_PLACE_MAX, marker};
use crate::domain::clock::MICROS_PER_SECOND;
use crate::fast::{Admission, MarkerPlace, Probe};

/// Questions in one call of the script: a millisecond or two of the server's time.
const CALL_MAX: usize = 256;

/// From how many questions in the last call on the next ones are let gather.
const GATHER_FROM: usize = 4;
/// How many questions end the gathering.
const GATHERED: usize = 64;
/// How long questions gather, but for what the timer adds, up to as much. A report waits longer for the disk.
const GATHER_MAX: Duration = Duration::from_millis(1);

/// What the script says of a report.
#[derive(Debug)]
pub(super) enum Answer {
    /// What is remembered of it as stored.
    Marker(Vec<u8>),
    /// As `admit.lua` says.
    Number(i64),
}

impl FromRedisValue for Answer {
    fn from_redis_value(value: Value) -> Result<Self, ParsingError> {
        match value {
            Value::BulkString(marker) => Ok(Self::Marker(marker)),
            other => i64::from_redis_value(other).map(Self::Number),
        }
    }
}

impl Answer {
    /// `is_repeat` is what this node remembers itself. What the script says is looked at again: an answer can be made up
    /// as well as a value.
    pub(super) fn read(&self, probe: &Probe, is_repeat: bool) -> Admission {
        match self {
            Self::Marker(found) if *found == marker(probe) => Admission::Stored,
            Self::Marker(found) if found.len() == 16 && found.starts_with(&probe.store_mark) => Admission::Conflict,
            Self::Marker(_) => Admission::New { repeat: is_repeat, place: None },
            Self::Number(number) if *number < 0 => {
                Admission::OverQuota { retry_after_s: number.unsigned_abs() / MICROS_PER_SECOND.unsigned_abs() + 1 }
            }
            Self::Number(number) => {
                let place = u16::try_from(number / 2).ok().filter(|place| (1..=MARKER_PLACE_MAX).contains(place));
                Admission::New { repeat: is_repeat || number % 2 == 1, place: place.map(MarkerPlace) }
            }
        }
    }
}

/// What the script is asked about one report.
pub(super) struct Asked {
    pub(super) reporter: Vec<u8>,
    /// The store's half of the marker, then [`claim_of`].
    words: [u8; 16],
    takes_quota: bool,
}

impl Asked {
    pub(super) fn of(keys: &Keys, probe: &Probe, takes_quota: bool) -> Self {
        let mut words = [0; 16];
        words.iter_mut().zip(probe.store_mark.iter().chain(&claim_of(probe))).for_each(|(to, from)| *to = *from);
        Self { reporter: keys.reporter(probe), words, takes_quota }
    }

    /// Asks nothing: takes of a quota that nobody has, to find out whether one can write there.
    pub(super) fn nothing(check_key: &[u8]) -> Self {
        Self { reporter: check_key.to_vec(), words: [1; 16], takes_quota: true }
    }

    fn words(&self) -> &[u8] {
        let (store_mark, _) = self.words.split_at(8);
        if self.takes_quota { &self.words } else { store_mark }
    }
}

/// What a report claims and what its id is, 4 bytes of each: so much is remembered with its reporter. The ends, because an
/// id holds its version further in front.
fn claim_of(probe: &Probe) -> [u8; 8] {
    let mut claim = [0; 8];
    let parts = probe.hint_key.iter().skip(12).chain(id_of(probe));
    claim.iter_mut().zip(parts).for_each(|(to, from)| *to = *from);
    claim
}

/// What of its id is remembered.
pub(super) fn id_of(probe: &Probe) -> &[u8] {
    let (_, end) = probe.id.as_bytes().split_at(12);
    end
}

/// A question on its way.
pub(super) struct Question {
    pub(super) tag: SlotTag,
    pub(super) asked: Asked,
    /// Dropped when there is no answer.
    pub(super) reply: oneshot::Sender<Answer>,
}

/// Questions that wait for their turn. There are no more than requests in hand.
#[derive(Default)]
pub(super) struct Questions {
    waiting: Mutex<Waiting>,
    news: Notify,
}

#[derive(Default)]
struct Waiting {
    questions: Vec<Question>,
    /// With how many questions the asker wants to be woken.
    wake_at: usize,
}

impl Questions {
    pub(super) fn push(&self, question: Question) {
        let mut waiting = self.lock();
        waiting.questions.push(question);
        let is_awaited = waiting.questions.len() == waiting.wake_at;
        drop(waiting);
        if is_awaited {
            self.news.notify_one();
        }
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes what is there, waiting until there is something. After a call with several questions (`last_count`) the next
    /// ones gather for a moment; after a small one nothing waits.
    async fn take(&self, last_count: usize) -> Vec<Question> {
        if last_count >= GATHER_FROM {
            let _ = tokio::time::timeout(GATHER_MAX, self.wait_for(GATHERED)).await;
        }
        self.wait_for(1).await;
        let mut waiting = self.lock();
        let count = waiting.questions.len().min(CALL_MAX);
        waiting.questions.drain(..count).collect()
    }

    async fn wait_for(&self, count: usize) {
        loop {
            {
                let mut waiting = self.lock();
                if waiting.questions.len() >= count {
                    return;
                }
                waiting.wake_at = count;
            }
            self.news.notified().await;
        }
    }
}

/// What questions have in common.
pub(super) struct Asker {
    pub(super) script: Arc<LuaScript>,
    pub(super) interval_micros: u64,
    pub(super) per_day: u32,
    /// How long a report is remembered, and its reporter after the last one.
    pub(super) kept_s: i64,
    /// Longest time an answer may take.
    pub(super) timeout: Duration,
}

impl Asker {
    /// Asks about reports in one call; an answer for each. In a Cluster they must share a slot.
    pub(super) async fn ask<'a>(
        &self,
        connection: &mut impl ConnectionLike,
        asked: impl Iterator<Item = &'a Asked> + Clone,
    ) -> RedisResult<Vec<Answer>> {
        let keys: Vec<&Vec<u8>> = asked.clone().map(|asked| &asked.reporter).collect();
        let fill = |command: &mut Cmd| {
            command.arg(self.interval_micros).arg(self.per_day).arg(self.kept_s).arg(CLAIM_KEPT_S);
            asked.clone().for_each(|asked| {
                command.arg(asked.words());
            });
        };
        self.script.call(connection, &keys, fill).await
    }
}

/// Asks for ever.
pub(super) async fn ask_questions(questions: Arc<Questions>, link: Arc<Shared>, asker: Arc<Asker>) {
    let mut last_count = 0;
    loop {
        let mut batch = questions.take(last_count).await;
        last_count = batch.len();
        // Who has given up would take of a quota for nothing.
        batch.retain(|question| !question.reply.is_closed());
        let Some(first) = batch.first() else { continue };
        if let Some(lease) = link.lease(first.tag) {
            ask(&link, &asker, lease, batch).await;
        }
    }
}

async fn ask(link: &Shared, asker: &Asker, mut lease: Lease, batch: Vec<Question>) {
    let answers = asker.ask(&mut lease.connection, batch.iter().map(|question| &question.asked));
    match tokio::time::timeout(asker.timeout, answers).await {
        Ok(Ok(answers)) => {
            for (question, answer) in batch.into_iter().zip(answers) {
                // Whoever left does not need it.
                let _ = question.reply.send(answer);
            }
        }
        Ok(Err(error)) => link.report_failure(&lease, Failure::of(&error)),
        Err(_elapsed) => link.report_failure(&lease, Failure::TimedOut),
    }
}
