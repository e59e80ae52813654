//! Answers of the gateway. What holds for all of them is checked here, in every test.

use std::collections::BTreeMap;

use serde_json::Value;

/// Headers that are the transport's and differ from run to run.
const NOT_SHOWN: &[&str] = &["date", "connection", "transfer-encoding"];
/// Members that every problem document has.
const PROBLEM_MEMBERS: &[&str] = &["type", "title", "status", "code", "detail"];
/// As many digits in a row are a number that belongs to someone.
const NUMBER_MIN_DIGITS: usize = 9;

/// An answer.
pub struct Answer {
    pub status: u16,
    headers: BTreeMap<String, String>,
    /// The body as it was sent.
    pub text: String,
    /// The body as JSON; null when it is none.
    pub json: Value,
}

impl Answer {
    /// Reads an answer to a request whose body was `sent`.
    pub async fn read(response: reqwest::Response, sent: &str) -> Self {
        let status = response.status().as_u16();
        let headers = response
            .headers()
            .iter()
            .map(|(name, value)| (name.as_str().to_owned(), String::from_utf8_lossy(value.as_bytes()).into_owned()))
            .collect();
        let text = response.text().await.expect("the answer arrives whole");
        Self::checked(status, headers, text, sent)
    }

    fn checked(status: u16, headers: BTreeMap<String, String>, text: String, sent: &str) -> Self {
        let json = serde_json::from_str(&text).unwrap_or(Value::Null);
        let answer = Self { status, headers, text, json };
        assert_ne!(answer.status, 500, "bad input is never a fault of the gateway: {}", answer.text);
        answer.check_problem();
        answer.check_nothing_echoed(sent);
        answer
    }

    /// Every error is a problem document, with nothing else in it.
    fn check_problem(&self) {
        if self.status < 400 {
            return;
        }
        let text = &self.text;
        assert_eq!(self.header("content-type"), Some("application/problem+json"), "{} {text}", self.status);
        let document = self.json.as_object().expect("a problem document is an object");
        for member in PROBLEM_MEMBERS {
            assert!(document.contains_key(*member), "`{member}` is missing: {text}");
        }
        let known = |name: &String| PROBLEM_MEMBERS.contains(&name.as_str()) || name == "field";
        assert!(document.keys().all(known), "a member that no problem document has: {text}");
        assert_eq!(document["status"], self.status, "{text}");
        assert!(document["detail"].as_str().is_some_and(|detail| detail.ends_with('.')), "no sentence: {text}");
        if matches!(self.status, 429 | 503) {
            assert!(self.retry_after_s() >= 1, "{text}");
        }
    }

    /// No number of the request comes back, neither in the body nor in a header.
    fn check_nothing_echoed(&self, sent: &str) {
        let whole = format!("{:?} {}", self.headers, self.text);
        for run in sent.split(|character: char| !character.is_ascii_digit()) {
            let number = run.trim_start_matches('0');
            let number = number.strip_prefix("84").unwrap_or(number);
            if number.len() >= NUMBER_MIN_DIGITS {
                assert!(!whole.contains(number), "the answer repeats a number that was sent: {whole}");
            }
        }
    }

    /// The value of a header.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(String::as_str)
    }

    /// The header `Retry-After`.
    pub fn retry_after_s(&self) -> u64 {
        self.header("retry-after").and_then(|value| value.parse().ok()).expect("Retry-After in seconds")
    }

    /// A string of the body.
    pub fn string(&self, member: &str) -> &str {
        self.json[member].as_str().unwrap_or_else(|| panic!("no string `{member}`: {}", self.text))
    }

    /// The id of the report.
    pub fn id(&self) -> &str {
        self.string("id")
    }

    /// The reference of the case.
    pub fn case(&self) -> &str {
        self.json["case"]["reference"].as_str().unwrap_or_else(|| panic!("no case: {}", self.text))
    }

    /// Checks the status of an answer that is no error.
    #[track_caller]
    pub fn expect_status(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{}", self.text);
        self
    }

    /// Checks what kind of problem it is and which field it names; an empty one means none.
    #[track_caller]
    pub fn expect_problem(self, status: u16, code: &str, field: &str) -> Self {
        let found = (self.status, self.json["code"].as_str(), self.json["field"].as_str().unwrap_or_default());
        assert_eq!(found, (status, Some(code), field), "{}", self.text);
        self
    }

    /// The answer as text for a snapshot: status, headers, body; with `[id]`, `[receipt]` and `[case]` in their places.
    pub fn wire(&self) -> String {
        let mut wire = format!("{}\n", self.status);
        for (name, value) in self.headers.iter().filter(|(name, _)| !NOT_SHOWN.contains(&name.as_str())) {
            wire.push_str(&format!("{name}: {value}\n"));
        }
        wire.push('\n');
        wire.push_str(&self.text);
        let places = [("[id]", &self.json["id"]), ("[receipt]", &self.json["receipt"])];
        let case = ("[case]", &self.json["case"]["reference"]);
        for (place, value) in places.into_iter().chain([case]) {
            if let Some(value) = value.as_str() {
                wire = wire.replace(value, place);
            }
        }
        wire
    }
}

/// What came back on a bare connection.
#[derive(Default)]
pub struct RawAnswer(pub Vec<u8>);

impl RawAnswer {
    /// Status, headers, and what there is of the body.
    fn split(&self) -> Option<(u16, BTreeMap<String, String>, &str)> {
        let (head, body) = std::str::from_utf8(&self.0).ok()?.split_once("\r\n\r\n")?;
        let mut lines = head.split("\r\n");
        let status = lines.next()?.split(' ').nth(1)?.parse().expect("a status");
        let headers = lines
            .filter_map(|line| line.split_once(": "))
            .map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()))
            .collect();
        Some((status, headers, body))
    }

    /// Whether the announced length has come.
    pub fn is_whole(&self) -> bool {
        self.split().is_some_and(|(_, headers, body)| headers["content-length"] == body.len().to_string())
    }

    /// The answer, checked like every other; none when there is none.
    pub fn parse(self, sent: &str) -> Option<Answer> {
        let (status, headers, body) = self.split()?;
        Some(Answer::checked(status, headers, body.to_owned(), sent))
    }
}
