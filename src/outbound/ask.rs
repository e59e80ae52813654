//! Asking a carrier to check or do something about a case.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::publish::{PublishError, event_body};
use super::sender::{CaseSpan, KnownSender, SealedSender};
use crate::crypto::envelope::{AuthorityPrivateKey, EnvelopeError};
use crate::crypto::recipient::RecipientKey;
use crate::domain::clock::Moment;
use crate::domain::request::RequestKind;
use crate::store::StoreError;
use crate::store::connection::Connection;
use crate::store::requests::{
    NewRequest, OpenRequest, find_addressee, insert_request, list_open_requests, update_request_body,
};
use crate::store::webhooks::update_body;

/// What a request's sender is sealed for: the `info` of HPKE.
pub const REQUEST_SEAL_INFO: &[u8] = b"spamgate v1 request sender";

/// Why a carrier was not asked.
#[derive(Debug, thiserror::Error)]
pub enum AskError {
    /// Neither, or one of them.
    #[error("there is no such case, or no such carrier whose key is good")]
    NotFound,
    /// Nothing can be sealed to it.
    #[error("this carrier has no public key to seal the sender to: set one with `carrier feed-key set`")]
    NoKey,
    /// Another key was set at this moment.
    #[error("this carrier's key was changed just now: ask again")]
    KeyChanged,
    /// The case is about a text.
    #[error("this case names no sender, and only its origin can be traced: ask for `trace_origin`")]
    NoSender,
    /// Sealing.
    #[error(transparent)]
    Envelope(#[from] EnvelopeError),
    /// The database.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<diesel::result::Error> for AskError {
    fn from(error: diesel::result::Error) -> Self {
        Self::Store(error.into())
    }
}

/// What is asked.
pub struct Ask<'a> {
    /// Of which case.
    pub reference: &'a str,
    /// Whom, by name.
    pub carrier: &'a str,
    /// What.
    pub kind: RequestKind,
    /// More about it, for the carrier; kept in clear.
    pub note: Option<&'a str>,
    /// Who asks.
    pub by: &'a str,
    /// Now.
    pub at: Moment,
    /// Until when.
    pub due_at: Moment,
}

#[derive(Serialize, Deserialize)]
struct Body {
    id: String,
    case: String,
    kind: String,
    sender: Option<SealedSender>,
    note: Option<String>,
    requested_at: String,
    due_at: String,
}

/// Asks a carrier. The id of the request.
///
/// # Errors
/// [`AskError`]; nothing is asked then.
pub fn ask(connection: &mut Connection, authority: &AuthorityPrivateKey, ask: &Ask<'_>) -> Result<Uuid, AskError> {
    let addressee = find_addressee(connection, ask.reference, ask.carrier)?.ok_or(AskError::NotFound)?;
    let public_key = addressee.public_key.as_deref().ok_or(AskError::NoKey)?;
    let key = RecipientKey::from_bytes(public_key)?;
    let span = CaseSpan {
        reference: ask.reference,
        group_key: &addressee.group_key,
        opened_seq: addressee.opened_seq,
        closed_seq: addressee.closed_seq,
    };
    let sender = KnownSender::open(connection, authority, &span)?;
    if sender.is_none() && ask.kind != RequestKind::TraceOrigin {
        return Err(AskError::NoSender);
    }
    let id = Uuid::now_v7();
    let sender = sender.map(|sender| sender.seal(&key, REQUEST_SEAL_INFO, &id.to_string())).transpose()?;
    let body = Body {
        id: id.to_string(),
        case: ask.reference.to_owned(),
        kind: ask.kind.as_str().to_owned(),
        sender,
        note: ask.note.map(str::to_owned),
        requested_at: ask.at.to_rfc3339(),
        due_at: ask.due_at.to_rfc3339(),
    };
    let body = serde_json::to_string(&body).map_err(|_| EnvelopeError::Seal)?;
    let request = NewRequest {
        id: id.as_bytes(),
        carrier_id: &addressee.carrier_id,
        case_id: addressee.case_id,
        kind: ask.kind.as_str(),
        requested_by: ask.by,
        requested_at: ask.at.0,
        due_at: ask.due_at.0,
        body: &body,
    };
    let event = event_body("request.created", &ask.at.to_rfc3339(), &body);
    if !insert_request(connection, &request, &event, public_key)? {
        return Err(AskError::KeyChanged);
    }
    Ok(id)
}

/// Seals what a carrier was asked and has not answered to the key it has now, in the transaction in hand, and puts it on its
/// way again where that was taken back. What names no sender stays as it is, and so does a sender that can no longer be
/// read: the carrier may still hold the key of before.
pub(super) fn seal_open_requests(
    connection: &mut Connection,
    authority: &AuthorityPrivateKey,
    carrier_id: &[u8],
    key: &RecipientKey,
) -> Result<(), PublishError> {
    for mut request in list_open_requests(connection, carrier_id)? {
        let mut body: Body = serde_json::from_str(&request.body)?;
        if seal_anew(connection, authority, &request, &mut body, key)? {
            request.body = serde_json::to_string(&body)?;
            update_request_body(connection, &request.id, &request.body)?;
        }
        let event = event_body("request.created", &body.requested_at, &request.body);
        update_body(connection, carrier_id, &request.id, &event)?;
    }
    Ok(())
}

/// Whether there was something to seal anew.
fn seal_anew(
    connection: &mut Connection,
    authority: &AuthorityPrivateKey,
    request: &OpenRequest,
    body: &mut Body,
    key: &RecipientKey,
) -> Result<bool, PublishError> {
    if body.sender.as_ref().is_none_or(|sender| sender.is_sealed_to(key)) {
        return Ok(false);
    }
    let span = CaseSpan {
        reference: &request.reference,
        group_key: &request.group_key,
        opened_seq: request.opened_seq,
        closed_seq: request.closed_seq,
    };
    let Some(sender) = KnownSender::open(connection, authority, &span)? else { return Ok(false) };
    body.sender = Some(sender.seal(key, REQUEST_SEAL_INFO, &body.id)?);
    Ok(true)
}
