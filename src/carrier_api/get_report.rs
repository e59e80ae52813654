//! `GET /v1/reports/{id}`: what became of a report.

use actix_web::{HttpRequest, HttpResponse, web};
use serde::Serialize;

use super::answering::{answer_carrier, answer_or_refuse};
use super::authenticate::Caller;
use crate::domain::carrier::Scope;
use crate::domain::report::ReportId;
use crate::http::app::App;
use crate::http::problem::Problem;
use crate::store::reports::{FoundReport, LookUp, find_report};

#[derive(Serialize)]
struct Answer {
    id: String,
    status: &'static str,
    receipt: String,
    received_at: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    case: Option<CaseAnswer>,
}

#[derive(Serialize)]
struct CaseAnswer {
    reference: String,
    status: &'static str,
}

/// Handles the request. The same 404 for an id that is malformed, unknown, or another carrier's.
pub async fn get_report(request: HttpRequest, body: web::Payload, app: web::Data<App>) -> HttpResponse {
    let work = async |carrier: &Caller| {
        // As it stands in the address: a path that does not decode is one more id that does not exist.
        let (id, found) = find(&app, carrier, request.match_info().query("id")).await?;
        Ok(HttpResponse::Ok().json(Answer {
            id: id.to_string(),
            status: found.status.as_str(),
            receipt: id.receipt().to_string(),
            received_at: found.received_at.to_rfc3339(),
            case: found.case.map(|(reference, status)| CaseAnswer { reference, status: status.as_str() }),
        }))
    };
    answer_or_refuse(answer_carrier(&request, &app, Some(Scope::Report), work).await, body, &app)
}

async fn find(app: &App, carrier: &Caller, id: &str) -> Result<(ReportId, FoundReport), Problem> {
    let id = ReportId::parse(id).ok_or_else(Problem::no_such_report)?;
    let owner = carrier.id;
    match app.reads.run_for(owner, move |connection| find_report(connection, id, owner.as_bytes())).await? {
        LookUp::Found(found) => Ok((id, found)),
        LookUp::NotFound => Err(Problem::no_such_report()),
        LookUp::TooFarBehind => Err(Problem::builder_behind()),
    }
}
