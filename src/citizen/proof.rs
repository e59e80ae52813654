//! Proof that a number is its reporter's: a code that was sent to it, or an SMS that came from it.

use actix_web::http::StatusCode;
use actix_web::web::{Data, Payload};
use actix_web::{HttpRequest, HttpResponse};

use super::draft::{Draft, Fault, number_in_words, sender_in_words, to_words};
use super::form::show;
use super::pages::{BySmsPage, CodePage, render};
use super::receipt::ReceiptTold;
use super::said::Said;
use super::track::code_fault;
use super::{Visit, again_page, finish, here, network, not_stored_page, text_id, tries};
use crate::crypto::page_seal::{NotOpened, Sealed};
use crate::domain::mo_syntax::PROOF_DIGITS;
use crate::domain::msisdn::Msisdn;
use crate::domain::report::WEB_OWNER;
use crate::domain::submission::Submission;
use crate::domain::vocabulary::{Category, Proof, Source};
use crate::fast::NotReached;
use crate::http::app::App;
use crate::http::page::page;
use crate::http::problem::Problem;
use crate::intake::accept::{Accepted, Refused, Sender, Vouched};
use crate::intake::by_sms::words_of;
use crate::store::reports::{LookUp, find_report};
use crate::verify::{AskedCode, CodeFault, NotSent, Purpose};

/// How often it is looked whether a report is there whose code was used: the other of two clicks stores it just now.
const TWIN_LOOKS: usize = 5;
/// Visitors for whom it is looked more than once at the same time. For more of them it is looked once.
pub const TWINS_WAITED_MAX: usize = 16;
/// What an address says that leads to the page for an SMS.
const BY_SMS: &str = "sms";
/// How often an address may ask in an hour whether an SMS came that has not. Many phones of an operator may share one.
const SMS_MISSES_PER_CLIENT: u32 = 200;
const TWIN_LOOK_EVERY: std::time::Duration = std::time::Duration::from_millis(200);

/// Sends the code, and answers with the page that asks for it.
///
/// # Errors
/// Faults of ours.
pub async fn ask(visit: &Visit<'_>, draft: &Draft, reporter: Msisdn) -> Result<HttpResponse, Problem> {
    let asked = AskedCode {
        number: reporter,
        purpose: Purpose::Report,
        client: visit.client,
        language: visit.language(),
        has_worked: draft.has_worked,
    };
    match visit.app.verifier.send_code(&asked).await {
        Ok(_sent) => to_code(visit, draft, Said::Sent),
        Err(NotSent::NotAMobile) => {
            let fault = Fault { field: "reporter", text: text_id("error-number-not-mobile") };
            show(visit, StatusCode::UNPROCESSABLE_ENTITY, draft, &[fault])
        }
        Err(NotSent::Full { retry_after_s }) => {
            to_sms(visit, StatusCode::TOO_MANY_REQUESTS, draft, Some(retry_after_s))
        }
        // The other way may be open, and what was typed is kept.
        Err(NotSent::Unavailable { retry_after_s }) => {
            to_sms(visit, StatusCode::SERVICE_UNAVAILABLE, draft, Some(retry_after_s))
        }
    }
}

/// Handles `POST /verify`.
pub async fn post_verify(request: HttpRequest, mut body: Payload, app: Data<App>) -> HttpResponse {
    let outcome = async {
        let visit = Visit::of_sender(&request, &mut body, &app).await?;
        verify(&visit).await
    };
    let outcome = outcome.await;
    finish(outcome, &request, body, &app)
}

