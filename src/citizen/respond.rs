//! `/respond`: whoever holds a reported number sees that it is, and can answer once. Never who reported, nor what they wrote.

use std::time::Duration;

use actix_web::http::StatusCode;
use actix_web::web::{Data, Payload};
use actix_web::{HttpRequest, HttpResponse};
use uuid::Uuid;

use super::draft::{number_in_words, to_words};
use super::pages::{ReportedPage, ReportedShown, RespondPage, render};
use super::said::Said;
use super::track::{ASKED_LIFE, code_fault, code_page, to_code};
use super::{Visit, finish, holder, text_id};
use crate::crypto::page_seal::Sealed;
use crate::domain::grouping::{GroupKey, group_key};
use crate::domain::msisdn::{self, Msisdn};
use crate::domain::sender::Sender;
use crate::domain::vocabulary::{CaseStatus, Category};
use crate::http::app::App;
use crate::http::page::{page, see_other};
use crate::http::problem::Problem;
use crate::store::connection::Connection;
use crate::store::responses::{ReportedCase, insert_response, list_reported};
use crate::verify::{AskedCode, NotSent, Purpose};

/// How long what is said of a number can be read and answered after its proof.
const PROVEN_LIFE: Duration = Duration::from_secs(30 * 60);
/// What an address says of a number that no code goes to: the id of the message.
const NUMBER_FAULT: &str = text_id("error-number-not-mobile");
/// The longest answer, characters.
pub const RESPONSE_MAX_CHARACTERS: usize = 2_000;
/// What an answer is sealed for: the `info` of HPKE.
pub const RESPONSE_SEAL_INFO: &[u8] = b"spamgate v1 response";

/// Handles `GET /respond`.
pub async fn get_respond(request: HttpRequest, body: Payload, app: Data<App>) -> HttpResponse {
    let outcome = Visit::of_reader(&request, &app).map(|visit| {
        let sealed = visit.value("s");
        let asked = visit.open_held::<String>(Sealed::Asked, sealed);
        if let Some(number) = asked.ok().and_then(|number| Msisdn::from_e164(&number)) {
            return code_page(&visit, StatusCode::OK, "/respond", sealed, number, Said::of(&visit));
        }
        let typed: String = visit.open_held(Sealed::Looked, sealed).unwrap_or_default();
        let fault = (visit.value("said") == NUMBER_FAULT).then_some(NUMBER_FAULT);
        let mut response = show_form(&visit, StatusCode::OK, &typed, fault);
        holder::give(&mut response, visit.holder);
        response
    });
    finish(outcome, &request, body, &app)
}

/// Handles `POST /respond`: a code goes to the number; then what is said of it can be read.
pub async fn post_respond(request: HttpRequest, mut body: Payload, app: Data<App>) -> HttpResponse {
    let outcome = async {
        let visit = Visit::of_sender(&request, &mut body, &app).await?;
        if visit.value("sealed").is_empty() { ask(&visit).await } else { prove(&visit).await }
    };
    let outcome = outcome.await;
    finish(outcome, &request, body, &app)
}

/// Handles `GET /reported`.
pub async fn get_reported(request: HttpRequest, body: Payload, app: Data<App>) -> HttpResponse {
    let outcome = async {
        let visit = Visit::of_reader(&request, &app)?;
        let sealed = visit.value("s");
        let Some(number) = open_number(&visit, Sealed::OtherSide, sealed) else { return Ok(back(&visit)) };
        show_reported(&visit, StatusCode::OK, sealed, number, None).await
    };
    let outcome = outcome.await;
    finish(outcome, &request, body, &app)
}

/// Handles `POST /response`.
pub async fn post_response(request: HttpRequest, mut body: Payload, app: Data<App>) -> HttpResponse {
    let outcome = async {
        let visit = Visit::of_sender(&request, &mut body, &app).await?;
        answer(&visit).await
    };
    let outcome = outcome.await;
    finish(outcome, &request, body, &app)
}

fn show_form(visit: &Visit<'_>, status: StatusCode, number: &str, fault: Option<&'static str>) -> HttpResponse {
    let is_open = visit.app.verifier.is_on();
    page(status, render(&RespondPage { t: visit.t, here: "/respond", number, fault, is_open }))
}

/// To the form with a number that no code goes to.
fn to_form(visit: &Visit<'_>) -> Result<HttpResponse, Problem> {
    let typed = visit.value("number");
    let sealed = visit.seal(Sealed::Looked, visit.after(ASKED_LIFE), &typed)?;
    let redirect = visit.go("/respond", &format!("said={NUMBER_FAULT}&s={sealed}"));
    Ok(redirect.unwrap_or_else(|| show_form(visit, StatusCode::UNPROCESSABLE_ENTITY, typed, Some(NUMBER_FAULT))))
}

fn back(visit: &Visit<'_>) -> HttpResponse {
    see_other(&format!("/respond?lang={}", visit.t.code()))
}

async fn ask(visit: &Visit<'_>) -> Result<HttpResponse, Problem> {
    let Ok(number) = msisdn::parse_reporter(visit.value("number"), visit.app.region.home) else {
        return to_form(visit);
    };
    send_code(visit, number).await
}

