//! Reading a JSON body within its bounds, and saying what is wrong with one without quoting it.

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use actix_web::body::{BodySize, BoxBody, MessageBody};
use actix_web::error::PayloadError;
use actix_web::http::header;
use actix_web::web::{Bytes, BytesMut, Payload};
use actix_web::{FromRequest, HttpRequest, HttpResponse};
use futures_core::Stream;
use serde::Deserialize;

use super::problem::Problem;
use crate::carrier_api::authenticate::Caller;

/// The longest name of a field that is quoted back, characters.
const QUOTED_FIELD_MAX: usize = 64;

/// Bounds on a request body.
#[derive(Clone, Copy, Debug)]
pub struct BodyLimits {
    /// Bytes.
    pub max_bytes: usize,
    /// From the end of the head to the end of the body.
    pub timeout: Duration,
    /// Bodies of one carrier that are waited for at once.
    pub waits_max: u32,
}

/// Reads a body that must be plain JSON, and what the caller has signed, if it has. What is not read stays in `body`.
///
/// # Errors
/// 415, 413, 408, 401, 503 when too many bodies of this caller are waited for, or 400 when the connection broke.
pub async fn read_json_body(
    request: &HttpRequest,
    body: &mut Payload,
    limits: &BodyLimits,
    caller: &Caller,
) -> Result<Bytes, Problem> {
    check_media_type(request, MediaType::Json)?;
    read_body(request, body, limits, caller).await
}

/// Reads a body of whatever media type, and what the caller has signed, if it has. What is not read stays in `body`.
///
/// # Errors
/// 415 when it is compressed, 413, 408, 401, 503 when too many bodies of this caller are waited for, or 400 when the
/// connection broke.
pub async fn read_body(
    request: &HttpRequest,
    body: &mut Payload,
    limits: &BodyLimits,
    caller: &Caller,
) -> Result<Bytes, Problem> {
    let wait = || caller.wait_for_body(limits.waits_max);
    let whole = read_whole(request, body, limits.max_bytes, limits.timeout, wait).await?;
    caller.check_body(&whole)?;
    Ok(whole)
}

/// Reads a body of whatever media type. `wait` is asked for a place before it is waited for. What is not read stays in
/// `body`.
///
/// # Errors
/// 415 when it is compressed, 413, 408, 503 when there is no place, or 400 when the connection broke.
pub async fn read_whole<W>(
    request: &HttpRequest,
    body: &mut Payload,
    max_bytes: usize,
    timeout: Duration,
    wait: impl FnMut() -> Option<W>,
) -> Result<Bytes, Problem> {
    check_encoding(request)?;
    let declared = request.headers().get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse().ok());
    if declared.is_some_and(|length: usize| length > max_bytes) {
        return Err(Problem::body_too_large(max_bytes));
    }
    match tokio::time::timeout(timeout, read_all(body, max_bytes, wait)).await {
        Ok(outcome) => outcome,
        Err(_elapsed) => Err(Problem::body_too_slow()),
    }
}

/// A body that is waited for; no longer when dropped.
pub struct BodyWait(Arc<AtomicU32>);

impl BodyWait {
    /// Begins to wait for one of those counted by `waits`, unless `max` are waited for already.
    #[must_use]
    pub fn begin(waits: &Arc<AtomicU32>, max: u32) -> Option<Self> {
        let before = waits.fetch_add(1, Ordering::Relaxed);
        let wait = Self(Arc::clone(waits));
        (before < max).then_some(wait)
    }
}

impl Drop for BodyWait {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A body that was read already, for who reads bodies.
///
/// # Errors
/// None, as actix has it.
pub async fn read_already(request: &HttpRequest, whole: Bytes) -> Result<Payload, Problem> {
    let stream: BoxedPayload = Box::pin(Once(Some(whole)));
    let mut payload = actix_web::dev::Payload::Stream { payload: stream };
    Payload::from_request(request, &mut payload).await.map_err(|_| Problem::internal())
}

type BoxedPayload = Pin<Box<dyn Stream<Item = Result<Bytes, PayloadError>>>>;

/// One piece.
struct Once(Option<Bytes>);

impl Stream for Once {
    type Item = Result<Bytes, PayloadError>;

