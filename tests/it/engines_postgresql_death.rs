//! PostgreSQL is killed or hangs under load: a clear 503 in time, never a false yes, and all is well soon after.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::support::{
    Door, GatewayProcess, Load, PostgresServer, REFUSED_WITHIN, TestApp, an_hour_ago, report, wait_until,
    without_limits,
};

/// How long after the return of the database reports may still be refused.
const BACK_WITHIN: Duration = Duration::from_secs(2);
/// How long a stop may take while the database hangs.
const STOPPED_WITHIN: Duration = Duration::from_secs(15);
const CLIENTS: usize = 12;
/// Reports between two blows.
const REPORTS: usize = 200;

async fn spawn() -> (Arc<PostgresServer>, TestApp) {
    let server = Arc::new(PostgresServer::start());
    let database = server.create_database();
    (server, TestApp::spawn_on(database, without_limits).await)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn when_the_database_is_killed_under_load_nothing_acknowledged_is_lost_or_doubled() {
    const KILLS: usize = 3;
    let (server, app) = spawn().await;
    let load = Load::start(&[app.door()], &app.in_seconds(-3_600), CLIENTS);
    let mut slowest_return = Duration::ZERO;
    for _ in 0..KILLS {
        load.wait_for(REPORTS).await;
        server.kill();
        app.get_operators("/healthz").await.expect_status(200);
        tokio::time::sleep(Duration::from_millis(300)).await;
        server.start_again();
        slowest_return = slowest_return.max(load.first_after(Instant::now()).await);
    }
    load.wait_for(REPORTS).await;
    let tally = load.stop().await;
    let twins = tally.check(app.database().connect()).await;
    println!(
        "{} reports, {twins} twins, {} refusals, the slowest after {:?}; reports were taken at most {slowest_return:?} \
         after the database came back",
        tally.acknowledged.len(),
        tally.answered(503),
        tally.slowest_refusal,
    );
    assert!(tally.answered(503) > 0);
    assert!(slowest_return < BACK_WITHIN);
    app.get_operators("/readyz").await.expect_status(200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn when_the_database_is_stopped_as_an_operator_does_reports_wait_for_its_return() {
    let (server, app) = spawn().await;
    let load = Load::start(&[app.door()], &app.in_seconds(-3_600), CLIENTS);
    load.wait_for(REPORTS).await;
    server.stop();
    server.start_again();
    let returned = load.first_after(Instant::now()).await;
    load.wait_for(REPORTS).await;
    let tally = load.stop().await;
    tally.check(app.database().connect()).await;
    println!("reports were taken {returned:?} after the database came back");
    assert!(returned < BACK_WITHIN);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_the_database_hangs_reports_are_refused_in_time_and_soon_taken_when_it_goes_on() {
    /// Longer than the gateway waits before it calls a silent database lost from sight.
    const HANGS_FOR: Duration = Duration::from_millis(6_500);
    let (server, app) = spawn().await;
    let load = Load::start(&[app.door()], &app.in_seconds(-3_600), CLIENTS);
    load.wait_for(REPORTS).await;
    server.hang();
    let hung = Instant::now();
    while hung.elapsed() < HANGS_FOR {
        let asked = Instant::now();
        app.get_operators("/healthz").await.expect_status(200);
        assert!(asked.elapsed() < Duration::from_millis(500), "/healthz took {:?}", asked.elapsed());
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert!(app.is_in_doubt(), "it was silent for so long that nothing can be said of it");
    let asked = Instant::now();
    app.get_operators("/readyz").await.expect_problem(503, "store_unavailable", "");
    assert!(asked.elapsed() < REFUSED_WITHIN, "/readyz took {:?}", asked.elapsed());
    server.go_on();
    let returned = load.first_after(Instant::now()).await;
    load.wait_for(REPORTS).await;
    let tally = load.stop().await;
    let twins = tally.check(app.database().connect()).await;
    println!(
        "{} reports, {twins} twins, {} refusals, the slowest after {:?}; reports were taken {returned:?} after the \
         database went on",
        tally.acknowledged.len(),
        tally.answered(503),
        tally.slowest_refusal,
    );
    assert!(returned < BACK_WITHIN);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_gateway_stops_in_time_while_the_database_hangs() {
    let server = Arc::new(PostgresServer::start());
    let database = server.create_database();
    let url = database.url();
    let mut gateway = GatewayProcess::spawn(&[("SPAMGATE__STORE__URL", &url), ("SPAMGATE__SERVER__WORKERS", "1")]);
    let address = gateway.url().await;
    let door = Door { url: format!("{address}/v1/reports"), api_key: gateway.api_key() };
    let load = Load::start(std::slice::from_ref(&door), &an_hour_ago(), 1);
    load.wait_for(1).await;
    load.stop().await;
    server.hang();
    // One that hangs in its commit, and some that hang in reading.
    let http = reqwest::Client::builder().pool_max_idle_per_host(0).build().unwrap();
    let post = http.post(&door.url).bearer_auth(&door.api_key).header("content-type", "application/json");
    let body = report("r-1").with("occurred_at", an_hour_ago()).to_string();
    let hanging = tokio::spawn(post.body(body).send());
    let ready = format!("{}/readyz", gateway.operators_url());
    // Longer than the gateway waits between two looks at the carriers: so one of its own hangs, too.
    tokio::time::sleep(Duration::from_millis(800)).await;
    let looks: Vec<_> = (0..2).map(|_| tokio::spawn(http.get(&ready).send())).collect();
    tokio::time::sleep(Duration::from_millis(100)).await;
    let (status, took) = gateway.terminate().await;
    println!("it stopped within {took:?}");
    assert!(status.success(), "{}", gateway.logged());
    assert!(took < STOPPED_WITHIN, "{}", gateway.logged());
    // Nobody heard a yes.
    if let Ok(answer) = hanging.await.unwrap() {
        assert_eq!(answer.status(), 503);
    }
    for look in looks {
        assert!(look.await.unwrap().is_ok_and(|answer| answer.status() == 503));
    }
    let logged = gateway.logged();
    assert!(logged.contains("whether the reports in hand are stored is not known"), "{logged}");
    server.go_on();
    let mut left = 0;
    wait_until("the sessions of the dead gateway are gone", Duration::from_secs(5), async || {
        left = left_sessions(&server);
        left == 0
    })
    .await;
}

fn left_sessions(server: &PostgresServer) -> i64 {
    use diesel::prelude::*;
    #[derive(QueryableByName)]
    struct Number {
        #[diesel(sql_type = diesel::sql_types::BigInt)]
        number: i64,
    }
    let left = "SELECT count(*) AS number FROM pg_stat_activity WHERE application_name LIKE 'spamgate-%'";
    diesel::sql_query(left).get_result::<Number>(&mut server.connect("postgres").unwrap()).unwrap().number
}
