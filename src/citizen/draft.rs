//! A report as it was typed, from the form to the proof of its number. It is kept nowhere: the page carries it, sealed.

use std::borrow::Cow;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::Visit;
use super::text_id;
use crate::crypto::page_seal::Sealed;
use crate::domain::clock::{MICROS_PER_SECOND, Moment};
use crate::domain::msisdn::{self, HomeCountry};
use crate::domain::rejection::Rejection;
use crate::domain::sender::{self, Sender};
use crate::domain::submission::{RawReport, Region, Submission};
use crate::domain::vocabulary::{Category, Channel};
use crate::http::problem::Problem;

/// How long a draft may wait for its code, after each page.
const DRAFT_LIFE: Duration = Duration::from_secs(15 * 60);
/// How long it may in all, whatever pages it is carried through.
const DRAFT_LIFE_IN_ALL: Duration = Duration::from_secs(60 * 60);
/// Senders that are offered from a pasted message, at most.
const OFFERED_MAX: usize = 4;
/// The longest run of digits and their signs that can be a number, bytes.
const NUMBER_MAX_BYTES: usize = 24;
/// The shortest number that is offered: a short code.
const NUMBER_MIN_DIGITS: usize = 3;
/// Links that are shown, at most.
const LINKS_MAX: usize = 4;

/// The fields in the order of the page.
const FIELDS: [&str; 7] = ["sender", "channel", "category", "harm", "content", "occurred_at", "reporter"];

/// What was typed, as it was typed.
#[derive(Serialize, Deserialize, Clone, Default)]
#[serde(default)]
pub struct Draft {
    /// Makes two clicks one report: its report id is computed from it.
    pub token: String,
    /// Who sent it.
    pub sender: String,
    /// `sms` or `call`.
    pub channel: String,
    /// A word of [`Category`].
    pub category: String,
    /// A word of the harms, with fake news.
    pub harm: String,
    /// What it said.
    pub content: String,
    /// When, in the region's time; empty for now.
    pub occurred_at: String,
    /// Whose report it is.
    pub reporter: String,
    /// Money was lost.
    pub money_lost: bool,
    /// When it was sent, microseconds: what an empty time means.
    pub sent_at: i64,
    /// Proof of work was shown with it.
    pub has_worked: bool,
    /// Its number was proven by the network, not by a code.
    pub by_network: bool,
}

/// What has to be mended: the field and the id of the message.
pub struct Fault {
    /// A field of the form.
    pub field: &'static str,
    /// What is wrong.
    pub text: &'static str,
}

impl Draft {
    /// The fields of a form.
    #[must_use]
    pub fn of_form(visit: &Visit<'_>, token: String, has_worked: bool) -> Self {
        let value = |name| visit.value(name).to_owned();
        // What was chosen from the numbers that the message holds.
        let sender = if visit.value("sender").is_empty() { value("offered") } else { value("sender") };
        Self {
            token,
            sender,
            channel: value("channel"),
            category: value("category"),
            harm: value("harm"),
            // Lines as they were typed: browsers send each with one character more.
            content: value("content").replace("\r\n", "\n"),
            occurred_at: value("occurred_at"),
            reporter: value("reporter"),
            money_lost: visit.value("money_lost") == "yes",
            sent_at: visit.now.0,
            has_worked,
            by_network: false,
        }
    }

    /// Seals it for the next page.
    ///
    /// # Errors
    /// When the system gives no random bytes.
    pub fn seal(&self, visit: &Visit<'_>, what: Sealed) -> Result<String, Problem> {
        let good_until = visit.after(DRAFT_LIFE).min(Moment(self.sent_at).after(DRAFT_LIFE_IN_ALL));
        visit.seal(what, good_until, self)
    }

