//! A citizen's report: form, code, receipt, without a script.

use std::time::Duration;

use reqwest::Method;
use spamgate::config::Config;

use crate::support::{Engine, SmsGateway, TestApp, Visitor, on_every_engine};

const NUMBER: &str = "+84912345678";
/// How often an address may ask in an hour whether an SMS came that has not.
const SMS_MISSES_PER_CLIENT: usize = 200;
const FIFTEEN_MINUTES: Duration = Duration::from_secs(15 * 60);

async fn spawn_with(engine: Engine, change: impl FnOnce(&mut Config)) -> (TestApp, SmsGateway) {
    let sms = SmsGateway::start().await;
    let app = TestApp::spawn_with(engine, |config| {
        sms.use_as_kannel(config);
        change(config);
    })
    .await;
    (app, sms)
}

async fn spawn(engine: Engine) -> (TestApp, SmsGateway) {
    spawn_with(engine, |_| {}).await
}

/// As a carrier's SMS gateway forwards it; what its sender is told.
async fn forward_sms(app: &TestApp, from: &str, text: &str) -> String {
    let query: String = url::form_urlencoded::Serializer::new(String::new())
        .extend_pairs([("from", from), ("to", "156"), ("text", text), ("coding", "0"), ("charset", "UTF-8")])
        .append_pair("id", &format!("{from}-{text}").replace(' ', "-"))
        .finish();
    let request = app.request(Method::GET, &format!("/v1/mo/kannel?{query}&smsc=one"), Some(&app.local().api_key));
    request.send().await.unwrap().text().await.unwrap()
}

