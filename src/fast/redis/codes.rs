//! Codes in Redis. Nothing stands in for it: what it does not answer is not known.

use redis::Cmd;

use super::RedisState;
use super::failure::Failure;
use super::keys::SlotTag;
use crate::domain::clock::{MICROS_PER_DAY, Moment};
use crate::fast::NotReached;
use crate::fast::codes::{CodeTry, CountLimit, SALT_BYTES, Taken, Tried, TryLimit, whole_seconds};

/// Adds a moment as the scripts read it: empty for the server's own time.
fn add_moment(command: &mut Cmd, now: Option<Moment>) {
    match now {
        Some(now) => command.arg(now.0),
        None => command.arg(""),
    };
}

impl RedisState {
    /// See [`crate::fast::FastState::take_sends`] and [`crate::fast::FastState::take_tries`]; with `step` -1 they are given back.
    pub async fn count(&self, limits: &[CountLimit], step: i32, now: Option<Moment>) -> Result<Taken, NotReached> {
        let mut lease = self.link.lease(SlotTag::COUNTS).ok_or(NotReached)?;
        let keys: Vec<Vec<u8>> = limits.iter().map(|limit| self.keys.count(&limit.key)).collect();
        let fill = |command: &mut Cmd| {
            add_moment(command, now);
            command.arg(step);
            limits.iter().for_each(|limit| {
                command.arg(limit.max).arg(limit.window_s);
            });
        };
        let answer = self.count_script.call::<(i64, usize)>(&mut lease.connection, &keys, fill);
        let answer = tokio::time::timeout(self.asker.timeout, answer).await;
        match self.take_answer(&lease, answer)? {
            (0, _) => Ok(Taken::Yes),
            (wait @ 1..=MICROS_PER_DAY, place) => {
                Ok(Taken::Full { limit: place.saturating_sub(1), retry_after_s: whole_seconds(wait) })
            }
            _ => {
                self.link.report_failure(&lease, Failure::Data);
                Err(NotReached)
            }
        }
    }

    /// See [`crate::fast::FastState::put_code`].
    pub async fn put_code(&self, key: &[u8; 16], value: &[u8], kept_s: u32) -> Result<(), NotReached> {
        let mut command = redis::cmd("SET");
        command.arg(self.keys.code(key)).arg(value).arg("EX").arg(kept_s);
        self.ask_once::<()>(key, &command).await
    }

    /// See [`crate::fast::FastState::find_code`].
    pub async fn find_code(&self, key: &[u8; 16]) -> Result<Option<Vec<u8>>, NotReached> {
        let mut command = redis::cmd("GET");
        command.arg(self.keys.code(key));
        self.ask_once(key, &command).await
    }

    /// See [`crate::fast::FastState::try_code`].
    pub async fn try_code(
        &self,
        key: &[u8; 16],
        salt: &[u8; SALT_BYTES],
        code_try: CodeTry,
        limit: TryLimit,
        now: Option<Moment>,
    ) -> Result<Tried, NotReached> {
        let mut lease = self.link.lease(SlotTag::of_reporter(key)).ok_or(NotReached)?;
        let keys = [self.keys.code(key), self.keys.tries(key)];
        let fill = |command: &mut Cmd| {
            command.arg(salt.as_slice()).arg(code_try.word()).arg(limit.max).arg(limit.window_s);
            add_moment(command, now);
        };
        let answer = self.try_code_script.call::<(i64, i64)>(&mut lease.connection, &keys, fill);
        let answer = tokio::time::timeout(self.asker.timeout, answer).await;
        match self.take_answer(&lease, answer)? {
            (0, _) => Ok(Tried::Counted),
            (1, _) => Ok(Tried::Used),
            (2, _) => Ok(Tried::Gone),
            (3, wait @ 1..=MICROS_PER_DAY) => Ok(Tried::TooMany { retry_after_s: whole_seconds(wait) }),
            _ => {
                self.link.report_failure(&lease, Failure::Data);
                Err(NotReached)
            }
        }
    }
}
