//! What carriers are told of decided cases.

use std::time::Duration;

use serde_json::json;
use spamgate::domain::vocabulary::{CaseStatus, ReasonClass};

use crate::support::{Carrier, Engine, FeedKey, TestApp, on_every_engine, report, reporter, spamgate, wait_until};

const KEY: FeedKey = FeedKey::new(7);
const OTHER_KEY: FeedKey = FeedKey::new(8);
/// How long telling may take.
const TOLD_WITHIN: Duration = Duration::from_secs(20);

fn all_cases(app: &TestApp) -> Carrier {
    app.grant_feed(app.local(), "feed_all", "", Some(&KEY));
    app.local().clone()
}

on_every_engine! {
    async fn a_decided_case_is_told_and_its_sender_only_to_the_carriers_key(app: TestApp) {
        let carrier = all_cases(&app);
        app.post(&report("r-1")).await.expect_status(201);
        app.post(&report("r-2").with("reporter", reporter(2)).with("channel", "call")).await.expect_status(201);
        let reference = app.only_case().await.reference;
        app.decide(&reference, CaseStatus::Upheld, ReasonClass::Violation);
        let items = app.feed(&carrier, 1).await;
        let mut shown = items[0].clone();
        assert_eq!(KEY.open(&shown).as_deref(), Some("msisdn:+84985931054"));
        assert_eq!(OTHER_KEY.open(&shown), None);
        for (member, value) in [("id", &mut shown["id"].take()), ("sender", &mut shown["sender"].take())] {
            assert!(!value.is_null(), "{member}");
        }
        assert_eq!(shown, json!({
            "id": null, "case": reference, "verdict": "upheld", "reason_class": "violation", "category": "spam",
            "sender_kind": "msisdn", "sender": null, "own": false, "reports": {"sms": 1, "call": 1}, "voices": 2,
            "first_day": "2026-11-24", "last_day": "2026-11-24", "decided_at": "2026-11-24T08:00:00.000Z",
        }));
        assert!(!items[0].to_string().contains("985931054"));
    }

    async fn a_carrier_is_told_of_its_own_numbers_and_no_others(app: TestApp) {
        let vina = app.add_carrier_attesting("vina", "+8491,+8498593");
        let any = app.add_carrier("any");
        let named = app.add_carrier("named");
        app.grant_feed(&vina, "feed", "", Some(&KEY));
        app.grant_feed(&any, "feed", "", Some(&KEY));
        app.grant_feed(&named, "feed", "+8488", Some(&OTHER_KEY));
        let everything = all_cases(&app);
        app.uphold("r-1", "0985931054").await;
        app.uphold("r-2", "0882345678").await;
        app.uphold("r-3", "VIETTEL").await;
        app.feed(&everything, 3).await;
        let own = app.feed(&vina, 1).await;
        assert_eq!((KEY.open(&own[0]).as_deref(), &own[0]["own"]), (Some("msisdn:+84985931054"), &json!(true)));
        let own = app.feed(&named, 1).await;
        assert_eq!(OTHER_KEY.open(&own[0]).as_deref(), Some("msisdn:+84882345678"));
        app.feed(&any, 0).await;
    }

    async fn a_case_about_a_text_names_no_sender(app: TestApp) {
        let carrier = all_cases(&app);
        let vina = app.add_carrier_attesting("vina", "+84");
        app.grant_feed(&vina, "feed", "", Some(&KEY));
        app.post(&report("r-1").with("category", "fake_news")).await.expect_status(201);
        let reference = app.only_case().await.reference;
        app.decide(&reference, CaseStatus::Dismissed, ReasonClass::LawfulExpression);
        let items = app.feed(&carrier, 1).await;
        assert!(items[0]["sender"].is_null());
        assert_eq!(items[0]["reason_class"], "lawful_expression");
        app.feed(&vina, 0).await;
    }

    async fn pages_follow_each_other_in_the_order_of_the_decisions(app: TestApp) {
        let carrier = all_cases(&app);
        let mut decided = Vec::new();
        for index in 0..5 {
            decided.push(app.uphold(&format!("r-{index}"), &format!("098593105{index}")).await);
        }
        app.feed(&carrier, 5).await;
        let mut path = "/v1/feed?limit=2".to_owned();
        let mut told = Vec::new();
        for expected in [2, 2, 1, 0] {
            let page = app.get_path(&carrier, &path).await.expect_status(200);
            let items = page.json["items"].as_array().unwrap().clone();
            assert_eq!(items.len(), expected);
            assert_eq!(page.json["more"], expected == 2, "{}", page.text);
            told.extend(items.iter().map(|item| item["case"].as_str().unwrap().to_owned()));
            path = format!("/v1/feed?limit=2&after={}", page.string("next"));
        }
        assert_eq!(told, decided);
        // Where it ended it goes on.
        let reference = app.uphold("r-9", "0985931059").await;
        wait_until("the next is told", TOLD_WITHIN, async || {
            app.get_path(&carrier, &path).await.json["items"][0]["case"] == reference.as_str()
        })
        .await;
    }

    async fn a_cursor_of_another_carrier_or_of_nobody_is_refused(app: TestApp) {
        let carrier = all_cases(&app);
        let other = app.add_carrier("other");
        app.grant_feed(&other, "feed_all", "", Some(&KEY));
        app.uphold("r-1", "0985931054").await;
        app.feed(&carrier, 1).await;
        let next = app.get_path(&carrier, "/v1/feed").await.string("next").to_owned();
        app.feed(&other, 1).await;
        let refused = format!("/v1/feed?after={next}");
        app.get_path(&other, &refused).await.expect_problem(400, "invalid_cursor", "after");
        let mut changed = next.clone().into_bytes();
        changed[12] = if changed[12] == b'A' { b'B' } else { b'A' };
        let changed = String::from_utf8(changed).unwrap();
        for cursor in ["1", "", "AAAAAAAAAAAAAAAAAAAAAA", "%00", &changed, &format!("{next}A")] {
            let answer = app.get_path(&carrier, &format!("/v1/feed?after={cursor}")).await;
            answer.expect_problem(400, "invalid_cursor", "after");
        }
        for limit in ["0", "501", "-1", "x", ""] {
            let answer = app.get_path(&carrier, &format!("/v1/feed?limit={limit}")).await;
            answer.expect_problem(400, "invalid_limit", "limit");
        }
        for query in ["before=1", "limit=1&limit=2"] {
            app.get_path(&carrier, &format!("/v1/feed?{query}")).await.expect_problem(400, "bad_request", "");
        }
    }

    async fn without_the_operators_word_or_without_a_key_nothing_is_told(app: TestApp) {
        let carrier = app.local().clone();
        app.uphold("r-1", "0985931054").await;
        let reporter = app.add_carrier("reporter");
        app.get_path(&reporter, "/v1/feed").await.expect_problem(403, "scope_missing", "");
        app.get_path(&carrier, "/v1/feed").await.expect_problem(409, "feed_key_missing", "");
        // What was decided before is told as well.
        app.grant_feed(&carrier, "feed", "+8498", Some(&KEY));
        let items = app.feed(&carrier, 1).await;
        assert_eq!(KEY.open(&items[0]).as_deref(), Some("msisdn:+84985931054"));
        app.get_path(&Carrier { name: String::new(), api_key: "sgk_x".to_owned() }, "/v1/feed").await
            .expect_problem(401, "api_key_unknown", "");
    }

    async fn with_another_key_or_other_terms_all_is_told_anew_and_a_cursor_goes_on(app: TestApp) {
        let carrier = app.local().clone();
        app.grant_feed(&carrier, "feed", "+8498", Some(&KEY));
        let first = app.uphold("r-1", "0912345670").await;
        app.uphold("r-2", "0985931054").await;
        let before = app.feed(&carrier, 1).await;
        let next = app.get_path(&carrier, "/v1/feed").await.string("next").to_owned();
        app.grant_feed(&carrier, "feed_all", "+8498", Some(&OTHER_KEY));
        wait_until("it is sealed to the other key", TOLD_WITHIN, async || {
            OTHER_KEY.open(&app.get_path(&carrier, "/v1/feed").await.json["items"][0]).is_some()
        })
        .await;
        let after = app.feed(&carrier, 2).await;
        assert_eq!((&after[0]["id"], &after[0]["case"]), (&before[0]["id"], &before[0]["case"]));
        // What it was not told before comes behind its cursor, though it was decided earlier.
        let page = app.get_path(&carrier, &format!("/v1/feed?after={next}")).await.expect_status(200);
        assert_eq!(page.json["items"][0]["case"], first.as_str());
        app.grant_feed(&carrier, "feed", "+8498", Some(&OTHER_KEY));
        app.feed(&carrier, 1).await;
    }
}

