//! What a carrier may do and from where, and how its key is replaced.

use std::num::NonZeroU32;
use std::time::Duration;

use reqwest::Method;
use reqwest::header::CONTENT_TYPE;
use spamgate::config::Config;
use spamgate::domain::carrier::{Addresses, Scopes};
use spamgate::enrol::Terms;
use spamgate::store::carriers::CarrierChange;

use crate::support::{Answer, Carrier, Engine, TestApp, on_every_engine, report, wait_until};

/// A change holds within half a second; the rest is for a busy machine.
const CHANGED_WITHIN: Duration = Duration::from_secs(2);

fn terms(scopes: &str, addresses: &str) -> Terms {
    let (scopes, addresses) = (Scopes::parse(scopes).unwrap(), Addresses::parse(addresses).unwrap());
    Terms { scopes, addresses, ..Terms::default() }
}

fn behind_a_proxy(config: &mut Config) {
    config.server.trusted_proxies = vec!["127.0.0.1".parse().unwrap()];
}

fn three_at_once(config: &mut Config) {
    config.limits.carrier_per_second = NonZeroU32::MIN;
    config.limits.carrier_burst = NonZeroU32::new(3).unwrap();
}

async fn post_from(app: &TestApp, carrier: &Carrier, forwarded_for: &str) -> Answer {
    let body = report("r-1").to_string();
    let request = app.request(Method::POST, "/v1/reports", Some(&carrier.api_key));
    let request = request.header("x-forwarded-for", forwarded_for).header(CONTENT_TYPE, "application/json");
    app.send(request.body(body.clone()), &body).await
}

on_every_engine! {
    async fn without_the_scope_the_answer_is_403_and_names_it(app: TestApp) {
        let reader = app.add_carrier_with("reader", terms("mo,feed", "any"));
        let answer = app.post_as(&reader, &report("r-1")).await.expect_problem(403, "scope_missing", "");
        assert!(answer.string("detail").contains("`report`"), "{}", answer.text);
        assert_eq!(answer.header("ratelimit"), None, "it took nothing");
        app.get_as(&reader, "x").await.expect_problem(403, "scope_missing", "");
        assert_eq!(app.journal_rows(), 0);
    }

    async fn a_scope_that_is_given_later_holds_soon(app: TestApp) {
        let carrier = app.add_carrier_with("carrier", terms("feed", "any"));
        app.post_as(&carrier, &report("r-1")).await.expect_problem(403, "scope_missing", "");
        app.change_carrier("carrier", &CarrierChange { scopes: Some("report".to_owned()), ..CarrierChange::default() });
        wait_until("the scope holds", CHANGED_WITHIN, async || app.get_as(&carrier, "x").await.status == 404).await;
        app.post_as(&carrier, &report("r-1")).await.expect_status(201);
    }

    async fn from_another_address_the_answer_is_403_and_tells_no_address(app: TestApp) {
        let carrier = app.add_carrier_with("carrier", terms("report", "192.0.2.0/24"));
        let answer = app.post_as(&carrier, &report("r-1")).await.expect_problem(403, "address_not_allowed", "");
        assert!(!answer.text.contains("192.0.2") && !answer.text.contains("127.0.0"), "{}", answer.text);
        // Whoever says so himself is not believed.
        post_from(&app, &carrier, "192.0.2.1").await.expect_problem(403, "address_not_allowed", "");
        let here = app.add_carrier_with("here", terms("report", "192.0.2.0/24,127.0.0.0/8"));
        app.post_as(&here, &report("r-1")).await.expect_status(201);
    }

    async fn behind_a_trusted_proxy_the_address_it_saw_counts(engine: Engine) {
        let app = TestApp::spawn_with(engine, behind_a_proxy).await;
        let carrier = app.add_carrier_with("carrier", terms("report", "192.0.2.0/24,2001:db8::/32"));
        for allowed in ["192.0.2.7", "203.0.113.1, 192.0.2.7", "2001:db8::5"] {
            let taken = post_from(&app, &carrier, allowed).await;
            assert!(matches!(taken.status, 200 | 201), "{allowed}: {}", taken.text);
        }
        for refused in ["203.0.113.1", "192.0.2.7, 203.0.113.1", "unknown", "2001:db9::1"] {
            post_from(&app, &carrier, refused).await.expect_problem(403, "address_not_allowed", "");
        }
    }

    async fn whoever_calls_from_elsewhere_does_not_learn_what_the_key_is_good_for(app: TestApp) {
        let carrier = app.add_carrier_with("carrier", terms("feed", "192.0.2.0/24"));
        app.post_as(&carrier, &report("r-1")).await.expect_problem(403, "address_not_allowed", "");
    }

    async fn a_key_is_replaced_without_a_moment_in_which_none_is_good(app: TestApp) {
        let old = app.add_carrier("carrier");
        let taken = app.post_as(&old, &report("r-1")).await.expect_status(201);
        let new = app.add_api_key("carrier").unwrap();
        let again = app.post_as(&new, &report("r-1")).await.expect_status(200);
        assert_eq!(again.id(), taken.id(), "it is the same carrier");
        app.post_as(&old, &report("r-1")).await.expect_status(200);
        app.revoke_api_key(&old);
        wait_until("the old key is refused", CHANGED_WITHIN, async || app.get_as(&old, "x").await.status == 401).await;
        app.post_as(&old, &report("r-1")).await.expect_problem(401, "api_key_unknown", "");
        app.post_as(&new, &report("r-1")).await.expect_status(200);
    }

    async fn at_most_two_keys_are_good_at_once(app: TestApp) {
        let first = app.add_carrier("carrier");
        app.add_api_key("carrier").expect("two may be good");
        assert!(app.add_api_key("carrier").is_err());
        app.revoke_api_key(&first);
        app.add_api_key("carrier").expect("two may be good");
        assert!(app.add_api_key("carrier").is_err());
        assert!(app.add_api_key("nobody").is_err());
        app.revoke_carrier("carrier");
        assert!(app.add_api_key("carrier").is_err());
    }

    async fn neither_another_key_nor_other_terms_refill_the_burst(engine: Engine) {
        let app = TestApp::spawn_with(engine, three_at_once).await;
        let old = app.add_carrier("carrier");
        app.get_as(&old, "x").await.expect_status(404);
        app.get_as(&old, "x").await.expect_status(404);
        // The clock of the limits stands, but for what makes the new key seen.
        let new = app.add_api_key("carrier").unwrap();
        let change = CarrierChange { attests: Some("+8491".to_owned()), ..CarrierChange::default() };
        app.change_carrier("carrier", &change);
        app.revoke_api_key(&old);
        wait_until("the old key is refused", CHANGED_WITHIN, async || app.get_as(&old, "x").await.status != 404).await;
        let last = app.get_as(&new, "x").await;
        assert!(last.status == 404 || last.status == 429, "{}", last.text);
        app.get_as(&new, "x").await.expect_problem(429, "carrier_rate_limited", "");
    }

    async fn a_revoked_carrier_has_no_good_key(app: TestApp) {
        let old = app.add_carrier("carrier");
        let new = app.add_api_key("carrier").unwrap();
        app.revoke_carrier("carrier");
        for key in [&old, &new] {
            wait_until("the key is refused", CHANGED_WITHIN, async || app.get_as(key, "x").await.status == 401).await;
        }
    }
}
