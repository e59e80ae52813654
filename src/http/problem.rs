//! Problem documents (RFC 9457): the one place where they are made, and the table of their codes.

use std::borrow::Cow;
use std::fmt;

use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderValue};
use actix_web::{HttpResponse, ResponseError};
use serde::Serialize;

use super::body::MediaType;
use super::framing::{HEAD_MAX_BYTES, REQUEST_LINE_MAX_BYTES};
use crate::carrier_api::authenticate::RateFields;
use crate::carrier_api::signatures::verify::SignatureFault;
use crate::crypto::envelope::EnvelopeError;
use crate::domain::carrier::Scope;
use crate::domain::rejection::Rejection;
use crate::intake::accept::{Refused, Unavailable};
use crate::store::StoreError;
use crate::telemetry::metrics::Metrics;

/// The media type of problem documents.
const MEDIA_TYPE: &str = "application/problem+json";

/// When to try again after the store failed, seconds.
const STORE_RETRY_S: u64 = 1;
/// When to try again while the queue is full, seconds.
const BUSY_RETRY_S: u64 = 1;
/// When to try again while the table of quotas is full, seconds.
const QUOTAS_FULL_RETRY_S: u64 = 60;
/// When to try again while a carrier's table of nonces is full, seconds.
const NONCES_FULL_RETRY_S: u64 = 60;

/// What goes wrong at the edge, for its caller. Boxed, so that the way without problems stays light.
pub struct Problem(Box<Parts>);

impl Parts {
    /// Only answers to a carrier with a good key have rate limit fields.
    const fn is_from_known_caller(&self) -> bool {
        self.rate.is_some()
    }
}

struct Parts {
    status: StatusCode,
    code: &'static str,
    field: Option<Cow<'static, str>>,
    detail: Cow<'static, str>,
    retry_after_s: Option<u64>,
    allow: Option<&'static str>,
    rate: Option<RateFields>,
}

// Neither shows `detail` or `field`: both may quote the caller.
impl fmt::Debug for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Problem({} {})", self.0.status.as_u16(), self.0.code)
    }
}
impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.code)
    }
}

#[derive(Serialize)]
struct Document<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    title: &'a str,
    status: u16,
    code: &'static str,
    detail: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    field: Option<&'a str>,
}

/// A problem document with what else would stand in the head of its answer.
#[derive(Serialize)]
pub struct ProblemPart<'a> {
    #[serde(flatten)]
    document: Document<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    retry_after_s: Option<u64>,
}

impl ProblemPart<'_> {
    /// The status that its own answer would have.
    #[must_use]
    pub fn status(&self) -> u16 {
        self.document.status
    }
}

/// What a problem says.
pub struct Told<'a> {
    /// The status of its answer.
    pub status: StatusCode,
    /// A sentence for the caller.
    pub detail: &'a str,
    /// Seconds to wait.
    pub retry_after_s: Option<u64>,
    /// What is left of the caller's limit.
    pub rate: Option<&'a RateFields>,
}

impl Problem {
    fn new(status: StatusCode, code: &'static str, detail: impl Into<Cow<'static, str>>) -> Self {
        let detail = detail.into();
        Self(Box::new(Parts { status, code, detail, field: None, retry_after_s: None, allow: None, rate: None }))
    }
    fn at(mut self, field: impl Into<Cow<'static, str>>) -> Self {
        self.0.field = Some(field.into());
        self
    }
    fn retry_after(mut self, seconds: u64) -> Self {
        self.0.retry_after_s = Some(seconds);
        self
    }

    /// With these rate limit fields.
    #[must_use]
    pub fn with_rate(mut self, rate: RateFields) -> Self {
        self.0.rate = Some(rate);
        self
    }
    /// With these rate limit fields, unless it has some that say more.
    #[must_use]
    pub fn with_rate_unless_set(mut self, rate: RateFields) -> Self {
        self.0.rate.get_or_insert(rate);
        self
    }

