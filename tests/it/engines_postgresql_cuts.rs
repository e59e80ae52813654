//! The connection to PostgreSQL is cut or hangs in the middle of a commit: nobody hears a yes, and a retry is counted once.

use std::time::{Duration, Instant};

use diesel::prelude::*;
use diesel::sql_types::Text;
use spamgate::store::connection::{Connection, StoreLocation};

use crate::support::{
    AmbushProxy, Answer, ChaosProxy, PostgresServer, REFUSED_WITHIN, TestApp, Way, report, reporter, wait_until,
    without_limits,
};

/// How long the gateway may take to find the database again.
const BACK_WITHIN: Duration = Duration::from_secs(2);
/// What makes a session's first message readable to the proxy.
const IN_CLEAR: &str = "sslmode=disable&gssencmode=disable";
/// `COPY 1` and that the server is ready, as it says them after the commit.
const LAST_ANSWERS_BYTES: usize = 12 + 6;

/// Whether it is a refusal that fits a database which may or may not have the report.
#[track_caller]
fn expect_unsure(answer: &Answer) {
    let code = answer.json["code"].as_str().unwrap_or_default();
    let fits = answer.status == 503 && matches!(code, "store_unavailable" | "outcome_unknown");
    assert!(fits, "{} {}", answer.status, answer.text);
}

async fn wait_until_ready(app: &TestApp) {
    wait_until("reports are taken", BACK_WITHIN, async || !app.is_in_doubt()).await;
}

