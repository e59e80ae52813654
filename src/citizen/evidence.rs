//! `/evidence`: files for a report that was taken, from the page of its receipt.

use std::time::Duration;

use actix_web::http::StatusCode;
use actix_web::web::{Data, Payload};
use actix_web::{HttpRequest, HttpResponse};

use super::receipt::{ReceiptTold, open_told};
use super::{Visit, finish, text_id};
use crate::domain::evidence::{Evidence, EvidenceError, FILE_MAX_BYTES, FILES_MAX};
use crate::domain::report::{ReportId, WEB_OWNER};
use crate::domain::vocabulary::ReportStatus;
use crate::http::app::App;
use crate::http::multipart::{FileLimits, read_files};
use crate::http::page::see_other;
use crate::http::problem::Problem;
use crate::store::evidence::{EvidenceAdded, EvidenceRow, insert_evidence};
use crate::store::reports::{LookUp, find_report};

/// What a file is sealed for: the `info` of HPKE.
pub const EVIDENCE_SEAL_INFO: &[u8] = b"spamgate v1 evidence";
/// Forms with files that are read at once; each may take as much memory as its files.
pub const UPLOADS_MAX: usize = 4;
/// How long the files of one form may take: 15 MB by a line of 1 Mbit/s.
const UPLOAD_TIMEOUT: Duration = Duration::from_secs(120);

/// Handles `POST /evidence`.
pub async fn post_evidence(request: HttpRequest, body: Payload, app: Data<App>) -> HttpResponse {
    let outcome = take(&request, body, &app).await;
    match outcome {
        Ok(response) => response,
        // What is not read of the files is not read: the connection ends.
        Err(problem) => {
            let mut response = finish(Err(problem), &request, (), &app);
            response.head_mut().set_connection_type(actix_web::http::ConnectionType::Close);
            response
        }
    }
}

async fn take(request: &HttpRequest, body: Payload, app: &App) -> Result<HttpResponse, Problem> {
    let Ok(_turn) = app.citizen.uploads.try_acquire() else { return Err(Problem::busy()) };
    let limits = FileLimits { files_max: FILES_MAX, file_max_bytes: FILE_MAX_BYTES, timeout: UPLOAD_TIMEOUT };
    let form = read_files(request, body, limits).await?;
    let visit = Visit::of_language(request, app, form.text("lang"));
    let sealed = form.text("r").to_owned();
    let Some(told) = open_told(&visit, &sealed) else {
        return Ok(see_other(&format!("/track?lang={}", visit.t.code())));
    };
    let back = |outcome: &str| see_other(&format!("/receipt?lang={}&r={sealed}&{outcome}", visit.t.code()));
    let (mut kept, mut fault) = (0_usize, form.has_more.then_some("too-many"));
    if form.files.is_empty() {
        fault = Some("none");
    }
    for bytes in form.files {
        match keep(&visit, &told, bytes).await? {
            Ok(()) => kept += 1,
            Err(reason) => fault = Some(reason),
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
    let added = visit
        .app
        .answers
        .run(move |connection| {
            // What was taken back gets nothing more.
            let found = find_report(connection, id, WEB_OWNER.as_bytes())?;
            match found {
                LookUp::Found(report) if report.status != ReportStatus::Withdrawn => {
                    Ok(Some(insert_evidence(connection, row, places)?))
                }
                LookUp::Found(_) | LookUp::NotFound | LookUp::TooFarBehind => Ok(None),
            }
        })
        .await?;
    Ok(match added {
        Some(EvidenceAdded::Kept) => Ok(()),
        Some(EvidenceAdded::TooMany) => Err("too-many"),
        None => Err("gone"),
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
        "gone" => text_id("evidence-gone"),
        _ => return None,
    })
}

/// The status of the page that shows a fault.
#[must_use]
pub const fn status_of(has_fault: bool) -> StatusCode {
    if has_fault { StatusCode::UNPROCESSABLE_ENTITY } else { StatusCode::OK }
}
