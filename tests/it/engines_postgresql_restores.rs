//! The database comes back from a backup: reports posted after are all counted, and retries of those that are lost are
//! stored again, whatever Redis and the gateway remember.

use std::sync::Arc;
use std::time::Duration;

use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use diesel::sql_types::BigInt;
use spamgate::config::Role;

use crate::support::{Database, Engine, PostgresServer, Recovery, TestApp, report, reporter, wait_until};

/// How long the gateway may take to find the database again.
const BACK_WITHIN: Duration = Duration::from_secs(5);
/// Reports in the backup, reports after it, reports after the restore.
const KEPT: usize = 6;
const LOST: usize = 4;
const LATER: usize = 5;

#[derive(QueryableByName)]
struct Number {
    #[diesel(sql_type = BigInt)]
    number: i64,
}

fn number(database: &Database, sql: &str) -> i64 {
    diesel::sql_query(sql).get_result::<Number>(&mut database.connect()).unwrap().number
}

/// Posts reports of one kind, each by a reporter of its own.
async fn post_all(app: &TestApp, kind: &str, first: usize, count: usize, status: u16) {
    for index in first..first + count {
        let body = report(&format!("{kind}-{index}")).with("reporter", reporter(index));
        app.post(&body).await.expect_status(status);
    }
}

async fn wait_until_back(app: &TestApp) {
    wait_until("the database is found again", BACK_WITHIN, async || {
        !app.is_in_doubt() && app.get_operators("/readyz").await.status == 200
    })
    .await;
}

async fn before_backup(app: &TestApp) {
    post_all(app, "kept", 0, KEPT, 201).await;
    assert_eq!(app.only_case().await.reports, i64::try_from(KEPT).unwrap());
}

async fn after_backup(app: &TestApp) {
    post_all(app, "lost", 20, LOST, 201).await;
    post_all(app, "lost", 20, LOST, 200).await;
    app.wait_until_built().await;
    if app.engine.has_redis() {
        app.wait_until_marked().await;
    }
}

/// What has to hold after any restore.
async fn after_restore(app: &TestApp) {
    wait_until_back(app).await;
    post_all(app, "lost", 20, LOST, 201).await;
    post_all(app, "later", 40, LATER, 201).await;
    post_all(app, "later", 40, LATER, 200).await;
    let all = i64::try_from(KEPT + LOST + LATER).unwrap();
    let case = app.only_case().await;
    assert_eq!((case.reports, case.repeats, case.voices), (all, 0, all));
    assert_eq!(app.journal_rows(), all);
}

