//! Reading a body line by line while it arrives: bounded in bytes and in time, whatever is sent.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use actix_web::web::{Bytes, Payload};
use futures_core::Stream;
use tokio::time::Instant;

/// How many bytes a second a caller must send in the long run.
const RATE_MIN_BYTES_PER_S: u32 = 4_096;

/// Bounds on a body that is read line by line.
#[derive(Clone, Copy, Debug)]
pub struct LineLimits {
    /// Bytes of a line, without its end.
    pub line_max_bytes: usize,
    /// Bytes of the body.
    pub body_max_bytes: usize,
    /// How long a caller that has sent its due may be silent.
    pub silence_max: Duration,
}

/// A line of the body.
#[derive(Debug, PartialEq, Eq)]
pub enum Line {
    /// Without the line feed that ended it.
    Whole(Bytes),
    /// It was longer than a line may be; what it said is gone.
    TooLong,
}

/// Why there are no more lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// The body ended.
    Whole,
    /// The body went on past its bound; the line that it cuts was not given out.
    TooLarge,
    /// The caller was silent for too long, or sent by the byte.
    TooSlow,
    /// The connection broke. What came of the last line was not given out.
    Broken,
}

/// The lines of a body. Holds one piece of it as it came and at most one line that is not whole.
pub struct Lines {
    body: Payload,
    limits: LineLimits,
    /// What came last, without what was given out.
    piece: Bytes,
    /// The begin of a line that goes on in the next piece.
    begun: Vec<u8>,
    /// The present line is too long: what is left of it is not kept.
    is_skipping: bool,
    left_bytes: usize,
    end: Option<End>,
    patience: Patience,
}

impl Lines {
    /// The lines of `body`.
    #[must_use]
    pub fn new(body: Payload, limits: LineLimits) -> Self {
        Self {
            body,
            limits,
            piece: Bytes::new(),
            begun: Vec::new(),
            is_skipping: false,
            left_bytes: limits.body_max_bytes,
            end: None,
            patience: Patience { left: limits.silence_max, most: limits.silence_max, waits_since: None },
        }
    }

    /// The next line that is there. None says that more has to be read, or that nothing comes any more: see
    /// [`Lines::end`].
    pub fn next_line(&mut self) -> Option<Line> {
        let Some(length) = self.piece.iter().position(|byte| *byte == b'\n') else {
            self.keep_begun();
            return if self.end == Some(End::Whole) { self.last_line() } else { None };
        };
        let mut line = self.piece.split_to(length);
        // The line feed.
        drop(self.piece.split_to(1));
        if self.is_skipping {
            self.is_skipping = false;
            return Some(Line::TooLong);
        }
        if !self.begun.is_empty() {
            self.begun.extend_from_slice(&line);
            line = std::mem::take(&mut self.begun).into();
        }
        Some(if line.len() > self.limits.line_max_bytes { Line::TooLong } else { Line::Whole(line) })
    }

    /// Keeps what there is of a line until the rest comes; none of it when it is too long already.
    fn keep_begun(&mut self) {
        let piece = std::mem::take(&mut self.piece);
        if self.is_skipping || self.begun.len() + piece.len() > self.limits.line_max_bytes {
            self.is_skipping = true;
            self.begun = Vec::new();
        } else {
            self.begun.extend_from_slice(&piece);
        }
    }

    /// A last line needs no line feed.
    fn last_line(&mut self) -> Option<Line> {
        if std::mem::take(&mut self.is_skipping) {
            return Some(Line::TooLong);
        }
        let line = std::mem::take(&mut self.begun);
        (!line.is_empty()).then(|| Line::Whole(line.into()))
    }

    /// Why nothing comes any more; none while something may.
    #[must_use]
    pub fn end(&self) -> Option<End> {
        self.end
    }

