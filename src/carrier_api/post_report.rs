//! `POST /v1/reports`: one report.

use actix_web::http::header;
use actix_web::{HttpRequest, HttpResponse, web};
use serde::Serialize;

use super::answering::{answer_carrier, answer_or_refuse};
use super::authenticate::Caller;
use crate::domain::carrier::Scope;
use crate::domain::submission::{RawReport, Region, Submission};
use crate::domain::vocabulary::{ReportStatus, Source};
use crate::http::app::App;
use crate::http::body::{parse_json, read_json_body};
use crate::http::problem::Problem;
use crate::intake::accept::{Accepted, Sender, Vouched};

/// Said when the sender was an old 11-digit number.
pub const RENUMBERED_NOTICE: &str = "The sender's old 11-digit number was read as the number that replaced it in 2018.";

#[derive(Serialize)]
struct Answer<'a> {
    id: String,
    status: &'static str,
    duplicate: bool,
    repeat: bool,
    receipt: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    received_at: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    notice: Option<&'static str>,
}

/// Handles the request: 201 when new, 200 when it was stored before, else a problem that says what to mend or when to try
/// again.
pub async fn post_report(request: HttpRequest, mut body: web::Payload, app: web::Data<App>) -> HttpResponse {
    let parse = |body: &[u8], region: &Region| {
        let raw: RawReport<'_> = parse_json(body)?;
        Ok(Submission::parse(&raw, region)?)
    };
    let outcome = take_report(&request, &mut body, &app, parse).await;
    answer_or_refuse(outcome, body, &app)
}

/// Takes one report, whose JSON `parse` understands.
///
/// # Errors
/// The problem that says what to mend or when to try again.
pub async fn take_report(
    request: &HttpRequest,
    body: &mut web::Payload,
    app: &App,
    parse: impl FnOnce(&[u8], &Region) -> Result<Submission, Problem>,
) -> Result<HttpResponse, Problem> {
    let work = async |carrier: &Caller| match take_authenticated(request, body, app, carrier, parse).await {
        Ok((accepted, renumbered)) => {
            carrier.count_taken(&accepted);
            Ok(answer(&accepted, renumbered))
        }
        Err(problem) => {
            carrier.count_refused(&problem);
            Err(problem)
        }
    };
    answer_carrier(request, app, Some(Scope::Report), work).await
}

async fn take_authenticated(
    request: &HttpRequest,
    body: &mut web::Payload,
    app: &App,
    carrier: &Caller,
    parse: impl FnOnce(&[u8], &Region) -> Result<Submission, Problem>,
) -> Result<(Accepted, bool), Problem> {
    let body = read_json_body(request, body, &app.body_limits, carrier).await?;
    let submission = parse(&body, &app.region)?;
    let renumbered = submission.sender_renumbered;
    let from = Sender { owner: carrier.id, vouched: Vouched::Carrier(&carrier.attests), source: Source::CarrierApi };
    let accepted = app.intake.accept(&from, submission).await?;
    Ok((accepted, renumbered))
}

/// The answer to a report that was taken.
fn answer(accepted: &Accepted, renumbered: bool) -> HttpResponse {
    let mut response = match accepted.received_at {
        Some(_) => HttpResponse::Created(),
        None => HttpResponse::Ok(),
    };
    if accepted.received_at.is_some() {
        response.insert_header((header::LOCATION, format!("/v1/reports/{}", accepted.id)));
    }
    response.json(Answer {
        id: accepted.id.to_string(),
        status: ReportStatus::Accepted.as_str(),
        duplicate: accepted.received_at.is_none(),
        repeat: accepted.repeat,
        receipt: &accepted.receipt,
        received_at: accepted.received_at.map(|at| at.to_rfc3339()),
        notice: renumbered.then_some(RENUMBERED_NOTICE),
    })
}
