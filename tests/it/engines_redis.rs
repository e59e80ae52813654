//! Redis dies, hangs, forgets or lies, and reports are taken and counted once all the same.

use std::sync::Arc;
use std::time::{Duration, Instant};

use uuid::Uuid;

use crate::support::{Engine, RedisServer, TestApp, report, reporter, wait_until};

/// The longest a report may take while Redis hangs.
const TAKEN_WITHIN: Duration = Duration::from_secs(1);

async fn spawn_with_own_redis() -> (Arc<RedisServer>, TestApp) {
    let server = Arc::new(RedisServer::start());
    let app = TestApp::spawn_beside(&server).await;
    (server, app)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_marker_in_redis_is_enough_to_know_a_duplicate() {
    let app = TestApp::spawn(Engine::Redis).await;
    let first = app.post(&report("r-1")).await.expect_status(201);
    app.wait_until_marked().await;
    app.forget_own_memory();
    let again = app.post(&report("r-1")).await.expect_status(200);
    assert_eq!((again.id(), again.string("receipt")), (first.id(), first.string("receipt")));
    let other = report("r-1").with("category", "scam");
    app.post(&other).await.expect_problem(422, "report_id_reused", "report_id");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_redis_is_dead_reports_are_taken_and_counted_once() {
    let (server, app) = spawn_with_own_redis().await;
    app.post(&report("before")).await.expect_status(201);
    server.kill();
    app.forget_own_memory();
    for index in 0..5 {
        let body = report(&format!("r-{index}")).with("reporter", reporter(index));
        app.post(&body).await.expect_status(201);
        app.post(&body).await.expect_status(200);
    }
    app.post(&report("before")).await.expect_status(201);
    let case = app.only_case().await;
    assert_eq!((case.reports, case.repeats, case.voices), (6, 0, 6));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_redis_is_dead_readyz_says_what_is_lost() {
    let (server, app) = spawn_with_own_redis().await;
    assert_eq!(app.degraded().await, "[]");
    server.kill();
    app.post(&report("r-1")).await.expect_status(201);
    let sentence = app.degraded().await;
    assert!(sentence.contains("reports are taken and still counted once"), "{sentence}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_redis_hangs_every_report_is_taken_within_a_second() {
    let (server, app) = spawn_with_own_redis().await;
    app.post(&report("before")).await.expect_status(201);
    server.hang();
    for index in 0..10 {
        let body = report(&format!("r-{index}")).with("reporter", reporter(index));
        let sent = Instant::now();
        app.post(&body).await.expect_status(201);
        assert!(sent.elapsed() < TAKEN_WITHIN, "report {index} took {:?}", sent.elapsed());
    }
    assert_ne!(app.degraded().await, "[]");
    server.go_on();
    let case = app.only_case().await;
    assert_eq!((case.reports, case.voices), (11, 11));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flush_between_two_tries_makes_no_second_report() {
    let (server, app) = spawn_with_own_redis().await;
    let first = app.post(&report("r-1")).await.expect_status(201);
    app.wait_until_marked().await;
    let _: String = server.ask(&redis::cmd("FLUSHALL"));
    app.forget_own_memory();
    let again = app.post(&report("r-1")).await.expect_status(201);
    assert_eq!(again.id(), first.id());
    let case = app.only_case().await;
    assert_eq!((case.reports, case.repeats, case.voices), (1, 0, 1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn when_redis_is_back_duplicates_are_seen_again() {
    let (server, app) = spawn_with_own_redis().await;
    server.kill();
    app.post(&report("r-1")).await.expect_status(201);
    server.start_again();
    app.wait_until_redis_is_used().await;
    assert_eq!(app.degraded().await, "[]");
    app.post(&report("r-2").with("content", "Một tin khác")).await.expect_status(201);
    app.wait_until_marked().await;
    app.forget_own_memory();
    app.post(&report("r-2").with("content", "Một tin khác")).await.expect_status(200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_gateway_starts_while_redis_is_away() {
    let server = Arc::new(RedisServer::start());
    server.kill();
    let app = TestApp::spawn_beside(&server).await;
    app.post(&report("r-1")).await.expect_status(201);
    assert_eq!(app.only_case().await.reports, 1);
}

/// Takes a report, lets `spoil` change what Redis holds under its marker, and sees that the retry is taken.
async fn assert_not_believed(spoil: impl FnOnce(&RedisServer, &TestApp, &[u8])) {
    let (server, app) = spawn_with_own_redis().await;
    let first = app.post(&report("r-1")).await.expect_status(201);
    app.post(&report("r-2").with("reporter", "0912345679")).await.expect_status(201);
    app.wait_until_marked().await;
    app.forget_own_memory();
    let id: Uuid = first.id().parse().unwrap();
    spoil(&server, &app, &app.marker_key(id));
    let again = app.post(&report("r-1")).await.expect_status(201);
    assert_eq!(again.id(), first.id());
    let case = app.only_case().await;
    assert_eq!((case.reports, case.repeats, case.voices), (2, 0, 2));
}

fn set(server: &RedisServer, key: &[u8], value: &[u8]) {
    let _: String = server.ask(redis::cmd("SET").arg(key).arg(value));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_marker_of_garbage_is_not_believed() {
    assert_not_believed(|server, _, key| set(server, key, b"sixteen bytes :)")).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_empty_marker_is_not_believed() {
    assert_not_believed(|server, _, key| set(server, key, b"")).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_marker_of_the_wrong_length_is_not_believed() {
    for change in [|marker: &mut Vec<u8>| marker.truncate(15), |marker: &mut Vec<u8>| marker.push(0)] {
        assert_not_believed(|server, _, key| {
            let mut marker: Vec<u8> = server.ask(redis::cmd("GET").arg(key));
            change(&mut marker);
            set(server, key, &marker);
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_marker_of_another_report_is_not_believed() {
    assert_not_believed(|server, _, key| {
        let markers: Vec<Vec<u8>> = server.ask(redis::cmd("KEYS").arg("*}s*"));
        let other = markers.iter().find(|marker| *marker != key).expect("two were written");
        let value: Vec<u8> = server.ask(redis::cmd("GET").arg(other));
        set(server, key, &value);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_marker_that_is_a_list_is_not_believed() {
    assert_not_believed(|server, _, key| {
        let _: i64 = server.ask(redis::cmd("DEL").arg(key));
        let _: i64 = server.ask(redis::cmd("RPUSH").arg(key).arg("x"));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_marker_of_another_store_is_not_believed() {
    // The same Redis and prefix under a fresh data directory, as after losing the disk: ids differ, because keys do.
    let (server, app) = spawn_with_own_redis().await;
    app.post(&report("r-1")).await.expect_status(201);
    app.wait_until_marked().await;
    let fresh = TestApp::spawn_beside(&server).await;
    fresh.post(&report("r-1")).await.expect_status(201);
    assert_eq!(fresh.only_case().await.reports, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_quota_of_garbage_does_not_keep_a_reporter_out() {
    let (server, app) = spawn_with_own_redis().await;
    app.post(&report("r-1")).await.expect_status(201);
    let reporters: Vec<Vec<u8>> = server.ask(redis::cmd("KEYS").arg("*}r*"));
    assert_eq!(reporters.len(), 1);
    let texts = ["not a number", "", "seven..", "1764297600000000", "eight of"].map(|text| text.as_bytes().to_vec());
    let numbers = [f64::NAN, f64::INFINITY, 1e300, -1.0].map(|number| number.to_le_bytes().to_vec());
    let claims = [vec![0xff; 8 + 12 * 1_000], vec![0; 8 + 12 * 1_000 + 11]];
    for (index, garbage) in texts.into_iter().chain(numbers).chain(claims).enumerate() {
        set(&server, &reporters[0], &garbage);
        app.post(&report(&format!("r-{index}-a"))).await.expect_status(201);
    }
    let _: i64 = server.ask(redis::cmd("DEL").arg(&reporters[0]));
    let _: i64 = server.ask(redis::cmd("RPUSH").arg(&reporters[0]).arg("x"));
    app.post(&report("r-list")).await.expect_status(201);
    assert_eq!(app.degraded().await, "[]", "values of one key concern nobody else");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_value_that_is_no_marker_is_written_over() {
    let (server, app) = spawn_with_own_redis().await;
    let id: Uuid = app.post(&report("r-1")).await.expect_status(201).id().parse().unwrap();
    app.wait_until_marked().await;
    let key = app.marker_key(id);
    let _: i64 = server.ask(redis::cmd("DEL").arg(&key));
    let _: i64 = server.ask(redis::cmd("RPUSH").arg(&key).arg("x"));
    app.forget_own_memory();
    app.post(&report("r-1")).await.expect_status(201);
    let kind = || server.ask::<String>(redis::cmd("TYPE").arg(&key));
    wait_until("it is a marker again", Duration::from_secs(5), async || kind() == "string").await;
    app.forget_own_memory();
    app.post(&report("r-1")).await.expect_status(200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_has_forgotten_the_scripts_is_told_them_again() {
    let (server, app) = spawn_with_own_redis().await;
    app.assert_duplicates_are_seen("before", 0).await;
    let _: String = server.ask(redis::cmd("SCRIPT").arg("FLUSH"));
    app.assert_duplicates_are_seen("after", 100).await;
    assert_eq!(app.metric("spamgate_redis_marks_dropped_total").await, 0.0);
}
