//! A subscriber's SMS as its SMS gateway forwards it: which parameter holds what, and how its bytes are read.

use actix_web::HttpRequest;
use actix_web::http::header;
use sha2::{Digest, Sha256};

use crate::crypto::to_hex;
use crate::domain::clock::{MICROS_PER_SECOND, Moment};
use crate::domain::sms_text::Alphabet;
use crate::http::form::{Parameters, decode_hex};
use crate::http::problem::Problem;

/// The longest message id of an SMS gateway, bytes. Kannel's has 36.
const MESSAGE_ID_MAX_BYTES: usize = 128;

/// The SMS gateways that are understood.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Profile {
    /// Kannel: the answer's body is sent back to the subscriber.
    Kannel,
    /// Jasmin: the answer is `ACK/Jasmin` and nothing else.
    Jasmin,
}

impl Profile {
    /// Reads the last part of the address.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        match word {
            "kannel" => Some(Self::Kannel),
            "jasmin" => Some(Self::Jasmin),
            _ => None,
        }
    }
}

/// An SMS that a subscriber sent.
pub struct ForwardedSms {
    /// What tells it from others of this carrier. No caller's report id has a space, so none can be the same.
    pub external_id: String,
    /// The subscriber's number.
    pub from: String,
    /// When it was sent, if the gateway says so.
    pub sent_at: Option<Moment>,
    /// What it says; none when its alphabet is not known.
    pub text: Option<String>,
}

impl ForwardedSms {
    /// Reads what Kannel was told to send: `from=%p&to=%P&text=%b&coding=%c&charset=%C&time=%T&id=%I&smsc=%i`. With
    /// `post-url` the text is the body.
    ///
    /// # Errors
    /// A parameter that the template lacks: the configuration of the gateway is to be mended.
    pub fn of_kannel(request: &HttpRequest, parameters: &Parameters, body: &[u8]) -> Result<Self, Problem> {
        let is_post = request.method() == actix_web::http::Method::POST;
        let bytes = match parameters.bytes("text") {
            Some(bytes) => bytes,
            None if is_post => body,
            None => return Err(Problem::parameter_missing("text", "%b")),
        };
        let alphabet = match (parameters.text("coding"), parameters.text("charset")) {
            (Some("2"), None) => Some(Alphabet::Utf16),
            (Some("1"), None) => Some(Alphabet::Unnamed),
            // After recoding the charset says what the bytes are, whatever the SMS was.
            (_, Some(charset)) => Alphabet::parse(charset),
            (_, None) => charset_of_body(request).map_or(Some(Alphabet::Unnamed), Alphabet::parse),
        };
        let template = Template { id: "%I", from: "%p" };
        Self::of(Profile::Kannel, parameters, &template, alphabet, bytes)
    }

    /// Reads what Jasmin sends. `binary` holds the bytes of the SMS; `content` only what became of them on the way.
    /// `coding` is SMPP's `data_coding`; what 0 stands for is for the operator of the SMSC to say, as `charset` in the
    /// address: the GSM alphabet unless told otherwise.
    ///
    /// # Errors
    /// A parameter that Jasmin always sends.
    pub fn of_jasmin(parameters: &Parameters) -> Result<Self, Problem> {
        let binary = parameters.bytes("binary").and_then(decode_hex).filter(|binary| !binary.is_empty());
        let bytes = match (&binary, parameters.bytes("content")) {
            (Some(binary), _) => binary.as_slice(),
            (None, Some(content)) => content,
            (None, None) => return Err(Problem::parameter_missing("content", "content")),
        };
        let default = parameters.text("charset").map_or(Some(Alphabet::Gsm), Alphabet::parse);
        let alphabet = match parameters.text("coding").unwrap_or("0") {
            "0" => default,
            "1" => Some(Alphabet::Utf8),
            "2" | "4" => Some(Alphabet::Unnamed),
            "3" => Some(Alphabet::Latin1),
            "8" => Some(Alphabet::Utf16),
            _ => None,
        };
        let template = Template { id: "id", from: "from" };
        Self::of(Profile::Jasmin, parameters, &template, alphabet, bytes)
    }

