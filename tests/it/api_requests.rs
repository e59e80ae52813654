//! What the authority asks of carriers, and what they answer.

use std::time::Duration;

use reqwest::Method;
use reqwest::header::CONTENT_TYPE;
use serde_json::{Value, json};
use spamgate::domain::carrier::Scopes;
use spamgate::domain::request::RequestKind;
use spamgate::enrol::Terms;
use spamgate::outbound::ask::{AskError, REQUEST_SEAL_INFO};
use spamgate::store::requests::{NewRequest, find_addressee, insert_request};

use crate::support::{Answer, Carrier, Engine, FeedKey, TestApp, on_every_engine, report, spamgate, wait_until};

const KEY: FeedKey = FeedKey::new(7);
const OTHER_KEY: FeedKey = FeedKey::new(8);
/// How long sealing anew may take.
const SEALED_WITHIN: Duration = Duration::from_secs(20);

async fn asked(app: &TestApp) -> String {
    app.grant_feed(app.local(), "feed", "", Some(&KEY));
    app.post(&report("r-1")).await.expect_status(201);
    let reference = app.only_case().await.reference;
    app.ask(&reference, "local", RequestKind::CheckSubscriber).unwrap()
}

async fn answer(app: &TestApp, carrier: &Carrier, id: &str, body: &Value) -> Answer {
    let path = format!("/v1/requests/{id}/answer");
    let request = app.request(Method::POST, &path, Some(&carrier.api_key));
    let body = body.to_string();
    app.send(request.header(CONTENT_TYPE, "application/json").body(body.clone()), &body).await
}