async fn verify(visit: &Visit<'_>) -> Result<HttpResponse, Problem> {
    let sealed = visit.value("sealed");
    match visit.open_proven::<Draft>(Sealed::Proven, sealed) {
        Ok(draft) => return store(visit, &draft).await,
        Err(NotOpened::Expired) => return Ok(not_opened(visit, NotOpened::Expired)),
        Err(NotOpened::Forged) => {}
    }
    let draft = match visit.open::<Draft>(Sealed::Draft, sealed) {
        Ok(draft) => draft,
        Err(why) => return Ok(not_opened(visit, why)),
    };
    let submission = match read_or_show(visit, &draft)? {
        Ok(submission) => submission,
        Err(response) => return Ok(response),
    };
    let reporter = submission.reporter;
    match visit.value("action") {
        "change" => show(visit, StatusCode::OK, &draft, &[]),
        "again" => ask(visit, &draft, reporter).await,
        // It may have come all the same.
        "code" => to_code(visit, &draft, Said::Asked),
        "by_sms" => look_for_sms(visit, &draft, reporter).await,
        _ => check(visit, &draft, reporter, submission.category).await,
    }
}

/// Handles `GET /verify`: the page that a form led to.
pub async fn get_verify(request: HttpRequest, body: Payload, app: Data<App>) -> HttpResponse {
    let outcome = Visit::of_reader(&request, &app).and_then(|visit| {
        let sealed = visit.value("s");
        match visit.open_held::<Draft>(Sealed::Draft, sealed) {
            Ok(draft) if visit.value("said") == BY_SMS => {
                let again_in = visit.value("in").parse().ok();
                by_sms_page(&visit, StatusCode::OK, &draft, sealed, again_in)
            }
            Ok(draft) => code_page(&visit, StatusCode::OK, &draft, sealed, Said::of(&visit)),
            Err(why) => Ok(not_opened(&visit, why)),
        }
    });
    finish(outcome, &request, body, &app)
}

/// The page for a draft that does not open.
#[must_use]
pub fn not_opened(visit: &Visit<'_>, why: NotOpened) -> HttpResponse {
    let (status, text) = match why {
        NotOpened::Expired => (StatusCode::GONE, text_id("draft-expired")),
        NotOpened::Forged => (StatusCode::BAD_REQUEST, text_id("draft-not-here")),
    };
    visit.message(status, visit.t.of("draft-expired-title"), visit.t.of(text))
}

/// Whether the SMS came that the page asks for. Counted before that is known, and no more once it has come.
async fn look_for_sms(visit: &Visit<'_>, draft: &Draft, reporter: Msisdn) -> Result<HttpResponse, Problem> {
    let misses = tries::limits_of_client(visit, "sms miss", SMS_MISSES_PER_CLIENT, tries::HOUR_S);
    if let Err(why) = tries::take(visit, &misses).await {
        return Ok(tries::come_back(visit, why));
    }
    match visit.app.intake.find_words_of(reporter, &words_of(&visit.app.intake.keys, &draft.token)).await {
        Ok(true) => {
            tries::give_back(visit, &misses).await;
            store(visit, draft).await
        }
        Ok(false) => to_sms(visit, StatusCode::OK, draft, None),
        Err(NotReached) => to_sms(visit, StatusCode::SERVICE_UNAVAILABLE, draft, None),
    }
}

async fn check(
    visit: &Visit<'_>,
    draft: &Draft,
    reporter: Msisdn,
    category: Category,
) -> Result<HttpResponse, Problem> {
    let ask_again = |said| to_code(visit, draft, said);
    match visit.app.verifier.check_code(reporter, Purpose::Report, visit.value("code")).await {
        Ok(()) => store(visit, draft).await,
        Err(CodeFault::Expired) => match wait_for_stored(visit, draft).await? {
            Some(accepted) => ReceiptTold::of(visit, &accepted, category, draft.money_lost).redirect(visit),
            None => code_fault(visit, CodeFault::Expired, ask_again),
        },
        // Somebody else may have used up the tries of this number: its subscriber can still send an SMS.
        Err(CodeFault::TooManyTries { retry_after_s }) => {
            to_sms(visit, StatusCode::TOO_MANY_REQUESTS, draft, Some(retry_after_s))
        }
        Err(fault) => code_fault(visit, fault, ask_again),
    }
}

