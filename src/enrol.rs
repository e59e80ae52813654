//! Making carriers and their API keys.

use sha2::{Digest, Sha256};
use uuid::Uuid;
use zeroize::Zeroizing;

use crate::carrier_api::authenticate::API_KEY_PREFIX;
use crate::crypto::key_ring::KeyRing;
use crate::crypto::signing::{ED25519_PUBLIC_KEY_BYTES, HMAC_SECRET_BYTES, SigningAlgorithm};
use crate::crypto::stored_secret::SecretOf;
use crate::domain::carrier::{Addresses, Attests, Scopes, Signatures, is_carrier_name};
use crate::domain::check_char;
use crate::domain::clock::Moment;
use crate::store::carriers::{
    ApiKeyRow, CarrierRow, GOOD_API_KEYS_MAX, KeyAdded, find_carrier, insert_api_key, insert_carrier, list_carriers,
};
use crate::store::connection::Connection;
use crate::store::signing_keys::{GOOD_SIGNING_KEYS_MAX, SigningKeyRow, insert_signing_key};

/// Name of the carrier that the first start makes.
pub const FIRST_CARRIER: &str = "local";
/// Random characters of an API key: 255 bits.
const API_KEY_CHARACTERS: usize = 51;
/// First letters of a signing key's id.
const SIGNING_KEY_PREFIX: &str = "sig_";
/// Random bytes of that id, and the characters that show them. It is no secret; it only has to be nobody else's.
const SIGNING_KEY_ID_BYTES: usize = 10;
const SIGNING_KEY_ID_CHARACTERS: usize = 15;

