//! Nobody holds a connection by being slow. Each is closed within ten seconds, whatever it does.

use std::time::{Duration, Instant};

use tokio::io::AsyncWriteExt;

use crate::support::{Engine, Raw, TestApp, report};

/// The promise.
const CLOSED_WITHIN: Duration = Duration::from_secs(10);
/// Kept at least so long: a slow line is no attack.
const KEPT_FOR: Duration = Duration::from_secs(5);

async fn app() -> TestApp {
    TestApp::spawn(Engine::Memory).await
}

fn get(app: &TestApp) -> String {
    let key = &app.local().api_key;
    format!("GET /v1/reports/x HTTP/1.1\r\nHost: gateway\r\nAuthorization: Bearer {key}\r\n\r\n")
}

/// The head of a report; `framing` is the field that says how long its body is.
fn head_of_post(app: &TestApp, framing: &str) -> String {
    let key = &app.local().api_key;
    format!(
        "POST /v1/reports HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {key}\r\nContent-Type: application/json\r\n\
         {framing}\r\n\r\n"
    )
}

async fn expect_ended(mut raw: Raw, code: &str) {
    let (after, text) = raw.end(CLOSED_WITHIN).await;
    assert!(after >= KEPT_FOR, "{after:?}");
    assert!(text.contains(code), "{text:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_sends_nothing_or_half_a_head_is_told_and_closed() {
    let app = app().await;
    let silent = Raw::open(app.address()).await;
    let half = Raw::send_to(app.address(), "GET / HTT").await;
    let no_end = Raw::send_to(app.address(), "GET / HTTP/1.1\r\nHost: a\r\n").await;
    tokio::join!(
        expect_ended(silent, "408 Request Timeout"),
        expect_ended(half, "\"code\":\"head_timeout\""),
        expect_ended(no_end, "connection: close"),
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_head_that_comes_byte_by_byte_is_not_waited_for() {
    let app = app().await;
    let mut raw = Raw::send_to(app.address(), "GET / HTTP/1.1\r\nHost: ").await;
    let began = Instant::now();
    while raw.stream.write_all(b"a").await.is_ok() {
        assert!(began.elapsed() < CLOSED_WITHIN + Duration::from_secs(1), "it may go on for ever");
        tokio::time::sleep(Duration::from_millis(250)).await;
    }
    assert!(began.elapsed() >= KEPT_FOR);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_second_head_is_timed_like_the_first() {
    let app = app().await;
    let mut after_an_answer = Raw::send_to(app.address(), get(&app)).await;
    after_an_answer.answer().await.unwrap().expect_problem(404, "report_not_found", "");
    after_an_answer.send("GET /v1/rep").await;
    let mut in_one_go = Raw::send_to(app.address(), format!("{}GET /v1/rep", get(&app))).await;
    in_one_go.answer().await.unwrap().expect_problem(404, "report_not_found", "");
    tokio::join!(expect_ended(after_an_answer, "head_timeout"), expect_ended(in_one_go, "head_timeout"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_body_that_stops_or_drips_is_not_waited_for() {
    let app = app().await;
    let head = |framing: &str| head_of_post(&app, framing);
    let stopped = Raw::send_to(app.address(), head("Content-Length: 300") + "{").await;
    let chunked = Raw::send_to(app.address(), head("Transfer-Encoding: chunked") + "64\r\n{").await;
    let dripping = async {
        let mut raw = Raw::send_to(app.address(), head("Content-Length: 3000")).await;
        let began = Instant::now();
        while raw.stream.write_all(b" ").await.is_ok() {
            assert!(began.elapsed() < CLOSED_WITHIN + Duration::from_secs(2), "it may go on for ever");
            tokio::time::sleep(Duration::from_millis(250)).await;
        }
    };
    tokio::join!(expect_ended(stopped, "body_timeout"), expect_ended(chunked, "body_timeout"), dripping);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_body_that_comes_behind_its_head_in_pieces_is_taken_when_it_is_there() {
    let app = app().await;
    for is_behind_another in [false, true] {
        let body = report(&format!("r-{is_behind_another}")).to_string();
        let head = head_of_post(&app, &format!("Content-Length: {}", body.len()));
        for pieces in [1, 2, 5] {
            let before = if is_behind_another { get(&app) } else { String::new() };
            let mut raw = Raw::send_to(app.address(), before + &head).await;
            if is_behind_another {
                raw.answer().await.unwrap().expect_problem(404, "report_not_found", "");
            }
            let began = Instant::now();
            for piece in body.as_bytes().chunks(body.len().div_ceil(pieces)) {
                tokio::time::sleep(Duration::from_millis(50)).await;
                raw.send(piece).await;
            }
            assert!(matches!(raw.answer().await.unwrap().status, 200 | 201));
            assert!(began.elapsed() < KEPT_FOR, "it was looked at only when its time was over");
        }
    }
}

// actix reads the rest of a chunked body for as long as it comes, if its handler did not.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_body_that_nobody_wants_is_not_read_for_ever() {
    let app = app().await;
    let head = get(&app).replace("\r\n\r\n", "\r\nTransfer-Encoding: chunked\r\n\r\n");
    let id = app.post(&report("r-1")).await.expect_status(201).id().to_owned();
    let mut raw = Raw::send_to(app.address(), head.replace("reports/x", &format!("reports/{id}"))).await;
    raw.answer().await.unwrap().expect_status(200);
    let began = Instant::now();
    while raw.stream.write_all(b"1\r\n{\r\n").await.is_ok() {
        assert!(began.elapsed() < CLOSED_WITHIN + Duration::from_secs(1), "it may go on for ever");
        tokio::time::sleep(Duration::from_millis(250)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_does_not_take_the_answers_is_closed() {
    let app = app().await;
    let mut raw = Raw::open(app.address()).await;
    let many = get(&app).repeat(50);
    let mut last_taken = Instant::now();
    // The buffers fill, then the gateway stops reading, then it ends the connection, which ends the writing.
    loop {
        match tokio::time::timeout(CLOSED_WITHIN, raw.stream.write_all(many.as_bytes())).await {
            Ok(Ok(())) => last_taken = Instant::now(),
            Ok(Err(_closed)) => break,
            Err(_elapsed) => panic!("still open {:?} after it took anything", last_taken.elapsed()),
        }
    }
    assert!(last_taken.elapsed() <= CLOSED_WITHIN, "{:?}", last_taken.elapsed());
    app.get_operators("/readyz").await.expect_status(200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_waits_between_two_requests_is_kept() {
    let app = app().await;
    let mut raw = Raw::send_to(app.address(), get(&app)).await;
    raw.answer().await.unwrap();
    assert!(raw.stays_open(CLOSED_WITHIN + Duration::from_secs(1)).await);
    raw.send(get(&app)).await;
    raw.answer().await.unwrap().expect_problem(404, "report_not_found", "");
}
