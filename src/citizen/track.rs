//! `/track`: what became of a report, by its receipt and the last four digits of its reporter's number; and `/withdraw`.

use std::time::Duration;

use actix_web::http::StatusCode;
use actix_web::web::{Data, Payload};
use actix_web::{HttpRequest, HttpResponse};
use serde::{Deserialize, Serialize};

use super::draft::{number_in_words, to_words};
use super::pages::{CodePage, StatusPage, TrackPage, render};
use super::receipt::guide_of;
use super::{Visit, finish, text_id, tries};
use crate::crypto::page_seal::Sealed;
use crate::domain::msisdn::{self, Msisdn};
use crate::domain::report::Receipt;
use crate::domain::vocabulary::{CaseStatus, ReportStatus};
use crate::http::app::App;
use crate::http::page::{page, see_other};
use crate::http::problem::Problem;
use crate::store::reports::{TrackLookUp, Tracked, find_tracked};
use crate::verify::{AskedCode, CodeFault, NotSent, Purpose};

/// How long the page of a report that was found can be opened again.
const FOUND_LIFE: Duration = Duration::from_secs(30 * 60);
/// How long a withdrawal waits for its code.
const ASKED_LIFE: Duration = Duration::from_secs(15 * 60);
/// Looks for one receipt in a day: who knows it has its reporter's four digits in ten thousand tries, not in these.
const LOOKS_PER_RECEIPT: u8 = 20;
/// Looks of one address in a day that found nothing. Many phones of an operator may share an address.
const MISSES_PER_CLIENT: u8 = 200;
/// Seconds after which a visitor who has looked too often is told to come back.
const TOO_OFTEN_RETRY_S: u64 = 60 * 60;
const DIGITS: usize = 4;

/// A report that its reporter has found; the address of its page carries it, sealed.
#[derive(Serialize, Deserialize)]
struct Found {
    receipt: String,
    digits: [u8; DIGITS],
}

/// A withdrawal that waits for its code.
#[derive(Serialize, Deserialize)]
struct Withdrawal {
    found: Found,
    number: String,
}

/// Handles `GET /track`.
pub async fn get_track(request: HttpRequest, body: Payload, app: Data<App>) -> HttpResponse {
    let outcome = Visit::of_reader(&request, &app).map(|visit| show_form(&visit, StatusCode::OK, None));
    finish(outcome, &request, body, &app)
}

/// Handles `POST /track`.
pub async fn post_track(request: HttpRequest, mut body: Payload, app: Data<App>) -> HttpResponse {
    let outcome = async {
        let visit = Visit::of_sender(&request, &mut body, &app).await?;
        look(&visit).await
    };
    let outcome = outcome.await;
    finish(outcome, &request, body, &app)
}

/// Handles `GET /status`.
pub async fn get_status(request: HttpRequest, body: Payload, app: Data<App>) -> HttpResponse {
    let outcome = async {
        let visit = Visit::of_reader(&request, &app)?;
        show_status(&visit).await
    };
    let outcome = outcome.await;
    finish(outcome, &request, body, &app)
}

/// Handles `POST /withdraw`: a code goes to the number; then it is withdrawn.
pub async fn post_withdraw(request: HttpRequest, mut body: Payload, app: Data<App>) -> HttpResponse {
    let outcome = async {
        let visit = Visit::of_sender(&request, &mut body, &app).await?;
        if visit.value("sealed").is_empty() { ask_withdrawal(&visit).await } else { withdraw(&visit).await }
    };
    let outcome = outcome.await;
    finish(outcome, &request, body, &app)
}

fn show_form(visit: &Visit<'_>, status: StatusCode, fault: Option<&'static str>) -> HttpResponse {
    let track =
        TrackPage { t: visit.t, here: "/track", receipt: visit.value("receipt"), digits: visit.value("digits"), fault };
    page(status, render(&track))
}

async fn look(visit: &Visit<'_>) -> Result<HttpResponse, Problem> {
    let receipt = Receipt::parse(visit.value("receipt"));
    let digits: Vec<u8> = visit.value("digits").bytes().filter(u8::is_ascii_digit).collect();
    let (Some(receipt), Ok(digits)) = (receipt, <[u8; DIGITS]>::try_from(digits)) else {
        return Ok(show_form(visit, StatusCode::UNPROCESSABLE_ENTITY, Some(text_id("track-form-fault"))));
    };
    let client = tries::client_of(visit);
    let may_look = tries::count(visit, "look", receipt.to_string().as_bytes(), LOOKS_PER_RECEIPT).await;
    let has_missed_much = tries::is_used_up(visit, "miss", &client, MISSES_PER_CLIENT).await;
    match (may_look, has_missed_much) {
        (Some(true), Some(false)) => {}
        (Some(false), _) | (_, Some(true)) => return Ok(too_often(visit)),
        (None, _) | (_, None) => {
            return Ok(visit.come_back(StatusCode::SERVICE_UNAVAILABLE, text_id("track-unavailable"), 60));
        }
    }
    let found = Found { receipt: receipt.to_string(), digits };
    match find(visit, &found).await? {
        Some(_) => to_status(visit, &found),
        None => {
            tries::count(visit, "miss", &client, MISSES_PER_CLIENT).await;
            Ok(show_form(visit, StatusCode::NOT_FOUND, Some(text_id("track-not-found"))))
        }
    }
}

