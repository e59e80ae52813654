//! A report is taken: what the answer looks like on the wire, and what its id and receipt are.

use spamgate::domain::check_char;
use uuid::Uuid;

use crate::support::{Engine, TestApp, assert_wire, on_every_engine, report};

on_every_engine! {
    async fn a_new_report_is_answered_201_with_exactly_this(app: TestApp) {
        let answer = app.post(&report("r-1")).await;
        assert_wire!(answer.wire(), @r#"
        201
        content-length: 164
        content-type: application/json
        location: /v1/reports/[id]
        ratelimit: "carrier";r=1999;t=1
        ratelimit-policy: "carrier";q=2000;w=2

        {"id":"[id]","status":"accepted","duplicate":false,"repeat":false,"receipt":"[receipt]","received_at":"2026-11-24T08:00:00.000Z"}
        "#);
    }

    async fn a_report_that_was_taken_before_is_answered_200_with_exactly_this(app: TestApp) {
        app.post(&report("r-1")).await.expect_status(201);
        let answer = app.post(&report("r-1")).await;
        assert_wire!(answer.wire(), @r#"
        200
        content-length: 122
        content-type: application/json
        ratelimit: "carrier";r=1998;t=1
        ratelimit-policy: "carrier";q=2000;w=2

        {"id":"[id]","status":"accepted","duplicate":true,"repeat":false,"receipt":"[receipt]"}
        "#);
    }

    async fn the_id_is_a_version_8_uuid_and_location_leads_to_the_report(app: TestApp) {
        let answer = app.post(&report("r-1")).await.expect_status(201);
        let id: Uuid = answer.id().parse().unwrap();
        assert_eq!(id.get_version_num(), 8);
        assert_eq!(id.get_variant(), uuid::Variant::RFC4122);
        assert_eq!(id.hyphenated().to_string(), answer.id(), "hyphens and small letters");
        let location = answer.header("location").unwrap();
        assert_eq!(location, format!("/v1/reports/{id}"));
        let found = app.send(app.request(reqwest::Method::GET, location, Some(&app.local().api_key)), "").await;
        assert_eq!(found.expect_status(200).id(), answer.id());
    }

    async fn the_receipt_has_12_characters_and_its_check_character_fits(app: TestApp) {
        let answer = app.post(&report("r-1")).await.expect_status(201);
        let receipt = answer.string("receipt");
        assert_eq!(receipt.len(), 12);
        assert_eq!(check_char::normalize(receipt).as_deref(), Some(receipt));
    }

    async fn two_reports_have_two_ids_and_two_receipts(app: TestApp) {
        let first = app.post(&report("r-1")).await.expect_status(201);
        let second = app.post(&report("r-2")).await.expect_status(201);
        assert_ne!(first.id(), second.id());
        assert_ne!(first.string("receipt"), second.string("receipt"));
    }

    async fn a_sender_with_an_old_11_digit_number_is_taken_with_a_notice(app: TestApp) {
        let answer = app.post(&report("r-1").with("sender", "01201234567")).await;
        assert_wire!(answer.wire(), @r#"
        201
        content-length: 257
        content-type: application/json
        location: /v1/reports/[id]
        ratelimit: "carrier";r=1999;t=1
        ratelimit-policy: "carrier";q=2000;w=2

        {"id":"[id]","status":"accepted","duplicate":false,"repeat":false,"receipt":"[receipt]","received_at":"2026-11-24T08:00:00.000Z","notice":"The sender's old 11-digit number was read as the number that replaced it in 2018."}
        "#);
    }

    async fn every_optional_field_is_taken(app: TestApp) {
        let body = report("r-1")
            .with("category", "fake_news")
            .with("harm", "health")
            .with("money_lost", true)
            .with("province", "01");
        app.post(&body).await.expect_status(201);
        assert_eq!(app.only_case().await.money_lost, 1);
    }

    async fn a_field_that_is_null_is_as_good_as_left_out(app: TestApp) {
        let body = report("r-1").with("harm", serde_json::Value::Null).with("province", serde_json::Value::Null);
        app.post(&body).await.expect_status(201);
        assert!(app.post(&report("r-1")).await.expect_status(200).json["duplicate"] == true);
    }
}
