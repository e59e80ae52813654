//! Many writers share one journal, and the builder skips none of their rows, in whatever order they commit.

use std::time::{Duration, Instant};

use diesel::connection::SimpleConnection;
use diesel::pg::PgConnection;
use diesel::prelude::*;
use diesel::sql_types::BigInt;
use spamgate::store::journal::{count_after, find_horizon, find_last_seq, list_between};

use crate::support::{Engine, TestApp, report, reporter, wait_until};

/// How long the builder may take to say what it waits for: it does so after five seconds.
const NAMED_WITHIN: Duration = Duration::from_secs(8);
/// How long the builder is given to do what it must not do.
const ENOUGH_TURNS: Duration = Duration::from_millis(600);

/// A copy of the row with the lowest `seq`, under another report id and for another reporter, as another writer appends it.
const INSERT_BY_HAND: &str = "INSERT INTO journal.reports (report_id, event_kind, source, owner, reporter_tag, proof, \
         sender_kind, sender_tag, channel, category, occurred_at, received_at, fingerprint, text_tag, track_tag, \
         tag_key_id, data_key_id, envelope) \
     SELECT uuid_send(gen_random_uuid()), event_kind, source, owner, uuid_send(gen_random_uuid()), proof, sender_kind, \
         sender_tag, channel, category, occurred_at, received_at, uuid_send(gen_random_uuid()), text_tag, track_tag, \
         tag_key_id, data_key_id, envelope \
     FROM journal.reports ORDER BY seq LIMIT 1 RETURNING seq AS number";

#[derive(QueryableByName)]
struct Number {
    #[diesel(sql_type = BigInt)]
    number: i64,
}

fn insert_by_hand(session: &mut PgConnection) -> i64 {
    diesel::sql_query(INSERT_BY_HAND).get_result::<Number>(session).unwrap().number
}

async fn post(app: &TestApp, index: usize) {
    app.post(&report(&format!("r-{index}")).with("reporter", reporter(index))).await.expect_status(201);
}

/// Reports, voices of the one case.
async fn totals(app: &TestApp) -> (i64, i64) {
    let case = app.only_case().await;
    (case.reports, case.voices)
}

