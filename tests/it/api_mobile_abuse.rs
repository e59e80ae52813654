//! Reports in the Mobile Abuse Reporting Schema, and words for a sender.

use reqwest::Method;
use reqwest::header::CONTENT_TYPE;
use serde_json::{Value, json};
use spamgate::domain::vocabulary::{CaseStatus, ReasonClass};

use crate::support::{Answer, Engine, TestApp, assert_wire, on_every_engine, report, reporter, wait_until};

/// A report as the schema's examples are, an hour before the gateway's clock starts.
fn abuse() -> Value {
    json!({
        "v": "1",
        "i": "20275d91-690f-4908-a191-f1a16d0a770b",
        "u": "OrganizationA/Messages/2.3-alpha",
        "s": "0985931054",
        "r": "0912345678",
        "m": {"p": "sms", "t": "2026-11-24T07:00:00Z", "c": "Nhận làm các loại giấy tờ, liên hệ ngay"},
    })
}

fn with(pointer: &str, value: impl Into<Value>) -> Value {
    let mut body = abuse();
    let (parent, name) = pointer.rsplit_once('.').unwrap_or(("", pointer));
    let parent = if parent.is_empty() { &mut body } else { &mut body[parent] };
    match value.into() {
        Value::Null => drop(parent.as_object_mut().unwrap().remove(name)),
        value => parent[name] = value,
    }
    body
}

/// The same of another reporter, for or against the sender.
fn word(index: usize, disposition: &str, text: &str) -> Value {
    let mut body = with("r", reporter(index));
    body["d"] = disposition.into();
    body["m"]["c"] = text.into();
    body
}

/// The same said once more, in another conversation.
fn again(index: usize, disposition: &str, text: &str, conversation: u32) -> Value {
    let mut body = word(index, disposition, text);
    body["i"] = format!("00000000-0000-4000-8000-{conversation:012}").into();
    body
}

async fn post(app: &TestApp, body: &Value) -> Answer {
    let body = body.to_string();
    let request = app.request(Method::POST, "/v1/mobile-abuse", Some(&app.local().api_key));
    app.send(request.header(CONTENT_TYPE, "application/json").body(body.clone()), &body).await
}

async fn expect_counted(app: &TestApp, voices: i64, counter_voices: i64) {
    let case = app.only_case().await;
    assert_eq!((case.voices, case.counter_voices), (voices, counter_voices));
}

