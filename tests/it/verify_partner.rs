//! Codes that carriers have sent: CAMARA One Time Password SMS, as the standard has it.

use std::num::NonZeroU32;
use std::sync::Arc;

use reqwest::Method;
use serde_json::{Value, json};
use spamgate::config::Config;
use spamgate::domain::carrier::Scopes;
use spamgate::domain::msisdn::Msisdn;
use spamgate::domain::vocabulary::Language;
use spamgate::enrol::Terms;
use spamgate::verify::{AskedCode, Purpose};

use crate::support::{AnyRedis, Carrier, Engine, RedisServer, SmsGateway, TestApp};

const SEND: &str = "/one-time-password-sms/v1/send-code";
const VALIDATE: &str = "/one-time-password-sms/v1/validate-code";
const NUMBER: &str = "+84912345678";
const MESSAGE: &str = "{{code}} is your code for the portal";

/// An answer, which is no problem document.
struct Answer {
    status: u16,
    headers: reqwest::header::HeaderMap,
    text: String,
    json: Value,
}

impl Answer {
    #[track_caller]
    fn expect_fault(self, status: u16, code: &str) -> Self {
        assert_eq!((self.status, self.json["code"].as_str()), (status, Some(code)), "{}", self.text);
        let members: Vec<&str> = self.json.as_object().unwrap().keys().map(String::as_str).collect();
        assert_eq!(members, ["code", "message", "status"]);
        assert_eq!(self.json["status"], status);
        assert_eq!(self.header("content-type"), Some("application/json"));
        assert!(!self.text.contains("912345678"), "the number came back");
        if matches!(status, 429 | 503) {
            assert!(self.header("retry-after").is_some());
        }
        self
    }

    fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }
}

struct Partner {
    app: TestApp,
    sms: SmsGateway,
    carrier: Carrier,
}

impl Partner {
    async fn start(engine: Engine, change: impl FnOnce(&mut Config)) -> Self {
        let sms = SmsGateway::start().await;
        let set = |config: &mut Config| {
            sms.use_as_kannel(config);
            config.verify.serve = true;
            change(config);
        };
        let app = TestApp::spawn_with(engine, set).await;
        let carrier = add(&app, "partner", "verify");
        Self { app, sms, carrier }
    }

    async fn call_as(&self, carrier: &Carrier, path: &str, body: Value) -> Answer {
        call(self.app.request(Method::POST, path, Some(&carrier.api_key)).json(&body)).await
    }

    async fn send(&self, number: &str) -> Answer {
        self.call_as(&self.carrier, SEND, json!({"phoneNumber": number, "message": MESSAGE})).await
    }

    async fn validate(&self, id: &str, code: &str) -> Answer {
        self.call_as(&self.carrier, VALIDATE, json!({"authenticationId": id, "code": code})).await
    }

    /// Has a code sent; its id, and the code.
    async fn code(&self, number: &str) -> (String, String) {
        let answer = self.send(number).await;
        assert_eq!(answer.status, 200, "{}", answer.text);
        (answer.json["authenticationId"].as_str().unwrap().to_owned(), self.sms.code_for(number))
    }
}

fn add(app: &TestApp, name: &str, scopes: &str) -> Carrier {
    app.add_carrier_with(name, Terms { scopes: Scopes::parse(scopes).unwrap(), ..Terms::default() })
}

async fn call(request: reqwest::RequestBuilder) -> Answer {
    let response = request.send().await.unwrap();
    let (status, headers) = (response.status().as_u16(), response.headers().clone());
    let text = response.text().await.unwrap();
    Answer { status, headers, json: serde_json::from_str(&text).unwrap_or_default(), text }
}

fn another(code: &str) -> String {
    let (first, rest) = code.split_at(1);
    format!("{}{rest}", if first == "1" { "2" } else { "1" })
}