/// The same answer whether the number is reported or not.
async fn send_code(visit: &Visit<'_>, number: Msisdn) -> Result<HttpResponse, Problem> {
    let asked = AskedCode {
        number,
        purpose: Purpose::Respond,
        client: visit.client,
        language: visit.language(),
        has_worked: false,
    };
    match visit.app.verifier.send_code(&asked).await {
        Ok(_sent) => to_code(visit, "/respond", &number.e164().as_str(), number, Said::Sent),
        Err(NotSent::NotAMobile) => to_form(visit),
        Err(NotSent::Full { retry_after_s }) => {
            Ok(visit.come_back(StatusCode::TOO_MANY_REQUESTS, text_id("code-full"), retry_after_s))
        }
        Err(NotSent::Unavailable { retry_after_s }) => {
            Ok(visit.come_back(StatusCode::SERVICE_UNAVAILABLE, text_id("code-unavailable"), retry_after_s))
        }
    }
}

fn seal_number(visit: &Visit<'_>, what: Sealed, life: Duration, number: Msisdn) -> Result<String, Problem> {
    visit.seal(what, visit.after(life), &number.e164().as_str())
}

fn open_number(visit: &Visit<'_>, what: Sealed, sealed: &str) -> Option<Msisdn> {
    let number: String = visit.open(what, sealed).ok()?;
    Msisdn::from_e164(&number)
}

async fn prove(visit: &Visit<'_>) -> Result<HttpResponse, Problem> {
    let Some(number) = open_number(visit, Sealed::Asked, visit.value("sealed")) else { return Ok(back(visit)) };
    if visit.value("action") == "again" {
        return send_code(visit, number).await;
    }
    if let Err(fault) = visit.app.verifier.check_code(number, Purpose::Respond, visit.value("code")).await {
        return code_fault(visit, fault, |said| to_code(visit, "/respond", &number.e164().as_str(), number, said));
    }
    let sealed = seal_number(visit, Sealed::OtherSide, PROVEN_LIFE, number)?;
    Ok(see_other(&format!("/reported?lang={}&s={sealed}", visit.t.code())))
}

async fn list(visit: &Visit<'_>, number: Msisdn) -> Result<Vec<ReportedCase>, Problem> {
    let sender = Sender::Msisdn(number);
    let tag = visit.app.intake.keys.sender_tag(&sender);
    let tag = tag.as_ref().map(<[u8; 16]>::as_slice);
    let of_category = |category: &Category| group_key(*category, sender.kind(), tag, None);
    let keys: Vec<GroupKey> = Category::ALL.iter().filter_map(of_category).collect();
    visit.read(move |connection| list_reported(connection, &keys)).await
}

async fn show_reported(
    visit: &Visit<'_>,
    status: StatusCode,
    sealed: &str,
    number: Msisdn,
    fault: Option<(i64, &'static str, String)>,
) -> Result<HttpResponse, Problem> {
    let offset = visit.app.region.utc_offset_minutes;
    let day = |at| to_words(at, offset).get(..10).unwrap_or_default().to_owned();
    let cases = list(visit, number).await?.into_iter().map(|case| ReportedShown {
        id: case.case_id,
        category: case.category.as_str(),
        status: match case.status {
            CaseStatus::Open => text_id("case-open"),
            CaseStatus::Upheld => text_id("case-upheld"),
            CaseStatus::Dismissed => text_id("case-dismissed"),
        },
        voices: case.voices,
        first: day(case.first_report_at),
        last: day(case.last_report_at),
        is_answered: case.is_answered,
    });
    let reported = ReportedPage {
        t: visit.t,
        here: &format!("/reported?s={sealed}"),
        sealed,
        number: number_in_words(visit, number.e164().as_str()).into_owned(),
        cases: cases.collect(),
        fault,
        was_stored: visit.value("stored") == "yes",
    };
    Ok(page(status, render(&reported)))
}

async fn answer(visit: &Visit<'_>) -> Result<HttpResponse, Problem> {
    let sealed = visit.value("s");
    let Some(number) = open_number(visit, Sealed::OtherSide, sealed) else { return Ok(back(visit)) };
    // Only a case about this number, whatever the form says.
    let asked: Option<i64> = visit.value("case").parse().ok();
    let cases = list(visit, number).await?;
    let case = cases.iter().find(|case| Some(case.case_id) == asked);
    let Some(case_id) = case.map(|case| case.case_id) else { return Ok(back(visit)) };
    let text = visit.value("response");
    let fault = match text.chars().count() {
        0 => Some(text_id("response-empty")),
        count if count > RESPONSE_MAX_CHARACTERS => Some(text_id("response-too-long")),
        _ => None,
    };
    if let Some(fault) = fault {
        let fault = Some((case_id, fault, text.to_owned()));
        return show_reported(visit, StatusCode::UNPROCESSABLE_ENTITY, sealed, number, fault).await;
    }
    let id = Uuid::now_v7();
    let body = visit.app.authority.seal(RESPONSE_SEAL_INFO, id.as_bytes(), text);
    let body = body.map_err(|error| Problem::unsealed(&error))?;
    let now = visit.now;
    let insert =
        move |connection: &mut Connection| Ok(insert_response(connection, id.as_bytes(), case_id, &body, now)?);
    // An answer is given once: one that is there already stays, and its page shows that it is there.
    if !visit.app.answers.run(insert).await? {
        return Ok(see_other(&format!("/reported?lang={}&s={sealed}", visit.t.code())));
    }
    Ok(see_other(&format!("/reported?lang={}&stored=yes&s={sealed}", visit.t.code())))
}
