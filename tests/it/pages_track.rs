//! What became of a report, its withdrawal, and the other side.

use std::time::Duration;

use spamgate::citizen::respond::RESPONSE_SEAL_INFO;
use spamgate::config::Config;
use spamgate::crypto::key_files::load_or_make;
use spamgate::domain::vocabulary::{CaseStatus, ReasonClass};
use spamgate::store::responses::find_response;

use crate::support::{Engine, Page, SmsGateway, TestApp, Visitor, on_every_engine, report, wait_until};

const REPORTER: &str = "0912345678";
const NUMBER: &str = "+84912345678";
const SENDER: &str = "0985931054";
const SENDERS_NUMBER: &str = "+84985931054";
/// Wrong digits for one receipt in a day.
const WRONG_DIGITS_PER_RECEIPT: usize = 20;
/// Looks of one address in an hour that found nothing.
const MISSES_PER_CLIENT: usize = 60;
const HOUR: Duration = Duration::from_secs(60 * 60);
const DAY: Duration = Duration::from_secs(24 * 60 * 60);
const BUILT_WITHIN: Duration = Duration::from_secs(10);

async fn spawn(engine: Engine) -> (TestApp, SmsGateway) {
    let sms = SmsGateway::start().await;
    let many = |config: &mut Config| {
        sms.use_as_kannel(config);
        config.verify.number_per_10_minutes = 100.try_into().unwrap();
        config.verify.client_per_hour = 300.try_into().unwrap();
    };
    let app = TestApp::spawn_with(engine, many).await;
    (app, sms)
}

async fn look(visitor: &Visitor<'_>, receipt: &str, digits: &str) -> Page {
    visitor.post("/track", &[("lang", "en"), ("receipt", receipt), ("digits", digits)]).await
}

/// A report that its reporter has found again: its receipt, and the page of its status.
async fn found(app: &TestApp, visitor: &Visitor<'_>, sms: &SmsGateway) -> (String, Page) {
    let receipt = visitor.report(sms, &[]).await.receipt();
    app.wait_until_built().await;
    let found = look(visitor, &receipt, "5678").await;
    (receipt, visitor.follow(found).await.expect(200))
}

