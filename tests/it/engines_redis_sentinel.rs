//! The master that Sentinels name dies, hangs, or becomes a replica: reports are taken meanwhile, and the gateway finds
//! the new master by itself.

use std::sync::Arc;
use std::time::Duration;

use crate::support::{RedisSentinels, TestApp, report, reporter, wait_until};

/// How long Sentinels may take to agree on another master.
const FAILOVER_WAIT: Duration = Duration::from_secs(15);

/// Sends reports of different reporters until the Sentinels name another master; each is taken soon. How many.
async fn post_until_failover(app: &TestApp, sentinels: &RedisSentinels, old: u16, name: &str, first: usize) -> i64 {
    let mut sent = 0;
    wait_until("another master is named", FAILOVER_WAIT, async || {
        let body = report(&format!("{name}-{sent}")).with("reporter", reporter(first + sent));
        app.post_soon(&body, 201).await;
        sent += 1;
        tokio::time::sleep(Duration::from_millis(20)).await;
        sentinels.master_port() != old
    })
    .await;
    i64::try_from(sent).unwrap()
}

async fn assert_counted(app: &TestApp, reports: i64) {
    let case = app.only_case().await;
    assert_eq!((case.reports, case.repeats, case.voices), (reports, 0, reports));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_master_that_dies_costs_no_report_and_its_successor_is_found() {
    let sentinels = Arc::new(RedisSentinels::start());
    let app = TestApp::spawn_beside(&sentinels).await;
    assert_eq!(app.degraded().await, "[]");
    let mut reports = app.assert_duplicates_are_seen("before", 0).await;
    let old = sentinels.master_port();
    sentinels.kill(old);
    reports += post_until_failover(&app, &sentinels, old, "during", 1_000).await;
    app.wait_until_whole().await;
    reports += app.assert_duplicates_are_seen("after", 100).await;
    assert_counted(&app, reports).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_master_that_hangs_costs_no_report_and_its_successor_is_found() {
    let sentinels = Arc::new(RedisSentinels::start());
    let app = TestApp::spawn_beside(&sentinels).await;
    let mut reports = app.assert_duplicates_are_seen("before", 0).await;
    let old = sentinels.master_port();
    sentinels.hang(old);
    reports += post_until_failover(&app, &sentinels, old, "during", 1_000).await;
    app.wait_until_whole().await;
    reports += app.assert_duplicates_are_seen("after", 100).await;
    // The old master comes back, and takes itself for the master until a Sentinel tells it otherwise.
    sentinels.go_on(old);
    reports += app.assert_duplicates_are_seen("long-after", 200).await;
    assert_eq!(app.degraded().await, "[]");
    assert_counted(&app, reports).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_master_that_is_demoted_while_it_lives_is_left() {
    let sentinels = Arc::new(RedisSentinels::start());
    let app = TestApp::spawn_beside(&sentinels).await;
    let mut reports = app.assert_duplicates_are_seen("before", 0).await;
    let old = sentinels.master_port();
    wait_until("a failover begins", FAILOVER_WAIT, async || sentinels.try_failover()).await;
    reports += post_until_failover(&app, &sentinels, old, "during", 1_000).await;
    wait_until("the old master is left", FAILOVER_WAIT, async || {
        let demoted = app.metric("spamgate_redis_failures_total{reason=\"demoted\"}").await;
        let read_only = app.metric("spamgate_redis_failures_total{reason=\"read_only\"}").await;
        let disconnected = app.metric("spamgate_redis_failures_total{reason=\"disconnected\"}").await;
        demoted + read_only + disconnected > 0.0
    })
    .await;
    app.wait_until_whole().await;
    reports += app.assert_duplicates_are_seen("after", 100).await;
    assert_counted(&app, reports).await;
}
