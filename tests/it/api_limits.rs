//! How much a carrier may ask and a reporter may send.

use std::num::NonZeroU32;
use std::time::Duration;

use spamgate::config::Config;
use spamgate::enrol::Terms;
use spamgate::store::carriers::CarrierChange;

use crate::support::{Engine, TestApp, assert_wire, on_every_engine, report, reporter, wait_until};

/// `limits.reporter_per_day` of the defaults.
const REPORTER_PER_DAY: usize = 20;
/// A day through 20.
const ONE_MORE_AFTER: Duration = Duration::from_secs(72 * 60);
/// A change holds within half a second; the rest is for a busy machine.
const CHANGED_WITHIN: Duration = Duration::from_secs(5);

fn one_a_second_three_at_once(config: &mut Config) {
    config.limits.carrier_per_second = NonZeroU32::MIN;
    config.limits.carrier_burst = NonZeroU32::new(3).unwrap();
}

fn three_a_day(config: &mut Config) {
    config.limits.carrier_per_day = 3;
}

/// Sends reports of one reporter until the day is used up; the first `sent_before` were sent before.
async fn use_up_the_day(app: &TestApp, sent_before: usize) {
    for index in sent_before..REPORTER_PER_DAY {
        app.post(&report(&format!("r-{index}"))).await.expect_status(201);
    }
}