on_every_engine! {
    async fn a_report_of_the_schema_is_answered_like_every_other(app: TestApp) {
        let answer = post(&app, &abuse()).await;
        assert_wire!(answer.wire(), @r#"
        201
        content-length: 164
        content-type: application/json
        location: /v1/reports/[id]
        ratelimit: "carrier";r=1999;t=1
        ratelimit-policy: "carrier";q=2000;w=2

        {"id":"[id]","status":"accepted","duplicate":false,"repeat":false,"receipt":"[receipt]","received_at":"2026-11-24T08:00:00.000Z"}
        "#);
        let case = app.only_case().await;
        assert_eq!((case.category.as_str(), case.sms, case.voices, case.carrier_api), ("spam", 1, 1, 1));
        app.get(answer.id()).await.expect_status(200);
    }

    async fn the_same_report_again_is_the_same_whatever_its_spelling(app: TestApp) {
        let first = post(&app, &abuse()).await.expect_status(201);
        let mut again = with("m.p", "SMS");
        again["d"] = "SPAM".into();
        again["u"] = "OrganizationA/Messages/2.4".into();
        again["i"] = "20275D91-690F-4908-A191-F1A16D0A770B".into();
        again["r"] = "+84 912 345 678".into();
        again["more"] = json!({"not": "looked at"});
        assert_eq!(post(&app, &again).await.expect_status(200).id(), first.id());
        // A conversation has many messages.
        let other = post(&app, &with("m.c", "Vay tiền nhanh")).await.expect_status(201);
        assert_ne!(other.id(), first.id());
        // Without the conversation it cannot be known as the same report, but is known as the same said again.
        let bare = post(&app, &with("i", Value::Null)).await.expect_status(201);
        assert_eq!(bare.json["repeat"], true);
        let case = app.only_case().await;
        assert_eq!((case.reports, case.repeats, case.voices), (3, 1, 1));
    }

    async fn a_person_is_one_voice_by_either_schema(app: TestApp) {
        post(&app, &abuse()).await.expect_status(201);
        app.post(&report("r-1").with("content", "Một tin khác")).await.expect_status(201);
        expect_counted(&app, 1, 0).await;
    }

    async fn every_kind_of_sender_is_taken(app: TestApp) {
        let long = format!("{}@example.com", "x".repeat(338));
        let senders = ["+84985931054", "5656", "COMPANY1", "spam@example.com", "http://vn-bank.top/mo", &long];
        for sender in senders {
            post(&app, &with("s", sender)).await.expect_status(201);
        }
        let mut kinds: Vec<String> = app.cases().await.into_iter().map(|case| case.sender_kind).collect();
        kinds.sort();
        assert_eq!(kinds, ["brandname", "malformed", "malformed", "malformed", "msisdn", "short_code"]);
        post(&app, &with("s", format!("x{long}"))).await.expect_problem(422, "sender_too_long", "s");
    }

    async fn what_does_not_fit_the_schema_is_refused_by_its_names(app: TestApp) {
        let hash = "3f11961ff9b2c08df8b71943255fdb607a6921ef77bf08c833f6d03366704bda";
        let too_long = "x".repeat(4_001);
        let cases: Vec<(&str, Value, &str, &str)> = vec![
            ("v", Value::Null, "missing_field", "v"),
            ("v", "2".into(), "unknown_value", "v"),
            ("v", 1.into(), "wrong_type", "v"),
            ("i", "20275d91-690f-7908-a191-f1a16d0a770b".into(), "invalid_uuid", "i"),
            ("u", Value::Null, "missing_field", "u"),
            ("u", "Messages/2".into(), "invalid_user_agent", "u"),
            ("s", Value::Null, "missing_field", "s"),
            ("s", "".into(), "sender_empty", "s"),
            ("s", "098593l054".into(), "number_has_letter", "s"),
            ("r", Value::Null, "missing_field", "r"),
            ("r", hash.into(), "reporter_hashed", "r"),
            ("r", "user@example.com".into(), "number_has_letter", "r"),
            ("r", "02432321234".into(), "number_not_mobile", "r"),
            ("d", "ham".into(), "unknown_value", "d"),
            ("m", Value::Null, "missing_field", "m"),
            ("m.p", Value::Null, "missing_field", "m.p"),
            ("m.p", "email".into(), "unknown_value", "m.p"),
            ("m.t", Value::Null, "missing_field", "m.t"),
            ("m.t", "2026-11-24T07:00:00.5Z".into(), "invalid_time", "m.t"),
            ("m.t", "2026-11-24T14:00:00+07:00".into(), "invalid_time", "m.t"),
            ("m.t", "2026-11-24T09:00:00Z".into(), "occurred_in_future", "m.t"),
            ("m.t", "2026-10-01T09:00:00Z".into(), "occurred_too_long_ago", "m.t"),
            ("m.c", Value::Null, "missing_field", "m.c"),
            ("m.c", "".into(), "content_missing", "m.c"),
            ("m.c", "a\u{0}b".into(), "text_has_nul", "m.c"),
            ("m.c", too_long.into(), "content_too_long", "m.c"),
            ("m.c", "Content-Type: image/png\r\n\r\nx".into(), "content_missing", "m.c"),
        ];
        for (pointer, value, code, field) in cases {
            post(&app, &with(pointer, value)).await.expect_problem(422, code, field);
        }
        assert_eq!(app.journal_rows(), 0);
    }

    async fn the_plain_text_of_mime_is_what_was_said(app: TestApp) {
        let mime = "Content-Type: text/plain; charset=\"UTF-8\"\r\n\r\nNhận làm các loại giấy tờ, liên hệ ngay";
        post(&app, &with("m.c", mime)).await.expect_status(201);
        let plain = post(&app, &with("i", Value::Null)).await.expect_status(201);
        assert_eq!(plain.json["repeat"], true);
    }

    async fn it_takes_of_the_reporters_day(engine: Engine) {
        let app = TestApp::spawn_with(engine, |config| config.limits.reporter_per_day = 1.try_into().unwrap()).await;
        post(&app, &abuse()).await.expect_status(201);
        post(&app, &with("m.c", "Một tin khác")).await.expect_problem(429, "reporter_quota_exceeded", "r");
    }

    async fn a_word_for_a_sender_takes_that_persons_voice_away_and_the_latest_counts(app: TestApp) {
        post(&app, &word(0, "spam", "một")).await.expect_status(201);
        post(&app, &word(1, "spam", "một")).await.expect_status(201);
        expect_counted(&app, 2, 0).await;
        let answer = post(&app, &word(0, "Legit", "một")).await.expect_status(201);
        assert_eq!(answer.json["repeat"], false, "for is no repeat of against");
        expect_counted(&app, 1, 1).await;
        // Of another text of the same sender: the same case.
        post(&app, &word(1, "legit", "hai")).await.expect_status(201);
        expect_counted(&app, 0, 2).await;
        post(&app, &word(0, "spam", "ba")).await.expect_status(201);
        expect_counted(&app, 1, 1).await;
        // A word that repeats an older one is still the latest.
        post(&app, &word(0, "legit", "bốn")).await.expect_status(201);
        expect_counted(&app, 0, 2).await;
        let mut repeat = word(0, "spam", "ba");
        repeat["i"] = "00000000-0000-4000-8000-000000000001".into();
        assert_eq!(post(&app, &repeat).await.expect_status(201).json["repeat"], true);
        expect_counted(&app, 1, 1).await;
        // Sent again late, an old report changes nothing.
        post(&app, &word(0, "legit", "một")).await.expect_status(200);
        expect_counted(&app, 1, 1).await;
        let case = app.only_case().await;
        assert_eq!((case.reports, case.repeats, case.foreign_voices), (7, 1, 0));
    }

    // Fails when somebody's own customers could open a case against a sender by praising it.
    async fn words_for_a_sender_alone_open_no_case(app: TestApp) {
        let answer = post(&app, &word(0, "legit", "một")).await.expect_status(201);
        assert!(app.cases().await.is_empty());
        assert_eq!(app.caseless_reports().await, 1);
        assert_eq!(app.get(answer.id()).await.expect_status(200).string("status"), "counted");
        post(&app, &word(1, "spam", "một")).await.expect_status(201);
        expect_counted(&app, 1, 0).await;
        post(&app, &word(2, "legit", "một")).await.expect_status(201);
        expect_counted(&app, 1, 1).await;
    }

    async fn a_word_for_a_sender_from_before_its_case_counts_when_it_is_said_again(app: TestApp) {
        post(&app, &word(0, "legit", "một")).await.expect_status(201);
        post(&app, &word(0, "spam", "một")).await.expect_status(201);
        expect_counted(&app, 1, 0).await;
        post(&app, &again(0, "legit", "một", 1)).await.expect_status(201);
        expect_counted(&app, 0, 1).await;
        post(&app, &again(0, "legit", "một", 2)).await.expect_status(201);
        expect_counted(&app, 0, 1).await;
        let case = app.only_case().await;
        assert_eq!((case.reports, case.repeats, app.caseless_reports().await), (3, 1, 1));
    }

    // Fails when the figures of a decision change after it was made.
    async fn words_that_are_repeated_after_the_decision_turn_no_voice(app: TestApp) {
        post(&app, &word(0, "spam", "một")).await.expect_status(201);
        post(&app, &word(1, "spam", "một")).await.expect_status(201);
        post(&app, &word(0, "legit", "một")).await.expect_status(201);
        expect_counted(&app, 1, 1).await;
        let reference = app.only_case().await.reference;
        app.decide(&reference, CaseStatus::Dismissed, ReasonClass::Other);
        post(&app, &again(0, "spam", "một", 1)).await.expect_status(201);
        expect_counted(&app, 1, 1).await;
        assert_eq!(app.only_case().await.repeats, 1);
    }

    async fn a_rebuild_gives_the_same_voices_for_and_against(app: TestApp) {
        use spamgate::casework::builder::begin_rebuild;
        post(&app, &word(0, "legit", "trước")).await.expect_status(201);
        for (index, disposition) in [(0, "spam"), (1, "legit"), (2, "spam"), (0, "legit"), (3, "spam")] {
            post(&app, &word(index, disposition, "một")).await.expect_status(201);
        }
        expect_counted(&app, 2, 2).await;
        begin_rebuild(&mut app.connection()).unwrap();
        wait_until("everything is built again", std::time::Duration::from_secs(30), async || {
            use spamgate::store::building::find_cursor_seq;
            use spamgate::store::journal::find_last_seq;
            let mut connection = app.connection();
            find_cursor_seq(&mut connection).unwrap() == find_last_seq(&mut connection).unwrap()
        })
        .await;
        expect_counted(&app, 2, 2).await;
        assert_eq!((app.only_case().await.reports, app.caseless_reports().await), (5, 1));
    }

    async fn a_foreign_voice_that_turns_is_no_foreign_voice_any_more(app: TestApp) {
        let other = app.add_carrier_attesting("other", "+8499");
        let body = word(0, "spam", "một").to_string();
        let as_other = async |body: String| {
            let request = app.request(Method::POST, "/v1/mobile-abuse", Some(&other.api_key));
            app.send(request.header(CONTENT_TYPE, "application/json").body(body), "").await.expect_status(201);
        };
        as_other(body).await;
        assert_eq!(app.only_case().await.foreign_voices, 1);
        as_other(word(0, "legit", "một").to_string()).await;
        let case = app.only_case().await;
        assert_eq!((case.voices, case.foreign_voices, case.counter_voices), (0, 0, 1));
        as_other(word(0, "spam", "hai").to_string()).await;
        let case = app.only_case().await;
        assert_eq!((case.voices, case.foreign_voices, case.counter_voices), (1, 1, 0));
    }
}
