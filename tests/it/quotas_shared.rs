//! A carrier's limit is one for all nodes beside one Redis, however its requests are spread over them.
//!
//! These run in real time: leases are timed, and what is shown is how they do under load.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use reqwest::header::AUTHORIZATION;
use spamgate::config::Config;

use crate::support::{Engine, RedisServer, TestApp};

const PER_SECOND: u32 = 200;
const BURST: u32 = 400;
/// How long each load lasts.
const LASTS: Duration = Duration::from_secs(3);
/// Callers at once, each with one request on its way: together they ask for far more than they may.
const CALLERS: usize = 12;
/// How exact the whole is.
const EXACT: f64 = 0.01;

fn limited(config: &mut Config) {
    config.limits.carrier_per_second = NonZeroU32::new(PER_SECOND).unwrap();
    config.limits.carrier_burst = NonZeroU32::new(BURST).unwrap();
    // Nothing may fall back on a node's own limit here.
    config.fast.timeout_ms = 2_000;
}

/// What came of a load.
struct Load {
    admitted: u32,
    refused: u32,
    lasted: Duration,
}

/// Asks two nodes as fast as they answer; `choose` names the node of each request, by its number and the time.
async fn load(choose: fn(usize, Duration) -> usize) -> Load {
    let first = TestApp::spawn_in_real_time(Engine::PostgresqlRedis, limited).await;
    let second = first.join(|config| config.fast.timeout_ms = 2_000).await;
    let urls = Arc::new([first.url("/v1/reports/x"), second.url("/v1/reports/x")]);
    let client = reqwest::Client::new();
    let key = format!("Bearer {}", first.local().api_key);
    let counter = Arc::new(AtomicUsize::new(0));
    let began = Instant::now();
    let callers: Vec<_> = (0..CALLERS)
        .map(|_| {
            let (urls, client, key, counter) = (Arc::clone(&urls), client.clone(), key.clone(), Arc::clone(&counter));
            tokio::spawn(async move {
                let (mut admitted, mut refused) = (0, 0);
                while began.elapsed() < LASTS {
                    let node = choose(counter.fetch_add(1, Ordering::Relaxed), began.elapsed());
                    let answer = client.get(&urls[node]).header(AUTHORIZATION, &key).send().await.unwrap();
                    match answer.status().as_u16() {
                        404 => admitted += 1,
                        429 => refused += 1,
                        other => panic!("{other}"),
                    }
                }
                (admitted, refused)
            })
        })
        .collect();
    let mut whole = Load { admitted: 0, refused: 0, lasted: Duration::ZERO };
    for caller in callers {
        let (admitted, refused) = caller.await.unwrap();
        whole.admitted += admitted;
        whole.refused += refused;
    }
    whole.lasted = began.elapsed();
    whole
}

fn assert_exact(name: &str, load: &Load) {
    let due = f64::from(BURST) + f64::from(PER_SECOND) * load.lasted.as_secs_f64();
    let admitted = f64::from(load.admitted);
    let off = (admitted - due) / due;
    println!("{name}: {admitted} admitted of {due:.1} due ({:+.2} %), {} refused", 100.0 * off, load.refused);
    assert!(load.refused > 0, "the load is more than they may");
    assert!(off.abs() <= EXACT, "{admitted} admitted, {due} due");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_nodes_with_equal_load_admit_one_limit() {
    assert_exact("equal", &load(|index, _| index % 2).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_nodes_with_nine_tenths_on_one_admit_one_limit() {
    assert_exact("90/10", &load(|index, _| usize::from(index % 10 == 0)).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_of_two_nodes_gets_all_of_the_limit_when_all_the_load_is_its() {
    assert_exact("all on one", &load(|_, _| 0).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_nodes_that_take_turns_admit_one_limit() {
    assert_exact("in turns of 250 ms", &load(|_, elapsed| usize::from(elapsed.as_millis() / 250 % 2 == 1)).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_nodes_admit_the_number_of_a_day_and_no_more() {
    const PER_DAY: u32 = 500;
    /// Longer than a node waits before it asks whether the other has given back some.
    const ALL_ARE_TAKEN_AFTER: Duration = Duration::from_millis(2_500);
    let first = TestApp::spawn_in_real_time(Engine::PostgresqlRedis, |config| {
        config.limits.carrier_per_day = PER_DAY;
        config.fast.timeout_ms = 2_000;
    })
    .await;
    let second = first.join(|config| config.fast.timeout_ms = 2_000).await;
    let (mut admitted, mut last) = (0, Instant::now());
    while last.elapsed() < ALL_ARE_TAKEN_AFTER {
        for node in [&first, &second] {
            match node.get("x").await.status {
                404 => (admitted, last) = (admitted + 1, Instant::now()),
                429 => {}
                other => panic!("{other}"),
            }
        }
    }
    assert_eq!(admitted, PER_DAY);
}

fn three_at_once(config: &mut Config) {
    config.limits.carrier_per_second = NonZeroU32::MIN;
    config.limits.carrier_burst = NonZeroU32::new(3).unwrap();
    config.fast.timeout_ms = 2_000;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_used_up_at_one_node_is_used_up_at_the_other() {
    let first = TestApp::spawn_with(Engine::PostgresqlRedis, three_at_once).await;
    let second = first.join(|config| config.fast.timeout_ms = 2_000).await;
    first.get("x").await.expect_status(404);
    let taken = second.get("x").await.expect_status(404);
    assert_eq!(taken.header("ratelimit"), Some("\"carrier\";r=1;t=2"));
    first.get("x").await.expect_status(404);
    for node in [&first, &second] {
        let refused = node.get("x").await.expect_problem(429, "carrier_rate_limited", "");
        assert_eq!(refused.retry_after_s(), 1);
    }
    first.advance(Duration::from_secs(1));
    second.get("x").await.expect_status(404);
    first.get("x").await.expect_problem(429, "carrier_rate_limited", "");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_is_started_anew_refills_nothing() {
    let app = TestApp::spawn_with(Engine::Redis, three_at_once).await;
    for _ in 0..3 {
        app.get("x").await.expect_status(404);
    }
    app.restart().await;
    app.get("x").await.expect_problem(429, "carrier_rate_limited", "");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_redis_is_away_a_node_goes_by_a_limit_of_its_own() {
    let server = Arc::new(RedisServer::start());
    let app = TestApp::spawn_beside_with(&server, three_at_once).await;
    for _ in 0..3 {
        app.get("x").await.expect_status(404);
    }
    app.get("x").await.expect_status(429);
    server.kill();
    app.advance(Duration::from_secs(1));
    for _ in 0..3 {
        app.get("x").await.expect_status(404);
    }
    app.get("x").await.expect_problem(429, "carrier_rate_limited", "");
    app.wait_until_degraded("carriers' limits").await;
    server.start_again();
    app.wait_until_whole().await;
}
