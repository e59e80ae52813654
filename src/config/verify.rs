//! `[verify]`: codes by SMS.

use std::fmt;
use std::num::NonZeroU32;

use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair};
use rustls::pki_types::PrivatePkcs8KeyDer;
use rustls::pki_types::pem::PemObject as _;
use serde::{Deserialize, Serialize};
use url::{Host, Url};

use super::{ConfigError, Role, ServerSettings};
use crate::domain::msisdn::HomeCountry;

/// Longest E.164 number with its plus: a prefix is no longer.
const PREFIX_MAX_CHARACTERS: usize = 16;

/// See `defaults.toml`.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "defaults.toml describes every setting")]
pub struct VerifySettings {
    pub sender: SenderKind,
    pub kannel_url: String,
    pub kannel_user: String,
    pub kannel_password_file: String,
    #[serde(skip)]
    pub kannel_password: HiddenText,
    pub kannel_from: String,
    pub camara_url: String,
    pub camara_token_file: String,
    #[serde(skip)]
    pub camara_token: HiddenText,
    pub network_url: String,
    pub network_authorize_url: String,
    pub network_token_url: String,
    pub network_client_id: String,
    pub network_key_file: String,
    #[serde(skip)]
    pub network_key: HiddenText,
    pub network_key_id: String,
    pub network_scope: String,
    pub timeout_ms: u64,
    pub countries: Vec<String>,
    pub number_per_10_minutes: NonZeroU32,
    pub number_per_day: NonZeroU32,
    pub client_per_hour: NonZeroU32,
    pub prefix_characters: usize,
    pub prefix_per_hour: NonZeroU32,
    pub all_per_hour: NonZeroU32,
    pub all_per_day: NonZeroU32,
    pub wrong_per_hour: NonZeroU32,
    pub entries_max: usize,
    pub serve: bool,
    pub partner_per_day: NonZeroU32,
}

/// What codes are sent by.
#[derive(Clone, Copy, Debug, Deserialize, Serialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub enum SenderKind {
    /// Nothing: no code is sent.
    Off,
    /// Kannel, or what speaks like it.
    Kannel,
    /// An operator, by CAMARA One Time Password SMS.
    Camara,
    /// The log, for development.
    Log,
}

/// A secret that is read from a file and never shown.
#[derive(Clone, Default)]
pub struct HiddenText(zeroize::Zeroizing<String>);

impl HiddenText {
    /// The secret.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<String> for HiddenText {
    fn from(text: String) -> Self {
        Self(text.into())
    }
}

impl fmt::Debug for HiddenText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

impl VerifySettings {
    /// The countries whose mobile numbers are sent to; the region's own when none is named.
    ///
    /// # Errors
    /// When one is unknown.
    pub fn parsed_countries(&self, region: HomeCountry) -> Result<Vec<HomeCountry>, ConfigError> {
        if self.countries.is_empty() {
            return Ok(vec![region]);
        }
        let parsed = self.countries.iter().map(|code| {
            HomeCountry::parse(code)
                .ok_or_else(|| value("verify.countries", format!("`{code}` is no ISO 3166 code with a numbering plan")))
        });
        parsed.collect()
    }

