//! `POST /v1/reports/batch`: a report a line, an answer a line, in order, while the body is still being read.
//!
//! One task reads, begins and answers ([`super::batch_window`]); it reads no further while enough is on its way or the
//! caller does not read its answers. It ends at once when the caller leaves; what is queued by then is stored.

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use actix_web::http::header::{self, HeaderValue};
use actix_web::web::Bytes;
use actix_web::{HttpRequest, HttpResponse, web};
use serde::Serialize;
use tokio::time::{Instant, Sleep};

use super::answering::{answer_or_refuse, with_rate};
use super::authenticate::{Caller, RateFields, authenticate};
use super::batch_gate::BatchPass;
use super::batch_window::{Place, Window};
use super::post_report::RENUMBERED_NOTICE;
use crate::domain::carrier::Scope;
use crate::domain::submission::{RawReport, Submission};
use crate::domain::vocabulary::Source;
use crate::http::answer_stream::{AnswerWriter, answer_stream};
use crate::http::app::App;
use crate::http::body::{BodyLimits, MediaType, check_media_type, parse_json, read_already, read_body};
use crate::http::lines::{End, Line, LineLimits, Lines};
use crate::http::problem::{Problem, ProblemPart};
use crate::intake::accept::{Accepted, Sender, Vouched};

/// Lines begun before other requests of this thread have their turn.
const LINES_PER_TURN: usize = 64;
/// How long the body of a signed batch may take: none of it can be taken before its end.
const SIGNED_BATCH_MAX: Duration = Duration::from_secs(60);
/// How long a batch waits before it looks again whether the queue to the journal has room for it.
const GIVE_WAY: Duration = Duration::from_millis(5);

/// The answer to a line that was taken.
#[derive(Serialize)]
struct Taken<'a> {
    line: usize,
    status: u16,
    id: String,
    duplicate: bool,
    repeat: bool,
    receipt: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    received_at: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    notice: Option<&'static str>,
}

/// The answer to a line that was not, or to all that was not read.
#[derive(Serialize)]
struct NotTaken<'a> {
    line: usize,
    status: u16,
    problem: ProblemPart<'a>,
}

/// Handles the request: 200 and a line for each line, or a problem before anything is read.
pub async fn post_batch(request: HttpRequest, body: web::Payload, app: web::Data<App>) -> HttpResponse {
    match enter(&request, &app).await {
        Ok((carrier, rate, pass)) => {
            let body = match verified(&request, body, &app, &carrier).await {
                Ok(body) => body,
                Err((problem, unread)) => {
                    carrier.count_refused(&problem);
                    return answer_or_refuse(with_rate(Err(problem), rate), unread, &app);
                }
            };
            let mut response = HttpResponse::Ok()
                .insert_header((header::CONTENT_TYPE, HeaderValue::from_static(MediaType::Ndjson.as_str())))
                .body(answer_stream(move |answers| Batch::new(app, carrier, body, answers, pass).run()));
            rate.insert_into(response.headers_mut());
            response
        }
        Err(problem) => answer_or_refuse(Err(problem), body, &app),
    }
}

/// What can be said before the body is read. One item of the carrier's limit is taken here; the first line uses it.
async fn enter(request: &HttpRequest, app: &App) -> Result<(Caller, RateFields, BatchPass), Problem> {
    let carrier = authenticate(request, app, Some(Scope::Report)).await?;
    let rate = carrier.take_one(app).await?;
    if let Err(problem) = check_media_type(request, MediaType::Ndjson) {
        return Err(problem.with_rate_unless_set(rate));
    }
    match app.batches.enter(carrier.id) {
        Some(pass) => Ok((carrier, rate, pass)),
        None => Err(Problem::too_many_batches().with_rate_unless_set(rate)),
    }
}

/// The body as it comes; but that of a signed batch whole, when it is what was signed. Only its end shows that, and no line
/// may be taken before.
async fn verified(
    request: &HttpRequest,
    mut body: web::Payload,
    app: &App,
    carrier: &Caller,
) -> Result<web::Payload, (Problem, web::Payload)> {
    if !carrier.is_signed() {
        return Ok(body);
    }
    let limits = BodyLimits { max_bytes: app.batches.limits().bytes_max, timeout: SIGNED_BATCH_MAX, ..app.body_limits };
    match read_body(request, &mut body, &limits, carrier).await {
        Ok(whole) => read_already(request, whole).await.map_err(|problem| (problem, body)),
        Err(problem) => Err((problem, body)),
    }
}