on_every_engine! {
    async fn a_report_whose_code_is_right_is_stored_and_gets_a_receipt(engine: Engine) {
        let (app, sms) = spawn(engine).await;
        let visitor = Visitor::of(&app);
        let asked = visitor.send(&visitor.fill_in(&[]).await).await.expect(200);
        assert!(asked.html.contains("0985 931 054"), "what was understood is shown: {}", asked.html);
        assert_eq!(app.journal_rows(), 0, "nothing is kept before the proof");
        let sealed = asked.field("sealed");
        let wrong = visitor.post("/verify", &[("lang", "en"), ("sealed", &sealed), ("code", "000000")]).await.expect(422);
        assert_eq!(wrong.faults(), ["code"]);
        let code = sms.code_for(NUMBER);
        let stored = visitor.post("/verify", &[("lang", "en"), ("sealed", &wrong.field("sealed")), ("code", &code)]).await;
        let shown = visitor.follow(stored).await.expect(200);
        assert_eq!(shown.receipt().len(), 12);
        assert_eq!(app.journal_rows(), 1);
        // The same page, sent again by the other of two clicks: the same receipt, no other report.
        let again = visitor.post("/verify", &[("lang", "en"), ("sealed", &sealed), ("code", &code)]).await;
        assert_eq!(visitor.follow(again).await.receipt(), shown.receipt());
        assert_eq!(app.journal_rows(), 1);
    }

    async fn two_clicks_at_once_are_one_report(engine: Engine) {
        let (app, sms) = spawn(engine).await;
        let visitor = Visitor::of(&app);
        let asked = visitor.send(&visitor.fill_in(&[]).await).await.expect(200);
        let (sealed, code) = (asked.field("sealed"), sms.code_for(NUMBER));
        let fields = [("lang", "en"), ("sealed", sealed.as_str()), ("code", code.as_str())];
        let (one, other) = tokio::join!(visitor.post("/verify", &fields), visitor.post("/verify", &fields));
        let (one, other) = (visitor.follow(one).await, visitor.follow(other).await);
        assert_eq!(one.receipt(), other.receipt());
        assert_eq!(app.journal_rows(), 1);
    }

    async fn a_page_that_was_sent_and_changed_is_another_only_with_another_form(engine: Engine) {
        let (app, sms) = spawn(engine).await;
        let visitor = Visitor::of(&app);
        let mut fields = visitor.fill_in(&[]).await;
        for (content, status) in [("Vay nhanh", 303), ("Mua dat", 409)] {
            fields.iter_mut().filter(|(name, _)| name == "content").for_each(|(_, value)| content.clone_into(value));
            let asked = visitor.send(&fields).await.expect(200);
            let code = sms.code_for(NUMBER);
            visitor.post("/verify", &[("sealed", &asked.field("sealed")), ("code", &code)]).await.expect(status);
        }
        assert_eq!(app.journal_rows(), 1);
    }

    async fn when_codes_are_used_up_an_sms_proves_the_number(engine: Engine) {
        let (app, sms) = spawn_with(engine, |config| config.verify.all_per_day = 1.try_into().unwrap()).await;
        let visitor = Visitor::of(&app);
        visitor.send(&visitor.fill_in(&[]).await).await.expect(200);
        let full = visitor.send(&visitor.fill_in(&[]).await).await.expect(429);
        assert_eq!(sms.sent().len(), 1);
        let (_, words) = full.html.split_once("class=\"code\">").unwrap();
        let words = words.split('<').next().unwrap();
        let sealed = full.field("sealed");
        let fields = [("lang", "en"), ("sealed", sealed.as_str()), ("action", "by_sms")];
        assert!(visitor.post("/verify", &fields).await.expect(200).html.contains("has not come yet"));
        for (from, text) in [("0912345679", words), ("0912345678", "XN 0000000000")] {
            forward_sms(&app, from, text).await;
            visitor.post("/verify", &fields).await.expect(200);
        }
        assert!(forward_sms(&app, "0912345678", words).await.contains("Da nhan ma xac nhan"));
        let stored = visitor.post("/verify", &fields).await;
        visitor.follow(stored).await.receipt();
        assert_eq!(app.journal_rows(), 1);
        // The other of two clicks.
        let stored = visitor.post("/verify", &fields).await;
        visitor.follow(stored).await.receipt();
        assert_eq!(app.journal_rows(), 1);
    }

    async fn who_has_typed_too_many_wrong_codes_can_send_an_sms(engine: Engine) {
        let (app, sms) = spawn(engine).await;
        let visitor = Visitor::of(&app);
        let asked = visitor.send(&visitor.fill_in(&[]).await).await.expect(200);
        let code = sms.code_for(NUMBER);
        let wrong = if code == "000000" { "000001" } else { "000000" };
        let mut sealed = asked.field("sealed");
        for status in [422, 422, 422, 422, 422, 429] {
            let page = visitor.post("/verify", &[("lang", "en"), ("sealed", &sealed), ("code", wrong)]).await.expect(status);
            sealed = page.field("sealed");
            assert_eq!(page.html.contains("XN "), status == 429);
        }
        visitor.post("/verify", &[("sealed", &sealed), ("code", &code)]).await.expect(429);
        assert_eq!(app.journal_rows(), 0);
    }

    async fn a_draft_is_good_for_an_hour_whatever_pages_it_goes_through(engine: Engine) {
        let (app, sms) = spawn(engine).await;
        let visitor = Visitor::of(&app);
        let mut sealed = visitor.send(&visitor.fill_in(&[]).await).await.expect(200).field("sealed");
        sms.code_for(NUMBER);
        for _ in 0..5 {
            app.advance(Duration::from_secs(11 * 60));
            // The code has run out; what was typed has not.
            sealed = visitor.post("/verify", &[("sealed", &sealed), ("code", "000000")]).await.expect(422).field("sealed");
        }
        app.advance(Duration::from_secs(5 * 60 + 1));
        visitor.post("/verify", &[("sealed", &sealed), ("code", "000000")]).await.expect(410);
    }

    async fn while_nothing_can_be_stored_the_proof_is_kept_for_another_try(engine: Engine) {
        let (app, sms) = spawn(engine).await;
        let visitor = Visitor::of(&app);
        let asked = visitor.send(&visitor.fill_in(&[]).await).await.expect(200);
        app.stop_storing();
        let code = sms.code_for(NUMBER);
        let fields = [("sealed", &*asked.field("sealed")), ("code", &*code)];
        let again = visitor.post("/verify", &fields).await.expect(503);
        assert!(!again.html.contains("name=\"code\""), "no other code is asked for");
        visitor.post("/verify", &[("sealed", &again.field("sealed"))]).await.expect(503);
        assert_eq!(app.journal_rows(), 0);
    }

    async fn reports_of_citizens_are_counted_in_cases(engine: Engine) {
        let (app, sms) = spawn(engine).await;
        let visitor = Visitor::of(&app);
        for reporter in ["0912345678", "0912345679"] {
            visitor.report(&sms, &[("reporter", reporter), ("money_lost", "yes")]).await;
        }
        let cases = app.cases().await;
        assert_eq!(cases.iter().map(|case| (case.reports, case.voices, case.web)).collect::<Vec<_>>(), [(2, 2, 2)]);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn asking_for_an_sms_that_does_not_come_ends_and_one_that_came_is_found() {
    let (app, _sms) = spawn_with(Engine::Memory, |config| config.verify.all_per_day = 1.try_into().unwrap()).await;
    let visitor = Visitor::of(&app);
    visitor.send(&visitor.fill_in(&[]).await).await.expect(200);
    let full = visitor.send(&visitor.fill_in(&[]).await).await.expect(429);
    let sealed = full.field("sealed");
    let fields = [("lang", "en"), ("sealed", sealed.as_str()), ("action", "by_sms")];
    for _ in 0..SMS_MISSES_PER_CLIENT {
        visitor.post("/verify", &fields).await.expect(200);
    }
    assert_eq!(visitor.post("/verify", &fields).await.expect(429).retry_after, Some(3_600));
    // A code that came all the same can be typed.
    let typed = visitor.post("/verify", &[("sealed", &sealed), ("action", "code")]).await.expect(200);
    assert!(typed.html.contains("name=\"code\""));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_no_code_can_be_sent_what_was_typed_is_kept_and_an_sms_proves_the_number() {
    let (app, sms) = spawn(Engine::Memory).await;
    sms.answer("503 Service Unavailable", "");
    let visitor = Visitor::of(&app);
    let page = visitor.send(&visitor.fill_in(&[]).await).await.expect(503);
    let (_, words) = page.html.split_once("class=\"code\">").unwrap();
    let words = words.split('<').next().unwrap();
    assert!(page.html.contains(&format!("sms:156?body={}", words.replacen(' ', "%20", 1).replace(' ', ""))));
    forward_sms(&app, "0912345678", words).await;
    let stored = visitor.post("/verify", &[("sealed", &page.field("sealed")), ("action", "by_sms")]).await;
    visitor.follow(stored).await.receipt();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_has_used_up_the_day_keeps_the_proof_for_the_next() {
    let one = |config: &mut Config| config.limits.reporter_per_day = 1.try_into().unwrap();
    let (app, sms) = spawn_with(Engine::Memory, one).await;
    let visitor = Visitor::of(&app);
    visitor.report(&sms, &[]).await;
    let asked = visitor.send(&visitor.fill_in(&[("content", "Mua dat")]).await).await.expect(200);
    let code = sms.code_for(NUMBER);
    let full = visitor.post("/verify", &[("sealed", &asked.field("sealed")), ("code", &code)]).await.expect(429);
    app.advance(Duration::from_secs(full.retry_after.unwrap()));
    let stored = visitor.post("/verify", &[("sealed", &full.field("sealed"))]).await;
    visitor.follow(stored).await.receipt();
    assert_eq!(app.journal_rows(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_a_cookie_each_form_leads_to_an_address_that_is_its_readers_alone() {
    let (app, sms) = spawn(Engine::Memory).await;
    let (visitor, other, nobody) =
        (Visitor::with_cookie(&app).await, Visitor::with_cookie(&app).await, Visitor::of(&app));
    // What has to be mended stands at its field, with what was typed.
    let faulty = visitor.send(&visitor.fill_in(&[("sender", ""), ("category", "")]).await).await.expect(303);
    let address = faulty.location.clone().unwrap();
    for _ in 0..2 {
        let mended = visitor.get(&address).await.expect(200);
        assert_eq!(mended.faults(), ["sender", "category"]);
        assert!(mended.html.contains("Vay nhanh lai thap"));
    }
    for stranger in [&other, &nobody] {
        assert!(!stranger.get(&address).await.expect(200).html.contains("Vay nhanh lai thap"));
    }
    let asked = visitor.send(&visitor.fill_in(&[]).await).await.expect(303);
    let address = asked.location.clone().unwrap();
    assert!(address.starts_with("/verify?") && !address.contains("912345678"), "{address}");
    let page = visitor.get(&address).await.expect(200);
    assert!(page.html.contains("Vay nhanh lai thap") && page.html.contains("0912 345 678"));
    for stranger in [&other, &nobody] {
        stranger.get(&address).await.expect(400);
    }
    let sealed = page.field("sealed");
    let wrong = visitor.post("/verify", &[("lang", "en"), ("sealed", &sealed), ("code", "000000")]).await;
    let wrong = visitor.follow(wrong).await.expect(200);
    assert_eq!(wrong.faults(), ["code"]);
    let change = visitor.post("/verify", &[("lang", "en"), ("sealed", &sealed), ("action", "change")]).await;
    assert!(visitor.follow(change).await.expect(200).html.contains("Vay nhanh lai thap"));
    let code = sms.code_for(NUMBER);
    let stolen = [("lang", "en"), ("sealed", sealed.as_str()), ("code", code.as_str())];
    other.post("/verify", &stolen).await.expect(400);
    let stored = visitor.post("/verify", &stolen).await.expect(303);
    let receipt_at = stored.location.clone().unwrap();
    let receipt = visitor.follow(stored).await.expect(200).receipt();
    for stranger in [&other, &nobody] {
        assert!(stranger.get(&receipt_at).await.expect(303).location.unwrap().starts_with("/track"));
    }
    // Going back: the page is there, and its code leads to the same receipt.
    visitor.get(&address).await.expect(200);
    let again = visitor.post("/verify", &stolen).await;
    assert_eq!(visitor.follow(again).await.receipt(), receipt);
    let missed = [("lang", "en"), ("receipt", receipt.as_str()), ("digits", "0000")];
    let missed = visitor.post("/track", &missed).await;
    let missed = visitor.follow(missed).await.expect(200);
    assert!(missed.html.contains("id=\"track-error\"") && missed.html.contains(&receipt), "{}", missed.html);
    let found = visitor.post("/track", &[("lang", "en"), ("receipt", &receipt), ("digits", "5678")]).await;
    let status_at = found.location.clone().unwrap();
    visitor.follow(found).await.expect(200);
    assert!(other.get(&status_at).await.expect(303).location.unwrap().starts_with("/track"));
    assert_eq!(app.journal_rows(), 1);
    // What was sealed for a browser without a cookie opens at no address: else somebody could lead another on their own form.
    let unbound = nobody.send(&nobody.fill_in(&[("reporter", "0912345679")]).await).await.expect(200).field("sealed");
    let theirs = nobody.post("/respond", &[("number", "0912345679")]).await.expect(200).field("sealed");
    for stranger in [&visitor, &nobody] {
        let page = stranger.get(&format!("/verify?lang=en&said=sent&s={unbound}")).await.expect(400);
        assert!(page.html.contains("do not enter any code"), "{}", page.html);
        let page = stranger.get(&format!("/respond?said=sent&s={theirs}")).await.expect(200);
        assert!(!page.html.contains("name=\"code\""));
        let page = stranger.get(&format!("/withdraw?said=sent&s={theirs}")).await.expect(303);
        assert_eq!(page.location.as_deref(), Some("/track?lang=vi"));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_that_has_to_be_mended_is_said_at_its_field_and_what_was_typed_is_kept() {
    let (app, sms) = spawn(Engine::Memory).await;
    let visitor = Visitor::of(&app);
    let empty = visitor.fill_in(&["sender", "channel", "category", "content", "reporter"].map(|name| (name, ""))).await;
    let page = visitor.send(&empty).await.expect(422);
    assert_eq!(page.faults(), ["sender", "channel", "category", "reporter"]);
    let cases = [
        (("sender", "O912345678"), "sender"),
        (("reporter", "156"), "reporter"),
        (("reporter", "+4915112345678"), "reporter"),
        (("content", ""), "content"),
        (("occurred_at", "yesterday"), "occurred_at"),
        (("occurred_at", "2999-01-01T00:00"), "occurred_at"),
        (("occurred_at", "2020-01-01T00:00"), "occurred_at"),
    ];
    for (change, field) in cases {
        let page = visitor.send(&visitor.fill_in(&[change, ("harm", "health")]).await).await.expect(422);
        assert_eq!(page.faults(), [field], "{change:?}");
        assert!(page.html.contains("checked"), "what was chosen is kept: {change:?}");
        if field != "content" {
            assert!(page.html.contains("Vay nhanh lai thap"), "what was typed is kept: {change:?}");
        }
    }
    let page = visitor.send(&visitor.fill_in(&[("sender", ""), ("content", "Goi 0985.931.054 ngay")]).await).await;
    assert!(page.expect(422).html.contains("name=\"offered\" value=\"0985.931.054\""));
    let chosen = visitor.fill_in(&[("sender", ""), ("offered", "0985.931.054")]).await;
    visitor.send(&chosen).await.expect(200);
    assert_eq!(sms.sent().len(), 1, "no code for what has to be mended");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_not_ours_or_too_old_is_refused_and_programs_get_no_code() {
    let (app, sms) = spawn(Engine::Memory).await;
    let mut visitor = Visitor::of(&app);
    let fields = visitor.fill_in(&[]).await;
    visitor.send(&visitor.fill_in(&[("website", "http://spam.example")]).await).await.expect(400);
    visitor.send(&visitor.fill_in(&[("token", "AAAA")]).await).await.expect(422);
    visitor.post("/verify", &[("sealed", "AAAA"), ("code", "123456")]).await.expect(400);
    app.advance(FIFTEEN_MINUTES);
    let asked = visitor.send(&fields).await.expect(200);
    app.advance(FIFTEEN_MINUTES + Duration::from_secs(1));
    let code = sms.code_for(NUMBER);
    visitor.post("/verify", &[("sealed", &asked.field("sealed")), ("code", &code)]).await.expect(410);
    app.advance(16 * FIFTEEN_MINUTES);
    let kept = visitor.send(&fields).await.expect(422);
    assert!(kept.html.contains("open too long") && kept.html.contains("Vay nhanh lai thap"));
    visitor.headers.insert("sec-fetch-site", "cross-site".to_owned());
    visitor.send(&fields).await.expect(400);
    assert_eq!((sms.sent().len(), app.journal_rows()), (1, 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_work_of_a_form_loosens_the_limits_once() {
    let (app, sms) = spawn_with(Engine::Memory, |config| config.verify.client_per_hour = 6.try_into().unwrap()).await;
    let visitor = Visitor::of(&app);
    let numbers = ["0912345670", "0912345671", "0912345672", "0912345673", "0912345674"];
    // A third of six without work.
    for (reporter, status) in numbers.into_iter().zip([200, 200, 429]) {
        visitor.send(&visitor.fill_in(&[("reporter", reporter)]).await).await.expect(status);
    }
    let form = visitor.get("/").await;
    let (_, challenge) = form.html.split_once("data-challenge=\"").unwrap();
    let challenge = challenge.split('"').next().unwrap().replace("&#34;", "\"").replace("&quot;", "\"");
    let challenge: altcha::Challenge = serde_json::from_str(&challenge).unwrap();
    let solution = altcha::solve_challenge(altcha::SolveChallengeOptions::new(&challenge)).unwrap().unwrap();
    let work = serde_json::to_string(&altcha::Payload { challenge, solution }).unwrap();
    let of_another = visitor.fill_in(&[("reporter", numbers[2]), ("work", &work)]).await;
    visitor.send(&of_another).await.expect(429);
    let token = form.field("token");
    for (reporter, status) in [(numbers[2], 200), (numbers[3], 429)] {
        let fields = visitor.fill_in(&[("token", &token), ("reporter", reporter), ("work", &work)]).await;
        visitor.send(&fields).await.expect(status);
    }
    assert_eq!(sms.sent().len(), 3);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_sender_of_codes_the_page_names_the_way_by_sms() {
    let app = TestApp::spawn(Engine::Memory).await;
    let visitor = Visitor::of(&app);
    let page = visitor.get("/?lang=en").await.expect(200);
    assert!(page.html.contains("156") && !page.html.contains("<form"), "{}", page.html);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pages_come_in_the_language_that_is_asked_for() {
    let (app, _sms) = spawn(Engine::Memory).await;
    let mut visitor = Visitor::of(&app);
    let mut language = async |path: &str, accepted: Option<&str>| {
        visitor.headers.clear();
        visitor.headers.extend(accepted.map(|accepted| ("accept-language", accepted.to_owned())));
        let html = visitor.get(path).await.expect(200).html;
        html.split_once("<html lang=\"").unwrap().1[..2].to_owned()
    };
    assert_eq!(language("/", None).await, "vi");
    assert_eq!(language("/", Some("en-GB,en;q=0.9")).await, "en");
    assert_eq!(language("/", Some("fr-FR,vi;q=0.5,en;q=0.4")).await, "vi");
    assert_eq!(language("/?lang=en", Some("vi")).await, "en");
    assert_eq!(language("/guide/scam?lang=en", None).await, "en");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_first_page_with_all_it_needs_is_small() {
    const MAX_BYTES: usize = 60 * 1024;
    let (app, _sms) = spawn(Engine::Memory).await;
    let client = reqwest::Client::new();
    let mut whole = Visitor::of(&app).get("/").await.html.len();
    for file in ["style.css", "form.js", "icon.svg"] {
        let response = client.get(app.url(&format!("/static/{file}"))).send().await.unwrap();
        assert_eq!(response.status(), 200);
        whole += response.bytes().await.unwrap().len();
    }
    println!("{whole} bytes");
    assert!(whole <= MAX_BYTES, "{whole}");
    assert_eq!(client.get(app.url("/static/other.css")).send().await.unwrap().status(), 404);
}
