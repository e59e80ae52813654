//! `/evidence`: files for a report that was taken, from the page of its receipt.

use std::time::Duration;

use actix_web::http::{ConnectionType, StatusCode};
use actix_web::web::{Data, Payload};
use actix_web::{HttpRequest, HttpResponse};

use super::receipt::{ReceiptTold, open_told};
use super::{Visit, finish, of_client, text_id, tries};
use crate::domain::evidence::{Evidence, EvidenceError, FILE_MAX_BYTES, FILES_MAX};
use crate::domain::report::{ReportId, WEB_OWNER};
use crate::http::app::App;
use crate::http::body::keep_unread;
use crate::http::multipart::{FileLimits, read_files};
use crate::http::page::see_other;
use crate::http::problem::Problem;
use crate::store::evidence::{EvidenceAdded, EvidenceRow, add_evidence};

/// What a file is sealed for: the `info` of HPKE.
pub const EVIDENCE_SEAL_INFO: &[u8] = b"spamgate v1 evidence";
/// Forms with files that are read at once; each may take as much memory as its files.
pub const UPLOADS_MAX: usize = 8;
/// The same, of those from one address, and from one site. Many phones of an operator may share an address.
const UPLOADS_PER_CLIENT: usize = 2;
const UPLOADS_PER_SITE: usize = 4;
/// Forms with files for one report in a day.
const UPLOADS_PER_REPORT: u32 = 12;
/// When to come back while as many are read, seconds.
const UPLOADS_RETRY_S: u64 = 10;
/// Bytes of all files of a form, also of those that are too large or too many.
const FORM_MAX_BYTES: usize = 2 * FILES_MAX * FILE_MAX_BYTES;
/// How long the files of one form may take: 15 MB by a line of 1 Mbit/s.
const UPLOAD_TIMEOUT: Duration = Duration::from_secs(120);
/// How long a form may stand still.
const UPLOAD_PIECE_TIMEOUT: Duration = Duration::from_secs(10);
const FILE_LIMITS: FileLimits = FileLimits {
    files_max: FILES_MAX,
    file_max_bytes: FILE_MAX_BYTES,
    form_max_bytes: FORM_MAX_BYTES,
    timeout: UPLOAD_TIMEOUT,
    piece_timeout: UPLOAD_PIECE_TIMEOUT,
};

/// Handles `POST /evidence`.
pub async fn post_evidence(request: HttpRequest, body: Payload, app: Data<App>) -> HttpResponse {
    let mut unread = Some(body);
    let outcome = take(&request, &mut unread, &app).await;
    let is_whole = outcome.is_ok() && unread.is_none();
    let mut response = finish(outcome, &request, (), &app);
    if !is_whole {
        // What is not read of the files is not read: the connection ends.
        response.head_mut().set_connection_type(ConnectionType::Close);
    }
    match unread {
        Some(unread) => keep_unread(response, unread),
        None => response,
    }
}

/// The address names the receipt, so that nothing is read of who has none.
async fn take(request: &HttpRequest, unread: &mut Option<Payload>, app: &App) -> Result<HttpResponse, Problem> {
    let visit = Visit::of_reader(request, app)?;
    let sealed = visit.value("r");
    let Some(told) = open_told(&visit, sealed) else {
        return Ok(see_other(&format!("/track?lang={}", visit.t.code())));
    };
    let [client, site] = of_client(visit.client, UPLOADS_PER_CLIENT, UPLOADS_PER_SITE);
    let Some(_turn) = app.citizen.uploads.take(&[(told.id.clone().into_bytes(), 1), client, site]) else {
        return Ok(visit.come_back(StatusCode::SERVICE_UNAVAILABLE, text_id("evidence-busy"), UPLOADS_RETRY_S));
    };
    let of_day = tries::limit(&visit, "upload", told.id.as_bytes(), UPLOADS_PER_REPORT, tries::DAY_S);
    if let Err(why) = tries::take(&visit, &[of_day]).await {
        return Ok(tries::come_back(&visit, why));
    }
    let Some(body) = unread.take() else { return Err(Problem::internal()) };
    let form = read_files(request, body, FILE_LIMITS).await?;
    let back = |outcome: &str| see_other(&format!("/receipt?lang={}&r={sealed}&{outcome}", visit.t.code()));
    let (mut kept, mut fault) = (0_usize, form.has_more.then_some("too-many"));
    if form.has_too_large {
        fault = Some("too-large");
    }
    if form.files.is_empty() && fault.is_none() {
        fault = Some("none");
    }
    for bytes in form.files {
        match keep(&visit, &told, bytes).await {
            Ok(Ok(())) => kept += 1,
            Ok(Err(reason)) => fault = Some(reason),
            Err(problem) if kept == 0 => return Err(problem),
            // Some are there, and the same file is kept once: all may be sent again.
            Err(_) => {
                fault = Some("not-all");
                break;
            }
        }
    }
    Ok(back(&match fault {
        Some(fault) => format!("kept={kept}&fault={fault}"),
        None => format!("kept={kept}"),
    }))
}

/// Keeps one file, or says why not.
async fn keep(visit: &Visit<'_>, told: &ReceiptTold, bytes: Vec<u8>) -> Result<Result<(), &'static str>, Problem> {
    let Some(id) = ReportId::parse(&told.id) else { return Err(Problem::bad_request()) };
    let evidence = match Evidence::read(bytes) {
        Ok(evidence) => evidence,
        Err(EvidenceError::TooLarge) => return Ok(Err("too-large")),
        Err(EvidenceError::Empty | EvidenceError::UnknownKind) => return Ok(Err("kind")),
    };
    let keys = &visit.app.intake.keys;
    let content_tag = keys.citizen_tag::<16>("evidence", &[id.as_bytes(), &evidence.bytes]);
    let aad = [id.as_bytes().as_slice(), &content_tag].concat();
    let body = visit.app.authority.seal_bytes(EVIDENCE_SEAL_INFO, &aad, &evidence.bytes);
    let row = EvidenceRow {
        report_id: id.as_bytes().to_vec(),
        place: 0,
        kind: evidence.kind.as_str().to_owned(),
        content_tag: content_tag.to_vec(),
        body: body.map_err(|error| Problem::unsealed(&error))?,
        received_at: visit.now.0,
    };
    let places = i32::try_from(FILES_MAX).unwrap_or(1);
    let added = visit.app.answers.run(move |connection| add_evidence(connection, id, WEB_OWNER, row, places)).await?;
    Ok(match added {
        EvidenceAdded::Kept => Ok(()),
        EvidenceAdded::TooMany => Err("too-many"),
        EvidenceAdded::Gone => Err("gone"),
        EvidenceAdded::TooFarBehind => return Err(Problem::builder_behind()),
    })
}

/// The id of the message for a fault in the address of a receipt's page.
#[must_use]
pub fn fault_text(fault: &str) -> Option<&'static str> {
    Some(match fault {
        "none" => text_id("evidence-none"),
        "kind" => text_id("evidence-kind"),
        "too-large" => text_id("evidence-too-large"),
        "too-many" => text_id("evidence-too-many"),
        "not-all" => text_id("evidence-not-all"),
        "gone" => text_id("evidence-gone"),
        _ => return None,
    })
}

/// The status of the page that shows a fault.
#[must_use]
pub const fn status_of(has_fault: bool) -> StatusCode {
    if has_fault { StatusCode::UNPROCESSABLE_ENTITY } else { StatusCode::OK }
}