struct Batch {
    app: web::Data<App>,
    carrier: Caller,
    lines: Lines,
    window: Window,
    answers: AnswerWriter,
    /// Answers that are not handed over yet.
    written: Vec<u8>,
    /// Lines that were read, empty ones among them.
    line: usize,
    /// Lines that are answered.
    reports: usize,
    /// Reports came after the last that a batch may have.
    is_too_long: bool,
    /// A line that was read, while its item of the carrier's limit is asked for.
    limited: Option<(Line, Taking)>,
    timer: Pin<Box<Sleep>>,
    pass: BatchPass,
}

/// An item of the carrier's limit that is asked for.
type Taking = Pin<Box<dyn Future<Output = Result<(), Problem>>>>;

/// What a turn came to.
enum Turn {
    /// Everything is answered.
    Done,
    /// The caller reads nothing.
    Abandoned,
}

/// Why no line is begun.
enum Wait {
    /// Nothing: others have their turn.
    Nothing,
    /// A line that has not come.
    Line,
    /// An item of the carrier's limit.
    Limit,
    /// Answers: enough is on its way.
    Answers,
    /// Room in the queue to the journal.
    Queue,
    /// The caller, who reads no answers.
    Reader,
    /// Nothing comes any more.
    End,
}

impl Batch {
    fn new(app: web::Data<App>, carrier: Caller, body: web::Payload, answers: AnswerWriter, pass: BatchPass) -> Self {
        let limits = LineLimits {
            line_max_bytes: app.body_limits.max_bytes,
            body_max_bytes: app.batches.limits().bytes_max,
            silence_max: app.body_limits.timeout,
        };
        let window = Window::new(app.intake.take_back());
        Self {
            app,
            carrier,
            lines: Lines::new(body, limits),
            window,
            answers,
            written: Vec::new(),
            line: 0,
            reports: 0,
            is_too_long: false,
            limited: None,
            timer: Box::pin(tokio::time::sleep(Duration::ZERO)),
            pass,
        }
    }

    async fn run(mut self) {
        match poll_fn(|context| self.poll_turn(context)).await {
            Turn::Done => self.answers.end((self.lines.into_unread(), self.pass)),
            Turn::Abandoned => self.answers.abandon(),
        }
    }

    fn poll_turn(&mut self, context: &mut Context<'_>) -> Poll<Turn> {
        loop {
            self.settle(context);
            let mut wait = self.begin_lines(context);
            // What was begun may be answered already: duplicates, problems.
            self.settle(context);
            if !matches!(wait, Wait::Line) {
                self.lines.pause();
            }
            if matches!(wait, Wait::Answers) && self.window.has_room() {
                wait = Wait::Nothing;
            }
            if matches!(wait, Wait::End) && self.window.is_empty() {
                self.write_end();
                self.hand_over();
                return Poll::Ready(Turn::Done);
            }
            self.hand_over();
            if matches!(wait, Wait::Nothing) {
                context.waker().wake_by_ref();
                return Poll::Pending;
            }
            if matches!(wait, Wait::Reader) && self.reader_deadline() <= Instant::now() {
                return Poll::Ready(Turn::Abandoned);
            }
            if let Some(deadline) = self.deadline(&wait) {
                self.timer.as_mut().reset(deadline);
                if self.timer.as_mut().poll(context).is_ready() {
                    self.lines.give_up_if_due();
                    continue;
                }
            }
            return Poll::Pending;
        }
    }

    /// Begins the lines that are there, as long as there is room for them.
    fn begin_lines(&mut self, context: &mut Context<'_>) -> Wait {
        if self.answers.poll_room(context).is_pending() {
            return Wait::Reader;
        }
        for _ in 0..LINES_PER_TURN {
            if self.is_too_long {
                return Wait::End;
            }
            if !self.window.has_room() {
                return Wait::Answers;
            }
            if self.window.gives_way(&self.app.intake) {
                return Wait::Queue;
            }
            if let Some((line, mut taking)) = self.limited.take() {
                match taking.as_mut().poll(context) {
                    Poll::Ready(taken) => self.begin(line, taken),
                    Poll::Pending => {
                        self.limited = Some((line, taking));
                        return Wait::Limit;
                    }
                }
                // There may be no room for another.
                continue;
            }
            let Some(line) = self.lines.next_line() else {
                if self.lines.end().is_some() {
                    return Wait::End;
                }
                if self.lines.poll_read(context).is_pending() {
                    return Wait::Line;
                }
                continue;
            };
            self.line += 1;
            if !matches!(&line, Line::Whole(text) if text.trim_ascii().is_empty()) {
                self.number(line);
            }
        }
        Wait::Nothing
    }

    /// Gives a report its number, and begins it as soon as the carrier's limit allows.
    fn number(&mut self, line: Line) {
        if self.reports == self.app.batches.limits().lines_max {
            self.is_too_long = true;
            return;
        }
        self.reports += 1;
        // The item of the first was taken before anything was read.
        let taken = if self.reports == 1 { Some(Ok(())) } else { self.carrier.limit().take_one_of_many_at_once() };
        match taken {
            Some(taken) => self.begin(line, taken),
            None => {
                let limit = Arc::clone(self.carrier.limit());
                self.limited = Some((line, Box::pin(async move { limit.take_one_of_many().await })));
            }
        }
    }