    /// What it says, for an answer of another shape.
    #[must_use]
    pub fn told(&self) -> Told<'_> {
        Told {
            status: self.0.status,
            detail: &self.0.detail,
            retry_after_s: self.0.retry_after_s,
            rate: self.0.rate.as_ref(),
        }
    }

    /// The stable code.
    #[must_use]
    pub fn code(&self) -> &'static str {
        self.0.code
    }

    /// With the field called as its caller knows it: pairs of our name and theirs.
    #[must_use]
    pub fn with_field_names(mut self, names: &[(&'static str, &'static str)]) -> Self {
        if let Some(field) = &mut self.0.field
            && let Some((_, theirs)) = names.iter().find(|(ours, _)| ours == field)
        {
            *field = Cow::Borrowed(theirs);
        }
        self
    }

    /// The same about a line and not a whole body.
    #[must_use]
    pub fn in_a_line(mut self) -> Self {
        let of_the_line = self.0.detail.strip_prefix("The body is not valid JSON: look at line 1, ");
        if let Some(place) = of_the_line {
            self.0.detail = format!("This line is not valid JSON: look at {place}").into();
        }
        self
    }

    /// The whole answer, for a connection whose request never came to a handler. It announces the connection's end.
    #[must_use]
    pub fn to_http(&self) -> Vec<u8> {
        let (status, body) = (self.0.status, self.to_json());
        let retry_after = self.0.retry_after_s.map(|seconds| format!("retry-after: {seconds}\r\n")).unwrap_or_default();
        let mut answer = format!(
            "HTTP/1.1 {} {}\r\ncontent-length: {}\r\nconnection: close\r\ncontent-type: {MEDIA_TYPE}\r\n{retry_after}\r\n",
            status.as_u16(),
            status.canonical_reason().unwrap_or_default(),
            body.len(),
        )
        .into_bytes();
        answer.extend_from_slice(&body);
        answer
    }

    fn to_json(&self) -> Vec<u8> {
        // Strings and a number always serialize.
        serde_json::to_vec(&self.document()).unwrap_or_default()
    }

    fn document(&self) -> Document<'_> {
        Document {
            kind: "about:blank",
            title: self.0.status.canonical_reason().unwrap_or_default(),
            status: self.0.status.as_u16(),
            code: self.0.code,
            detail: &self.0.detail,
            field: self.0.field.as_deref(),
        }
    }

    /// The problem as part of an answer about many reports, which has one head for all.
    #[must_use]
    pub fn as_part(&self) -> ProblemPart<'_> {
        ProblemPart { document: self.document(), retry_after_s: self.0.retry_after_s }
    }

    /// Counts the problem.
    pub fn count(&self, metrics: &Metrics) {
        metrics.count_refused(self.0.code);
    }
}