fn too_often(visit: &Visit<'_>) -> HttpResponse {
    visit.come_back(StatusCode::TOO_MANY_REQUESTS, text_id("track-too-often"), TOO_OFTEN_RETRY_S)
}

async fn find(visit: &Visit<'_>, found: &Found) -> Result<Option<Tracked>, Problem> {
    let Some(receipt) = Receipt::parse(&found.receipt) else { return Ok(None) };
    let (keys, digits) = (std::sync::Arc::clone(&visit.app.intake.keys), found.digits);
    let read = move |connection: &mut crate::store::connection::Connection| {
        find_tracked(connection, &receipt, |id| keys.track_tag_of(id, &digits))
    };
    match visit.app.reads.run(read).await? {
        TrackLookUp::Found(tracked) => Ok(Some(tracked)),
        TrackLookUp::NotFound => Ok(None),
        TrackLookUp::TooFarBehind => Err(Problem::builder_behind()),
    }
}

fn seal<T: Serialize>(visit: &Visit<'_>, what: Sealed, life: Duration, value: &T) -> Result<String, Problem> {
    let bytes = serde_json::to_vec(value).map_err(|_| Problem::internal())?;
    let sealed = visit.app.intake.keys.pages().seal(what, visit.after(life), &bytes);
    sealed.map_err(|error| Problem::unsealed(&error))
}

fn to_status(visit: &Visit<'_>, found: &Found) -> Result<HttpResponse, Problem> {
    let sealed = seal(visit, Sealed::Found, FOUND_LIFE, found)?;
    Ok(see_other(&format!("/status?lang={}&s={sealed}", visit.t.code())))
}

fn open_found(visit: &Visit<'_>, sealed: &str) -> Option<Found> {
    let bytes = visit.app.intake.keys.pages().open(Sealed::Found, sealed, visit.now).ok()?;
    serde_json::from_slice(&bytes).ok()
}

async fn show_status(visit: &Visit<'_>) -> Result<HttpResponse, Problem> {
    let sealed = visit.value("s");
    let back = || Ok(see_other(&format!("/track?lang={}", visit.t.code())));
    let Some(found) = open_found(visit, sealed) else { return back() };
    let Some(tracked) = find(visit, &found).await? else { return back() };
    Ok(status_page(visit, StatusCode::OK, sealed, &found, &tracked, None))
}

fn status_page(
    visit: &Visit<'_>,
    status: StatusCode,
    sealed: &str,
    found: &Found,
    tracked: &Tracked,
    fault: Option<&'static str>,
) -> HttpResponse {
    let offset = visit.app.region.utc_offset_minutes;
    let (headline, reason) = outcome_of(tracked);
    let decided_at = tracked.case.as_ref().and_then(|case| case.decided_at);
    let shown = StatusPage {
        t: visit.t,
        here: &format!("/status?s={sealed}"),
        sealed,
        receipt: &found.receipt,
        received_at: to_words(tracked.received_at, offset),
        category: tracked.category.as_str(),
        channel: tracked.channel.as_str(),
        headline,
        reason,
        decided_at: decided_at.map(|at| to_words(at, offset)),
        can_withdraw: visit.app.verifier.is_on(),
        guide: guide_of(tracked.category.as_str()),
        fault,
    };
    page(status, render(&shown))
}

/// What its reporter reads of it, and why.
fn outcome_of(tracked: &Tracked) -> (&'static str, Option<String>) {
    let reason = tracked.case.as_ref().and_then(|case| case.reason_class);
    let reason = reason.map(|reason| format!("reason-{}", reason.as_str()));
    match (tracked.status, tracked.case.as_ref().map(|case| case.status)) {
        (ReportStatus::Conflict, _) => (text_id("status-conflict"), None),
        (_, Some(CaseStatus::Upheld)) => (text_id("status-upheld"), reason),
        (_, Some(CaseStatus::Dismissed)) => (text_id("status-dismissed"), reason),
        (ReportStatus::Repeat, _) => (text_id("status-repeat"), None),
        (_, Some(CaseStatus::Open)) => (text_id("status-open"), None),
        (ReportStatus::Accepted, None) => (text_id("status-accepted"), None),
        (_, None) => (text_id("status-figures"), None),
    }
}

/// Sends the code that a withdrawal takes: a carrier knows receipt and number, too.
async fn ask_withdrawal(visit: &Visit<'_>) -> Result<HttpResponse, Problem> {
    let sealed = visit.value("s");
    let Some(found) = open_found(visit, sealed) else {
        return Ok(see_other(&format!("/track?lang={}", visit.t.code())));
    };
    let Some(tracked) = find(visit, &found).await? else {
        return Ok(see_other(&format!("/track?lang={}", visit.t.code())));
    };
    let number = msisdn::parse_reporter(visit.value("number"), visit.app.region.home).ok();
    let Some(number) = number.filter(|number| number.last_four() == found.digits) else {
        let fault = Some(text_id("withdraw-number-fault"));
        return Ok(status_page(visit, StatusCode::UNPROCESSABLE_ENTITY, sealed, &found, &tracked, fault));
    };
    send_withdrawal_code(visit, &Withdrawal { found, number: number.e164().as_str().to_owned() }, number).await
}

