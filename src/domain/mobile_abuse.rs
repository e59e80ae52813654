//! Reports in the Mobile Abuse Reporting Schema, version 1, and what stands in for the fields that it does not have.
//!
//! | ours | theirs |
//! |---|---|
//! | report id | computed from all but `u`: the same report sent again is the same |
//! | reporter | `r`, which has to be a mobile number here |
//! | sender | `s`; what is no number, short code or brandname is kept as malformed |
//! | channel | `sms` for every `m.p` |
//! | category | `spam`: the schema tells no more |
//! | content | `m.c`, of MIME its plain text |
//! | occurred at | `m.t` |

use std::borrow::Cow;

use serde::Deserialize;

use super::clock::Moment;
use super::content::Content;
use super::msisdn;
use super::rejection::Rejection;
use super::sender;
use super::submission::{Region, Submission, Text};
use super::vocabulary::{Category, Channel};

/// The longest `s`, characters.
const SENDER_MAX_CHARACTERS: usize = 350;
/// The longest part of `u`, characters.
const AGENT_PART_MAX_CHARACTERS: usize = 64;
/// `r` of as many hexadecimal digits is a hash (SHA-256 or SHA3-256).
const HASH_DIGITS: usize = 64;
/// Protocols of `m.p`.
const PROTOCOLS: [&str; 3] = ["sms", "mms", "rcs"];
/// The names of our fields in this schema, for rejections.
pub const FIELD_NAMES: [(&str, &str); 5] =
    [("reporter", "r"), ("sender", "s"), ("content", "m.c"), ("occurred_at", "m.t"), ("report_id", "i")];

/// A report as it stands in the request. Other members are allowed by the schema and are not looked at.
#[derive(Deserialize, Default)]
pub struct RawMobileAbuse<'a> {
    /// Version.
    #[serde(borrow)]
    pub v: Option<Text<'a>>,
    /// UUID of the conversation, not of the report.
    #[serde(borrow)]
    pub i: Option<Text<'a>>,
    /// `Organization/Application/Version`.
    #[serde(borrow)]
    pub u: Option<Text<'a>>,
    /// Sender.
    #[serde(borrow)]
    pub s: Option<Text<'a>>,
    /// Reporter.
    #[serde(borrow)]
    pub r: Option<Text<'a>>,
    /// `spam` or `legit`.
    #[serde(borrow)]
    pub d: Option<Text<'a>>,
    /// The message.
    #[serde(borrow)]
    pub m: Option<RawMessage<'a>>,
}

/// The message of a [`RawMobileAbuse`].
#[derive(Deserialize, Default)]
pub struct RawMessage<'a> {
    /// `sms`, `mms` or `rcs`.
    #[serde(borrow)]
    pub p: Option<Text<'a>>,
    /// When it was received.
    #[serde(borrow)]
    pub t: Option<Text<'a>>,
    /// What it said.
    #[serde(borrow)]
    pub c: Option<Text<'a>>,
}

/// Parses every field, in the order of the schema.
///
/// # Errors
/// The first field that has to be mended, by its name in the schema.
pub fn parse(raw: &RawMobileAbuse<'_>, region: &Region) -> Result<Submission, Rejection> {
    if required(raw.v.as_deref(), "v")? != "1" {
        return Err(Rejection::not_one_of("v", "`1`"));
    }
    let conversation = raw.i.as_deref().map(parse_conversation).transpose()?;
    check_agent(required(raw.u.as_deref(), "u")?)?;
    let sender = parse_sender(required(raw.s.as_deref(), "s")?, region)?;
    let reporter = parse_reporter(raw.r.as_deref(), region)?;
    let is_legit = match raw.d.as_deref() {
        None => false,
        Some(word) if word.eq_ignore_ascii_case("spam") => false,
        Some(word) if word.eq_ignore_ascii_case("legit") => true,
        Some(_) => return Err(Rejection::not_one_of("d", "`spam`, `legit`")),
    };
    let message = raw.m.as_ref().ok_or_else(|| Rejection::missing("m"))?;
    let protocol = required(message.p.as_deref(), "m.p")?;
    let protocol = PROTOCOLS.into_iter().find(|known| known.eq_ignore_ascii_case(protocol));
    let protocol = protocol.ok_or_else(|| Rejection::not_one_of("m.p", "`sms`, `mms`, `rcs`"))?;
    let time = required(message.t.as_deref(), "m.t")?;
    let occurred_at = parse_time(time)?;
    let text = plain_text(required(message.c.as_deref(), "m.c")?);
    let content = Content::parse(&text).map_err(|error| named("m.c", Rejection::content(&error)))?;
    let content = content.ok_or_else(|| {
        Rejection::new(
            "content_missing",
            "m.c",
            "Write what the message said into `m.c`, or its MIME with some plain text.",
        )
    })?;
    // Holds spaces and line feeds, so no report id of a carrier's own is like it.
    let external_id = format!(
        "mobile abuse 1\n{}\n{}\n{}\n{}\n{protocol}\n{time}\n{}",
        conversation.unwrap_or_default(),
        sender.sender.shown(),
        reporter.e164().as_str(),
        if is_legit { "legit" } else { "spam" },
        content.shown(),
    );
    Ok(Submission {
        external_id,
        reporter,
        sender: sender.sender,
        sender_renumbered: sender.renumbered,
        channel: Channel::Sms,
        category: Category::Spam,
        content: Some(content),
        occurred_at,
        harm: None,
        money_lost: None,
        province: None,
        is_legit,
    })
}

