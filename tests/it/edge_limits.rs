//! How many requests and connections there may be, and who has to wait when there are too many.

use std::time::Duration;

use crate::support::{Carrier, Engine, GatewayProcess, Raw, TestApp, report, wait_until};

/// Longer than anything here takes.
const PATIENCE: Duration = Duration::from_secs(20);

fn get(app: &TestApp) -> String {
    let key = &app.local().api_key;
    format!("GET /v1/reports/x HTTP/1.1\r\nHost: gateway\r\nAuthorization: Bearer {key}\r\n\r\n")
}

/// A request that a handler has, because its body does not come.
async fn held(app: &TestApp) -> Raw {
    held_by(app, app.local()).await
}

async fn held_by(app: &TestApp, carrier: &Carrier) -> Raw {
    let key = &carrier.api_key;
    let head = format!(
        "POST /v1/reports HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {key}\r\nContent-Type: application/json\r\nContent-Length: 9\r\n\r\n"
    );
    Raw::send_to(app.address(), head).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_ends_with_its_last_request_and_says_so_in_time() {
    let app = TestApp::spawn_with(Engine::Memory, |config| config.server.connection_requests_max = 3).await;
    let mut raw = Raw::open(app.address()).await;
    for last in [false, false, true] {
        raw.send(get(&app)).await;
        let answer = raw.answer().await.unwrap();
        assert_eq!(answer.header("connection") == Some("close"), last);
    }
    raw.end(PATIENCE).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_ends_at_its_age_with_an_answer() {
    let app = TestApp::spawn_with(Engine::Memory, |config| config.server.connection_age_max_s = 1).await;
    let mut raw = Raw::open(app.address()).await;
    let mut answers = 0;
    wait_until("an answer announces the end", PATIENCE, async || {
        raw.send(get(&app)).await;
        answers += 1;
        raw.answer().await.unwrap().header("connection") == Some("close")
    })
    .await;
    assert!(answers > 1, "not with the first");
    raw.end(PATIENCE).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_address_has_its_share_of_connections_but_not_a_trusted_proxy() {
    let app = TestApp::spawn_with(Engine::Memory, |config| config.server.connections_max_per_address = 2).await;
    let mut one = Raw::send_to(app.address(), get(&app)).await;
    let mut two = Raw::send_to(app.address(), get(&app)).await;
    one.answer().await.unwrap();
    two.answer().await.unwrap();
    let mut three = Raw::open(app.address()).await;
    three.answer().await.unwrap().expect_problem(503, "too_many_connections", "");
    three.end(PATIENCE).await;
    drop(one);
    wait_until("its place is free again", PATIENCE, async || {
        let mut four = Raw::send_to(app.address(), get(&app)).await;
        four.answer().await.is_some_and(|answer| answer.status == 404)
    })
    .await;

    let behind_a_proxy = TestApp::spawn_with(Engine::Memory, |config| {
        config.server.connections_max_per_address = 2;
        config.server.trusted_proxies = vec!["127.0.0.0/8".parse().unwrap()];
    })
    .await;
    let mut open = Vec::new();
    for _ in 0..9 {
        let mut raw = Raw::send_to(behind_a_proxy.address(), get(&behind_a_proxy)).await;
        raw.answer().await.unwrap().expect_problem(404, "report_not_found", "");
        open.push(raw);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn when_it_is_crowded_reads_wait_first_then_reports_and_health_never() {
    let app = TestApp::spawn_with(Engine::Memory, |config| {
        config.server.reads_shed_from_per_worker = 1;
        config.server.requests_max_per_worker = 2;
    })
    .await;
    let other = app.add_carrier("other");
    let first = held(&app).await;
    wait_until("reads are refused", PATIENCE, async || app.get("x").await.status == 503).await;
    let refused = app.get("x").await.expect_problem(503, "overloaded", "");
    assert_eq!(refused.retry_after_s(), 1);
    app.post(&report("r-1")).await.expect_status(201);

    let second = held_by(&app, &other).await;
    wait_until("reports are refused too", PATIENCE, async || app.post(&report("r-2")).await.status == 503).await;
    app.post(&report("r-2")).await.expect_problem(503, "overloaded", "");
    for path in ["/healthz", "/readyz", "/metrics"] {
        app.get_operators(path).await.expect_status(200);
    }
    let metrics = app.get_operators("/metrics").await.text;
    assert!(metrics.contains("code=\"overloaded\""), "{metrics}");

    drop((first, second));
    wait_until("there is room again", PATIENCE, async || app.get("x").await.status == 404).await;
    app.post(&report("r-2")).await.expect_status(201);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_carrier_whose_bodies_do_not_come_takes_no_places_of_others() {
    let app = TestApp::spawn_with(Engine::Memory, |config| config.server.requests_max_per_worker = 8).await;
    let other = app.add_carrier("other");
    // A quarter of the places is two; which of the three comes last is open.
    let (mut a, mut b, mut c) = (held(&app).await, held(&app).await, held(&app).await);
    let refused = tokio::select! {
        answer = a.answer() => answer,
        answer = b.answer() => answer,
        answer = c.answer() => answer,
    };
    let refused = refused.expect("an answer").expect_problem(503, "too_many_bodies", "");
    assert_eq!(refused.retry_after_s(), 1);
    for _ in 0..20 {
        held(&app).await.answer().await.expect("an answer").expect_problem(503, "too_many_bodies", "");
    }
    for number in 0..3 {
        app.post_as(&other, &report(&format!("r-{number}"))).await.expect_status(201);
    }
    // Nor are its own refused whose body comes with the head.
    app.post(&report("r-1")).await.expect_status(201);
    app.get("x").await.expect_status(404);
    drop((a, b, c));
    wait_until("there is room again", PATIENCE, async || {
        let mut raw = held(&app).await;
        raw.send(" ".repeat(9)).await;
        raw.answer().await.expect("an answer").json["code"] == "invalid_json"
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_query_or_a_malformed_request_holds_is_in_no_log() {
    const SECRET: &str = "0912345678";
    let mut gateway = GatewayProcess::spawn(&[("SPAMGATE__LOG__LEVEL", "debug")]);
    let url = gateway.url().await;
    let address = url.strip_prefix("http://").unwrap().parse().unwrap();
    let key = gateway.api_key();
    let query = format!("?from={SECRET}&content={SECRET}");
    for request in [
        format!("GET /v1/reports/x{query} HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {key}\r\n\r\n"),
        format!("POST /v1/reports{query} HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n"),
        format!("GET /nowhere{query} HTTP/1.1\r\nHost: a\r\n\r\n"),
        format!("PUT /v1/reports{query} HTTP/1.1\r\nHost: a\r\n\r\n"),
        format!("GET /{query} HTTP/9.9\r\nHost: a\r\n\r\n"),
        format!("GET /{query} HTTP/1.1\nHost: a\n\n"),
        format!("GET /{query}\x01 HTTP/1.1\r\nHost: a\r\n\r\n"),
        format!("{SECRET}\r\n\r\n"),
        format!("GET /{query} HTTP/1.1\r\n{SECRET}: \x00\r\n\r\n"),
        format!("GET http://{SECRET}/ HTTP/1.1\r\nHost: a\r\n\r\n"),
        format!("GET /v1/reports/%ff{query} HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {key}\r\n\r\n"),
        format!("GET /{} HTTP/1.1\r\nHost: a\r\n\r\n", SECRET.repeat(2_000)),
    ] {
        let mut raw = Raw::send_to(address, &request).await;
        let answer = raw.answer().await.unwrap_or_else(|| panic!("no answer to {request:?}"));
        assert!((400..500).contains(&answer.status), "{} to {request:?}", answer.status);
        assert!(!answer.text.contains(SECRET));
    }
    let (status, _) = gateway.terminate().await;
    assert!(status.success());
    let logged = gateway.logged();
    assert!(logged.contains("taking reports") && logged.contains("stopped"), "the log is whole: {logged}");
    assert!(!logged.contains(SECRET) && !logged.contains(&key), "{logged}");
}