/// A copy of the server's files, taken while it runs.
async fn a_copy_of_the_files(engine: Engine, recovery: Recovery) {
    let server = Arc::new(PostgresServer::start());
    let app = TestApp::spawn_on_engine(engine, server.create_database(), |_| {}).await;
    before_backup(&app).await;
    let backup = server.back_up();
    after_backup(&app).await;
    server.restore(&backup, recovery);
    after_restore(&app).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_copy_of_the_files_that_is_started_as_it_is_memory() {
    a_copy_of_the_files(Engine::PostgresqlMemory, Recovery::SameTimeline).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_copy_of_the_files_that_is_started_as_it_is_redis() {
    a_copy_of_the_files(Engine::PostgresqlRedis, Recovery::SameTimeline).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_copy_of_the_files_that_is_recovered_to_a_new_timeline_redis() {
    a_copy_of_the_files(Engine::PostgresqlRedis, Recovery::NewTimeline).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_copy_of_the_files_that_is_restored_while_the_gateway_is_down() {
    let server = Arc::new(PostgresServer::start());
    let app = TestApp::spawn_on_engine(Engine::PostgresqlRedis, server.create_database(), |_| {}).await;
    before_backup(&app).await;
    let backup = server.back_up();
    after_backup(&app).await;
    app.stop().await;
    server.restore(&backup, Recovery::SameTimeline);
    app.start_again().await;
    after_restore(&app).await;
}

/// Makes the transaction numbers of a server high, as those of one that has worked for long.
fn age(server: &PostgresServer) {
    const TRANSACTIONS: usize = 3_000;
    let mut session = server.connect("postgres").unwrap();
    session
        .batch_execute(&format!(
            "CREATE PROCEDURE age() LANGUAGE plpgsql AS $$ BEGIN \
                 FOR n IN 1..{TRANSACTIONS} LOOP PERFORM pg_current_xact_id(); COMMIT; END LOOP; END $$"
        ))
        .unwrap();
    session.batch_execute("CALL age()").unwrap();
}

/// A dump of `app`'s database, loaded into a cluster of its own, which takes the place of `server`.
async fn load_into_new_cluster(server: &PostgresServer, app: &TestApp, dump: &str) {
    let fresh = PostgresServer::start();
    fresh.load(app.database().name(), dump);
    server.restore(&fresh, Recovery::SameTimeline);
}

fn xid_base(app: &TestApp) -> i64 {
    number(app.database(), "SELECT xid_base AS number FROM journal.numbering")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dump_loaded_into_a_new_cluster_counts_on_and_a_running_gateway_follows() {
    let server = Arc::new(PostgresServer::start());
    age(&server);
    let app = TestApp::spawn_on_engine(Engine::PostgresqlRedis, server.create_database(), |_| {}).await;
    before_backup(&app).await;
    let dump = server.dump(app.database().name());
    after_backup(&app).await;
    load_into_new_cluster(&server, &app, &dump).await;
    after_restore(&app).await;
    println!("transactions are counted on from {}", xid_base(&app));
    assert!(xid_base(&app) > 1_000, "{}", xid_base(&app));
    // And once more, from the cluster that had a base already.
    let dump = server.dump(app.database().name());
    load_into_new_cluster(&server, &app, &dump).await;
    wait_until_back(&app).await;
    post_all(&app, "third", 60, LATER, 201).await;
    let all = i64::try_from(KEPT + LOST + LATER + LATER).unwrap();
    assert_eq!(app.only_case().await.reports, all);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dump_in_a_new_cluster_is_counted_on_when_an_intake_node_comes_first() {
    let server = Arc::new(PostgresServer::start());
    age(&server);
    let app = TestApp::spawn_on(server.create_database(), |_| {}).await;
    before_backup(&app).await;
    let dump = server.dump(app.database().name());
    app.stop().await;
    load_into_new_cluster(&server, &app, &dump).await;
    let keys = app.keys();
    std::fs::rename(keys.join("authority.key"), keys.join("elsewhere")).unwrap();
    let intake = app.join(|config| config.server.role = Role::Intake).await;
    post_all(&intake, "later", 40, LATER, 201).await;
    assert!(xid_base(&app) > 1_000, "{}", xid_base(&app));
    std::fs::rename(keys.join("elsewhere"), keys.join("authority.key")).unwrap();
    app.start_again().await;
    let all = i64::try_from(KEPT + LATER).unwrap();
    let case = app.only_case().await;
    assert_eq!((case.reports, case.voices), (all, all));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dump_loaded_into_the_same_cluster_is_another_store() {
    let server = Arc::new(PostgresServer::start());
    let app = TestApp::spawn_on_engine(Engine::PostgresqlRedis, server.create_database(), |_| {}).await;
    before_backup(&app).await;
    let name = app.database().name().to_owned();
    let dump = server.dump(&name);
    after_backup(&app).await;
    server.execute(&format!("DROP DATABASE {name} WITH (FORCE)"));
    server.load(&name, &dump);
    after_restore(&app).await;
    assert_eq!(xid_base(&app), 0, "the cluster is the same");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_copy_of_the_database_within_the_server_is_another_store() {
    let server = Arc::new(PostgresServer::start());
    let app = TestApp::spawn_on_engine(Engine::PostgresqlRedis, server.create_database(), |_| {}).await;
    before_backup(&app).await;
    let name = app.database().name().to_owned();
    app.stop().await;
    server.execute(&format!("CREATE DATABASE kept TEMPLATE {name}"));
    app.start_again().await;
    after_backup(&app).await;
    server.execute(&format!("DROP DATABASE {name} WITH (FORCE)"));
    server.execute(&format!("ALTER DATABASE kept RENAME TO {name}"));
    after_restore(&app).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_that_is_still_being_loaded_is_not_counted_on_too_early() {
    let server = Arc::new(PostgresServer::start());
    age(&server);
    let app = TestApp::spawn_on(server.create_database(), |_| {}).await;
    before_backup(&app).await;
    let dump = server.dump(app.database().name());
    app.stop().await;
    // All but the reports and what comes after them, as a gateway may find it.
    let name = app.database().name().to_owned();
    let (begun, rest) = dump.split_once("-- Data for Name: reports_2").expect("partitions of months");
    let fresh = PostgresServer::start();
    fresh.load(&name, begun);
    server.restore(&fresh, Recovery::SameTimeline);
    let early = app.try_start_again().await.expect_err("it does not serve from half a database");
    assert!(early.to_string().contains("still being loaded"), "{early}");
    assert_eq!(number(app.database(), "SELECT xid_base AS number FROM journal.numbering"), 0);
    server.load_more(&name, &format!("-- Data for Name: reports_2{rest}"));
    app.start_again().await;
    post_all(&app, "later", 40, LATER, 201).await;
    let all = i64::try_from(KEPT + LATER).unwrap();
    assert_eq!(app.only_case().await.reports, all);
}
