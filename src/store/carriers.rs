//! Carriers and their API keys, of which only SHA-256 is kept.

use diesel::prelude::*;

use super::connection::Connection;
use super::schema::carriers;

/// A carrier as stored.
#[derive(Queryable, Selectable, Insertable, Clone, PartialEq, Eq)]
#[diesel(table_name = carriers)]
pub struct CarrierRow {
    /// UUID, 16 bytes.
    pub id: Vec<u8>,
    /// Unique, `a-z 0-9 -`.
    pub name: String,
    /// SHA-256 of the API key.
    pub key_hash: Vec<u8>,
    /// `any` or prefixes.
    pub attests: String,
    /// Items per second; none means the configured default.
    pub per_second: Option<i32>,
    /// Items at once; none means the configured default.
    pub burst: Option<i32>,
    /// Microseconds since 1970.
    pub created_at: i64,
    /// Microseconds since 1970; none while the key is good.
    pub revoked_at: Option<i64>,
}

/// Lists all carriers, revoked ones too, by name.
///
/// # Errors
/// As the database says.
pub fn list_carriers(connection: &mut Connection) -> QueryResult<Vec<CarrierRow>> {
    carriers::table.order(carriers::name).select(CarrierRow::as_select()).load(connection)
}

/// Adds a carrier. `false` when the name is taken.
///
/// # Errors
/// As the database says.
pub fn insert_carrier(connection: &mut Connection, carrier: &CarrierRow) -> QueryResult<bool> {
    let rows = match connection {
        Connection::Sqlite(file) => diesel::insert_or_ignore_into(carriers::table).values(carrier).execute(file)?,
        Connection::Postgresql(session) => {
            diesel::insert_into(carriers::table).values(carrier).on_conflict_do_nothing().execute(session)?
        }
    };
    Ok(rows == 1)
}

/// Revokes a carrier's key. `false` when no such carrier has a good key.
///
/// # Errors
/// As the database says.
pub fn revoke_carrier(connection: &mut Connection, name: &str, now_micros: i64) -> QueryResult<bool> {
    diesel::update(carriers::table.filter(carriers::name.eq(name)).filter(carriers::revoked_at.is_null()))
        .set(carriers::revoked_at.eq(now_micros))
        .execute(connection)
        .map(|rows| rows == 1)
}