/// Numbers are drawn in the order in which decisions begin to be written, and a reader that goes by them loses the one
/// that is committed last. Here a decision is held back half-way while another wants to be made.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_decision_that_commits_late_is_not_skipped() {
    use diesel::connection::SimpleConnection;

    let app = TestApp::spawn(Engine::PostgresqlMemory).await;
    let carrier = all_cases(&app);
    app.post(&report("r-1").with("sender", "0985931051")).await.expect_status(201);
    app.post(&report("r-2").with("sender", "0985931052")).await.expect_status(201);
    let cases = app.cases().await;
    let (slow, fast) = (cases[0].reference.clone(), cases[1].reference.clone());
    // As `decide_case` does it, stopped before its commit.
    let mut held = app.database().connect();
    held.batch_execute(&format!(
        "BEGIN; SELECT FROM builder_cursor FOR UPDATE; \
         INSERT INTO decisions (case_id, verdict, reason, decided_by, decided_at, at_seq) \
         SELECT id, 'upheld', '', '', 1, (SELECT seq FROM builder_cursor) FROM cases WHERE reference = '{slow}'; \
         UPDATE cases SET status = 'upheld', closed_seq = (SELECT seq FROM builder_cursor) WHERE reference = '{slow}'"
    ))
    .unwrap();
    let app = std::sync::Arc::new(app);
    let deciding = {
        let (app, fast) = (std::sync::Arc::clone(&app), fast.clone());
        tokio::task::spawn_blocking(move || app.decide(&fast, CaseStatus::Upheld, ReasonClass::Violation))
    };
    wait_until("the other waits for its turn", TOLD_WITHIN, async || {
        use diesel::prelude::*;
        diesel::sql_query(
            "SELECT FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND application_name = 'spamgate-command'",
        )
        .execute(&mut app.database().connect())
        .unwrap()
            > 0
    })
    .await;
    assert_eq!(app.feed(&carrier, 0).await.len(), 0);
    held.batch_execute("COMMIT").unwrap();
    deciding.await.unwrap();
    let told: Vec<_> =
        app.feed(&carrier, 2).await.iter().map(|item| item["case"].as_str().unwrap().to_owned()).collect();
    assert_eq!(told, [slow, fast]);
}