fn required<'a>(value: Option<&'a str>, field: &'static str) -> Result<&'a str, Rejection> {
    value.ok_or_else(|| Rejection::missing(field))
}

fn named(field: &'static str, rejection: Rejection) -> Rejection {
    Rejection { field: Cow::Borrowed(field), ..rejection }
}

/// A UUID of version 4 in small letters.
fn parse_conversation(text: &str) -> Result<String, Rejection> {
    let well_formed = text.len() == 36
        && text.bytes().enumerate().all(|(place, byte)| match place {
            8 | 13 | 18 | 23 => byte == b'-',
            14 => byte == b'4',
            19 => matches!(byte.to_ascii_lowercase(), b'8' | b'9' | b'a' | b'b'),
            _ => byte.is_ascii_hexdigit(),
        });
    if well_formed {
        Ok(text.to_ascii_lowercase())
    } else {
        Err(Rejection::new("invalid_uuid", "i", "Write `i` as a UUID of version 4 with hyphens, or leave it out."))
    }
}

fn check_agent(text: &str) -> Result<(), Rejection> {
    let parts: Vec<&str> = text.split('/').collect();
    let is_of = |part: &str, fits: fn(char) -> bool| {
        (1..=AGENT_PART_MAX_CHARACTERS).contains(&part.chars().count()) && part.chars().all(fits)
    };
    let in_version = |character: char| character.is_ascii_alphanumeric() || matches!(character, '.' | '_' | '-');
    match parts.as_slice() {
        [organization, application, version]
            if is_of(organization, char::is_alphanumeric)
                && is_of(application, char::is_alphanumeric)
                && is_of(version, in_version) =>
        {
            Ok(())
        }
        _ => {
            let detail =
                "Write `u` as `Organization/Application/Version`, letters and digits, each at most 64 characters.";
            Err(Rejection::new("invalid_user_agent", "u", detail))
        }
    }
}

/// Longer than any name or number it is kept as it came: an e-mail address, say.
fn parse_sender(text: &str, region: &Region) -> Result<sender::ParsedSender, Rejection> {
    let characters = text.chars().count();
    if (sender::SENDER_MAX_CHARACTERS + 1..=SENDER_MAX_CHARACTERS).contains(&characters)
        && !text.chars().any(char::is_control)
        && !text.trim().is_empty()
    {
        return Ok(sender::ParsedSender { sender: sender::Sender::Malformed(text.to_owned()), renumbered: false });
    }
    sender::parse(text, region.home).map_err(|error| match error {
        sender::SenderError::TooLong => {
            let detail = format!("Write `s` with at most {SENDER_MAX_CHARACTERS} characters.");
            Rejection::new(error.code(), "s", detail)
        }
        error => named("s", Rejection::sender(&error)),
    })
}

/// One person is one voice, whatever way they report: without the number a report could not be told from others.
fn parse_reporter(text: Option<&str>, region: &Region) -> Result<msisdn::Msisdn, Rejection> {
    let text = text.ok_or_else(|| {
        let detail = "Add `r`, the reporter's mobile number: a report without its reporter is not counted here.";
        Rejection::new("missing_field", "r", detail)
    })?;
    if text.len() == HASH_DIGITS && text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        let detail =
            "Send the reporter's mobile number in `r`, not its hash: the gateway keeps it as a keyed hash of its own.";
        return Err(Rejection::new("reporter_hashed", "r", detail));
    }
    msisdn::parse_reporter(text, region.home).map_err(|error| Rejection::number("r", &error))
}

/// `2024-03-12T15:45:22Z` and no other form.
fn parse_time(text: &str) -> Result<Moment, Rejection> {
    let well_formed = text.len() == 20
        && text.bytes().enumerate().all(|(place, byte)| match place {
            4 | 7 => byte == b'-',
            10 => byte == b'T',
            13 | 16 => byte == b':',
            19 => byte == b'Z',
            _ => byte.is_ascii_digit(),
        });
    Moment::parse_rfc3339(text).filter(|_| well_formed).ok_or_else(|| {
        let detail = "Write `m.t` as RFC 3339 in UTC with whole seconds, such as `2026-01-31T15:04:05Z`.";
        Rejection::new("invalid_time", "m.t", detail)
    })
}

