//! What a caller sent, parsed into domain types: the one door between raw strings and the rest of the program.

use std::borrow::Cow;

use serde::Deserialize;

use super::clock::{MICROS_PER_DAY, MICROS_PER_SECOND, Moment};
use super::content::Content;
use super::msisdn::{self, HomeCountry, Msisdn};
use super::rejection::Rejection;
use super::sender::{self, Sender};
use super::vocabulary::{Category, Channel, Harm};

/// The longest report id of a carrier, bytes.
pub const EXTERNAL_ID_MAX_BYTES: usize = 64;
/// How far ahead of the gateway's clock a report may have happened, microseconds.
pub const OCCURRED_AHEAD_MAX_MICROS: i64 = 5 * 60 * MICROS_PER_SECOND;
/// How long ago a report may have happened, microseconds.
pub const OCCURRED_AGE_MAX_MICROS: i64 = 30 * MICROS_PER_DAY;

/// Where the gateway stands: how numbers are read there, and its provinces.
#[derive(Clone, Debug)]
pub struct Region {
    /// The country whose mobile subscribers may report.
    pub home: HomeCountry,
    /// Codes that `province` may have.
    pub province_codes: Vec<String>,
    /// How far its clocks are ahead of UTC, minutes: when its days begin.
    pub utc_offset_minutes: i32,
}

/// A string of the request, borrowed from the body where it holds no escapes. A type of its own, because serde borrows
/// a `Cow` in a field or a newtype, but copies one inside an `Option`.
#[derive(Deserialize)]
#[serde(transparent)]
pub struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

impl std::ops::Deref for Text<'_> {
    type Target = str;
    fn deref(&self) -> &str {
        &self.0
    }
}

impl<'a, T: Into<Cow<'a, str>>> From<T> for Text<'a> {
    fn from(text: T) -> Self {
        Self(text.into())
    }
}

/// A report as it stands in the request, before anything is checked. Field names are the API's.
#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
pub struct RawReport<'a> {
    /// The carrier's own id.
    #[serde(borrow)]
    pub report_id: Option<Text<'a>>,
    /// Number of the reporter.
    #[serde(borrow)]
    pub reporter: Option<Text<'a>>,
    /// Number, short code, brandname or `hidden`.
    #[serde(borrow)]
    pub sender: Option<Text<'a>>,
    /// `sms` or `call`.
    #[serde(borrow)]
    pub channel: Option<Text<'a>>,
    /// `spam`, `scam` or `fake_news`.
    #[serde(borrow)]
    pub category: Option<Text<'a>>,
    /// What the message said.
    #[serde(borrow)]
    pub content: Option<Text<'a>>,
    /// RFC 3339.
    #[serde(borrow)]
    pub occurred_at: Option<Text<'a>>,
    /// Kind of harm of fake news.
    #[serde(borrow)]
    pub harm: Option<Text<'a>>,
    /// Whether the reporter lost money.
    pub money_lost: Option<bool>,
    /// Code of a province.
    #[serde(borrow)]
    pub province: Option<Text<'a>>,
}

/// A report whose every field is what it should be. Only its age is not looked at yet: a report that is stored
/// already is answered as such however old it is by now.
pub struct Submission {
    /// The carrier's own id, 1-64 bytes of printable ASCII.
    pub external_id: String,
    /// The subscriber who reports.
    pub reporter: Msisdn,
    /// Who sent the message.
    pub sender: Sender,
    /// The sender was an old 11-digit number and was read as today's.
    pub sender_renumbered: bool,
    /// SMS or call.
    pub channel: Channel,
    /// What the report claims.
    pub category: Category,
    /// What the message said; always there for an SMS.
    pub content: Option<Content>,
    /// When it happened.
    pub occurred_at: Moment,
    /// Kind of harm; only with fake news.
    pub harm: Option<Harm>,
    /// Whether money was lost.
    pub money_lost: Option<bool>,
    /// Code of a province of the region.
    pub province: Option<String>,
    /// It says that the message was wanted.
    pub is_legit: bool,
}

