//! `GET /v1/feed`: cases that were decided, for the carriers whom they concern.

use std::sync::Arc;

use actix_web::{HttpRequest, HttpResponse, web};

use super::answering::{answer_carrier, answer_or_refuse};
use super::authenticate::{Caller, Carrier};
use super::paging::{Asked, Cursor, page_answer, read_query};
use crate::domain::carrier::Scope;
use crate::http::app::App;
use crate::http::problem::Problem;
use crate::store::feed::{find_item_decision, has_public_key, list_items_after};

/// What a cursor of this list is signed for.
const LIST: &str = "feed";

/// A page as the store has it: position, decision, body.
enum Page {
    Items(Vec<(i64, i64, String)>),
    /// It has no key to seal to.
    NoKey,
    /// The cursor names no item of this carrier.
    UnknownCursor,
}

/// Handles the request.
pub async fn get_feed(request: HttpRequest, body: web::Payload, app: web::Data<App>) -> HttpResponse {
    let work = async |carrier: &Caller| read_page(&request, &app, carrier).await.map(page_answer);
    answer_or_refuse(answer_carrier(&request, &app, Some(Scope::Feed), work).await, body, &app)
}

async fn read_page(request: &HttpRequest, app: &App, carrier: &Carrier) -> Result<String, Problem> {
    let Asked { after, limit } = read_query(request)?;
    let (id, ring) = (carrier.id, Arc::clone(&app.intake.keys));
    let sees_all = carrier.scopes.has(Scope::FeedAll);
    let start = Cursor::behind(&ring, id.as_bytes(), LIST, 0, &[]);
    let after = after.unwrap_or(start);
    let behind =
        move |position, decision: i64| Cursor::behind(&ring, id.as_bytes(), LIST, position, &decision.to_be_bytes());
    let signer = behind.clone();
    let page = app
        .reads
        .run_for(carrier.id, move |connection| {
            let owner = id.as_bytes().as_slice();
            if !has_public_key(connection, owner)? {
                return Ok(Page::NoKey);
            }
            if after != start {
                let decision = find_item_decision(connection, owner, after.position)?;
                if decision.map(|decision| signer(after.position, decision)) != Some(after) {
                    return Ok(Page::UnknownCursor);
                }
            }
            // One more than asked for tells whether there are more.
            Ok(Page::Items(list_items_after(connection, owner, after.position, sees_all, limit + 1)?))
        })
        .await?;
    match page {
        Page::NoKey => Err(Problem::feed_key_missing()),
        Page::UnknownCursor => Err(Problem::invalid_cursor()),
        Page::Items(mut items) => {
            let limit = usize::try_from(limit).unwrap_or(usize::MAX);
            let has_more = items.len() > limit;
            items.truncate(limit);
            let next = items.last().map_or(after, |(position, decision, _)| behind(*position, *decision));
            let bodies: Vec<&str> = items.iter().map(|(_, _, body)| body.as_str()).collect();
            Ok(format!("{{\"items\":[{}],\"next\":\"{}\",\"more\":{has_more}}}", bodies.join(","), next.to_text()))
        }
    }
}