/// Why a carrier was not made.
#[derive(Debug, thiserror::Error)]
pub enum EnrolError {
    /// The name.
    #[error("a carrier's name is 1 to 64 of a-z, 0-9 and `-`")]
    BadName,
    /// The name is taken, also by a revoked carrier: its reports stay its own.
    #[error("there is a carrier of this name already")]
    NameTaken,
    /// The carrier is not there, or was revoked.
    #[error("there is no carrier `{0}` that may call")]
    NoCarrier(String),
    /// Two keys are good already.
    #[error("`{0}` has {GOOD_API_KEYS_MAX} good API keys: revoke the old one first")]
    TooManyKeys(String),
    /// Two signing keys are good already.
    #[error("`{0}` has {GOOD_SIGNING_KEYS_MAX} good signing keys: revoke the old one first")]
    TooManySigningKeys(String),
    /// No random bytes.
    #[error("the system gives no random bytes")]
    Random,
    /// The store.
    #[error("the database failed: {0}")]
    Store(#[from] diesel::result::Error),
}

/// A carrier that was made, with the key that is shown this once.
pub struct NewCarrier {
    /// UUID.
    pub id: Uuid,
    /// Name.
    pub name: String,
    /// The key; only its SHA-256 is stored.
    pub api_key: Zeroizing<String>,
}

/// What a carrier may.
pub struct Terms {
    /// Numbers it vouches for.
    pub attests: Attests,
    /// Items per second; none means the configured default.
    pub per_second: Option<i32>,
    /// Items at once; none means the configured default.
    pub burst: Option<i32>,
    /// Items in a day, 0 for as many as come; none means the configured default.
    pub per_day: Option<i32>,
    /// What it may do.
    pub scopes: Scopes,
    /// From where it may call.
    pub addresses: Addresses,
    /// Whether it has to sign its requests.
    pub signatures: Signatures,
}

impl Default for Terms {
    /// Reports alone, of all numbers, from anywhere, within the configured limits.
    fn default() -> Self {
        Self {
            attests: Attests::Any,
            per_second: None,
            burst: None,
            per_day: None,
            scopes: Scopes::REPORT,
            addresses: Addresses::Any,
            signatures: Signatures::Optional,
        }
    }
}

/// An API key that was made and is shown this once.
struct NewKey {
    api_key: Zeroizing<String>,
    row: ApiKeyRow,
}

/// `carrier_id` is filled in by who knows it.
fn make_key(carrier_id: &[u8], now: Moment) -> Result<NewKey, EnrolError> {
    let mut random = Zeroizing::new([0; 32]);
    getrandom::fill(random.as_mut_slice()).map_err(|_| EnrolError::Random)?;
    let encoded = Zeroizing::new(check_char::encode(random.as_slice(), API_KEY_CHARACTERS));
    let api_key = Zeroizing::new(format!("{API_KEY_PREFIX}{}", encoded.as_str()));
    let key_hash = Sha256::digest(api_key.as_bytes()).to_vec();
    let row = ApiKeyRow { key_hash, carrier_id: carrier_id.to_vec(), created_at: now.0, revoked_at: None };
    Ok(NewKey { api_key, row })
}

/// Adds a carrier.
///
/// # Errors
/// [`EnrolError`].
pub fn add_carrier(
    connection: &mut Connection,
    name: &str,
    terms: &Terms,
    now: Moment,
) -> Result<NewCarrier, EnrolError> {
    if !is_carrier_name(name) {
        return Err(EnrolError::BadName);
    }
    let id = Uuid::now_v7();
    let NewKey { api_key, row: key } = make_key(id.as_bytes(), now)?;
    let row = CarrierRow {
        id: id.as_bytes().to_vec(),
        name: name.to_owned(),
        attests: terms.attests.to_text(),
        per_second: terms.per_second,
        burst: terms.burst,
        per_day: terms.per_day,
        created_at: now.0,
        revoked_at: None,
        scopes: terms.scopes.to_string(),
        addresses: terms.addresses.to_string(),
        signatures: terms.signatures.as_str().to_owned(),
    };
    if insert_carrier(connection, &row, &key)? {
        Ok(NewCarrier { id, name: row.name, api_key })
    } else {
        Err(EnrolError::NameTaken)
    }
}

/// Adds an API key to a carrier, whose other key stays good.
///
/// # Errors
/// [`EnrolError`].
pub fn add_api_key(connection: &mut Connection, name: &str, now: Moment) -> Result<Zeroizing<String>, EnrolError> {
    let NewKey { api_key, mut row } = make_key(&[], now)?;
    match insert_api_key(connection, name, &mut row)? {
        KeyAdded::Added => Ok(api_key),
        KeyAdded::NoCarrier => Err(EnrolError::NoCarrier(name.to_owned())),
        KeyAdded::TooMany => Err(EnrolError::TooManyKeys(name.to_owned())),
    }
}

/// What kind of signing key is to be added.
pub enum SigningKeyKind {
    /// A shared secret, which is made.
    NewSecret,
    /// The carrier's Ed25519 public key.
    Public([u8; ED25519_PUBLIC_KEY_BYTES]),
}

/// A signing key that was made.
pub struct NewSigningKey {
    /// What `keyid` of a signature has to say.
    pub id: String,
    /// How the carrier signs with it.
    pub algorithm: SigningAlgorithm,
    /// The shared secret, shown this once.
    pub secret: Option<Zeroizing<[u8; HMAC_SECRET_BYTES]>>,
}

/// Adds a key with which a carrier signs its requests; its other one stays good.
///
/// # Errors
/// [`EnrolError`].
pub fn add_signing_key(
    connection: &mut Connection,
    ring: &KeyRing,
    name: &str,
    kind: &SigningKeyKind,
    now: Moment,
) -> Result<NewSigningKey, EnrolError> {
    let carrier = find_carrier(connection, name)?.filter(|carrier| carrier.revoked_at.is_none());
    let carrier = carrier.ok_or_else(|| EnrolError::NoCarrier(name.to_owned()))?;
    let mut random = [0; SIGNING_KEY_ID_BYTES];
    getrandom::fill(&mut random).map_err(|_| EnrolError::Random)?;
    let id = format!("{SIGNING_KEY_PREFIX}{}", check_char::encode(&random, SIGNING_KEY_ID_CHARACTERS));
    let (algorithm, secret, material) = match kind {
        SigningKeyKind::NewSecret => {
            let mut secret = Zeroizing::new([0; HMAC_SECRET_BYTES]);
            getrandom::fill(secret.as_mut_slice()).map_err(|_| EnrolError::Random)?;
            let of = SecretOf::SigningKey { carrier_id: &carrier.id, key_id: &id };
            let sealed = ring.stored_secrets().seal(of, secret.as_slice()).map_err(|_| EnrolError::Random)?;
            (SigningAlgorithm::HmacSha256, Some(secret), sealed)
        }
        SigningKeyKind::Public(key) => (SigningAlgorithm::Ed25519, None, key.to_vec()),
    };
    let row = SigningKeyRow {
        key_id: id.clone(),
        carrier_id: carrier.id,
        algorithm: algorithm.as_str().to_owned(),
        material,
        created_at: now.0,
        revoked_at: None,
    };
    if insert_signing_key(connection, &row)? {
        Ok(NewSigningKey { id, algorithm, secret })
    } else {
        Err(EnrolError::TooManySigningKeys(name.to_owned()))
    }
}

/// Adds the carrier `local` to a store that has none.
///
/// # Errors
/// [`EnrolError`].
pub fn add_first_carrier(connection: &mut Connection, now: Moment) -> Result<Option<NewCarrier>, EnrolError> {
    if !list_carriers(connection)?.is_empty() {
        return Ok(None);
    }
    let terms = Terms { scopes: Scopes::FIRST_CARRIER, ..Terms::default() };
    add_carrier(connection, FIRST_CARRIER, &terms, now).map(Some)
}