/// The promise with both fast states.
macro_rules! on_both_fast_states {
    ($($(#[$meta:meta])* async fn $name:ident($engine:ident: Engine) $body:block)+) => {$(
        $(#[$meta])*
        mod $name {
            use super::*;

            async fn promise($engine: Engine) $body

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn memory() {
                promise(Engine::Memory).await;
            }

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn redis() {
                promise(Engine::Redis).await;
            }
        }
    )+};
}

on_both_fast_states! {
    async fn a_code_is_sent_in_the_partners_text_and_good_once(engine: Engine) {
        let partner = Partner::start(engine, |_| {}).await;
        let (id, code) = partner.code(NUMBER).await;
        assert_eq!(id.len(), 36);
        assert_eq!(partner.sms.sent()[0].text, format!("{code} is your code for the portal"));
        partner.validate(&id, &another(&code)).await.expect_fault(400, "ONE_TIME_PASSWORD_SMS.INVALID_OTP");
        let right = partner.validate(&id, &code).await;
        assert_eq!((right.status, right.text.as_str()), (204, ""));
        assert!(right.header("ratelimit").is_some());
        partner.validate(&id, &code).await.expect_fault(400, "ONE_TIME_PASSWORD_SMS.VERIFICATION_EXPIRED");
    }

    async fn an_id_is_good_for_its_own_carrier_alone(engine: Engine) {
        let partner = Partner::start(engine, |_| {}).await;
        let other = add(&partner.app, "other", "verify");
        let (id, code) = partner.code(NUMBER).await;
        let body = json!({"authenticationId": id, "code": code});
        let answer = partner.call_as(&other, VALIDATE, body).await;
        answer.expect_fault(400, "ONE_TIME_PASSWORD_SMS.VERIFICATION_EXPIRED");
        assert_eq!(partner.validate(&id, &code).await.status, 204, "it was not used up");
    }

    async fn five_wrong_codes_end_an_id(engine: Engine) {
        let partner = Partner::start(engine, |_| {}).await;
        let (id, code) = partner.code(NUMBER).await;
        for _ in 0..5 {
            partner.validate(&id, &another(&code)).await.expect_fault(400, "ONE_TIME_PASSWORD_SMS.INVALID_OTP");
        }
        partner.validate(&id, &code).await.expect_fault(400, "ONE_TIME_PASSWORD_SMS.VERIFICATION_FAILED");
    }

    async fn a_partner_has_so_many_a_day(engine: Engine) {
        let partner = Partner::start(engine, |config| config.verify.partner_per_day = NonZeroU32::new(2).unwrap()).await;
        partner.code("+84912345671").await;
        partner.code("+84912345672").await;
        let over = partner.send("+84912345673").await.expect_fault(429, "QUOTA_EXCEEDED");
        assert_eq!(over.header("retry-after"), Some("86400"));
        let other = add(&partner.app, "other", "verify");
        let body = json!({"phoneNumber": "+84912345673", "message": MESSAGE});
        assert_eq!(partner.call_as(&other, SEND, body).await.status, 200, "its own budget");
    }

    async fn the_limits_of_all_hold_for_partners(engine: Engine) {
        let partner = Partner::start(engine, |config| config.verify.prefix_per_hour = NonZeroU32::new(4).unwrap()).await;
        for _ in 0..3 {
            partner.code(NUMBER).await;
        }
        let over = partner.send(NUMBER).await.expect_fault(403, "ONE_TIME_PASSWORD_SMS.MAX_OTP_CODES_EXCEEDED");
        assert_eq!(over.header("retry-after"), Some("600"));
        partner.code("+84912345679").await;
        partner.send("+84912345670").await.expect_fault(429, "TOO_MANY_REQUESTS");
        for number in ["+14155550100", "+8419001234", "+842412345678"] {
            partner.send(number).await.expect_fault(403, "ONE_TIME_PASSWORD_SMS.PHONE_NUMBER_NOT_ALLOWED");
        }
        assert_eq!(partner.sms.sent().len(), 4);
        let asked = AskedCode {
            number: Msisdn::from_e164("+84912345670").unwrap(),
            purpose: Purpose::Report,
            client: [192, 0, 2, 1].into(),
            language: Language::Vi,
            has_worked: true,
        };
        assert!(partner.app.gate().verifier.send_code(&asked).await.is_ok(), "what partners use up is theirs");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_may_not_is_told_so_in_the_standards_words() {
    let partner = Partner::start(Engine::Memory, |_| {}).await;
    let body = json!({"phoneNumber": NUMBER, "message": MESSAGE});
    for path in [SEND, VALIDATE] {
        let nobody = call(partner.app.request(Method::POST, path, None).json(&body)).await;
        assert_eq!(nobody.expect_fault(401, "UNAUTHENTICATED").header("www-authenticate"), Some("Bearer"));
        let stranger = call(partner.app.request(Method::POST, path, Some("sgk_unknown")).json(&body)).await;
        stranger.expect_fault(401, "UNAUTHENTICATED");
        let without_scope = partner.call_as(partner.app.local(), path, body.clone()).await;
        without_scope.expect_fault(403, "PERMISSION_DENIED");
    }
    assert!(partner.sms.sent().is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_wrong_with_a_body_is_said() {
    let partner = Partner::start(Engine::Memory, |_| {}).await;
    let long = format!("{{{{code}}}}{}", "x".repeat(153));
    for body in [
        json!({}),
        json!([NUMBER, MESSAGE]),
        json!({"phoneNumber": NUMBER}),
        json!({"message": MESSAGE}),
        json!({"phoneNumber": 84_912_345_678_u64, "message": MESSAGE}),
        json!({"phoneNumber": "0912345678", "message": MESSAGE}),
        json!({"phoneNumber": "84912345678", "message": MESSAGE}),
        json!({"phoneNumber": "+0912345678", "message": MESSAGE}),
        json!({"phoneNumber": "+8491 2345678", "message": MESSAGE}),
        json!({"phoneNumber": NUMBER, "message": "no place for it"}),
        json!({"phoneNumber": NUMBER, "message": "{code}"}),
        json!({"phoneNumber": NUMBER, "message": "{{code}}\u{0}"}),
        json!({"phoneNumber": NUMBER, "message": long}),
    ] {
        partner.call_as(&partner.carrier, SEND, body).await.expect_fault(400, "INVALID_ARGUMENT");
    }
    for body in [
        json!({}),
        json!({"authenticationId": "x"}),
        json!({"authenticationId": 1, "code": "012345"}),
        json!({"authenticationId": "x".repeat(37), "code": "012345"}),
        json!({"authenticationId": "x", "code": "01234567890"}),
    ] {
        partner.call_as(&partner.carrier, VALIDATE, body).await.expect_fault(400, "INVALID_ARGUMENT");
    }
    partner.validate("x", "012345").await.expect_fault(400, "ONE_TIME_PASSWORD_SMS.VERIFICATION_EXPIRED");
    let key = Some(partner.carrier.api_key.as_str());
    let text = call(partner.app.request(Method::POST, SEND, key).header("content-type", "text/plain").body("{}")).await;
    text.expect_fault(415, "UNSUPPORTED_MEDIA_TYPE");
    let huge = "x".repeat(70_000);
    let huge = call(partner.app.request(Method::POST, SEND, key).header("content-type", "application/json").body(huge));
    huge.await.expect_fault(400, "INVALID_ARGUMENT");
    assert!(partner.sms.sent().is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_correlator_comes_back_when_it_is_well_formed() {
    let partner = Partner::start(Engine::Memory, |_| {}).await;
    let key = Some(partner.carrier.api_key.as_str());
    let ask = async |correlator: &str, body: Value| {
        let request = partner.app.request(Method::POST, SEND, key).header("x-correlator", correlator);
        call(request.json(&body)).await.header("x-correlator").map(str::to_owned)
    };
    let good = "b4333c46-49c0-4f62-80d7-f0ef930f1c46";
    let body = json!({"phoneNumber": NUMBER, "message": MESSAGE});
    assert_eq!(ask(good, body.clone()).await.as_deref(), Some(good));
    assert_eq!(ask(good, json!({})).await.as_deref(), Some(good), "with a fault too");
    let longest = "a".repeat(55);
    assert_eq!(ask(&longest, body.clone()).await, Some(longest.clone()));
    for bad in [format!("{longest}a"), "a b".to_owned(), "a_b".to_owned(), "<script>".to_owned()] {
        assert_eq!(ask(&bad, body.clone()).await, None, "{bad}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn where_it_is_not_served_there_is_nothing() {
    let sms = SmsGateway::start().await;
    let app = TestApp::spawn_with(Engine::Memory, |config| sms.use_as_kannel(config)).await;
    let carrier = add(&app, "partner", "verify");
    for path in [SEND, VALIDATE] {
        for key in [None, Some(carrier.api_key.as_str())] {
            call(app.request(Method::POST, path, key).json(&json!({}))).await.expect_fault(404, "NOT_FOUND");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_redis_is_away_the_answer_is_unavailable() {
    let server = Arc::new(RedisServer::start());
    let sms = SmsGateway::start().await;
    let set = |config: &mut Config| {
        sms.use_as_kannel(config);
        config.verify.serve = true;
    };
    let app = TestApp::spawn_beside_with(&server, set).await;
    let carrier = add(&app, "partner", "verify");
    let partner = Partner { app, sms, carrier };
    let (id, code) = partner.code(NUMBER).await;
    let in_redis: Vec<Vec<u8>> = server.keys("*");
    assert!(!in_redis.is_empty());
    server.kill();
    partner.send(NUMBER).await.expect_fault(503, "UNAVAILABLE");
    partner.validate(&id, &code).await.expect_fault(503, "UNAVAILABLE");
    assert_eq!(partner.sms.sent().len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_carriers_own_limit_of_requests_holds() {
    let partner = Partner::start(Engine::Memory, |config| {
        config.limits.carrier_per_second = NonZeroU32::MIN;
        config.limits.carrier_burst = NonZeroU32::MIN;
    })
    .await;
    let (id, code) = partner.code(NUMBER).await;
    partner.validate(&id, &code).await.expect_fault(429, "TOO_MANY_REQUESTS");
}
