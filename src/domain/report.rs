//! A report past the edge: identified and tagged, with no number and no text left in clear.

use std::fmt;

use super::clock::{MICROS_PER_DAY, Moment};
use super::sender::SenderKind;
use super::vocabulary::{Category, Channel, EventKind, Harm, Proof, Source};

/// A repeat is the same fingerprint less than this after a counted report: 24 h, in microseconds.
/// The window starts at the counted report and does not slide.
pub const REPEAT_WINDOW_MICROS: i64 = MICROS_PER_DAY;

/// The identity of a report: computed from who sent it and under which id of theirs, never drawn.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ReportId(uuid::Uuid);

impl ReportId {
    /// The id made of the first 128 bits of a MAC, as a `UUIDv8` (RFC 9562 5.8): 122 of the bits stay.
    #[must_use]
    pub fn from_mac(mac: [u8; 16]) -> Self {
        Self(uuid::Builder::from_custom_bytes(mac).into_uuid())
    }

    /// The id as stored. `None` unless there are 16 bytes.
    #[must_use]
    pub fn from_stored(bytes: &[u8]) -> Option<Self> {
        uuid::Uuid::from_slice(bytes).ok().map(Self)
    }

    /// Reads the one spelling that we write: hyphenated, in small letters.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let id = uuid::Uuid::try_parse(text).ok()?;
        let mut spelling = [0; uuid::fmt::Hyphenated::LENGTH];
        (id.hyphenated().encode_lower(&mut spelling) == text).then_some(Self(id))
    }

    /// The 16 bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 16] {
        self.0.as_bytes()
    }
}

impl fmt::Display for ReportId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.hyphenated().fmt(f)
    }
}

impl fmt::Debug for ReportId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A keyed hash of 16 bytes: of a number, a brandname, a text, or of what makes two reports the same.
pub type Tag = [u8; 16];

/// What the journal keeps of a report, ready to be appended.
#[derive(Clone)]
pub struct Report {
    /// Computed identity; of an amendment, the identity of the report that it amends.
    pub id: ReportId,
    /// What the row records.
    pub event: EventKind,
    /// The way it came.
    pub source: Source,
    /// The carrier that sent it.
    pub owner: uuid::Uuid,
    /// Keyed hash of the reporter's number.
    pub reporter_tag: Tag,
    /// How the reporter's number was proven.
    pub proof: Proof,
    /// What kind of sender.
    pub sender_kind: SenderKind,
    /// Keyed hash of the sender; none when it was hidden.
    pub sender_tag: Option<Tag>,
    /// SMS or call.
    pub channel: Channel,
    /// What the report claims.
    pub category: Category,
    /// Kind of harm, of fake news.
    pub harm: Option<Harm>,
    /// Whether money was lost, when asked.
    pub money_lost: Option<bool>,
    /// Code of the province, when told.
    pub province: Option<String>,
    /// When it happened, as the reporter says.
    pub occurred_at: Moment,
    /// When the gateway took it.
    pub received_at: Moment,
    /// Keyed hash of reporter, sender, channel, category, same text, and whether it is for or against the sender.
    pub fingerprint: Tag,
    /// Keyed hash of the same-text form; none without content.
    pub text_tag: Option<Tag>,
    /// It says that the message was wanted: a word for the sender, not against.
    pub is_legit: bool,
    /// Keyed hash of report id and the reporter's last four digits.
    pub track_tag: [u8; 8],
    /// The key ring's id of the tag keys used.
    pub tag_key_id: i32,
    /// The data key that seals the envelope.
    pub data_key_id: i64,
    /// Sender, reporter and content, sealed for the authority.
    pub envelope: Vec<u8>,
}
