//! A Redis Cluster: slots that move, masters that die or hang.

use std::sync::Arc;
use std::time::Duration;

use uuid::Uuid;

use crate::support::{AnyRedis, RedisCluster, TestApp, report, reporter, wait_until};

/// How long a replica may take to take over.
const FAILOVER_WAIT: Duration = Duration::from_secs(10);

async fn assert_counted(app: &TestApp, reports: i64) {
    let case = app.only_case().await;
    assert_eq!((case.reports, case.repeats, case.voices), (reports, 0, reports));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn duplicates_are_seen_in_all_of_a_cluster_also_in_slots_that_move() {
    let cluster = Arc::new(RedisCluster::start());
    let app = TestApp::spawn_beside(&cluster).await;
    assert_eq!(app.degraded().await, "[]");
    let mut reports = app.assert_duplicates_are_seen("first", 0).await;
    reports += app.assert_duplicates_are_seen("second", 100).await;

    // One reporter's slot moves, while that one and others report.
    let mover = |index: usize| report(&format!("moves-{index}")).with("reporter", reporter(500));
    let other = |index: usize| report(&format!("stays-{index}")).with("reporter", reporter(600 + index));
    let id: Uuid = app.post_soon(&mover(0), 201).await.id().parse().unwrap();
    wait_until("it is marked", FAILOVER_WAIT, async || app.is_marked(id)).await;
    let (slot, from) = cluster.slot_and_master(&app.marker_key(id));
    let to = (from + 1) % 3;
    for index in 1..4 {
        app.post_soon(&mover(index), 201).await;
        app.post_soon(&other(index), 201).await;
    }
    cluster.begin_to_move(slot, from, to);
    for index in 4..8 {
        app.post_soon(&mover(index), 201).await;
        app.post_soon(&other(index), 201).await;
    }
    cluster.end_to_move(slot, from, to);
    for index in 8..12 {
        app.post_soon(&mover(index), 201).await;
        app.post_soon(&other(index), 201).await;
    }
    reports += 1 + 2 * 11;
    // What was marked before, and lies elsewhere now, is still seen.
    app.wait_until_whole().await;
    app.forget_own_memory();
    app.post_soon(&mover(0), 200).await;
    reports += app.assert_duplicates_are_seen("third", 200).await;
    // The same words of the same reporter are repeats.
    let case = app.only_case().await;
    assert_eq!((case.reports, case.repeats, case.voices), (reports, 11, reports - 11));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_master_of_a_cluster_that_dies_costs_no_report_and_its_replica_is_found() {
    let cluster = Arc::new(RedisCluster::start());
    let app = TestApp::spawn_beside(&cluster).await;
    let mut reports = app.assert_duplicates_are_seen("before", 0).await;
    cluster.kill_master(0);
    reports += post_until_failover(&app, &cluster, 0, "during").await;
    app.wait_until_whole().await;
    reports += app.assert_duplicates_are_seen("after", 100).await;
    reports += app.assert_duplicates_are_seen("long-after", 200).await;
    assert_counted(&app, reports).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_master_of_a_cluster_that_hangs_costs_no_report_and_its_replica_is_found() {
    let cluster = Arc::new(RedisCluster::start());
    let app = TestApp::spawn_beside(&cluster).await;
    let mut reports = app.assert_duplicates_are_seen("before", 0).await;
    cluster.hang_master(1);
    reports += post_until_failover(&app, &cluster, 1, "during").await;
    app.wait_until_whole().await;
    cluster.go_on(1);
    reports += app.assert_duplicates_are_seen("after", 100).await;
    reports += app.assert_duplicates_are_seen("long-after", 200).await;
    assert_counted(&app, reports).await;
}

/// Sends reports of different reporters until the replica of a master has taken over; each is taken soon. How many.
async fn post_until_failover(app: &TestApp, cluster: &RedisCluster, master: usize, name: &str) -> i64 {
    let mut sent = 0;
    wait_until("the replica takes over", FAILOVER_WAIT, async || {
        let body = report(&format!("{name}-{sent}")).with("reporter", reporter(1_000 + sent));
        app.post_soon(&body, 201).await;
        sent += 1;
        tokio::time::sleep(Duration::from_millis(20)).await;
        cluster.has_replica_taken_over(master)
    })
    .await;
    assert_ne!(app.degraded().await, "[]", "the loss of a third is told");
    i64::try_from(sent).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cluster_that_is_named_wrongly_is_told_so() {
    let cluster = Arc::new(RedisCluster::start());
    let url = cluster.node_url(0);
    let app = TestApp::spawn_beside_with(&cluster, |config| config.fast.url = url).await;
    app.post_soon(&report("r-1"), 201).await;
    app.post_soon(&report("r-1"), 200).await;
    let sentence = app.degraded().await;
    assert!(sentence.contains("name it with `redis+cluster:`"), "{sentence}");
    // A password that is wrong is told as such, though a Cluster's client says only that it got nowhere.
    let url = cluster.url().replace("://", "://:wrong@");
    let app = TestApp::spawn_beside_with(&cluster, |config| config.fast.url = url).await;
    app.post_soon(&report("r-1"), 201).await;
    let sentence = app.degraded().await;
    assert!(sentence.contains("redis refuses the user, the password or a command"), "{sentence}");
}
