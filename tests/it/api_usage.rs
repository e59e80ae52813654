//! A carrier's own figures.

use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{Carrier, Engine, TestApp, on_every_engine, report, wait_until};

/// Figures are written once a second; the rest is for a busy machine.
const WRITTEN_WITHIN: Duration = Duration::from_secs(20);
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

async fn usage(app: &TestApp, carrier: &Carrier, query: &str) -> Value {
    let request = app.request(Method::GET, &format!("/v1/usage{query}"), Some(&carrier.api_key));
    app.send(request, "").await.expect_status(200).json
}

/// Waits until the figures say this.
async fn wait_for_days(app: &TestApp, carrier: &Carrier, query: &str, days: Value) {
    let mut seen = Value::Null;
    wait_until(&format!("{days}"), WRITTEN_WITHIN, async || {
        seen = usage(app, carrier, query).await["days"].clone();
        seen == days
    })
    .await;
}

on_every_engine! {
    async fn a_carrier_sees_what_became_of_its_own_reports_and_of_no_others(app: TestApp) {
        let other = app.add_carrier("other");
        app.post(&report("r-1")).await.expect_status(201);
        app.post(&report("r-2")).await.expect_status(201);
        app.post(&report("r-1")).await.expect_status(200);
        app.post(&report("r-3").without("sender")).await.expect_status(422);
        app.post(&report("r-1").with("category", "scam")).await.expect_problem(422, "report_id_reused", "report_id");
        app.post_text("{").await.expect_status(400);
        let refused = json!({"invalid_json": 1, "missing_field": 1, "report_id_reused": 1});
        let days = json!([{"day": "2026-11-24", "accepted": 2, "duplicate": 1, "refused": refused}]);
        wait_for_days(&app, app.local(), "", days).await;
        assert_eq!(usage(&app, &other, "").await, json!({"from": "2026-10-26", "to": "2026-11-24", "days": []}));
    }

    async fn days_begin_at_midnight_of_the_region(app: TestApp) {
        // The clock stands at 15:00 there.
        app.post(&report("r-1")).await.expect_status(201);
        let first = json!({"day": "2026-11-24", "accepted": 1, "duplicate": 0, "refused": {}});
        wait_for_days(&app, app.local(), "", json!([first])).await;
        app.advance(Duration::from_secs(9 * 60 * 60));
        app.post(&report("r-2")).await.expect_status(201);
        let second = json!({"day": "2026-11-25", "accepted": 1, "duplicate": 0, "refused": {}});
        wait_for_days(&app, app.local(), "", json!([first, second])).await;
        wait_for_days(&app, app.local(), "?from=2026-11-25", json!([second])).await;
        wait_for_days(&app, app.local(), "?to=2026-11-24", json!([first])).await;
        wait_for_days(&app, app.local(), "?from=2026-11-24&to=2026-11-24", json!([first])).await;
        app.advance(DAY * 29);
        wait_for_days(&app, app.local(), "", json!([second])).await;
    }

    async fn days_that_cannot_be_read_are_refused(app: TestApp) {
        for (query, field) in [
            ("?from=yesterday", "from"),
            ("?to=2026-11-31", "to"),
            ("?from=2026-11-25&to=2026-11-24", "from"),
            ("?from=2026-08-24&to=2026-11-24", "from"),
            ("?from=", "from"),
            ("?day=2026-11-24", "from"),
            ("?from=0000-01-01&to=9999-12-30", "from"),
        ] {
            let request = app.request(Method::GET, &format!("/v1/usage{query}"), Some(&app.local().api_key));
            app.send(request, "").await.expect_problem(422, "invalid_days", field);
        }
        app.send(app.request(Method::GET, "/v1/usage", None), "").await.expect_problem(401, "api_key_missing", "");
    }

    async fn what_was_counted_is_written_at_a_stop(app: TestApp) {
        app.post(&report("r-1")).await.expect_status(201);
        app.restart().await;
        let days = json!([{"day": "2026-11-24", "accepted": 1, "duplicate": 0, "refused": {}}]);
        assert_eq!(usage(&app, app.local(), "").await["days"], days);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_two_nodes_count_is_added_up() {
    let app = TestApp::spawn(Engine::PostgresqlRedis).await;
    let other = app.join(|_| {}).await;
    for index in 0..6 {
        let node = if index % 2 == 0 { &app } else { &other };
        node.post(&report(&format!("r-{index}"))).await.expect_status(201);
    }
    let days = json!([{"day": "2026-11-24", "accepted": 6, "duplicate": 0, "refused": {}}]);
    wait_for_days(&app, app.local(), "", days).await;
}
