//! Batches that are too long, too slow, broken off or not read, and those that come while something is down.

use std::sync::Arc;
use std::time::Duration;

use reqwest::Method;
use reqwest::header::CONTENT_TYPE;

use crate::support::{
    Engine, PostgresServer, RedisServer, TestApp, on_every_engine, report, reporter, wait_until, without_limits,
};

/// `server.body_max_bytes` of the defaults.
const LINE_MAX_BYTES: usize = 65_536;
/// `limits.batch_lines` of the defaults.
const LINES_MAX: usize = 10_000;
/// `limits.batch_bytes` of the defaults.
const BATCH_MAX_BYTES: usize = 16 << 20;
/// How soon the gateway gives up a batch in these tests, milliseconds.
const BODY_TIMEOUT_MS: u64 = 300;

fn line(index: usize) -> String {
    report(&format!("r-{index}")).with("reporter", reporter(index)).to_string() + "\n"
}

fn lines(count: usize) -> String {
    (0..count).map(line).collect()
}

on_every_engine! {
    async fn a_line_of_64_kib_is_taken_and_one_byte_more_is_not_and_the_next_is_whole(app: TestApp) {
        let long = |length: usize| {
            let line = line(length);
            let line = line.trim_end();
            format!("{line}{}\n", " ".repeat(length - line.len()))
        };
        let much_longer = long(9 * LINE_MAX_BYTES);
        let body = [long(LINE_MAX_BYTES), long(LINE_MAX_BYTES + 1), line(1), much_longer, line(2)].concat();
        let answer = app.post_batch(body).await;
        assert_eq!(answer.statuses(), [201, 413, 201, 413, 201]);
        assert_eq!(answer.problems(), [(2, "line_too_long", ""), (4, "line_too_long", "")]);
        // Without a line feed at its end it is as long.
        let answer = app.post_batch("x".repeat(LINE_MAX_BYTES + 1)).await;
        assert_eq!(answer.problems(), [(1, "line_too_long", "")]);
    }

    async fn what_comes_after_10_000_lines_is_not_read(engine: Engine) {
        let app = TestApp::spawn_with(engine, without_limits).await;
        let answer = app.post_batch("x\n".repeat(LINES_MAX) + "\n \n").await;
        assert_eq!(answer.lines.len(), LINES_MAX);
        assert_eq!(answer.problems()[LINES_MAX - 1], (10_000, "invalid_json", ""));
        let answer = app.post_batch("x\n".repeat(LINES_MAX) + "\n" + &line(1)).await;
        assert_eq!(answer.problems()[LINES_MAX..], [(10_002, "batch_too_many_lines", "")]);
        let mut batch = app.begin_batch().await;
        assert!(batch.send(&"x\n".repeat(LINES_MAX + 1)).await);
        let answers = batch.until_closed().await;
        assert_eq!(answers[LINES_MAX]["problem"]["code"], "batch_too_many_lines");
        assert_eq!(app.journal_rows(), 0);
    }

    async fn what_comes_after_16_mib_is_not_read(engine: Engine) {
        let app = TestApp::spawn_with(engine, without_limits).await;
        let piece = "x".repeat(65_535) + "\n";
        let whole = piece.repeat(BATCH_MAX_BYTES / piece.len());
        assert_eq!(whole.len(), BATCH_MAX_BYTES);
        let answer = app.post_batch(whole.clone()).await;
        assert_eq!(answer.lines.len(), 256);
        let answer = app.post_batch(whole + "x").await;
        assert_eq!(answer.problems()[256..], [(257, "batch_too_large", "")]);
    }

    async fn a_batch_that_falls_silent_is_given_up_and_closed(engine: Engine) {
        let app = TestApp::spawn_with(engine, |config| config.server.body_timeout_ms = BODY_TIMEOUT_MS).await;
        let mut batch = app.begin_batch().await;
        assert!(batch.send(&(line(0) + &line(1)[..40])).await);
        let answers = batch.until_closed().await;
        assert_eq!((&answers[0]["status"], &answers[1]["problem"]["code"]), (&201.into(), &"body_timeout".into()));
        assert_eq!(answers[1]["line"], 2);
        assert_eq!(app.journal_rows(), 1);
    }

    async fn a_batch_sent_by_the_byte_is_given_up(engine: Engine) {
        let app = TestApp::spawn_with(engine, |config| config.server.body_timeout_ms = BODY_TIMEOUT_MS).await;
        let mut batch = app.begin_batch().await;
        let drip = async {
            loop {
                if !batch.send(" ").await {
                    return;
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(10), drip).await.expect("the connection is closed");
    }

    async fn a_batch_that_ends_in_the_middle_takes_nothing_half(app: TestApp) {
        let mut batch = app.begin_batch().await;
        assert!(batch.send(&(line(0) + line(1).trim_end())).await);
        batch.answers(1).await;
        drop(batch);
        // A batch of its own comes after whatever the first one still did.
        assert_eq!(app.post_batch(line(2)).await.statuses(), [201]);
        assert_eq!(app.journal_rows(), 2);
    }

    // The promise behind the batch: whoever does not know how far it came sends it again.
    async fn a_batch_broken_off_and_sent_again_is_counted_once(engine: Engine) {
        let app = TestApp::spawn_with(engine, without_limits).await;
        let whole = lines(1_000);
        for part in [whole.len() / 7, whole.len() / 3, whole.len() - 5] {
            let mut batch = app.begin_batch().await;
            assert!(batch.send(&whole[..part]).await);
            batch.answers(20).await;
            drop(batch);
        }
        let answer = app.post_batch(whole).await;
        assert!(answer.statuses().iter().all(|status| matches!(status, 200 | 201)));
        let case = app.only_case().await;
        assert_eq!((case.reports, case.repeats, case.voices), (1_000, 0, 1_000));
    }

    // Fails when a batch is read on though nobody reads its answers: they would fill the memory.
    async fn a_batch_whose_answers_nobody_reads_is_not_read_on_and_given_up(engine: Engine) {
        let app = TestApp::spawn_with(engine, |config| {
            without_limits(config);
            config.server.body_timeout_ms = BODY_TIMEOUT_MS;
            config.limits.batch_lines = 1_000_000;
        })
        .await;
        let mut batch = app.begin_batch().await;
        let pieces = "x\n".repeat(20_000);
        let flood = async {
            while batch.send(&pieces).await {}
        };
        // The kernel keeps some, the gateway 2 MiB; the rest is never made.
        let _ = tokio::time::timeout(Duration::from_secs(5), flood).await;
        let answered = app.refused("invalid_json");
        assert!((8_000..200_000).contains(&answered), "{answered} lines were answered");
        // Its place is free again.
        wait_until("there is room for all batches", Duration::from_secs(5), async || {
            let mut open = Vec::new();
            for _ in 0..4 {
                let mut batch = app.begin_batch().await;
                assert!(batch.send("x\n").await);
                open.push(batch);
            }
            app.refused("too_many_batches") == 0
        })
        .await;
    }

    async fn a_carrier_sends_few_batches_at_once_and_the_next_is_told_to_wait(engine: Engine) {
        let app = TestApp::spawn_with(engine, |config| config.limits.batches_per_carrier = 1).await;
        let mut batch = app.begin_batch().await;
        assert!(batch.send(&line(0)).await);
        batch.answers(1).await;
        let request = app.request(Method::POST, "/v1/reports/batch", Some(&app.local().api_key));
        let request = request.header(CONTENT_TYPE, "application/x-ndjson").body(line(1));
        app.send(request, "").await.expect_problem(503, "too_many_batches", "");
        // Reports one by one are none of its business.
        app.post(&report("single")).await.expect_status(201);
        batch.end().await;
        let taken = async || {
            let request = app.request(Method::POST, "/v1/reports/batch", Some(&app.local().api_key));
            let request = request.header(CONTENT_TYPE, "application/x-ndjson").body(line(1));
            app.send(request, "").await.status == 200
        };
        wait_until("there is room again", Duration::from_secs(5), taken).await;
    }

    async fn a_batch_longer_than_the_queue_is_taken_whole(engine: Engine) {
        let app = TestApp::spawn_with(engine, |config| {
            without_limits(config);
            config.limits.queue_items = 64;
        })
        .await;
        assert_eq!(app.post_batch(lines(2_000)).await.statuses(), [201; 2_000]);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_the_database_is_down_each_line_is_told_when_to_try_again() {
    for engine in [Engine::PostgresqlMemory, Engine::PostgresqlRedis] {
        let server = Arc::new(PostgresServer::start());
        let app = TestApp::spawn_on_engine(engine, server.create_database(), without_limits).await;
        assert_eq!(app.post_batch(lines(10)).await.statuses(), [201; 10]);
        server.kill();
        let answer = app.post_batch(lines(700)).await;
        // The first ten are stored: as long as the gateway has not seen its connections end, it knows so.
        let statuses = answer.statuses();
        assert!(statuses[..10].iter().all(|status| matches!(status, 200 | 503)), "{:?}", &statuses[..10]);
        assert_eq!(statuses[10..], [503; 690]);
        assert!(answer.lines[10..].iter().all(|line| line["problem"]["retry_after_s"] == 1));
        server.start_again();
        wait_until("reports are taken", Duration::from_secs(10), async || {
            app.post_batch(lines(700)).await.statuses().iter().all(|status| matches!(status, 200 | 201))
        })
        .await;
        let case = app.only_case().await;
        assert_eq!((case.reports, case.repeats, case.voices), (700, 0, 700));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_redis_is_dead_or_hangs_a_batch_is_taken_and_counted_once() {
    let server = Arc::new(RedisServer::start());
    let app = TestApp::spawn_beside_with(&server, without_limits).await;
    assert_eq!(app.post_batch(lines(300)).await.statuses(), [201; 300]);
    server.hang();
    app.forget_own_memory();
    let answer = app.post_batch(lines(1_500)).await;
    assert_eq!(answer.statuses(), [201; 1_500]);
    server.go_on();
    server.kill();
    app.forget_own_memory();
    assert_eq!(app.post_batch(lines(1_500)).await.statuses(), [201; 1_500]);
    let case = app.only_case().await;
    assert_eq!((case.reports, case.repeats, case.voices), (1_500, 0, 1_500));
}