/// The report of this form, once the other of two clicks has stored it.
async fn wait_for_stored(visit: &Visit<'_>, draft: &Draft) -> Result<Option<Accepted>, Problem> {
    // Whoever sends old codes again and again holds up nobody but others who do.
    let turn = visit.app.citizen.twins.try_acquire();
    for _ in 1..if turn.is_ok() { TWIN_LOOKS } else { 1 } {
        if let Some(stored) = find_stored(visit, draft).await? {
            return Ok(Some(stored));
        }
        tokio::time::sleep(TWIN_LOOK_EVERY).await;
    }
    find_stored(visit, draft).await
}

/// The report of this form, if it is there: its number was proven then. Nothing is stored by it, whatever the draft says.
///
/// # Errors
/// When that cannot be looked up.
pub async fn find_stored(visit: &Visit<'_>, draft: &Draft) -> Result<Option<Accepted>, Problem> {
    let id = visit.app.intake.keys.report_id(WEB_OWNER, &draft.token);
    match visit.read(move |connection| find_report(connection, id, WEB_OWNER.as_bytes())).await? {
        LookUp::Found(report) => {
            let (receipt, received_at) = (id.receipt().to_string(), Some(report.received_at));
            Ok(Some(Accepted { id, receipt, received_at, repeat: false }))
        }
        LookUp::NotFound | LookUp::TooFarBehind => Ok(None),
    }
}

/// Reads a draft that could be read when it was sealed; the form, where it cannot be any more: it has become too old.
///
/// # Errors
/// Those of the form.
pub fn read_or_show(visit: &Visit<'_>, draft: &Draft) -> Result<Result<Submission, HttpResponse>, Problem> {
    match draft.read(&visit.app.region, visit.now) {
        Ok(submission) => Ok(Ok(submission)),
        Err(faults) => show(visit, StatusCode::UNPROCESSABLE_ENTITY, draft, &faults).map(Err),
    }
}

/// Stores a report whose number is proven.
///
/// # Errors
/// Faults of ours.
pub async fn store(visit: &Visit<'_>, draft: &Draft) -> Result<HttpResponse, Problem> {
    let submission = match read_or_show(visit, draft)? {
        Ok(submission) => submission,
        Err(response) => return Ok(response),
    };
    let proof = if draft.by_network { Proof::Network } else { Proof::Otp };
    let from = Sender { owner: WEB_OWNER, vouched: Vouched::Proven(proof), source: Source::Web };
    let (category, money_lost) = (submission.category, draft.money_lost);
    match visit.app.intake.accept(&from, submission).await {
        Ok(accepted) => ReceiptTold::of(visit, &accepted, category, money_lost).redirect(visit),
        Err(Refused::ReporterOverQuota { retry_after_s }) => {
            // The code is used up; the proof is kept for when there is room.
            let lead = visit.t.with("report-over-quota", "time", &visit.duration(retry_after_s));
            let sealed = visit.seal_proven(Sealed::Proven, draft)?;
            Ok(again_page(visit, StatusCode::TOO_MANY_REQUESTS, "/verify", &sealed, lead, retry_after_s))
        }
        // Sent, changed by going back, and sent again.
        Err(Refused::IdReused) => {
            let (title, text) = (visit.t.of("already-title"), visit.t.of("already"));
            Ok(visit.message(StatusCode::CONFLICT, title, text))
        }
        Err(Refused::Unavailable(_)) => {
            // The code is used up; the proof is kept for another try.
            Ok(not_stored_page(visit, "/verify", &visit.seal_proven(Sealed::Proven, draft)?))
        }
        Err(refused) => Err(refused.into()),
    }
}

/// To the page that asks for the code.
///
/// # Errors
/// Faults of ours.
pub fn to_code(visit: &Visit<'_>, draft: &Draft, said: Said) -> Result<HttpResponse, Problem> {
    let sealed = draft.seal(visit, Sealed::Draft)?;
    match visit.go("/verify", &format!("said={}&s={sealed}", said.word())) {
        Some(redirect) => Ok(redirect),
        None => code_page(visit, said.status(), draft, &sealed, said),
    }
}