    fn begin(&mut self, line: Line, taken: Result<(), Problem>) {
        let bytes = match &line {
            Line::Whole(text) => text.len(),
            Line::TooLong => 0,
        };
        let mut place = Place { line: self.line, bytes, renumbered: false };
        let prepared = taken.and_then(|()| self.parse(line)).and_then(|submission| {
            place.renumbered = submission.sender_renumbered;
            Ok(self.app.intake.prepare(self.carrier.id, Source::CarrierBatch, submission)?)
        });
        match prepared {
            Ok(prepared) => {
                let from = sender_of(&self.carrier);
                self.window.begin(&self.app.intake, &from, place, prepared);
            }
            Err(problem) => self.window.answer(place, problem),
        }
    }

    fn parse(&self, line: Line) -> Result<Submission, Problem> {
        let text: Bytes = match line {
            Line::Whole(text) => text,
            Line::TooLong => return Err(Problem::line_too_long(self.app.body_limits.max_bytes)),
        };
        let raw: RawReport<'_> = parse_json(&text).map_err(Problem::in_a_line)?;
        Ok(Submission::parse(&raw, &self.app.region)?)
    }

    fn settle(&mut self, context: &mut Context<'_>) {
        let Self { app, carrier, window, written, .. } = self;
        let from = sender_of(carrier);
        window.settle(context, &app.intake, &from, |place, outcome| match outcome {
            Ok(accepted) => {
                carrier.count_taken(&accepted);
                write_taken(written, place, &accepted);
            }
            Err(problem) => {
                carrier.count_refused(&problem);
                problem.count(&app.metrics);
                write_problem(written, place.line, &problem);
            }
        });
    }

    /// Says what was not read, if there was more.
    fn write_end(&mut self) {
        let limits = self.app.batches.limits();
        // A line that was read and is too many, or the one that is not whole.
        let problem = match self.lines.end() {
            _ if self.is_too_long => Problem::batch_too_many_lines(limits.lines_max),
            None | Some(End::Whole) => return,
            Some(End::TooLarge) => Problem::batch_too_large(limits.bytes_max),
            Some(End::TooSlow) => Problem::batch_too_slow(),
            Some(End::Broken) => Problem::batch_broken(),
        };
        self.carrier.count_refused(&problem);
        problem.count(&self.app.metrics);
        let line = if self.is_too_long { self.line } else { self.line + 1 };
        write_problem(&mut self.written, line, &problem);
    }

    fn hand_over(&mut self) {
        if !self.written.is_empty() {
            self.answers.push(&self.written);
            self.written.clear();
        }
    }

    /// When something has to be done even if nothing happens.
    fn deadline(&self, wait: &Wait) -> Option<Instant> {
        let own = match wait {
            Wait::Nothing | Wait::Limit | Wait::Answers | Wait::Queue | Wait::End => None,
            Wait::Line => self.lines.deadline(),
            Wait::Reader => Some(self.reader_deadline()),
        };
        let queue = self.window.waits_for_queue().then(|| Instant::now() + GIVE_WAY);
        [own, queue, self.window.deadline()].into_iter().flatten().min()
    }

    /// When a caller that reads no answers is given up.
    fn reader_deadline(&self) -> Instant {
        self.answers.taken_at() + self.app.body_limits.timeout
    }
}

fn sender_of(carrier: &Caller) -> Sender<'_> {
    Sender { owner: carrier.id, vouched: Vouched::Carrier(&carrier.attests), source: Source::CarrierBatch }
}

fn write_taken(to: &mut Vec<u8>, place: &Place, accepted: &Accepted) {
    write_line(
        to,
        &Taken {
            line: place.line,
            status: if accepted.received_at.is_some() { 201 } else { 200 },
            id: accepted.id.to_string(),
            duplicate: accepted.received_at.is_none(),
            repeat: accepted.repeat,
            receipt: &accepted.receipt,
            received_at: accepted.received_at.map(|at| at.to_rfc3339()),
            notice: place.renumbered.then_some(RENUMBERED_NOTICE),
        },
    );
}

fn write_problem(to: &mut Vec<u8>, line: usize, problem: &Problem) {
    let problem = problem.as_part();
    write_line(to, &NotTaken { line, status: problem.status(), problem });
}

fn write_line(to: &mut Vec<u8>, line: &impl Serialize) {
    // Strings, numbers and truth values always serialize, and a vector takes all.
    let _ = serde_json::to_writer(&mut *to, line);
    to.push(b'\n');
}