on_every_engine! {
    async fn a_carrier_over_its_limit_is_told_exactly_this(engine: Engine) {
        let app = TestApp::spawn_with(engine, one_a_second_three_at_once).await;
        for index in 0..3 {
            app.post(&report(&format!("r-{index}"))).await.expect_status(201);
        }
        let answer = app.post(&report("r-3")).await;
        assert_wire!(answer.wire(), @r#"
        429
        content-length: 191
        content-type: application/problem+json
        ratelimit: "carrier";r=0;t=3
        ratelimit-policy: "carrier";q=3;w=3
        retry-after: 1

        {"type":"about:blank","title":"Too Many Requests","status":429,"code":"carrier_rate_limited","detail":"Your limit of requests is used up. Wait as `Retry-After` says and send the same again."}
        "#);
    }

    async fn a_carrier_that_waits_as_told_is_admitted(engine: Engine) {
        let app = TestApp::spawn_with(engine, one_a_second_three_at_once).await;
        for index in 0..3 {
            app.post(&report(&format!("r-{index}"))).await.expect_status(201);
        }
        let refused = app.post(&report("r-3")).await.expect_problem(429, "carrier_rate_limited", "");
        app.advance(Duration::from_secs(refused.retry_after_s()));
        app.post(&report("r-3")).await.expect_status(201);
    }

    async fn every_answer_to_a_known_carrier_tells_what_is_left(engine: Engine) {
        let app = TestApp::spawn_with(engine, one_a_second_three_at_once).await;
        let taken = app.post(&report("r-1")).await.expect_status(201);
        assert_eq!(taken.header("ratelimit-policy"), Some("\"carrier\";q=3;w=3"));
        assert_eq!(taken.header("ratelimit"), Some("\"carrier\";r=2;t=1"));
        let refused = app.post(&report("r-2").without("sender")).await.expect_status(422);
        assert_eq!(refused.header("ratelimit"), Some("\"carrier\";r=1;t=2"));
        let found = app.get(taken.id()).await.expect_status(200);
        assert_eq!(found.header("ratelimit"), Some("\"carrier\";r=0;t=3"));
        let over = app.get("x").await.expect_problem(429, "carrier_rate_limited", "");
        assert_eq!(over.header("ratelimit"), Some("\"carrier\";r=0;t=3"));
    }

    async fn a_carrier_has_a_limit_of_its_own(engine: Engine) {
        let app = TestApp::spawn_with(engine, one_a_second_three_at_once).await;
        let other = app.add_carrier("other");
        for _ in 0..3 {
            app.get("x").await.expect_status(404);
        }
        app.get("x").await.expect_status(429);
        app.get_as(&other, "x").await.expect_status(404);
    }

    async fn other_terms_refill_nothing(engine: Engine) {
        let app = TestApp::spawn_with(engine, one_a_second_three_at_once).await;
        let carrier = app.add_carrier("carrier");
        for _ in 0..3 {
            app.get_as(&carrier, "x").await.expect_status(404);
        }
        let change = CarrierChange { per_second: Some(Some(2)), burst: Some(Some(8)), ..CarrierChange::default() };
        app.change_carrier("carrier", &change);
        wait_until("the new terms hold", CHANGED_WITHIN, async || {
            let answer = app.get_as(&carrier, "x").await.expect_status(429);
            answer.header("ratelimit-policy") == Some("\"carrier\";q=8;w=4")
        })
        .await;
        let refused = app.get_as(&carrier, "x").await.expect_problem(429, "carrier_rate_limited", "");
        assert_eq!(refused.header("ratelimit"), Some("\"carrier\";r=0;t=4"));
        app.advance(Duration::from_secs(1));
        for status in [404, 404, 429] {
            app.get_as(&carrier, "x").await.expect_status(status);
        }
    }

    async fn a_day_that_is_used_up_is_told_exactly_this(engine: Engine) {
        let app = TestApp::spawn_with(engine, three_a_day).await;
        for _ in 0..3 {
            app.get("x").await.expect_status(404);
        }
        // It is 15:00 in Vietnam.
        let answer = app.get("x").await;
        assert_wire!(answer.wire(), @r#"
        429
        content-length: 202
        content-type: application/problem+json
        ratelimit: "carrier";r=0;t=2, "carrier_day";r=0;t=32400
        ratelimit-policy: "carrier";q=2000;w=2, "carrier_day";q=3;w=86400
        retry-after: 32400

        {"type":"about:blank","title":"Too Many Requests","status":429,"code":"carrier_day_quota_exceeded","detail":"Your number of requests for this day is used up. The next day begins as `Retry-After` says."}
        "#);
        assert_eq!(answer.retry_after_s(), 32_400);
    }

    async fn a_day_ends_at_midnight_of_the_region(engine: Engine) {
        let app = TestApp::spawn_with(engine, three_a_day).await;
        for left in [2, 1, 0] {
            let answer = app.get("x").await.expect_status(404);
            let limit = format!(", \"carrier_day\";r={left};t=");
            assert!(answer.header("ratelimit").is_some_and(|fields| fields.contains(&limit)), "{}", answer.wire());
        }
        let refused = app.get("x").await.expect_problem(429, "carrier_day_quota_exceeded", "");
        let rest = refused.retry_after_s();
        app.advance(Duration::from_secs(rest - 1));
        app.get("x").await.expect_problem(429, "carrier_day_quota_exceeded", "");
        app.advance(Duration::from_secs(1));
        for status in [404, 404, 404, 429] {
            app.get("x").await.expect_status(status);
        }
        app.advance(Duration::from_secs(86_400));
        app.get("x").await.expect_status(404);
    }

    async fn what_the_rate_refuses_takes_nothing_of_the_day(engine: Engine) {
        let app = TestApp::spawn_with(engine, |config| {
            one_a_second_three_at_once(config);
            config.limits.carrier_per_day = 5;
        })
        .await;
        for status in [404, 404, 404, 429, 429, 429] {
            app.get("x").await.expect_status(status);
        }
        let refused = app.get("x").await.expect_problem(429, "carrier_rate_limited", "");
        let fields = refused.header("ratelimit").unwrap();
        assert!(fields.starts_with("\"carrier\";r=0;t=3, \"carrier_day\";r=2;t="), "{fields}");
        app.advance(Duration::from_secs(3));
        for status in [404, 404] {
            app.get("x").await.expect_status(status);
        }
        app.get("x").await.expect_problem(429, "carrier_day_quota_exceeded", "");
    }

    async fn a_carriers_own_number_a_day_holds_and_setting_it_refills_nothing(engine: Engine) {
        let app = TestApp::spawn_with(engine, three_a_day).await;
        let terms = Terms { per_day: Some(0), ..Terms::default() };
        let carrier = app.add_carrier_with("carrier", terms);
        let free = app.get_as(&carrier, "x").await.expect_status(404);
        assert_eq!(free.header("ratelimit-policy"), Some("\"carrier\";q=2000;w=2"));
        for _ in 0..4 {
            app.get_as(&carrier, "x").await.expect_status(404);
        }
        let per_day = |number| CarrierChange { per_day: Some(number), ..CarrierChange::default() };
        app.change_carrier("carrier", &per_day(Some(4)));
        wait_until("five are more than four", CHANGED_WITHIN, async || {
            let answer = app.get_as(&carrier, "x").await;
            let policy = Some("\"carrier\";q=2000;w=2, \"carrier_day\";q=4;w=86400");
            // What a node had leased it spends.
            answer.status == 429 && answer.header("ratelimit-policy") == policy
        })
        .await;
        app.get_as(&carrier, "x").await.expect_problem(429, "carrier_day_quota_exceeded", "");
        app.change_carrier("carrier", &per_day(None));
        wait_until("the default holds", CHANGED_WITHIN, async || {
            let answer = app.get_as(&carrier, "x").await.expect_status(429);
            answer.header("ratelimit-policy") == Some("\"carrier\";q=2000;w=2, \"carrier_day\";q=3;w=86400")
        })
        .await;
    }

    async fn the_21st_report_of_a_reporter_in_a_day_is_refused(app: TestApp) {
        use_up_the_day(&app, 0).await;
        let answer = app.post(&report("one-more")).await;
        let answer = answer.expect_problem(429, "reporter_quota_exceeded", "reporter");
        assert!((4_000..=4_321).contains(&answer.retry_after_s()), "{}", answer.retry_after_s());
        assert!(answer.header("ratelimit").is_some());
        assert_eq!(app.journal_rows(), 20);
        app.post(&report("r-x").with("reporter", "0912345679")).await.expect_status(201);
    }

    async fn a_duplicate_takes_nothing_of_the_reporters_day(app: TestApp) {
        app.post(&report("r-0")).await.expect_status(201);
        for _ in 0..30 {
            app.post(&report("r-0")).await.expect_status(200);
        }
        use_up_the_day(&app, 1).await;
        app.post(&report("one-more")).await.expect_problem(429, "reporter_quota_exceeded", "reporter");
        app.post(&report("r-0")).await.expect_status(200);
    }

    async fn a_refused_report_takes_nothing_of_the_reporters_day(app: TestApp) {
        app.post(&report("r-0")).await.expect_status(201);
        for _ in 0..30 {
            app.post(&report("r-x").without("content")).await.expect_status(422);
            let reused = report("r-0").with("category", "scam");
            app.post(&reused).await.expect_problem(422, "report_id_reused", "report_id");
            let early = report("r-x").with("occurred_at", app.in_seconds(3_600));
            app.post(&early).await.expect_problem(422, "occurred_in_future", "occurred_at");
        }
        use_up_the_day(&app, 1).await;
        app.post(&report("one-more")).await.expect_problem(429, "reporter_quota_exceeded", "reporter");
    }

    async fn the_same_reporter_has_another_day_with_another_carrier(app: TestApp) {
        let other = app.add_carrier("other");
        use_up_the_day(&app, 0).await;
        app.post(&report("one-more")).await.expect_status(429);
        app.post_as(&other, &report("one-more")).await.expect_status(201);
    }
}

/// Redis measures a reporter's day by its own clock, which no test turns.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_72_minutes_a_reporter_may_send_one_more() {
    let app = TestApp::spawn(Engine::Memory).await;
    use_up_the_day(&app, 0).await;
    let refused = app.post(&report("one-more")).await.expect_status(429);
    assert!(refused.retry_after_s() >= ONE_MORE_AFTER.as_secs());
    app.advance(ONE_MORE_AFTER - Duration::from_secs(1));
    app.post(&report("one-more")).await.expect_status(429);
    app.advance(Duration::from_secs(1));
    app.post(&report("one-more")).await.expect_status(201);
    app.post(&report("two-more")).await.expect_problem(429, "reporter_quota_exceeded", "reporter");
}

/// Redis bounds its memory itself.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn when_as_many_reporters_are_followed_as_can_be_new_ones_wait_and_known_ones_do_not() {
    let reporters_max = 16;
    let app = TestApp::spawn_with(Engine::Memory, |config| config.limits.reporters_max = reporters_max).await;
    let mut known = None;
    let mut refused = None;
    for index in 0..=reporters_max {
        let answer = app.post(&report(&format!("r-{index}")).with("reporter", reporter(index))).await;
        match answer.status {
            201 => known = known.or(Some(index)),
            _ => refused = refused.or(Some((index, answer.expect_problem(503, "reporters_full", "")))),
        }
    }
    let known = reporter(known.expect("the first was taken"));
    let (refused_index, refused) = refused.expect("16 places do not hold 17 reporters");
    assert_eq!(refused.retry_after_s(), 60);
    app.post(&report("again").with("reporter", known).with("content", "Một tin khác")).await.expect_status(201);
    // A day's quota that is full again needs no place.
    app.advance(Duration::from_secs(24 * 60 * 60));
    let retry = report("after").with("reporter", reporter(refused_index));
    app.post(&retry).await.expect_status(201);
}