/// The table: code, status, sentence.
#[expect(missing_docs, reason = "each line says it")]
impl Problem {
    #[must_use]
    pub fn no_api_key() -> Self {
        let detail = "Send your API key in the header `Authorization: Bearer KEY`.";
        Self::new(StatusCode::UNAUTHORIZED, "api_key_missing", detail)
    }
    #[must_use]
    pub fn wrong_api_key() -> Self {
        let detail = "This API key is not known or was revoked. Ask the gateway's operator for a new one.";
        Self::new(StatusCode::UNAUTHORIZED, "api_key_unknown", detail)
    }
    /// What is wrong with a signature; never what would be right.
    #[must_use]
    pub fn signature(fault: SignatureFault) -> Self {
        let (code, detail) = match fault {
            SignatureFault::Missing => ("signature_missing", "Sign your requests (RFC 9421): you agreed to."),
            SignatureFault::Malformed => {
                ("signature_malformed", "`Signature-Input` or `Signature` is not as RFC 9421 has it.")
            }
            SignatureFault::Components => (
                "signature_components",
                "Sign at least `@method`, `@target-uri` and, with a body, `content-digest`, with `created` and `nonce`.",
            ),
            SignatureFault::Expired => (
                "signature_expired",
                "The signature is too old or from the future: look at your clock, and sign again.",
            ),
            SignatureFault::KeyUnknown => {
                ("signature_key_unknown", "No signature names a key of yours in `keyid`, or the key was revoked.")
            }
            SignatureFault::Wrong => {
                ("signature_wrong", "The signature does not fit this request, this key and this algorithm.")
            }
            SignatureFault::Digest => {
                ("digest_wrong", "`Content-Digest` does not fit the body, or is neither `sha-256` nor `sha-512`.")
            }
        };
        Self::new(StatusCode::UNAUTHORIZED, code, detail)
    }
    #[must_use]
    pub fn signature_replayed() -> Self {
        let detail = "A request with this `nonce` came before. Sign each one anew, with a nonce of its own.";
        Self::new(StatusCode::UNAUTHORIZED, "signature_replayed", detail)
    }
    #[must_use]
    pub fn nonces_full() -> Self {
        let detail =
            "You have sent more signed requests than the gateway can tell apart. Send fewer, or ask again later.";
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "nonces_full", detail).retry_after(NONCES_FULL_RETRY_S)
    }
    #[must_use]
    pub fn address_not_allowed() -> Self {
        let detail = "This API key may not be used from your address. Ask the gateway's operator to allow it.";
        Self::new(StatusCode::FORBIDDEN, "address_not_allowed", detail)
    }
    #[must_use]
    pub fn scope_missing(scope: Scope) -> Self {
        let scope = scope.as_str();
        let detail =
            format!("This needs the scope `{scope}`, which you do not have. Ask the gateway's operator for it.");
        Self::new(StatusCode::FORBIDDEN, "scope_missing", detail)
    }
    #[must_use]
    pub fn carrier_over_limit(retry_after_s: u64) -> Self {
        let detail = "Your limit of requests is used up. Wait as `Retry-After` says and send the same again.";
        Self::new(StatusCode::TOO_MANY_REQUESTS, "carrier_rate_limited", detail).retry_after(retry_after_s)
    }
    #[must_use]
    pub fn carrier_over_day_quota(retry_after_s: u64) -> Self {
        let detail = "Your number of requests for this day is used up. The next day begins as `Retry-After` says.";
        Self::new(StatusCode::TOO_MANY_REQUESTS, "carrier_day_quota_exceeded", detail).retry_after(retry_after_s)
    }
    #[must_use]
    pub fn reporter_over_quota(retry_after_s: u64) -> Self {
        let detail = "This reporter has sent as many reports as one may in a day. This one was not taken.";
        Self::new(StatusCode::TOO_MANY_REQUESTS, "reporter_quota_exceeded", detail)
            .at("reporter")
            .retry_after(retry_after_s)
    }
    #[must_use]
    pub fn invalid_json(line: usize, column: usize) -> Self {
        let detail = format!("The body is not valid JSON: look at line {line}, column {column}.");
        Self::new(StatusCode::BAD_REQUEST, "invalid_json", detail)
    }
    #[must_use]
    pub fn parameter_missing(name: &'static str, escape: &'static str) -> Self {
        let detail = format!("Add the parameter `{name}={escape}` to the address in the SMS gateway's configuration.");
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, "missing_field", detail).at(name)
    }
    #[must_use]
    pub fn message_id_too_long(max_bytes: usize) -> Self {
        let detail = format!("The SMS gateway's message id must have at most {max_bytes} bytes.");
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid_report_id", detail).at("id")
    }
    #[must_use]
    pub fn duplicate_parameter() -> Self {
        let detail = "Send each parameter once: one of them stands in the address or the form twice.";
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, "duplicate_field", detail)
    }
    #[must_use]
    pub fn too_many_parameters(max: usize) -> Self {
        let detail = format!("Send at most {max} parameters.");
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, "too_many_fields", detail)
    }
    #[must_use]
    pub fn not_an_object() -> Self {
        let detail = "The body must be one JSON object with the fields of a report.";
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, "not_an_object", detail)
    }
    #[must_use]
    pub fn unknown_field(field: String) -> Self {
        let detail = "Leave this field out, or check its spelling: there is no such field.";
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, "unknown_field", detail).at(field)
    }
    #[must_use]
    pub fn duplicate_field(field: String) -> Self {
        let detail = "Send this field once: it stands in the body twice.";
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, "duplicate_field", detail).at(field)
    }
    #[must_use]
    pub fn wrong_type(field: String) -> Self {
        let detail = "This field has the wrong type: `money_lost` is true or false, all others are strings.";
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, "wrong_type", detail).at(field)
    }
    #[must_use]
    pub fn body_too_large(max_bytes: usize) -> Self {
        let detail = format!("Send a body of at most {max_bytes} bytes.");
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, "body_too_large", detail)
    }
    #[must_use]
    pub fn line_too_long(max_bytes: usize) -> Self {
        let detail = format!("Send a line of at most {max_bytes} bytes.");
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, "line_too_long", detail)
    }
    #[must_use]
    pub fn batch_too_many_lines(max_lines: usize) -> Self {
        let detail = format!(
            "A batch has at most {max_lines} reports. Nothing from this line on was read: send it in another batch."
        );
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, "batch_too_many_lines", detail)
    }
    #[must_use]
    pub fn batch_too_large(max_bytes: usize) -> Self {
        let detail = format!(
            "A batch has at most {max_bytes} bytes. Nothing from this line on was read: send it in another batch."
        );
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, "batch_too_large", detail)
    }
    #[must_use]
    pub fn too_many_batches() -> Self {
        let detail = "As many batches as may be are being taken. Wait as `Retry-After` says and send the same again.";
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "too_many_batches", detail).retry_after(BUSY_RETRY_S)
    }
    #[must_use]
    pub fn batch_too_slow() -> Self {
        let detail =
            "The rest of the batch did not arrive in time. Nothing from this line on was taken: send it again.";
        Self::new(StatusCode::REQUEST_TIMEOUT, "body_timeout", detail)
    }
    #[must_use]
    pub fn batch_broken() -> Self {
        let detail = "The batch ended before its announced length. Nothing from this line on was taken: send it again.";
        Self::new(StatusCode::BAD_REQUEST, "body_incomplete", detail)
    }
    #[must_use]
    pub fn body_too_slow() -> Self {
        let detail = "The body did not arrive in time. Send the same again.";
        Self::new(StatusCode::REQUEST_TIMEOUT, "body_timeout", detail)
    }
    #[must_use]
    pub fn too_many_bodies() -> Self {
        let detail = "The bodies of too many of your requests have not arrived yet. Send each body with its head, or \
                      fewer requests at once, and the same again.";
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "too_many_bodies", detail).retry_after(BUSY_RETRY_S)
    }
    #[must_use]
    pub fn body_broken() -> Self {
        let detail = "The body ended before its announced length. Send the same again.";
        Self::new(StatusCode::BAD_REQUEST, "body_incomplete", detail)
    }
    #[must_use]
    pub fn encoding_not_supported() -> Self {
        let detail = "Send the body uncompressed, without `Content-Encoding`.";
        Self::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "content_encoding_not_supported", detail)
    }
    #[must_use]
    pub fn media_type_not_supported(wanted: MediaType) -> Self {
        let detail = match wanted {
            MediaType::Json => "Send the body as JSON, with `Content-Type: application/json`.",
            MediaType::Ndjson => "Send a report a line as JSON, with `Content-Type: application/x-ndjson`.",
        };
        Self::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "content_type_not_supported", detail)
    }
    #[must_use]
    pub fn invalid_days(field: &'static str, days_max: i32) -> Self {
        let detail =
            format!("Write `from` and `to` as days such as 2026-11-24, the earlier first, at most {days_max} days.");
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid_days", detail).at(field)
    }
    #[must_use]
    pub fn no_such_report() -> Self {
        Self::new(StatusCode::NOT_FOUND, "report_not_found", "You have sent no report with this id.")
    }
    #[must_use]
    pub fn no_such_page() -> Self {
        Self::new(StatusCode::NOT_FOUND, "not_found", "There is nothing at this address.")
    }
    #[must_use]
    pub fn method_not_allowed(allow: &'static str) -> Self {
        let mut problem = Self::new(
            StatusCode::METHOD_NOT_ALLOWED,
            "method_not_allowed",
            "This address does not take this method; the header `Allow` names those it takes.",
        );
        problem.0.allow = Some(allow);
        problem
    }
    #[must_use]
    pub fn bad_request() -> Self {
        Self::new(StatusCode::BAD_REQUEST, "bad_request", "The request's address or query cannot be read.")
    }
    #[must_use]
    pub fn invalid_cursor() -> Self {
        let detail = "This cursor was not given to you, or by a store that was restored since. Begin without `after`.";
        Self::new(StatusCode::BAD_REQUEST, "invalid_cursor", detail).at("after")
    }
    #[must_use]
    pub fn invalid_limit(max: i64) -> Self {
        let detail = format!("Ask for 1 to {max} items.");
        Self::new(StatusCode::BAD_REQUEST, "invalid_limit", detail).at("limit")
    }
    #[must_use]
    pub fn feed_key_missing() -> Self {
        let detail = "There is no public key to seal senders to. Give the gateway's operator an X25519 public key.";
        Self::new(StatusCode::CONFLICT, "feed_key_missing", detail)
    }
    #[must_use]
    pub fn no_such_request() -> Self {
        Self::new(StatusCode::NOT_FOUND, "request_not_found", "Nothing was asked of you under this id.")
    }
    #[must_use]
    pub fn request_answered() -> Self {
        let detail = "This request was answered otherwise before, and an answer stands. Write to the authority.";
        Self::new(StatusCode::CONFLICT, "request_answered", detail)
    }
    /// Logs why.
    #[must_use]
    pub fn unsealed(error: &EnvelopeError) -> Self {
        tracing::error!(%error, "a text could not be sealed");
        Self::internal()
    }
    #[must_use]
    pub fn malformed_request() -> Self {
        let detail = "The request is not well-formed HTTP/1.1, or could be read in two ways. Use an HTTP library.";
        Self::new(StatusCode::BAD_REQUEST, "malformed_request", detail)
    }
    #[must_use]
    pub fn head_too_slow() -> Self {
        let detail = "The head of the request did not arrive in time. Send the same again.";
        Self::new(StatusCode::REQUEST_TIMEOUT, "head_timeout", detail)
    }
    #[must_use]
    pub fn head_too_large() -> Self {
        let detail = format!("Send at most {HEAD_MAX_BYTES} bytes of headers, and at most 96 of them.");
        Self::new(StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE, "head_too_large", detail)
    }
    #[must_use]
    pub fn target_too_long() -> Self {
        let detail = format!("Send a request line of at most {REQUEST_LINE_MAX_BYTES} bytes.");
        Self::new(StatusCode::URI_TOO_LONG, "target_too_long", detail)
    }
    #[must_use]
    pub fn shed() -> Self {
        let detail = "Too many requests are in hand. Wait as `Retry-After` says and send the same again.";
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "overloaded", detail).retry_after(BUSY_RETRY_S)
    }
    #[must_use]
    pub fn too_many_connections() -> Self {
        let detail = "Your address has as many connections as one may have. Use those for more than one request.";
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "too_many_connections", detail).retry_after(BUSY_RETRY_S)
    }
    #[must_use]
    pub fn report_id_reused() -> Self {
        let detail = "This `report_id` was used for a report with another body. Give each report an id of its own.";
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, "report_id_reused", detail).at("report_id")
    }
    #[must_use]
    pub fn builder_behind() -> Self {
        let detail = "Too many reports wait to be counted for a sure answer. Ask again later.";
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "builder_behind", detail).retry_after(BUSY_RETRY_S)
    }
    #[must_use]
    pub fn store_unavailable() -> Self {
        let detail = "The store cannot be reached. Nothing was taken for sure: send the same again.";
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "store_unavailable", detail).retry_after(STORE_RETRY_S)
    }
    /// Logs why, once: this is where the failure leaves the program.
    #[must_use]
    pub fn store_failed(error: &StoreError) -> Self {
        tracing::error!(%error, "a request could not be answered by the store");
        Self::store_unavailable()
    }
    #[must_use]
    pub fn busy() -> Self {
        let detail = "Too many reports wait for the disk. Wait as `Retry-After` says and send the same again.";
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "overloaded", detail).retry_after(BUSY_RETRY_S)
    }
    #[must_use]
    pub fn quotas_full() -> Self {
        let detail = "The gateway follows as many reporters as it can. Try this one again later.";
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "reporters_full", detail).retry_after(QUOTAS_FULL_RETRY_S)
    }
    #[must_use]
    pub fn outcome_unknown() -> Self {
        let detail = "It is not known whether the report was stored. Send the same again: it is counted once.";
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "outcome_unknown", detail).retry_after(STORE_RETRY_S)
    }
    #[must_use]
    pub fn internal() -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", "The gateway failed. The fault is not yours.")
    }
}

