//! `/track`: what became of a report, by its receipt and the last four digits of its reporter's number; and `/withdraw`.

use std::time::Duration;

use actix_web::http::StatusCode;
use actix_web::web::{Data, Payload};
use actix_web::{HttpRequest, HttpResponse, ResponseError};
use serde::{Deserialize, Serialize};

use super::draft::{number_in_words, to_words};
use super::pages::{CodePage, StatusPage, TrackPage, render};
use super::receipt::guide_of;
use super::said::Said;
use super::tries::NotNow;
use super::{Visit, finish, here, holder, not_stored_page, text_id, tries};
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
/// How long it is waited for a code, and how long what was typed to look something up is kept in its page.
pub const ASKED_LIFE: Duration = Duration::from_secs(15 * 60);
/// Wrong digits for one receipt in a day: who knows it has its reporter's four digits in ten thousand tries, not in these.
const WRONG_DIGITS_PER_RECEIPT: u32 = 20;
/// Looks of one address in an hour that found nothing. Many phones of an operator may share an address.
const MISSES_PER_CLIENT: u32 = 60;
const DIGITS: usize = 4;

/// A report that its reporter has found; the address of its page carries it, sealed.
#[derive(Serialize, Deserialize)]
struct Found {
    receipt: String,
    digits: [u8; DIGITS],
}

/// What was typed to look for a report.
#[derive(Serialize, Deserialize, Default)]
struct Looked {
    receipt: String,
    digits: String,
}

/// What is wrong with it: the ids of messages, which are words for an address, too.
const FORM_FAULT: &str = text_id("track-form-fault");
const NOT_FOUND: &str = text_id("track-not-found");
const FAULTS_SAID: [&str; 2] = [FORM_FAULT, NOT_FOUND];
/// What an address says of the number of a withdrawal.
const NUMBER_FAULT: &str = text_id("withdraw-number-fault");

/// A withdrawal that waits for its code.
#[derive(Serialize, Deserialize)]
struct Withdrawal {
    found: Found,
    number: String,
}