async fn send_withdrawal_code(
    visit: &Visit<'_>,
    withdrawal: &Withdrawal,
    number: Msisdn,
) -> Result<HttpResponse, Problem> {
    let asked = AskedCode {
        number,
        purpose: Purpose::Withdraw,
        client: visit.client,
        language: visit.language(),
        has_worked: true,
    };
    match visit.app.verifier.send_code(&asked).await {
        Ok(_sent) => code_page(visit, StatusCode::OK, withdrawal, number, None),
        Err(NotSent::NotAMobile) => Err(Problem::bad_request()),
        Err(NotSent::Full { retry_after_s }) => {
            Ok(visit.come_back(StatusCode::TOO_MANY_REQUESTS, text_id("code-full"), retry_after_s))
        }
        Err(NotSent::Unavailable { retry_after_s }) => {
            Ok(visit.come_back(StatusCode::SERVICE_UNAVAILABLE, text_id("code-unavailable"), retry_after_s))
        }
    }
}

fn code_page(
    visit: &Visit<'_>,
    status: StatusCode,
    withdrawal: &Withdrawal,
    number: Msisdn,
    fault: Option<String>,
) -> Result<HttpResponse, Problem> {
    let sealed = seal(visit, Sealed::Asked, ASKED_LIFE, withdrawal)?;
    let was_sent = fault.is_none();
    let code = CodePage {
        t: visit.t,
        here: "",
        action: "/withdraw",
        sealed: &sealed,
        understood: Vec::new(),
        number: number_in_words(visit, number.e164().as_str()).into_owned(),
        fault,
        was_sent,
        can_change: false,
    };
    Ok(page(status, render(&code)))
}

async fn withdraw(visit: &Visit<'_>) -> Result<HttpResponse, Problem> {
    let bytes = visit.app.intake.keys.pages().open(Sealed::Asked, visit.value("sealed"), visit.now);
    let asked: Option<Withdrawal> = bytes.ok().and_then(|bytes| serde_json::from_slice(&bytes).ok());
    let Some((asked, number)) = asked.and_then(|asked| Msisdn::from_e164(&asked.number).map(|number| (asked, number)))
    else {
        return Ok(see_other(&format!("/track?lang={}", visit.t.code())));
    };
    if visit.value("action") == "again" {
        return send_withdrawal_code(visit, &asked, number).await;
    }
    let code: String = visit.value("code").chars().filter(char::is_ascii_digit).collect();
    if let Err(fault) = visit.app.verifier.check_code(number, Purpose::Withdraw, &code).await {
        // The other of two clicks has withdrawn it.
        if matches!(fault, CodeFault::Expired) && find(visit, &asked.found).await?.is_none() {
            return Ok(withdrawn(visit));
        }
        return code_fault(visit, fault, |text| {
            code_page(visit, StatusCode::UNPROCESSABLE_ENTITY, &asked, number, Some(text))
        });
    }
    if let Some(tracked) = find(visit, &asked.found).await? {
        visit.app.intake.withdraw(tracked.report_id, number).await?;
    }
    Ok(withdrawn(visit))
}

fn withdrawn(visit: &Visit<'_>) -> HttpResponse {
    see_other(&format!("/withdrawn?lang={}", visit.t.code()))
}

/// Handles `GET /withdrawn`.
pub async fn get_withdrawn(request: HttpRequest, body: Payload, app: Data<App>) -> HttpResponse {
    let outcome = Visit::of_reader(&request, &app).map(|visit| {
        let (title, text) = (visit.t.of("withdrawn-title"), visit.t.of("withdrawn"));
        visit.message(StatusCode::OK, title, text)
    });
    finish(outcome, &request, body, &app)
}

/// The page for a code that was not right: the one that asks for it, or one that says when to come back.
///
/// # Errors
/// Those of the page that asks.
pub fn code_fault(
    visit: &Visit<'_>,
    fault: CodeFault,
    ask_again: impl FnOnce(String) -> Result<HttpResponse, Problem>,
) -> Result<HttpResponse, Problem> {
    match fault {
        CodeFault::Wrong => ask_again(visit.t.of("code-wrong")),
        CodeFault::Expired => ask_again(visit.t.of("code-expired")),
        CodeFault::TooManyTries { retry_after_s } => {
            Ok(visit.come_back(StatusCode::TOO_MANY_REQUESTS, text_id("code-too-many"), retry_after_s))
        }
        CodeFault::Unavailable { retry_after_s } => {
            Ok(visit.come_back(StatusCode::SERVICE_UNAVAILABLE, text_id("code-unavailable"), retry_after_s))
        }
    }
}
