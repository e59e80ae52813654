//! For operators: is it alive, is it whole, what does it count.

use actix_web::{HttpResponse, web};
use serde::Serialize;

use super::app::App;
use super::problem::Problem;
use crate::store::journal::find_last_seq;

/// The media type of OpenMetrics text.
const OPENMETRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

#[derive(Serialize)]
struct Readiness {
    ready: bool,
    /// What is lost at the moment, in sentences.
    degraded: Vec<&'static str>,
    builder_lag_rows: i64,
    queue_length: usize,
}

/// The process answers.
pub async fn healthz() -> &'static str {
    "ok\n"
}

/// Whether reports are taken, and what is degraded: 503 when the store cannot be read.
///
/// # Errors
/// 503.
pub async fn readyz(app: web::Data<App>) -> Result<HttpResponse, Problem> {
    let readiness = look(&app).await?;
    let mut response = if readiness.ready { HttpResponse::Ok() } else { HttpResponse::ServiceUnavailable() };
    Ok(response.json(readiness))
}

async fn look(app: &App) -> Result<Readiness, Problem> {
    let last_seq = app.reads.run(|connection| Ok(find_last_seq(connection)?)).await?;
    let lag_rows = last_seq.saturating_sub(app.builder.cursor_seq()).max(0);
    let queue_length = app.intake.queue.len();
    app.metrics.builder_lag_rows.set(lag_rows);
    app.metrics.queue_length.set(i64::try_from(queue_length).unwrap_or(i64::MAX));
    let mut degraded: Vec<&'static str> = app.intake.fast.degradation().into_iter().collect();
    if app.builder.is_failing() {
        degraded.push("the builder fails: reports are taken, and no case is built until it is mended");
    }
    let writing = !app.intake.queue.is_closed();
    if !writing {
        degraded.push("the journal writer has stopped: no report is taken");
    }
    Ok(Readiness { ready: writing, degraded, builder_lag_rows: lag_rows, queue_length })
}

/// All metrics.
pub async fn metrics(app: web::Data<App>) -> HttpResponse {
    // The gauges that are looked up and not kept.
    let _ = look(&app).await;
    HttpResponse::Ok().content_type(OPENMETRICS).body(app.metrics.encode())
}
