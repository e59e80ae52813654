//! Calling carriers, with real receivers and a clock that is turned by hand.

use std::collections::BTreeSet;
use std::time::Duration;

use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use serde_json::json;
use spamgate::config::InternalTargets;
use spamgate::domain::clock::Moment;
use spamgate::domain::request::RequestKind;
use spamgate::domain::vocabulary::{CaseStatus, ReasonClass};
use spamgate::outbound::ask::REQUEST_SEAL_INFO;
use spamgate::outbound::publish::SENDER_SEAL_INFO;
use spamgate::outbound::signature::wait_after;
use spamgate::store::carriers::CarrierChange;
use spamgate::store::schema::{feed_items, webhook_deliveries};
use spamgate::store::webhooks::{self, WebhookRow, replay, rotate_secret};
use spamgate::telemetry::metrics::OutcomeLabel;
use uuid::Uuid;

use crate::support::{
    Carrier, Engine, FeedKey, PostgresServer, Received, Receiver, Reply, TestApp, on_every_engine, report, spamgate,
    wait_until,
};

const KEY: FeedKey = FeedKey::new(7);
const OTHER_KEY: FeedKey = FeedKey::new(8);
const SECRET: &[u8] = b"a secret of thirty-two bytes....";
const OTHER_SECRET: &[u8] = b"another of thirty-two bytes.....";
/// How long what is due may take.
const SENT_WITHIN: Duration = Duration::from_secs(20);
/// How often a message is tried.
const ATTEMPTS: i32 = 10;

/// A gateway that may call this machine, and whose carrier is told of all cases.
async fn gateway(engine: Engine) -> TestApp {
    let app = TestApp::spawn_with(engine, |config| {
        config.webhooks.allow_internal = InternalTargets::Loopback;
        config.webhooks.timeout_ms = 2_000;
    })
    .await;
    app.grant_feed(app.local(), "feed_all", "", Some(&KEY));
    app
}

fn now(app: &TestApp) -> i64 {
    Moment::parse_rfc3339(&app.in_seconds(0)).unwrap().0
}

/// Adds a receiver of the carrier that is told of all cases.
fn add(app: &TestApp, url: &str) -> Uuid {
    add_for(app, app.local(), url)
}

fn carrier_id(app: &TestApp, carrier: &Carrier) -> Vec<u8> {
    spamgate::store::feed::find_carrier_id(&mut app.connection(), &carrier.name).unwrap().unwrap()
}

/// Adds a receiver, as `webhook add` does.
fn add_for(app: &TestApp, carrier: &Carrier, url: &str) -> Uuid {
    let id = Uuid::now_v7();
    let connection = &mut app.connection();
    let carrier_id = carrier_id(app, carrier);
    let row = WebhookRow {
        id: id.as_bytes().to_vec(),
        carrier_id,
        url: url.to_owned(),
        secret: app.stored(id.as_bytes(), SECRET),
        old_secret: None,
        old_secret_until: None,
        created_at: now(app),
        disabled_at: None,
        disabled_reason: None,
    };
    webhooks::insert_webhook(connection, &row).unwrap();
    id
}

/// The bodies of all that stands in the feed of a carrier, whether it may see it or not.
fn stored_items(app: &TestApp, carrier: &Carrier) -> Vec<String> {
    feed_items::table
        .filter(feed_items::carrier_id.eq(carrier_id(app, carrier)))
        .select(feed_items::body)
        .load(&mut app.connection())
        .unwrap()
}

/// How many attempts had an outcome.
fn attempts(app: &TestApp, outcome: &'static str) -> u64 {
    app.metrics().webhook_attempts.get_or_create(&OutcomeLabel { outcome }).get()
}

/// What `/readyz` says is lost, and how many decisions are not told.
async fn ready(app: &TestApp) -> (String, i64) {
    let ready = app.get_operators("/readyz").await.expect_status(200);
    (ready.json["degraded"].to_string(), ready.json["feed_lag_decisions"].as_i64().unwrap())
}