/// The plain text of a body: of MIME its `text/plain` parts, else the body itself. Parts that are encoded are not plain;
/// a body of such parts alone has no text.
fn plain_text(body: &str) -> Cow<'_, str> {
    let Some((head, rest)) = split_head(body) else { return Cow::Borrowed(body) };
    if !header(head, "content-type").is_some_and(|value| value.contains('/')) {
        return Cow::Borrowed(body);
    }
    match boundary(head) {
        None => Cow::Borrowed(if is_plain(head) { rest } else { "" }),
        Some(boundary) => {
            let delimiter = format!("--{boundary}");
            let parts = rest.split(delimiter.as_str()).skip(1);
            let parts =
                parts.map(|part| part.trim_start_matches(['\r', '\n'])).take_while(|part| !part.starts_with("--"));
            let texts = parts.filter_map(split_head).filter(|(head, _)| is_plain(head)).map(|(_, text)| text.trim());
            Cow::Owned(texts.collect::<Vec<_>>().join("\n"))
        }
    }
}

/// Headers and what follows them, when the text begins with a MIME header.
fn split_head(text: &str) -> Option<(&str, &str)> {
    let begins = text.get(..8).is_some_and(|begin| begin.eq_ignore_ascii_case("content-"));
    if !begins {
        return None;
    }
    text.split_once("\r\n\r\n").or_else(|| text.split_once("\n\n"))
}

fn header<'h>(head: &'h str, name: &str) -> Option<&'h str> {
    head.lines().find_map(|line| {
        let (found, value) = line.split_once(':')?;
        found.trim().eq_ignore_ascii_case(name).then(|| value.trim())
    })
}

fn boundary(head: &str) -> Option<&str> {
    let value = header(head, "content-type")?;
    if !value.get(..10)?.eq_ignore_ascii_case("multipart/") {
        return None;
    }
    let at = value.to_ascii_lowercase().find("boundary=")?;
    let boundary = value.get(at + "boundary=".len()..)?.split(';').next()?.trim().trim_matches('"');
    (!boundary.is_empty()).then_some(boundary)
}

fn is_plain(head: &str) -> bool {
    let is_text = header(head, "content-type")
        .and_then(|value| value.get(..10))
        .is_some_and(|begin| begin.eq_ignore_ascii_case("text/plain"));
    let encoding = header(head, "content-transfer-encoding").unwrap_or("8bit");
    is_text && !encoding.eq_ignore_ascii_case("base64") && !encoding.eq_ignore_ascii_case("quoted-printable")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mime_is_read_for_its_plain_text_and_other_text_is_left_alone() {
        for (body, text) in [
            ("Call 888 now", "Call 888 now"),
            ("Content-type is what? Call\n\nnow", "Content-type is what? Call\n\nnow"),
            ("Content-Type: text/plain; charset=\"UTF-8\"\r\n\r\nBuy v1agra here", "Buy v1agra here"),
            ("content-type: TEXT/PLAIN\n\nBuy", "Buy"),
            ("Content-Type: image/jpeg\r\nContent-Transfer-Encoding: base64\r\n\r\nAAAA", ""),
            (
                "Content-Type: multipart/mixed; boundary=\"b-1\"\r\n\r\n--b-1\r\nContent-Type: text/plain\r\n\r\nOne\r\n\
                 \r\n--b-1\r\nContent-Type: image/jpeg\r\nContent-Transfer-Encoding: base64\r\n\r\nAAAA\r\n--b-1\r\n\
                 Content-Type: text/plain\r\n\r\nTwo\r\n--b-1--",
                "One\nTwo",
            ),
            ("Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\n--b--", ""),
            ("Content-Type: multipart/mixed\r\n\r\nx", ""),
        ] {
            assert_eq!(plain_text(body), text, "{body}");
        }
    }

    #[test]
    fn user_agents_are_those_of_the_schema() {
        for good in ["OrganizationA/Messages/2.3-alpha", "Tổ1/Ứ/v2", "a/b/1.2_ga", &format!("{}/b/c", "a".repeat(64))]
        {
            assert!(check_agent(good).is_ok(), "{good}");
        }
        for bad in ["", "a/b", "a/b/c/d", "a b/c/d", "a/b/c d", "a/b/é", "/b/c", &format!("{}/b/c", "a".repeat(65))] {
            assert!(check_agent(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn times_are_whole_seconds_in_utc() {
        assert!(parse_time("2024-03-12T15:45:22Z").is_ok());
        for bad in
            ["2024-03-12T15:45:22.0Z", "2024-03-12t15:45:22Z", "2024-03-12T15:45:22+00:00", "2024-13-12T15:45:22Z", ""]
        {
            assert!(parse_time(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn conversations_are_uuids_of_version_4() {
        assert!(parse_conversation("20275d91-690f-4908-A191-f1a16d0a770b").is_ok_and(|text| text.contains("a191")));
        for bad in [
            "20275d91-690f-7908-a191-f1a16d0a770b",
            "20275d91690f4908a191f1a16d0a770b",
            "",
            "20275d91-690f-4908-c191-f1a16d0a770b",
        ] {
            assert!(parse_conversation(bad).is_err(), "{bad}");
        }
    }
}
