//! Several nodes on one database: each report is counted once, by one builder at a time, and a node that dies takes nothing
//! with it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use diesel::sql_types::BigInt;

use crate::support::{
    Door, Engine, GatewayProcess, Load, PostgresServer, Tally, TestApp, an_hour_ago, report, reporter, wait_until,
    without_limits,
};

/// How long a node may take to begin to serve, or to build on where another was killed.
const TAKES_OVER_WITHIN: Duration = Duration::from_secs(5);
const CLIENTS: usize = 12;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_nodes_take_reports_at_once_and_every_one_is_built_once() {
    const REPORTS: usize = 1_500;
    let database = PostgresServer::shared().create_database();
    let one = TestApp::spawn_on(database, without_limits).await;
    let other = one.join(|_| {}).await;
    let load = Load::start(&[one.door(), other.door()], &one.in_seconds(-3_600), CLIENTS);
    load.wait_for(REPORTS).await;
    let tally = load.stop().await;
    let twins = tally.check(one.database().connect()).await;
    assert!(tally.answers.keys().all(|(status, _)| matches!(status, 200 | 201)), "{:?}", tally.answers);
    let built = || [one.metrics().built_rows.get(), other.metrics().built_rows.get()];
    // Twins are built, too: as what they are.
    let rows = u64::try_from(tally.acknowledged.len() + twins).unwrap();
    // A slice is counted a moment after it was committed.
    wait_until("every slice is counted", TAKES_OVER_WITHIN, async || built().iter().sum::<u64>() >= rows).await;
    let built = built();
    println!("{} reports, {twins} twins, built by the one and the other: {built:?}", tally.acknowledged.len());
    assert_eq!(built[0] + built[1], rows);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_same_report_at_two_nodes_at_once_is_counted_once() {
    let database = PostgresServer::shared().create_database();
    let one = TestApp::spawn_on(database, without_limits).await;
    let other = one.join(|_| {}).await;
    for index in 0..20 {
        let body = report(&format!("r-{index}")).with("reporter", reporter(index));
        let (here, there) = tokio::join!(one.post(&body), other.post(&body));
        assert_eq!(here.id(), there.id());
        assert_eq!(here.string("receipt"), there.string("receipt"));
    }
    assert_eq!(one.journal_rows(), 40, "neither knows of the other's");
    let case = one.only_case().await;
    assert_eq!((case.reports, case.repeats, case.voices), (20, 0, 20));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn beside_redis_a_node_knows_what_the_other_has_stored() {
    let database = PostgresServer::shared().create_database();
    let one = TestApp::spawn_on_engine(Engine::PostgresqlRedis, database, |_| {}).await;
    let other = one.join(|_| {}).await;
    let first = one.post(&report("r-1")).await.expect_status(201);
    one.wait_until_marked().await;
    let again = other.post(&report("r-1")).await.expect_status(200);
    assert_eq!(first.id(), again.id());
    other.post(&report("r-1").with("category", "scam")).await.expect_problem(422, "report_id_reused", "report_id");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_cursor_is_held_by_one_builder_and_the_other_goes_on_when_it_is_free() {
    let database = PostgresServer::shared().create_database();
    let one = TestApp::spawn_on(database, without_limits).await;
    let other = one.join(|_| {}).await;
    // Reports that can be read only after a third builder has stopped in the middle of a slice.
    let mut older = one.database().connect();
    older.batch_execute("BEGIN; SELECT pg_current_xact_id()").unwrap();
    one.post(&report("r-1")).await.expect_status(201);
    other.post(&report("r-2").with("reporter", reporter(2))).await.expect_status(201);
    let mut third = one.database().connect();
    third.batch_execute("BEGIN; SELECT FROM builder_cursor FOR UPDATE").unwrap();
    older.batch_execute("COMMIT").unwrap();
    tokio::time::sleep(Duration::from_millis(700)).await;
    assert_eq!(one.metrics().built_rows.get() + other.metrics().built_rows.get(), 0);
    let waiting = "SELECT count(*) AS number FROM pg_stat_activity WHERE application_name = 'spamgate-builder' \
                   AND wait_event_type = 'Lock' AND datname = current_database()";
    assert_eq!(number(&one, waiting), 0, "they look now and then, and hold nothing while they wait");
    let degraded = one.get_operators("/readyz").await.expect_status(200).json["degraded"].to_string();
    assert_eq!(degraded, "[]", "to wait for another builder is no failure");
    drop(third);
    let case = one.only_case().await;
    assert_eq!((case.reports, case.voices), (2, 2));
}

#[derive(QueryableByName)]
struct Number {
    #[diesel(sql_type = BigInt)]
    number: i64,
}

fn number(app: &TestApp, sql: &str) -> i64 {
    diesel::sql_query(sql).get_result::<Number>(&mut app.database().connect()).unwrap().number
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn when_a_node_is_killed_under_load_the_other_builds_on_and_nothing_is_lost_or_doubled() {
    const KILLS: usize = 3;
    let database = PostgresServer::shared().create_database();
    let store = database.url();
    let mut one = GatewayProcess::spawn(&[("SPAMGATE__STORE__URL", &store)]);
    let one_url = one.url().await;
    let key = one.api_key();
    let keys = one.keys().display().to_string();
    let settings = [("SPAMGATE__STORE__URL", store.as_str()), ("SPAMGATE__KEYS__DIRECTORY", keys.as_str())];
    let door = |url: &str| Door { url: format!("{url}/v1/reports"), api_key: key.clone() };
    let mut tally = Tally::default();
    let mut slowest = Duration::ZERO;
    for round in 0..KILLS {
        // The first holds the key files, and is the last to stand.
        let mut other = GatewayProcess::spawn(&settings);
        let doors = [door(&one_url), door(&other.url().await)];
        let load = Load::start_named(&format!("round-{round}"), &doors, &an_hour_ago(), CLIENTS);
        load.wait_for(250).await;
        other.kill();
        let killed = Instant::now();
        load.wait_for(100).await;
        tally.add(load.stop().await);
        let behind = "SELECT count(*) AS number FROM journal.reports WHERE seq > (SELECT seq FROM builder_cursor)";
        wait_until("the one that is left builds on", TAKES_OVER_WITHIN, async || {
            diesel::sql_query(behind).get_result::<Number>(&mut database.connect()).unwrap().number == 0
        })
        .await;
        slowest = slowest.max(killed.elapsed());
    }
    let twins = tally.check(database.connect()).await;
    println!(
        "{} reports, {twins} twins, {} sends without an answer; all built at most {slowest:?} after a kill",
        tally.acknowledged.len(),
        tally.unanswered
    );
    assert!(tally.unanswered > 0, "the node was killed while it had reports");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_gateway_that_starts_before_the_database_says_so_once_and_serves_when_it_comes() {
    let server = Arc::new(PostgresServer::start());
    let database = server.create_database();
    server.kill();
    let mut gateway = GatewayProcess::spawn(&[("SPAMGATE__STORE__URL", &database.url())]);
    let waits = "waiting for the database; no report is taken yet";
    wait_until("it says what it waits for", TAKES_OVER_WITHIN, async || gateway.logged().contains(waits)).await;
    // It has tried again by then, and still serves nobody.
    tokio::time::sleep(Duration::from_millis(1_500)).await;
    assert_eq!(gateway.logged().matches(waits).count(), 1, "{}", gateway.logged());
    assert_eq!(gateway.logged().trim_end().lines().count(), 1, "{}", gateway.logged());
    server.start_again();
    let back = Instant::now();
    gateway.url().await;
    println!("it serves {:?} after the database came", back.elapsed());
    assert!(back.elapsed() < TAKES_OVER_WITHIN);
    let (status, _) = gateway.terminate().await;
    assert!(status.success(), "{}", gateway.logged());
}