/// Where a commit is cut: before it begins, among its rows, at its end, and after it. For that one is measured.
async fn places(proxy: &AmbushProxy, app: &TestApp) -> Vec<(Way, usize)> {
    let before = proxy.forwarded();
    app.post(&report("measured").with("reporter", reporter(91))).await.expect_status(201);
    let [asked, answered] = proxy.forwarded();
    let (asked, answered) = (asked - before[0], answered - before[1]);
    println!("a commit of one report takes {asked} bytes to the server and {answered} to the gateway");
    let to_server = [0, 1, asked / 4, asked / 2, asked * 3 / 4, asked - 1];
    let after_commit = answered - LAST_ANSWERS_BYTES;
    let to_client = [0, after_commit / 2, after_commit - 1, after_commit, after_commit + 11, answered - 1];
    let to_server = to_server.map(|bytes| (Way::ToServer, bytes));
    to_server.into_iter().chain(to_client.map(|bytes| (Way::ToClient, bytes))).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_commit_whose_connection_is_cut_is_no_yes_and_its_retry_is_counted_once() {
    let database = PostgresServer::shared().create_database();
    let proxy = AmbushProxy::to(database.server().port(), "spamgate-writer");
    let url = format!("postgresql://postgres@{}/{}?{IN_CLEAR}", proxy.address(), database.name());
    let app = TestApp::spawn_on(database, |config| {
        without_limits(config);
        config.store.url = url;
    })
    .await;
    app.post(&report("before").with("reporter", reporter(90))).await.expect_status(201);
    let (mut were_stored, mut slowest) = (0, Duration::ZERO);
    let places = places(&proxy, &app).await;
    for (index, (way, bytes)) in places.iter().enumerate() {
        let body = report(&format!("r-{index}")).with("reporter", reporter(index));
        let rows = app.journal_rows();
        let cuts = proxy.cuts();
        proxy.cut_after(*way, *bytes);
        let sent = Instant::now();
        let answer = app.post(&body).await;
        assert_eq!(proxy.cuts(), cuts + 1, "{way:?} {bytes}: the commit was shorter");
        expect_unsure(&answer);
        slowest = slowest.max(sent.elapsed());
        wait_until_ready(&app).await;
        // Whether the report is stored is decided by now: the server has seen the end of the connection.
        let is_stored = app.journal_rows() > rows;
        were_stored += usize::from(is_stored);
        assert!(!is_stored || answer.json["code"] == "outcome_unknown", "{way:?} {bytes}: it was stored, not refused");
        let again = app.post(&body).await;
        assert!(matches!(again.status, 200 | 201), "{}", again.text);
    }
    println!("{} cuts, {were_stored} after the commit; the slowest refusal took {slowest:?}", places.len());
    assert!(were_stored > 0 && were_stored < places.len(), "before and after the commit");
    let case = app.only_case().await;
    let all = i64::try_from(places.len()).unwrap() + 2;
    assert_eq!((case.reports, case.repeats, case.voices), (all, 0, all));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn when_every_connection_is_cut_reports_are_refused_until_it_is_back() {
    let database = PostgresServer::shared().create_database();
    let proxy = ChaosProxy::to(std::net::SocketAddr::from(([127, 0, 0, 1], database.server().port())));
    let url = format!("postgresql://postgres@{}/{}", proxy.address(), database.name());
    let app = TestApp::spawn_on(database, |config| config.store.url = url).await;
    let stored = app.post(&report("before")).await.expect_status(201);
    proxy.cut();
    // What was stored before may be gone, for all that is known.
    wait_until("the loss is noticed", BACK_WITHIN, async || app.is_in_doubt()).await;
    for index in 0..3 {
        let sent = Instant::now();
        expect_unsure(&app.post(&report(&format!("r-{index}")).with("reporter", reporter(index))).await);
        assert!(sent.elapsed() < REFUSED_WITHIN);
    }
    app.post(&report("before")).await.expect_problem(503, "store_unavailable", "");
    app.get(stored.id()).await.expect_problem(503, "store_unavailable", "");
    app.get_operators("/readyz").await.expect_problem(503, "store_unavailable", "");
    app.get_operators("/healthz").await.expect_status(200);
    proxy.go_on();
    let back = Instant::now();
    wait_until_ready(&app).await;
    println!("reports are taken {:?} after the network came back", back.elapsed());
    // Nothing that was opened before is tried. It is the same database, so nothing was forgotten.
    app.post(&report("before")).await.expect_status(200);
    app.post(&report("r-0").with("reporter", reporter(0))).await.expect_status(201);
    app.get(stored.id()).await.expect_status(200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_commit_that_hangs_is_no_yes_and_goes_on_with_the_network() {
    let database = PostgresServer::shared().create_database();
    let proxy = ChaosProxy::to(std::net::SocketAddr::from(([127, 0, 0, 1], database.server().port())));
    let url = format!("postgresql://postgres@{}/{}", proxy.address(), database.name());
    let app = TestApp::spawn_on(database, |config| config.store.url = url).await;
    app.post(&report("before").with("reporter", reporter(90))).await.expect_status(201);
    proxy.hang();
    let sent = Instant::now();
    let posts = [0, 1, 2].map(|index| report(&format!("r-{index}")).with("reporter", reporter(index)));
    let (first, second, third) = tokio::join!(app.post(&posts[0]), app.post(&posts[1]), app.post(&posts[2]));
    for answer in [first, second, third] {
        answer.expect_problem(503, "outcome_unknown", "");
    }
    println!("refused after {:?}", sent.elapsed());
    assert!(sent.elapsed() < REFUSED_WITHIN);
    app.get_operators("/healthz").await.expect_status(200);
    proxy.go_on();
    let back = Instant::now();
    for body in &posts {
        wait_until("a retry is taken", BACK_WITHIN, async || matches!(app.post(body).await.status, 200 | 201)).await;
    }
    println!("all retries are taken {:?} after the network went on", back.elapsed());
    let case = app.only_case().await;
    assert_eq!((case.reports, case.repeats, case.voices), (4, 0, 4));
}

#[test]
fn the_server_soon_gives_up_a_node_that_vanished() {
    #[derive(QueryableByName)]
    struct Setting {
        #[diesel(sql_type = Text)]
        value: String,
    }
    let database = PostgresServer::shared().create_database();
    let url = format!("postgresql://postgres@127.0.0.1:{}/{}", database.server().port(), database.name());
    let location = StoreLocation::new(&url, std::path::Path::new("/nowhere")).unwrap();
    for session in [location.open_journal_writer(), location.open_builder(), location.open()] {
        let Ok(Connection::Postgresql(mut session)) = session else { panic!("a session of PostgreSQL") };
        let shown = "SELECT concat_ws(' ', current_setting('tcp_keepalives_idle'), \
                     current_setting('tcp_keepalives_interval'), current_setting('tcp_keepalives_count'), \
                     current_setting('idle_in_transaction_session_timeout')) AS value";
        let shown = diesel::sql_query(shown).get_result::<Setting>(&mut session).unwrap();
        assert_eq!(shown.value, "5 2 3 10s", "by default it would wait for hours, and hold the builder back");
    }
}
