//! `GET /v1/reports/{id}`: what became of a report, and of whose.

use spamgate::domain::check_char;

use crate::support::{Engine, TestApp, assert_wire, on_every_engine, report};

on_every_engine! {
    async fn a_report_is_found_at_once_after_it_was_taken(app: TestApp) {
        for index in 0..20 {
            let taken = app.post(&report(&format!("r-{index}"))).await.expect_status(201);
            let found = app.get(taken.id()).await.expect_status(200);
            assert!(matches!(found.string("status"), "accepted" | "counted" | "repeat"), "{}", found.text);
            for member in ["id", "receipt", "received_at"] {
                assert_eq!(found.string(member), taken.string(member));
            }
        }
    }

    async fn a_counted_report_is_shown_with_its_case(app: TestApp) {
        let taken = app.post(&report("r-1")).await.expect_status(201);
        app.wait_until_built().await;
        let found = app.get(taken.id()).await;
        assert_wire!(found.wire(), @r#"
        200
        content-length: 186
        content-type: application/json
        ratelimit: "carrier";r=1998;t=1
        ratelimit-policy: "carrier";q=2000;w=2

        {"id":"[id]","status":"counted","receipt":"[receipt]","received_at":"2026-11-24T08:00:00.000Z","case":{"reference":"[case]","status":"open"}}
        "#);
    }

    async fn a_case_reference_names_country_and_year_and_its_check_character_fits(app: TestApp) {
        let taken = app.post(&report("r-1")).await.expect_status(201);
        app.wait_until_built().await;
        let found = app.get(taken.id()).await;
        let code = found.case().strip_prefix("VN-2026-").expect("country and year");
        assert_eq!(code.len(), 8);
        assert_eq!(check_char::normalize(code).as_deref(), Some(code));
    }

    async fn a_counted_report_without_a_case_is_shown_without_one(app: TestApp) {
        let body = report("r-1").with("sender", "hidden").with("channel", "call").without("content");
        let taken = app.post(&body).await.expect_status(201);
        app.wait_until_built().await;
        let found = app.get(taken.id()).await.expect_status(200);
        assert_eq!(found.string("status"), "counted");
        assert!(found.json.get("case").is_none(), "{}", found.text);
    }

    async fn a_report_of_another_carrier_is_as_unknown_as_one_that_never_was(app: TestApp) {
        let other = app.add_carrier("other");
        let id = app.post(&report("r-1")).await.expect_status(201).id().to_owned();
        let never = app.get_as(&other, "0198a1b2-c3d4-8e5f-a6b7-c8d9e0f1a2b3").await;
        assert_eq!(never.status, 404);
        assert_wire!(never.text, @r#"{"type":"about:blank","title":"Not Found","status":404,"code":"report_not_found","detail":"You have sent no report with this id."}"#);
        // Both while the builder has not come to it and after.
        assert_eq!(app.get_as(&other, &id).await.text, never.text);
        app.wait_until_built().await;
        assert_eq!(app.get_as(&other, &id).await.text, never.text);
    }

    async fn a_malformed_id_is_as_unknown_as_one_that_never_was(app: TestApp) {
        let id = app.post(&report("r-1")).await.expect_status(201).id().to_owned();
        let never = app.get("0198a1b2-c3d4-8e5f-a6b7-c8d9e0f1a2b3").await.expect_status(404);
        let simple = id.replace('-', "");
        let longer = format!("{id}0");
        let malformed = [&id[..35], &longer, &simple, "1", "not-a-report", "%20", "..%2f..%2fetc", "%f0%9f%98%80"];
        for id in malformed {
            assert_eq!(app.get(id).await.expect_status(404).text, never.text, "{id}");
        }
    }

    async fn an_id_has_one_spelling(app: TestApp) {
        let id = app.post(&report("r-1")).await.expect_status(201).id().to_owned();
        let never = app.get("0198a1b2-c3d4-8e5f-a6b7-c8d9e0f1a2b3").await.expect_status(404);
        // Fails when capitals are read as small letters.
        for other in [format!("%7B{id}%7D"), format!("urn:uuid:{id}"), id.to_uppercase()] {
            assert_ne!(other, id, "an id of digits alone, once in millions");
            assert_eq!(app.get(&other).await.expect_status(404).text, never.text, "{other}");
        }
    }

    async fn the_same_report_id_of_another_carrier_is_another_report(app: TestApp) {
        let other = app.add_carrier("other");
        let ours = app.post(&report("r-1")).await.expect_status(201);
        let body = report("r-1").with("reporter", "0912345679");
        let theirs = app.post_as(&other, &body).await.expect_status(201);
        assert_ne!(ours.id(), theirs.id());
        assert_ne!(ours.string("receipt"), theirs.string("receipt"));
        app.get(ours.id()).await.expect_status(200);
        app.get_as(&other, theirs.id()).await.expect_status(200);
        app.get(theirs.id()).await.expect_problem(404, "report_not_found", "");
        assert_eq!(app.only_case().await.voices, 2);
    }
}
