//! `GET /v1/requests`: what the authority asks of this carrier.

use std::sync::Arc;

use actix_web::{HttpRequest, HttpResponse, web};
use serde::Serialize;

use super::answering::{answer_carrier, answer_or_refuse};
use super::authenticate::{Caller, Carrier};
use super::paging::{Asked, Cursor, page_answer, read_query};
use crate::domain::carrier::Scope;
use crate::domain::clock::Moment;
use crate::http::app::App;
use crate::http::problem::Problem;
use crate::store::requests::{ListedRequest, find_request_at, list_requests_after};

/// What a cursor of this list is signed for.
const LIST: &str = "requests";

/// What came of a request, behind what was asked.
#[derive(Serialize)]
struct Answer<'a> {
    status: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    outcome: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    answered_at: Option<String>,
}

/// Handles the request.
pub async fn get_requests(request: HttpRequest, body: web::Payload, app: web::Data<App>) -> HttpResponse {
    let work = async |carrier: &Caller| read_page(&request, &app, carrier).await.map(page_answer);
    answer_or_refuse(answer_carrier(&request, &app, Some(Scope::Feed), work).await, body, &app)
}

async fn read_page(request: &HttpRequest, app: &App, carrier: &Carrier) -> Result<String, Problem> {
    let Asked { after, limit } = read_query(request)?;
    let (id, ring) = (carrier.id, Arc::clone(&app.intake.keys));
    let start = Cursor::behind(&ring, id.as_bytes(), LIST, 0, &[]);
    let after = after.unwrap_or(start);
    let behind = move |position, request: &[u8]| Cursor::behind(&ring, id.as_bytes(), LIST, position, request);
    let signer = behind.clone();
    let page = app
        .reads
        .run_for(carrier.id, move |connection| {
            let owner = id.as_bytes().as_slice();
            if after != start {
                let there = find_request_at(connection, owner, after.position)?;
                if there.map(|request| signer(after.position, &request)) != Some(after) {
                    return Ok(None);
                }
            }
            // One more than asked for tells whether there are more.
            Ok(Some(list_requests_after(connection, owner, after.position, limit + 1)?))
        })
        .await?;
    let mut requests = page.ok_or_else(Problem::invalid_cursor)?;
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let has_more = requests.len() > limit;
    requests.truncate(limit);
    let next = requests.last().map_or(after, |last| behind(last.position, &last.id));
    let items: Vec<String> = requests.iter().map(item).collect();
    Ok(format!("{{\"items\":[{}],\"next\":\"{}\",\"more\":{has_more}}}", items.join(","), next.to_text()))
}

/// What was asked stands as JSON in the store; what came of it is put behind.
fn item(request: &ListedRequest) -> String {
    let answer = Answer {
        status: if request.outcome.is_some() { "answered" } else { "open" },
        outcome: request.outcome.as_deref(),
        answered_at: request.answered_at.map(|at| Moment(at).to_rfc3339()),
    };
    // Strings alone always serialize.
    let answer = serde_json::to_string(&answer).unwrap_or_default();
    format!("{},{}", request.body.trim_end_matches('}'), answer.trim_start_matches('{'))
}