    /// Reads every field.
    ///
    /// # Errors
    /// All that has to be mended, not only the first.
    pub fn read(&self, region: &Region, now: Moment) -> Result<Submission, Vec<Fault>> {
        let mut faults = Vec::new();
        let occurred_at = self.occurred_at(region).unwrap_or_else(|| {
            faults.push(Fault { field: "occurred_at", text: text_id("error-invalid-time") });
            Moment(self.sent_at)
        });
        let filled = |value: &str| (!value.is_empty()).then(|| value.to_owned().into());
        // The form shows the kinds of harm beside all categories.
        let harm = if self.category == Category::FakeNews.as_str() { filled(&self.harm) } else { None };
        let mut raw = RawReport {
            report_id: filled(&self.token),
            reporter: filled(&self.reporter),
            sender: filled(&self.sender),
            channel: filled(&self.channel),
            category: filled(&self.category),
            content: filled(&self.content),
            occurred_at: Some(occurred_at.to_rfc3339().into()),
            harm,
            money_lost: self.money_lost.then_some(true),
            province: None,
        };
        let mut submission = Submission::parse(&raw, region);
        // The parser stops at the first fault. What is wrong is noted and something right put in its place, until all is
        // read: at most once a field. Where the country has other numbers, what is put there is as wrong: the rest is read
        // next time.
        while let Err(rejection) = &submission {
            let fault = Fault::of(rejection);
            if faults.iter().any(|known| known.field == fault.field) {
                break;
            }
            let is_right_now = put_right(&mut raw, fault.field);
            faults.push(fault);
            if !is_right_now {
                break;
            }
            submission = Submission::parse(&raw, region);
        }
        match submission {
            Ok(submission) if faults.is_empty() => match submission.check_age(now) {
                Ok(()) => Ok(submission),
                Err(rejection) => Err(vec![Fault::of(&rejection)]),
            },
            Ok(_) | Err(_) => {
                // As they stand on the page.
                faults.sort_by_key(|fault| FIELDS.iter().position(|field| *field == fault.field));
                Err(faults)
            }
        }
    }

    /// The time in the region; the moment it was sent when the field is empty.
    fn occurred_at(&self, region: &Region) -> Option<Moment> {
        if self.occurred_at.is_empty() {
            return Some(Moment(self.sent_at));
        }
        parse_local(&self.occurred_at, region.utc_offset_minutes)
    }

    /// Senders that the pasted message holds.
    #[must_use]
    pub fn offered(&self, home: HomeCountry) -> Vec<String> {
        numbers_in(&self.content, home)
    }

    /// Addresses of links that the pasted message holds, without what follows the host.
    #[must_use]
    pub fn links(&self) -> Vec<String> {
        let is_link = |word: &&str| word.contains("://") || word.to_ascii_lowercase().starts_with("www.");
        let hosts = self.content.split_whitespace().filter(is_link).filter_map(|word| {
            let (_, rest) = word.split_once("://").unwrap_or(("", word));
            let host = rest.split(['/', '?', '#', ',', ')', ']']).next()?.trim_end_matches('.');
            (!host.is_empty()).then(|| host.to_owned())
        });
        hosts.take(LINKS_MAX).collect()
    }
}

/// Puts a value into a field that the parser takes; false for a field that is always there.
fn put_right(raw: &mut RawReport<'_>, field: &str) -> bool {
    match field {
        // Any number of Vietnam: it is thrown away.
        "reporter" => raw.reporter = Some("0912345678".into()),
        "sender" => raw.sender = Some("hidden".into()),
        "channel" => raw.channel = Some(Channel::Call.as_str().into()),
        "category" => raw.category = Some(Category::FakeNews.as_str().into()),
        "content" => raw.content = Some("-".into()),
        "harm" => raw.harm = None,
        _ => return false,
    }
    true
}

/// Faults that are not read from what was typed, by the words that stand for them in an address.
const FAULTS_SAID: [(&str, &str, &str); 2] =
    [("expired", "", text_id("error-form-expired")), ("not-mobile", "reporter", text_id("error-number-not-mobile"))];

impl Fault {
    /// The word for it in an address; none for what can be read from what was typed.
    #[must_use]
    pub fn word(&self) -> Option<&'static str> {
        let said = FAULTS_SAID.iter().find(|(_, field, text)| (*field, *text) == (self.field, self.text));
        said.map(|(word, _, _)| *word)
    }

    /// What the address of the form says.
    #[must_use]
    pub fn of_address(visit: &Visit<'_>) -> Option<Self> {
        let said = FAULTS_SAID.iter().find(|(word, _, _)| *word == visit.value("said"));
        said.map(|(_, field, text)| Self { field, text })
    }

    fn of(rejection: &Rejection) -> Self {
        let field = match rejection.field.as_ref() {
            "reporter" => "reporter",
            "channel" => "channel",
            "category" => "category",
            "harm" => "harm",
            "content" => "content",
            "occurred_at" => "occurred_at",
            "sender" => "sender",
            _ => "",
        };
        let is_sender = field == "sender";
        let text = match rejection.code {
            "missing_field" if is_sender => text_id("error-sender-empty"),
            "missing_field" if field == "reporter" => text_id("error-number-empty"),
            "missing_field" | "unknown_value" if field == "channel" => text_id("error-channel"),
            "missing_field" | "unknown_value" if field == "category" => text_id("error-category"),
            "missing_field" | "unknown_value" => text_id("error-choose"),
            "content_missing" => text_id("error-content-missing"),
            "content_too_long" => text_id("error-content-too-long"),
            "occurred_in_future" => text_id("error-in-future"),
            "occurred_too_long_ago" => text_id("error-too-long-ago"),
            "number_foreign" => text_id("error-number-foreign"),
            "number_not_mobile" => text_id("error-number-not-mobile"),
            "number_has_letter" => text_id("error-number-letter"),
            "number_has_extension" => text_id("error-number-extension"),
            "number_renumbered" => text_id("error-number-renumbered"),
            code if code.starts_with("number_") => text_id("error-number"),
            code if code.starts_with("sender_") => text_id("error-sender"),
            _ => text_id("error-unknown"),
        };
        Self { field, text }
    }
}