    /// Reads the next piece, when [`Lines::next_line`] has none. Ready also at the end.
    pub fn poll_read(&mut self, context: &mut Context<'_>) -> Poll<()> {
        if self.end.is_some() {
            return Poll::Ready(());
        }
        let outcome = match Pin::new(&mut self.body).poll_next(context) {
            Poll::Pending => {
                self.patience.wait(Instant::now());
                return Poll::Pending;
            }
            Poll::Ready(outcome) => outcome,
        };
        match outcome {
            None => self.end = Some(End::Whole),
            Some(Err(_broken)) => self.end = Some(End::Broken),
            Some(Ok(mut piece)) => {
                self.patience.hear(piece.len(), Instant::now());
                if piece.len() > self.left_bytes {
                    piece.truncate(self.left_bytes);
                    self.end = Some(End::TooLarge);
                }
                self.left_bytes -= piece.len();
                self.piece = piece;
            }
        }
        Poll::Ready(())
    }

    /// When the caller will have been silent for too long; none while nobody waits for it.
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        self.patience.deadline()
    }

    /// Ends the body, when the caller has been silent for too long.
    pub fn give_up_if_due(&mut self) {
        if self.end.is_none() && self.deadline().is_some_and(|deadline| deadline <= Instant::now()) {
            self.end = Some(End::TooSlow);
        }
    }

    /// Says that nobody waits for the caller at present.
    pub fn pause(&mut self) {
        self.patience.pause(Instant::now());
    }

    /// What was not read, to be kept until the answer is sent.
    #[must_use]
    pub fn into_unread(self) -> Payload {
        self.body
    }
}

/// How much longer a caller is waited for. Waiting uses it up, and what is sent fills it again, so that who sends by the
/// byte is given up as soon as who sends nothing. Time in which nobody waited for the caller is not counted.
#[derive(Debug)]
struct Patience {
    left: Duration,
    most: Duration,
    waits_since: Option<Instant>,
}

impl Patience {
    fn wait(&mut self, now: Instant) {
        self.waits_since.get_or_insert(now);
    }

    fn pause(&mut self, now: Instant) {
        if let Some(since) = self.waits_since.take() {
            self.left = self.left.saturating_sub(now.saturating_duration_since(since));
        }
    }

    fn hear(&mut self, bytes: usize, now: Instant) {
        self.pause(now);
        let bytes = u32::try_from(bytes).unwrap_or(u32::MAX);
        let earned = Duration::from_secs(1).saturating_mul(bytes) / RATE_MIN_BYTES_PER_S;
        self.left = self.left.saturating_add(earned).min(self.most);
    }

    fn deadline(&self) -> Option<Instant> {
        self.waits_since.map(|since| since + self.left)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn patience() -> Patience {
        let ten = Duration::from_secs(10);
        Patience { left: ten, most: ten, waits_since: None }
    }

    #[test]
    fn a_silent_caller_is_given_up_when_its_time_is_over() {
        let (mut patience, start) = (patience(), Instant::now());
        assert_eq!(patience.deadline(), None);
        patience.wait(start);
        patience.wait(start + Duration::from_secs(3));
        assert_eq!(patience.deadline(), Some(start + Duration::from_secs(10)));
    }

    #[test]
    fn a_caller_that_sends_by_the_byte_is_given_up_as_soon() {
        let (mut patience, start) = (patience(), Instant::now());
        for second in 0..9 {
            patience.wait(start + Duration::from_secs(second));
            patience.hear(1, start + Duration::from_secs(second + 1));
        }
        patience.wait(start + Duration::from_secs(9));
        assert!(patience.deadline().is_some_and(|deadline| deadline < start + Duration::from_millis(10_010)));
    }

    #[test]
    fn a_caller_that_sends_its_due_is_waited_for_without_end_but_earns_no_longer_silence() {
        let (mut patience, start) = (patience(), Instant::now());
        for second in 0..1_000 {
            patience.wait(start + Duration::from_secs(second));
            patience.hear(8_192, start + Duration::from_secs(second + 1));
        }
        let last = start + Duration::from_secs(1_000);
        patience.wait(last);
        assert_eq!(patience.deadline(), Some(last + Duration::from_secs(10)));
    }

    #[test]
    fn time_in_which_nobody_waits_for_the_caller_is_not_counted() {
        let (mut patience, start) = (patience(), Instant::now());
        patience.wait(start);
        patience.pause(start);
        let later = start + Duration::from_secs(3_600);
        patience.wait(later);
        assert_eq!(patience.deadline(), Some(later + Duration::from_secs(10)));
    }
}
