//! Every field that has to be mended is named, with a code and a sentence, and no value is said back.

use crate::support::{Engine, ReportBody, TestApp, assert_wire, on_every_engine, report};

/// Sends reports that must be refused and sees that nothing was kept of them.
async fn assert_refused(app: &TestApp, cases: &[(ReportBody, &str, &str)]) {
    for (body, code, field) in cases {
        app.post(body).await.expect_problem(422, code, field);
    }
    assert_eq!(app.journal_rows(), 0, "a refused report is not kept");
}

on_every_engine! {
    async fn a_sender_with_a_letter_in_its_number_is_refused_with_exactly_this(app: TestApp) {
        let answer = app.post(&report("r-1").with("sender", "098593l054")).await;
        assert!(!answer.text.contains("098593") && !answer.text.contains("l054"));
        assert_wire!(answer.wire(), @r#"
        422
        content-length: 211
        content-type: application/problem+json
        ratelimit: "carrier";r=1999;t=1
        ratelimit-policy: "carrier";q=2000;w=2

        {"type":"about:blank","title":"Unprocessable Entity","status":422,"code":"number_has_letter","detail":"Write the number without letters; check for l or I in place of 1 and for O in place of 0.","field":"sender"}
        "#);
    }

    async fn a_sender_that_is_no_sender_is_refused(app: TestApp) {
        let from = |sender: &str| report("r-1").with("sender", sender);
        assert_refused(&app, &[
            (from("O985931054"), "number_has_letter", "sender"),
            (from("0985931054 ext 12"), "number_has_extension", "sender"),
            (from(""), "sender_empty", "sender"),
            (from("  "), "sender_empty", "sender"),
            (from("VIET\u{0}TEL"), "sender_has_control_character", "sender"),
            (from("VIET\nTEL"), "sender_has_control_character", "sender"),
            (from(&"x".repeat(65)), "sender_too_long", "sender"),
        ])
        .await;
    }

    async fn a_reporter_has_to_be_a_mobile_number_of_the_country(app: TestApp) {
        let by = |reporter: &str| report("r-1").with("reporter", reporter);
        assert_refused(&app, &[
            (by("02432321234"), "number_not_mobile", "reporter"),
            (by("19001234"), "number_not_mobile", "reporter"),
            (by("+14155552671"), "number_foreign", "reporter"),
            (by("+447912345678"), "number_foreign", "reporter"),
            (by("098593105"), "number_invalid", "reporter"),
            (by("09859310544"), "number_invalid", "reporter"),
            (by("156"), "number_invalid", "reporter"),
            (by("098593l054"), "number_has_letter", "reporter"),
            (by("0985/931054"), "number_has_forbidden_character", "reporter"),
            (by("hidden"), "number_has_letter", "reporter"),
            (by(""), "number_empty", "reporter"),
            (by(&"0".repeat(33)), "number_too_long", "reporter"),
        ])
        .await;
    }

    async fn a_reporter_with_an_old_11_digit_number_is_told_the_new_one(app: TestApp) {
        let answer = app.post(&report("r-1").with("reporter", "01201234567")).await;
        assert_wire!(answer.text, @r#"{"type":"about:blank","title":"Unprocessable Entity","status":422,"code":"number_renumbered","detail":"This 11-digit number was replaced in 2018: use 0701234567.","field":"reporter"}"#);
        app.post(&report("r-1").with("reporter", "0701234567")).await.expect_status(201);
    }

    async fn a_missing_field_is_named(app: TestApp) {
        let required = ["report_id", "reporter", "sender", "channel", "category", "occurred_at"];
        let cases = required.map(|field| (report("r-1").without(field), "missing_field", field));
        assert_refused(&app, &cases).await;
        let nulls = required.map(|field| (report("r-1").with(field, serde_json::Value::Null), "missing_field", field));
        assert_refused(&app, &nulls).await;
    }

    async fn an_sms_needs_its_text(app: TestApp) {
        let said = |text: &str| report("r-1").with("content", text);
        assert_refused(&app, &[
            (report("r-1").without("content"), "content_missing", "content"),
            (said(""), "content_missing", "content"),
            (said(" \n\t "), "content_missing", "content"),
            (said("\u{200b}\u{2060}"), "content_missing", "content"),
        ])
        .await;
    }

    async fn a_text_may_have_4000_characters(app: TestApp) {
        let said = |text: String| report("r-1").with("content", text);
        assert_refused(&app, &[
            (said("ắ".repeat(4_001)), "content_too_long", "content"),
            (said("x".repeat(4_001)), "content_too_long", "content"),
            (said("a\u{0}b".to_owned()), "text_has_nul", "content"),
        ])
        .await;
        app.post(&said("ắ".repeat(4_000))).await.expect_status(201);
    }

    async fn a_field_that_does_not_exist_is_named(app: TestApp) {
        assert_refused(&app, &[
            (report("r-1").with("reporter_number", "x"), "unknown_field", "reporter_number"),
            (report("r-1").with("Sender", "x"), "unknown_field", "Sender"),
            (report("r-1").with("a`, expected b", 1), "unknown_field", "a`, expected b"),
            (report("r-1").with("", 1), "unknown_field", ""),
        ])
        .await;
        let long = "x".repeat(1_000);
        app.post(&report("r-1").with(&long, 1)).await.expect_problem(422, "unknown_field", &long[..64]);
    }

    async fn a_field_that_stands_there_twice_is_named(app: TestApp) {
        for field in ["reporter", "content", "money_lost"] {
            let value = if field == "money_lost" { "true" } else { "\"x\"" };
            let body = format!("{{\"{field}\":{value},\"{field}\":{value}}}");
            app.post_text(&body).await.expect_problem(422, "duplicate_field", field);
        }
    }

    async fn a_field_of_the_wrong_type_is_named_and_its_value_is_not_said_back(app: TestApp) {
        assert_refused(&app, &[
            (report("r-1").with("reporter", 84_912_345_678_i64), "wrong_type", "reporter"),
            (report("r-1").with("sender", 985_931_054), "wrong_type", "sender"),
            (report("r-1").with("content", vec!["Gọi 0985931054"]), "wrong_type", "content"),
            (report("r-1").with("report_id", true), "wrong_type", "report_id"),
            (report("r-1").with("occurred_at", 1_700_000_000_000_i64), "wrong_type", "occurred_at"),
            (report("r-1").with("money_lost", "0985931054"), "wrong_type", "money_lost"),
            (report("r-1").with("money_lost", 1), "wrong_type", "money_lost"),
            (report("r-1").with("province", serde_json::json!({"code": "01"})), "wrong_type", "province"),
        ])
        .await;
    }

    async fn a_word_outside_its_list_is_refused_with_the_list(app: TestApp) {
        let answer = app.post(&report("r-1").with("category", "opinion")).await;
        assert_wire!(answer.text, @r#"{"type":"about:blank","title":"Unprocessable Entity","status":422,"code":"unknown_value","detail":"Set `category` to one of: `spam`, `scam`, `fake_news`.","field":"category"}"#);
        assert_refused(&app, &[
            (report("r-1").with("channel", "SMS"), "unknown_value", "channel"),
            (report("r-1").with("channel", "mms"), "unknown_value", "channel"),
            (report("r-1").with("category", "fake news"), "unknown_value", "category"),
            (report("r-1").with("category", "fake_news").with("harm", "fear"), "unknown_value", "harm"),
        ])
        .await;
    }

    async fn harm_belongs_to_fake_news(app: TestApp) {
        for (index, harm) in ["health", "disaster", "finance", "impersonated_authority", "other"].iter().enumerate() {
            let body = report(&format!("r-{index}")).with("category", "fake_news").with("harm", *harm);
            app.post(&body).await.expect_status(201);
        }
        for category in ["spam", "scam"] {
            let body = report("r-9").with("category", category).with("harm", "health");
            app.post(&body).await.expect_problem(422, "harm_not_applicable", "harm");
        }
    }

    async fn a_province_is_a_code_of_the_list(app: TestApp) {
        let in_province = |code: &str| report("r-1").with("province", code);
        assert_refused(&app, &[
            (in_province("02"), "unknown_province", "province"),
            (in_province("1"), "unknown_province", "province"),
            (in_province("Hà Nội"), "unknown_province", "province"),
            (in_province(""), "unknown_province", "province"),
        ])
        .await;
        app.post(&in_province("96")).await.expect_status(201);
    }

    async fn a_report_id_has_1_to_64_printable_characters(app: TestApp) {
        assert_refused(&app, &[
            (report(""), "invalid_report_id", "report_id"),
            (report("a b"), "invalid_report_id", "report_id"),
            (report("é"), "invalid_report_id", "report_id"),
            (report("a\u{0}"), "invalid_report_id", "report_id"),
            (report(&"x".repeat(65)), "invalid_report_id", "report_id"),
        ])
        .await;
        app.post(&report(&"x".repeat(64))).await.expect_status(201);
        app.post(&report("~!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}")).await.expect_status(201);
    }

    async fn a_time_is_rfc_3339_with_an_offset(app: TestApp) {
        let at = |time: &str| report("r-1").with("occurred_at", time);
        assert_refused(&app, &[
            (at("2026-11-24T08:00:00"), "invalid_time", "occurred_at"),
            (at("2026-11-24"), "invalid_time", "occurred_at"),
            (at("1764000000"), "invalid_time", "occurred_at"),
            (at("2026-02-30T08:00:00Z"), "invalid_time", "occurred_at"),
            (at("yesterday"), "invalid_time", "occurred_at"),
            (at(""), "invalid_time", "occurred_at"),
        ])
        .await;
    }

    async fn a_report_may_lie_5_minutes_ahead_and_30_days_back_and_no_more(app: TestApp) {
        let (ahead_max, back_max) = (5 * 60, -30 * 24 * 60 * 60);
        let at = |id: &str, seconds: i64| report(id).with("occurred_at", app.in_seconds(seconds));
        assert_refused(&app, &[
            (at("r-1", ahead_max + 1), "occurred_in_future", "occurred_at"),
            (at("r-1", back_max - 1), "occurred_too_long_ago", "occurred_at"),
        ])
        .await;
        app.post(&at("r-1", ahead_max)).await.expect_status(201);
        app.post(&at("r-2", back_max)).await.expect_status(201);
    }
}
