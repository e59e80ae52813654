//! A report in two messages: the first is journalled at once with a hidden sender, and the subscriber is asked who it
//! was; the answer is an amendment.
//!
//! What is remembered meanwhile lies in the fast state, without a number or a text: keyed tags, and proof that this
//! gateway wrote them. When it is lost, nothing of the report is: the answer is then not understood, and said to be so.
//! When it cannot be looked up for the moment, that is another matter: the SMS gateway is to try again.
//!
//! A message claims the question before its answer is appended, and settles it afterwards. So each question, which took
//! one of its reporter's quota, gets one answer, and nobody is told of an answer that does not count. An answer that
//! could not be appended may be tried again for a day, and another may take its place for as long as the question lives.

use super::accept::{Intake, Refused, Sender, Unavailable, mix};
use crate::crypto::key_ring;
use crate::domain::clock::{MICROS_PER_SECOND, Moment};
use crate::domain::msisdn::Msisdn;
use crate::domain::report::{Report, ReportId, Tag};
use crate::domain::sender;
use crate::domain::vocabulary::{Category, Channel, EventKind};
use crate::fast::NotReached;
use crate::fast::asked::{ANSWER_TRIED_S, QUESTION_TTL_S};

/// How long an answer may take, microseconds.
pub const QUESTION_LIFE_MICROS: i64 = QUESTION_TTL_S * MICROS_PER_SECOND;
/// Bytes of a question as it is kept: see [`Question::to_bytes`].
const QUESTION_BYTES: usize = 16 + 1 + 1 + 1 + 16 + 8 + 8 + 4 + 16 + 8 + 1;
/// Times that a question is read again because somebody else changed it in between.
const CLAIM_TRIES: usize = 3;
/// Longest times of an append, after which nobody works on an unsettled claim any more.
const CLAIM_HELD_APPENDS: i64 = 2;
/// Stands for no answer. No message has the id of zeros: an id holds its version.
const NOT_ANSWERED: [u8; 16] = [0; 16];
/// Bytes of the proof behind them.
const MARK_BYTES: usize = 8;

/// What is remembered of a report whose subscriber was asked.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Question {
    /// The report.
    pub report: ReportId,
    /// SMS or call.
    pub channel: Channel,
    /// What it claims.
    pub category: Category,
    /// Keyed hash of what it said.
    pub text_tag: Option<Tag>,
    /// When it happened.
    pub occurred_at: Moment,
    /// When it was asked.
    pub asked_at: Moment,
    /// The tag keys that `text_tag` was made with.
    pub tag_key_id: i32,
    /// The answer to it; none yet.
    pub answer: Option<Answer>,
}

/// What is remembered of an answer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Answer {
    /// The message. A retry of it is answered as it was.
    pub message: ReportId,
    /// When it was last taken up.
    pub taken_at: Moment,
    /// Whether it is appended, as far as is known.
    pub is_stored: bool,
}

/// Whose answer it is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Claim {
    /// Nothing was asked, or another message has answered.
    None,
    /// This message's: it is to be appended now, and settled then.
    Ours(Question),
    /// This message has answered before.
    Answered(Question),
}

/// It cannot be told now whether a message is an answer: nothing can be looked up, or another answer is on its way.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ClaimInDoubt {
    /// What is remembered cannot be reached.
    NotReached,
    /// Another message's answer is on its way to the disk.
    Contended,
}

impl From<NotReached> for ClaimInDoubt {
    fn from(NotReached: NotReached) -> Self {
        Self::NotReached
    }
}

