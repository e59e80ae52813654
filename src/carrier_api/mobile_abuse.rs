//! `POST /v1/mobile-abuse`: one report in the Mobile Abuse Reporting Schema, version 1.

use actix_web::{HttpRequest, HttpResponse, web};

use super::authenticate::{Caller, authenticate};
use super::post_report::answer;
use crate::domain::carrier::Scope;
use crate::domain::mobile_abuse::{self, FIELD_NAMES, RawMobileAbuse};
use crate::domain::vocabulary::Source;
use crate::http::app::App;
use crate::http::body::{parse_json, read_json_body, refuse};
use crate::http::problem::Problem;
use crate::intake::accept::{Accepted, Sender};

/// Handles the request; the answer is that of `POST /v1/reports`.
pub async fn post_mobile_abuse(request: HttpRequest, mut body: web::Payload, app: web::Data<App>) -> HttpResponse {
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
            Err(problem.with_field_names(&FIELD_NAMES).with_rate_unless_set(rate))
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
        let raw: RawMobileAbuse<'_> = parse_json(&body)?;
        mobile_abuse::parse(&raw, &app.region)?
    };
    let renumbered = submission.sender_renumbered;
    let from = Sender { owner: carrier.id, attests: &carrier.attests, source: Source::CarrierApi };
    Ok((app.intake.accept(&from, submission).await?, renumbered))
}