/// Journal rows that the builder has not come to.
async fn lag(app: &TestApp) -> i64 {
    app.get_operators("/readyz").await.expect_status(200).json["builder_lag_rows"].as_i64().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_built_past_a_transaction_that_is_still_open_and_its_rows_are_not_skipped() {
    let app = TestApp::spawn(Engine::PostgresqlMemory).await;
    post(&app, 0).await;
    assert_eq!(totals(&app).await, (1, 1));

    let mut holder = app.database().connect();
    holder.batch_execute("BEGIN").unwrap();
    let held_seq = insert_by_hand(&mut holder);
    for index in 1..=5 {
        post(&app, index).await;
    }
    tokio::time::sleep(ENOUGH_TURNS).await;
    assert_eq!(lag(&app).await, 5, "what came later waits");

    // Who does not mind the horizon sees the later rows, and would move on to the last of them.
    let mut connection = app.connection();
    let horizon = find_horizon(&mut connection).unwrap();
    let careless = list_between(&mut connection, held_seq - 1, i64::MAX, 100).unwrap();
    let careful = list_between(&mut connection, held_seq - 1, horizon, 100).unwrap();
    assert_eq!((careless.len(), careful.len()), (5, 0));
    let careless_cursor = careless.last().unwrap().seq;

    holder.batch_execute("COMMIT").unwrap();
    assert_eq!(totals(&app).await, (7, 7), "all is built, the held row too");
    assert_eq!(lag(&app).await, 0);
    let never_read = list_between(&mut connection, held_seq - 1, careless_cursor, 100).unwrap();
    assert_eq!(never_read.first().unwrap().seq, held_seq, "the held row stands before rows that committed earlier");
    let skipped = list_between(&mut connection, careless_cursor, i64::MAX, 100).unwrap();
    assert!(skipped.is_empty(), "and a careless builder would never have come back to it");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rows_of_a_transaction_that_is_rolled_back_hold_nobody_back() {
    let app = TestApp::spawn(Engine::PostgresqlMemory).await;
    post(&app, 0).await;
    let mut holder = app.database().connect();
    holder.batch_execute("BEGIN").unwrap();
    insert_by_hand(&mut holder);
    post(&app, 1).await;
    holder.batch_execute("ROLLBACK").unwrap();
    assert_eq!(totals(&app).await, (2, 2));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_writers_with_long_and_short_transactions_lose_no_row() {
    const WRITERS: usize = 6;
    const ROWS_EACH: usize = 60;
    let app = TestApp::spawn(Engine::PostgresqlMemory).await;
    post(&app, 0).await;
    std::thread::scope(|scope| {
        for writer in 0..WRITERS {
            let mut session = app.database().connect();
            scope.spawn(move || {
                for row in 0..ROWS_EACH {
                    session.batch_execute("BEGIN").unwrap();
                    insert_by_hand(&mut session);
                    std::thread::sleep(Duration::from_millis(((writer * 7 + row * 3) % 11) as u64));
                    session.batch_execute("COMMIT").unwrap();
                }
            });
        }
    });
    let all = i64::try_from(WRITERS * ROWS_EACH).unwrap() + 1;
    assert_eq!(totals(&app).await, (all, all));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_holds_the_builder_back_is_named() {
    let app = TestApp::spawn(Engine::PostgresqlMemory).await;
    post(&app, 0).await;
    assert_eq!(totals(&app).await, (1, 1));
    let mut holder = app.database().connect();
    holder.batch_execute("SET application_name = 'nightly-export'; BEGIN; SELECT pg_current_xact_id()").unwrap();
    let mut other = app.database().connect();
    // An id of its own, because a server has one list of them.
    let gid = app.database().name().to_owned();
    other.batch_execute(&format!("BEGIN; SELECT pg_current_xact_id(); PREPARE TRANSACTION '{gid}'")).unwrap();
    post(&app, 1).await;

    let began = Instant::now();
    let complaints = async || app.get_operators("/readyz").await.expect_status(200).json["degraded"].to_string();
    wait_until("the session is named", NAMED_WITHIN, async || complaints().await.contains("nightly-export")).await;
    println!("named after {:?}: {}", began.elapsed(), complaints().await);
    assert!(app.metrics().builder_held_back_seconds.get() > 0);
    let prepared = format!("prepared transaction {gid}");
    assert!(!complaints().await.contains(&prepared), "the one that began first is the one to end");

    holder.batch_execute("COMMIT").unwrap();
    wait_until("the next one is named", NAMED_WITHIN, async || complaints().await.contains(&prepared)).await;
    other.batch_execute(&format!("ROLLBACK PREPARED '{gid}'")).unwrap();
    assert_eq!(totals(&app).await, (2, 2));
    wait_until("nothing is wrong any more", NAMED_WITHIN, async || complaints().await == "[]").await;
    assert_eq!(app.metrics().builder_held_back_seconds.get(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn order_is_the_order_of_transactions_whatever_the_row_number_says() {
    let app = TestApp::spawn(Engine::PostgresqlMemory).await;
    post(&app, 0).await;
    let mut connection = app.connection();
    let before = find_last_seq(&mut connection).unwrap();
    // Rows are told apart by a number that starts again after a million.
    app.database().connect().batch_execute("SELECT setval('journal.row_numbers', 1048574)").unwrap();
    let mut session = app.database().connect();
    for _ in 0..4 {
        insert_by_hand(&mut session);
    }
    let rows = list_between(&mut connection, before, i64::MAX, 100).unwrap();
    let numbers: Vec<i64> = rows.iter().map(|row| row.seq & 0xf_ffff).collect();
    assert_eq!(rows.len(), 4);
    assert!(numbers.windows(2).any(|pair| pair[1] < pair[0]), "the row numbers started again: {numbers:?}");
    assert_eq!(count_after(&mut connection, before, i64::MAX).unwrap(), 4);
    assert_eq!(totals(&app).await, (5, 5));
}
