//! `POST /one-time-password-sms/v1/validate-code`: whether it is the code that was sent.

use actix_web::{HttpRequest, HttpResponse, web};
use serde::Deserialize;
use uuid::Uuid;

use super::answer_partner;
use super::fault::Fault;
use crate::carrier_api::authenticate::Caller;
use crate::http::app::App;
use crate::http::body::parse_json;
use crate::verify::CodeFault;

/// The longest id and the longest code, characters, as the standard has them.
const ID_MAX_CHARACTERS: usize = 36;
const CODE_MAX_CHARACTERS: usize = 10;

#[derive(Deserialize)]
struct RawValidate {
    #[serde(rename = "authenticationId")]
    authentication_id: String,
    code: String,
}

/// Handles the request: 204 when it is.
pub async fn validate_code(request: HttpRequest, body: web::Payload, app: web::Data<App>) -> HttpResponse {
    let work = async |carrier: &Caller, body: &[u8]| {
        let raw: RawValidate = parse_json(body).map_err(|_| {
            Fault::invalid("The body must be a JSON object with the strings `authenticationId` and `code`.")
        })?;
        if raw.authentication_id.chars().count() > ID_MAX_CHARACTERS || raw.code.chars().count() > CODE_MAX_CHARACTERS {
            return Err(Fault::invalid("An `authenticationId` has at most 36 characters, a `code` at most 10."));
        }
        // What is no id of ours looks like one that has run out.
        let id: Uuid = raw.authentication_id.parse().map_err(|_| CodeFault::Expired)?;
        app.verifier.check_for_partner(carrier.id, id, &raw.code).await?;
        Ok(HttpResponse::NoContent().finish())
    };
    answer_partner(&request, body, &app, work).await
}
