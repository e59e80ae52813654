//! A database that is slow: who asks much of it takes nothing away from others.

use std::sync::Arc;
use std::time::Duration;

use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use diesel::sql_types::BigInt;
use reqwest::Method;
use tokio::task::JoinSet;

use crate::support::{Engine, Raw, TestApp, wait_until};

/// Shorter than a read may take, which is two seconds.
const AT_ONCE: Duration = Duration::from_secs(1);
/// How soon an unknown key makes the gateway look again.
const LOOK_AGAIN_AFTER: Duration = Duration::from_millis(100);
/// Sessions that wait to read the figures by day.
const WAITING_FOR_USAGE: &str = "SELECT count(*) AS number FROM pg_stat_activity WHERE datname = current_database() \
     AND wait_event_type = 'Lock' AND query LIKE 'SELECT %carrier_usage%'";

#[derive(QueryableByName)]
struct Number {
    #[diesel(sql_type = BigInt)]
    number: i64,
}

/// An id that no report has.
const UNKNOWN_ID: &str = "5f0c3f9e-7a52-8a11-9c3e-2b1f0a6d4e77";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn unknown_keys_do_not_take_the_connections_for_reading() {
    const KEYS: usize = 6;
    let app = TestApp::spawn(Engine::PostgresqlMemory).await;
    let mut lock = app.database().connect();
    lock.batch_execute("BEGIN; LOCK TABLE carriers IN ACCESS EXCLUSIVE MODE").unwrap();
    let mut open = Vec::new();
    let mut told = 0;
    for number in 0..KEYS {
        app.advance(LOOK_AGAIN_AFTER);
        let head = format!("GET /v1/reports/x HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer sgk_{number}\r\n\r\n");
        let mut raw = Raw::send_to(app.address(), head).await;
        if let Ok(answer) = tokio::time::timeout(AT_ONCE, raw.answer()).await {
            told += usize::from(answer.is_some_and(|answer| answer.status == 401));
        }
        open.push(raw);
    }
    // One looks, and after two seconds perhaps another.
    assert!(told + 2 >= KEYS, "{told} of {KEYS} were told at once");
    let asked = tokio::time::timeout(AT_ONCE, app.get(UNKNOWN_ID)).await.expect("an answer in time");
    asked.expect_problem(404, "report_not_found", "");
    lock.batch_execute("COMMIT").unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_carrier_that_reads_much_leaves_connections_to_others() {
    let app = Arc::new(TestApp::spawn(Engine::PostgresqlMemory).await);
    let other = app.add_carrier("other");
    // Its key is known before anything is slow.
    app.get_as(&other, "x").await.expect_status(404);
    let mut lock = app.database().connect();
    lock.batch_execute("BEGIN; LOCK TABLE carrier_usage IN ACCESS EXCLUSIVE MODE").unwrap();
    let mut reads = JoinSet::new();
    for _ in 0..12 {
        let app = Arc::clone(&app);
        reads.spawn(async move {
            app.send(app.request(Method::GET, "/v1/usage", Some(&app.local().api_key)), "").await.status
        });
    }
    let mut session = app.database().connect();
    wait_until("its reads wait", AT_ONCE, async || {
        diesel::sql_query(WAITING_FOR_USAGE).get_result::<Number>(&mut session).unwrap().number >= 2
    })
    .await;
    let asked = tokio::time::timeout(AT_ONCE, app.get_as(&other, UNKNOWN_ID)).await.expect("an answer in time");
    asked.expect_problem(404, "report_not_found", "");
    lock.batch_execute("COMMIT").unwrap();
    let statuses = reads.join_all().await;
    assert!(statuses.iter().all(|status| [200, 503].contains(status)), "{statuses:?}");
}
