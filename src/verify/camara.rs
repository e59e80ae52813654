//! CAMARA One Time Password SMS 1.1, as its client: the operator makes the code, sends it and checks it.

use hyper::Method;
use serde::Deserialize;
use serde_json::json;
use url::Url;

use super::sender::{SendFault, Word};
use super::target::{Dialler, JSON, Sent};
use crate::config::verify::HiddenText;
use crate::dial::Answer;
use crate::domain::msisdn::Msisdn;

/// The longest id that the operator may give a code, bytes. The standard has 36.
const ID_MAX_BYTES: usize = 64;
/// When to ask an operator again that says that a number has had enough, seconds.
const ENOUGH_RETRY_S: u64 = 10 * 60;

/// An operator, and as whom to use it.
pub struct Camara {
    pub dialler: Dialler,
    pub url: Url,
    pub token: HiddenText,
}

#[derive(Deserialize)]
struct SendAnswer {
    #[serde(rename = "authenticationId")]
    authentication_id: String,
}

#[derive(Deserialize)]
struct ErrorAnswer {
    #[serde(default)]
    code: String,
}

/// The last part of the code of an error.
fn error_of(answer: &Answer) -> String {
    let error: Option<ErrorAnswer> = serde_json::from_slice(&answer.body).ok();
    error.map(|error| error.code.rsplit('.').next().unwrap_or_default().to_owned()).unwrap_or_default()
}

impl Camara {
    async fn post(&self, page: &str, body: serde_json::Value) -> Result<Answer, SendFault> {
        let mut url = self.url.clone();
        url.set_path(&format!("{}/{page}", self.url.path().trim_end_matches('/')));
        let sent =
            Sent { method: Method::POST, token: Some(self.token.as_str()), media_type: JSON, body: body.to_string() };
        Ok(self.dialler.call(&url, sent).await?)
    }

    /// Has a code made and sent in this text; what the operator calls it.
    pub async fn send(&self, number: Msisdn, template: &str) -> Result<String, SendFault> {
        let body = json!({"phoneNumber": number.e164().as_str(), "message": template});
        let answer = self.post("send-code", body).await?;
        if answer.status == 200 {
            let sent: Option<SendAnswer> = serde_json::from_slice(&answer.body).ok();
            let id = sent.map(|sent| sent.authentication_id);
            return id.filter(|id| (1..=ID_MAX_BYTES).contains(&id.len())).ok_or(SendFault::NotKnown);
        }
        let error = error_of(&answer);
        Err(match (answer.status, error.as_str()) {
            (403, "PHONE_NUMBER_NOT_ALLOWED" | "PHONE_NUMBER_BLOCKED") => SendFault::NotToThisNumber,
            (429, _) | (403, "MAX_OTP_CODES_EXCEEDED") => SendFault::Enough { retry_after_s: ENOUGH_RETRY_S },
            (status, _) => {
                tracing::error!(
                    answer.status = status,
                    "the operator sends no code; look at the address and the token"
                );
                // In trouble itself, it may have sent it.
                if (400..=499).contains(&status) { SendFault::NotSent } else { SendFault::NotKnown }
            }
        })
    }

    /// What the operator says of a code.
    pub async fn check(&self, id: &str, code: &str) -> Result<Word, SendFault> {
        let answer = self.post("validate-code", json!({"authenticationId": id, "code": code})).await?;
        if answer.status == 204 {
            return Ok(Word::Right);
        }
        let error = error_of(&answer);
        match (answer.status, error.as_str()) {
            (400, "INVALID_OTP" | "INVALID_ARGUMENT" | "OUT_OF_RANGE") => Ok(Word::Wrong),
            (400, "VERIFICATION_EXPIRED" | "VERIFICATION_FAILED") | (404, _) => Ok(Word::Gone),
            (status, _) => {
                tracing::error!(
                    answer.status = status,
                    "the operator checks no code; look at the address and the token"
                );
                Err(SendFault::NotSent)
            }
        }
    }
}
