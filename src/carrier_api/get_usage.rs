//! `GET /v1/usage`: what became of a carrier's own reports, by day.

use std::collections::BTreeMap;

use actix_web::{HttpRequest, HttpResponse, web};
use serde::{Deserialize, Serialize};

use super::answering::{answer_carrier, answer_or_refuse};
use super::authenticate::Caller;
use super::usage::{ACCEPTED, DUPLICATE};
use crate::domain::clock::Day;
use crate::http::app::App;
use crate::http::problem::Problem;
use crate::store::connection::Connection;
use crate::store::usage::{UsageRow, list_usage};

/// Days in one answer.
const DAYS_MAX: i32 = 92;
/// Days without `from`, today among them.
const DAYS_USUAL: i32 = 30;

/// Each a day such as `2026-11-24`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Wanted {
    from: Option<String>,
    to: Option<String>,
}

#[derive(Serialize)]
struct Answer {
    from: String,
    to: String,
    days: Vec<DayFigures>,
}

#[derive(Serialize)]
struct DayFigures {
    day: String,
    accepted: i64,
    duplicate: i64,
    /// By the code of the problem.
    refused: BTreeMap<String, i64>,
}

/// Handles the request.
pub async fn get_usage(request: HttpRequest, body: web::Payload, app: web::Data<App>) -> HttpResponse {
    let work = async |carrier: &Caller| Ok(HttpResponse::Ok().json(find(&request, &app, carrier).await?));
    // Whatever a carrier may do, it may see what it has done.
    answer_or_refuse(answer_carrier(&request, &app, None, work).await, body, &app)
}

async fn find(request: &HttpRequest, app: &App, carrier: &Caller) -> Result<Answer, Problem> {
    let today = app.intake.clock.now().day_at(app.region.utc_offset_minutes);
    let (from, to) = read_days(request.query_string(), today)?;
    let owner = carrier.id;
    let list = move |connection: &mut Connection| Ok(list_usage(connection, owner.as_bytes(), from.0, to.0)?);
    let rows = app.reads.run_for(owner, list).await?;
    Ok(Answer { from: from.to_string(), to: to.to_string(), days: by_day(rows) })
}

fn read_days(query: &str, today: Day) -> Result<(Day, Day), Problem> {
    let wanted = web::Query::<Wanted>::from_query(query).map_err(|_| Problem::invalid_days("from", DAYS_MAX))?;
    let day = |text: &Option<String>, field| match text {
        Some(text) => Day::parse(text).map(Some).ok_or_else(|| Problem::invalid_days(field, DAYS_MAX)),
        None => Ok(None),
    };
    let to = day(&wanted.to, "to")?.unwrap_or(today);
    let from = day(&wanted.from, "from")?.unwrap_or(Day(to.0.saturating_sub(DAYS_USUAL - 1)));
    if from > to || to.0.saturating_sub(from.0) >= DAYS_MAX {
        return Err(Problem::invalid_days("from", DAYS_MAX));
    }
    Ok((from, to))
}

/// Rows come by day.
fn by_day(rows: Vec<UsageRow>) -> Vec<DayFigures> {
    let mut days: BTreeMap<i32, DayFigures> = BTreeMap::new();
    for row in rows {
        let day = Day(row.day);
        let figures = days.entry(row.day).or_insert_with(|| DayFigures {
            day: day.to_string(),
            accepted: 0,
            duplicate: 0,
            refused: BTreeMap::new(),
        });
        match row.what.as_str() {
            ACCEPTED => figures.accepted = row.count,
            DUPLICATE => figures.duplicate = row.count,
            _ => {
                figures.refused.insert(row.what, row.count);
            }
        }
    }
    days.into_values().collect()
}