on_every_engine! {
    async fn a_carrier_reads_what_it_is_asked_and_the_sender_with_its_key(app: TestApp) {
        let id = asked(&app).await;
        let page = app.get_path(app.local(), "/v1/requests").await.expect_status(200);
        let mut item = page.json["items"][0].clone();
        assert_eq!(KEY.open_for(REQUEST_SEAL_INFO, &item).as_deref(), Some("msisdn:+84985931054"));
        assert!(!page.text.contains("985931054"));
        let reference = app.only_case().await.reference;
        item["sender"].take();
        assert_eq!(item, json!({
            "id": id, "case": reference, "kind": "check_subscriber", "sender": null, "note": "Kiểm tra giấy tờ",
            "requested_at": "2026-11-24T08:00:00.000Z", "due_at": "2026-11-25T08:00:00.000Z", "status": "open",
        }));
    }

    async fn with_another_key_what_is_open_is_sealed_anew_and_what_is_answered_is_not(app: TestApp) {
        let answered = asked(&app).await;
        let carrier = app.local().clone();
        answer(&app, &carrier, &answered, &json!({"outcome": "done"})).await.expect_status(201);
        let reference = app.only_case().await.reference;
        app.ask(&reference, "local", RequestKind::WarnSubscriber).unwrap();
        let items = async || app.get_path(&carrier, "/v1/requests").await.expect_status(200).json["items"].clone();
        let before = items().await;
        app.grant_feed(&carrier, "feed", "", Some(&OTHER_KEY));
        wait_until("it is sealed to the other key", SEALED_WITHIN, async || {
            OTHER_KEY.open_for(REQUEST_SEAL_INFO, &items().await[1]).as_deref() == Some("msisdn:+84985931054")
        })
        .await;
        let after = items().await;
        assert_eq!((after.as_array().unwrap().len(), &after[0]), (2, &before[0]));
        assert_eq!(KEY.open_for(REQUEST_SEAL_INFO, &after[1]), None);
        let without_sender = |items: &Value| {
            let mut item = items[1].clone();
            item["sender"].take();
            item
        };
        assert_eq!(without_sender(&after), without_sender(&before));
    }

    async fn what_was_sealed_to_a_key_of_before_is_not_asked(app: TestApp) {
        app.grant_feed(app.local(), "feed", "", Some(&KEY));
        app.post(&report("r-1")).await.expect_status(201);
        let reference = app.only_case().await.reference;
        let connection = &mut app.connection();
        let addressee = find_addressee(connection, &reference, "local").unwrap().unwrap();
        // As if it had been set while the sender was sealed.
        app.grant_feed(app.local(), "feed", "", Some(&OTHER_KEY));
        let request = NewRequest {
            id: &[1; 16],
            carrier_id: &addressee.carrier_id,
            case_id: addressee.case_id,
            kind: "check_subscriber",
            requested_by: "lan",
            requested_at: 1,
            due_at: 2,
            body: "{}",
        };
        assert!(!insert_request(connection, &request, "{}", &KEY.public()).unwrap());
        let page = app.get_path(app.local(), "/v1/requests").await.expect_status(200);
        assert_eq!(page.json["items"], json!([]));
    }

    async fn an_answer_is_taken_once_and_the_same_again_is_the_same(app: TestApp) {
        let id = asked(&app).await;
        let carrier = app.local().clone();
        let body = json!({"outcome": "done", "note": "Đã gọi 0912345678"});
        let first = answer(&app, &carrier, &id, &body).await.expect_status(201);
        assert_eq!((first.id(), &first.json["duplicate"]), (id.as_str(), &json!(false)));
        let again = answer(&app, &carrier, &id, &body).await.expect_status(200);
        assert_eq!(again.json["duplicate"], true);
        assert_eq!(again.string("answered_at"), first.string("answered_at"));
        for other in [json!({"outcome": "refused", "note": "Đã gọi 0912345678"}), json!({"outcome": "done"})] {
            answer(&app, &carrier, &id, &other).await.expect_problem(409, "request_answered", "");
        }
        let page = app.get_path(&carrier, "/v1/requests").await.expect_status(200);
        let item = &page.json["items"][0];
        assert_eq!((&item["status"], &item["outcome"]), (&json!("answered"), &json!("done")));
        assert_eq!(item["answered_at"], first.json["answered_at"]);
    }

    async fn another_carriers_request_is_not_there(app: TestApp) {
        let id = asked(&app).await;
        let scopes = Scopes::parse("feed").unwrap();
        let other = app.add_carrier_with("other", Terms { scopes, ..Terms::default() });
        let reporter = app.add_carrier("reporter");
        app.get_path(&reporter, "/v1/requests").await.expect_problem(403, "scope_missing", "");
        let body = json!({"outcome": "done"});
        for id in [id.as_str(), "00000000-0000-0000-0000-000000000000", "x", "%00"] {
            answer(&app, &other, id, &body).await.expect_problem(404, "request_not_found", "");
        }
        let page = app.get_path(&other, "/v1/requests").await;
        assert_eq!(page.json["items"], json!([]));
    }

    async fn an_answer_that_cannot_be_read_says_what_to_mend(app: TestApp) {
        let id = asked(&app).await;
        let carrier = app.local().clone();
        for (body, code, field) in [
            (json!({}), "missing_field", "outcome"),
            (json!({"outcome": "perhaps"}), "unknown_value", "outcome"),
            (json!({"outcome": "done", "note": "x".repeat(2_001)}), "note_too_long", "note"),
            (json!({"outcome": "done", "why": "x"}), "unknown_field", "why"),
            (json!({"outcome": 1}), "wrong_type", "outcome"),
        ] {
            answer(&app, &carrier, &id, &body).await.expect_problem(422, code, field);
        }
        let path = format!("/v1/requests/{id}/answer");
        app.get_path(&carrier, &path).await.expect_problem(405, "method_not_allowed", "");
        // Nothing of it was taken.
        answer(&app, &carrier, &id, &json!({"outcome": "done"})).await.expect_status(201);
    }

    async fn requests_are_paged_in_the_order_in_which_they_were_made(app: TestApp) {
        let mut ids = vec![asked(&app).await];
        let reference = app.only_case().await.reference;
        for kind in [RequestKind::WarnSubscriber, RequestKind::TraceOrigin] {
            ids.push(app.ask(&reference, "local", kind).unwrap());
        }
        let mut path = "/v1/requests?limit=2".to_owned();
        let mut seen = Vec::new();
        for expected in [2, 1, 0] {
            let page = app.get_path(app.local(), &path).await.expect_status(200);
            let items = page.json["items"].as_array().unwrap().clone();
            assert_eq!(items.len(), expected);
            seen.extend(items.iter().map(|item| item["id"].as_str().unwrap().to_owned()));
            path = format!("/v1/requests?limit=2&after={}", page.string("next"));
        }
        assert_eq!(seen, ids);
        // A cursor of another list is none of this one.
        let next = path.split('=').next_back().unwrap();
        let feed = format!("/v1/feed?after={next}");
        app.get_path(app.local(), &feed).await.expect_problem(400, "invalid_cursor", "after");
    }

    async fn nobody_is_asked_without_a_key_or_about_a_text_without_a_sender(app: TestApp) {
        app.post(&report("r-1").with("category", "fake_news")).await.expect_status(201);
        let reference = app.only_case().await.reference;
        let kind = RequestKind::SuspendService;
        assert!(matches!(app.ask(&reference, "local", kind), Err(AskError::NoKey)));
        app.grant_feed(app.local(), "feed", "", Some(&KEY));
        assert!(matches!(app.ask(&reference, "local", kind), Err(AskError::NoSender)));
        assert!(matches!(app.ask(&reference, "nobody", kind), Err(AskError::NotFound)));
        assert!(matches!(app.ask("VN-2026-0000000Z", "local", kind), Err(AskError::NotFound)));
        app.ask(&reference, "local", RequestKind::TraceOrigin).unwrap();
        let page = app.get_path(app.local(), "/v1/requests").await.expect_status(200);
        assert!(page.json["items"][0]["sender"].is_null());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reviewer_asks_and_reads_the_answer_by_command() {
    let app = TestApp::spawn(Engine::Memory).await;
    let data = app.data().to_str().unwrap().to_owned();
    let run = async |arguments: &[&str]| spamgate(&[&["--data", data.as_str()], arguments].concat()).await;
    app.grant_feed(app.local(), "feed", "", Some(&KEY));
    app.post(&report("r-1")).await.expect_status(201);
    let reference = app.only_case().await.reference;
    let lower = reference.to_lowercase();
    let asking = ["cases", "request", &lower, "--carrier", "local", "--kind", "warn_subscriber", "--by", "lan"];
    let refused = run(&[&asking[..], &["--note", "0985 931 054"]].concat()).await.expect_refused();
    assert!(refused.contains("phone number") && !refused.contains("931"), "{refused}");
    run(&[&asking[..], &["--note", "Lần đầu", "--due-days", "3"]].concat()).await.expect_ok();
    let page = app.get_path(app.local(), "/v1/requests").await.expect_status(200);
    let id = page.json["items"][0]["id"].as_str().unwrap().to_owned();
    let body = json!({"outcome": "done", "note": "Đã cảnh báo chị Lan"});
    answer(&app, app.local(), &id, &body).await.expect_status(201);
    let shown = run(&["cases", "show", &reference, "--json"]).await.expect_json();
    let found = &shown["requests"][0];
    assert_eq!(
        (&found["id"], &found["kind"], &found["carrier"]),
        (&json!(id), &json!("warn_subscriber"), &json!("local"))
    );
    assert_eq!((&found["answer"]["outcome"], &found["answer"]["has_note"]), (&json!("done"), &json!(true)));
    assert!(found["answer"].get("note").is_none());
    let shown = run(&["cases", "show", &reference, "--open-notes", "--json"]).await.expect_json();
    assert_eq!(shown["requests"][0]["answer"]["note"], "Đã cảnh báo chị Lan");
    // What is stored of the note tells nothing.
    for file in ["spamgate.db", "spamgate.db-wal"] {
        let bytes = std::fs::read(app.data().join(file)).unwrap_or_default();
        assert!(!bytes.windows(5).any(|window| window == "chị".as_bytes()), "{file}");
    }
}