/// Handles `GET /track`.
pub async fn get_track(request: HttpRequest, body: Payload, app: Data<App>) -> HttpResponse {
    let outcome = Visit::of_reader(&request, &app).map(|visit| {
        let looked: Looked = visit.open_held(Sealed::Looked, visit.value("s")).unwrap_or_default();
        let fault = FAULTS_SAID.iter().find(|text| **text == visit.value("said")).copied();
        let mut response = show_form(&visit, StatusCode::OK, &looked, fault);
        holder::give(&mut response, visit.holder);
        response
    });
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

fn show_form(visit: &Visit<'_>, status: StatusCode, looked: &Looked, fault: Option<&'static str>) -> HttpResponse {
    let Looked { receipt, digits } = looked;
    page(status, render(&TrackPage { t: visit.t, here: "/track", receipt, digits, fault }))
}

/// To the form with what was typed and what is wrong with it.
fn to_form(visit: &Visit<'_>, status: StatusCode, fault: &'static str) -> Result<HttpResponse, Problem> {
    let looked = Looked { receipt: visit.value("receipt").to_owned(), digits: visit.value("digits").to_owned() };
    let sealed = visit.seal(Sealed::Looked, visit.after(ASKED_LIFE), &looked)?;
    let redirect = visit.go("/track", &format!("said={fault}&s={sealed}"));
    Ok(redirect.unwrap_or_else(|| show_form(visit, status, &looked, Some(fault))))
}

async fn look(visit: &Visit<'_>) -> Result<HttpResponse, Problem> {
    let receipt = Receipt::parse(visit.value("receipt"));
    let digits: Vec<u8> = visit.value("digits").bytes().filter(u8::is_ascii_digit).collect();
    let (Some(receipt), Ok(digits)) = (receipt, <[u8; DIGITS]>::try_from(digits)) else {
        return to_form(visit, StatusCode::UNPROCESSABLE_ENTITY, FORM_FAULT);
    };
    let found = Found { receipt: receipt.to_string(), digits };
    // Each look counts as a miss before its outcome is known, and no more once it has found something: of many guesses at
    // once no more are told than of many one after another.
    let misses = tries::limits_of_client(visit, "miss", MISSES_PER_CLIENT, tries::HOUR_S);
    if let Err(why) = tries::take(visit, &misses).await {
        return Ok(tries::come_back(visit, why));
    }
    // Counted for receipts that there are alone: what somebody makes up takes no room.
    let wrong_digits = tries::limit(visit, "look", found.receipt.as_bytes(), WRONG_DIGITS_PER_RECEIPT, tries::DAY_S);
    let is_right = match look_up(visit, &found).await {
        Ok(TrackLookUp::Found(_)) => true,
        Ok(TrackLookUp::OtherDigits) => false,
        Ok(TrackLookUp::NotFound) => return not_found(visit),
        // Nothing was learnt.
        outcome @ (Ok(TrackLookUp::TooFarBehind) | Err(_)) => {
            tries::give_back(visit, &misses).await;
            return Err(outcome.err().unwrap_or_else(Problem::builder_behind));
        }
    };
    match tries::take(visit, &[wrong_digits]).await {
        Ok(()) if is_right => {
            let [client, site] = misses;
            tries::give_back(visit, &[wrong_digits, client, site]).await;
            to_status(visit, &found)
        }
        // One that was guessed at too often looks as if it were not there.
        Ok(()) | Err(NotNow::Often { .. }) => not_found(visit),
        Err(why @ NotNow::Uncounted { .. }) => Ok(tries::come_back(visit, why)),
    }
}

fn not_found(visit: &Visit<'_>) -> Result<HttpResponse, Problem> {
    to_form(visit, StatusCode::NOT_FOUND, NOT_FOUND)
}

async fn find(visit: &Visit<'_>, found: &Found) -> Result<Option<Tracked>, Problem> {
    match look_up(visit, found).await? {
        TrackLookUp::Found(tracked) => Ok(Some(tracked)),
        TrackLookUp::OtherDigits | TrackLookUp::NotFound => Ok(None),
        TrackLookUp::TooFarBehind => Err(Problem::builder_behind()),
    }
}

async fn look_up(visit: &Visit<'_>, found: &Found) -> Result<TrackLookUp, Problem> {
    let Some(receipt) = Receipt::parse(&found.receipt) else { return Ok(TrackLookUp::NotFound) };
    let (keys, digits) = (std::sync::Arc::clone(&visit.app.intake.keys), found.digits);
    let read = move |connection: &mut crate::store::connection::Connection| {
        find_tracked(connection, &receipt, |id| keys.track_tag_of(id, &digits))
    };
    visit.read(read).await
}

fn to_status(visit: &Visit<'_>, found: &Found) -> Result<HttpResponse, Problem> {
    let sealed = visit.seal(Sealed::Found, visit.after(FOUND_LIFE), found)?;
    Ok(see_other(&format!("/status?lang={}&s={sealed}", visit.t.code())))
}

fn open_found(visit: &Visit<'_>, sealed: &str) -> Option<Found> {
    visit.open(Sealed::Found, sealed).ok()
}

async fn show_status(visit: &Visit<'_>) -> Result<HttpResponse, Problem> {
    let sealed = visit.value("s");
    let back = || Ok(see_other(&format!("/track?lang={}", visit.t.code())));
    let Some(found) = open_found(visit, sealed) else { return back() };
    let Some(tracked) = find(visit, &found).await? else { return back() };
    let fault = (visit.value("said") == NUMBER_FAULT).then_some(NUMBER_FAULT);
    Ok(status_page(visit, StatusCode::OK, sealed, &found, &tracked, fault))
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
        let redirect = visit.go("/status", &format!("said={NUMBER_FAULT}&s={sealed}"));
        return Ok(redirect.unwrap_or_else(|| {
            status_page(visit, StatusCode::UNPROCESSABLE_ENTITY, sealed, &found, &tracked, Some(NUMBER_FAULT))
        }));
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
        has_worked: false,
    };
    match visit.app.verifier.send_code(&asked).await {
        Ok(_sent) => to_code(visit, "/withdraw", withdrawal, number, Said::Sent),
        Err(NotSent::NotAMobile) => {
            let (title, text) = (visit.t.of("problem-title"), visit.t.of("withdraw-no-code"));
            Ok(visit.message(StatusCode::UNPROCESSABLE_ENTITY, title, text))
        }
        Err(NotSent::Full { retry_after_s }) => {
            Ok(visit.come_back(StatusCode::TOO_MANY_REQUESTS, text_id("code-full"), retry_after_s))
        }
        Err(NotSent::Unavailable { retry_after_s }) => {
            Ok(visit.come_back(StatusCode::SERVICE_UNAVAILABLE, text_id("code-unavailable"), retry_after_s))
        }
    }
}

