//! `/guide`: how to recognise it, what to do now, whom to call.

use actix_web::http::StatusCode;
use actix_web::web::{Data, Payload};
use actix_web::{HttpRequest, HttpResponse};

use super::pages::{GuidePage, GuidesPage, render};
use super::{Visit, finish};
use crate::http::app::App;
use crate::http::page::page;
use crate::http::problem::Problem;

/// As they stand in addresses.
const GUIDES: [&str; 3] = ["spam", "scam", "fake-news"];

/// Handles `GET /guide`.
pub async fn get_guides(request: HttpRequest, body: Payload, app: Data<App>) -> HttpResponse {
    let outcome = Visit::of_reader(&request, &app)
        .map(|visit| page(StatusCode::OK, render(&GuidesPage { t: visit.t, here: "/guide" })));
    finish(outcome, &request, body, &app)
}

/// Handles `GET /guide/{category}`.
pub async fn get_guide(request: HttpRequest, body: Payload, app: Data<App>) -> HttpResponse {
    let asked = request.match_info().query("category").to_owned();
    let outcome = Visit::of_reader(&request, &app).and_then(|visit| {
        let category = GUIDES.into_iter().find(|guide| *guide == asked).ok_or_else(Problem::no_such_page)?;
        let hotlines = &app.citizen.settings.hotlines;
        let guide = GuidePage { t: visit.t, here: &format!("/guide/{category}"), category, hotlines };
        Ok(page(StatusCode::OK, render(&guide)))
    });
    finish(outcome, &request, body, &app)
}
