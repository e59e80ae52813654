//! Subscribers' SMS, as SMS gateways forward them: what is taken, what the subscriber is told, what a retry does.

use std::sync::Arc;
use std::time::Duration;

use reqwest::Method;
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE};

use spamgate::domain::carrier::Scopes;
use spamgate::enrol::Terms;

use crate::support::{
    Answer, ChaosProxy, Engine, RedisServer, TestApp, assert_wire, on_every_engine, report, reporter,
};

const REPORTER: &str = "0912345678";
const NUMBER: &str = "0985931054";

/// A parameter's value as every SMS gateway may encode it.
fn encoded(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("%{byte:02X}")).collect()
}

/// What Kannel sends for an SMS that it has as UTF-8.
fn query(id: &str, from: &str, text: &str) -> String {
    let (from, text) = (encoded(from.as_bytes()), encoded(text.as_bytes()));
    format!("/v1/mo/kannel?from={from}&to=5656&text={text}&coding=0&charset=UTF-8&time=1795507200&id={id}&smsc=one")
}

async fn get(app: &TestApp, path: &str) -> Answer {
    app.send(app.request(Method::GET, path, Some(&app.local().api_key)), path).await
}

/// Sends an SMS and gives what the subscriber is told.
async fn sms(app: &TestApp, id: &str, text: &str) -> Answer {
    let answer = get(app, &query(id, REPORTER, text)).await.expect_status(200);
    assert_eq!(answer.header("content-type"), Some("text/plain; charset=utf-8"));
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    answer
}

fn is_received(answer: &Answer) -> bool {
    answer.text.starts_with("Da nhan bao cao cua ban. Ma bien nhan: ")
}

fn is_asked(answer: &Answer) -> bool {
    answer.text.starts_with("Da nhan bao cao, ma ")
}

fn is_amended(answer: &Answer) -> bool {
    answer.text.starts_with("Da bo sung nguon lam phien vao bao cao, ma ")
}

fn is_help(answer: &Answer) -> bool {
    answer.text.starts_with("Chua nhan: sai cu phap.")
}

fn report_id(answer: &Answer) -> &str {
    answer.header("report-id").unwrap_or_else(|| panic!("no report: {}", answer.text))
}