/// To the page that asks for a code which is for no report; it carries what waits for the code.
///
/// # Errors
/// When the system gives no random bytes.
pub fn to_code<T: Serialize>(
    visit: &Visit<'_>,
    action: &'static str,
    asked: &T,
    number: Msisdn,
    said: Said,
) -> Result<HttpResponse, Problem> {
    let sealed = visit.seal(Sealed::Asked, visit.after(ASKED_LIFE), asked)?;
    let redirect = visit.go(action, &format!("said={}&s={sealed}", said.word()));
    Ok(redirect.unwrap_or_else(|| code_page(visit, said.status(), action, &sealed, number, said)))
}

/// The page that asks for a code which is for no report.
#[must_use]
pub fn code_page(
    visit: &Visit<'_>,
    status: StatusCode,
    action: &'static str,
    sealed: &str,
    number: Msisdn,
    said: Said,
) -> HttpResponse {
    let code = CodePage {
        t: visit.t,
        here: &here(visit, &format!("{action}?said={}&s={sealed}", said.word())),
        action,
        sealed,
        understood: Vec::new(),
        number: number_in_words(visit, number.e164().as_str()).into_owned(),
        was_sent: said == Said::Sent,
        fault: said.fault(visit.t),
        by_network: None,
        can_change: false,
    };
    page(status, render(&code))
}

/// Handles `GET /withdraw`: the page that a form led to.
pub async fn get_withdraw(request: HttpRequest, body: Payload, app: Data<App>) -> HttpResponse {
    let outcome = Visit::of_reader(&request, &app).map(|visit| {
        let sealed = visit.value("s");
        match visit.open_held(Sealed::Asked, sealed).ok().and_then(with_number) {
            Some((_, number)) => code_page(&visit, StatusCode::OK, "/withdraw", sealed, number, Said::of(&visit)),
            None => see_other(&format!("/track?lang={}", visit.t.code())),
        }
    });
    finish(outcome, &request, body, &app)
}

async fn withdraw(visit: &Visit<'_>) -> Result<HttpResponse, Problem> {
    let sealed = visit.value("sealed");
    if let Some((proven, number)) = visit.open_proven(Sealed::ProvenWithdrawal, sealed).ok().and_then(with_number) {
        return take_back(visit, &proven, number).await;
    }
    let Some((asked, number)) = visit.open(Sealed::Asked, sealed).ok().and_then(with_number) else {
        return Ok(see_other(&format!("/track?lang={}", visit.t.code())));
    };
    if visit.value("action") == "again" {
        return send_withdrawal_code(visit, &asked, number).await;
    }
    if let Err(fault) = visit.app.verifier.check_code(number, Purpose::Withdraw, visit.value("code")).await {
        // The other of two clicks has withdrawn it.
        if matches!(fault, CodeFault::Expired) && find(visit, &asked.found).await?.is_none() {
            return Ok(withdrawn(visit));
        }
        return code_fault(visit, fault, |said| to_code(visit, "/withdraw", &asked, number, said));
    }
    take_back(visit, &asked, number).await
}

fn with_number(withdrawal: Withdrawal) -> Option<(Withdrawal, Msisdn)> {
    let number = Msisdn::from_e164(&withdrawal.number)?;
    Some((withdrawal, number))
}

/// Takes the report of a proven number back.
async fn take_back(visit: &Visit<'_>, proven: &Withdrawal, number: Msisdn) -> Result<HttpResponse, Problem> {
    let taken_back = async {
        if let Some(tracked) = find(visit, &proven.found).await? {
            visit.app.intake.withdraw(tracked.report_id, number).await?;
        }
        Ok::<_, Problem>(())
    };
    match taken_back.await {
        Ok(()) => Ok(withdrawn(visit)),
        Err(problem) if problem.status_code() == StatusCode::SERVICE_UNAVAILABLE => {
            // The code is used up; the proof is kept for another try.
            let sealed = visit.seal_proven(Sealed::ProvenWithdrawal, proven)?;
            Ok(not_stored_page(visit, "/withdraw", &sealed))
        }
        Err(problem) => Err(problem),
    }
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
    ask_again: impl FnOnce(Said) -> Result<HttpResponse, Problem>,
) -> Result<HttpResponse, Problem> {
    match fault {
        CodeFault::Wrong => ask_again(Said::Wrong),
        CodeFault::Expired => ask_again(Said::Expired),
        CodeFault::TooManyTries { retry_after_s } => {
            Ok(visit.come_back(StatusCode::TOO_MANY_REQUESTS, text_id("code-too-many"), retry_after_s))
        }
        CodeFault::Unavailable { .. } => ask_again(Said::Later),
    }
}
