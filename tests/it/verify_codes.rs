//! Codes by SMS: good once, for one number and purpose; and no more SMS than were agreed on, whoever asks.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::json;
use spamgate::config::Config;
use spamgate::config::verify::SenderKind;
use spamgate::domain::msisdn::Msisdn;
use spamgate::domain::vocabulary::Language;
use spamgate::http::app::App;
use spamgate::verify::{AskedCode, CodeFault, NetworkFault, NotSent, Purpose, SentCode};

use crate::support::{AnyRedis, Engine, OPERATORS_CODE, RedisCluster, RedisServer, SmsGateway, TestApp};

const NUMBER: &str = "+84912345678";
const OTHER_NUMBER: &str = "+84912345679";
/// `verify.wrong_per_hour` of the defaults.
const WRONG_PER_HOUR: usize = 5;
const TEN_MINUTES: Duration = Duration::from_secs(600);
const HOUR: Duration = Duration::from_secs(3_600);

/// Makes each test run with both fast states.
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

fn msisdn(number: &str) -> Msisdn {
    Msisdn::from_e164(number).unwrap()
}

fn client(last: u32) -> IpAddr {
    Ipv4Addr::from_bits(0xc633_6400 + last).into()
}

fn asked(number: &str, client: IpAddr) -> AskedCode {
    let (purpose, language) = (Purpose::Report, Language::Vi);
    AskedCode { number: msisdn(number), purpose, client, language, has_worked: true }
}

/// A gateway, and what its codes are sent by.
struct Codes {
    app: TestApp,
    gate: Arc<App>,
    sms: SmsGateway,
}

impl Codes {
    async fn by_kannel(engine: Engine, change: impl FnOnce(&mut Config)) -> Self {
        let sms = SmsGateway::start().await;
        let set = |config: &mut Config| {
            sms.use_as_kannel(config);
            change(config);
        };
        let app = TestApp::spawn_with(engine, set).await;
        Self { gate: app.gate(), app, sms }
    }

    async fn by_operator(engine: Engine) -> Self {
        let sms = SmsGateway::start().await;
        let app = TestApp::spawn_with(engine, |config| sms.use_as_operator(config)).await;
        Self { gate: app.gate(), app, sms }
    }

    async fn send(&self, number: &str) -> Result<SentCode, NotSent> {
        self.gate.verifier.send_code(&asked(number, client(1))).await
    }

    async fn check(&self, number: &str, code: &str) -> Result<(), CodeFault> {
        self.gate.verifier.check_code(msisdn(number), Purpose::Report, code).await
    }

    /// Has a code sent, and gives it.
    async fn code(&self, number: &str) -> String {
        self.send(number).await.unwrap();
        self.sms.code_for(number)
    }
}

/// A code that this is not.
fn another(code: &str) -> String {
    let (first, rest) = code.split_at(1);
    format!("{}{rest}", if first == "1" { "2" } else { "1" })
}

