//! Requests that are wrong before any field is read: their bodies, media types, paths and methods.

use std::time::Duration;

use reqwest::Method;
use reqwest::header::{CONTENT_ENCODING, CONTENT_TYPE};

use crate::support::{Engine, TestApp, assert_wire, on_every_engine, report};

/// `server.body_max_bytes` of the defaults.
const BODY_MAX_BYTES: usize = 65_536;

/// How soon after a refusal a connection with an unfinished body ends.
const ENDS_WITHIN: Duration = Duration::from_secs(10);

/// A good report, made this long by spaces that mean nothing.
fn report_of_bytes(length: usize) -> String {
    let body = report("r-1").to_string();
    let spaces = " ".repeat(length - body.len());
    format!("{body}{spaces}")
}

on_every_engine! {
    async fn a_body_that_is_no_json_is_refused_with_the_place(app: TestApp) {
        let answer = app.post_text("{\n  \"reporter\": \"0912345678\",\n  sender\n}").await;
        assert_wire!(answer.text, @r#"{"type":"about:blank","title":"Bad Request","status":400,"code":"invalid_json","detail":"The body is not valid JSON: look at line 3, column 3."}"#);
        let good = report("r-1").to_string();
        let bodies = [
            "",
            " ",
            "{",
            "nonsense",
            "'x'",
            "NaN",
            &good[..good.len() - 1],
            &format!("{good}{good}"),
            &format!("\u{feff}{good}"),
            &good.replace("r-1", "r-\\ud800"),
            &good.replace("r-1", "r-\n1"),
        ];
        for body in bodies {
            app.post_text(body).await.expect_problem(400, "invalid_json", "");
        }
        assert_eq!(app.journal_rows(), 0);
    }

    async fn a_body_that_is_not_utf_8_is_no_json(app: TestApp) {
        let mut body = report("r-1").to_string().into_bytes();
        let end = body.len() - 2;
        body[end] = 0xff;
        let request = app.request(Method::POST, "/v1/reports", Some(&app.local().api_key));
        let request = request.header(CONTENT_TYPE, "application/json").body(body);
        app.send(request, "").await.expect_problem(400, "invalid_json", "");
    }

    async fn a_body_that_is_no_object_is_refused(app: TestApp) {
        for body in ["null", "true", "12", "\"0912345678\"", "[]"] {
            app.post_text(body).await.expect_problem(422, "not_an_object", "");
        }
    }

    // Fails when a JSON array is read as the fields of a report in their order.
    async fn the_fields_in_a_row_without_their_names_are_no_report(app: TestApp) {
        app.post_text("[{}]").await.expect_problem(422, "not_an_object", "");
        let body = r#"["r-1","0912345678","0985931054","sms","spam","Vay","2026-11-24T07:00:00Z",null,null,null]"#;
        app.post_text(body).await.expect_problem(422, "not_an_object", "");
        assert_eq!(app.journal_rows(), 0);
    }

    async fn deep_nesting_is_refused(app: TestApp) {
        let deep = "[".repeat(10_000);
        let closed = format!("{deep}{}", "]".repeat(10_000));
        let objects = "{\"reporter\":".repeat(5_000);
        for body in [
            deep.clone(),
            closed.clone(),
            objects,
            format!("{{\"reporter\":{deep}"),
            format!("{{\"reporter\":{closed}}}"),
            format!("{{\"unknown\":{closed}}}"),
        ] {
            let answer = app.post_text(&body).await;
            assert!(matches!(answer.status, 400 | 422), "{}", answer.text);
        }
        app.post(&report("r-1")).await.expect_status(201);
    }

    async fn a_body_of_64_kib_is_taken_and_one_byte_more_is_not(app: TestApp) {
        let longest = report_of_bytes(BODY_MAX_BYTES);
        app.post_text(&longest).await.expect_status(201);
        let length = format!("Content-Length: {}", BODY_MAX_BYTES + 1);
        let answer = app.post_raw(&[&length], "", false).await.expect("an answer before the body");
        let answer = answer.expect_problem(413, "body_too_large", "");
        assert_wire!(answer.text, @r#"{"type":"about:blank","title":"Payload Too Large","status":413,"code":"body_too_large","detail":"Send a body of at most 65536 bytes."}"#);
    }

    async fn a_chunked_body_of_more_than_64_kib_is_refused(app: TestApp) {
        let body = report_of_bytes(BODY_MAX_BYTES + 1);
        let chunk = format!("{:x}\r\n{body}", body.len());
        let answer = app.post_raw(&["Transfer-Encoding: chunked"], &chunk, false).await.expect("an answer");
        answer.expect_problem(413, "body_too_large", "");
        assert_eq!(app.journal_rows(), 0);
    }

    async fn a_chunked_body_of_64_kib_is_taken(app: TestApp) {
        let body = report_of_bytes(BODY_MAX_BYTES);
        let chunks = format!("{:x}\r\n{body}\r\n0\r\n\r\n", body.len());
        let answer = app.post_raw(&["Transfer-Encoding: chunked"], &chunks, false).await.expect("an answer");
        answer.expect_status(201);
    }

    async fn a_compressed_body_is_refused(app: TestApp) {
        for encoding in ["gzip", "br", "deflate", "gzip, identity"] {
            let request = app.request(Method::POST, "/v1/reports", Some(&app.local().api_key));
            let request = request.header(CONTENT_TYPE, "application/json").header(CONTENT_ENCODING, encoding);
            let answer = app.send(request.body("\u{1f}\u{8b}\u{8}"), "").await;
            answer.expect_problem(415, "content_encoding_not_supported", "");
        }
    }

    async fn a_body_of_another_media_type_is_refused(app: TestApp) {
        for media_type in ["text/plain", "application/x-www-form-urlencoded", "application/json-seq", "", "json"] {
            let request = app.request(Method::POST, "/v1/reports", Some(&app.local().api_key));
            let request = request.header(CONTENT_TYPE, media_type).body(report("r-1").to_string());
            app.send(request, "").await.expect_problem(415, "content_type_not_supported", "");
        }
        let request = app.request(Method::POST, "/v1/reports", Some(&app.local().api_key));
        let untyped = app.send(request.body(report("r-1").to_string()), "").await;
        untyped.expect_problem(415, "content_type_not_supported", "");
    }

    async fn the_media_type_may_have_a_parameter_and_capitals(app: TestApp) {
        let request = app.request(Method::POST, "/v1/reports", Some(&app.local().api_key));
        let request = request.header(CONTENT_TYPE, "Application/JSON; charset=utf-8").body(report("r-1").to_string());
        app.send(request, "").await.expect_status(201);
    }

    async fn an_address_that_does_not_exist_is_404(app: TestApp) {
        for path in ["/v1", "/v1/reports/", "/v1/reports/x/y", "/v2/reports", "/healthz", "/metrics", "/readyz"] {
            let request = app.request(Method::GET, path, Some(&app.local().api_key));
            app.send(request, "").await.expect_problem(404, "not_found", "");
        }
    }

    async fn another_method_is_405_with_those_that_are_allowed(app: TestApp) {
        for (path, allowed) in [("/v1/reports", "POST"), ("/v1/reports/x", "GET")] {
            for method in [Method::PUT, Method::DELETE, Method::PATCH, Method::OPTIONS] {
                let answer = app.send(app.request(method, path, Some(&app.local().api_key)), "").await;
                assert_eq!(answer.expect_problem(405, "method_not_allowed", "").header("allow"), Some(allowed));
            }
        }
        app.send(app.request(Method::GET, "/v1/reports", None), "").await.expect_problem(405, "method_not_allowed", "");
    }

    async fn a_body_that_does_not_come_in_time_is_given_up(engine: Engine) {
        let app = TestApp::spawn_with(engine, |config| config.server.body_timeout_ms = 100).await;
        let body = report("r-1").to_string();
        let length = format!("Content-Length: {}", body.len());
        let answer = app.post_raw(&[&length], &body[..body.len() / 2], false).await.expect("an answer");
        let answer = answer.expect_problem(408, "body_timeout", "");
        assert!(answer.header("ratelimit").is_some());
        app.post(&report("r-1")).await.expect_status(201);
    }

    async fn after_a_refusal_the_rest_of_a_body_of_known_length_is_not_waited_for(engine: Engine) {
        let app = TestApp::spawn_with(engine, |config| config.server.body_timeout_ms = 100).await;
        for length in ["Content-Length: 300", "Content-Length: 65537"] {
            assert!(app.ends_raw_within(ENDS_WITHIN, &[length], "{").await, "{length}");
        }
    }

    // Fails when the connection stays open for good: whoever sends half a chunk holds a place, with or without a key.
    async fn after_a_refusal_the_rest_of_a_chunked_body_is_not_waited_for(engine: Engine) {
        let app = TestApp::spawn_with(engine, |config| config.server.body_timeout_ms = 100).await;
        let too_long = format!("{:x}\r\n{}", BODY_MAX_BYTES + 1, " ".repeat(BODY_MAX_BYTES + 1));
        for body in ["100\r\n{", &too_long] {
            assert!(app.ends_raw_within(ENDS_WITHIN, &["Transfer-Encoding: chunked"], body).await);
        }
    }

    async fn half_a_body_and_then_nothing_is_not_taken(app: TestApp) {
        let body = report("r-1").to_string();
        let length = format!("Content-Length: {}", body.len());
        let answer = app.post_raw(&[&length], &body[..body.len() / 2], true).await;
        if let Some(answer) = answer {
            answer.expect_problem(400, "body_incomplete", "");
        }
        assert_eq!(app.journal_rows(), 0);
        app.post(&report("r-1")).await.expect_status(201);
    }

    async fn a_connection_closed_in_the_middle_of_a_body_harms_nobody(app: TestApp) {
        for _ in 0..20 {
            let request = app.post_raw(&["Content-Length: 300"], "{\"reporter\":", false);
            assert!(tokio::time::timeout(Duration::from_millis(5), request).await.is_err(), "no answer was due");
        }
        app.post(&report("r-1")).await.expect_status(201);
        assert_eq!(app.journal_rows(), 1);
    }
}
