//! Redis dies, hangs, forgets or lies, and reports are taken and counted once all the same.

use std::sync::Arc;
use std::time::{Duration, Instant};

use uuid::Uuid;

use crate::support::{AnyRedis, Engine, RedisServer, TestApp, report, reporter};

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

/// How long a marker is, bytes.
const MARKER_BYTES: usize = 16;

/// What Redis holds of a report.
struct Marked<'a> {
    server: &'a RedisServer,
    key: Vec<u8>,
    value: Vec<u8>,
    /// Where in the value its marker begins.
    place: usize,
}

impl Marked<'_> {
    fn set(&self, value: &[u8]) {
        set(self.server, &self.key, value);
    }

    fn set_marker(&self, marker: &[u8]) {
        let (before, after) = (&self.value[..self.place], &self.value[self.place + MARKER_BYTES..]);
        self.set(&[before, marker, after].concat());
    }
}

/// Takes a report, lets `spoil` change what Redis holds of it, and sees that the retry is taken.
async fn assert_not_believed(spoil: impl FnOnce(Marked<'_>)) {
    let (server, app) = spawn_with_own_redis().await;
    let first = app.post(&report("r-1")).await.expect_status(201);
    app.post(&report("r-2").with("reporter", "0912345679")).await.expect_status(201);
    app.wait_until_marked().await;
    app.forget_own_memory();
    let id: Uuid = first.id().parse().unwrap();
    let (key, place) = (app.marker_key(id), app.marker_place(id));
    let value = server.ask(redis::cmd("GET").arg(&key));
    spoil(Marked { server: &server, key, value, place });
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
    assert_not_believed(|marked| marked.set_marker(b"sixteen bytes :)")).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_empty_value_is_not_believed() {
    assert_not_believed(|marked| marked.set(b"")).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_value_of_the_wrong_length_is_not_believed() {
    for marker_bytes in [MARKER_BYTES - 1, MARKER_BYTES + 1] {
        assert_not_believed(|marked| {
            let mut marker = marked.value[marked.place..][..MARKER_BYTES].to_vec();
            marker.resize(marker_bytes, 0);
            marked.set_marker(&marker);
        })
        .await;
    }
    // Or of the right one, and without its end, as when it was written into nothing.
    assert_not_believed(|marked| {
        let (_end, all) = marked.value.split_last().unwrap();
        marked.set(&[all, &[0]].concat());
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_marker_of_another_report_is_not_believed() {
    assert_not_believed(|marked| {
        let others = marked.server.texts("*}r*");
        let (_, other) = others.iter().find(|(key, _)| *key != marked.key).expect("two were written");
        marked.set_marker(&other[marked.place..][..MARKER_BYTES]);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_marker_out_of_its_place_is_not_believed() {
    assert_not_believed(|marked| {
        let marker = &marked.value[marked.place..][..MARKER_BYTES];
        // Two records, and the marker at the end of neither.
        marked.set(&[&marked.value[..8], &[0; 20], marker, &[0; 20], &[1]].concat());
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_value_that_is_a_list_is_not_believed() {
    assert_not_believed(|marked| {
        let _: i64 = marked.server.ask(redis::cmd("DEL").arg(&marked.key));
        let _: i64 = marked.server.ask(redis::cmd("RPUSH").arg(&marked.key).arg("x"));
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
    let numbers = [f64::NAN, f64::INFINITY, 1e300, -1.0].map(|number| number.to_le_bytes().to_vec()).into_iter();
    let records = [1, 128, 129, 1_000].map(|records| [vec![0xff; 8 + 28 * records], vec![1]].concat());
    let numbers =
        numbers.chain([f64::NAN, f64::INFINITY, -1.0].map(|number| [&number.to_le_bytes()[..], &[1]].concat()));
    for (index, garbage) in texts.into_iter().chain(numbers).chain(records).enumerate() {
        set(&server, &reporters[0], &garbage);
        app.post(&report(&format!("r-{index}-a"))).await.expect_status(201);
    }
    let _: i64 = server.ask(redis::cmd("DEL").arg(&reporters[0]));
    let _: i64 = server.ask(redis::cmd("RPUSH").arg(&reporters[0]).arg("x"));
    app.post(&report("r-list")).await.expect_status(201);
    assert_eq!(app.degraded().await, "[]", "values of one key concern nobody else");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_value_that_is_none_of_ours_is_written_over() {
    let (server, app) = spawn_with_own_redis().await;
    let id: Uuid = app.post(&report("r-1")).await.expect_status(201).id().parse().unwrap();
    app.wait_until_marked().await;
    let key = app.marker_key(id);
    let _: i64 = server.ask(redis::cmd("DEL").arg(&key));
    let _: i64 = server.ask(redis::cmd("RPUSH").arg(&key).arg("x"));
    app.forget_own_memory();
    app.post(&report("r-1")).await.expect_status(201);
    app.wait_until_marked().await;
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
