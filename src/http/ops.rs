//! For operators: is it alive, is it whole, what does it count.

use actix_web::{HttpResponse, web};
use serde::Serialize;

use super::app::App;
use super::problem::Problem;
use crate::outbound::publish::count_untold;
use crate::store::building::find_cursor_seq;
use crate::store::journal::count_after;

/// The media type of OpenMetrics text.
const OPENMETRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// The lag is not counted further than this.
const LAG_COUNTED_MAX_ROWS: i64 = 1_000_000;

#[derive(Serialize)]
struct Readiness {
    ready: bool,
    /// What is lost at the moment, in sentences.
    degraded: Vec<String>,
    builder_lag_rows: i64,
    queue_length: usize,
    /// On a node that tells carriers of decisions.
    #[serde(skip_serializing_if = "Option::is_none")]
    feed_lag_decisions: Option<i64>,
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
    // On a node that builds no cases, another's cursor tells.
    let tells = app.outbound.tells;
    let (lag_rows, feed_lag_decisions) = app
        .reads
        .run(move |connection| {
            let cursor = find_cursor_seq(connection)?;
            let lag_rows = count_after(connection, cursor, LAG_COUNTED_MAX_ROWS)?;
            let untold = if tells { Some(count_untold(connection)?) } else { None };
            Ok((lag_rows, untold))
        })
        .await?;
    let queue_length = app.intake.queue.len();
    app.metrics.builder_lag_rows.set(lag_rows);
    app.metrics.queue_length.set(i64::try_from(queue_length).unwrap_or(i64::MAX));
    if let Some(decisions) = feed_lag_decisions {
        app.metrics.set_feed_lag_decisions(decisions);
    }
    let mut degraded: Vec<String> = app.intake.fast.degradation().into_iter().map(str::to_owned).collect();
    degraded.extend(app.builder.complaints());
    degraded.extend(app.outbound.complaints().into_iter().map(str::to_owned));
    let in_doubt = app.intake.location.is_in_doubt();
    if in_doubt {
        degraded.push("the database was lost from sight: no report is taken until it was looked at again".to_owned());
    }
    let writing = !app.intake.queue.is_closed() && !in_doubt;
    if app.intake.queue.is_closed() {
        degraded.push("the journal writer has stopped: no report is taken".to_owned());
    }
    Ok(Readiness { ready: writing, degraded, builder_lag_rows: lag_rows, queue_length, feed_lag_decisions })
}

/// All metrics.
pub async fn metrics(app: web::Data<App>) -> HttpResponse {
    // The gauges that are looked up and not kept.
    let _ = look(&app).await;
    HttpResponse::Ok().content_type(OPENMETRICS).body(app.metrics.encode())
}
