//! Proof of a number by the mobile network its phone is on.

use std::collections::BTreeMap;

use sha2::{Digest as _, Sha256};
use spamgate::config::Config;

use crate::support::{Engine, Page, SmsGateway, TestApp, Visitor, on_every_engine};

const NUMBER: &str = "+84912345678";
/// How often the network is asked about one number in an hour.
const ASKED_PER_NUMBER: usize = 10;
/// How often an address may come back in an hour with what proves nothing.
const MISSES_PER_CLIENT: usize = 200;

async fn spawn(engine: Engine) -> (TestApp, SmsGateway) {
    let sms = SmsGateway::start().await;
    let with_network = |config: &mut Config| {
        sms.use_as_kannel(config);
        sms.use_as_network(config);
    };
    let app = TestApp::spawn_with(engine, with_network).await;
    (app, sms)
}

/// Somebody who has filled in the form, and the page that asks for the code.
async fn asked(app: &TestApp) -> (Visitor<'_>, Page) {
    let visitor = Visitor::with_cookie(app).await;
    let sent = visitor.send(&visitor.fill_in(&[]).await).await;
    let page = visitor.follow(sent).await.expect(200);
    (visitor, page)
}

/// Where the page leads to the network.
fn way_of(page: &Page) -> Option<String> {
    let (_, rest) = page.html.split_once("href=\"/network?")?;
    Some(format!("/network?{}", rest.split('"').next().unwrap().replace("&amp;", "&").replace("&#38;", "&")))
}

/// Goes to the operator: what it is told, and the visitor with the cookie that they are to come back with.
async fn go<'a>(visitor: Visitor<'a>, page: &Page) -> (Visitor<'a>, BTreeMap<String, String>) {
    let sent = visitor.get(&way_of(page).unwrap()).await.expect(303);
    let address = url::Url::parse(sent.location.as_deref().unwrap()).unwrap();
    assert_eq!(address.origin().ascii_serialization(), "https://operator.example");
    let mut visitor = visitor;
    let cookies = format!("{}; {}", visitor.headers["cookie"], sent.cookie.unwrap());
    visitor.headers.insert("cookie", cookies);
    (visitor, address.query_pairs().into_owned().collect())
}

async fn come_back(visitor: &Visitor<'_>, state: &str, code: &str) -> Page {
    visitor.get(&format!("/network/back?state={state}&code={code}")).await
}