/// Two nodes tell the same carriers: nobody is told twice, and positions have no gap.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_nodes_tell_each_carrier_once() {
    let app = TestApp::spawn(Engine::PostgresqlMemory).await;
    let other = app.join(|_| {}).await;
    let carrier = all_cases(&app);
    let mut decided = Vec::new();
    for index in 0..20 {
        decided.push(app.uphold(&format!("r-{index}"), &format!("09859310{index:02}")).await);
    }
    for node in [&app, &other] {
        let items = node.feed(&carrier, 20).await;
        let told: Vec<_> = items.iter().map(|item| item["case"].as_str().unwrap()).collect();
        assert_eq!(told, decided);
    }
}

/// A store that was restored gives positions anew: a cursor of before must not skip what stands there now.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cursor_of_before_a_restore_is_refused() {
    use diesel::connection::SimpleConnection;

    let app = TestApp::spawn(Engine::PostgresqlMemory).await;
    let carrier = all_cases(&app);
    app.uphold("r-1", "0985931051").await;
    app.uphold("r-2", "0985931052").await;
    app.feed(&carrier, 2).await;
    let next = app.get_path(&carrier, "/v1/feed").await.string("next").to_owned();
    // As if the last one had been told after the backup.
    let forget = "DELETE FROM feed_items WHERE position = 2; UPDATE feed_terms SET last_position = 1";
    app.database().connect().batch_execute(forget).unwrap();
    let path = format!("/v1/feed?after={next}");
    app.get_path(&carrier, &path).await.expect_problem(400, "invalid_cursor", "after");
    app.uphold("r-3", "0985931053").await;
    app.feed(&carrier, 2).await;
    app.get_path(&carrier, &path).await.expect_problem(400, "invalid_cursor", "after");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_operator_grants_the_feed_by_command() {
    let app = TestApp::spawn(Engine::Memory).await;
    let data = app.data().to_str().unwrap().to_owned();
    let run = async |arguments: &[&str]| spamgate(&[&["--data", data.as_str()], arguments].concat()).await;
    run(&["carrier", "own-numbers", "local", "+8498"]).await.expect_ok();
    run(&["carrier", "feed-key", "set", "local", "AAAA"]).await.expect_refused();
    run(&["carrier", "feed-key", "set", "local", &KEY.public_text()]).await.expect_ok();
    run(&["carrier", "own-numbers", "nobody", "+84"]).await.expect_refused();
    run(&["carrier", "feed-key", "set", "nobody", &KEY.public_text()]).await.expect_refused();
    app.post(&report("r-1")).await.expect_status(201);
    let reference = app.only_case().await.reference;
    let decide = ["cases", "decide", &reference, "--reason", "Trào phúng", "--by", "lan", "--verdict"];
    run(&[&decide[..], &["upheld", "--class", "consented"]].concat()).await.expect_refused();
    run(&[&decide[..], &["dismissed", "--class", "violation"]].concat()).await.expect_refused();
    run(&[&decide[..], &["dismissed", "--class", "lawful_expression"]].concat()).await.expect_ok();
    let items = app.feed(app.local(), 1).await;
    assert_eq!((&items[0]["verdict"], &items[0]["reason_class"]), (&json!("dismissed"), &json!("lawful_expression")));
    let shown = run(&["cases", "show", &reference, "--json"]).await.expect_json();
    assert_eq!(shown["decisions"][0]["reason_class"], "lawful_expression");
    run(&["carrier", "feed-key", "remove", "local"]).await.expect_ok();
    app.get_path(app.local(), "/v1/feed").await.expect_problem(409, "feed_key_missing", "");
}