    /// Whether every value makes sense, beside these settings of the listeners.
    ///
    /// # Errors
    /// The first that does not.
    pub fn check(&self, server: &ServerSettings) -> Result<(), ConfigError> {
        match self.sender {
            SenderKind::Off => {}
            SenderKind::Log if !server.listen.ip().is_loopback() || server.role != Role::All => {
                let reason = "`log` writes codes where operators read them: it is for development, and needs \
                              server.role `all` and server.listen on this machine alone (127.0.0.1 or [::1])";
                return Err(value("verify.sender", reason));
            }
            SenderKind::Log => {}
            SenderKind::Kannel => {
                parsed_url("verify.kannel_url", &self.kannel_url)?;
                for (setting, text) in
                    [("verify.kannel_user", &self.kannel_user), ("verify.kannel_from", &self.kannel_from)]
                {
                    if text.is_empty() {
                        return Err(value(setting, "is needed where verify.sender is `kannel`"));
                    }
                }
            }
            SenderKind::Camara => {
                parsed_url("verify.camara_url", &self.camara_url)?;
                if self.camara_token.as_str().is_empty() {
                    return Err(value("verify.camara_token_file", "is needed where verify.sender is `camara`"));
                }
            }
        }
        if !self.network_url.is_empty() {
            parsed_tls_url("verify.network_url", &self.network_url)?;
            parsed_tls_url("verify.network_authorize_url", &self.network_authorize_url)?;
            parsed_tls_url("verify.network_token_url", &self.network_token_url)?;
            parsed_signing_key(self.network_key.as_str())?;
            for (setting, text) in [
                ("server.public_url", &server.public_url),
                ("verify.network_client_id", &self.network_client_id),
                ("verify.network_key_id", &self.network_key_id),
                ("verify.network_scope", &self.network_scope),
            ] {
                if text.is_empty() {
                    return Err(missing(setting));
                }
            }
        }
        if self.serve && self.sender == SenderKind::Off {
            return Err(value("verify.serve", "needs a verify.sender"));
        }
        if !(2..=PREFIX_MAX_CHARACTERS).contains(&self.prefix_characters) {
            return Err(value("verify.prefix_characters", "must be from 2 to 16"));
        }
        if !(100..=60_000).contains(&self.timeout_ms) {
            return Err(value("verify.timeout_ms", "must be from 100 to 60000"));
        }
        if !(1_000..=1 << 24).contains(&self.entries_max) {
            return Err(value("verify.entries_max", "must be from 1000 to 16777216"));
        }
        Ok(())
    }
}

/// A URL to call: `http` or `https`, with a host, without user, password, query and fragment.
///
/// # Errors
/// When it is none. It is not repeated: somebody may have put a password into it.
pub fn parsed_url(setting: &'static str, text: &str) -> Result<Url, ConfigError> {
    let is_plain = |url: &Url| {
        matches!(url.scheme(), "http" | "https")
            && url.host().is_some()
            && url.username().is_empty()
            && url.password().is_none()
            && url.query().is_none()
            && url.fragment().is_none()
    };
    let url = Url::parse(text).ok().filter(is_plain);
    url.ok_or_else(|| value(setting, "must be an http or https URL without user, password, query and fragment"))
}

/// The same with TLS, but for this machine: who answers there says whose number a phone has.
///
/// # Errors
/// When it is none.
pub fn parsed_tls_url(setting: &'static str, text: &str) -> Result<Url, ConfigError> {
    let url = parsed_url(setting, text)?;
    let is_here = match url.host() {
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        Some(Host::Domain(name)) => name == "localhost",
        None => false,
    };
    if url.scheme() != "https" && !is_here {
        return Err(value(setting, "must be an https URL, as it is not on this machine"));
    }
    Ok(url)
}

/// What `verify.network_url` needs beside it.
#[must_use]
pub fn missing(setting: &'static str) -> ConfigError {
    value(setting, "is needed where verify.network_url is set")
}

/// A private key to sign with, as OpenSSL writes it: PKCS #8 in PEM, on the curve P-256.
///
/// # Errors
/// When it is none. It is not repeated.
pub fn parsed_signing_key(pem: &str) -> Result<EcdsaKeyPair, ConfigError> {
    let reason = "must name a file with a private key on the curve P-256, as `openssl genpkey -algorithm EC -pkeyopt \
                  ec_paramgen_curve:P-256` writes it";
    let refusal = || value("verify.network_key_file", reason);
    let der = PrivatePkcs8KeyDer::from_pem_slice(pem.as_bytes()).map_err(|_| refusal())?;
    EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, der.secret_pkcs8_der(), &SystemRandom::new())
        .map_err(|_| refusal())
}

fn value(setting: &'static str, reason: impl Into<String>) -> ConfigError {
    ConfigError::Value { setting, reason: reason.into() }
}