on_every_engine! {
    async fn a_phone_in_the_network_reports_without_a_code(engine: Engine) {
        let (app, sms) = spawn(engine).await;
        let (visitor, page) = asked(&app).await;
        let (visitor, told) = go(visitor, &page).await;
        assert_eq!((told["response_type"].as_str(), told["prompt"].as_str()), ("code", "none"));
        assert_eq!(told["client_id"], "gateway-1");
        assert_eq!(told["redirect_uri"], "https://report.example/network/back");
        assert!(told["scope"].contains("number-verification:verify"));
        assert!(!told.values().any(|value| value.contains("912345678")), "the operator knows its phones");
        let back = come_back(&visitor, &told["state"], "good-1").await;
        let cookie = back.cookie.clone().unwrap();
        assert!(cookie.starts_with("__Host-draft-") && cookie.ends_with('='), "the draft is gone: {cookie}");
        let receipt = visitor.follow(back).await.expect(200);
        // Loaded again, after an answer that was lost.
        let again = come_back(&visitor, &told["state"], "bad").await;
        assert_eq!(visitor.follow(again).await.receipt(), receipt.receipt());
        assert!(receipt.html.contains("<html lang=\"en\">"), "in the language that it began in");
        assert_eq!(app.journal_rows(), 1);
        assert_eq!(app.only_case().await.voices, 1);
        assert_eq!(sms.checked(), [serde_json::json!({"phoneNumber": NUMBER})]);
        let requests = sms.token_requests();
        assert_eq!(requests[0]["redirect_uri"], told["redirect_uri"]);
        let challenge = Sha256::digest(&requests[0]["code_verifier"]);
        assert_eq!(told["code_challenge"], base64_url(&challenge));
    }

    async fn what_the_network_does_not_confirm_takes_a_code(engine: Engine) {
        let (app, sms) = spawn(engine).await;
        let (visitor, page) = asked(&app).await;
        let (visitor, told) = go(visitor, &page).await;
        sms.answer("200 OK", r#"{"devicePhoneNumberVerified":false}"#);
        for answer in ["code=good-1", "code=bad", "error=access_denied", "code="] {
            let back = visitor.get(&format!("/network/back?state={}&{answer}", told["state"])).await;
            let shown = visitor.follow(back).await.expect(200);
            assert_eq!(shown.faults(), ["code"], "{answer}");
            assert!(way_of(&shown).is_some());
        }
        assert_eq!(app.journal_rows(), 0);
        sms.answer_as_usual();
        let sealed = page.field("sealed");
        let stored = visitor.post("/verify", &[("sealed", &sealed), ("code", &sms.code_for(NUMBER))]).await;
        visitor.follow(stored).await.receipt();
        assert_eq!(app.journal_rows(), 1);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_can_have_anothers_browser_go_this_way() {
    let (app, sms) = spawn(Engine::Memory).await;
    // Somebody fills in the form with the number of somebody else, and gets the other's phone to open their addresses.
    let (attacker, page) = asked(&app).await;
    let way = way_of(&page).unwrap();
    let (attacker, told) = go(attacker, &page).await;
    let drafted = attacker.headers["cookie"].split_once("; ").unwrap().1.to_owned();
    let mut victim = Visitor::with_cookie(&app).await;
    victim.get(&way).await.expect(400);
    come_back(&victim, &told["state"], "good-1").await.expect(410);
    // Even with the draft in its cookies, which no other site can put there.
    let own = victim.headers["cookie"].clone();
    victim.headers.insert("cookie", format!("{own}; {drafted}"));
    come_back(&victim, &told["state"], "good-1").await.expect(400);
    let other_browser = Visitor::with_cookie(&app).await;
    let nobody = Visitor::of(&app);
    nobody.get(&way).await.expect(400);
    // The other way round: the operator's answer for another's form.
    let (other, other_page) = asked(&app).await;
    let (_, told_other) = go(other, &other_page).await;
    come_back(&attacker, &told_other["state"], "good-1").await.expect(410);
    come_back(&attacker, "", "good-1").await.expect(410);
    // Nor with a form that was posted from elsewhere: it was sealed for no cookie.
    let unbound = nobody.send(&nobody.fill_in(&[("reporter", "0912345679")]).await).await.expect(200).field("sealed");
    other_browser.post("/verify", &[("sealed", &unbound), ("action", "code")]).await.expect(400);
    assert_eq!((app.journal_rows(), sms.token_requests().len()), (0, 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_way_is_shown_where_it_can_be_gone() {
    let (app, _sms) = spawn(Engine::Memory).await;
    let without_cookie = Visitor::of(&app);
    let page = without_cookie.send(&without_cookie.fill_in(&[]).await).await.expect(200);
    assert_eq!(way_of(&page), None);
    // Too long for a cookie, and for an address.
    let visitor = Visitor::with_cookie(&app).await;
    let long = visitor.fill_in(&[("content", &"Tặng thưởng ".repeat(160)), ("reporter", "0912345679")]).await;
    let page = visitor.send(&long).await;
    let page = if page.status == 303 { visitor.follow(page).await } else { page };
    assert!(page.expect(200).html.contains("Tặng thưởng"));
    let sms = SmsGateway::start().await;
    let app = TestApp::spawn_with(Engine::Memory, |config| sms.use_as_kannel(config)).await;
    let (visitor, page) = asked(&app).await;
    assert_eq!(way_of(&page), None, "no network is asked");
    visitor.get("/network?s=AAAA").await.expect(400);
    visitor.get("/network/back?state=x&code=y").await.expect(410);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_operator_is_asked_so_often_and_no_more() {
    let (app, sms) = spawn(Engine::Memory).await;
    let (visitor, page) = asked(&app).await;
    let (visitor, told) = go(visitor, &page).await;
    // What is made up uses up nothing of the number's.
    for _ in 0..20 {
        come_back(&visitor, &told["state"], "bad").await.expect(303);
    }
    sms.answer("200 OK", r#"{"devicePhoneNumberVerified":false}"#);
    for _ in 0..ASKED_PER_NUMBER {
        let back = come_back(&visitor, &told["state"], "good-1").await;
        assert!(back.location.as_deref().unwrap().contains("said=network"));
    }
    let full = come_back(&visitor, &told["state"], "good-1").await;
    let full = visitor.follow(full).await.expect(200);
    assert!(full.html.contains("cannot be checked at the moment") && full.html.contains("Vay nhanh lai thap"));
    assert_eq!(sms.checked().len(), ASKED_PER_NUMBER);
    let asked = sms.token_requests().len();
    for _ in asked..MISSES_PER_CLIENT {
        come_back(&visitor, &told["state"], "bad").await.expect(303);
    }
    let full = come_back(&visitor, &told["state"], "bad").await;
    assert!(full.location.as_deref().unwrap().contains("said=later"));
    assert_eq!(sms.token_requests().len(), MISSES_PER_CLIENT);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_pages_may_go_at_once_and_old_ones_are_given_up() {
    let (app, _sms) = spawn(Engine::Memory).await;
    let (visitor, page) = asked(&app).await;
    let (visitor, first) = go(visitor, &page).await;
    let sent = visitor.send(&visitor.fill_in(&[("reporter", "0912345679")]).await).await;
    let other_page = visitor.follow(sent).await.expect(200);
    let (visitor, second) = go(visitor, &other_page).await;
    for state in [&first["state"], &second["state"]] {
        let back = come_back(&visitor, state, "good-1").await;
        visitor.follow(back).await.receipt();
    }
    assert_eq!(app.journal_rows(), 2);
}

fn base64_url(bytes: &[u8]) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(bytes)
}
