//! `POST /v1/requests/{id}/answer`: what came of what the authority asked.

use actix_web::{HttpRequest, HttpResponse, web};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::answering::{answer_carrier, answer_or_refuse};
use super::authenticate::Caller;
use crate::domain::carrier::Scope;
use crate::domain::clock::Moment;
use crate::domain::request::{Outcome, parse_note};
use crate::http::app::App;
use crate::http::body::{parse_json, read_json_body};
use crate::http::problem::Problem;
use crate::store::connection::Connection;
use crate::store::requests::{Answered, NewAnswer, answer_request};

/// What an answer's note is sealed for: the `info` of HPKE.
pub const NOTE_SEAL_INFO: &[u8] = b"spamgate v1 answer note";

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawAnswer {
    outcome: Option<String>,
    note: Option<String>,
}

#[derive(Serialize)]
struct Receipt {
    id: String,
    outcome: &'static str,
    duplicate: bool,
    answered_at: String,
}

/// Handles the request: 201 when it is the first answer, 200 when the same was given before.
pub async fn post_answer(request: HttpRequest, mut body: web::Payload, app: web::Data<App>) -> HttpResponse {
    let work = async |carrier: &Caller| {
        let receipt = take_authenticated(&request, &mut body, &app, carrier).await?;
        let mut response = if receipt.duplicate { HttpResponse::Ok() } else { HttpResponse::Created() };
        Ok(response.json(receipt))
    };
    let outcome = answer_carrier(&request, &app, Some(Scope::Feed), work).await;
    answer_or_refuse(outcome, body, &app)
}

async fn take_authenticated(
    request: &HttpRequest,
    body: &mut web::Payload,
    app: &App,
    carrier: &Caller,
) -> Result<Receipt, Problem> {
    let body = read_json_body(request, body, &app.body_limits, carrier).await?;
    let raw: RawAnswer = parse_json(&body)?;
    let outcome = Outcome::parse(raw.outcome.as_deref())?;
    let note = parse_note(raw.note)?;
    let id: Uuid = request.match_info().query("id").parse().map_err(|_| Problem::no_such_request())?;
    let answer_tag = app.intake.keys.answer_tag(id.as_bytes(), outcome.as_str(), note.as_deref()).to_vec();
    let note = note
        .map(|note| app.authority.seal(NOTE_SEAL_INFO, id.as_bytes(), &note))
        .transpose()
        .map_err(|error| Problem::unsealed(&error))?;
    let now = app.intake.clock.now();
    let answer = NewAnswer {
        request_id: id.as_bytes().to_vec(),
        outcome: outcome.as_str(),
        note,
        answer_tag,
        answered_at: now.0,
    };
    let owner = carrier.id;
    let write = move |connection: &mut Connection| Ok(answer_request(connection, owner.as_bytes(), &answer)?);
    let answered = app.answers.run_for(owner, write).await?;
    let (duplicate, answered_at) = match answered {
        Answered::Stored => (false, now),
        Answered::Before(at) => (true, Moment(at)),
        Answered::Otherwise => return Err(Problem::request_answered()),
        Answered::NotFound => return Err(Problem::no_such_request()),
    };
    let (id, answered_at) = (id.to_string(), answered_at.to_rfc3339());
    Ok(Receipt { id, outcome: outcome.as_str(), duplicate, answered_at })
}
