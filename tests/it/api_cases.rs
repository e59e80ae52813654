//! Which reports make one case.

use spamgate::store::cases::CaseRow;

use crate::support::{Engine, ReportBody, TestApp, on_every_engine, report, reporter};

const TEXT: &str = "Nước sông đã nhiễm độc, không được uống";
const OTHER_TEXT: &str = "Ngày mai ngân hàng đóng cửa";

/// Sends each report as a reporter of its own.
async fn send(app: &TestApp, bodies: &[ReportBody]) {
    for (index, body) in bodies.iter().enumerate() {
        let body = body.clone().with("report_id", format!("r-{index}")).with("reporter", reporter(index));
        app.post(&body).await.expect_status(201);
    }
}

fn from(sender: &str) -> ReportBody {
    report("set by send").with("sender", sender)
}

fn voices(cases: &[CaseRow]) -> Vec<i64> {
    cases.iter().map(|case| case.voices).collect()
}

on_every_engine! {
    async fn a_number_is_one_case_whatever_the_text(app: TestApp) {
        send(&app, &[from("0985931054"), from("0985931054").with("content", OTHER_TEXT)]).await;
        let case = app.only_case().await;
        assert_eq!((case.reports, case.voices, case.sender_kind.as_str()), (2, 2, "msisdn"));
        assert_eq!((case.status.as_str(), case.category.as_str()), ("open", "spam"));
    }

    async fn a_number_is_one_case_however_it_is_spelled(app: TestApp) {
        send(&app, &[from("0985931054"), from("+84 985 931 054"), from("84985931054")]).await;
        assert_eq!(app.only_case().await.voices, 3);
    }

    async fn two_numbers_are_two_cases(app: TestApp) {
        send(&app, &[from("0985931054"), from("0985931055")]).await;
        assert_eq!(voices(&app.cases().await), [1, 1]);
    }

    async fn another_category_is_another_case(app: TestApp) {
        send(&app, &[from("0985931054"), from("0985931054").with("category", "scam")]).await;
        assert_eq!(voices(&app.cases().await), [1, 1]);
    }

    async fn an_old_11_digit_sender_is_in_the_case_of_its_present_number(app: TestApp) {
        send(&app, &[from("01201234567"), from("0701234567")]).await;
        assert_eq!(app.only_case().await.voices, 2);
    }

    async fn a_foreign_number_and_a_landline_may_be_reported(app: TestApp) {
        send(&app, &[from("+14155550123"), from("02432321234")]).await;
        let cases = app.cases().await;
        assert!(cases.iter().all(|case| case.sender_kind == "msisdn"));
        assert_eq!(voices(&cases), [1, 1]);
    }

    async fn a_short_code_is_one_case(app: TestApp) {
        send(&app, &[from("5656"), from(" 5656 ")]).await;
        let case = app.only_case().await;
        assert_eq!((case.voices, case.sender_kind.as_str()), (2, "short_code"));
    }

    async fn a_brandname_is_one_case_in_any_case_and_spacing(app: TestApp) {
        send(&app, &[from("VIETTEL CSKH"), from("viettel cskh"), from("Viettel  CSKH")]).await;
        let case = app.only_case().await;
        assert_eq!((case.voices, case.sender_kind.as_str()), (3, "brandname"));
    }

    async fn a_hidden_sender_groups_by_text(app: TestApp) {
        send(&app, &[
            from("hidden").with("content", TEXT),
            from("Unknown").with("content", TEXT.to_uppercase()),
            from("hidden").with("content", OTHER_TEXT),
        ])
        .await;
        let cases = app.cases().await;
        assert_eq!(voices(&cases), [2, 1]);
        assert!(cases.iter().all(|case| case.sender_kind == "hidden"));
    }

    async fn a_malformed_sender_groups_by_value_and_text(app: TestApp) {
        let (forged, other) = ("+098593105412345", "+098593105412346");
        send(&app, &[
            from(forged).with("content", TEXT),
            from(forged).with("content", TEXT),
            from(forged).with("content", OTHER_TEXT),
            from(other).with("content", TEXT),
        ])
        .await;
        let cases = app.cases().await;
        assert_eq!(voices(&cases), [2, 1, 1]);
        assert!(cases.iter().all(|case| case.sender_kind == "malformed"));
    }

    async fn a_hidden_sender_without_text_is_counted_and_makes_no_case(app: TestApp) {
        let call = from("hidden").with("channel", "call").without("content");
        send(&app, &[call.clone(), call]).await;
        assert!(app.cases().await.is_empty());
        assert_eq!(app.caseless_reports().await, 2);
    }

    async fn a_call_from_a_number_needs_no_text(app: TestApp) {
        send(&app, &[from("0985931054").with("channel", "call").without("content")]).await;
        let case = app.only_case().await;
        assert_eq!((case.sms, case.calls), (0, 1));
    }

    async fn an_sms_and_a_call_are_one_case_of_both_channels(app: TestApp) {
        send(&app, &[from("0985931054"), from("0985931054").with("channel", "call").without("content")]).await;
        let case = app.only_case().await;
        assert_eq!((case.sms, case.calls, case.voices), (1, 1, 2));
    }

    async fn a_false_claim_is_one_case_whoever_sends_it(app: TestApp) {
        let claim = |sender: &str| from(sender).with("category", "fake_news").with("content", TEXT);
        send(&app, &[claim("0985931054"), claim("0985931055")]).await;
        let case = app.only_case().await;
        assert_eq!((case.voices, case.sender_kind.as_str(), case.category.as_str()), (2, "msisdn", "fake_news"));
    }

    async fn a_false_claim_from_senders_of_different_kinds_has_a_mixed_sender(app: TestApp) {
        let claim = |sender: &str| from(sender).with("category", "fake_news").with("content", TEXT);
        send(&app, &[claim("0985931054")]).await;
        assert_eq!(app.only_case().await.sender_kind, "msisdn");
        app.post(&claim("VIETTEL").with("report_id", "r-9").with("reporter", reporter(9))).await.expect_status(201);
        let case = app.only_case().await;
        assert_eq!((case.voices, case.sender_kind.as_str()), (2, "mixed"));
    }

    async fn another_false_claim_of_the_same_sender_is_another_case(app: TestApp) {
        let claim = |text: &str| from("0985931054").with("category", "fake_news").with("content", text);
        send(&app, &[claim(TEXT), claim(OTHER_TEXT)]).await;
        assert_eq!(voices(&app.cases().await), [1, 1]);
    }

    async fn reports_of_lost_money_are_counted(app: TestApp) {
        send(&app, &[from("0985931054").with("money_lost", true), from("0985931054").with("money_lost", false)]).await;
        assert_eq!(app.only_case().await.money_lost, 1);
    }

    async fn a_case_knows_when_it_was_first_and_last_reported(app: TestApp) {
        send(&app, &[from("0985931054")]).await;
        app.advance(std::time::Duration::from_secs(90));
        app.post(&from("0985931054").with("report_id", "r-9").with("reporter", reporter(9))).await.expect_status(201);
        let case = app.only_case().await;
        assert_eq!(case.last_report_at - case.first_report_at, 90 * 1_000_000);
        assert_eq!((case.carrier_api, case.carrier_batch, case.carrier_mo, case.web), (2, 0, 0, 0));
    }
}