    fn poll_next(mut self: Pin<&mut Self>, _context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        Poll::Ready(self.0.take().filter(|piece| !piece.is_empty()).map(Ok))
    }
}

async fn read_all<W>(
    body: &mut Payload,
    max_bytes: usize,
    mut take_place: impl FnMut() -> Option<W>,
) -> Result<Bytes, Problem> {
    let mut first = Bytes::new();
    let mut whole = BytesMut::new();
    let (mut wait, mut is_looked_for) = (None, false);
    loop {
        let piece = poll_fn(|context| match look_for_piece(body, context, wait.is_some()) {
            // From here on it takes one of the worker's places, for as long as its sender likes.
            Poll::Pending if wait.is_none() => {
                wait = take_place();
                if wait.is_some() {
                    return Poll::Pending;
                }
                // actix hands a body over after the first look for it, also one that came with its head.
                if is_looked_for {
                    return Poll::Ready(Err(Problem::too_many_bodies()));
                }
                is_looked_for = true;
                context.waker().wake_by_ref();
                Poll::Pending
            }
            poll => poll.map(Ok),
        });
        match piece.await? {
            None if whole.is_empty() => return Ok(first),
            None => return Ok(whole.freeze()),
            Some(Err(_broken)) => return Err(Problem::body_broken()),
            Some(Ok(chunk)) if first.len().max(whole.len()) + chunk.len() > max_bytes => {
                return Err(Problem::body_too_large(max_bytes));
            }
            // Nearly every body comes in one piece, which is then not copied.
            Some(Ok(chunk)) if first.is_empty() => first = chunk,
            Some(Ok(chunk)) => {
                if whole.is_empty() {
                    whole.extend_from_slice(&first);
                }
                whole.extend_from_slice(&chunk);
            }
        }
    }
}

/// Looks for a piece of a body. One that is not waited for yet asks for no waking: with HTTP/1, actix reads the connection,
/// hands on what came of the body and looks at the handler again, all in the one task that this must run in, so that a
/// waking would be for nothing. It would be one for nearly every request, as a body that came with its head is handed on
/// after the first look.
fn look_for_piece(
    body: &mut Payload,
    context: &mut Context<'_>,
    is_waited_for: bool,
) -> Poll<Option<Result<Bytes, PayloadError>>> {
    let mut unwoken = Context::from_waker(Waker::noop());
    Pin::new(body).poll_next(if is_waited_for { context } else { &mut unwoken })
}

/// The answer to a request whose body may not have been read to its end.
///
/// The unread rest is kept with the answer until that is sent. Dropped earlier, actix-http would read the rest of a
/// chunked body for as long as its sender likes, and keep the connection for it; kept, it closes the connection.
#[must_use]
pub fn refuse(problem: Problem, unread: Payload) -> HttpResponse {
    refuse_unread(problem, unread)
}

/// The same for any kind of unread rest.
pub(super) fn refuse_unread(problem: Problem, unread: impl Unpin + 'static) -> HttpResponse {
    keep_unread(HttpResponse::from_error(problem), unread)
}

/// An answer of any shape that keeps the unread rest until it is sent, as [`refuse`] does.
#[must_use]
pub fn keep_unread(answer: HttpResponse, unread: impl Unpin + 'static) -> HttpResponse {
    answer.map_body(|_, answer| Refusal { answer, _unread: unread }.boxed())
}

struct Refusal<U> {
    answer: BoxBody,
    _unread: U,
}

impl<U: Unpin> MessageBody for Refusal<U> {
    type Error = Box<dyn std::error::Error>;

    fn size(&self) -> BodySize {
        self.answer.size()
    }

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Bytes, Self::Error>>> {
        Pin::new(&mut self.get_mut().answer).poll_next(context)
    }
}

/// What a body may be.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum MediaType {
    /// One JSON document.
    Json,
    /// A JSON document a line.
    Ndjson,
}

impl MediaType {
    /// As it stands in `Content-Type`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Json => "application/json",
            Self::Ndjson => "application/x-ndjson",
        }
    }
}

/// Compressed bodies are refused: a kilobyte can unpack to a gigabyte.
fn check_encoding(request: &HttpRequest) -> Result<(), Problem> {
    let encoding = request.headers().get(header::CONTENT_ENCODING);
    if encoding.is_some_and(|value| !value.as_bytes().eq_ignore_ascii_case(b"identity")) {
        return Err(Problem::encoding_not_supported());
    }
    Ok(())
}

/// Whether the body is of this type and plain.
///
/// # Errors
/// 415.
pub fn check_media_type(request: &HttpRequest, wanted: MediaType) -> Result<(), Problem> {
    check_encoding(request)?;
    if has_media_type(request, wanted.as_str()) { Ok(()) } else { Err(Problem::media_type_not_supported(wanted)) }
}

/// Whether the body is said to be of this type, whatever its parameters.
#[must_use]
pub fn has_media_type(request: &HttpRequest, wanted: &str) -> bool {
    let media_type = request.headers().get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let essence = media_type.and_then(|media_type| media_type.split(';').next()).unwrap_or_default();
    essence.trim().eq_ignore_ascii_case(wanted)
}

/// Parses JSON into `T`.
///
/// # Errors
/// A problem with the place or the field. Never with a value: it may be a number.
pub fn parse_json<'a, T: Deserialize<'a>>(body: &'a [u8]) -> Result<T, Problem> {
    let parsed = serde_json::from_slice(body).map_err(|error| explain::<T>(body, &error));
    // serde reads a struct from an array too, by position: not an API that anyone should find.
    let is_array = body.iter().find(|byte| !byte.is_ascii_whitespace()) == Some(&b'[');
    match parsed {
        Ok(_) if is_array => Err(Problem::not_an_object()),
        Err(problem) if is_array && problem.code() != "invalid_json" => Err(Problem::not_an_object()),
        parsed => parsed,
    }
}

fn explain<'a, T: Deserialize<'a>>(body: &'a [u8], error: &serde_json::Error) -> Problem {
    use serde_json::error::Category;
    match error.classify() {
        Category::Syntax | Category::Eof | Category::Io => Problem::invalid_json(error.line(), error.column()),
        Category::Data => {
            let message = error.to_string();
            if let Some(field) = quoted_after(&message, "unknown field `") {
                return Problem::unknown_field(field);
            }
            if let Some(field) = quoted_after(&message, "duplicate field `") {
                return Problem::duplicate_field(field);
            }
            // Only now, because keeping the path costs every report something.
            let mut deserializer = serde_json::Deserializer::from_slice(body);
            match serde_path_to_error::deserialize::<_, T>(&mut deserializer) {
                Err(error) if error.path().iter().next().is_some() => Problem::wrong_type(error.path().to_string()),
                _ => Problem::not_an_object(),
            }
        }
    }
}

fn quoted_after(message: &str, start: &str) -> Option<String> {
    let quoted = message.strip_prefix(start)?;
    // The name is the caller's and may hold backticks itself; what follows it is ours.
    let end = quoted.rfind("`, expected").or_else(|| quoted.find('`'))?;
    Some(quoted.get(..end)?.chars().filter(|character| !character.is_control()).take(QUOTED_FIELD_MAX).collect())
}
