//! A report past the edge: identified and tagged, with no number and no text left in clear.

use std::fmt;

use super::check_char;
use super::clock::{MICROS_PER_DAY, Moment};
use super::sender::SenderKind;
use super::vocabulary::{Category, Channel, EventKind, Harm, Proof, Source};

/// A repeat is the same fingerprint less than this after a counted report: 24 h, in microseconds.
/// The window starts at the counted report and does not slide.
pub const REPEAT_WINDOW_MICROS: i64 = MICROS_PER_DAY;
/// The owner of what comes by the citizens' form. No carrier has this UUID: theirs are drawn.
pub const WEB_OWNER: uuid::Uuid = uuid::Uuid::from_u128(0x7765_6200_0000_8000_8000_0073_7061_6d67);
/// Characters of a receipt before its check character: 55 bits.
const RECEIPT_CHARACTERS: usize = 11;

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

    /// What its reporter is given, to ask for it by: the same for ever, without a look-up.
    #[must_use]
    pub const fn receipt(&self) -> Receipt {
        let [a, b, c, d, e, f, g, h, ..] = *self.as_bytes();
        // The four bits of the version are the same in every id.
        Receipt([a, b, c, d, e, f, g << 4 | h >> 4 & 0b1110])
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

/// The first 55 bits of a report id, its version left out: as hard to guess as the id, which is a keyed MAC, and found in
/// the index of ids without an index of its own.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Receipt([u8; 7]);

impl Receipt {
    /// Reads what a person typed. `None` when the check character does not fit.
    #[must_use]
    pub fn parse(typed: &str) -> Option<Self> {
        check_char::decode(typed, RECEIPT_CHARACTERS)?.try_into().ok().map(Self)
    }

    /// The first and the last report id that have this receipt.
    #[must_use]
    pub const fn ids(&self) -> ([u8; 16], [u8; 16]) {
        let [a, b, c, d, e, f, g] = self.0;
        let (g, h) = (0x80 | g >> 4, g << 4 & 0b1110_0000);
        let last = [a, b, c, d, e, f, g, h | 0b1_1111, !0, !0, !0, !0, !0, !0, !0, !0];
        ([a, b, c, d, e, f, g, h, 0, 0, 0, 0, 0, 0, 0, 0], last)
    }
}

impl fmt::Display for Receipt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&check_char::encode(&self.0, RECEIPT_CHARACTERS))
    }
}

impl fmt::Debug for Receipt {
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

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may stop where it fails")]
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_receipt_leads_to_the_ids_that_have_it_and_to_no_other(mac: [u8; 16], other: [u8; 16]) {
            let (id, other) = (ReportId::from_mac(mac), ReportId::from_mac(other));
            let typed = id.receipt().to_string();
            prop_assert_eq!(typed.len(), RECEIPT_CHARACTERS + 1);
            let receipt = Receipt::parse(&typed.to_lowercase()).unwrap();
            prop_assert_eq!(receipt, id.receipt());
            let (first, last) = receipt.ids();
            prop_assert!((&first..=&last).contains(&id.as_bytes()));
            prop_assert_eq!((&first..=&last).contains(&other.as_bytes()), other.receipt() == receipt);
            let [first, last] = [first, last].map(|bytes| ReportId::from_mac(bytes).receipt());
            prop_assert_eq!([first, last], [receipt; 2]);
        }
    }

    #[test]
    fn a_mistyped_receipt_is_not_read() {
        for typed in ["", "A", "7K3QXWA4B2MN7", "7K3QXWA4B2M", "7K3QXWA4B2MU"] {
            assert_eq!(Receipt::parse(typed), None, "{typed}");
        }
    }
}
