//! How every route for carriers begins and ends.

use actix_web::web::Payload;
use actix_web::{HttpRequest, HttpResponse};

use super::authenticate::{Caller, RateFields, authenticate};
use crate::domain::carrier::Scope;
use crate::http::app::App;
use crate::http::body::refuse;
use crate::http::problem::Problem;

/// The answer, or the problem, counted; `unread` is what of the body was not read.
#[must_use]
pub fn answer_or_refuse(outcome: Result<HttpResponse, Problem>, unread: Payload, app: &App) -> HttpResponse {
    outcome.unwrap_or_else(|problem| {
        problem.count(&app.metrics);
        refuse(problem, unread)
    })
}

/// Lets a carrier in that has this scope, takes one of its limit, and has `work` answer it. Whatever comes of it says how
/// much of the limit is left.
///
/// # Errors
/// Those of the way in, and those of `work`.
pub async fn answer_carrier(
    request: &HttpRequest,
    app: &App,
    scope: Option<Scope>,
    work: impl AsyncFnOnce(&Caller) -> Result<HttpResponse, Problem>,
) -> Result<HttpResponse, Problem> {
    let carrier = authenticate(request, app, scope).await?;
    let rate = carrier.take_one(app).await?;
    with_rate(work(&carrier).await, rate)
}

/// The outcome with the rate limit fields.
///
/// # Errors
/// The problem, when it is one.
pub fn with_rate(outcome: Result<HttpResponse, Problem>, rate: RateFields) -> Result<HttpResponse, Problem> {
    match outcome {
        Ok(mut response) => {
            rate.insert_into(response.headers_mut());
            Ok(response)
        }
        Err(problem) => Err(problem.with_rate_unless_set(rate)),
    }
}