on_every_engine! {
    async fn an_sms_is_a_report_like_any_other(app: TestApp) {
        let text = format!("S ({NUMBER})(Nhận làm các loại giấy tờ)");
        let answer = sms(&app, "1", &text).await;
        assert!(is_received(&answer), "{}", answer.text);
        app.wait_until_built().await;
        let found = app.get(report_id(&answer)).await.expect_status(200);
        assert_eq!(found.string("status"), "counted");
        assert!(answer.text.contains(found.string("receipt")));
        let case = app.only_case().await;
        let counts = (case.sender_kind.as_str(), case.reports, case.voices, case.foreign_voices);
        assert_eq!((counts, case.category.as_str()), (("msisdn", 1, 1, 0), "spam"));
    }

    async fn a_retry_is_answered_like_the_first_and_counted_once(app: TestApp) {
        let text = format!("V ({NUMBER})(moi mua dat)");
        let first = sms(&app, "1", &text).await;
        app.advance(Duration::from_secs(30));
        let second = sms(&app, "1", &text).await;
        assert_eq!((first.text.as_str(), report_id(&first)), (second.text.as_str(), report_id(&second)));
        app.forget_fast_state().await;
        assert_eq!(sms(&app, "1", &text).await.text, first.text);
        let case = app.only_case().await;
        assert_eq!((case.reports, case.calls, case.voices), (1, 1, 1));
        assert_eq!(app.get(report_id(&first)).await.string("status"), "counted", "a retry has the same body");
        let other = sms(&app, "1", &format!("V ({NUMBER})(noi dung khac)")).await;
        assert!(is_received(&other) == app.engine.has_redis() || other.text.starts_with("Chua nhan: loi ma"));
    }

    async fn a_report_in_two_messages_is_counted_where_it_belongs(app: TestApp) {
        let asked = sms(&app, "1", "S (vay tiền nhanh lãi thấp)").await;
        assert!(is_asked(&asked), "{}", asked.text);
        let hidden = app.only_case().await;
        assert_eq!((hidden.sender_kind.as_str(), hidden.voices), ("hidden", 1));
        let amended = sms(&app, "2", NUMBER).await;
        assert!(is_amended(&amended), "{}", amended.text);
        assert_eq!(report_id(&amended), report_id(&asked));
        let case = app.only_case().await;
        assert_eq!((case.sender_kind.as_str(), case.reports, case.voices, case.sms), ("msisdn", 1, 1, 1));
        assert_ne!(case.reference, hidden.reference);
        let found = app.get(report_id(&asked)).await;
        assert_eq!((found.string("status"), found.case()), ("counted", case.reference.as_str()));
        // As if both had been said at once.
        let whole = sms(&app, "3", &format!("S ({NUMBER})(vay tiền nhanh lãi thấp)")).await;
        app.wait_until_built().await;
        assert_eq!(app.get(report_id(&whole)).await.string("status"), "repeat");
        let case = app.only_case().await;
        assert_eq!((case.reports, case.repeats, case.voices), (2, 1, 1));
    }

    async fn the_answer_may_be_tried_again_and_is_taken_once(app: TestApp) {
        let asked = sms(&app, "1", "S vay tien nhanh lai thap").await;
        assert_eq!(sms(&app, "1", "S vay tien nhanh lai thap").await.text, asked.text, "a retry is asked again");
        let amended = sms(&app, "2", NUMBER).await;
        assert!(is_amended(&amended), "{}", amended.text);
        assert_eq!(sms(&app, "2", NUMBER).await.text, amended.text);
        assert!(is_help(&sms(&app, "3", "0971234567").await), "it is answered");
        assert!(is_received(&sms(&app, "1", "S vay tien nhanh lai thap").await), "nothing is asked any more");
        assert_eq!(app.journal_rows(), 2);
    }

    async fn of_two_answers_the_first_in_the_journal_counts(app: TestApp) {
        let asked = sms(&app, "1", "S vay tien nhanh lai thap").await;
        assert!(is_asked(&asked));
        let path = |id: &str, text: &str| query(id, REPORTER, text);
        let (one, other) = (path("2", NUMBER), path("3", "9029"));
        let (one, other) = tokio::join!(get(&app, &one), get(&app, &other));
        let (told, other) = if is_amended(&one) { (one, other) } else { (other, one) };
        assert!(is_amended(&told), "{}", told.text);
        if other.status == 200 {
            assert!(is_help(&other), "{}", other.text);
        } else {
            other.expect_problem(503, "overloaded", "");
        }
        assert_eq!(app.journal_rows(), 2, "what does not count is not stored");
        let case = app.only_case().await;
        assert_eq!((case.reports, case.voices), (1, 1));
    }

    async fn asked_twice_and_answered_once_it_is_one_voice(app: TestApp) {
        let text = "S vay tien nhanh lai thap";
        let first = sms(&app, "1", text).await;
        app.advance(Duration::from_secs(540));
        let second = sms(&app, "2", text).await;
        assert!(is_asked(&first) && is_asked(&second));
        assert_ne!(report_id(&first), report_id(&second));
        assert_eq!(sms(&app, "2", text).await.text, second.text, "a retry is asked again");
        // The last question gives ten minutes, too.
        app.advance(Duration::from_secs(540));
        let amended = sms(&app, "3", NUMBER).await;
        assert!(is_amended(&amended), "{}", amended.text);
        assert_eq!(report_id(&amended), report_id(&first));
        let cases = app.cases().await;
        let voices: Vec<(&str, i64)> =
            cases.iter().filter(|case| case.voices > 0).map(|case| (case.sender_kind.as_str(), case.voices)).collect();
        assert_eq!(voices, [("msisdn", 1)]);
        assert!(is_received(&sms(&app, "2", text).await), "nothing is asked any more");
        // Another text is another report: the question is about that one.
        let other = sms(&app, "4", "S trung thuong xe may").await;
        assert_eq!(report_id(&sms(&app, "5", NUMBER).await), report_id(&other));
    }

    async fn an_answer_after_ten_minutes_or_of_another_or_to_nothing_is_no_answer(app: TestApp) {
        assert!(is_help(&sms(&app, "0", NUMBER).await));
        assert!(is_asked(&sms(&app, "1", "LD goi gia danh cong an").await));
        let other = get(&app, &query("2", &reporter(5), NUMBER)).await;
        assert!(is_help(&other), "{}", other.text);
        app.advance(Duration::from_secs(600));
        assert!(is_help(&sms(&app, "3", NUMBER).await));
        assert_eq!(app.journal_rows(), 1);
        assert_eq!(app.only_case().await.sender_kind, "hidden");
    }

    async fn a_lost_question_loses_no_report(app: TestApp) {
        let asked = sms(&app, "1", "S vay tien nhanh lai thap").await;
        assert!(is_asked(&asked));
        if app.engine.has_redis() {
            app.wait_until_marked_id(report_id(&asked)).await;
        }
        app.forget_fast_state().await;
        assert!(is_help(&sms(&app, "2", NUMBER).await));
        let case = app.only_case().await;
        assert_eq!((case.sender_kind.as_str(), case.reports), ("hidden", 1));
    }

    async fn another_sender_than_a_number_can_be_the_answer(app: TestApp) {
        for (index, (answer, kind)) in [("9029", "short_code"), ("VIETBANK", "brandname"), ("S (0985931054)", "msisdn")]
            .into_iter()
            .enumerate()
        {
            let from = reporter(100 + index);
            let asked = get(&app, &query(&format!("a{index}"), &from, &format!("S tin rac {kind}"))).await;
            assert!(is_asked(&asked), "{}", asked.text);
            let amended = get(&app, &query(&format!("b{index}"), &from, answer)).await;
            assert!(is_amended(&amended), "{answer}: {}", amended.text);
            app.wait_until_built().await;
            let reference = app.get(report_id(&asked)).await.case().to_owned();
            let case = app.cases().await.into_iter().find(|case| case.reference == reference).unwrap();
            assert_eq!((case.sender_kind.as_str(), case.voices), (kind, 1));
        }
        assert_eq!(app.cases().await.len(), 3);
    }

    async fn a_mistyped_answer_may_be_corrected(app: TestApp) {
        assert!(is_asked(&sms(&app, "1", "S vay tien nhanh lai thap").await));
        let refused = sms(&app, "2", "098593l054").await;
        assert!(refused.text.starts_with("Chua nhan: so bi bao cao khong dung."), "{}", refused.text);
        assert!(is_amended(&sms(&app, "3", NUMBER).await));
    }

    async fn what_is_no_report_is_answered_and_not_stored(app: TestApp) {
        for (text, told) in [
            ("", "Chua nhan: sai cu phap."),
            ("xin chao", "Chua nhan: sai cu phap."),
            ("Sim số đẹp giá rẻ", "Chua nhan: sai cu phap."),
            ("DK DNC", "Yeu cau ve danh sach khong quang cao (DNC) chua duoc ghi nhan o day."),
            ("HUY DNC V", "Yeu cau ve danh sach khong quang cao (DNC) chua duoc ghi nhan o day."),
            ("S", "Chua nhan: thieu noi dung. Hay gui: S (so)(noi dung)."),
            ("S (0985931054)", "Chua nhan: thieu noi dung. Hay gui: S (so)(noi dung)."),
            ("LD", "Chua nhan: thieu noi dung. Hay gui: LD (so)(noi dung)."),
            ("TG", "Chua nhan: thieu noi dung. Hay gui: TG (so)(noi dung)."),
            ("S (098593l054)(vay tien)", "Chua nhan: so bi bao cao khong dung."),
        ] {
            let answer = sms(&app, "1", text).await;
            assert!(answer.text.starts_with(told), "{text}: {}", answer.text);
            assert_eq!(answer.header("report-id"), None);
        }
        let long = format!("S (9029)({})", "a".repeat(4_001));
        let path = format!("/v1/mo/kannel?from={REPORTER}&id=1&coding=0&charset=UTF-8");
        let post = app.request(Method::POST, &path, Some(&app.local().api_key)).header(CONTENT_TYPE, "text/plain");
        let answer = app.send(post.body(long), "").await.expect_status(200);
        assert!(answer.text.starts_with("Chua nhan: noi dung qua dai."), "{}", answer.text);
        for from in ["5656", "VIETTEL", "+15550100", "02438251234", "84"] {
            let answer = get(&app, &query("1", from, "S (9029)(vay tien)")).await.expect_status(200);
            assert!(answer.text.starts_with("Chua nhan: chi nhan bao cao tu so di dong Viet Nam."), "{}", answer.text);
        }
        assert_eq!(app.journal_rows(), 0);
    }

    async fn a_reporter_over_the_day_is_told_and_the_gateway_does_not_try_again(engine: Engine) {
        let app = TestApp::spawn_with(engine, |config| {
            config.limits.reporter_per_day = std::num::NonZeroU32::new(2).unwrap();
        })
        .await;
        for id in ["1", "2"] {
            assert!(is_received(&sms(&app, id, &format!("S (9029)(vay tien {id})")).await));
        }
        let over = sms(&app, "3", "S (9029)(vay tien 3)").await;
        assert!(over.text.starts_with("Chua nhan: ban da gui du so bao cao cua mot ngay."), "{}", over.text);
        assert!(is_received(&sms(&app, "2", "S (9029)(vay tien 2)").await), "a stored one takes nothing");
        assert_eq!(app.journal_rows(), 2);
    }

    async fn jasmin_hears_its_own_words_and_a_retry_is_counted_once(app: TestApp) {
        let units: Vec<u8> = format!("S ({NUMBER})(vay tiền)").encode_utf16().flat_map(u16::to_be_bytes).collect();
        let binary: String = units.iter().map(|byte| format!("{byte:02x}")).collect();
        let form = format!(
            "id=4f1e&from=84912345678&to=5656&origin-connector=smsc1&priority=1&coding=8&validity=none&content={}\
             &binary={binary}",
            encoded(&units),
        );
        let request = |form: &str| {
            let request = app.request(Method::POST, "/v1/mo/jasmin", Some(&app.local().api_key));
            request.header(CONTENT_TYPE, "application/x-www-form-urlencoded").body(form.to_owned())
        };
        for _ in 0..3 {
            let answer = app.send(request(&form), &form).await.expect_status(200);
            assert_eq!(answer.text, "ACK/Jasmin");
            app.advance(Duration::from_secs(30));
        }
        app.forget_fast_state().await;
        let by_get = get(&app, &format!("/v1/mo/jasmin?{form}")).await.expect_status(200);
        assert_eq!(by_get.text, "ACK/Jasmin");
        let case = app.only_case().await;
        assert_eq!((case.reports, case.voices, case.sender_kind.as_str()), (1, 1, "msisdn"));
        assert_eq!(app.get(report_id(&by_get)).await.string("status"), "counted", "its time is not part of its body");
        let unknown = form.replace("4f1e", "5f1e").replace("coding=8", "coding=5");
        assert_eq!(app.send(request(&unknown), &unknown).await.expect_status(200).text, "ACK/Jasmin");
        assert_eq!(app.cases().await.len(), 1);
    }

    async fn the_text_comes_in_any_alphabet(app: TestApp) {
        let key = app.local().api_key.clone();
        let ucs2: Vec<u8> = "S (9029)(vay tiền)".encode_utf16().flat_map(u16::to_be_bytes).collect();
        let broken = [&ucs2[..], &[0xd8, 0x00, 0x00]].concat();
        for (index, (bytes, rest)) in [
            (ucs2.clone(), "coding=2&charset=UTF-16BE"),
            (ucs2, "coding=2"),
            (broken, "coding=2&charset=UTF-16BE"),
            (b"S (9029)(B\xe4ng C\xe4p)".to_vec(), "coding=0&charset=ISO-8859-1"),
            (b"S (9029)(B\xe4ng C\xe4p\0)".to_vec(), "coding=1&charset=8-BIT"),
            ("S (9029)(vay tiền)".as_bytes().to_vec(), ""),
            (b"S (9029)(\xff\xfe)(x)".to_vec(), "charset=utf-8"),
        ]
        .into_iter()
        .enumerate()
        {
            let from = reporter(index);
            let path = format!("/v1/mo/kannel?from={from}&id={index}&text={}&{rest}", encoded(&bytes));
            assert!(is_received(&get(&app, &path).await), "by GET: {rest}");
            let path = format!("/v1/mo/kannel?from={}&id=p{index}&{rest}", reporter(50 + index));
            let request = app.request(Method::POST, &path, Some(&key)).header(CONTENT_TYPE, "text/plain").body(bytes);
            assert!(is_received(&app.send(request, "").await), "by POST: {rest}");
        }
        let unknown = get(&app, "/v1/mo/kannel?from=0912345678&id=u&text=S&coding=0&charset=KOI8-R").await;
        assert!(unknown.text.starts_with("Chua nhan: khong doc duoc tin nhan."), "{}", unknown.text);
        let cases = app.cases().await;
        assert_eq!((cases.len(), cases[0].voices), (1, 14));
    }

    async fn without_a_message_id_the_same_sms_is_still_the_same(app: TestApp) {
        let path = |time: u64| {
            format!("/v1/mo/kannel?from={REPORTER}&to=156&text=V({NUMBER})&coding=0&charset=UTF-8&time={time}")
        };
        let first = get(&app, &path(1_795_507_200)).await;
        assert!(is_received(&first), "{}", first.text);
        assert_eq!(get(&app, &path(1_795_507_200)).await.text, first.text);
        assert_ne!(get(&app, &path(1_795_507_260)).await.text, first.text);
        assert_eq!(app.journal_rows(), 2);
    }

    async fn without_a_commit_there_is_no_yes(app: TestApp) {
        assert!(is_asked(&sms(&app, "1", "S vay tien nhanh lai thap").await));
        app.stop_storing();
        let jasmin = format!("/v1/mo/jasmin?id=1&from={REPORTER}&to=156&coding=1&content=V({NUMBER})");
        // The answer to a question is stored like a report.
        for path in [query("2", REPORTER, "S (9029)(vay tien)"), query("3", REPORTER, NUMBER), jasmin] {
            get(&app, &path).await.expect_problem(503, "store_unavailable", "");
        }
        // The first answer may still be on its way; when it cannot be any more, another takes its place.
        let other = query("4", REPORTER, "9029");
        get(&app, &other).await.expect_problem(503, "overloaded", "");
        app.advance(Duration::from_secs(5));
        get(&app, &other).await.expect_problem(503, "store_unavailable", "");
        assert_eq!(app.journal_rows(), 1);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn when_no_more_can_be_asked_the_report_is_stored_all_the_same() {
    let app = TestApp::spawn_with(Engine::Memory, |config| config.mo.questions_max = 1).await;
    assert!(is_asked(&sms(&app, "1", "S vay tien nhanh lai thap").await));
    let second = get(&app, &query("2", &reporter(5), "S vay tien nhanh lai thap")).await;
    assert!(is_received(&second), "{}", second.text);
    assert_eq!(app.only_case().await.voices, 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_redis_is_away_an_answer_is_tried_again_and_what_can_be_none_is_not() {
    let server = Arc::new(RedisServer::start());
    let proxy = ChaosProxy::to(server.socket());
    let url = format!("redis://{}", proxy.address());
    let app = TestApp::spawn_beside_with(&server, |config| config.fast.url = url).await;
    assert!(is_asked(&sms(&app, "1", "S vay tien nhanh lai thap").await));
    proxy.cut();
    app.wait_until_degraded("redis cannot be reached").await;
    let jasmin = format!("/v1/mo/jasmin?id=3&from={REPORTER}&to=156&coding=1&content={NUMBER}");
    let sent_at = |seconds: &str| query("4", REPORTER, NUMBER).replace("1795507200", seconds);
    let written_as_a_report = query("5", REPORTER, &format!("S ({NUMBER})"));
    for path in [query("2", REPORTER, NUMBER), jasmin, sent_at("1795506601"), written_as_a_report] {
        let answer = get(&app, &path).await;
        assert_eq!(answer.header("retry-after"), Some("1"));
        answer.expect_problem(503, "store_unavailable", "");
    }
    // Nobody can wait for these, however long Redis is away.
    assert!(is_help(&get(&app, &sent_at("1795506600")).await));
    assert!(is_help(&sms(&app, "6", "098593l054").await));
    assert!(is_help(&sms(&app, "7", "xin chao").await));
    proxy.go_on();
    app.wait_until_whole().await;
    assert!(is_amended(&sms(&app, "2", NUMBER).await));
    assert_eq!(app.only_case().await.sender_kind, "msisdn");
    assert_eq!(app.journal_rows(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_that_cannot_be_remembered_is_not_stored() {
    let server = Arc::new(RedisServer::start());
    let app = TestApp::spawn_beside(&server).await;
    assert!(is_asked(&sms(&app, "1", "S vay tien nhanh lai thap").await));
    // It still reads, and writes no more.
    server.configure("maxmemory", "1");
    for id in ["2", "3"] {
        get(&app, &query(id, REPORTER, NUMBER)).await.expect_problem(503, "store_unavailable", "");
    }
    assert_eq!(app.journal_rows(), 1);
    server.configure("maxmemory", "0");
    app.wait_until_whole().await;
    assert!(is_amended(&sms(&app, "3", NUMBER).await));
    assert!(is_help(&sms(&app, "2", NUMBER).await));
    assert_eq!(app.journal_rows(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_that_came_in_time_outlives_a_long_outage_of_the_store() {
    let server = Arc::new(RedisServer::start());
    let app = TestApp::spawn_beside(&server).await;
    assert!(is_asked(&sms(&app, "1", "S vay tien nhanh lai thap").await));
    app.stop_storing();
    get(&app, &query("2", REPORTER, NUMBER)).await.expect_problem(503, "store_unavailable", "");
    app.advance(Duration::from_secs(23 * 60 * 60));
    app.restart().await;
    assert!(is_help(&sms(&app, "3", "9029").await), "another one comes too late");
    assert!(is_amended(&sms(&app, "2", NUMBER).await));
    assert_eq!(app.only_case().await.sender_kind, "msisdn");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_key_comes_in_any_of_three_ways_and_only_a_carriers_own_reports_are_its() {
    let app = TestApp::spawn(Engine::Memory).await;
    let key = app.local().api_key.clone();
    let path = query("1", REPORTER, "S (9029)(vay tien)");
    let with = |name: &str, value: String| app.request(Method::GET, &path, None).header(name, value);
    let basic = |text: &str| {
        use base64::Engine as _;
        format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(text))
    };
    let first = app.send(with("authorization", format!("Bearer {key}")), "").await;
    assert!(is_received(&first));
    let second = app.send(with("authorization", basic(&format!("any:{key}"))), "").await;
    let third = app.send(app.request(Method::GET, &format!("{path}&key={key}"), None), "").await;
    assert_eq!((&second.text, &third.text), (&first.text, &first.text));
    app.send(app.request(Method::GET, &path, None), "").await.expect_problem(401, "api_key_missing", "");
    for wrong in [basic("any:sgk_wrong"), "Bearer sgk_wrong".to_owned()] {
        let request = app.request(Method::GET, &path, None).header(AUTHORIZATION, wrong);
        app.send(request, "").await.expect_problem(401, "api_key_unknown", "");
    }
    for none in [basic(&key), "Basic ???".to_owned(), "Basic ".to_owned()] {
        let request = app.request(Method::GET, &path, None).header(AUTHORIZATION, none);
        app.send(request, "").await.expect_problem(401, "api_key_missing", "");
    }
    let split = basic(&key.replacen("sgk_", "sgk_:", 1));
    let fourth = app.send(app.request(Method::GET, &path, None).header(AUTHORIZATION, split), "").await;
    assert_eq!(fourth.text, first.text, "as Kannel needs it");
    let mere_reporter = app.add_carrier("reports-alone");
    let refused = app.send(app.request(Method::GET, &path, Some(&mere_reporter.api_key)), "").await;
    refused.expect_problem(403, "scope_missing", "");
    let other = app.add_carrier_with("other", Terms { scopes: Scopes::parse("mo").unwrap(), ..Terms::default() });
    let same_id = app.send(app.request(Method::GET, &path, Some(&other.api_key)), "").await;
    assert_ne!(same_id.text, first.text, "another carrier's message id is another");
    // What a carrier calls a report of its own is never the id of an SMS.
    app.post(&report("1")).await.expect_status(201);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_template_that_lacks_a_part_is_said_to_the_operator() {
    let app = TestApp::spawn(Engine::Memory).await;
    let without = |name: &str| query("1", REPORTER, "S (9029)(x)").replace(&format!("{name}="), &format!("no{name}="));
    get(&app, &without("from")).await.expect_problem(422, "missing_field", "from");
    get(&app, &without("text")).await.expect_problem(422, "missing_field", "text");
    // Without both, the same words days later would be the same SMS.
    for time in ["notime=1", "time=", "time=%25T"] {
        let neither = without("id").replace("time=1795507200", time);
        get(&app, &neither).await.expect_problem(422, "missing_field", "id");
    }
    get(&app, &format!("{}&id=2", query("1", REPORTER, "S"))).await.expect_problem(422, "duplicate_field", "");
    let many: String = (0..70).map(|number| format!("&p{number}=")).collect();
    get(&app, &format!("{}{many}", query("1", REPORTER, "S"))).await.expect_problem(422, "too_many_fields", "");
    let long = query(&"1".repeat(129), REPORTER, "S");
    get(&app, &long).await.expect_problem(422, "invalid_report_id", "id");
    get(&app, "/v1/mo/jasmin?from=0912345678&content=S").await.expect_problem(422, "missing_field", "id");
    get(&app, "/v1/mo/other?from=0912345678&text=S").await.expect_problem(404, "not_found", "");
    let put = app.request(Method::PUT, "/v1/mo/kannel", Some(&app.local().api_key));
    let refused = app.send(put, "").await;
    assert_eq!(refused.header("allow"), Some("GET, POST"));
    refused.expect_problem(405, "method_not_allowed", "");
    let compressed = app.request(Method::POST, "/v1/mo/kannel?from=0912345678", Some(&app.local().api_key));
    let refused = app.send(compressed.header("content-encoding", "gzip").body("x"), "").await;
    refused.expect_problem(415, "content_encoding_not_supported", "");
    assert_eq!(app.journal_rows(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_answer_on_the_wire() {
    let app = TestApp::spawn(Engine::Memory).await;
    let wire = sms(&app, "1", "DK DNC").await.wire();
    assert_wire!(wire, @r#"
    200
    cache-control: no-store
    content-length: 123
    content-type: text/plain; charset=utf-8
    ratelimit: "carrier";r=1999;t=1
    ratelimit-policy: "carrier";q=2000;w=2

    Yeu cau ve danh sach khong quang cao (DNC) chua duoc ghi nhan o day. Hay hoi nha mang. De bao cao tin rac: S (so)(noi dung)
    "#);
}
