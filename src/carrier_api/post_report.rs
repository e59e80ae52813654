//! `POST /v1/reports`: one report.

use actix_web::http::header::{self, HeaderName};
use actix_web::{HttpRequest, HttpResponse, web};
use serde::Serialize;

use super::authenticate::{Caller, RateFields, authenticate};
use crate::domain::carrier::Scope;
use crate::domain::submission::{RawReport, Submission};
use crate::domain::vocabulary::{ReportStatus, Source};
use crate::http::app::App;
use crate::http::body::{parse_json, read_json_body, refuse};
use crate::http::problem::Problem;
use crate::intake::accept::{Accepted, Sender};

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
    match take_report(&request, &mut body, &app).await {
        Ok(response) => response,
        Err(problem) => {
            problem.count(&app.metrics);
            refuse(problem, body)
        }
    }
}

async fn take_report(request: &HttpRequest, body: &mut web::Payload, app: &App) -> Result<HttpResponse, Problem> {
    let carrier = authenticate(request, app, Some(Scope::Report)).await?;
    let rate = carrier.take_one(app).await?;
    match take_authenticated(request, body, app, &carrier).await {
        Ok((accepted, renumbered)) => {
            carrier.count_taken(&accepted);
            Ok(answer(&accepted, renumbered, &rate))
        }
        Err(problem) => {
            carrier.count_refused(&problem);
            Err(problem.with_rate_unless_set(rate))
        }
    }
}

async fn take_authenticated(
    request: &HttpRequest,
    body: &mut web::Payload,
    app: &App,
    carrier: &Caller,
) -> Result<(Accepted, bool), Problem> {
    let body = read_json_body(request, body, &app.body_limits, carrier).await?;
    let submission = {
        let raw: RawReport<'_> = parse_json(&body)?;
        Submission::parse(&raw, &app.region)?
    };
    let renumbered = submission.sender_renumbered;
    let from = Sender { owner: carrier.id, attests: &carrier.attests, source: Source::CarrierApi };
    let accepted = app.intake.accept(&from, submission).await?;
    Ok((accepted, renumbered))
}

/// The answer to a report that was taken.
#[must_use]
pub fn answer(accepted: &Accepted, renumbered: bool, rate: &RateFields) -> HttpResponse {
    let mut response = match accepted.received_at {
        Some(_) => HttpResponse::Created(),
        None => HttpResponse::Ok(),
    };
    insert_rate(&mut response, rate);
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

/// Adds the rate limit fields.
pub fn insert_rate(response: &mut actix_web::HttpResponseBuilder, rate: &RateFields) {
    response.insert_header((HeaderName::from_static("ratelimit-policy"), rate.policy.clone()));
    response.insert_header((HeaderName::from_static("ratelimit"), rate.limit.clone()));
}
