//! The link to one Redis: full, read-only, cut, hung, strange; reports are taken and counted once all the same, and when
//! it is over the gateway finds out by itself.

use std::sync::Arc;
use std::time::Duration;

use tokio::io::AsyncWriteExt;
use tokio::net::TcpListener;

use crate::support::{ChaosProxy, RedisServer, TestApp, report, reporter};

/// A gateway that reaches its Redis through a proxy.
async fn spawn_behind_proxy() -> (Arc<RedisServer>, ChaosProxy, TestApp) {
    let server = Arc::new(RedisServer::start());
    let proxy = ChaosProxy::to(server.socket());
    let url = format!("redis://{}", proxy.address());
    let app = TestApp::spawn_beside_with(&server, |config| config.fast.url = url).await;
    assert_eq!(app.degraded().await, "[]");
    (server, proxy, app)
}

/// Sends three reports and each of them again, while Redis is of no use; how many were taken.
async fn assert_taken(app: &TestApp, name: &str, first_reporter: usize) -> i64 {
    for index in 0..3 {
        let body = report(&format!("{name}-{index}")).with("reporter", reporter(first_reporter + index));
        app.post_soon(&body, 201).await;
        app.post_soon(&body, 200).await;
    }
    3
}

async fn assert_counted(app: &TestApp, reports: i64) {
    let case = app.only_case().await;
    assert_eq!((case.reports, case.repeats, case.voices), (reports, 0, reports));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_redis_costs_no_report_and_is_named() {
    let server = Arc::new(RedisServer::start());
    let app = TestApp::spawn_beside(&server).await;
    let mut reports = app.assert_duplicates_are_seen("before", 0).await;
    server.configure("maxmemory", "1");
    reports += assert_taken(&app, "full", 100).await;
    app.wait_until_degraded("redis is full (maxmemory").await;
    assert!(app.metric("spamgate_redis_failures_total{reason=\"full\"}").await >= 1.0);
    assert_eq!(app.metric("spamgate_redis_up{}").await, 0.0);
    reports += assert_taken(&app, "still-full", 200).await;
    server.configure("maxmemory", "0");
    app.wait_until_whole().await;
    reports += app.assert_duplicates_are_seen("after", 300).await;
    assert_counted(&app, reports).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_read_only_replica_costs_no_report_and_is_named() {
    let server = Arc::new(RedisServer::start());
    let app = TestApp::spawn_beside(&server).await;
    let mut reports = app.assert_duplicates_are_seen("before", 0).await;
    // Nobody listens there; what it holds it goes on to show.
    let _: String = server.ask(redis::cmd("REPLICAOF").arg("127.0.0.1").arg(1));
    reports += assert_taken(&app, "read-only", 100).await;
    app.wait_until_degraded("redis is a read-only replica").await;
    assert!(app.metric("spamgate_redis_failures_total{reason=\"read_only\"}").await >= 1.0);
    let _: String = server.ask(redis::cmd("REPLICAOF").arg("NO").arg("ONE"));
    app.wait_until_whole().await;
    reports += app.assert_duplicates_are_seen("after", 200).await;
    assert_counted(&app, reports).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_redis_that_dies_and_comes_back_is_seen_without_any_report() {
    let server = Arc::new(RedisServer::start());
    let app = TestApp::spawn_beside(&server).await;
    assert_eq!(app.metric("spamgate_redis_up{}").await, 1.0);
    server.kill();
    app.wait_until_degraded("redis cannot be reached").await;
    assert_eq!(app.metric("spamgate_redis_up{}").await, 0.0);
    assert!(app.metric("spamgate_redis_failures_total{reason=\"disconnected\"}").await >= 1.0);
    server.start_again();
    app.wait_until_whole().await;
    assert_eq!(app.metric("spamgate_redis_up{}").await, 1.0);
    let reports = app.assert_duplicates_are_seen("after", 0).await;
    assert_counted(&app, reports).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_taken_while_redis_was_away_is_marked_when_it_is_back() {
    let server = Arc::new(RedisServer::start());
    let app = TestApp::spawn_beside(&server).await;
    server.kill();
    app.post_soon(&report("r-1"), 201).await;
    server.start_again();
    app.wait_until_marked().await;
    app.forget_own_memory();
    app.post_soon(&report("r-1"), 200).await;
    assert_counted(&app, 1).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cut_connection_costs_no_report_and_is_made_anew() {
    let (_server, proxy, app) = spawn_behind_proxy().await;
    let mut reports = app.assert_duplicates_are_seen("before", 0).await;
    proxy.cut();
    reports += assert_taken(&app, "cut", 100).await;
    app.wait_until_degraded("redis cannot be reached").await;
    proxy.go_on();
    app.wait_until_whole().await;
    reports += app.assert_duplicates_are_seen("after", 200).await;
    assert_counted(&app, reports).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_that_hangs_costs_no_report_and_is_given_up_when_it_hangs_for_long() {
    /// Three tries, a second apart, after which the connection is given up, and one more to connect.
    const HANGS_FOR: Duration = Duration::from_secs(5);
    let (_server, proxy, app) = spawn_behind_proxy().await;
    let mut reports = app.assert_duplicates_are_seen("before", 0).await;
    proxy.hang();
    reports += assert_taken(&app, "hung", 100).await;
    app.wait_until_degraded("redis does not answer in time").await;
    // A short hang: the same connection goes on.
    proxy.go_on();
    app.wait_until_whole().await;
    reports += app.assert_duplicates_are_seen("between", 200).await;
    proxy.hang();
    reports += assert_taken(&app, "hung-again", 300).await;
    tokio::time::sleep(HANGS_FOR).await;
    reports += assert_taken(&app, "still-hung", 400).await;
    proxy.go_on();
    app.wait_until_whole().await;
    reports += app.assert_duplicates_are_seen("after", 500).await;
    assert_counted(&app, reports).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_no_redis_costs_no_report_and_is_named() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("redis://{}", listener.local_addr().unwrap());
    let stranger = tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            tokio::spawn(async move {
                let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n").await;
                tokio::time::sleep(Duration::from_secs(1)).await;
            });
        }
    });
    let app = TestApp::spawn_beside_with(&RedisServer::shared(), |config| config.fast.url = url).await;
    let reports = assert_taken(&app, "strange", 0).await;
    app.wait_until_degraded("what answers for redis is no redis").await;
    assert_counted(&app, reports).await;
    stranger.abort();
}

/// A gateway that has to come in as `user` with the password `right`.
async fn spawn_as(server: &Arc<RedisServer>, login: &str) -> TestApp {
    let url = format!("redis+unix://{}?{login}", server.socket().display());
    TestApp::spawn_beside_with(server, |config| config.fast.url = url).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_login_that_is_refused_costs_no_report_and_is_named() {
    let server = Arc::new(RedisServer::start());
    let mut user = redis::cmd("ACL");
    user.arg("SETUSER").arg("gate").arg("on").arg(">right").arg("~test-*").arg("-@all");
    for command in ["+get", "+mget", "+set", "+time", "+eval", "+ping"] {
        user.arg(command);
    }
    let _: String = server.ask(&user);
    let allow = |commands: &[&str]| {
        let _: String = server.ask(redis::cmd("ACL").arg("SETUSER").arg("gate").arg(commands));
    };
    // With a wrong password, and as a user who lacks one of the rights.
    for (allowed, login) in [
        ("+evalsha", "user=gate&pass=wrong"),
        ("-evalsha", "user=gate&pass=right"),
        ("+evalsha", "user=gate&pass=right"),
    ] {
        allow(&[allowed]);
        let app = spawn_as(&server, login).await;
        assert_ne!(app.degraded().await, "[]", "told before the first report");
        let reports = assert_taken(&app, "refused", 0).await;
        app.wait_until_degraded("redis refuses the user, the password or a command").await;
        assert_counted(&app, reports).await;
    }
    // What the operators' guide names is enough.
    allow(&["+setrange", "+select"]);
    let app = spawn_as(&server, "user=gate&pass=right&db=0").await;
    let reports = app.assert_duplicates_are_seen("let-in", 0).await;
    assert_counted(&app, reports).await;
}