/// A moment as a form shows it, such as `2026-11-24T15:00`.
#[must_use]
pub fn to_local(moment: Moment, utc_offset_minutes: i32) -> String {
    let there = Moment(moment.0.saturating_add(i64::from(utc_offset_minutes) * 60 * MICROS_PER_SECOND)).to_rfc3339();
    there.get(..16).unwrap_or_default().to_owned()
}

/// A moment as people read it, such as `24/11/2026 15:00`.
#[must_use]
pub fn to_words(moment: Moment, utc_offset_minutes: i32) -> String {
    let local = to_local(moment, utc_offset_minutes);
    let part = |from, to| local.get(from..to).unwrap_or_default();
    format!("{}/{}/{} {}", part(8, 10), part(5, 7), part(0, 4), part(11, 16))
}

/// Reads what a browser sends for a date and a time, and what people type where it has no field for one:
/// `2026-11-24T15:00`, `2026-11-24 15:00`, `24/11/2026 15:00`, each also without the time.
fn parse_local(text: &str, utc_offset_minutes: i32) -> Option<Moment> {
    let (date, time) = text.split_once(['T', ' ']).unwrap_or((text, "12:00"));
    let mut parts = date.split(['-', '/', '.']).map(str::parse::<u32>);
    let mut part = || parts.next()?.ok();
    let (first, month, last) = (part()?, part()?, part()?);
    let (year, day) = if first > 31 { (first, last) } else { (last, first) };
    let (hour, minute) = time.trim().get(..5).unwrap_or(time.trim()).split_once(':')?;
    let (hour, minute): (u32, u32) = (hour.parse().ok()?, minute.parse().ok()?);
    let offset = utc_offset_minutes.unsigned_abs();
    let sign = if utc_offset_minutes < 0 { '-' } else { '+' };
    let whole =
        format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:00{sign}{:02}:{:02}", offset / 60, offset % 60);
    Moment::parse_rfc3339(&whole)
}

/// Numbers and short codes in a text, as they were written, each once.
fn numbers_in(text: &str, home: HomeCountry) -> Vec<String> {
    let mut found: Vec<(Sender, String)> = Vec::new();
    let is_part =
        |character: char| character.is_ascii_digit() || matches!(character, '+' | '.' | '-' | ' ' | '(' | ')');
    for run in text.split(|character| !is_part(character)) {
        // A run may hold a number and, behind a space, what is none: whole first, then its words.
        for piece in std::iter::once(run).chain(run.split(' ')) {
            let piece = piece.trim_matches(|character: char| !character.is_ascii_digit() && character != '+');
            let digits = piece.bytes().filter(u8::is_ascii_digit).count();
            if piece.len() > NUMBER_MAX_BYTES || digits < NUMBER_MIN_DIGITS || found.len() >= OFFERED_MAX {
                continue;
            }
            let sender = match (msisdn::parse(piece, home), sender::parse(piece, home)) {
                (Ok(number), _) => Sender::Msisdn(number.msisdn),
                // Four digits are more often a year or a price than a short code: only those in a row of their own.
                (Err(_), Ok(parsed)) if matches!(parsed.sender, Sender::ShortCode(_)) && piece == run.trim() => {
                    parsed.sender
                }
                _ => continue,
            };
            if found.iter().all(|(known, _)| *known != sender) {
                found.push((sender, piece.to_owned()));
            }
        }
    }
    // Numbers before short codes: they are more often meant.
    found.sort_by_key(|(sender, _)| !matches!(sender, Sender::Msisdn(_)));
    found.into_iter().map(|(_, piece)| piece).collect()
}

