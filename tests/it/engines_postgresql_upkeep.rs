//! What PostgreSQL may do wrong while it is there: a row refused, a month without a partition.

use std::sync::Arc;
use std::time::{Duration, Instant};

use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use diesel::sql_types::BigInt;
use tokio::task::JoinSet;

use crate::support::{Database, Engine, PostgresServer, TestApp, report, reporter, wait_until};

/// Writers of this database that wait for a lock.
const WAITING_WRITERS: &str = "SELECT count(*) AS number FROM pg_stat_activity WHERE datname = current_database() \
     AND application_name = 'spamgate-writer' AND wait_event_type = 'Lock'";
/// How long reports may take to the queue.
const GATHERED_WITHIN: Duration = Duration::from_secs(2);

#[derive(QueryableByName)]
struct Number {
    #[diesel(sql_type = BigInt)]
    number: i64,
}

fn number(database: &Database, sql: &str) -> i64 {
    let mut session = database.connect();
    // Nothing here may wait for long.
    session.batch_execute("SET statement_timeout = '5s'").unwrap();
    diesel::sql_query(sql).get_result::<Number>(&mut session).unwrap().number
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_row_that_the_database_refuses_takes_no_other_with_it() {
    const CLIENTS: usize = 40;
    const REFUSED: usize = 7;
    let app = Arc::new(TestApp::spawn(Engine::PostgresqlMemory).await);
    // What passes the parser fits the table; so the table is made stricter.
    let strict = "ALTER TABLE journal.reports ADD CONSTRAINT no_calls CHECK (channel <> 'call')";
    app.database().connect().batch_execute(strict).unwrap();
    // While the table is locked the first waits for it, and all others gather into one batch.
    let mut lock = app.database().connect();
    lock.batch_execute("BEGIN; LOCK TABLE journal.reports IN EXCLUSIVE MODE").unwrap();
    let mut posts = JoinSet::new();
    for index in 0..CLIENTS {
        let body = report(&format!("r-{index}")).with("reporter", reporter(index));
        let body = if index == REFUSED { body.with("channel", "call") } else { body };
        let gateway = Arc::clone(&app);
        posts.spawn(async move { (index, gateway.post(&body).await.status) });
        if index == 0 {
            wait_until("the first waits", GATHERED_WITHIN, async || number(app.database(), WAITING_WRITERS) == 1).await;
        }
    }
    wait_until("they gather", GATHERED_WITHIN, async || app.queue_length() == CLIENTS - 1).await;
    lock.batch_execute("COMMIT").unwrap();
    for (index, status) in posts.join_all().await {
        assert_eq!(status, if index == REFUSED { 503 } else { 201 }, "report {index}");
    }
    assert_eq!(app.journal_rows(), i64::try_from(CLIENTS).unwrap() - 1);
    assert!(!app.is_in_doubt(), "the database is not at fault");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_month_without_a_partition_is_taken_all_the_same_and_said() {
    let database = PostgresServer::shared().create_database();
    let this_month = "DO $$ BEGIN EXECUTE format('DROP TABLE journal.%I', \
         'reports_' || to_char(now() AT TIME ZONE 'UTC', 'YYYY_MM')); END $$";
    database.connect().batch_execute(this_month).unwrap();
    // A row of that month, so that its partition cannot be made any more.
    let unmade =
        "CREATE OR REPLACE FUNCTION journal.make_partitions(ahead INTEGER) RETURNS INTEGER LANGUAGE sql AS 'SELECT 0'";
    database.connect().batch_execute(unmade).unwrap();
    let app = TestApp::spawn_on(database, |_| {}).await;
    assert_eq!(app.get_operators("/readyz").await.expect_status(200).json["degraded"].to_string(), "[]");
    app.post(&report("r-1")).await.expect_status(201);
    assert_eq!(app.only_case().await.reports, 1, "it is counted");
    // The builder looks when it opens its session.
    app.restart().await;
    app.wait_until_built().await;
    let degraded = app.get_operators("/readyz").await.expect_status(200).json["degraded"].to_string();
    assert!(degraded.contains("a month had no partition"), "{degraded}");
    assert_eq!(app.metrics().default_partition_used.get(), 1);
}

#[test]
fn partitions_of_the_months_to_come_are_made_ahead() {
    let database = PostgresServer::shared().create_database();
    let made = "SELECT count(*) AS number FROM pg_inherits WHERE inhparent = 'journal.reports'::regclass \
                AND inhrelid <> 'journal.reports_default'::regclass";
    assert_eq!(number(&database, made), 4, "this month and three more");
    let more = "SELECT journal.make_partitions(5)::bigint AS number";
    assert_eq!(number(&database, more), 2);
    assert_eq!(number(&database, more), 0, "none is made twice");
    assert_eq!(number(&database, made), 6);
    // The first day of the next month has one.
    let next = "SELECT count(*) AS number FROM pg_class WHERE relnamespace = 'journal'::regnamespace \
                AND relname = 'reports_' || to_char(now() AT TIME ZONE 'UTC' + INTERVAL '1 month', 'YYYY_MM')";
    assert_eq!(number(&database, next), 1);
}

#[test]
fn partitions_are_made_while_reports_are_written() {
    let database = PostgresServer::shared().create_database();
    // A transaction that has written and is still open.
    let mut writer = database.connect();
    writer.batch_execute("BEGIN").unwrap();
    writer
        .batch_execute(
            "INSERT INTO journal.reports (report_id, event_kind, source, owner, reporter_tag, proof, sender_kind, \
                 channel, category, occurred_at, received_at, fingerprint, track_tag, tag_key_id, data_key_id, envelope) \
             SELECT id, 'report', 'web', id, '', 'none', 'hidden', 'sms', 'spam', 1, 1, '', '', 1, 1, '' \
             FROM uuid_send(gen_random_uuid()) AS id",
        )
        .unwrap();
    assert_eq!(number(&database, "SELECT journal.make_partitions(6)::bigint AS number"), 3);
    writer.batch_execute("COMMIT").unwrap();
    assert_eq!(number(&database, "SELECT count(*) AS number FROM journal.reports"), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_long_backup_delays_new_partitions_and_neither_cases_nor_readers() {
    let app = TestApp::spawn(Engine::PostgresqlMemory).await;
    let database = app.database();
    // As `pg_dump` does.
    let mut backup = database.connect();
    backup.batch_execute("BEGIN; LOCK TABLE journal.reports IN ACCESS SHARE MODE").unwrap();
    let more = "SELECT journal.make_partitions(6)::bigint AS number";
    let ask_for_more = async || {
        let asked = Instant::now();
        (tokio::task::block_in_place(|| number(database, more)), asked.elapsed())
    };
    let ((made, given_up_after), ()) = tokio::join!(ask_for_more(), async {
        let id = app.post(&report("r-1")).await.expect_status(201).id().to_owned();
        app.get(&id).await.expect_status(200);
        assert_eq!(app.only_case().await.reports, 1);
    });
    assert_eq!(made, 0);
    assert!(given_up_after < Duration::from_secs(2), "given up after {given_up_after:?}");
    backup.batch_execute("COMMIT").unwrap();
    assert_eq!(number(database, more), 3);
}
