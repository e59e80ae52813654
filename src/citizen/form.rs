//! `/`: the form.

use std::time::Duration;

use actix_web::http::StatusCode;
use actix_web::web::{Data, Payload};
use actix_web::{HttpRequest, HttpResponse};

use super::draft::{Draft, Fault, to_local};
use super::pages::{ClosedPage, FormPage, render};
use super::{Visit, finish, holder, proof, text_id, work};
use crate::crypto::page_seal::Sealed;
use crate::crypto::to_hex;
use crate::http::app::App;
use crate::http::page::page;
use crate::http::problem::Problem;

/// How long a form may lie open before it is sent, seconds.
pub const FORM_LIFE_S: u32 = 4 * 60 * 60;
/// Names a form.
const TOKEN_BYTES: usize = 16;
/// A field that people do not see and programs fill in.
const TRAP: &str = "website";

/// Handles `GET /`.
pub async fn get_form(request: HttpRequest, body: Payload, app: Data<App>) -> HttpResponse {
    let outcome = Visit::of_reader(&request, &app).and_then(|visit| {
        if let Ok(draft) = visit.open_held::<Draft>(Sealed::Typed, visit.value("s")) {
            // What is wrong with it can be read from it; what only a sender of codes says, the address says.
            let mut faults = draft.read(&app.region, visit.now).err().unwrap_or_default();
            let said = Fault::of_address(&visit);
            faults.extend(said.filter(|said| faults.iter().all(|fault| fault.field != said.field)));
            return page_of(&visit, StatusCode::OK, &draft, &faults);
        }
        let now = to_local(visit.now, app.region.utc_offset_minutes);
        let mut response = page_of(&visit, StatusCode::OK, &Draft { occurred_at: now, ..Draft::default() }, &[])?;
        holder::give(&mut response, visit.holder);
        Ok(response)
    });
    finish(outcome, &request, body, &app)
}

/// Handles `POST /`: a code goes out, or what has to be mended is said.
pub async fn post_form(request: HttpRequest, mut body: Payload, app: Data<App>) -> HttpResponse {
    let outcome = async {
        let visit = Visit::of_sender(&request, &mut body, &app).await?;
        take(&visit).await
    };
    let outcome = outcome.await;
    finish(outcome, &request, body, &app)
}

async fn take(visit: &Visit<'_>) -> Result<HttpResponse, Problem> {
    if !visit.app.verifier.is_on() {
        return page_of(visit, StatusCode::SERVICE_UNAVAILABLE, &Draft::default(), &[]);
    }
    if !visit.value(TRAP).is_empty() {
        return Err(Problem::bad_request());
    }
    let opened = visit.app.intake.keys.pages().open(Sealed::Form, b"", visit.value("token"), visit.now);
    let Ok(token) = opened else {
        let fault = Fault { field: "", text: text_id("error-form-expired") };
        return show(visit, StatusCode::UNPROCESSABLE_ENTITY, &Draft::of_form(visit, String::new(), false), &[fault]);
    };
    let token = to_hex(&token);
    let mut draft = Draft::of_form(visit, token, false);
    match draft.read(&visit.app.region, visit.now) {
        Ok(submission) => {
            draft.has_worked = work::is_done(visit, &draft.token).await;
            proof::ask(visit, &draft, submission.reporter).await
        }
        Err(faults) => show(visit, StatusCode::UNPROCESSABLE_ENTITY, &draft, &faults),
    }
}

/// The form with what was typed, and what has to be mended: at an address where that can be.
///
/// # Errors
/// When the system gives no random bytes.
pub fn show(visit: &Visit<'_>, status: StatusCode, draft: &Draft, faults: &[Fault]) -> Result<HttpResponse, Problem> {
    let said = faults.iter().find_map(Fault::word).map(|word| format!("said={word}&")).unwrap_or_default();
    match visit.go("/", &format!("{said}s={}", draft.seal(visit, Sealed::Typed)?)) {
        Some(redirect) => Ok(redirect),
        None => page_of(visit, status, draft, faults),
    }
}

fn page_of(visit: &Visit<'_>, status: StatusCode, draft: &Draft, faults: &[Fault]) -> Result<HttpResponse, Problem> {
    let settings = &visit.app.citizen.settings;
    let (t, here, hotlines, sms_number) = (visit.t, "/", settings.hotlines.as_slice(), settings.sms_number.as_str());
    if !visit.app.verifier.is_on() {
        return Ok(page(status, render(&ClosedPage { t, here, hotlines, sms_number })));
    }
    let mut token = [0; TOKEN_BYTES];
    getrandom::fill(&mut token).map_err(|_| Problem::internal())?;
    let until = visit.after(Duration::from_secs(FORM_LIFE_S.into()));
    let sealed = visit.app.intake.keys.pages().seal(Sealed::Form, b"", until, &token);
    let sealed = sealed.map_err(|error| Problem::unsealed(&error))?;
    let offered = if draft.sender.is_empty() { draft.offered(visit.app.region.home) } else { Vec::new() };
    let form = FormPage {
        t,
        here,
        draft,
        token: &sealed,
        faults,
        offered,
        hotlines,
        work: work::challenge(visit, &to_hex(&token)),
        sms_number,
    };
    Ok(page(status, render(&form)))
}
