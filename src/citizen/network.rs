//! `/network`: proof of a number by the mobile network its phone is on, in place of a code.
//!
//! ```text
//!  GET /network       the draft goes into a cookie of ten minutes ──► 303 to the operator, which sees its own phone
//!  GET /network/back  the operator's code, the same browser, its draft ──► the number is the phone's ──► stored
//! ```
//!
//! The operator asks its phone nothing. So whoever could have another's browser go this way with a draft of theirs would
//! report in that other's name: only a draft that was sealed for the browser's own cookie goes, and only the browser that
//! went comes back.

use actix_web::web::{Data, Payload};
use actix_web::{HttpRequest, HttpResponse};

use super::draft::Draft;
use super::proof::{find_stored, not_opened, read_or_show, store, to_code};
use super::receipt::ReceiptTold;
use super::said::Said;
use super::{Visit, finish, holder, tries};
use crate::crypto::page_seal::{NotOpened, Sealed};
use crate::crypto::to_hex;
use crate::http::app::App;
use crate::http::page::see_other;
use crate::http::problem::Problem;
use crate::http::texts::{Texts, language_of};
use crate::verify::NetworkFault;

/// Carries the language and the sealed draft to the operator and back, past the operator. Its name ends in what the operator
/// sends back, so that two pages may go at once.
const COOKIE: &str = "__Host-draft-";
/// How long the operator may take, seconds.
const COOKIE_KEPT_S: u32 = 10 * 60;
/// The longest draft that a cookie takes. Browsers have 4,096 bytes for a cookie, and a request has not many more for all.
const DRAFT_MAX_BYTES: usize = 3_000;
/// Pages that go at once; with more, those before are given up.
const COOKIES_MAX: usize = 3;
/// How often an address may come back in an hour with what proves nothing. Many phones of an operator share an address.
const MISSES_PER_CLIENT: u32 = 200;

/// Where the page of this sealed draft leads to the operator; none where it cannot.
#[must_use]
pub fn address(visit: &Visit<'_>, sealed: &str) -> Option<String> {
    let is_offered = visit.app.verifier.is_on_a_network() && visit.holder.is_some() && sealed.len() <= DRAFT_MAX_BYTES;
    is_offered.then(|| format!("/network?lang={}&s={sealed}", visit.t.code()))
}

/// Handles `GET /network`.
pub async fn get_network(request: HttpRequest, body: Payload, app: Data<App>) -> HttpResponse {
    let outcome = Visit::of_reader(&request, &app).and_then(|visit| {
        let sealed = visit.value("s");
        if let Err(why) = visit.open_held::<Draft>(Sealed::Draft, sealed) {
            return Ok(not_opened(&visit, why));
        }
        let state = state_of(&visit, sealed);
        let operator = visit.app.verifier.network_address(&state, &proof_key_of(&visit, sealed));
        let Some(operator) = operator.filter(|_| sealed.len() <= DRAFT_MAX_BYTES) else {
            return Err(Problem::bad_request());
        };
        let mut response = see_other(&operator);
        let before = holder::names_of(&request, COOKIE);
        if before.len() >= COOKIES_MAX {
            before.iter().for_each(|name| holder::set(&mut response, name, "", 0));
        }
        let carried = format!("{}.{sealed}", visit.t.code());
        holder::set(&mut response, &format!("{COOKIE}{state}"), &carried, COOKIE_KEPT_S);
        Ok(response)
    });
    finish(outcome, &request, body, &app)
}

/// Handles `GET /network/back`.
pub async fn get_network_back(request: HttpRequest, body: Payload, app: Data<App>) -> HttpResponse {
    let outcome = async {
        let mut visit = Visit::of_reader(&request, &app)?;
        let name = format!("{COOKIE}{}", visit.value("state"));
        let carried = holder::cookie(&request, &name).and_then(|carried| carried.split_once('.'));
        let Some((lang, sealed)) = carried else { return Ok(not_opened(&visit, NotOpened::Expired)) };
        visit.t = Texts::of_language(language_of(&request, Some(lang)));
        if visit.value("state") != state_of(&visit, sealed) {
            return Err(Problem::bad_request());
        }
        let mut response = come_back(&visit, sealed).await?;
        holder::set(&mut response, &name, "", 0);
        Ok(response)
    };
    let outcome = outcome.await;
    finish(outcome, &request, body, &app)
}

async fn come_back(visit: &Visit<'_>, sealed: &str) -> Result<HttpResponse, Problem> {
    let draft = match visit.open_held::<Draft>(Sealed::Draft, sealed) {
        Ok(draft) => draft,
        Err(why) => return Ok(not_opened(visit, why)),
    };
    let submission = match read_or_show(visit, &draft)? {
        Ok(submission) => submission,
        Err(response) => return Ok(response),
    };
    let misses = tries::limits_of_client(visit, "network", MISSES_PER_CLIENT, tries::HOUR_S);
    if tries::take(visit, &misses).await.is_err() {
        return to_code(visit, &draft, Said::Later);
    }
    let (code, proof_key) = (visit.value("code"), proof_key_of(visit, sealed));
    match visit.app.verifier.verify_by_network(submission.reporter, code, &proof_key).await {
        Ok(true) => {
            tries::give_back(visit, &misses).await;
            store(visit, &Draft { by_network: true, ..draft }).await
        }
        Err(NetworkFault::Unavailable { .. }) => to_code(visit, &draft, Said::Later),
        Ok(false) | Err(NetworkFault::NotByNetwork | NetworkFault::Off) => match find_stored(visit, &draft).await? {
            // Asked a second time: the page was loaded again, or an answer was lost.
            Some(accepted) => ReceiptTold::of(visit, &accepted, submission.category, draft.money_lost).redirect(visit),
            None => to_code(visit, &draft, Said::NotByNetwork),
        },
    }
}

/// What the operator sends back: only the browser that has this draft has a draft that fits.
fn state_of(visit: &Visit<'_>, sealed: &str) -> String {
    to_hex(&visit.app.intake.keys.citizen_tag::<16>("network, state", &[sealed.as_bytes()]))
}

/// What only we know until the operator's code comes back (PKCE).
fn proof_key_of(visit: &Visit<'_>, sealed: &str) -> String {
    to_hex(&visit.app.intake.keys.citizen_tag::<32>("network, proof key", &[sealed.as_bytes()]))
}