on_both_fast_states! {
    async fn a_right_code_is_good_once(engine: Engine) {
        let codes = Codes::by_kannel(engine, |_| {}).await;
        let code = codes.code(NUMBER).await;
        assert_eq!(codes.check(NUMBER, &code).await, Ok(()));
        assert_eq!(codes.check(NUMBER, &code).await, Err(CodeFault::Expired));
    }

    async fn a_code_may_be_typed_in_two_halves(engine: Engine) {
        let codes = Codes::by_kannel(engine, |_| {}).await;
        let code = codes.code(NUMBER).await;
        assert_eq!(codes.check(NUMBER, &format!(" {}-{} ", &code[..3], &code[3..])).await, Ok(()));
    }

    async fn a_code_is_for_one_number_and_one_purpose(engine: Engine) {
        let codes = Codes::by_kannel(engine, |_| {}).await;
        let code = codes.code(NUMBER).await;
        codes.code(OTHER_NUMBER).await;
        let verifier = &codes.gate.verifier;
        for purpose in [Purpose::Withdraw, Purpose::Respond] {
            assert_eq!(verifier.check_code(msisdn(NUMBER), purpose, &code).await, Err(CodeFault::Expired));
        }
        if codes.sms.code_for(OTHER_NUMBER) != code {
            assert_eq!(codes.check(OTHER_NUMBER, &code).await, Err(CodeFault::Wrong));
        }
        assert_eq!(codes.check(NUMBER, &code).await, Ok(()));
    }

    async fn a_code_is_good_for_ten_minutes(engine: Engine) {
        let codes = Codes::by_kannel(engine, |_| {}).await;
        let sent = codes.send(NUMBER).await.unwrap();
        assert_eq!(sent.good_until.to_rfc3339(), codes.app.in_seconds(600));
        codes.app.advance(TEN_MINUTES - Duration::from_secs(1));
        let code = codes.sms.code_for(NUMBER);
        assert_eq!(codes.check(NUMBER, &another(&code)).await, Err(CodeFault::Wrong));
        codes.app.advance(Duration::from_secs(1));
        assert_eq!(codes.check(NUMBER, &code).await, Err(CodeFault::Expired));
    }

    async fn a_code_that_was_never_sent_looks_like_an_old_one(engine: Engine) {
        let codes = Codes::by_kannel(engine, |_| {}).await;
        for code in ["000000", "", "12345", "1234567", "a\u{0}b", "\u{ff11}"] {
            assert_eq!(codes.check(NUMBER, code).await, Err(CodeFault::Expired), "{code:?}");
        }
    }

    async fn a_new_code_takes_the_place_of_the_old_one(engine: Engine) {
        let codes = Codes::by_kannel(engine, |_| {}).await;
        let old = codes.code(NUMBER).await;
        let mut new = codes.code(NUMBER).await;
        if new == old {
            new = codes.code(NUMBER).await;
        }
        assert_eq!(codes.check(NUMBER, &old).await, Err(CodeFault::Wrong));
        assert_eq!(codes.check(NUMBER, &new).await, Ok(()));
    }

    async fn wrong_codes_are_counted_across_new_ones(engine: Engine) {
        let codes = Codes::by_kannel(engine, |_| {}).await;
        let first = codes.code(NUMBER).await;
        for _ in 0..3 {
            assert_eq!(codes.check(NUMBER, &another(&first)).await, Err(CodeFault::Wrong));
        }
        let second = codes.code(NUMBER).await;
        for _ in 3..WRONG_PER_HOUR {
            assert_eq!(codes.check(NUMBER, &another(&second)).await, Err(CodeFault::Wrong));
        }
        let refused = Err(CodeFault::TooManyTries { retry_after_s: 3_600 });
        assert_eq!(codes.check(NUMBER, &second).await, refused, "the right one too");
        let third = codes.code(NUMBER).await;
        assert_eq!(codes.check(NUMBER, &third).await, refused);
        codes.app.advance(HOUR);
        let fourth = codes.code(NUMBER).await;
        assert_eq!(codes.check(NUMBER, &fourth).await, Ok(()));
    }

    async fn of_a_thousand_guesses_at_once_no_more_count_than_one_after_another(engine: Engine) {
        let codes = Codes::by_kannel(engine, |_| {}).await;
        let code = codes.code(NUMBER).await;
        let guesses = (0..1_000).map(|_| codes.check(NUMBER, "").boxed_guess());
        let outcomes = join_all(guesses).await;
        let wrong = outcomes.iter().filter(|outcome| **outcome == Err(CodeFault::Wrong)).count();
        assert_eq!(wrong, WRONG_PER_HOUR);
        assert!(matches!(codes.check(NUMBER, &code).await, Err(CodeFault::TooManyTries { .. })));
    }

    async fn of_a_hundred_right_codes_at_once_one_counts(engine: Engine) {
        let codes = Codes::by_kannel(engine, |_| {}).await;
        let code = codes.code(NUMBER).await;
        let outcomes = join_all((0..100).map(|_| codes.check(NUMBER, &code).boxed_guess())).await;
        assert_eq!(outcomes.iter().filter(|outcome| outcome.is_ok()).count(), 1);
        assert_eq!(outcomes.iter().filter(|outcome| **outcome == Err(CodeFault::Expired)).count(), 99);
    }

    async fn ten_thousand_from_a_thousand_addresses_get_no_more_than_the_prefix_may(engine: Engine) {
        let per_hour = 200;
        let codes = Codes::by_kannel(engine, |config| config.verify.prefix_per_hour = NonZeroU32::new(per_hour).unwrap()).await;
        let mut refused = 0;
        for round in 0..10_u32 {
            let asking = (0..1_000_u32).map(|place| {
                let number = format!("+8491{:07}", round * 1_000 + place);
                let gate = Arc::clone(&codes.gate);
                async move { gate.verifier.send_code(&asked(&number, client(place))).await }.boxed_guess()
            });
            for outcome in join_all(asking).await {
                refused += usize::from(outcome.is_err());
            }
        }
        let sent = codes.sms.sent().len();
        assert!(sent <= usize::try_from(per_hour).unwrap(), "{sent} were sent");
        assert_eq!(sent + refused, 10_000);
        // Those that had to wait for others took nothing: what is left can still be had.
        for number in 0..=per_hour {
            let _ = codes.gate.verifier.send_code(&asked(&format!("+8491{number:07}"), client(2_000 + number))).await;
        }
        // A tenth is left for who takes a report back.
        assert_eq!(codes.sms.sent().len(), usize::try_from(per_hour).unwrap() * 9 / 10);
        for number in 0..=per_hour / 10 {
            let withdrawal = AskedCode { purpose: Purpose::Withdraw, ..asked(&format!("+8491{:07}", 20_000 + number), client(3_000 + number)) };
            let _ = codes.gate.verifier.send_code(&withdrawal).await;
        }
        assert_eq!(codes.sms.sent().len(), usize::try_from(per_hour).unwrap());
        let other_prefix = codes.gate.verifier.send_code(&asked("+84981234567", client(5_000))).await;
        assert!(other_prefix.is_ok());
    }

    async fn nothing_is_sent_to_foreign_premium_and_fixed_numbers(engine: Engine) {
        let codes = Codes::by_kannel(engine, |_| {}).await;
        let numbers = [
            "+14155550100", "+85512345678", "+3726501234", "+8835100123456", "+882161234567", "+447700900123",
            "+8419001234", "+8418001234", "+842412345678", "+84156", "+845656", "+84112", "+841634567890", "+8491234567",
        ];
        for number in numbers {
            assert_eq!(codes.send(number).await, Err(NotSent::NotAMobile), "{number}");
        }
        assert!(codes.sms.sent().is_empty());
        assert!(codes.send(NUMBER).await.is_ok(), "they took nothing of the address's limit");
    }

    async fn a_withdrawal_has_more_to_a_number_than_anybody_can_use_up(engine: Engine) {
        let codes = Codes::by_kannel(engine, |_| {}).await;
        for _ in 0..3 {
            codes.code(NUMBER).await;
        }
        let ask = async |purpose| codes.gate.verifier.send_code(&AskedCode { purpose, ..asked(NUMBER, client(7)) }).await;
        for purpose in [Purpose::Report, Purpose::Respond] {
            assert_eq!(ask(purpose).await, Err(NotSent::Full { retry_after_s: 600 }));
        }
        assert!(ask(Purpose::Withdraw).await.is_ok());
        assert_eq!(ask(Purpose::Withdraw).await, Err(NotSent::Full { retry_after_s: 600 }));
    }

    async fn a_number_has_three_in_ten_minutes_and_six_a_day(engine: Engine) {
        let codes = Codes::by_kannel(engine, |config| config.verify.client_per_hour = NonZeroU32::new(100).unwrap()).await;
        for _ in 0..3 {
            codes.code(NUMBER).await;
        }
        assert_eq!(codes.send(NUMBER).await, Err(NotSent::Full { retry_after_s: 600 }));
        codes.app.advance(TEN_MINUTES);
        for _ in 0..3 {
            codes.code(NUMBER).await;
        }
        assert_eq!(codes.send(NUMBER).await, Err(NotSent::Full { retry_after_s: 86_400 - 600 }));
        assert!(codes.send(OTHER_NUMBER).await.is_ok());
        assert_eq!(codes.sms.sent().len(), 7);
    }

    async fn an_address_has_ten_an_hour_and_three_without_work(engine: Engine) {
        let codes = Codes::by_kannel(engine, |config| config.verify.client_per_hour = NonZeroU32::new(10).unwrap()).await;
        let send = async |place: u32, client: IpAddr, has_worked: bool| {
            let asked = AskedCode { has_worked, ..asked(&format!("+8491{place:07}"), client) };
            codes.gate.verifier.send_code(&asked).await
        };
        let of_net = |last: u128| IpAddr::from(Ipv6Addr::from_bits(0x2001_0db8_0001_0002_0000_0000_0000_0000 + last));
        for place in 0..3 {
            assert!(send(place, of_net(u128::from(place)), false).await.is_ok());
        }
        let full = Err(NotSent::Full { retry_after_s: 3_600 });
        assert_eq!(send(3, of_net(3), false).await, full);
        for place in 3..10 {
            assert!(send(place, of_net(u128::from(place)), true).await.is_ok());
        }
        assert_eq!(send(10, of_net(10), true).await, full);
        assert!(send(10, of_net(1 << 64), true).await.is_ok(), "another /64");
        assert!(send(11, client(1), true).await.is_ok());
        // A /48 has sixteen times as many, over all its /64.
        let mut sent = 11;
        for network in 2..20_u32 {
            for place in 0..10 {
                let outcome = send(100 + network * 10 + place, of_net(u128::from(network) << 64), true).await;
                sent += usize::from(outcome.is_ok());
            }
        }
        assert_eq!(sent, 160);
        codes.app.advance(HOUR);
        assert!(send(12, of_net(12), true).await.is_ok());
    }

    async fn all_together_have_a_limit_an_hour_and_a_day(engine: Engine) {
        let codes = Codes::by_kannel(engine, |config| {
            config.verify.all_per_hour = NonZeroU32::new(2).unwrap();
            config.verify.all_per_day = NonZeroU32::new(3).unwrap();
        }).await;
        let send = async |place: u32| codes.gate.verifier.send_code(&asked(&format!("+8491{place:07}"), client(place))).await;
        assert!(send(1).await.is_ok() && send(2).await.is_ok());
        assert_eq!(send(3).await, Err(NotSent::Full { retry_after_s: 3_600 }));
        codes.app.advance(HOUR);
        assert!(send(3).await.is_ok());
        assert_eq!(send(4).await, Err(NotSent::Full { retry_after_s: 82_800 }));
    }

    async fn an_sms_gateway_that_is_away_costs_nobody_anything(engine: Engine) {
        let codes = Codes::by_kannel(engine, |_| {}).await;
        codes.sms.answer("403 Forbidden", "Authorization failed for sendsms");
        for _ in 0..10 {
            assert!(matches!(codes.send(NUMBER).await, Err(NotSent::Unavailable { .. })));
        }
        codes.sms.answer("202 Accepted", "3: Queued for later delivery");
        assert!(codes.send(NUMBER).await.is_ok());
    }

    async fn what_may_have_been_sent_stays_counted(engine: Engine) {
        let codes = Codes::by_kannel(engine, |_| {}).await;
        for (status, body) in [("500 Internal Server Error", ""), ("503 Service Unavailable", ""), ("202 Accepted", "what?")] {
            codes.sms.answer(status, body);
            assert!(matches!(codes.send(NUMBER).await, Err(NotSent::Unavailable { .. })));
        }
        assert_eq!(codes.send(NUMBER).await, Err(NotSent::Full { retry_after_s: 600 }));
    }

    async fn an_operators_code_is_good_once(engine: Engine) {
        let codes = Codes::by_operator(engine).await;
        codes.send(NUMBER).await.unwrap();
        assert!(codes.sms.sent()[0].text.contains(OPERATORS_CODE));
        assert_eq!(codes.check(NUMBER, "000000").await, Err(CodeFault::Wrong));
        let outcomes = join_all((0..3).map(|_| codes.check(NUMBER, OPERATORS_CODE).boxed_guess())).await;
        assert_eq!(outcomes.iter().filter(|outcome| outcome.is_ok()).count(), 1, "the operator said yes to all");
        assert_eq!(codes.check(NUMBER, OPERATORS_CODE).await, Err(CodeFault::Expired));
        assert_eq!(codes.sms.checked()[0]["authenticationId"], "operators-id-1");
        assert!(codes.sms.tokens().iter().all(|token| token == "Bearer token-1"));
    }

    async fn an_operator_is_asked_no_oftener_than_codes_may_be_wrong(engine: Engine) {
        let codes = Codes::by_operator(engine).await;
        codes.send(NUMBER).await.unwrap();
        let outcomes = join_all((0..50).map(|_| codes.check(NUMBER, "000000").boxed_guess())).await;
        assert_eq!(codes.sms.checked().len(), WRONG_PER_HOUR);
        assert_eq!(outcomes.iter().filter(|outcome| **outcome == Err(CodeFault::Wrong)).count(), WRONG_PER_HOUR);
        assert!(matches!(codes.check(NUMBER, OPERATORS_CODE).await, Err(CodeFault::TooManyTries { .. })));
    }

    async fn an_operator_that_is_away_costs_no_try(engine: Engine) {
        let codes = Codes::by_operator(engine).await;
        codes.send(NUMBER).await.unwrap();
        codes.sms.answer("503 Service Unavailable", "");
        for _ in 0..10 {
            assert!(matches!(codes.check(NUMBER, OPERATORS_CODE).await, Err(CodeFault::Unavailable { .. })));
        }
        codes.sms.answer_as_usual();
        assert_eq!(codes.check(NUMBER, OPERATORS_CODE).await, Ok(()));
    }
}

