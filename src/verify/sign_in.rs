//! OpenID Connect with an operator, by the authorization code flow of CAMARA's security profile: a browser that is sent to
//! the operator over its mobile network comes back with a code; we change it for a token that Number Verification takes.
//! Nobody signs in to anything: the network knows its phones.
//!
//! Sources: OpenID Connect Core 1.0 (sections 3.1 and 9, `private_key_jwt`), RFC 7636 (PKCE), RFC 7523 (the assertion), and
//! CAMARA Security and Interoperability Profile (what of them has to be used).

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use hyper::Method;
use ring::rand::SystemRandom;
use ring::signature::EcdsaKeyPair;
use serde::Deserialize;
use serde_json::json;
use sha2::{Digest as _, Sha256};
use url::Url;

use super::NetworkFault;
use super::network::NETWORK_RETRY_S;
use super::target::{Dialler, Sent};
use crate::config::verify::{VerifySettings, parsed_signing_key, parsed_tls_url};
use crate::domain::clock::{MICROS_PER_SECOND, Moment};
use crate::domain::public_url::PublicUrl;
use crate::verify::sender::SenderError;

/// How long an assertion of ours is good, seconds; the profile allows 300.
const ASSERTION_LIFE_S: i64 = 60;
/// The longest code that is passed on, bytes.
const CODE_MAX_BYTES: usize = 2_048;
/// Where the operator sends the browser back to.
pub const BACK_PATH: &str = "/network/back";

/// An operator's authorization server, and who we are there.
pub(super) struct SignIn {
    dialler: Dialler,
    authorize_url: Url,
    token_url: Url,
    /// The same as it is set: servers compare it letter by letter.
    audience: String,
    client_id: String,
    key_id: String,
    key: EcdsaKeyPair,
    scope: String,
    back_url: String,
}

#[derive(Deserialize)]
struct TokenAnswer {
    access_token: String,
}

#[derive(Deserialize)]
struct TokenError {
    error: String,
}

/// RFC 6749, section 5.2.
fn is_fault_of_code(body: &[u8]) -> bool {
    serde_json::from_slice::<TokenError>(body).is_ok_and(|answer| answer.error == "invalid_grant")
}

impl SignIn {
    /// As the settings say.
    pub(super) fn open(settings: &VerifySettings, public_url: &PublicUrl) -> Result<Self, SenderError> {
        Ok(Self {
            dialler: Dialler::new(Duration::from_millis(settings.timeout_ms))?,
            authorize_url: parsed_tls_url("verify.network_authorize_url", &settings.network_authorize_url)?,
            token_url: parsed_tls_url("verify.network_token_url", &settings.network_token_url)?,
            audience: settings.network_token_url.clone(),
            client_id: settings.network_client_id.clone(),
            key_id: settings.network_key_id.clone(),
            key: parsed_signing_key(settings.network_key.as_str())?,
            scope: settings.network_scope.clone(),
            back_url: format!("{public_url}{BACK_PATH}"),
        })
    }

    /// Where the browser goes. `state` comes back with it; `proof_key` has to be said again with the code (PKCE).
    pub(super) fn address(&self, state: &str, proof_key: &str) -> String {
        let mut url = self.authorize_url.clone();
        url.query_pairs_mut()
            .append_pair("response_type", "code")
            .append_pair("client_id", &self.client_id)
            .append_pair("redirect_uri", &self.back_url)
            .append_pair("scope", &self.scope)
            // The network's word or none: nobody is to be asked to sign in.
            .append_pair("prompt", "none")
            .append_pair("state", state)
            .append_pair("code_challenge", &BASE64.encode(Sha256::digest(proof_key)))
            .append_pair("code_challenge_method", "S256");
        url.into()
    }

    /// Changes a code for a token.
    pub(super) async fn token(&self, code: &str, proof_key: &str, now: Moment) -> Result<String, NetworkFault> {
        if !(1..=CODE_MAX_BYTES).contains(&code.len()) {
            return Err(NetworkFault::NotByNetwork);
        }
        let away = NetworkFault::Unavailable { retry_after_s: NETWORK_RETRY_S };
        let body = url::form_urlencoded::Serializer::new(String::new())
            .append_pair("grant_type", "authorization_code")
            .append_pair("code", code)
            .append_pair("redirect_uri", &self.back_url)
            .append_pair("code_verifier", proof_key)
            .append_pair("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer")
            .append_pair("client_assertion", &self.assertion(now).ok_or(away)?)
            .finish();
        let sent = Sent { method: Method::POST, token: None, media_type: "application/x-www-form-urlencoded", body };
        let answer = self.dialler.call(&self.token_url, sent).await.map_err(|_| away)?;
        match answer.status {
            200 => {
                let answer: TokenAnswer = serde_json::from_slice(&answer.body).map_err(|_| away)?;
                Ok(answer.access_token)
            }
            // The code was used, is too old, or somebody else's.
            400 if is_fault_of_code(&answer.body) => Err(NetworkFault::NotByNetwork),
            status => {
                tracing::error!(
                    answer.status = status,
                    "the operator gives no token; look at the client's id, key and scope, and at `server.public_url`"
                );
                Err(away)
            }
        }
    }

    /// A signed word that it is us (`private_key_jwt`), for this server and a minute.
    fn assertion(&self, now: Moment) -> Option<String> {
        let mut id = [0; 16];
        getrandom::fill(&mut id).ok()?;
        let now_s = now.0 / MICROS_PER_SECOND;
        let head = json!({"alg": "ES256", "typ": "JWT", "kid": self.key_id});
        let claims = json!({
            "iss": self.client_id,
            "sub": self.client_id,
            "aud": self.audience,
            "jti": BASE64.encode(id),
            "iat": now_s,
            "exp": now_s + ASSERTION_LIFE_S,
        });
        let signed = format!("{}.{}", BASE64.encode(head.to_string()), BASE64.encode(claims.to_string()));
        let signature = self.key.sign(&SystemRandom::new(), signed.as_bytes()).ok()?;
        Some(format!("{signed}.{}", BASE64.encode(signature)))
    }
}
