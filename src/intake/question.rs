//! A report in two messages: the first is journalled at once with a hidden sender, and the subscriber is asked who it
//! was; the answer is an amendment.
//!
//! What is remembered meanwhile lies in the fast state, without a number or a text: keyed tags, and proof that this
//! gateway wrote them. When it is lost, nothing of the report is: the answer is then not understood, and said to be so.

use super::accept::{Intake, Refused, Sender, Unavailable, mix};
use crate::crypto::key_ring::Claim;
use crate::domain::clock::{MICROS_PER_SECOND, Moment};
use crate::domain::msisdn::Msisdn;
use crate::domain::report::{Report, ReportId, Tag};
use crate::domain::sender;
use crate::domain::vocabulary::{Category, Channel, EventKind};
use crate::fast::asked::QUESTION_TTL_S;

/// Bytes of a question as it is kept: see [`Question::to_bytes`].
const QUESTION_BYTES: usize = 16 + 1 + 1 + 1 + 16 + 8 + 8 + 4 + 16;
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
    /// The message that answered it; none yet. A retry of that message is answered as it was.
    pub answered_by: Option<ReportId>,
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
        let answer: &[u8; 16] = self.answered_by.as_ref().map_or(&NOT_ANSWERED, |answer| answer.as_bytes());
        bytes.extend_from_slice(answer);
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
        let answer = take::<16>(&mut rest)?;
        rest.is_empty().then_some(Self {
            report,
            channel: *Channel::ALL.get(usize::from(channel))?,
            category: *Category::ALL.get(usize::from(category))?,
            text_tag: (has_text == 1).then_some(text_tag),
            occurred_at,
            asked_at,
            tag_key_id,
            answered_by: if answer == NOT_ANSWERED { None } else { ReportId::from_stored(&answer) },
        })
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
        let mut value = question.to_bytes();
        let mark = self.keys.mark_of_question(&self.epoch(), &key, &value);
        value.extend_from_slice(&mark);
        self.fast.put_question(&key, value).await
    }

    /// What this reporter was asked within the last ten minutes.
    pub async fn find_question(&self, from: &Sender<'_>, reporter: Msisdn) -> Option<Question> {
        let key = self.question_key(from, reporter);
        let stored = self.fast.find_question(&key).await?;
        let (value, mark) = stored.split_last_chunk::<MARK_BYTES>()?;
        if *mark != self.keys.mark_of_question(&self.epoch(), &key, value) {
            return None;
        }
        let question = Question::from_bytes(value)?;
        let age_micros = self.clock.now().micros_since(question.asked_at);
        let is_live = (0..QUESTION_TTL_S * MICROS_PER_SECOND).contains(&age_micros);
        (is_live && question.tag_key_id == self.keys.tag_key_id()).then_some(question)
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
        let claim = Claim {
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
            proof: from.attests.proof_of(reporter),
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
            answered_by: None,
        };
        for question in [
            question,
            Question { text_tag: None, ..question },
            Question { answered_by: Some(ReportId::from_mac([9; 16])), ..question },
        ] {
            let bytes = question.to_bytes();
            assert_eq!(bytes.len(), QUESTION_BYTES);
            assert_eq!(Question::from_bytes(&bytes).unwrap(), question);
            assert_eq!(Question::from_bytes(bytes.get(1..).unwrap()), None);
            assert_eq!(Question::from_bytes(&[&bytes[..], &[0]].concat()), None);
        }
    }
}