impl Submission {
    /// Parses every field, in the order of the API's documentation.
    ///
    /// # Errors
    /// The first field that has to be mended.
    pub fn parse(raw: &RawReport<'_>, region: &Region) -> Result<Self, Rejection> {
        let external_id = parse_external_id(required(raw.report_id.as_deref(), "report_id")?)?;
        let reporter = msisdn::parse_reporter(required(raw.reporter.as_deref(), "reporter")?, region.home)
            .map_err(|error| Rejection::number("reporter", &error))?;
        let sender = sender::parse(required(raw.sender.as_deref(), "sender")?, region.home)
            .map_err(|error| Rejection::sender(&error))?;
        let channel = Channel::parse(required(raw.channel.as_deref(), "channel")?)
            .ok_or_else(|| Rejection::not_one_of("channel", Channel::WORDS))?;
        let category = Category::parse(required(raw.category.as_deref(), "category")?)
            .ok_or_else(|| Rejection::not_one_of("category", Category::WORDS))?;
        let content = parse_content(raw.content.as_deref(), channel)?;
        let occurred_at =
            Moment::parse_rfc3339(required(raw.occurred_at.as_deref(), "occurred_at")?).ok_or_else(|| {
                Rejection::new(
                    "invalid_time",
                    "occurred_at",
                    "Write `occurred_at` as RFC 3339 with an offset, such as `2026-01-31T15:04:05+07:00`.",
                )
            })?;
        Ok(Self {
            external_id,
            reporter,
            sender: sender.sender,
            sender_renumbered: sender.renumbered,
            channel,
            category,
            content,
            occurred_at,
            harm: parse_harm(raw.harm.as_deref(), category)?,
            money_lost: raw.money_lost,
            province: parse_province(raw.province.as_deref(), region)?,
            is_legit: false,
        })
    }

    /// Whether the time it happened can be believed at `now`.
    ///
    /// # Errors
    /// A rejection of `occurred_at` when it lies more than 5 minutes ahead or more than 30 days back.
    pub fn check_age(&self, now: Moment) -> Result<(), Rejection> {
        let age_micros = now.micros_since(self.occurred_at);
        if age_micros < -OCCURRED_AHEAD_MAX_MICROS {
            return Err(Rejection::new(
                "occurred_in_future",
                "occurred_at",
                "`occurred_at` lies more than 5 minutes ahead: check the clock and the offset.",
            ));
        }
        if age_micros > OCCURRED_AGE_MAX_MICROS {
            return Err(Rejection::new(
                "occurred_too_long_ago",
                "occurred_at",
                "`occurred_at` lies more than 30 days back: reports are taken for 30 days.",
            ));
        }
        Ok(())
    }
}

fn required<'a>(value: Option<&'a str>, field: &'static str) -> Result<&'a str, Rejection> {
    value.ok_or_else(|| Rejection::missing(field))
}

fn parse_external_id(text: &str) -> Result<String, Rejection> {
    let well_formed =
        (1..=EXTERNAL_ID_MAX_BYTES).contains(&text.len()) && text.bytes().all(|b| (0x21..=0x7e).contains(&b));
    if well_formed {
        Ok(text.to_owned())
    } else {
        Err(Rejection::new(
            "invalid_report_id",
            "report_id",
            "Write `report_id` as 1 to 64 printable ASCII characters without spaces (0x21 to 0x7E).",
        ))
    }
}

fn parse_content(text: Option<&str>, channel: Channel) -> Result<Option<Content>, Rejection> {
    let content = match text {
        Some(text) => Content::parse(text).map_err(|error| Rejection::content(&error))?,
        None => None,
    };
    match (channel, &content) {
        (Channel::Sms, None) => Err(Rejection::new(
            "content_missing",
            "content",
            "Add what the SMS said in `content`; only a call may be reported without.",
        )),
        (Channel::Sms | Channel::Call, _) => Ok(content),
    }
}

