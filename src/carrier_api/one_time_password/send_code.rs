//! `POST /one-time-password-sms/v1/send-code`: a code to a number, in the partner's text.

use actix_web::{HttpRequest, HttpResponse, web};
use serde::{Deserialize, Serialize};

use super::answer_partner;
use super::fault::Fault;
use crate::carrier_api::authenticate::Caller;
use crate::domain::msisdn::Msisdn;
use crate::domain::sms_text::is_one_sms;
use crate::http::app::App;
use crate::http::body::parse_json;

/// The longest text, characters: the standard's.
const MESSAGE_MAX_CHARACTERS: usize = 160;
/// Where the code goes.
const CODE_PLACE: &str = "{{code}}";
/// As long as our codes; an operator that makes them counts for itself.
const ANY_CODE: &str = "000000";

#[derive(Deserialize)]
struct RawSend {
    #[serde(rename = "phoneNumber")]
    phone_number: String,
    message: String,
}

#[derive(Serialize)]
struct Sent {
    #[serde(rename = "authenticationId")]
    authentication_id: String,
}

/// Handles the request: 200 with the id under which the code is checked.
pub async fn send_code(request: HttpRequest, body: web::Payload, app: web::Data<App>) -> HttpResponse {
    let work = async |carrier: &Caller, body: &[u8]| {
        let (number, message) = parse(body)?;
        let id = app.verifier.send_for_partner(carrier.id, number, &message).await?;
        Ok(HttpResponse::Ok().json(Sent { authentication_id: id.to_string() }))
    };
    answer_partner(&request, body, &app, work).await
}

fn parse(body: &[u8]) -> Result<(Msisdn, String), Fault> {
    let raw: RawSend = parse_json(body)
        .map_err(|_| Fault::invalid("The body must be a JSON object with the strings `phoneNumber` and `message`."))?;
    // The same form: a plus and 5 to 15 digits, the first not 0.
    let number = Msisdn::from_e164(&raw.phone_number).ok_or_else(|| {
        Fault::invalid("Write `phoneNumber` as a plus, the code of its country and the rest, digits alone.")
    })?;
    let is_text = !raw.message.chars().any(|character| character.is_control() && character != '\n');
    let is_short = raw.message.chars().count() <= MESSAGE_MAX_CHARACTERS;
    let is_one = is_one_sms(&raw.message.replace(CODE_PLACE, ANY_CODE));
    if !is_short || !is_one || !raw.message.contains(CODE_PLACE) || !is_text {
        return Err(Fault::invalid(
            "Write a `message` that has `{{code}}` where the code goes and is one SMS with it: at most 160 characters of the \
             GSM default alphabet, or 70 where one of them is none of those.",
        ));
    }
    Ok((number, raw.message))
}
