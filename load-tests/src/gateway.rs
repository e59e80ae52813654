//! The gateway as its caller sees it: two requests and what their answers mean.

use std::time::Duration;

use anyhow::{Context, ensure};
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderValue, RETRY_AFTER};
use reqwest::{Client, Response, StatusCode, Url};
use serde::Deserialize;

use crate::attempts::{Attempt, DEFAULT_WAIT, RETRY_AFTER_MAX};

const REQUEST_TIMEOUT: Duration = Duration::from_secs(30);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// The reason of an attempt that reached nobody.
pub const NO_CONNECTION: &str = "no connection";

/// A gateway and the key of the carrier that reports to it.
pub struct Gateway {
    client: Client,
    reports_url: String,
    authorization: HeaderValue,
}

/// What the gateway said to a report.
#[derive(Debug, PartialEq, Eq)]
pub enum PostAnswer {
    /// 201: taken now.
    Accepted {
        /// The gateway's id.
        id: String,
        /// The gateway believes the same person said the same before.
        repeat: bool,
    },
    /// 200: it had been taken before.
    Duplicate {
        /// The gateway's id.
        id: String,
    },
    /// A problem document with this code.
    Refused(String),
    /// Nothing that the API describes.
    Unexpected(String),
}

/// What the gateway said when asked for a report.
#[derive(Debug, PartialEq, Eq)]
pub enum ReadAnswer {
    /// 200.
    Known {
        /// `accepted`, `counted`, `repeat` or `conflict`.
        status: String,
        /// Of the case that it is part of, if any.
        case_reference: Option<String>,
    },
    /// 404: it does not know what it acknowledged.
    Missing,
    /// Nothing that the API describes.
    Unexpected(String),
}

#[derive(Deserialize)]
struct Receipt {
    id: String,
    status: String,
    duplicate: bool,
    #[serde(default)]
    repeat: bool,
}

#[derive(Deserialize)]
struct ReportView {
    id: String,
    status: String,
    case: Option<CaseView>,
}

#[derive(Deserialize)]
struct CaseView {
    reference: String,
}

#[derive(Deserialize)]
struct Problem {
    code: String,
}

impl Gateway {
    /// A client that talks to `target` and to nothing else: no proxy, no redirects.
    ///
    /// # Errors
    /// When the target is no `http://` URL or the key cannot be in a header.
    pub fn new(target: &str, key: &str, connections: usize) -> anyhow::Result<Self> {
        let url = Url::parse(target).with_context(|| format!("--target {target} is no URL"))?;
        ensure!(url.scheme() == "http", "--target must start with http://, as in http://127.0.0.1:8080");
        let mut authorization =
            HeaderValue::from_str(&format!("Bearer {key}")).context("the key holds characters that no header may")?;
        authorization.set_sensitive(true);
        let client = Client::builder()
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .timeout(REQUEST_TIMEOUT)
            .connect_timeout(CONNECT_TIMEOUT)
            .pool_max_idle_per_host(connections)
            .build()?;
        let reports_url = format!("{}/v1/reports", url.as_str().trim_end_matches('/'));
        Ok(Self { client, reports_url, authorization })
    }

    /// Sends a report once.
    pub async fn post(&self, body: &[u8]) -> Attempt<PostAnswer> {
        let request = self
            .client
            .post(&self.reports_url)
            .header(AUTHORIZATION, self.authorization.clone())
            .header(CONTENT_TYPE, HeaderValue::from_static("application/json"))
            .body(body.to_vec());
        match fetch(request).await {
            Ok(answer) => answer.read_as_post(),
            Err(error) => no_answer(&error),
        }
    }

    /// Asks for a report once.
    pub async fn read(&self, id: &str) -> Attempt<ReadAnswer> {
        let request =
            self.client.get(format!("{}/{id}", self.reports_url)).header(AUTHORIZATION, self.authorization.clone());
        match fetch(request).await {
            Ok(answer) => answer.read_as_report(id),
            Err(error) => no_answer(&error),
        }
    }
}

struct Answer {
    status: StatusCode,
    retry_after: Option<Duration>,
    body: Vec<u8>,
}

async fn fetch(request: reqwest::RequestBuilder) -> reqwest::Result<Answer> {
    let response = request.send().await?;
    let status = response.status();
    let retry_after = retry_after(&response);
    Ok(Answer { status, retry_after, body: response.bytes().await?.to_vec() })
}

fn retry_after(response: &Response) -> Option<Duration> {
    let seconds = response.headers().get(RETRY_AFTER)?.to_str().ok()?.trim().parse().ok()?;
    Some(Duration::from_secs(seconds))
}

/// The outcome is unknown: the same request can be sent again, since a report has one id for ever.
fn no_answer<T>(error: &reqwest::Error) -> Attempt<T> {
    let reason = if error.is_timeout() {
        "no answer in time"
    } else if error.is_connect() {
        NO_CONNECTION
    } else {
        "connection lost"
    };
    Attempt::Again { reason: reason.to_owned(), wait: DEFAULT_WAIT }
}

impl Answer {
    fn read_as_post(&self) -> Attempt<PostAnswer> {
        if let Some(again) = self.asks_to_come_again() {
            return again;
        }
        Attempt::Done(match self.status {
            StatusCode::CREATED | StatusCode::OK => self.read_receipt(),
            status if status.is_client_error() => self.problem_code().map_or_else(
                || PostAnswer::Unexpected(format!("{} without a problem code", status.as_u16())),
                PostAnswer::Refused,
            ),
            status => PostAnswer::Unexpected(format!("status {}", status.as_u16())),
        })
    }