/// To the page that asks for an SMS: codes are sent again so many seconds from now; or, none, the SMS has not come.
fn to_sms(
    visit: &Visit<'_>,
    status: StatusCode,
    draft: &Draft,
    again_in_s: Option<u64>,
) -> Result<HttpResponse, Problem> {
    let sealed = draft.seal(visit, Sealed::Draft)?;
    match visit.go("/verify", &format!("said={BY_SMS}&{}s={sealed}", in_address(again_in_s))) {
        Some(redirect) => Ok(redirect),
        None => by_sms_page(visit, status, draft, &sealed, again_in_s),
    }
}

fn code_page(
    visit: &Visit<'_>,
    status: StatusCode,
    draft: &Draft,
    sealed: &str,
    said: Said,
) -> Result<HttpResponse, Problem> {
    let Ok(submission) = draft.read(&visit.app.region, visit.now) else { return Err(Problem::bad_request()) };
    let code = CodePage {
        t: visit.t,
        here: &here(visit, &format!("/verify?said={}&s={sealed}", said.word())),
        action: "/verify",
        sealed,
        understood: understood(visit, draft, &submission),
        number: number_in_words(visit, submission.reporter.e164().as_str()).into_owned(),
        was_sent: said == Said::Sent,
        fault: said.fault(visit.t),
        by_network: network::address(visit, sealed),
        can_change: true,
    };
    Ok(page(status, render(&code)))
}

fn by_sms_page(
    visit: &Visit<'_>,
    status: StatusCode,
    draft: &Draft,
    sealed: &str,
    again_in_s: Option<u64>,
) -> Result<HttpResponse, Problem> {
    let Ok(submission) = draft.read(&visit.app.region, visit.now) else { return Err(Problem::bad_request()) };
    let words = words_of(&visit.app.intake.keys, &draft.token);
    let by_sms = BySmsPage {
        t: visit.t,
        here: &here(visit, &format!("/verify?said={BY_SMS}&{}s={sealed}", in_address(again_in_s))),
        sealed,
        number: number_in_words(visit, submission.reporter.e164().as_str()).into_owned(),
        words: &in_groups(&words),
        sms_link: format!("sms:{}?body={}", visit.app.citizen.settings.sms_number, words.replace(' ', "%20")),
        sms_number: &visit.app.citizen.settings.sms_number,
        again_in: again_in_s.map(|seconds| visit.duration(seconds)),
        by_network: network::address(visit, sealed),
    };
    Ok(page(status, render(&by_sms)))
}

fn in_address(again_in_s: Option<u64>) -> String {
    again_in_s.map(|seconds| format!("in={seconds}&")).unwrap_or_default()
}

/// The words as they are easiest to copy: `XN 48291 35072`.
fn in_groups(words: &str) -> String {
    let (head, tail) = words.split_at_checked(words.len().saturating_sub(PROOF_DIGITS / 2)).unwrap_or((words, ""));
    format!("{head} {tail}")
}

/// What was typed, as it was understood.
fn understood(visit: &Visit<'_>, draft: &Draft, submission: &Submission) -> Vec<(String, String)> {
    let t = visit.t;
    let mut facts = vec![
        (t.of("label-sender"), sender_in_words(visit, &submission.sender)),
        (t.of("label-channel"), t.of(&format!("channel-{}", submission.channel.as_str()))),
        (t.of("label-category"), t.of(&format!("category-{}", submission.category.as_str()))),
    ];
    if let Some(harm) = submission.harm {
        facts.push((t.of("label-harm"), t.of(&format!("harm-{}", harm.as_str()))));
    }
    if let Some(content) = &submission.content {
        facts.push((t.of("label-content"), content.shown().to_owned()));
    }
    for link in draft.links() {
        facts.push((t.of("label-link"), link));
    }
    facts.push((t.of("label-occurred-at"), to_words(submission.occurred_at, visit.app.region.utc_offset_minutes)));
    if submission.money_lost == Some(true) {
        facts.push((t.of("label-money"), t.of("yes")));
    }
    facts
}
