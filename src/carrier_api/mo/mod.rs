//! `/v1/mo/{profile}`: the SMS that subscribers send to the reporting numbers, forwarded by a carrier's SMS gateway.
//!
//! The answer is 200 for all that no retry can mend, with what the subscriber is told; 503 and 429 have the gateway try
//! again. Only a wrong key or a template that lacks a part is answered otherwise: that is for its operator to mend.

mod forwarded;

use actix_web::http::header::{self, HeaderName};
use actix_web::{HttpRequest, HttpResponse, web};

use self::forwarded::{ForwardedSms, Profile};
use super::answering::{answer_or_refuse, with_rate};
use super::authenticate::{Caller, authenticate_gateway};
use crate::domain::clock::Moment;
use crate::domain::content::Content;
use crate::domain::mo_reply::Reply;
use crate::domain::mo_syntax::{self, Keyword, MoMessage, MoReport, Source};
use crate::domain::msisdn::{self, Msisdn};
use crate::domain::report::ReportId;
use crate::domain::sender::Sender;
use crate::domain::sms_text::international;
use crate::domain::submission::{OCCURRED_AGE_MAX_MICROS, OCCURRED_AHEAD_MAX_MICROS, Submission};
use crate::domain::vocabulary::{Channel, Proof, Source as Way};
use crate::http::app::App;
use crate::http::body::{has_media_type, read_body};
use crate::http::form::Parameters;
use crate::http::problem::Problem;
use crate::intake::accept::{self, Refused};
use crate::intake::question::{Claim, ClaimInDoubt, QUESTION_LIFE_MICROS, Question};

/// What Jasmin waits for.
const JASMIN_ACKNOWLEDGED: &str = "ACK/Jasmin";
/// Names the report that was stored, for the log of the SMS gateway's operator.
const REPORT_ID_HEADER: HeaderName = HeaderName::from_static("report-id");

/// Handles the request.
pub async fn take_sms(request: HttpRequest, mut body: web::Payload, app: web::Data<App>) -> HttpResponse {
    let outcome = take(&request, &mut body, &app).await;
    answer_or_refuse(outcome, body, &app)
}

async fn take(request: &HttpRequest, body: &mut web::Payload, app: &App) -> Result<HttpResponse, Problem> {
    let mut parameters = Parameters::default();
    parameters.add(request.query_string().as_bytes())?;
    let key = parameters.bytes("key");
    let carrier = authenticate_gateway(request, app, key).await?;
    let rate = carrier.take_one(app).await?;
    let outcome = match take_authenticated(request, body, parameters, app, &carrier).await {
        Ok((profile, told)) => {
            if let Some(code) = told.reply.refusal_code() {
                carrier.count_refused_code(code);
            }
            Ok(answer(profile, &told, app))
        }
        Err(problem) => {
            carrier.count_refused(&problem);
            Err(problem)
        }
    };
    with_rate(outcome, rate)
}

async fn take_authenticated(
    request: &HttpRequest,
    body: &mut web::Payload,
    mut parameters: Parameters,
    app: &App,
    carrier: &Caller,
) -> Result<(Profile, Told), Problem> {
    let profile = Profile::parse(request.match_info().query("profile")).ok_or_else(Problem::no_such_page)?;
    let body = read_body(request, body, &app.body_limits, carrier).await?;
    if has_media_type(request, "application/x-www-form-urlencoded") {
        parameters.add(&body)?;
    }
    let sms = match profile {
        Profile::Kannel => ForwardedSms::of_kannel(request, &parameters, &body)?,
        Profile::Jasmin => ForwardedSms::of_jasmin(&parameters)?,
    };
    let from = accept::Sender {
        owner: carrier.id,
        vouched: accept::Vouched::Carrier(&carrier.attests),
        source: Way::CarrierMo,
    };
    Ok((profile, Conversation { app, carrier, from, sms: &sms }.answer().await?))
}

fn answer(profile: Profile, told: &Told, app: &App) -> HttpResponse {
    if let Some(code) = told.reply.refusal_code() {
        app.metrics.count_refused(code);
    }
    let mut response = HttpResponse::Ok();
    response.insert_header((header::CONTENT_TYPE, "text/plain; charset=utf-8"));
    response.insert_header((header::CACHE_CONTROL, "no-store"));
    if let Some(report) = told.report {
        response.insert_header((REPORT_ID_HEADER, report.to_string()));
    }
    match profile {
        Profile::Kannel => response.body(told.reply.text(&app.fake_news_word)),
        Profile::Jasmin => response.body(JASMIN_ACKNOWLEDGED),
    }
}