/// Futures of one kind that run at once.
trait BoxedGuess: Future + Sized {
    fn boxed_guess<'a>(self) -> std::pin::Pin<Box<dyn Future<Output = Self::Output> + Send + 'a>>
    where
        Self: Send + 'a,
    {
        Box::pin(self)
    }
}
impl<F: Future> BoxedGuess for F {}

/// All of them at once, on this task.
async fn join_all<T>(futures: impl Iterator<Item = std::pin::Pin<Box<dyn Future<Output = T> + Send + '_>>>) -> Vec<T> {
    let mut waiting: Vec<_> = futures.map(|future| (future, None)).collect();
    std::future::poll_fn(|context| {
        let mut are_all_ready = true;
        for (future, outcome) in waiting.iter_mut().filter(|(_, outcome)| outcome.is_none()) {
            match future.as_mut().poll(context) {
                std::task::Poll::Ready(value) => *outcome = Some(value),
                std::task::Poll::Pending => are_all_ready = false,
            }
        }
        if are_all_ready { std::task::Poll::Ready(()) } else { std::task::Poll::Pending }
    })
    .await;
    waiting.into_iter().map(|(_, outcome)| outcome.unwrap()).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_kannel_is_told() {
    let codes = Codes::by_kannel(Engine::Memory, |_| {}).await;
    let code = codes.code(NUMBER).await;
    let sms = codes.sms.sent().remove(0);
    let told: Vec<String> = sms.parameters.iter().map(|(name, value)| format!("{name}={value}")).collect();
    let text = format!(
        "text=Ma de gui bao cao: {code}. Co hieu luc 10 phut. Khong dua ma nay cho bat ky ai, ke ca nguoi xung la can bo."
    );
    let expected = ["charset=UTF-8", "from=156", "password=pass&word", &text, "to=+84912345678", "username=spamgate"];
    assert_eq!(told, expected);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_redis_is_away_no_code_is_sent_and_none_is_believed() {
    let server = Arc::new(RedisServer::start());
    let sms = SmsGateway::start().await;
    let app = TestApp::spawn_beside_with(&server, |config| sms.use_as_kannel(config)).await;
    let gate = app.gate();
    gate.verifier.send_code(&asked(NUMBER, client(1))).await.unwrap();
    let code = sms.code_for(NUMBER);
    for hangs in [true, false] {
        if hangs {
            server.hang()
        } else {
            server.kill()
        }
        let began = Instant::now();
        for _ in 0..20 {
            let sent = gate.verifier.send_code(&asked(OTHER_NUMBER, client(1))).await;
            assert!(matches!(sent, Err(NotSent::Unavailable { retry_after_s: 1.. })), "{sent:?}");
            let checked = gate.verifier.check_code(msisdn(NUMBER), Purpose::Report, &code).await;
            assert!(matches!(checked, Err(CodeFault::Unavailable { retry_after_s: 1.. })), "{checked:?}");
        }
        assert!(began.elapsed() < Duration::from_secs(3), "{:?}", began.elapsed());
        if hangs {
            server.go_on();
        }
    }
    assert_eq!(sms.sent().len(), 1);
    server.start_again();
    app.wait_until_redis_is_used().await;
    let checked = gate.verifier.check_code(msisdn(NUMBER), Purpose::Report, &code).await;
    assert_eq!(checked, Err(CodeFault::Expired), "it was lost with Redis");
    assert!(gate.verifier.send_code(&asked(NUMBER, client(1))).await.is_ok());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_reads_redis_finds_no_number_no_address_and_no_code() {
    let server = Arc::new(RedisServer::start());
    let sms = SmsGateway::start().await;
    let app = TestApp::spawn_beside_with(&server, |config| sms.use_as_kannel(config)).await;
    let gate = app.gate();
    gate.verifier.send_code(&asked(NUMBER, client(77))).await.unwrap();
    let code = sms.code_for(NUMBER);
    let wrong = gate.verifier.check_code(msisdn(NUMBER), Purpose::Report, &another(&code)).await;
    assert_eq!(wrong, Err(CodeFault::Wrong));
    let keys = server.keys("*");
    assert!(keys.len() >= 8, "a code, its tries, six counts: {}", keys.len());
    for key in keys {
        let value: Vec<u8> = server.ask(redis::cmd("GET").arg(&key));
        let lives_s: i64 = server.ask(redis::cmd("TTL").arg(&key));
        assert!((1..=86_400).contains(&lives_s));
        for secret in ["912345678", &code, "198.51.100.77", "Report", "report"] {
            let holds = |bytes: &[u8]| bytes.windows(secret.len()).any(|window| window == secret.as_bytes());
            assert!(!holds(&key) && !holds(&value), "{secret}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cluster_keeps_codes_and_limits_as_well() {
    let cluster = Arc::new(RedisCluster::start());
    let sms = SmsGateway::start().await;
    let few = |config: &mut Config| {
        sms.use_as_kannel(config);
        config.verify.client_per_hour = NonZeroU32::new(10).unwrap();
    };
    let app = TestApp::spawn_beside_with(&cluster, few).await;
    let gate = app.gate();
    for place in 0..5 {
        let number = format!("+8491{place:07}");
        gate.verifier.send_code(&asked(&number, client(1))).await.unwrap();
        let code = sms.code_for(&number);
        let check = async |code: &str| gate.verifier.check_code(msisdn(&number), Purpose::Report, code).await;
        assert_eq!(check(&another(&code)).await, Err(CodeFault::Wrong));
        assert_eq!(check(&code).await, Ok(()));
        assert_eq!(check(&code).await, Err(CodeFault::Expired));
    }
    for place in 5..10 {
        assert!(gate.verifier.send_code(&asked(&format!("+8491{place:07}"), client(1))).await.is_ok());
    }
    let over = gate.verifier.send_code(&asked("+84910000010", client(1))).await;
    assert_eq!(over, Err(NotSent::Full { retry_after_s: 3_600 }));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_nodes_share_codes_tries_and_limits() {
    let sms = SmsGateway::start().await;
    let app = TestApp::spawn_with(Engine::PostgresqlRedis, |config| sms.use_as_kannel(config)).await;
    let other = app.join(|config| sms.use_as_kannel(config)).await;
    let (here, there) = (app.gate(), other.gate());
    here.verifier.send_code(&asked(NUMBER, client(1))).await.unwrap();
    let code = sms.code_for(NUMBER);
    let check = |gate: &Arc<App>, code: String| {
        let gate = Arc::clone(gate);
        async move { gate.verifier.check_code(msisdn(NUMBER), Purpose::Report, &code).await }
    };
    assert_eq!(check(&there, another(&code)).await, Err(CodeFault::Wrong));
    let guesses = (0..100).map(|place| check(if place % 2 == 0 { &here } else { &there }, code.clone()).boxed_guess());
    assert_eq!(join_all(guesses).await.iter().filter(|outcome| outcome.is_ok()).count(), 1);
    there.verifier.send_code(&asked(NUMBER, client(1))).await.unwrap();
    here.verifier.send_code(&asked(NUMBER, client(1))).await.unwrap();
    let full = there.verifier.send_code(&asked(NUMBER, client(1))).await;
    assert_eq!(full, Err(NotSent::Full { retry_after_s: 600 }));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_sms_gateway_that_says_nothing_is_waited_for_so_long_and_what_may_have_been_sent_counts() {
    let codes = Codes::by_kannel(Engine::Memory, |config| config.verify.timeout_ms = 200).await;
    codes.sms.be_silent();
    for _ in 0..3 {
        let began = Instant::now();
        assert!(matches!(codes.send(NUMBER).await, Err(NotSent::Unavailable { .. })));
        assert!(began.elapsed() < Duration::from_secs(2));
    }
    assert_eq!(codes.send(NUMBER).await, Err(NotSent::Full { retry_after_s: 600 }));
    assert_eq!(codes.sms.sent().len(), 3);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_an_operator_says_of_a_number_is_told() {
    let codes = Codes::by_operator(Engine::Memory).await;
    for (line, body, told) in [
        ("403 Forbidden", r#"{"code":"ONE_TIME_PASSWORD_SMS.PHONE_NUMBER_BLOCKED"}"#, NotSent::NotAMobile),
        (
            "403 Forbidden",
            r#"{"code":"ONE_TIME_PASSWORD_SMS.MAX_OTP_CODES_EXCEEDED"}"#,
            NotSent::Full { retry_after_s: 600 },
        ),
        ("429 Too Many Requests", r#"{"code":"TOO_MANY_REQUESTS"}"#, NotSent::Full { retry_after_s: 600 }),
        ("401 Unauthorized", r#"{"code":"UNAUTHENTICATED"}"#, NotSent::Unavailable { retry_after_s: 30 }),
        ("200 OK", "nonsense", NotSent::Unavailable { retry_after_s: 30 }),
    ] {
        codes.sms.answer(line, body);
        assert_eq!(codes.send(NUMBER).await, Err(told), "{body}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_network_says_whose_phone_it_is() {
    let off = TestApp::spawn(Engine::Memory).await;
    let asked_off = off.gate().verifier.verify_by_network(msisdn(NUMBER), "good-1", "key").await;
    assert_eq!(asked_off, Err(NetworkFault::Off));
    let sms = SmsGateway::start().await;
    let network = |config: &mut Config| {
        sms.use_as_kannel(config);
        sms.use_as_network(config);
    };
    let app = TestApp::spawn_with(Engine::Memory, network).await;
    let gate = app.gate();
    let ask = async |code: &str| gate.verifier.verify_by_network(msisdn(NUMBER), code, "key").await;
    assert_eq!(ask("good-2").await, Ok(true));
    assert_eq!(
        (sms.tokens(), sms.checked()),
        (vec!["Bearer token-of-good-2".to_owned()], vec![json!({"phoneNumber": NUMBER})])
    );
    let away = Err(NetworkFault::Unavailable { retry_after_s: 30 });
    for (line, body, said) in [
        ("200 OK", r#"{"devicePhoneNumberVerified":false}"#, Ok(false)),
        ("200 OK", r#"{"devicePhoneNumberVerified":"true"}"#, away),
        ("200 OK", "", away),
        ("401 Unauthorized", "", Err(NetworkFault::NotByNetwork)),
        ("403 Forbidden", r#"{"code":"INVALID_TOKEN_CONTEXT"}"#, Err(NetworkFault::NotByNetwork)),
        ("503 Service Unavailable", "", away),
    ] {
        sms.answer(line, body);
        assert_eq!(ask("good-2").await, said, "{line} {body}");
    }
    for code in ["", "bad", &"x".repeat(5_000)] {
        assert_eq!(ask(code).await, Err(NetworkFault::NotByNetwork));
    }
    // A token that is no token goes nowhere.
    assert_eq!(ask("good 3\r\nX-Other: 1").await, away);
    assert_eq!((sms.tokens().len(), sms.token_requests().len()), (7, 9));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_sender_no_code_is_sent() {
    let app = TestApp::spawn(Engine::Memory).await;
    let gate = app.gate();
    assert!(!gate.verifier.is_on());
    let sent = gate.verifier.send_code(&asked(NUMBER, client(1))).await;
    assert!(matches!(sent, Err(NotSent::Unavailable { .. })));
}

#[test]
fn codes_go_to_the_log_only_where_nobody_else_can_ask_for_one() {
    let mut config = Config::defaults().unwrap();
    config.verify.sender = SenderKind::Log;
    assert!(config.check().is_ok());
    let mut faults = BTreeSet::new();
    config.server.listen = "0.0.0.0:8080".parse().unwrap();
    faults.insert(config.check().unwrap_err().to_string());
    config.server.listen = "[::1]:8080".parse().unwrap();
    assert!(config.check().is_ok());
    config.server.role = spamgate::config::Role::Intake;
    faults.insert(config.check().unwrap_err().to_string());
    assert_eq!(faults.len(), 1);
    assert!(faults.first().unwrap().starts_with("verify.sender: `log` writes codes where operators read them"));
}

#[test]
fn no_secret_of_the_senders_is_shown() {
    let mut config = Config::defaults().unwrap();
    config.verify.kannel_password = "hunter2".to_owned().into();
    config.verify.camara_token = "hunter2".to_owned().into();
    assert!(!format!("{config:?}").contains("hunter2") && !config.to_toml().contains("hunter2"));
    config.verify.sender = SenderKind::Kannel;
    config.verify.kannel_url = "http://user:hunter2@here/".to_owned();
    let fault = config.check().unwrap_err().to_string();
    assert!(fault.starts_with("verify.kannel_url: ") && !fault.contains("hunter2"), "{fault}");
}