fn parse_harm(word: Option<&str>, category: Category) -> Result<Option<Harm>, Rejection> {
    let Some(word) = word else { return Ok(None) };
    let harm = Harm::parse(word).ok_or_else(|| Rejection::not_one_of("harm", Harm::WORDS))?;
    match category {
        Category::FakeNews => Ok(Some(harm)),
        Category::Spam | Category::Scam => {
            Err(Rejection::new("harm_not_applicable", "harm", "Leave out `harm`: it belongs to `fake_news` only."))
        }
    }
}

fn parse_province(code: Option<&str>, region: &Region) -> Result<Option<String>, Rejection> {
    let Some(code) = code else { return Ok(None) };
    if region.province_codes.iter().any(|known| known == code) {
        return Ok(Some(code.to_owned()));
    }
    Err(Rejection::new(
        "unknown_province",
        "province",
        "Set `province` to a code of the list in the gateway's configuration, such as `01`.",
    ))
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may stop where it fails")]
    use super::*;

    fn region() -> Region {
        Region {
            home: HomeCountry::parse("VN").unwrap(),
            province_codes: vec!["01".into(), "79".into()],
            utc_offset_minutes: 420,
        }
    }

    fn good() -> RawReport<'static> {
        RawReport {
            report_id: Some("r-1".into()),
            reporter: Some("0912345678".into()),
            sender: Some("0985931054".into()),
            channel: Some("sms".into()),
            category: Some("spam".into()),
            content: Some("Nhan lam cac loai giay phep".into()),
            occurred_at: Some("2026-11-24T08:00:00Z".into()),
            ..RawReport::default()
        }
    }

    fn refusal(change: impl FnOnce(&mut RawReport<'static>)) -> (&'static str, String) {
        let mut raw = good();
        change(&mut raw);
        let rejection = Submission::parse(&raw, &region()).err().unwrap();
        (rejection.code, rejection.field.into_owned())
    }

    #[test]
    fn each_field_that_must_be_mended_is_named() {
        assert!(Submission::parse(&good(), &region()).is_ok());
        let cases = [
            (refusal(|raw| raw.report_id = None), "missing_field", "report_id"),
            (refusal(|raw| raw.report_id = Some("a b".into())), "invalid_report_id", "report_id"),
            (refusal(|raw| raw.report_id = Some("x".repeat(65).into())), "invalid_report_id", "report_id"),
            (refusal(|raw| raw.channel = Some("SMS".into())), "unknown_value", "channel"),
            (refusal(|raw| raw.category = Some("opinion".into())), "unknown_value", "category"),
            (refusal(|raw| raw.content = None), "content_missing", "content"),
            (refusal(|raw| raw.content = Some("  ".into())), "content_missing", "content"),
            (refusal(|raw| raw.content = Some("a\0b".into())), "text_has_nul", "content"),
            (refusal(|raw| raw.occurred_at = Some("yesterday".into())), "invalid_time", "occurred_at"),
            (refusal(|raw| raw.harm = Some("health".into())), "harm_not_applicable", "harm"),
            (refusal(|raw| raw.province = Some("99".into())), "unknown_province", "province"),
        ];
        for ((code, field), expected_code, expected_field) in cases {
            assert_eq!((code, field.as_str()), (expected_code, expected_field));
        }
    }

    #[test]
    fn a_call_needs_no_content() {
        let raw = RawReport { channel: Some("call".into()), content: None, ..good() };
        assert!(Submission::parse(&raw, &region()).is_ok_and(|submission| submission.content.is_none()));
    }

    #[test]
    fn a_report_may_be_five_minutes_ahead_and_thirty_days_old_and_no_more() {
        let submission = Submission::parse(&good(), &region()).ok().unwrap();
        let at = submission.occurred_at;
        let code = |now| submission.check_age(Moment(now)).err().map(|rejection| rejection.code);
        assert_eq!(code(at.0 - OCCURRED_AHEAD_MAX_MICROS), None);
        assert_eq!(code(at.0 - OCCURRED_AHEAD_MAX_MICROS - 1), Some("occurred_in_future"));
        assert_eq!(code(at.0 + OCCURRED_AGE_MAX_MICROS), None);
        assert_eq!(code(at.0 + OCCURRED_AGE_MAX_MICROS + 1), Some("occurred_too_long_ago"));
    }
}
