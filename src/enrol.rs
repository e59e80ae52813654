//! Making carriers and their API keys.

use sha2::{Digest, Sha256};
use uuid::Uuid;
use zeroize::Zeroizing;

use crate::carrier_api::authenticate::API_KEY_PREFIX;
use crate::domain::carrier::{Attests, is_carrier_name};
use crate::domain::check_char;
use crate::domain::clock::Moment;
use crate::store::carriers::{CarrierRow, insert_carrier, list_carriers};
use crate::store::connection::Connection;

/// Name of the carrier that the first start makes.
pub const FIRST_CARRIER: &str = "local";
/// Random characters of an API key: 255 bits.
const API_KEY_CHARACTERS: usize = 51;

/// Why a carrier was not made.
#[derive(Debug, thiserror::Error)]
pub enum EnrolError {
    /// The name.
    #[error("a carrier's name is 1 to 64 of a-z, 0-9 and `-`")]
    BadName,
    /// The name is taken, also by a revoked carrier: its reports stay its own.
    #[error("there is a carrier of this name already")]
    NameTaken,
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
    let mut random = Zeroizing::new([0; 32]);
    getrandom::fill(random.as_mut_slice()).map_err(|_| EnrolError::Random)?;
    let encoded = check_char::encode(random.as_slice(), API_KEY_CHARACTERS);
    let api_key = Zeroizing::new(format!("{API_KEY_PREFIX}{encoded}"));
    let id = Uuid::now_v7();
    let row = CarrierRow {
        id: id.as_bytes().to_vec(),
        name: name.to_owned(),
        key_hash: Sha256::digest(api_key.as_bytes()).to_vec(),
        attests: terms.attests.to_text(),
        per_second: terms.per_second,
        burst: terms.burst,
        created_at: now.0,
        revoked_at: None,
    };
    if insert_carrier(connection, &row)? {
        Ok(NewCarrier { id, name: row.name, api_key })
    } else {
        Err(EnrolError::NameTaken)
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
    let terms = Terms { attests: Attests::Any, per_second: None, burst: None };
    add_carrier(connection, FIRST_CARRIER, &terms, now).map(Some)
}