/// A sender in words: what was understood.
#[must_use]
pub fn sender_in_words(visit: &Visit<'_>, sender: &Sender) -> String {
    let t = visit.t;
    match sender {
        Sender::Msisdn(_) => t.with("understood-number", "value", &number_in_words(visit, &sender.shown())),
        Sender::ShortCode(_) => t.with("understood-short-code", "value", &sender.shown()),
        Sender::Brandname(_) => t.with("understood-brandname", "value", &sender.shown()),
        Sender::Malformed(_) => t.with("understood-malformed", "value", &sender.shown()),
        Sender::Hidden => t.of("understood-hidden"),
    }
}

/// `+84912345678` as people write it here: `0912 345 678`.
#[must_use]
pub fn number_in_words<'n>(visit: &Visit<'_>, e164: &'n str) -> Cow<'n, str> {
    let prefix = format!("+{}", visit.app.region.home.calling_code());
    let Some(national) = e164.strip_prefix(&prefix) else { return Cow::Borrowed(e164) };
    let digits = format!("0{national}");
    match digits
        .split_at_checked(4)
        .and_then(|(head, tail)| tail.split_at_checked(3).map(|(mid, end)| (head, mid, end)))
    {
        Some((head, middle, end)) => Cow::Owned(format!("{head} {middle} {end}")),
        None => Cow::Owned(digits),
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test may stop where it fails")]
    use super::*;

    fn region() -> Region {
        Region { home: HomeCountry::parse("VN").unwrap(), province_codes: Vec::new(), utc_offset_minutes: 420 }
    }

    #[test]
    fn times_are_read_as_browsers_and_people_write_them() {
        let at = |text| parse_local(text, 420).map(|moment| to_words(moment, 420));
        for text in
            ["2026-11-24T15:04", "2026-11-24 15:04", "24/11/2026 15:04", "24-11-2026 15:04:59", "24.11.2026 15:04"]
        {
            assert_eq!(at(text).as_deref(), Some("24/11/2026 15:04"), "{text}");
        }
        assert_eq!(at("24/11/2026").as_deref(), Some("24/11/2026 12:00"));
        for text in
            ["", "yesterday", "31/02/2026 10:00", "24/11 10:00", "24/11/2026 25:00", "2026-11-24T", "é/é/éé 10:00"]
        {
            assert_eq!(at(text), None, "{text}");
        }
        assert_eq!(to_local(parse_local("2026-11-24T00:30", 420).unwrap(), 420), "2026-11-24T00:30");
    }

    #[test]
    fn numbers_in_a_pasted_message_are_offered() {
        let found = |text| numbers_in(text, region().home);
        assert_eq!(found("Vay nhanh LH 0912.345.678 hoac 0912345678, SMS 5656"), ["0912.345.678", "5656"]);
        assert_eq!(found("goi +84 24 3825 0000 ngay"), ["+84 24 3825 0000"]);
        assert_eq!(found("Gia 1.900.000d, con 3 ngay"), Vec::<String>::new());
        assert_eq!(found("khong co so nao"), Vec::<String>::new());
    }

    #[test]
    fn all_that_has_to_be_mended_is_said_at_once() {
        let draft = Draft { token: "t".into(), reporter: "1".into(), category: "opinion".into(), ..Draft::default() };
        let faults = draft.read(&region(), Moment(0)).err().unwrap();
        let fields: Vec<&str> = faults.iter().map(|fault| fault.field).collect();
        assert_eq!(fields, ["sender", "channel", "category", "reporter"]);
        let good = Draft {
            token: "t".into(),
            sender: "VAYNHANH".into(),
            channel: "sms".into(),
            category: "spam".into(),
            harm: "health".into(),
            content: "Vay nhanh".into(),
            reporter: "0912345678".into(),
            ..Draft::default()
        };
        assert!(good.read(&region(), Moment(0)).is_ok(), "the harm of another category is left out");
        let early = Draft { occurred_at: "24/11/2026 10:00".into(), ..good };
        assert_eq!(early.read(&region(), Moment(0)).err().unwrap()[0].text, "error-in-future");
    }

    #[test]
    fn a_wrong_number_is_said_where_the_country_has_other_numbers() {
        let region = Region { home: HomeCountry::parse("TH").unwrap(), ..region() };
        let draft = Draft { token: "t".into(), reporter: "1".into(), channel: "call".into(), ..Draft::default() };
        let faults = draft.read(&region, Moment(0)).err().unwrap();
        assert!(faults.iter().any(|fault| fault.field == "reporter"));
    }

    #[test]
    fn links_are_shown_by_their_hosts() {
        let draft = Draft {
            content: "Xem https://vi-du.example/a?b ngay, www.abc.example. http://".into(),
            ..Draft::default()
        };
        assert_eq!(draft.links(), ["vi-du.example", "www.abc.example"]);
    }
}