on_every_engine! {
    async fn a_receipt_and_four_digits_show_what_became_of_a_report(engine: Engine) {
        let (app, sms) = spawn(engine).await;
        let visitor = Visitor::of(&app);
        let receipt = visitor.report(&sms, &[]).await.receipt();
        let found = look(&visitor, &receipt.to_lowercase(), "5678").await;
        let address = found.location.clone().unwrap();
        assert!(!address.contains(&receipt) && !address.contains("5678"), "nothing to read in an address: {address}");
        visitor.follow(found).await.expect(200);
        app.wait_until_built().await;
        assert!(visitor.get(&address).await.expect(200).html.contains("In a case, which waits"));
        let case = app.only_case().await;
        app.decide(&case.reference, CaseStatus::Upheld, ReasonClass::Violation);
        let decided = visitor.get(&address).await.expect(200);
        assert!(decided.html.contains("Decided: the reports are right."), "{}", decided.html);
    }

    async fn what_a_carrier_reported_can_be_followed_too(engine: Engine) {
        let (app, _sms) = spawn(engine).await;
        let taken = app.post(&report("r-1").with("reporter", REPORTER)).await.expect_status(201);
        let found = look(&Visitor::of(&app), taken.json["receipt"].as_str().unwrap(), "5678").await;
        Visitor::of(&app).follow(found).await.expect(200);
    }

    async fn wrong_pairs_look_alike_and_are_limited(engine: Engine) {
        let (app, sms) = spawn(engine).await;
        let visitor = Visitor::of(&app);
        let receipt = visitor.report(&sms, &[]).await.receipt();
        app.wait_until_built().await;
        let wrong = look(&visitor, &receipt, "0000").await.expect(404);
        let other = app.post(&report("r-1").with("reporter", "0912340000")).await.expect_status(201);
        let unknown = other.json["receipt"].as_str().unwrap();
        let shown = |page: &Page, receipt: &str| page.html.replace(receipt, "").replace("0000", "");
        let of_another = look(&visitor, unknown, "5678").await.expect(404);
        assert_eq!(shown(&wrong, &receipt), shown(&of_another, unknown).replace("5678", ""));
        for text in ["", "ABC", "00000000000U"] {
            look(&visitor, text, "5678").await.expect(422);
        }
        for _ in 0..30 {
            look(&visitor, &receipt, "5678").await.expect(303);
        }
        for _ in 1..WRONG_DIGITS_PER_RECEIPT {
            look(&visitor, &receipt, "0001").await.expect(404);
        }
        let closed = look(&visitor, &receipt, "5678").await.expect(404);
        assert_eq!(shown(&wrong, &receipt), shown(&closed, &receipt).replace("5678", ""), "as if it were not there");
        app.advance(DAY);
        look(&visitor, &receipt, "5678").await.expect(303);
    }

    async fn who_misses_often_comes_back_in_an_hour_and_nobody_elses_looks_are_touched(engine: Engine) {
        let (app, sms) = spawn(engine).await;
        let visitor = Visitor::of(&app);
        let receipt = visitor.report(&sms, &[]).await.receipt();
        let taken = app.post(&report("r-1").with("reporter", REPORTER)).await.expect_status(201);
        let other = taken.json["receipt"].as_str().unwrap();
        for _ in 0..MISSES_PER_CLIENT {
            look(&visitor, other, "0000").await.expect(404);
        }
        let full = look(&visitor, &receipt, "5678").await.expect(429);
        assert_eq!(full.retry_after, Some(3_600));
        app.advance(HOUR);
        look(&visitor, &receipt, "5678").await.expect(303);
    }

    async fn a_withdrawal_takes_a_code_to_the_number_and_nothing_counts_after_it(engine: Engine) {
        let (app, sms) = spawn(engine).await;
        let visitor = Visitor::of(&app);
        let (receipt, status) = found(&app, &visitor, &sms).await;
        let sealed = status.field("s");
        let ask = async |number: &str| visitor.post("/withdraw", &[("lang", "en"), ("s", &sealed), ("number", number)]).await;
        assert_eq!(ask("0912345679").await.expect(422).faults(), ["number"]);
        let asked = ask(REPORTER).await.expect(200).field("sealed");
        let confirm = async |code: &str| visitor.post("/withdraw", &[("lang", "en"), ("sealed", &asked), ("code", code)]).await;
        assert_eq!(confirm("000000").await.expect(422).faults(), ["code"]);
        assert_eq!(app.only_case().await.voices, 1);
        let code = sms.code_for(NUMBER);
        let done = confirm(&code).await;
        visitor.follow(done).await.expect(200);
        wait_until("it counts no more", BUILT_WITHIN, async || app.cases().await.is_empty()).await;
        look(&visitor, &receipt, "5678").await.expect(404);
        assert_eq!(confirm(&code).await.expect(303).location.as_deref(), Some("/withdrawn?lang=en"), "the other of two clicks");
    }

    async fn a_withdrawal_that_cannot_be_stored_keeps_its_proof(engine: Engine) {
        let (app, sms) = spawn(engine).await;
        let visitor = Visitor::of(&app);
        let (_, status) = found(&app, &visitor, &sms).await;
        let asked = visitor.post("/withdraw", &[("s", &status.field("s")), ("number", REPORTER)]).await.expect(200);
        app.stop_storing();
        let code = sms.code_for(NUMBER);
        let again = visitor.post("/withdraw", &[("sealed", &asked.field("sealed")), ("code", &code)]).await.expect(503);
        assert!(again.html.contains("action=\"/withdraw\"") && !again.html.contains("name=\"code\""));
        visitor.post("/withdraw", &[("sealed", &again.field("sealed"))]).await.expect(503);
        let as_a_report = [("sealed", &*again.field("sealed")), ("code", "000000")];
        visitor.post("/verify", &as_a_report).await.expect(400);
    }

    async fn who_holds_a_reported_number_sees_how_many_and_answers_once(engine: Engine) {
        let (app, sms) = spawn(engine).await;
        let visitor = Visitor::of(&app);
        for reporter in [REPORTER, "0912345679"] {
            visitor.report(&sms, &[("reporter", reporter), ("content", "Noi dung rieng")]).await;
        }
        app.wait_until_built().await;
        let prove = async |number: &str, e164: &str| {
            let asked = visitor.post("/respond", &[("lang", "en"), ("number", number)]).await.expect(200);
            let code = sms.code_for(e164);
            let proven = visitor.post("/respond", &[("lang", "en"), ("sealed", &asked.field("sealed")), ("code", &code)]).await;
            visitor.follow(proven).await.expect(200)
        };
        let others = prove(REPORTER, NUMBER).await;
        assert!(others.html.contains("There is no case about"), "{}", others.html);
        let shown = prove(SENDER, SENDERS_NUMBER).await;
        assert!(shown.html.contains("<dd>2</dd>"), "{}", shown.html);
        for hidden in ["Noi dung rieng", "0912 345 678", "912345679"] {
            assert!(!shown.html.contains(hidden), "{hidden}");
        }
        let (sealed, case) = (shown.field("s"), shown.field("case"));
        let answer = async |case: &str, text: &str| {
            visitor.post("/response", &[("lang", "en"), ("s", &sealed), ("case", case), ("response", text)]).await
        };
        answer(&case, "").await.expect(422);
        answer(&case, &"x".repeat(2_001)).await.expect(422);
        assert_eq!(answer("999", "Not mine").await.expect(303).location.as_deref(), Some("/respond?lang=en"));
        let stored = answer(&case, "It was not me").await;
        let stored = visitor.follow(stored).await.expect(200);
        assert!(stored.html.contains("Your answer stands in the case") && !stored.html.contains("It was not me"));
        let second = answer(&case, "Something else").await.expect(303);
        assert!(!second.location.unwrap().contains("stored=yes"), "it is not said to stand there");
        let reference = app.only_case().await.reference;
        let (id, body, _) = find_response(&mut app.connection(), &reference).unwrap().unwrap();
        let keys = load_or_make(&app.keys(), &[], true).unwrap();
        let authority = keys.authority_private.unwrap();
        assert_eq!(authority.open_text(RESPONSE_SEAL_INFO, &id, &body).unwrap(), "It was not me");
    }
}
