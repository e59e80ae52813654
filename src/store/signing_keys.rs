//! Keys with which carriers sign their requests: public ones as they are, shared secrets sealed.

use diesel::prelude::*;

use super::connection::{Connection, write_transaction};
use super::schema::{carriers, signing_keys};

/// Keys of a carrier that are good at once: the one in use and the one that replaces it.
pub const GOOD_SIGNING_KEYS_MAX: i64 = 2;

/// A key as stored.
#[derive(Queryable, Selectable, Insertable, Clone, PartialEq, Eq)]
#[diesel(table_name = signing_keys)]
pub struct SigningKeyRow {
    /// What `keyid` of a signature says.
    pub key_id: String,
    /// Whose it is.
    pub carrier_id: Vec<u8>,
    /// A word of [`crate::crypto::signing::SigningAlgorithm`].
    pub algorithm: String,
    /// The public key, or the sealed secret.
    pub material: Vec<u8>,
    /// Microseconds since 1970.
    pub created_at: i64,
    /// Microseconds since 1970; none while the key is good.
    pub revoked_at: Option<i64>,
}

/// Lists all keys that were not revoked, in one order.
///
/// # Errors
/// As the database says.
pub fn list_good_signing_keys(connection: &mut Connection) -> QueryResult<Vec<SigningKeyRow>> {
    signing_keys::table
        .filter(signing_keys::revoked_at.is_null())
        .order((signing_keys::carrier_id, signing_keys::key_id))
        .select(SigningKeyRow::as_select())
        .load(connection)
}

/// Lists the keys of a carrier, revoked ones too, oldest first.
///
/// # Errors
/// As the database says.
pub fn list_signing_keys(connection: &mut Connection, carrier_id: &[u8]) -> QueryResult<Vec<SigningKeyRow>> {
    signing_keys::table
        .filter(signing_keys::carrier_id.eq(carrier_id))
        .order((signing_keys::created_at, signing_keys::key_id))
        .select(SigningKeyRow::as_select())
        .load(connection)
}

/// Adds a key. `false` when [`GOOD_SIGNING_KEYS_MAX`] are good already, or the carrier may not call.
///
/// # Errors
/// As the database says.
pub fn insert_signing_key(connection: &mut Connection, key: &SigningKeyRow) -> QueryResult<bool> {
    write_transaction(connection, |connection| {
        // Written to itself: of two commands at once one waits here, and then counts the other's key.
        let live = carriers::table.filter(carriers::id.eq(&key.carrier_id)).filter(carriers::revoked_at.is_null());
        if diesel::update(live).set(carriers::id.eq(&key.carrier_id)).execute(connection)? == 0 {
            return Ok(false);
        }
        let good: i64 = signing_keys::table
            .filter(signing_keys::carrier_id.eq(&key.carrier_id))
            .filter(signing_keys::revoked_at.is_null())
            .count()
            .get_result(connection)?;
        if good >= GOOD_SIGNING_KEYS_MAX {
            return Ok(false);
        }
        diesel::insert_into(signing_keys::table).values(key).execute(connection)?;
        Ok(true)
    })
}

/// Revokes a key of a carrier. `false` when it has no such good key.
///
/// # Errors
/// As the database says.
pub fn revoke_signing_key(
    connection: &mut Connection,
    carrier_id: &[u8],
    key_id: &str,
    now_micros: i64,
) -> QueryResult<bool> {
    let good = signing_keys::table
        .filter(signing_keys::carrier_id.eq(carrier_id))
        .filter(signing_keys::key_id.eq(key_id))
        .filter(signing_keys::revoked_at.is_null());
    diesel::update(good).set(signing_keys::revoked_at.eq(now_micros)).execute(connection).map(|rows| rows == 1)
}
