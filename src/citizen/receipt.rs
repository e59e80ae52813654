//! `/receipt`: what was taken, and what happens next.

use std::time::Duration;

use actix_web::web::{Data, Payload};
use actix_web::{HttpRequest, HttpResponse};
use serde::{Deserialize, Serialize};

use super::draft::to_words;
use super::evidence::{fault_text, status_of};
use super::pages::{ReceiptPage, render};
use super::{Visit, finish};
use crate::crypto::page_seal::Sealed;
use crate::domain::clock::Moment;
use crate::domain::vocabulary::Category;
use crate::http::app::App;
use crate::http::page::{page, see_other};
use crate::http::problem::Problem;
use crate::intake::accept::Accepted;

/// How long the page of a receipt can be opened; after that there is `/track`.
const RECEIPT_LIFE: Duration = Duration::from_secs(60 * 60);

/// What the page of a receipt shows; its address carries it, sealed.
#[derive(Serialize, Deserialize)]
pub struct ReceiptTold {
    /// The report.
    pub id: String,
    receipt: String,
    category: String,
    /// Microseconds.
    received_at: i64,
    is_repeat: bool,
    money_lost: bool,
}

impl ReceiptTold {
    /// Of a report that was taken, or had been.
    #[must_use]
    pub fn of(visit: &Visit<'_>, accepted: &Accepted, category: Category, money_lost: bool) -> Self {
        Self {
            id: accepted.id.to_string(),
            receipt: accepted.receipt.clone(),
            category: category.as_str().to_owned(),
            received_at: accepted.received_at.unwrap_or(visit.now).0,
            is_repeat: accepted.repeat,
            money_lost,
        }
    }

    /// To the page that shows it.
    ///
    /// # Errors
    /// Faults of ours.
    pub fn redirect(&self, visit: &Visit<'_>) -> Result<HttpResponse, Problem> {
        let sealed = visit.seal(Sealed::Receipt, visit.after(RECEIPT_LIFE), self)?;
        Ok(see_other(&format!("/receipt?lang={}&r={sealed}", visit.t.code())))
    }
}

/// Handles `GET /receipt`.
pub async fn get_receipt(request: HttpRequest, body: Payload, app: Data<App>) -> HttpResponse {
    let outcome = Visit::of_reader(&request, &app).and_then(|visit| show(&visit));
    finish(outcome, &request, body, &app)
}

fn show(visit: &Visit<'_>) -> Result<HttpResponse, Problem> {
    let sealed = visit.value("r");
    let Some(told) = open_told(visit, sealed) else {
        // An hour later, or a part of the address was lost.
        return Ok(see_other(&format!("/track?lang={}", visit.t.code())));
    };
    let fault = fault_text(visit.value("fault"));
    let settings = &visit.app.citizen.settings;
    let receipt = ReceiptPage {
        t: visit.t,
        here: &format!("/receipt?r={sealed}"),
        receipt: &told.receipt,
        received_at: to_words(Moment(told.received_at), visit.app.region.utc_offset_minutes),
        is_repeat: told.is_repeat,
        money_lost: told.money_lost,
        hotlines: &settings.hotlines,
        guide: guide_of(&told.category),
        review_days: settings.review_days,
        sealed,
        kept: visit.value("kept").parse().unwrap_or(0),
        fault,
    };
    Ok(page(status_of(fault.is_some()), render(&receipt)))
}

/// Opens what an address or a form carries of a receipt; none when it is too old, or none of ours.
#[must_use]
pub fn open_told(visit: &Visit<'_>, sealed: &str) -> Option<ReceiptTold> {
    visit.open(Sealed::Receipt, sealed).ok()
}

/// The guide of a category, as it stands in addresses and in the ids of messages.
#[must_use]
pub fn guide_of(category: &str) -> &'static str {
    match Category::parse(category) {
        Some(Category::Spam) | None => "spam",
        Some(Category::Scam) => "scam",
        Some(Category::FakeNews) => "fake-news",
    }
}
