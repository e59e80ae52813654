//! `POST /v1/mobile-abuse`: one report in the Mobile Abuse Reporting Schema, version 1.

use actix_web::{HttpRequest, HttpResponse, web};

use super::answering::answer_or_refuse;
use super::post_report::take_report;
use crate::domain::mobile_abuse::{self, FIELD_NAMES, RawMobileAbuse};
use crate::domain::submission::Region;
use crate::http::app::App;
use crate::http::body::parse_json;

/// Handles the request; the answer is that of `POST /v1/reports`.
pub async fn post_mobile_abuse(request: HttpRequest, mut body: web::Payload, app: web::Data<App>) -> HttpResponse {
    let parse = |body: &[u8], region: &Region| {
        let raw: RawMobileAbuse<'_> = parse_json(body)?;
        Ok(mobile_abuse::parse(&raw, region)?)
    };
    let outcome = take_report(&request, &mut body, &app, parse).await;
    answer_or_refuse(outcome.map_err(|problem| problem.with_field_names(&FIELD_NAMES)), body, &app)
}