    fn of(
        profile: Profile,
        parameters: &Parameters,
        template: &Template,
        alphabet: Option<Alphabet>,
        bytes: &[u8],
    ) -> Result<Self, Problem> {
        let from = parameters.text("from").ok_or_else(|| Problem::parameter_missing("from", template.from))?;
        let profile = match profile {
            Profile::Kannel => "kannel",
            Profile::Jasmin => "jasmin",
        };
        let sent_at = parameters.text("time").and_then(parse_time);
        let external_id = match parameters.bytes("id").filter(|id| !id.is_empty()) {
            Some(id) if id.len() > MESSAGE_ID_MAX_BYTES => {
                return Err(Problem::message_id_too_long(MESSAGE_ID_MAX_BYTES));
            }
            Some(id) => format!("mo {profile} {}", digest_hex(&[id])),
            // Without the time, the same words of the same subscriber days later would be taken for a retry.
            None if template.id == "id" || sent_at.is_none() => {
                return Err(Problem::parameter_missing("id", template.id));
            }
            // The same SMS has the same parts, and a retry of the gateway sends them all again.
            None => {
                let part = |name| parameters.bytes(name).unwrap_or_default();
                format!("mo {profile} parts {}", digest_hex(&[from.as_bytes(), part("to"), part("time"), bytes]))
            }
        };
        Ok(Self { external_id, from: from.to_owned(), sent_at, text: alphabet.map(|alphabet| alphabet.decode(bytes)) })
    }
}

/// What stands for the parts in the gateway's own configuration.
struct Template {
    id: &'static str,
    from: &'static str,
}

/// The parts as one word of 64 characters; different lists of parts have different words.
fn digest_hex(parts: &[&[u8]]) -> String {
    let mut digest = Sha256::new();
    for part in parts {
        digest.update(u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
        digest.update(part);
    }
    to_hex(&digest.finalize())
}

fn charset_of_body(request: &HttpRequest) -> Option<&str> {
    let media_type = request.headers().get(header::CONTENT_TYPE)?.to_str().ok()?;
    let charset = media_type.split(';').skip(1).find_map(|part| {
        let (name, value) = part.split_once('=')?;
        name.trim().eq_ignore_ascii_case("charset").then_some(value)
    })?;
    Some(charset.trim().trim_matches('"'))
}

/// Kannel's `%T` (seconds since 1970) and `%t` (`2026-11-24 08:00:00`, UTC), or RFC 3339.
fn parse_time(text: &str) -> Option<Moment> {
    if let Ok(seconds) = text.parse::<i64>() {
        return seconds.checked_mul(MICROS_PER_SECOND).map(Moment);
    }
    Moment::parse_rfc3339(text).or_else(|| Moment::parse_rfc3339(&format!("{}Z", text.replacen(' ', "T", 1))))
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may stop where it fails")]
    use super::*;

    fn jasmin(query: &str) -> Option<String> {
        let mut parameters = Parameters::default();
        parameters.add(query.as_bytes()).unwrap();
        ForwardedSms::of_jasmin(&parameters).ok().and_then(|sms| sms.text)
    }

    #[test]
    fn times_are_read_as_both_gateways_write_them() {
        let moment = Moment::parse_rfc3339("2026-11-24T08:00:01Z");
        assert_eq!(parse_time("2026-11-24 08:00:01"), moment);
        assert_eq!(parse_time("1795507201"), moment);
        assert_eq!(parse_time("2026-11-24T15:00:01+07:00"), moment);
        assert_eq!(parse_time("yesterday"), None);
        assert_eq!(parse_time("9223372036854775807"), None);
    }

    #[test]
    fn jasmin_says_the_coding_and_binary_holds_the_bytes() {
        let number = "from=84912345678&to=5656&id=1&content=x";
        assert_eq!(jasmin(&format!("{number}&coding=8&binary=00531ea1")), Some("Sạ".to_owned()));
        assert_eq!(jasmin(&format!("{number}&coding=0&binary=561b3c311b3e")), Some("V[1]".to_owned()));
        assert_eq!(jasmin(&format!("{number}&coding=0&binary=565b315d&charset=ascii")), Some("V[1]".to_owned()));
        assert_eq!(jasmin(&format!("{number}&coding=3&binary=e4")), Some("ä".to_owned()));
        assert_eq!(jasmin(&format!("{number}&coding=5&binary=41")), None);
        assert_eq!(jasmin("from=1&id=1&content=S+%281%29&coding=1"), Some("S (1)".to_owned()));
        assert_eq!(jasmin("from=1&content=S"), None, "Jasmin always sends an id");
    }
}
