//! `/evidence`: files for a report that was taken, from the page of its receipt.

use std::net::IpAddr;
use std::time::Duration;

use actix_web::http::{ConnectionType, StatusCode};
use actix_web::web::{Data, Payload};
use actix_web::{HttpRequest, HttpResponse};

use super::receipt::{ReceiptTold, open_told};
use super::{Visit, finish, text_id};
use crate::domain::evidence::{Evidence, EvidenceError, FILE_MAX_BYTES, FILES_MAX};
use crate::domain::network::customer_of;
use crate::domain::report::{ReportId, WEB_OWNER};
use crate::http::app::App;
use crate::http::body::keep_unread;
use crate::http::multipart::{FileLimits, read_files};
use crate::http::page::see_other;
use crate::http::problem::Problem;
use crate::http::shares::{Share, Shares};
use crate::store::evidence::{EvidenceAdded, EvidenceRow, add_evidence};

/// What a file is sealed for: the `info` of HPKE.
pub const EVIDENCE_SEAL_INFO: &[u8] = b"spamgate v1 evidence";
/// Forms with files that are read at once; each may take as much memory as its files.
const UPLOADS_MAX: usize = 8;
/// The same, of those from one address. Many phones of an operator may share an address.
const UPLOADS_PER_CLIENT: usize = 2;
/// When to come back while as many are read, seconds.
const UPLOADS_RETRY_S: u64 = 10;
/// How long the files of one form may take: 15 MB by a line of 1 Mbit/s.
const UPLOAD_TIMEOUT: Duration = Duration::from_secs(120);
/// How long a form may stand still.
const UPLOAD_PIECE_TIMEOUT: Duration = Duration::from_secs(10);
const FILE_LIMITS: FileLimits = FileLimits {
    files_max: FILES_MAX,
    file_max_bytes: FILE_MAX_BYTES,
    timeout: UPLOAD_TIMEOUT,
    piece_timeout: UPLOAD_PIECE_TIMEOUT,
};

/// Turns to send files: one of a report's reader at a time, few of an address.
pub struct Uploads {
    of_reports: Shares,
    of_clients: Shares,
}

impl Default for Uploads {
    fn default() -> Self {
        Self { of_reports: Shares::new(UPLOADS_MAX, 1), of_clients: Shares::new(UPLOADS_MAX, UPLOADS_PER_CLIENT) }
    }
}

impl Uploads {
    fn take(&self, report: &str, client: IpAddr) -> Option<(Share, Share)> {
        Some((self.of_reports.take(report.as_bytes())?, self.of_clients.take(&customer_of(client))?))
    }
}

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
    let Some(_turn) = app.citizen.uploads.take(&told.id, visit.client) else {
        return Ok(visit.come_back(StatusCode::SERVICE_UNAVAILABLE, text_id("evidence-busy"), UPLOADS_RETRY_S));
    };
    let Some(body) = unread.take() else { return Err(Problem::internal()) };
    let form = read_files(request, body, FILE_LIMITS).await?;
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
    let added = visit.app.answers.run(move |connection| add_evidence(connection, id, WEB_OWNER, row, places)).await?;
    Ok(match added {
        EvidenceAdded::Kept => Ok(()),
        EvidenceAdded::TooMany => Err("too-many"),
        EvidenceAdded::Gone => Err("gone"),
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