impl Question {
    fn to_bytes(self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(QUESTION_BYTES + MARK_BYTES);
        bytes.extend_from_slice(self.report.as_bytes());
        bytes.push(place_of(Channel::ALL, self.channel));
        bytes.push(place_of(Category::ALL, self.category));
        bytes.push(u8::from(self.text_tag.is_some()));
        bytes.extend_from_slice(&self.text_tag.unwrap_or_default());
        bytes.extend_from_slice(&self.occurred_at.0.to_be_bytes());
        bytes.extend_from_slice(&self.asked_at.0.to_be_bytes());
        bytes.extend_from_slice(&self.tag_key_id.to_be_bytes());
        let message = self.answer.as_ref().map_or(&NOT_ANSWERED, |answer| answer.message.as_bytes());
        bytes.extend_from_slice(message);
        bytes.extend_from_slice(&self.answer.map_or(0, |answer| answer.taken_at.0).to_be_bytes());
        bytes.push(self.answer.map_or(0, |answer| u8::from(answer.is_stored)));
        bytes
    }

    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let mut rest = bytes;
        let report = ReportId::from_stored(take::<16>(&mut rest)?.as_slice())?;
        let [channel, category, has_text] = take::<3>(&mut rest)?;
        let text_tag = take::<16>(&mut rest)?;
        let occurred_at = Moment(i64::from_be_bytes(take(&mut rest)?));
        let asked_at = Moment(i64::from_be_bytes(take(&mut rest)?));
        let tag_key_id = i32::from_be_bytes(take(&mut rest)?);
        let message = take::<16>(&mut rest)?;
        let taken_at = Moment(i64::from_be_bytes(take(&mut rest)?));
        let [is_stored] = take::<1>(&mut rest)?;
        let message = if message == NOT_ANSWERED { None } else { Some(ReportId::from_stored(&message)?) };
        rest.is_empty().then_some(Self {
            report,
            channel: *Channel::ALL.get(usize::from(channel))?,
            category: *Category::ALL.get(usize::from(category))?,
            text_tag: (has_text == 1).then_some(text_tag),
            occurred_at,
            asked_at,
            tag_key_id,
            answer: message.map(|message| Answer { message, taken_at, is_stored: is_stored == 1 }),
        })
    }

    /// Whether an answer may still come.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.answer.is_none_or(|answer| !answer.is_stored)
    }

    /// Whether both are of reports that claim the same, so that the later one is a repeat.
    #[must_use]
    pub fn is_of_the_same(&self, other: &Self) -> bool {
        (self.channel, self.category, self.text_tag) == (other.channel, other.category, other.text_tag)
    }

    fn age_is_below(&self, now: Moment, seconds: i64) -> bool {
        (0..seconds * MICROS_PER_SECOND).contains(&now.micros_since(self.asked_at))
    }
}

fn place_of<T: PartialEq>(all: &[T], one: T) -> u8 {
    all.iter().position(|each| *each == one).and_then(|place| u8::try_from(place).ok()).unwrap_or(u8::MAX)
}

fn take<const N: usize>(rest: &mut &[u8]) -> Option<[u8; N]> {
    let (first, after) = rest.split_first_chunk::<N>()?;
    *rest = after;
    Some(*first)
}

impl Intake {
    /// Remembers that this reporter was asked. False when that cannot be remembered: then nothing is asked.
    pub async fn remember_question(&self, from: &Sender<'_>, reporter: Msisdn, question: Question) -> bool {
        let key = self.question_key(from, reporter);
        let value = self.marked(&key, question);
        self.fast.put_question(&key, value).await
    }

    /// What this reporter was asked within the last ten minutes.
    ///
    /// # Errors
    /// When that cannot be looked up.
    pub async fn find_question(&self, from: &Sender<'_>, reporter: Msisdn) -> Result<Option<Question>, NotReached> {
        let key = self.question_key(from, reporter);
        let stored = self.fast.find_question(&key).await?;
        let question = stored.and_then(|stored| self.read_question(&key, &stored));
        Ok(question.filter(|question| question.age_is_below(self.clock.now(), QUESTION_TTL_S)))
    }

    /// Has this message be the one that answers the question to its reporter.
    ///
    /// # Errors
    /// When it cannot be told now whether it is; another try may tell.
    pub async fn claim_answer(
        &self,
        from: &Sender<'_>,
        reporter: Msisdn,
        message: ReportId,
    ) -> Result<Claim, ClaimInDoubt> {
        let key = self.question_key(from, reporter);
        for _ in 0..CLAIM_TRIES {
            let Some(stored) = self.fast.find_question(&key).await? else { return Ok(Claim::None) };
            let Some(question) = self.read_question(&key, &stored) else { return Ok(Claim::None) };
            let now = self.clock.now();
            // Who came in time may try for longer: the store was away, and that is not the subscriber's fault.
            let lives_s = match question.answer {
                Some(answer) if answer.message == message && answer.is_stored => return Ok(Claim::Answered(question)),
                Some(answer) if answer.message == message => ANSWER_TRIED_S,
                Some(answer) if answer.is_stored => return Ok(Claim::None),
                Some(answer) if self.is_at_work(&answer, now) => return Err(ClaimInDoubt::Contended),
                _ => QUESTION_TTL_S,
            };
            if !question.age_is_below(now, lives_s) {
                return Ok(Claim::None);
            }
            let claimed = Question { answer: Some(Answer { message, taken_at: now, is_stored: false }), ..question };
            let value = self.marked(&key, claimed);
            if self.fast.replace_question(&key, &stored, value, ANSWER_TRIED_S).await? {
                return Ok(Claim::Ours(claimed));
            }
        }
        Err(ClaimInDoubt::Contended)
    }

