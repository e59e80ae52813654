//! Proof that a number is its reporter's: a code that was sent to it, or an SMS that came from it.

use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderValue};
use actix_web::web::{Data, Payload};
use actix_web::{HttpRequest, HttpResponse};

use super::draft::{Draft, Fault, number_in_words, sender_in_words, to_words};
use super::form::show;
use super::pages::{AgainPage, BySmsPage, CodePage, render};
use super::receipt::ReceiptTold;
use super::track::code_fault;
use super::{Visit, finish, text_id};
use crate::crypto::page_seal::{NotOpened, Sealed};
use crate::domain::msisdn::Msisdn;
use crate::domain::report::WEB_OWNER;
use crate::domain::submission::Submission;
use crate::domain::vocabulary::{Category, Proof, Source};
use crate::http::app::App;
use crate::http::page::page;
use crate::http::problem::Problem;
use crate::intake::accept::{Accepted, Refused, Sender, Vouched};
use crate::intake::by_sms::words_of;
use crate::store::reports::{LookUp, find_report};
use crate::verify::{AskedCode, CodeFault, NotSent, Purpose};

/// How often it is looked whether a report is there whose code was used: the other of two clicks stores it just now.
const TWIN_LOOKS: usize = 5;
/// Seconds after which a report that could not be stored may be sent again.
const STORE_RETRY_AFTER: HeaderValue = HeaderValue::from_static("5");
const TWIN_LOOK_EVERY: std::time::Duration = std::time::Duration::from_millis(200);

/// Sends the code, and answers with the page that asks for it.
///
/// # Errors
/// Faults of ours.
pub async fn ask(visit: &Visit<'_>, draft: &Draft, reporter: Msisdn) -> Result<HttpResponse, Problem> {
    let asked = AskedCode {
        number: reporter,
        purpose: Purpose::Report,
        client: visit.client,
        language: visit.language(),
        has_worked: draft.has_worked,
    };
    match visit.app.verifier.send_code(&asked).await {
        Ok(_sent) => code_page(visit, StatusCode::OK, draft, None, true),
        Err(NotSent::NotAMobile) => {
            let fault = Fault { field: "reporter", text: text_id("error-number-not-mobile") };
            show(visit, StatusCode::UNPROCESSABLE_ENTITY, draft, &[fault])
        }
        Err(NotSent::Full { retry_after_s }) => {
            by_sms_page(visit, StatusCode::TOO_MANY_REQUESTS, draft, reporter, false, visit.duration(retry_after_s))
        }
        Err(NotSent::Unavailable { retry_after_s }) => {
            Ok(visit.come_back(StatusCode::SERVICE_UNAVAILABLE, text_id("code-unavailable"), retry_after_s))
        }
    }
}

/// Handles `POST /verify`.
pub async fn post_verify(request: HttpRequest, mut body: Payload, app: Data<App>) -> HttpResponse {
    let outcome = async {
        let visit = Visit::of_sender(&request, &mut body, &app).await?;
        verify(&visit).await
    };
    let outcome = outcome.await;
    finish(outcome, &request, body, &app)
}

async fn verify(visit: &Visit<'_>) -> Result<HttpResponse, Problem> {
    let sealed = visit.value("sealed");
    if let Ok(draft) = Draft::open(visit, Sealed::Proven, sealed) {
        return store(visit, &draft).await;
    }
    let draft = match Draft::open(visit, Sealed::Draft, sealed) {
        Ok(draft) => draft,
        Err(NotOpened::Expired) => {
            let (title, text) = (visit.t.of("draft-expired-title"), visit.t.of("draft-expired"));
            return Ok(visit.message(StatusCode::GONE, title, text));
        }
        Err(NotOpened::Forged) => return Err(Problem::bad_request()),
    };
    let Ok(submission) = draft.read(&visit.app.region, visit.now) else {
        // It could be read when it was sealed; meanwhile it has become too old.
        return show(
            visit,
            StatusCode::UNPROCESSABLE_ENTITY,
            &draft,
            &draft.read(&visit.app.region, visit.now).err().unwrap_or_default(),
        );
    };
    let reporter = submission.reporter;
    match visit.value("action") {
        "change" => show(visit, StatusCode::OK, &draft, &[]),
        "again" => ask(visit, &draft, reporter).await,
        "by_sms" => {
            match visit.app.intake.find_word_of(reporter, &words_of(&visit.app.intake.keys, &draft.token)).await {
                Ok(true) => store(visit, &draft).await,
                Ok(false) => by_sms_page(visit, StatusCode::OK, &draft, reporter, true, String::new()),
                Err(_) => Ok(visit.come_back(StatusCode::SERVICE_UNAVAILABLE, text_id("code-unavailable"), 60)),
            }
        }
        _ => check(visit, &draft, reporter, submission.category).await,
    }
}

async fn check(
    visit: &Visit<'_>,
    draft: &Draft,
    reporter: Msisdn,
    category: Category,
) -> Result<HttpResponse, Problem> {
    let ask_again = |text| code_page(visit, StatusCode::UNPROCESSABLE_ENTITY, draft, Some(text), false);
    let code: String = visit.value("code").chars().filter(char::is_ascii_digit).collect();
    match visit.app.verifier.check_code(reporter, Purpose::Report, &code).await {
        Ok(()) => store(visit, draft).await,
        Err(CodeFault::Expired) => match find_stored(visit, draft).await? {
            Some(accepted) => ReceiptTold::of(visit, &accepted, category, draft.money_lost).redirect(visit),
            None => code_fault(visit, CodeFault::Expired, ask_again),
        },
        Err(fault) => code_fault(visit, fault, ask_again),
    }
}

