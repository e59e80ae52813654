//! Many reports in one request: each line is answered in order, as it would be alone.

use reqwest::Method;
use reqwest::header::{CONTENT_ENCODING, CONTENT_TYPE};

use crate::support::{Engine, TestApp, assert_wire, on_every_engine, report, reporter, without_limits};

/// A report of a reporter of its own.
fn line(index: usize) -> String {
    report(&format!("r-{index}")).with("reporter", reporter(index)).to_string()
}

fn lines(count: usize) -> String {
    (0..count).map(|index| line(index) + "\n").collect()
}

/// The text with ids and receipts in their places.
fn without_ids(text: &str) -> String {
    let mut shown = String::new();
    for line in text.lines() {
        let json: serde_json::Value = serde_json::from_str(line).unwrap();
        let mut line = line.to_owned();
        for member in ["id", "receipt"] {
            if let Some(value) = json[member].as_str() {
                line = line.replace(value, &format!("[{member}]"));
            }
        }
        shown.push_str(&line);
        shown.push('\n');
    }
    shown
}

on_every_engine! {
    async fn each_line_is_answered_in_order_with_exactly_this(app: TestApp) {
        let renumbered = report("r-2").with("reporter", reporter(2)).with("sender", "01201234567");
        let body = format!("{}\n{{\"report_id\":\n{}\n{}\n{renumbered}", line(0), line(0), line(1));
        let answer = app.post_batch(body).await;
        assert_eq!(answer.headers["content-type"], "application/x-ndjson");
        assert_eq!(answer.headers["ratelimit-policy"], "\"carrier\";q=2000;w=2");
        assert_eq!(answer.headers["ratelimit"], "\"carrier\";r=1999;t=1");
        assert_wire!(without_ids(&answer.text), @r#"
        {"line":1,"status":201,"id":"[id]","duplicate":false,"repeat":false,"receipt":"[receipt]","received_at":"2026-11-24T08:00:00.000Z"}
        {"line":2,"status":400,"problem":{"type":"about:blank","title":"Bad Request","status":400,"code":"invalid_json","detail":"This line is not valid JSON: look at column 13."}}
        {"line":3,"status":200,"id":"[id]","duplicate":true,"repeat":false,"receipt":"[receipt]"}
        {"line":4,"status":201,"id":"[id]","duplicate":false,"repeat":false,"receipt":"[receipt]","received_at":"2026-11-24T08:00:00.000Z"}
        {"line":5,"status":201,"id":"[id]","duplicate":false,"repeat":false,"receipt":"[receipt]","received_at":"2026-11-24T08:00:00.000Z","notice":"The sender's old 11-digit number was read as the number that replaced it in 2018."}
        "#);
    }

    async fn the_ids_are_those_of_single_reports_and_both_ways_know_each_other(app: TestApp) {
        let single = app.post(&report("r-0").with("reporter", reporter(0))).await.expect_status(201);
        let answer = app.post_batch(lines(2)).await;
        assert_eq!(answer.statuses(), [200, 201]);
        assert_eq!(answer.lines[0]["id"], single.id());
        assert_eq!(answer.lines[0]["receipt"], single.string("receipt"));
        assert_eq!(answer.lines[0]["duplicate"], true);
        let again = app.post(&report("r-1").with("reporter", reporter(1))).await.expect_status(200);
        assert_eq!(answer.lines[1]["id"], again.id());
        let case = app.only_case().await;
        assert_eq!((case.reports, case.voices, case.carrier_api, case.carrier_batch), (2, 2, 1, 1));
    }

    async fn a_whole_batch_sent_again_is_known_line_by_line(app: TestApp) {
        let first = app.post_batch(lines(300)).await;
        assert_eq!(first.statuses(), [201; 300]);
        let again = app.post_batch(lines(300)).await;
        assert_eq!(again.statuses(), [200; 300]);
        for (first, again) in first.lines.iter().zip(&again.lines) {
            assert_eq!((&first["id"], &first["receipt"]), (&again["id"], &again["receipt"]));
        }
        let case = app.only_case().await;
        assert_eq!((case.reports, case.repeats, case.voices), (300, 0, 300));
        assert_eq!(app.journal_rows(), 300);
    }

    // Fails when bad lines are answered before good ones that still wait for the disk.
    async fn bad_lines_harm_no_others_and_keep_their_place(engine: Engine) {
        let app = TestApp::spawn_with(engine, without_limits).await;
        let bad = |index: usize| match index % 5 {
            0 => "nonsense".to_owned(),
            1 => report(&format!("r-{index}")).without("content").to_string(),
            2 => "[1]".to_owned(),
            3 => report(&format!("r-{index}")).with("reporter", "02432321234").to_string(),
            _ => line(index).replace("r-", "r-\u{0}"),
        };
        let body: String = (0..1_200).map(|index| if index % 3 == 0 { line(index) } else { bad(index) } + "\n").collect();
        let answer = app.post_batch(body).await;
        assert_eq!(answer.lines.len(), 1_200);
        for (index, line) in answer.lines.iter().enumerate() {
            assert_eq!(line["line"], index + 1);
            assert_eq!(line["status"] == 201, index % 3 == 0, "{line}");
        }
        assert_eq!(app.journal_rows(), 400);
    }

    async fn a_line_says_what_is_wrong_with_it_as_a_single_report_would(app: TestApp) {
        let mut body = Vec::new();
        let wrong: [&[u8]; 9] = [
            line(0).replace("r-0", "r-\u{0}0").as_bytes(),
            line(0).replace("Nhận", "Nh\\u0000n").as_bytes(),
            b"{\"report_id\": \"r-\xff\"}",
            b"null",
            b"[{}]",
            report("r-0").with("color", "red").to_string().as_bytes(),
            report("r-0").without("sender").to_string().as_bytes(),
            format!("{}{}", line(0), line(0)).as_bytes(),
            format!("\u{feff}{}", line(0)).as_bytes(),
        ]
        .map(|line| line.to_vec().leak() as &[u8]);
        for line in wrong {
            body.extend_from_slice(line);
            body.push(b'\n');
        }
        body.extend_from_slice(line(0).as_bytes());
        let answer = app.post_batch(body).await;
        assert_eq!(answer.problems(), [
            (1, "invalid_json", ""),
            (2, "text_has_nul", "content"),
            (3, "invalid_json", ""),
            (4, "not_an_object", ""),
            (5, "not_an_object", ""),
            (6, "unknown_field", "color"),
            (7, "missing_field", "sender"),
            (8, "invalid_json", ""),
            (9, "invalid_json", ""),
        ]);
        assert_eq!(answer.lines[9]["status"], 201);
    }

    async fn lines_may_end_with_cr_lf_and_the_last_one_with_nothing(app: TestApp) {
        let answer = app.post_batch(format!("{}\r\n{}\r\n{}", line(0), line(1), line(2))).await;
        assert_eq!(answer.statuses(), [201; 3]);
    }

    async fn empty_lines_are_counted_and_not_answered(app: TestApp) {
        let answer = app.post_batch(format!("\n  \r\n{}\n\n\t\n{}\n\n", line(0), line(1))).await;
        let numbers: Vec<u64> = answer.lines.iter().map(|line| line["line"].as_u64().unwrap()).collect();
        assert_eq!(numbers, [3, 6]);
        assert_eq!(app.post_batch("").await.lines.len(), 0);
        assert_eq!(app.post_batch("\n\n \n").await.lines.len(), 0);
    }

    // Fails when lines of one batch are not compared with each other: 201 twice for one report.
    async fn one_report_id_twice_in_a_batch_is_a_duplicate_or_reused(app: TestApp) {
        let other = report("r-1").with("reporter", reporter(1)).with("category", "scam");
        let answer = app.post_batch(format!("{}\n{}\n{}\n{other}\n{}\n", line(0), line(1), line(0), line(2))).await;
        assert_eq!(answer.statuses(), [201, 201, 200, 422, 201]);
        assert_eq!(answer.problems(), [(4, "report_id_reused", "report_id")]);
        assert_eq!(answer.lines[0]["id"], answer.lines[2]["id"]);
        assert_eq!(app.journal_rows(), 3);
    }

    async fn the_carriers_day_is_taken_line_by_line(engine: Engine) {
        let app = TestApp::spawn_with(engine, |config| config.limits.carrier_per_day = 3).await;
        let answer = app.post_batch(lines(5)).await;
        assert_eq!(answer.statuses(), [201, 201, 201, 429, 429]);
        assert_eq!(answer.problems(), [(4, "carrier_day_quota_exceeded", ""), (5, "carrier_day_quota_exceeded", "")]);
        assert_eq!(app.journal_rows(), 3);
        app.get("x").await.expect_problem(429, "carrier_day_quota_exceeded", "");
    }

    async fn the_carriers_limit_is_taken_line_by_line(engine: Engine) {
        let app = TestApp::spawn_with(engine, |config| {
            config.limits.carrier_burst = 3.try_into().unwrap();
            config.limits.carrier_per_second = 1.try_into().unwrap();
        })
        .await;
        let answer = app.post_batch(lines(5)).await;
        assert_eq!(answer.statuses(), [201, 201, 201, 429, 429]);
        assert_eq!(answer.problems(), [(4, "carrier_rate_limited", ""), (5, "carrier_rate_limited", "")]);
        assert_eq!(answer.lines[4]["problem"]["retry_after_s"], 1);
        let request = app.request(Method::POST, "/v1/reports/batch", Some(&app.local().api_key));
        let request = request.header(CONTENT_TYPE, "application/x-ndjson").body(lines(5));
        app.send(request, "").await.expect_problem(429, "carrier_rate_limited", "");
        app.advance(std::time::Duration::from_secs(2));
        assert_eq!(app.post_batch(lines(5)).await.statuses(), [200, 200, 429, 429, 429]);
    }

    async fn a_reporters_day_is_taken_line_by_line_and_not_for_duplicates(engine: Engine) {
        let app = TestApp::spawn_with(engine, |config| config.limits.reporter_per_day = 2.try_into().unwrap()).await;
        let of_one = |id: &str, text: &str| report(id).with("content", text).to_string() + "\n";
        let body = of_one("a", "một") + &of_one("a", "một") + &of_one("b", "hai") + &of_one("c", "ba") + &line(7);
        let answer = app.post_batch(body).await;
        assert_eq!(answer.statuses(), [201, 200, 201, 429, 201]);
        assert_eq!(answer.problems(), [(4, "reporter_quota_exceeded", "reporter")]);
    }

    async fn a_batch_of_another_media_type_or_compressed_is_refused(app: TestApp) {
        for media_type in ["application/json", "text/plain", "", "application/ndjson"] {
            let request = app.request(Method::POST, "/v1/reports/batch", Some(&app.local().api_key));
            let answer = app.send(request.header(CONTENT_TYPE, media_type).body(lines(1)), "").await;
            let answer = answer.expect_problem(415, "content_type_not_supported", "");
            assert!(answer.header("ratelimit").is_some());
        }
        for encoding in ["gzip", "br"] {
            let request = app.request(Method::POST, "/v1/reports/batch", Some(&app.local().api_key));
            let request = request.header(CONTENT_TYPE, "application/x-ndjson").header(CONTENT_ENCODING, encoding);
            let answer = app.send(request.body("\u{1f}\u{8b}"), "").await;
            answer.expect_problem(415, "content_encoding_not_supported", "");
        }
        assert_eq!(app.journal_rows(), 0);
    }

    async fn a_batch_needs_a_key_and_post(app: TestApp) {
        let request = app.request(Method::POST, "/v1/reports/batch", None);
        let request = request.header(CONTENT_TYPE, "application/x-ndjson").body(lines(1));
        app.send(request, "").await.expect_problem(401, "api_key_missing", "");
        let answer = app.send(app.request(Method::GET, "/v1/reports/batch", Some(&app.local().api_key)), "").await;
        assert_eq!(answer.expect_problem(405, "method_not_allowed", "").header("allow"), Some("POST"));
    }

    // Fails when answers wait for the end of the body.
    async fn a_line_is_answered_before_the_next_one_is_sent(app: TestApp) {
        let mut batch = app.begin_batch().await;
        for index in 0..3 {
            assert!(batch.send(&(line(index) + "\n")).await);
            let answers = batch.answers(index + 1).await;
            assert_eq!(answers[index]["status"], 201);
        }
        let (half, other_half) = (line(3)[..150].to_owned(), line(3)[150..].to_owned());
        assert!(batch.send(&half).await);
        assert!(batch.send(&other_half).await);
        batch.end().await;
        assert_eq!(batch.answers(4).await[3]["status"], 201);
    }
}
