//! CAMARA Number Verification 2.1, as its client: the operator whose network the phone is on says whether it has this number.
//! The token that it is asked with is had by `sign_in.rs`.

use std::time::Duration;

use hyper::Method;
use serde::Deserialize;
use serde_json::json;
use url::Url;

use super::sign_in::SignIn;
use super::target::{Dialler, JSON, Sent};
use super::{NetworkFault, Verifier};
use crate::config::Config;
use crate::config::verify::{missing, parsed_tls_url};
use crate::domain::msisdn::Msisdn;
use crate::fast::NotReached;
use crate::fast::codes::Taken;
use crate::verify::sender::SenderError;

/// The longest token that is passed on, bytes.
const TOKEN_MAX_BYTES: usize = 4_096;
/// When to ask again while the network is away, seconds.
pub(super) const NETWORK_RETRY_S: u64 = 30;

/// Where an operator answers.
pub(super) struct Network {
    dialler: Dialler,
    url: Url,
    sign_in: SignIn,
}

#[derive(Deserialize)]
struct Answer {
    #[serde(rename = "devicePhoneNumberVerified")]
    is_verified: bool,
}

impl Network {
    /// As the settings say; none where no network is asked.
    pub(super) fn open(config: &Config) -> Result<Option<Self>, SenderError> {
        let settings = &config.verify;
        if settings.network_url.is_empty() {
            return Ok(None);
        }
        let public_url = config.server.parsed_public_url()?.ok_or_else(|| missing("server.public_url"))?;
        let mut url = parsed_tls_url("verify.network_url", &settings.network_url)?;
        url.set_path(&format!("{}/verify", url.path().trim_end_matches('/')));
        let dialler = Dialler::new(Duration::from_millis(settings.timeout_ms))?;
        Ok(Some(Self { dialler, url, sign_in: SignIn::open(settings, &public_url)? }))
    }

    async fn ask(&self, number: Msisdn, access_token: &str) -> Result<bool, NetworkFault> {
        let body = json!({"phoneNumber": number.e164().as_str()}).to_string();
        let away = NetworkFault::Unavailable { retry_after_s: NETWORK_RETRY_S };
        let is_token = |byte: u8| byte.is_ascii_graphic();
        if !(1..=TOKEN_MAX_BYTES).contains(&access_token.len()) || !access_token.bytes().all(is_token) {
            return Err(away);
        }
        let sent = Sent { method: Method::POST, token: Some(access_token), media_type: JSON, body };
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
    /// Whether a network can be asked, for one who is sent codes, too.
    #[must_use]
    pub const fn is_on_a_network(&self) -> bool {
        self.network.is_some()
    }

    /// Where a browser goes for the network to know its phone; none where no network is asked. `state` comes back with it,
    /// and `proof_key` (43 to 128 letters, digits, `-._~`) is to be given with what comes back.
    #[must_use]
    pub fn network_address(&self, state: &str, proof_key: &str) -> Option<String> {
        self.network.as_ref().map(|network| network.sign_in.address(state, proof_key))
    }

    /// Whether the phone whose browser came back with this code has this number, by the network's word. A code is good once.
    ///
    /// # Errors
    /// [`NetworkFault`].
    pub async fn verify_by_network(&self, number: Msisdn, code: &str, proof_key: &str) -> Result<bool, NetworkFault> {
        let network = self.network.as_ref().ok_or(NetworkFault::Off)?;
        let away = NetworkFault::Unavailable { retry_after_s: NETWORK_RETRY_S };
        let _in_hand = self.networks_in_hand.try_acquire().map_err(|_| away)?;
        let token = network.sign_in.token(code, proof_key, self.clock.now()).await?;
        // Counted for whoever comes from the operator: what is made up uses nothing up.
        match self.fast.take_sends(&self.limits.of_network(&self.ring, number), self.clock.turned()).await {
            Ok(Taken::Yes) => network.ask(number, &token).await,
            Ok(Taken::Full { .. } | Taken::NoRoom) | Err(NotReached) => Err(away),
        }
    }
}
