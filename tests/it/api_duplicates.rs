//! The same submission is taken once, however often it comes; one report id stands for one body.

use std::time::Duration;

use crate::support::{Answer, Engine, TestApp, on_every_engine, report};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

#[track_caller]
fn assert_duplicate_of(again: &Answer, first: &Answer) {
    assert_eq!(again.status, 200, "{}", again.text);
    assert_eq!(again.json["duplicate"], true);
    assert_eq!((again.id(), again.string("receipt")), (first.id(), first.string("receipt")));
    assert!(again.json.get("received_at").is_none(), "{}", again.text);
    assert_eq!(again.header("location"), None);
}

on_every_engine! {
    async fn the_same_submission_again_is_a_duplicate_with_the_same_id_and_receipt(app: TestApp) {
        let first = app.post(&report("r-1")).await.expect_status(201);
        for _ in 0..3 {
            assert_duplicate_of(&app.post(&report("r-1")).await, &first);
        }
        let case = app.only_case().await;
        assert_eq!((case.reports, case.voices, app.journal_rows()), (1, 1, 1));
    }

    async fn a_duplicate_may_be_spelled_otherwise(app: TestApp) {
        let first = app.post(&report("r-1")).await.expect_status(201);
        let respelled = report("r-1")
            .with("reporter", "+84 912 345 678")
            .with("sender", "0985.931.054")
            .with("occurred_at", "2026-11-24T07:00:00Z");
        assert_duplicate_of(&app.post(&respelled).await, &first);
    }

    async fn a_retry_after_40_days_still_learns_that_the_report_was_taken(app: TestApp) {
        let first = app.post(&report("r-1")).await.expect_status(201);
        app.advance(DAY * 40);
        assert_duplicate_of(&app.post(&report("r-1")).await, &first);
    }

    async fn a_first_try_after_40_days_is_too_late(app: TestApp) {
        app.advance(DAY * 40);
        app.post(&report("r-1")).await.expect_problem(422, "occurred_too_long_ago", "occurred_at");
    }

    async fn after_the_fast_state_is_lost_a_retry_has_the_same_id_and_is_counted_once(app: TestApp) {
        let first = app.post(&report("r-1")).await.expect_status(201);
        app.forget_fast_state().await;
        let again = app.post(&report("r-1")).await.expect_status(201);
        assert_eq!((again.id(), again.string("receipt")), (first.id(), first.string("receipt")));
        let case = app.only_case().await;
        assert_eq!((case.reports, case.repeats, case.voices), (1, 0, 1));
        assert_eq!(app.get(first.id()).await.string("status"), "counted");
    }

    async fn after_a_restart_a_retry_is_still_a_duplicate(app: TestApp) {
        let first = app.post(&report("r-1")).await.expect_status(201);
        if app.engine.has_redis() {
            app.wait_until_marked().await;
        }
        app.restart().await;
        assert_duplicate_of(&app.post(&report("r-1")).await, &first);
    }

    async fn the_same_report_id_with_another_body_is_refused(app: TestApp) {
        app.post(&report("r-1")).await.expect_status(201);
        let others = [
            report("r-1").with("reporter", "0912345679"),
            report("r-1").with("sender", "0985931055"),
            report("r-1").with("channel", "call"),
            report("r-1").with("category", "scam"),
            report("r-1").with("content", "Một tin khác"),
            report("r-1").with("occurred_at", "2026-11-24T07:00:01Z"),
            report("r-1").with("money_lost", false),
            report("r-1").with("province", "01"),
        ];
        for other in &others {
            app.post(other).await.expect_problem(422, "report_id_reused", "report_id");
        }
        assert_eq!(app.only_case().await.reports, 1);
    }

    async fn a_reused_report_id_that_slips_through_is_told_as_a_conflict_and_changes_nothing(app: TestApp) {
        let first = app.post(&report("r-1")).await.expect_status(201);
        assert_eq!(app.only_case().await.reports, 1);
        app.forget_fast_state().await;
        let other = report("r-1").with("reporter", "0912345679").with("content", "Một tin khác");
        let second = app.post(&other).await.expect_status(201);
        assert_eq!(second.id(), first.id());
        let case = app.only_case().await;
        assert_eq!((case.reports, case.repeats, case.voices), (1, 0, 1));
        let found = app.get(first.id()).await.expect_status(200);
        assert_eq!((found.string("status"), found.case()), ("conflict", case.reference.as_str()));
    }

    async fn many_tries_of_one_report_at_once_are_counted_once(app: TestApp) {
        let body = report("r-1");
        let (a, b, c, d) = tokio::join!(app.post(&body), app.post(&body), app.post(&body), app.post(&body));
        for answer in [&a, &b, &c, &d] {
            assert!(matches!(answer.status, 200 | 201), "{}", answer.text);
            assert_eq!((answer.id(), answer.string("receipt")), (a.id(), a.string("receipt")));
        }
        let case = app.only_case().await;
        assert_eq!((case.reports, case.repeats, case.voices), (1, 0, 1));
    }
}