impl From<Rejection> for Problem {
    fn from(rejection: Rejection) -> Self {
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, rejection.code, rejection.detail).at(rejection.field)
    }
}

impl From<Refused> for Problem {
    fn from(refused: Refused) -> Self {
        match refused {
            Refused::Rejected(rejection) => rejection.into(),
            Refused::IdReused => Self::report_id_reused(),
            Refused::ReporterOverQuota { retry_after_s } => Self::reporter_over_quota(retry_after_s),
            Refused::Unavailable(Unavailable::QueueFull) => Self::busy(),
            Refused::Unavailable(Unavailable::Store) => Self::store_unavailable(),
            Refused::Unavailable(Unavailable::TimedOut) => Self::outcome_unknown(),
            Refused::Unavailable(Unavailable::QuotasFull) => Self::quotas_full(),
            Refused::Envelope(error) => Self::unsealed(&error),
        }
    }
}

impl ResponseError for Problem {
    fn status_code(&self) -> StatusCode {
        self.0.status
    }

    fn error_response(&self) -> HttpResponse {
        let mut response = HttpResponse::build(self.0.status);
        if !self.0.is_from_known_caller() {
            // Strangers hold no connection.
            response.force_close();
        }
        if let Some(seconds) = self.0.retry_after_s {
            response.insert_header((header::RETRY_AFTER, seconds.to_string()));
        }
        if let Some(allow) = self.0.allow {
            response.insert_header((header::ALLOW, allow));
        }
        if self.0.status == StatusCode::UNAUTHORIZED {
            response.insert_header((header::WWW_AUTHENTICATE, "Bearer"));
        }
        response.insert_header((header::CONTENT_TYPE, HeaderValue::from_static(MEDIA_TYPE)));
        let mut response = response.body(self.to_json());
        if let Some(rate) = &self.0.rate {
            rate.insert_into(response.headers_mut());
        }
        response
    }
}