/// What the subscriber is told, and of which report.
struct Told {
    reply: Reply,
    report: Option<ReportId>,
}

impl From<Reply> for Told {
    fn from(reply: Reply) -> Self {
        Self { reply, report: None }
    }
}

/// One message of a subscriber, and what may have gone before it.
struct Conversation<'a> {
    app: &'a App,
    carrier: &'a Caller,
    from: accept::Sender<'a>,
    sms: &'a ForwardedSms,
}

impl Conversation<'_> {
    async fn answer(&self) -> Result<Told, Problem> {
        let Some(reporter) = self.reporter() else { return Ok(Reply::ReporterRefused.into()) };
        let Some(text) = &self.sms.text else { return Ok(Reply::Unreadable.into()) };
        match mo_syntax::read(text, &self.app.fake_news_word, self.app.region.home) {
            MoMessage::Report(report) => self.take_report(reporter, report).await,
            MoMessage::Sender(source) => Ok(self.take_answer(reporter, &source).await?.unwrap_or(Reply::Help.into())),
            MoMessage::Proof(words) => self.take_proof(reporter, &words).await,
            MoMessage::DoNotCall => Ok(Reply::DoNotCall.into()),
            MoMessage::Unknown => Ok(Reply::Help.into()),
        }
    }

    /// A page waits for this. A number that the carrier does not vouch for proves nothing.
    async fn take_proof(&self, reporter: Msisdn, words: &str) -> Result<Told, Problem> {
        if self.carrier.attests.proof_of(reporter) != Proof::Carrier {
            return Ok(Reply::ReporterRefused.into());
        }
        if !self.app.intake.remember_words(reporter, words).await {
            return Err(Problem::busy());
        }
        Ok(Reply::Proven.into())
    }

    fn reporter(&self) -> Option<Msisdn> {
        let with_plus = international(&self.sms.from, &self.app.region);
        let number = with_plus.as_deref().unwrap_or(&self.sms.from);
        msisdn::parse_reporter(number, self.app.region.home).ok()
    }

    async fn take_report(&self, reporter: Msisdn, report: MoReport<'_>) -> Result<Told, Problem> {
        let MoReport { keyword, source, content } = report;
        let content = match content.as_deref().map(Content::parse).transpose() {
            Ok(content) => content.flatten(),
            // NULs are gone; what is left is too long.
            Err(_) => return Ok(Reply::TooLong.into()),
        };
        if content.is_none() && (keyword.channel() == Channel::Sms || source == Source::Missing) {
            // `S (0985931054)` may be the answer to our question, written as the report was.
            let answer = self.take_answer(reporter, &source).await?;
            return Ok(answer.unwrap_or(Reply::ContentMissing(keyword).into()));
        }
        let (sender, sender_renumbered) = match source {
            Source::Named { sender, renumbered } => (Some(sender), renumbered),
            Source::Missing => (None, false),
            Source::Refused(_) => return Ok(Reply::SourceRefused.into()),
        };
        let is_sender_missing = sender.is_none();
        let submission = Submission {
            external_id: self.sms.external_id.clone(),
            reporter,
            sender: sender.unwrap_or(Sender::Hidden),
            sender_renumbered,
            channel: keyword.channel(),
            category: keyword.category(),
            content,
            occurred_at: self.occurred_at(),
            harm: None,
            money_lost: None,
            province: None,
            is_legit: false,
        };
        self.accept(reporter, keyword, submission, is_sender_missing).await
    }

    async fn accept(
        &self,
        reporter: Msisdn,
        keyword: Keyword,
        submission: Submission,
        is_sender_missing: bool,
    ) -> Result<Told, Problem> {
        let intake = &self.app.intake;
        let occurred_at = submission.occurred_at;
        let text_tag = submission.content.as_ref().map(|content| intake.keys.text_tag(content));
        let accepted = match intake.accept(&self.from, submission).await {
            Ok(accepted) => accepted,
            Err(Refused::ReporterOverQuota { .. }) => return Ok(Reply::OverQuota.into()),
            Err(Refused::IdReused) => return Ok(Reply::IdReused.into()),
            Err(refused) => return Err(refused.into()),
        };
        self.carrier.count_taken(&accepted);
        let is_asked = is_sender_missing && {
            let question = Question {
                report: accepted.id,
                channel: keyword.channel(),
                category: keyword.category(),
                text_tag,
                occurred_at,
                asked_at: accepted.received_at.unwrap_or(occurred_at),
                tag_key_id: intake.keys.tag_key_id(),
                answer: None,
            };
            self.ask(reporter, question, accepted.received_at.is_some()).await
        };
        let receipt = accepted.receipt;
        let reply = if is_asked { Reply::Asked { receipt } } else { Reply::Received { receipt } };
        Ok(Told { reply, report: Some(accepted.id) })
    }

    /// Asks who it was; false when that cannot be remembered.
    async fn ask(&self, reporter: Msisdn, question: Question, is_new: bool) -> bool {
        let intake = &self.app.intake;
        let Ok(earlier) = intake.find_question(&self.from, reporter).await else { return false };
        let earlier = earlier.filter(|earlier| earlier.is_open() && earlier.is_of_the_same(&question));
        match (earlier, is_new) {
            // The gateway tries again: what was said before is said again.
            (earlier, false) => earlier.is_some(),
            (None, true) => intake.remember_question(&self.from, reporter, question).await,
            // A repeat is no voice, and moving it would leave the voice of the first where it is: the answer is to the
            // first one.
            (Some(earlier), true) => {
                let Question { report, occurred_at, .. } = earlier;
                intake.remember_question(&self.from, reporter, Question { report, occurred_at, ..question }).await
            }
        }
    }

    /// Takes the message as the answer to our question who it was; none when nothing was asked, or it is answered.
    async fn take_answer(&self, reporter: Msisdn, source: &Source) -> Result<Option<Told>, Problem> {
        let intake = &self.app.intake;
        let (sender, is_refused) = match source {
            Source::Named {
                sender: sender @ (Sender::Msisdn(_) | Sender::ShortCode(_) | Sender::Brandname(_)),
                ..
            } => (Some(sender), false),
            Source::Named { sender: Sender::Malformed(_), .. } | Source::Refused(_) => (None, true),
            Source::Named { sender: Sender::Hidden, .. } | Source::Missing => (None, false),
        };
        if sender.is_none() && !is_refused {
            return Ok(None);
        }
        let Some(sender) = sender else {
            // Nothing would be stored, so a look that failed is not worth another try.
            let question = intake.find_question(&self.from, reporter).await.ok().flatten();
            return Ok(question.filter(Question::is_open).map(|_| Reply::SourceRefused.into()));
        };
        let this = intake.keys.report_id(self.from.owner, &self.sms.external_id);
        let question = match intake.claim_answer(&self.from, reporter, this).await {
            Ok(Claim::None) => return Ok(None),
            Ok(Claim::Answered(question)) => question,
            Ok(Claim::Ours(question)) => {
                intake.amend(&self.from, &question, reporter, sender).await?;
                intake.settle_answer(&self.from, reporter, &question).await;
                question
            }
            Err(ClaimInDoubt::Contended) => return Err(Problem::busy()),
            Err(ClaimInDoubt::NotReached) if self.may_be_awaited() => return Err(Problem::store_unavailable()),
            Err(ClaimInDoubt::NotReached) => return Ok(None),
        };
        let receipt = question.report.receipt().to_string();
        Ok(Some(Told { reply: Reply::Amended { receipt }, report: Some(question.report) }))
    }

    /// Whether a question can have waited for this message: it is not older than a question gets. Without its time the
    /// gateway decides how long it tries.
    fn may_be_awaited(&self) -> bool {
        let now = self.app.intake.clock.now();
        let awaited = -OCCURRED_AHEAD_MAX_MICROS..QUESTION_LIFE_MICROS;
        self.sms.sent_at.is_none_or(|sent_at| awaited.contains(&now.micros_since(sent_at)))
    }

    /// When the SMS was sent, if that can be believed; else now.
    fn occurred_at(&self) -> Moment {
        let now = self.app.intake.clock.now();
        let believable = -OCCURRED_AHEAD_MAX_MICROS..=OCCURRED_AGE_MAX_MICROS;
        self.sms.sent_at.filter(|sent_at| believable.contains(&now.micros_since(*sent_at))).unwrap_or(now)
    }
}
