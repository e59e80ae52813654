//! Carriers and their API keys, of which only SHA-256 is kept.

use diesel::prelude::*;

use super::connection::{Connection, write_transaction};
use super::feed::make_anew;
use super::schema::{api_keys, carriers};

/// Keys of a carrier that are good at once: the one in use and the one that replaces it.
pub const GOOD_API_KEYS_MAX: i64 = 2;

/// A carrier as stored.
#[derive(Queryable, Selectable, Insertable, Clone, PartialEq, Eq)]
#[diesel(table_name = carriers)]
pub struct CarrierRow {
    /// UUID, 16 bytes.
    pub id: Vec<u8>,
    /// Unique, `a-z 0-9 -`.
    pub name: String,
    /// `any` or prefixes.
    pub attests: String,
    /// Items per second; none means the configured default.
    pub per_second: Option<i32>,
    /// Items at once; none means the configured default.
    pub burst: Option<i32>,
    /// Microseconds since 1970.
    pub created_at: i64,
    /// Microseconds since 1970; none while it may call.
    pub revoked_at: Option<i64>,
    /// Words of [`crate::domain::carrier::Scopes`].
    pub scopes: String,
    /// `any` or networks.
    pub addresses: String,
    /// `optional` or `required`.
    pub signatures: String,
    /// Items in a day, 0 for as many as come; none means the configured default.
    pub per_day: Option<i32>,
}

/// What of a carrier is to be changed; what is none stays.
#[derive(AsChangeset, Default)]
#[diesel(table_name = carriers)]
pub struct CarrierChange {
    /// `any` or prefixes.
    pub attests: Option<String>,
    /// Items per second; none within means the configured default.
    pub per_second: Option<Option<i32>>,
    /// Items at once; none within means the configured default.
    pub burst: Option<Option<i32>>,
    /// Items in a day, 0 for as many as come; none within means the configured default.
    pub per_day: Option<Option<i32>>,
    /// Words of [`crate::domain::carrier::Scopes`].
    pub scopes: Option<String>,
    /// `any` or networks.
    pub addresses: Option<String>,
    /// `optional` or `required`.
    pub signatures: Option<String>,
}

/// An API key as stored.
#[derive(Queryable, Selectable, Insertable, Clone, PartialEq, Eq)]
#[diesel(table_name = api_keys)]
pub struct ApiKeyRow {
    /// SHA-256 of the key.
    pub key_hash: Vec<u8>,
    /// Whose it is.
    pub carrier_id: Vec<u8>,
    /// Microseconds since 1970.
    pub created_at: i64,
    /// Microseconds since 1970; none while the key is good.
    pub revoked_at: Option<i64>,
}

/// What became of a key that was to be added.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum KeyAdded {
    /// It is good from now on.
    Added,
    /// No carrier of this name may call.
    NoCarrier,
    /// [`GOOD_API_KEYS_MAX`] are good already.
    TooMany,
}

/// Lists all carriers, revoked ones too, by name.
///
/// # Errors
/// As the database says.
pub fn list_carriers(connection: &mut Connection) -> QueryResult<Vec<CarrierRow>> {
    carriers::table.order(carriers::name).select(CarrierRow::as_select()).load(connection)
}

/// Lists all API keys that were not revoked.
///
/// # Errors
/// As the database says.
pub fn list_good_api_keys(connection: &mut Connection) -> QueryResult<Vec<ApiKeyRow>> {
    api_keys::table.filter(api_keys::revoked_at.is_null()).select(ApiKeyRow::as_select()).load(connection)
}

/// Lists the API keys of a carrier, revoked ones too, oldest first.
///
/// # Errors
/// As the database says.
pub fn list_api_keys(connection: &mut Connection, carrier_id: &[u8]) -> QueryResult<Vec<ApiKeyRow>> {
    api_keys::table
        .filter(api_keys::carrier_id.eq(carrier_id))
        .order((api_keys::created_at, api_keys::key_hash))
        .select(ApiKeyRow::as_select())
        .load(connection)
}

