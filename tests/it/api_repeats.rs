//! The same person saying the same again is linked to the case and shown, and is no new voice.

use std::time::Duration;

use crate::support::{Engine, ReportBody, TestApp, on_every_engine, report};

const HOUR: Duration = Duration::from_secs(60 * 60);
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// Sends a report and says what the answer promises (`repeat`) and what the builder makes of it.
async fn send(app: &TestApp, body: &ReportBody) -> (bool, String) {
    let answer = app.post(body).await.expect_status(201);
    app.wait_until_built().await;
    let status = app.get(answer.id()).await.string("status").to_owned();
    (answer.json["repeat"] == true, status)
}

/// Sends two reports and checks whether the second is a repeat of the first.
async fn assert_repeat(app: &TestApp, first: &ReportBody, second: &ReportBody, is_repeat: bool) {
    assert_eq!(send(app, first).await, (false, "counted".to_owned()));
    if app.engine.has_redis() {
        // The hint is given when Redis has it; what counts is decided by the builder.
        app.wait_until_marked().await;
    }
    let status = if is_repeat { "repeat" } else { "counted" };
    assert_eq!(send(app, second).await, (is_repeat, status.to_owned()));
}

on_every_engine! {
    async fn the_same_person_and_text_under_another_report_id_is_a_repeat(app: TestApp) {
        assert_repeat(&app, &report("r-1"), &report("r-2"), true).await;
        let case = app.only_case().await;
        assert_eq!((case.reports, case.repeats, case.voices), (2, 1, 1));
    }

    async fn a_repeat_has_an_id_of_its_own_and_leads_to_the_same_case(app: TestApp) {
        let first = app.post(&report("r-1")).await.expect_status(201);
        let second = app.post(&report("r-2")).await.expect_status(201);
        assert_ne!(first.id(), second.id());
        app.wait_until_built().await;
        let (counted, repeat) = (app.get(first.id()).await, app.get(second.id()).await);
        assert_eq!((counted.string("status"), repeat.string("status")), ("counted", "repeat"));
        assert_eq!(counted.case(), repeat.case());
    }

    async fn a_text_without_its_accents_is_the_same_text(app: TestApp) {
        let second = report("r-2").with("content", "Nhan lam cac loai giay to, lien he ngay");
        assert_repeat(&app, &report("r-1"), &second, true).await;
    }

    async fn a_text_in_capitals_is_the_same_text(app: TestApp) {
        let second = report("r-2").with("content", "NHẬN LÀM CÁC LOẠI GIẤY TỜ, LIÊN HỆ NGAY");
        assert_repeat(&app, &report("r-1"), &second, true).await;
    }

    async fn a_text_with_other_spaces_is_the_same_text(app: TestApp) {
        let second = report("r-2").with("content", "  Nhận làm  các loại\ngiấy tờ,\tliên hệ ngay ");
        assert_repeat(&app, &report("r-1"), &second, true).await;
    }

    async fn a_text_with_another_link_is_another_text(app: TestApp) {
        let first = report("r-1").with("content", "Nhận quà tại http://qua-tang.xyz/a");
        let second = report("r-2").with("content", "Nhận quà tại http://qua-tang.xyz/b");
        assert_repeat(&app, &first, &second, false).await;
    }

    async fn a_text_with_another_number_is_another_text(app: TestApp) {
        let first = report("r-1").with("content", "Gọi 0901 111 222 để vay");
        let second = report("r-2").with("content", "Gọi 0901 111 223 để vay");
        assert_repeat(&app, &first, &second, false).await;
    }

    async fn another_person_saying_the_same_is_another_voice(app: TestApp) {
        assert_repeat(&app, &report("r-1"), &report("r-2").with("reporter", "0912345679"), false).await;
        let case = app.only_case().await;
        assert_eq!((case.reports, case.repeats, case.voices), (2, 0, 2));
    }

    async fn the_same_text_about_another_sender_is_no_repeat(app: TestApp) {
        assert_repeat(&app, &report("r-1"), &report("r-2").with("sender", "0985931055"), false).await;
    }

    async fn the_same_person_with_another_text_is_counted_and_is_the_same_voice(app: TestApp) {
        assert_repeat(&app, &report("r-1"), &report("r-2").with("content", "Một tin khác"), false).await;
        let case = app.only_case().await;
        assert_eq!((case.reports, case.repeats, case.voices), (2, 0, 1));
    }

    async fn the_same_person_through_another_carrier_is_no_new_voice(app: TestApp) {
        let other = app.add_carrier("other");
        app.post(&report("r-1")).await.expect_status(201);
        app.wait_until_built().await;
        app.post_as(&other, &report("r-1")).await.expect_status(201);
        let case = app.only_case().await;
        assert_eq!((case.reports, case.repeats, case.voices), (2, 1, 1));
    }

    async fn the_builder_finds_repeats_without_the_fast_state(app: TestApp) {
        assert_eq!(send(&app, &report("r-1")).await, (false, "counted".to_owned()));
        app.forget_fast_state().await;
        assert_eq!(send(&app, &report("r-2")).await, (false, "repeat".to_owned()));
    }

    async fn the_window_is_24_hours_from_the_counted_report_and_does_not_slide(app: TestApp) {
        let occurred_at = app.in_seconds(0);
        let at = |id: &str| report(id).with("occurred_at", occurred_at.clone());
        let (_, first) = send(&app, &at("r-1")).await;
        app.advance(HOUR * 23);
        let (hint, second) = send(&app, &at("r-2")).await;
        assert_eq!((first.as_str(), second.as_str()), ("counted", "repeat"));
        app.advance(HOUR - Duration::from_micros(1));
        let (_, last_within) = send(&app, &at("r-3")).await;
        app.advance(Duration::from_micros(1));
        let (late_hint, fourth) = send(&app, &at("r-4")).await;
        assert_eq!((last_within.as_str(), fourth.as_str()), ("repeat", "counted"));
        // Redis keeps its hints by its own clock, which no test turns.
        if !app.engine.has_redis() {
            assert_eq!((hint, late_hint), (true, false));
        }
        let case = app.only_case().await;
        assert_eq!((case.reports, case.repeats, case.voices), (4, 2, 1));
    }

    async fn what_was_counted_after_the_window_starts_a_window_of_its_own(app: TestApp) {
        let occurred_at = app.in_seconds(0);
        let at = |id: &str| report(id).with("occurred_at", occurred_at.clone());
        send(&app, &at("r-1")).await;
        app.advance(DAY);
        assert_eq!(send(&app, &at("r-2")).await.1, "counted");
        app.advance(HOUR);
        assert_eq!(send(&app, &at("r-3")).await.1, "repeat");
    }
}
