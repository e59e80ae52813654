//! What operators see on their own listener.

use crate::support::{Engine, TestApp, on_every_engine, report};

on_every_engine! {
    async fn a_whole_gateway_is_ready_and_says_so_exactly_like_this(app: TestApp) {
        app.post(&report("r-1")).await.expect_status(201);
        app.wait_until_built().await;
        let answer = app.get_operators("/readyz").await;
        let whole = r#"{"ready":true,"degraded":[],"builder_lag_rows":0,"queue_length":0,"feed_lag_decisions":0}"#;
        assert_eq!(answer.text, whole);
        assert_eq!(app.get_operators("/healthz").await.expect_status(200).text, "ok\n");
    }

    async fn refusals_and_duplicates_are_counted_without_saying_whose(app: TestApp) {
        app.post(&report("r-1")).await.expect_status(201);
        app.post(&report("r-1")).await.expect_status(200);
        app.post(&report("r-2").with("sender", "098593l054")).await.expect_status(422);
        let metrics = app.get_operators("/metrics").await.expect_status(200);
        assert!(metrics.text.contains("code=\"number_has_letter\"} 1"), "{}", metrics.text);
        assert!(!metrics.text.contains("985931054") && !metrics.text.contains("912345678"));
        assert!(metrics.text.trim_end().ends_with("# EOF"));
    }

    async fn carriers_addresses_are_not_on_the_operators_listener(app: TestApp) {
        app.get_operators("/v1/reports/x").await.expect_problem(404, "not_found", "");
    }
}