/// A carrier by its name, revoked or not.
///
/// # Errors
/// As the database says.
pub fn find_carrier(connection: &mut Connection, name: &str) -> QueryResult<Option<CarrierRow>> {
    carriers::table.filter(carriers::name.eq(name)).select(CarrierRow::as_select()).first(connection).optional()
}

/// Adds a carrier with its first key. `false` when the name is taken.
///
/// # Errors
/// As the database says.
pub fn insert_carrier(connection: &mut Connection, carrier: &CarrierRow, key: &ApiKeyRow) -> QueryResult<bool> {
    write_transaction(connection, |connection| {
        let rows = match connection {
            Connection::Sqlite(file) => diesel::insert_or_ignore_into(carriers::table).values(carrier).execute(file)?,
            Connection::Postgresql(session) => {
                diesel::insert_into(carriers::table).values(carrier).on_conflict_do_nothing().execute(session)?
            }
        };
        if rows == 1 {
            diesel::insert_into(api_keys::table).values(key).execute(connection)?;
        }
        Ok(rows == 1)
    })
}

/// Changes a carrier's terms. When it is to be told of other cases than before, all it was told is made anew. `false` when no
/// carrier of this name may call.
///
/// # Errors
/// As the database says.
pub fn update_carrier(connection: &mut Connection, name: &str, change: &CarrierChange) -> QueryResult<bool> {
    write_transaction(connection, |connection| {
        let good = carriers::table.filter(carriers::name.eq(name)).filter(carriers::revoked_at.is_null());
        let rows = diesel::update(good).set(change).execute(connection)?;
        if rows == 1 && (change.scopes.is_some() || change.attests.is_some()) {
            make_anew(connection, name)?;
        }
        Ok(rows == 1)
    })
}

/// Adds a key of the carrier with this name, whose id the row gets; unless too many are good already.
///
/// # Errors
/// As the database says.
pub fn insert_api_key(connection: &mut Connection, name: &str, key: &mut ApiKeyRow) -> QueryResult<KeyAdded> {
    write_transaction(connection, |connection| {
        // Written to itself: of two commands at once one waits here, and then counts the other's key.
        let live = carriers::table.filter(carriers::name.eq(name)).filter(carriers::revoked_at.is_null());
        if diesel::update(live).set(carriers::name.eq(name)).execute(connection)? == 0 {
            return Ok(KeyAdded::NoCarrier);
        }
        key.carrier_id = carriers::table.filter(carriers::name.eq(name)).select(carriers::id).first(connection)?;
        let good: i64 = api_keys::table
            .filter(api_keys::carrier_id.eq(&key.carrier_id))
            .filter(api_keys::revoked_at.is_null())
            .count()
            .get_result(connection)?;
        if good >= GOOD_API_KEYS_MAX {
            return Ok(KeyAdded::TooMany);
        }
        diesel::insert_into(api_keys::table).values(&*key).execute(connection)?;
        Ok(KeyAdded::Added)
    })
}

/// Revokes one API key. `false` when it is not good.
///
/// # Errors
/// As the database says.
pub fn revoke_api_key(connection: &mut Connection, key_hash: &[u8], now_micros: i64) -> QueryResult<bool> {
    diesel::update(api_keys::table.filter(api_keys::key_hash.eq(key_hash)).filter(api_keys::revoked_at.is_null()))
        .set(api_keys::revoked_at.eq(now_micros))
        .execute(connection)
        .map(|rows| rows == 1)
}

/// Revokes a carrier: none of its keys is good any more, and what is on its way to its webhooks is taken back. `false` when
/// no carrier of this name may call.
///
/// # Errors
/// As the database says.
pub fn revoke_carrier(connection: &mut Connection, name: &str, now_micros: i64) -> QueryResult<bool> {
    write_transaction(connection, |connection| {
        let good = carriers::table.filter(carriers::name.eq(name)).filter(carriers::revoked_at.is_null());
        let rows = diesel::update(good).set(carriers::revoked_at.eq(now_micros)).execute(connection)?;
        if rows == 1 {
            make_anew(connection, name)?;
        }
        Ok(rows == 1)
    })
}
