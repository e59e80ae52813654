//! Who may call, and for which numbers a carrier vouches.

use std::time::Duration;

use reqwest::Method;
use reqwest::header::{AUTHORIZATION, HeaderValue};
use spamgate::store::cases::find_case;

use crate::support::{Engine, TestApp, on_every_engine, report, wait_until};

/// A revoked key works for half a second at most; the rest is for a busy machine.
const REVOKED_WITHIN: Duration = Duration::from_secs(2);

async fn assert_refused(app: &TestApp, authorization: Option<&[u8]>, code: &str) {
    for method in [Method::POST, Method::GET] {
        let path = if method == Method::GET { "/v1/reports/x" } else { "/v1/reports" };
        let mut request = app.request(method, path, None);
        if let Some(value) = authorization {
            request = request.header(AUTHORIZATION, HeaderValue::from_bytes(value).unwrap());
        }
        let answer = app.send(request, "").await.expect_problem(401, code, "");
        assert_eq!(answer.header("www-authenticate"), Some("Bearer"));
        assert_eq!(answer.header("ratelimit"), None, "nobody's limit");
    }
}

on_every_engine! {
    async fn without_an_api_key_the_answer_is_401(app: TestApp) {
        assert_refused(&app, None, "api_key_missing").await;
    }

    async fn a_malformed_authorization_is_401(app: TestApp) {
        let too_long = format!("Bearer {}", "k".repeat(129));
        let key = app.local().api_key.clone();
        let malformed: [&[u8]; 7] = [
            b"",
            b"Bearer",
            b"Bearer ",
            b"Basic dXNlcjpwYXNz",
            key.as_bytes(),
            too_long.as_bytes(),
            "Bäarer x".as_bytes(),
        ];
        for value in malformed {
            assert_refused(&app, Some(value), "api_key_missing").await;
        }
    }

    async fn a_wrong_api_key_is_401(app: TestApp) {
        let key = app.local().api_key.clone();
        let wrong = [format!("Bearer {}x", key), format!("Bearer {}", &key[..key.len() - 1]), "Bearer x".to_owned()];
        for value in &wrong {
            assert_refused(&app, Some(value.as_bytes()), "api_key_unknown").await;
        }
        assert_refused(&app, Some(b"Bearer k\xff\xfe"), "api_key_unknown").await;
        app.post(&report("r-1")).await.expect_status(201);
    }

    async fn the_scheme_is_read_in_any_case(app: TestApp) {
        let request = app.request(Method::GET, "/v1/reports/x", None);
        let request = request.header(AUTHORIZATION, format!("bEARER {}", app.local().api_key));
        app.send(request, "").await.expect_problem(404, "report_not_found", "");
    }

    async fn a_carrier_that_was_just_added_may_call_at_once(app: TestApp) {
        let added = app.add_carrier("added");
        app.post_as(&added, &report("r-1")).await.expect_status(201);
    }

    async fn a_revoked_carrier_is_refused_soon_and_others_are_not(app: TestApp) {
        let leaving = app.add_carrier("leaving");
        app.post_as(&leaving, &report("r-1")).await.expect_status(201);
        app.revoke_carrier(&leaving.name);
        wait_until("the key is refused", REVOKED_WITHIN, async || app.get_as(&leaving, "x").await.status == 401).await;
        app.post_as(&leaving, &report("r-2")).await.expect_problem(401, "api_key_unknown", "");
        app.post(&report("r-2")).await.expect_status(201);
    }

    async fn a_reporter_whom_the_carrier_does_not_attest_is_a_foreign_voice(app: TestApp) {
        let vina = app.add_carrier_attesting("vina", "+8491,+8494");
        app.post_as(&vina, &report("r-1").with("reporter", "0912345678")).await.expect_status(201);
        app.post_as(&vina, &report("r-2").with("reporter", "0981234567")).await.expect_status(201);
        let reference = app.only_case().await.reference;
        let (case, decisions) = find_case(&mut app.connection(), &reference).unwrap().unwrap();
        assert_eq!((case.voices, case.foreign_voices, decisions.len()), (2, 1, 0));
    }

    async fn a_foreign_voice_that_its_own_carrier_attests_later_is_foreign_no_more(app: TestApp) {
        let vina = app.add_carrier_attesting("vina", "+8491");
        let body = report("r-1").with("reporter", "0981234567");
        app.post_as(&vina, &body).await.expect_status(201);
        assert_eq!(app.only_case().await.foreign_voices, 1);
        app.post(&body.with("content", "Một tin khác")).await.expect_status(201);
        let case = app.only_case().await;
        assert_eq!((case.reports, case.voices, case.foreign_voices), (2, 1, 0));
    }
}
