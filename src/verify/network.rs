//! CAMARA Number Verification 2.1, as its client: the operator whose network the phone is on says whether it has this number.

use std::time::Duration;

use hyper::Method;
use serde::Deserialize;
use serde_json::json;
use url::Url;

use super::target::{Dialler, Sent};
use super::{NetworkFault, Verifier};
use crate::config::verify::{VerifySettings, parsed_url};
use crate::domain::msisdn::Msisdn;
use crate::verify::sender::SenderError;

/// The longest token that is passed on, bytes.
const TOKEN_MAX_BYTES: usize = 4_096;
/// When to ask again while the network is away, seconds.
const NETWORK_RETRY_S: u64 = 30;

/// Where an operator answers.
pub(super) struct Network {
    dialler: Dialler,
    url: Url,
}

#[derive(Deserialize)]
struct Answer {
    #[serde(rename = "devicePhoneNumberVerified")]
    is_verified: bool,
}

impl Network {
    /// As the settings say; none where no network is asked.
    pub(super) fn open(settings: &VerifySettings) -> Result<Option<Self>, SenderError> {
        if settings.network_url.is_empty() {
            return Ok(None);
        }
        let mut url = parsed_url("verify.network_url", &settings.network_url)?;
        url.set_path(&format!("{}/verify", url.path().trim_end_matches('/')));
        Ok(Some(Self { dialler: Dialler::new(Duration::from_millis(settings.timeout_ms))?, url }))
    }

    async fn ask(&self, number: Msisdn, access_token: &str) -> Result<bool, NetworkFault> {
        let body = json!({"phoneNumber": number.e164().as_str()}).to_string();
        let sent = Sent { method: Method::POST, token: Some(access_token), body };
        let away = NetworkFault::Unavailable { retry_after_s: NETWORK_RETRY_S };
        let answer = self.dialler.call(&self.url, sent).await.map_err(|_| away)?;
        match answer.status {
            200 => {
                let answer: Answer = serde_json::from_slice(&answer.body).map_err(|_| away)?;
                Ok(answer.is_verified)
            }
            // A token that is good no longer, or not of a phone in this network.
            401 | 403 => Err(NetworkFault::NotByNetwork),
            status => {
                tracing::error!(answer.status = status, "the network proves no number; look at its address");
                Err(away)
            }
        }
    }
}

impl Verifier {
    /// Whether the phone of whom this access token was given to has this number, by the network's word. The token is the one
    /// that the operator gave the phone's owner for this.
    ///
    /// # Errors
    /// [`NetworkFault`].
    pub async fn verify_by_network(&self, number: Msisdn, access_token: &str) -> Result<bool, NetworkFault> {
        let network = self.network.as_ref().ok_or(NetworkFault::Off)?;
        if !(1..=TOKEN_MAX_BYTES).contains(&access_token.len()) || !access_token.bytes().all(|b| b.is_ascii_graphic()) {
            return Err(NetworkFault::NotByNetwork);
        }
        network.ask(number, access_token).await
    }
}