/// State, attempts, when it is due, and the last result of the only delivery.
type Delivery = (String, i32, i64, Option<String>);

fn deliveries(app: &TestApp, webhook: Uuid) -> Vec<Delivery> {
    let columns = (
        webhook_deliveries::state,
        webhook_deliveries::attempts,
        webhook_deliveries::due_at,
        webhook_deliveries::last_result,
    );
    webhook_deliveries::table
        .filter(webhook_deliveries::webhook_id.eq(webhook.as_bytes().as_slice()))
        .order(webhook_deliveries::event_id)
        .select(columns)
        .load(&mut app.connection())
        .unwrap()
}

/// The only delivery, once it was tried so often and what came of it stands there.
async fn tried(app: &TestApp, webhook: Uuid, attempts: i32) -> Delivery {
    wait_until("what came of it is written down", SENT_WITHIN, async || {
        deliveries(app, webhook)
            .first()
            .is_some_and(|delivery| delivery.1 == attempts && is_written_down(app, delivery))
    })
    .await;
    deliveries(app, webhook).remove(0)
}

/// While it is in hand it is due in exactly five minutes.
fn is_written_down(app: &TestApp, (state, _, due_at, result): &Delivery) -> bool {
    state != "waiting" || (result.is_some() && *due_at != now(app) + 300_000_000)
}

/// The bodies of all that was put on its way, by event.
fn bodies(app: &TestApp, webhook: Uuid) -> Vec<String> {
    webhook_deliveries::table
        .filter(webhook_deliveries::webhook_id.eq(webhook.as_bytes().as_slice()))
        .order(webhook_deliveries::event_id)
        .select(webhook_deliveries::body)
        .load(&mut app.connection())
        .unwrap()
}

fn put_bodies(app: &TestApp, webhook: Uuid, body: &str) {
    diesel::update(webhook_deliveries::table)
        .filter(webhook_deliveries::webhook_id.eq(webhook.as_bytes().as_slice()))
        .set(webhook_deliveries::body.eq(body))
        .execute(&mut app.connection())
        .unwrap();
}

/// Whether the key opens the sender in a message.
fn opens(key: &FeedKey, body: &str) -> bool {
    let Ok(message) = serde_json::from_str::<serde_json::Value>(body) else { return false };
    let info = if message["type"] == "request.created" { REQUEST_SEAL_INFO } else { SENDER_SEAL_INFO };
    key.open_for(info, &message["data"]).is_some()
}

/// More than the wait after any of the first attempts.
const ROUND: Duration = Duration::from_secs(3 * 3_600);

/// A receiver of the carrier `local` that failed to take its only message, and one of another carrier that fails all along:
/// once that one was called again, everything else that was due has been looked at, too.
struct Failing {
    app: TestApp,
    receiver: Receiver,
    webhook: Uuid,
    other: Uuid,
    _other_receiver: Receiver,
}

impl Failing {
    async fn with_one_decision(engine: Engine) -> Self {
        let app = gateway(engine).await;
        let other_carrier = app.add_carrier_attesting("vina", "+8491");
        app.grant_feed(&other_carrier, "feed_all", "", Some(&OTHER_KEY));
        let refusing = || Receiver::answering(Reply::status("503 Service Unavailable"));
        let (receiver, other_receiver) = (refusing().await, refusing().await);
        let (webhook, other) = (add(&app, &receiver.url), add_for(&app, &other_carrier, &other_receiver.url));
        app.uphold("r-1", "0985931054").await;
        tried(&app, webhook, 1).await;
        tried(&app, other, 1).await;
        Self { app, receiver, webhook, other, _other_receiver: other_receiver }
    }