/// The report of this form, if it is there: its number was proven then, and the code was used for it. Nothing is stored by
/// it, whatever the draft says.
async fn find_stored(visit: &Visit<'_>, draft: &Draft) -> Result<Option<Accepted>, Problem> {
    let id = visit.app.intake.keys.report_id(WEB_OWNER, &draft.token);
    for look in 0..TWIN_LOOKS {
        if look > 0 {
            tokio::time::sleep(TWIN_LOOK_EVERY).await;
        }
        let found = visit.app.reads.run(move |connection| find_report(connection, id, WEB_OWNER.as_bytes())).await?;
        if let LookUp::Found(report) = found {
            let (receipt, received_at) = (id.receipt().to_string(), Some(report.received_at));
            return Ok(Some(Accepted { id, receipt, received_at, repeat: false }));
        }
    }
    Ok(None)
}

/// Stores a report whose number is proven.
async fn store(visit: &Visit<'_>, draft: &Draft) -> Result<HttpResponse, Problem> {
    let submission = match draft.read(&visit.app.region, visit.now) {
        Ok(submission) => submission,
        Err(faults) => return show(visit, StatusCode::UNPROCESSABLE_ENTITY, draft, &faults),
    };
    let from = Sender { owner: WEB_OWNER, vouched: Vouched::Proven(Proof::Otp), source: Source::Web };
    let (category, money_lost) = (submission.category, draft.money_lost);
    match visit.app.intake.accept(&from, submission).await {
        Ok(accepted) => ReceiptTold::of(visit, &accepted, category, money_lost).redirect(visit),
        Err(Refused::ReporterOverQuota { retry_after_s }) => {
            Ok(visit.come_back(StatusCode::TOO_MANY_REQUESTS, text_id("report-over-quota"), retry_after_s))
        }
        // Sent, changed by going back, and sent again.
        Err(Refused::IdReused) => {
            let (title, text) = (visit.t.of("already-title"), visit.t.of("already"));
            Ok(visit.message(StatusCode::CONFLICT, title, text))
        }
        Err(Refused::Unavailable(_)) => {
            // The code is used up; the proof is kept for another try.
            let sealed = draft.seal(visit, Sealed::Proven)?;
            let again = AgainPage { t: visit.t, here: "", sealed: &sealed };
            let mut response = page(StatusCode::SERVICE_UNAVAILABLE, render(&again));
            response.headers_mut().insert(header::RETRY_AFTER, STORE_RETRY_AFTER);
            Ok(response)
        }
        Err(refused) => Err(refused.into()),
    }
}

fn code_page(
    visit: &Visit<'_>,
    status: StatusCode,
    draft: &Draft,
    fault: Option<String>,
    was_sent: bool,
) -> Result<HttpResponse, Problem> {
    let sealed = draft.seal(visit, Sealed::Draft)?;
    let Ok(submission) = draft.read(&visit.app.region, visit.now) else { return Err(Problem::bad_request()) };
    let code = CodePage {
        t: visit.t,
        here: "",
        action: "/verify",
        sealed: &sealed,
        understood: understood(visit, draft, &submission),
        number: number_in_words(visit, submission.reporter.e164().as_str()).into_owned(),
        fault,
        was_sent,
        can_change: true,
    };
    Ok(page(status, render(&code)))
}

fn by_sms_page(
    visit: &Visit<'_>,
    status: StatusCode,
    draft: &Draft,
    reporter: Msisdn,
    is_missing: bool,
    again_in: String,
) -> Result<HttpResponse, Problem> {
    let sealed = draft.seal(visit, Sealed::Draft)?;
    let by_sms = BySmsPage {
        t: visit.t,
        here: "",
        sealed: &sealed,
        number: number_in_words(visit, reporter.e164().as_str()).into_owned(),
        words: &words_of(&visit.app.intake.keys, &draft.token),
        sms_number: &visit.app.citizen.settings.sms_number,
        is_missing,
        again_in,
    };
    Ok(page(status, render(&by_sms)))
}

/// What was typed, as it was understood.
fn understood(visit: &Visit<'_>, draft: &Draft, submission: &Submission) -> Vec<(String, String)> {
    let t = visit.t;
    let mut facts = vec![
        (t.of("label-sender"), sender_in_words(visit, &submission.sender)),
        (t.of("label-channel"), t.of(&format!("channel-{}", submission.channel.as_str()))),
        (t.of("label-category"), t.of(&format!("category-{}", submission.category.as_str()))),
    ];
    if let Some(harm) = submission.harm {
        facts.push((t.of("label-harm"), t.of(&format!("harm-{}", harm.as_str()))));
    }
    if let Some(content) = &submission.content {
        facts.push((t.of("label-content"), content.shown().to_owned()));
    }
    for link in draft.links() {
        facts.push((t.of("label-link"), link));
    }
    facts.push((t.of("label-occurred-at"), to_words(submission.occurred_at, visit.app.region.utc_offset_minutes)));
    if submission.money_lost == Some(true) {
        facts.push((t.of("label-money"), t.of("yes")));
    }
    facts
}