    /// Remembers that the answer is appended. When that is lost, or another report is asked about by now, a retry of the
    /// message amends once more, and the builder drops that.
    pub async fn settle_answer(&self, from: &Sender<'_>, reporter: Msisdn, claimed: &Question) {
        let key = self.question_key(from, reporter);
        let answer = claimed.answer.map(|answer| Answer { is_stored: true, ..answer });
        let (before, value) = (self.marked(&key, *claimed), self.marked(&key, Question { answer, ..*claimed }));
        let _ = self.fast.replace_question(&key, &before, value, QUESTION_TTL_S).await;
    }

    /// Whether the append of an answer may still be on its way.
    fn is_at_work(&self, answer: &Answer, now: Moment) -> bool {
        let append_micros = i64::try_from(self.append_timeout.as_micros()).unwrap_or(i64::MAX);
        now.micros_since(answer.taken_at) < append_micros.saturating_mul(CLAIM_HELD_APPENDS)
    }

    fn marked(&self, key: &[u8; 16], question: Question) -> Vec<u8> {
        let mut value = question.to_bytes();
        let mark = self.keys.mark_of_question(&self.epoch(), key, &value);
        value.extend_from_slice(&mark);
        value
    }

    fn read_question(&self, key: &[u8; 16], stored: &[u8]) -> Option<Question> {
        let (value, mark) = stored.split_last_chunk::<MARK_BYTES>()?;
        if *mark != self.keys.mark_of_question(&self.epoch(), key, value) {
            return None;
        }
        Question::from_bytes(value).filter(|question| question.tag_key_id == self.keys.tag_key_id())
    }

    fn question_key(&self, from: &Sender<'_>, reporter: Msisdn) -> [u8; 16] {
        mix(from.owner, &self.keys.reporter_tag(reporter))
    }

    /// Appends who the sender of a report was; answers only when that is on disk. The builder counts the report anew.
    ///
    /// # Errors
    /// [`Refused`]. Another try is safe: of several amendments the first one counts.
    pub async fn amend(
        &self,
        from: &Sender<'_>,
        question: &Question,
        reporter: Msisdn,
        sender: &sender::Sender,
    ) -> Result<(), Refused> {
        if self.location.is_in_doubt() {
            return Err(Refused::Unavailable(Unavailable::Store));
        }
        let now = self.clock.now();
        let data_key = self.sealer.data_key(now.0).map_err(Refused::Envelope)?;
        // The text is in the envelope of the report.
        let envelope = data_key.seal(question.report, reporter, sender, None).map_err(Refused::Envelope)?;
        let claim = key_ring::Claim {
            reporter,
            sender,
            channel: question.channel,
            category: question.category,
            text_tag: question.text_tag.as_ref(),
            is_legit: false,
        };
        let row = Report {
            id: question.report,
            event: EventKind::Amendment,
            source: from.source,
            owner: from.owner,
            reporter_tag: self.keys.reporter_tag(reporter),
            proof: from.vouched.proof_of(reporter),
            sender_kind: sender.kind(),
            sender_tag: self.keys.sender_tag(sender),
            channel: question.channel,
            category: question.category,
            harm: None,
            money_lost: None,
            track_tag: self.keys.track_tag(question.report, reporter),
            province: None,
            occurred_at: question.occurred_at,
            received_at: now,
            fingerprint: self.keys.fingerprint(&claim),
            text_tag: question.text_tag,
            is_legit: false,
            tag_key_id: self.keys.tag_key_id(),
            data_key_id: data_key.sealed().id,
            envelope,
        };
        self.append_event(row, data_key).await
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may stop where it fails")]
    use super::*;

    #[test]
    fn a_question_comes_back_as_it_was_kept() {
        let question = Question {
            report: ReportId::from_mac([7; 16]),
            channel: Channel::Call,
            category: Category::Scam,
            text_tag: Some([0; 16]),
            occurred_at: Moment(-5),
            asked_at: Moment(i64::MAX),
            tag_key_id: 3,
            answer: None,
        };
        let answer = Answer { message: ReportId::from_mac([9; 16]), taken_at: Moment(7), is_stored: false };
        for question in [
            question,
            Question { text_tag: None, ..question },
            Question { answer: Some(answer), ..question },
            Question { answer: Some(Answer { is_stored: true, ..answer }), ..question },
        ] {
            let bytes = question.to_bytes();
            assert_eq!(bytes.len(), QUESTION_BYTES);
            assert_eq!(Question::from_bytes(&bytes).unwrap(), question);
            assert_eq!(Question::from_bytes(bytes.get(1..).unwrap()), None);
            assert_eq!(Question::from_bytes(&[&bytes[..], &[0]].concat()), None);
        }
    }
}