    /// Neither time nor the operator has the message sent.
    async fn is_left_out_of_round(&self, attempts: i32) {
        let event = self.receiver.received()[0].id().parse::<Uuid>().unwrap();
        if bodies(&self.app, self.webhook) == [""] {
            for event in [None, Some(event.as_bytes().as_slice())] {
                let replayed = replay(&mut self.app.connection(), self.webhook.as_bytes(), event, now(&self.app));
                assert_eq!(replayed.unwrap(), 0);
            }
        }
        self.app.advance(ROUND);
        tried(&self.app, self.other, attempts).await;
        assert_eq!((self.receiver.received().len(), deliveries(&self.app, self.webhook)[0].1), (1, 1));
    }
}

on_every_engine! {
    async fn a_decision_is_sent_once_signed_and_says_what_the_feed_says(engine: Engine) {
        let app = gateway(engine).await;
        app.uphold("r-0", "0985931050").await;
        app.feed(app.local(), 1).await;
        app.advance(Duration::from_secs(1));
        let receiver = Receiver::start().await;
        let webhook = add(&app, &receiver.url);
        app.uphold("r-1", "0985931054").await;
        let sent = receiver.wait_for(1).await.remove(0);
        assert!(sent.is_signed_with(SECRET) && !sent.is_signed_with(OTHER_SECRET));
        assert_eq!((sent.path.as_str(), sent.header("content-type")), ("/hook?from=spamgate", "application/json"));
        assert_eq!(sent.header("webhook-timestamp").parse::<i64>().unwrap(), now(&app) / 1_000_000);
        // What was decided before the receiver was there is in the feed alone.
        let item = app.feed(app.local(), 2).await.remove(1);
        assert_eq!(sent.id(), item["id"].as_str().unwrap());
        let timestamp = item["decided_at"].clone();
        assert_eq!(sent.json, json!({"type": "case.decided", "timestamp": timestamp, "data": item}));
        assert_eq!(KEY.open(&sent.json["data"]).as_deref(), Some("msisdn:+84985931054"));
        assert!(!sent.text.contains("985931054"));
        let (state, attempts, _, result) = tried(&app, webhook, 1).await;
        assert_eq!((state.as_str(), attempts, result.as_deref()), ("delivered", 1, Some("answered 204")));
        receiver.wait_for(1).await;
    }

    async fn a_receiver_hears_of_its_carriers_own_senders_and_nothing_else_is_stored_for_it(engine: Engine) {
        let app = gateway(engine).await;
        let vina = app.add_carrier_attesting("vina", "+8498593");
        app.grant_feed(&vina, "feed", "", Some(&OTHER_KEY));
        let (own, all) = (Receiver::start().await, Receiver::start().await);
        let webhook = add_for(&app, &vina, &own.url);
        add(&app, &all.url);
        app.uphold("r-1", "0882345678").await;
        app.uphold("r-2", "VIETTEL").await;
        app.post(&report("r-3").with("category", "fake_news")).await.expect_status(201);
        let text = app.cases().await.into_iter().find(|case| case.status == "open").unwrap();
        app.decide(&text.reference, CaseStatus::Upheld, ReasonClass::Violation);
        let reference = app.uphold("r-4", "0985931054").await;
        app.uphold("r-5", "0912345670").await;
        all.wait_for(5).await;
        // Every carrier has been told of every decision by now.
        app.feed(&vina, 1).await;
        let sent = own.wait_for(1).await.remove(0);
        assert_eq!(sent.json["data"]["case"], reference.as_str());
        assert_eq!(OTHER_KEY.open(&sent.json["data"]).as_deref(), Some("msisdn:+84985931054"));
        tried(&app, webhook, 1).await;
        assert_eq!(deliveries(&app, webhook).len(), 1);
        let stored = stored_items(&app, &vina);
        assert!(stored.len() == 1 && stored[0].contains(&reference), "{stored:?}");
        own.wait_for(1).await;
    }

    async fn what_cannot_be_told_is_counted_and_said_until_it_is(engine: Engine) {
        let app = gateway(engine).await;
        let receiver = Receiver::start().await;
        add(&app, &receiver.url);
        app.uphold("r-1", "0985931051").await;
        app.feed(app.local(), 1).await;
        receiver.wait_for(1).await;
        assert_eq!(ready(&app).await, ("[]".to_owned(), 0));
        let away = "ALTER TABLE webhook_deliveries RENAME TO webhook_deliveries_away";
        app.connection().batch_execute(away).unwrap();
        app.uphold("r-2", "0985931052").await;
        wait_until("both failures are said", SENT_WITHIN, async || {
            let (degraded, lag) = ready(&app).await;
            degraded.contains("no decision is handed out") && degraded.contains("messages wait") && lag == 1
        })
        .await;
        let metrics = app.get_operators("/metrics").await.expect_status(200).text;
        assert!(metrics.contains("spamgate_feed_lag_decisions{} 1\n"), "{metrics}");
        let back = "ALTER TABLE webhook_deliveries_away RENAME TO webhook_deliveries";
        app.connection().batch_execute(back).unwrap();
        app.feed(app.local(), 2).await;
        receiver.wait_for(2).await;
        wait_until("nothing is lost any more", SENT_WITHIN, async || ready(&app).await == ("[]".to_owned(), 0)).await;
    }

    async fn a_message_that_fails_is_tried_again_on_the_schedule_given_up_and_replayed(engine: Engine) {
        let app = gateway(engine).await;
        let receiver = Receiver::answering(Reply::status("503 Service Unavailable")).await;
        let webhook = add(&app, &receiver.url);
        app.uphold("r-1", "0985931054").await;
        let event = receiver.wait_for(1).await[0].id().parse::<Uuid>().unwrap();
        for attempt in 1..ATTEMPTS {
            let (state, _, due_at, result) = tried(&app, webhook, attempt).await;
            assert_eq!((state.as_str(), result.as_deref()), ("waiting", Some("answered 503")));
            let wait = wait_after(attempt, webhook.as_bytes(), event.as_bytes()).unwrap();
            assert_eq!(due_at, now(&app) + wait, "after attempt {attempt}");
            assert_eq!(receiver.received().len(), usize::try_from(attempt).unwrap(), "none comes early");
            app.advance(Duration::from_micros(wait.try_into().unwrap()));
        }
        let (state, ..) = tried(&app, webhook, ATTEMPTS).await;
        assert_eq!(state, "dead");
        assert_eq!((attempts(&app, "failed"), attempts(&app, "dead"), attempts(&app, "delivered")), (9, 1, 0));
        let dead = webhooks::list_dead(&mut app.connection(), 10).unwrap();
        assert_eq!((dead.len(), dead[0].attempts, dead[0].last_result.as_deref()), (1, ATTEMPTS, Some("answered 503")));
        receiver.answer(Reply::status("200 OK"));
        assert_eq!(replay(&mut app.connection(), webhook.as_bytes(), None, now(&app)).unwrap(), 1);
        let (state, ..) = tried(&app, webhook, 1).await;
        assert_eq!((state.as_str(), attempts(&app, "delivered")), ("delivered", 1));
        let received = receiver.received();
        assert_eq!(received.len(), 11);
        assert!(received.iter().all(|sent| sent.id() == event.to_string() && sent.is_signed_with(SECRET)));
    }

    async fn a_revoked_carrier_is_called_no_more(engine: Engine) {
        let failing = Failing::with_one_decision(engine).await;
        let Failing { app, receiver, webhook, .. } = &failing;
        receiver.answer(Reply::status("200 OK"));
        app.revoke_carrier("local");
        assert_eq!(bodies(app, *webhook), [""]);
        failing.is_left_out_of_round(2).await;
        // As if it had been put on its way at the moment of the revocation.
        put_bodies(app, *webhook, "{}");
        failing.is_left_out_of_round(3).await;
    }

    async fn what_a_carrier_may_not_read_any_more_is_not_sent_until_it_may_again(engine: Engine) {
        let failing = Failing::with_one_decision(engine).await;
        let Failing { app, receiver, webhook, .. } = &failing;
        receiver.answer(Reply::status("200 OK"));
        // The sender is no number of its own.
        app.grant_feed(app.local(), "feed", "", Some(&OTHER_KEY));
        failing.is_left_out_of_round(2).await;
        assert_eq!(bodies(app, *webhook), [""]);
        let scopes = |scopes: &str| CarrierChange { scopes: Some(scopes.to_owned()), ..CarrierChange::default() };
        app.change_carrier("local", &scopes("report"));
        put_bodies(app, *webhook, "{}");
        failing.is_left_out_of_round(3).await;
        app.change_carrier("local", &scopes("report,feed_all"));
        let sent = receiver.wait_for(2).await;
        assert_eq!(sent[1].id(), sent[0].id());
        assert_eq!(OTHER_KEY.open(&sent[1].json["data"]).as_deref(), Some("msisdn:+84985931054"));
        assert_eq!(KEY.open(&sent[1].json["data"]), None);
    }

    async fn with_another_key_nothing_is_sent_or_kept_that_the_one_before_opens(engine: Engine) {
        let failing = Failing::with_one_decision(engine).await;
        let Failing { app, receiver, webhook, .. } = &failing;
        let prompt = Receiver::start().await;
        let delivered = add(app, &prompt.url);
        let reference = app.uphold("r-2", "0985931052").await;
        app.ask(&reference, "local", RequestKind::CheckSubscriber).unwrap();
        prompt.wait_for(2).await;
        receiver.wait_for(3).await;
        wait_until("all is tried", SENT_WITHIN, async || {
            let all = [deliveries(app, *webhook), deliveries(app, delivered)].concat();
            all.len() == 5 && all.iter().all(|delivery| is_written_down(app, delivery))
        })
        .await;
        let kept = || [bodies(app, *webhook), bodies(app, delivered)].concat();
        let opened = |key: &FeedKey| kept().iter().filter(|body| opens(key, body)).count();
        assert_eq!((opened(&KEY), opened(&OTHER_KEY)), (5, 0));
        app.grant_feed(app.local(), "feed_all", "", Some(&OTHER_KEY));
        assert_eq!(opened(&KEY), 0);
        wait_until("all is sealed anew", SENT_WITHIN, async || opened(&OTHER_KEY) == 5).await;
        receiver.answer(Reply::status("200 OK"));
        app.advance(ROUND);
        let sent = receiver.wait_for(6).await;
        assert!(sent[..3].iter().all(|sent| opens(&KEY, &sent.text)));
        assert!(sent[3..].iter().all(|sent| opens(&OTHER_KEY, &sent.text)));
        let ids = |sent: &[Received]| sent.iter().map(|sent| sent.id().to_owned()).collect::<BTreeSet<String>>();
        assert_eq!(ids(&sent[..3]), ids(&sent[3..]));
        prompt.wait_for(2).await;
    }

    async fn a_receiver_that_is_gone_is_called_no_more(engine: Engine) {
        let app = gateway(engine).await;
        let receiver = Receiver::answering(Reply::status("410 Gone")).await;
        let webhook = add(&app, &receiver.url);
        app.uphold("r-1", "0985931051").await;
        wait_until("it is disabled", SENT_WITHIN, async || {
            let listed = webhooks::list_webhooks(&mut app.connection()).unwrap();
            listed[0].0.disabled_reason.as_deref() == Some("it answered 410 Gone")
        })
        .await;
        assert_eq!((deliveries(&app, webhook)[0].0.as_str(), attempts(&app, "gone")), ("dead", 1));
        app.uphold("r-2", "0985931052").await;
        app.feed(app.local(), 2).await;
        assert_eq!(deliveries(&app, webhook).len(), 1, "nothing more is put on its way");
    }

    async fn while_a_secret_is_replaced_both_sign_and_then_the_new_one_alone(engine: Engine) {
        let app = gateway(engine).await;
        let receiver = Receiver::start().await;
        let webhook = add(&app, &receiver.url);
        let sealed = app.stored(webhook.as_bytes(), OTHER_SECRET);
        let until = now(&app) + 3_600_000_000;
        assert!(rotate_secret(&mut app.connection(), webhook.as_bytes(), &sealed, until).unwrap());
        app.uphold("r-1", "0985931051").await;
        let both = receiver.wait_for(1).await.remove(0);
        assert!(both.is_signed_with(SECRET) && both.is_signed_with(OTHER_SECRET));
        app.advance(Duration::from_secs(3_600));
        app.uphold("r-2", "0985931052").await;
        let new = receiver.wait_for(2).await.remove(1);
        assert!(!new.is_signed_with(SECRET) && new.is_signed_with(OTHER_SECRET));
    }

    async fn what_is_asked_of_a_carrier_is_sent_as_well(engine: Engine) {
        let app = gateway(engine).await;
        let receiver = Receiver::start().await;
        add(&app, &receiver.url);
        app.post(&report("r-1")).await.expect_status(201);
        let reference = app.only_case().await.reference;
        let id = app.ask(&reference, "local", RequestKind::CheckSubscriber).unwrap();
        let sent = receiver.wait_for(1).await.remove(0);
        let mut item = app.get_path(app.local(), "/v1/requests").await.json["items"][0].clone();
        item.as_object_mut().unwrap().remove("status");
        assert_eq!((sent.id(), &sent.json["type"], &sent.json["data"]), (id.as_str(), &json!("request.created"), &item));
        assert_eq!(KEY.open_for(REQUEST_SEAL_INFO, &item).as_deref(), Some("msisdn:+84985931054"));
    }

    async fn a_slow_receiver_keeps_no_other_waiting(engine: Engine) {
        let app = gateway(engine).await;
        let silent = Receiver::answering(Reply::Silence).await;
        let endless = Receiver::answering(Reply::EndlessHead).await;
        let prompt = Receiver::start().await;
        let slow = [add(&app, &silent.url), add(&app, &endless.url)];
        add(&app, &prompt.url);
        for index in 0..3 {
            app.uphold(&format!("r-{index}"), &format!("098593105{index}")).await;
        }
        prompt.wait_for(3).await;
        for (webhook, expected) in slow.into_iter().zip(["no answer in time", "no HTTP answer"]) {
            wait_until("it is given up for now", SENT_WITHIN, async || {
                deliveries(&app, webhook).iter().any(|delivery| delivery.3.as_deref() == Some(expected))
            })
            .await;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_redirect_is_not_followed() {
    let app = gateway(Engine::Memory).await;
    let elsewhere = Receiver::start().await;
    let to = format!("Location: {}", elsewhere.url);
    let receiver = Receiver::answering(Reply::Status("307 Temporary Redirect", to)).await;
    let webhook = add(&app, &receiver.url);
    app.uphold("r-1", "0985931054").await;
    let (state, _, _, result) = tried(&app, webhook, 1).await;
    assert_eq!((state.as_str(), result.as_deref()), ("waiting", Some("answered 307")));
    assert!(elsewhere.received().is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_inside_is_called() {
    let app = TestApp::spawn(Engine::Memory).await;
    app.grant_feed(app.local(), "feed_all", "", Some(&KEY));
    let receiver = Receiver::start().await;
    let port = receiver.url.split(':').nth(2).unwrap().split('/').next().unwrap().to_owned();
    let inside = [
        (receiver.url.clone(), "only https is taken"),
        (format!("https://127.0.0.1:{port}/"), "the address is not a public one"),
        (format!("https://localhost:{port}/"), "the address is not a public one"),
        (format!("https://[::ffff:127.0.0.1]:{port}/"), "the address is not a public one"),
    ];
    let added: Vec<(Uuid, &str)> = inside.iter().map(|(url, result)| (add(&app, url), *result)).collect();
    app.uphold("r-1", "0985931054").await;
    for (webhook, expected) in added {
        let (_, _, _, result) = tried(&app, webhook, 1).await;
        assert_eq!(result.as_deref(), Some(expected));
    }
    assert!(receiver.received().is_empty());
}

/// What a node has in hand another leaves alone, until it must be dead.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_nodes_send_each_message_once_and_one_takes_over_from_the_other() {
    let database = PostgresServer::shared().create_database();
    let allow = |config: &mut spamgate::config::Config| config.webhooks.allow_internal = InternalTargets::Loopback;
    let app = TestApp::spawn_on(database, allow).await;
    let other = app.join(allow).await;
    app.grant_feed(app.local(), "feed_all", "", Some(&KEY));
    let receiver = Receiver::start().await;
    let webhook = add(&app, &receiver.url);
    for index in 0..30 {
        app.uphold(&format!("r-{index}"), &format!("09859310{index:02}")).await;
    }
    let received = receiver.wait_for(30).await;
    let ids: BTreeSet<&str> = received.iter().map(|received| received.id()).collect();
    assert_eq!(ids.len(), 30);
    wait_until("all is written down", SENT_WITHIN, async || {
        deliveries(&app, webhook).iter().all(|delivery| delivery.0 == "delivered" && delivery.1 == 1)
    })
    .await;
    // As a node leaves it that dies with a message in hand.
    let id = webhook.as_bytes().as_slice();
    let event = received[0].id().parse::<Uuid>().unwrap();
    other.stop().await;
    app.stop().await;
    replay(&mut app.connection(), id, Some(event.as_bytes()), now(&app)).unwrap();
    let claimed = webhooks::claim_due(&mut app.connection(), id, now(&app), now(&app) + 300_000_000, 10).unwrap();
    assert_eq!(claimed.len(), 1);
    app.start_again().await;
    app.uphold("r-99", "0985931099").await;
    receiver.wait_for(31).await;
    app.advance(Duration::from_secs(300));
    let again = receiver.wait_for(32).await.remove(31);
    assert_eq!(again.id(), received[0].id());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_operator_adds_lists_rotates_and_disables_receivers() {
    let app = TestApp::spawn(Engine::Memory).await;
    let data = app.data().to_str().unwrap().to_owned();
    let run = async |arguments: &[&str]| spamgate(&[&["--data", data.as_str()], arguments].concat()).await;
    for bad in ["http://example.com/", "https://127.0.0.1/", "https://10.0.0.1/", "https://[::1]/", "nonsense"] {
        run(&["webhook", "add", "local", bad]).await.expect_refused();
    }
    run(&["webhook", "add", "nobody", "https://example.com/"]).await.expect_refused();
    let added = run(&["webhook", "add", "local", "https://example.com/hook", "--json"]).await.expect_json();
    let (id, secret) = (added["id"].as_str().unwrap(), added["secret"].as_str().unwrap());
    assert!(secret.starts_with("whsec_") && secret.len() == 50);
    let rotated = run(&["webhook", "rotate-secret", id, "--json"]).await.expect_json();
    assert_ne!(rotated["secret"], secret);
    let listed = run(&["webhook", "list", "--json"]).await.expect_json();
    assert_eq!((&listed[0]["url"], &listed[0]["carrier"]), (&json!("https://example.com/hook"), &json!("local")));
    assert!(listed[0]["old_secret_until"].is_string() && !listed.to_string().contains("whsec"));
    run(&["webhook", "disable", id]).await.expect_ok();
    run(&["webhook", "disable", id]).await.expect_refused();
    run(&["webhook", "enable", id]).await.expect_ok();
    run(&["webhook", "replay", id]).await.expect_refused();
    assert_eq!(run(&["webhook", "dead", "--json"]).await.expect_json(), json!([]));
    // Neither secret stands in the database as it was drawn.
    use base64::Engine as _;
    let secrets = [secret, rotated["secret"].as_str().unwrap()]
        .map(|secret| base64::engine::general_purpose::STANDARD.decode(secret.trim_start_matches("whsec_")).unwrap());
    for file in ["spamgate.db", "spamgate.db-wal"] {
        let bytes = std::fs::read(app.data().join(file)).unwrap_or_default();
        for secret in &secrets {
            assert!(!bytes.windows(secret.len()).any(|window| window == secret.as_slice()), "{file}");
        }
    }
}