    fn read_receipt(&self) -> PostAnswer {
        let Ok(receipt) = serde_json::from_slice::<Receipt>(&self.body) else {
            return PostAnswer::Unexpected(format!("{} with an unknown body", self.status.as_u16()));
        };
        match (self.status, receipt.duplicate) {
            (StatusCode::CREATED, false) if receipt.status == "accepted" => {
                PostAnswer::Accepted { id: receipt.id, repeat: receipt.repeat }
            }
            (StatusCode::OK, true) => PostAnswer::Duplicate { id: receipt.id },
            (status, duplicate) => PostAnswer::Unexpected(format!(
                "{} with status {} and duplicate {duplicate}",
                status.as_u16(),
                receipt.status
            )),
        }
    }

    fn read_as_report(&self, id: &str) -> Attempt<ReadAnswer> {
        if let Some(again) = self.asks_to_come_again() {
            return again;
        }
        Attempt::Done(match self.status {
            StatusCode::OK => match serde_json::from_slice::<ReportView>(&self.body) {
                Ok(view) if view.id == id => {
                    ReadAnswer::Known { status: view.status, case_reference: view.case.map(|case| case.reference) }
                }
                Ok(_) => ReadAnswer::Unexpected("another id than the one asked for".to_owned()),
                Err(_) => ReadAnswer::Unexpected("200 with an unknown body".to_owned()),
            },
            StatusCode::NOT_FOUND => ReadAnswer::Missing,
            status => ReadAnswer::Unexpected(format!(
                "reading back: {} {}",
                status.as_u16(),
                self.problem_code().unwrap_or_default()
            )),
        })
    }

    /// 429 and 503, unless the wait is too long to be worth it.
    fn asks_to_come_again<T>(&self) -> Option<Attempt<T>> {
        if !matches!(self.status, StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE) {
            return None;
        }
        let wait = self.retry_after.unwrap_or(DEFAULT_WAIT);
        let promise_kept = if self.retry_after.is_some() { "" } else { ", no Retry-After" };
        let code = self.problem_code().unwrap_or_else(|| "no code".to_owned());
        let reason = format!("{} {code}{promise_kept}", self.status.as_u16());
        (wait <= RETRY_AFTER_MAX).then_some(Attempt::Again { reason, wait })
    }

    fn problem_code(&self) -> Option<String> {
        serde_json::from_slice::<Problem>(&self.body).ok().map(|problem| problem.code)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(status: u16, retry_after_seconds: Option<u64>, body: &str) -> Answer {
        Answer {
            status: StatusCode::from_u16(status).unwrap_or_default(),
            retry_after: retry_after_seconds.map(Duration::from_secs),
            body: body.as_bytes().to_vec(),
        }
    }

    fn post(status: u16, body: &str) -> Option<PostAnswer> {
        match answer(status, None, body).read_as_post() {
            Attempt::Done(answer) => Some(answer),
            Attempt::Again { .. } => None,
        }
    }

    #[test]
    fn a_receipt_must_agree_with_its_status() {
        let new = r#"{"id":"i","status":"accepted","duplicate":false,"repeat":true,"receipt":"r","received_at":"t"}"#;
        let known = r#"{"id":"i","status":"counted","duplicate":true,"receipt":"r","received_at":"t"}"#;
        assert_eq!(post(201, new), Some(PostAnswer::Accepted { id: "i".to_owned(), repeat: true }));
        assert_eq!(post(200, known), Some(PostAnswer::Duplicate { id: "i".to_owned() }));
        for (status, body) in [(200, new), (201, known), (201, "{}"), (204, ""), (500, "{}"), (302, "")] {
            assert!(matches!(post(status, body), Some(PostAnswer::Unexpected(_))), "{status} {body}");
        }
    }

    #[test]
    fn a_refusal_needs_a_code() {
        let problem = r#"{"code":"invalid_time","detail":"…","status":422,"title":"…"}"#;
        assert_eq!(post(422, problem), Some(PostAnswer::Refused("invalid_time".to_owned())));
        assert!(matches!(post(400, "Bad request"), Some(PostAnswer::Unexpected(_))));
    }

    #[test]
    fn later_is_obeyed_to_the_second_but_not_for_hours() {
        let problem = r#"{"code":"busy"}"#;
        let wait_of = |answer: Answer| match answer.read_as_post() {
            Attempt::Again { reason, wait } => Some((reason, wait.as_secs())),
            Attempt::Done(_) => None,
        };
        assert_eq!(wait_of(answer(503, Some(3), problem)), Some(("503 busy".to_owned(), 3)));
        assert_eq!(wait_of(answer(429, None, problem)), Some(("429 busy, no Retry-After".to_owned(), 1)));
        assert_eq!(wait_of(answer(429, Some(3_600), problem)), None);
        assert_eq!(wait_of(answer(422, Some(3), problem)), None);
    }

    #[test]
    fn a_report_that_is_read_back_must_be_the_one_that_was_asked_for() {
        let read = |status, body: &str| match answer(status, None, body).read_as_report("i") {
            Attempt::Done(answer) => Some(answer),
            Attempt::Again { .. } => None,
        };
        let known = |status: &str, reference: Option<&str>| {
            Some(ReadAnswer::Known { status: status.to_owned(), case_reference: reference.map(str::to_owned) })
        };
        let in_case = r#"{"id":"i","status":"counted","case":{"reference":"ABC","status":"open"}}"#;
        assert_eq!(read(200, in_case), known("counted", Some("ABC")));
        assert_eq!(read(200, r#"{"id":"i","status":"accepted"}"#), known("accepted", None));
        assert_eq!(read(404, "{}"), Some(ReadAnswer::Missing));
        assert!(matches!(read(200, r#"{"id":"j","status":"counted"}"#), Some(ReadAnswer::Unexpected(_))));
        assert!(matches!(read(401, "{}"), Some(ReadAnswer::Unexpected(_))));
    }
}
