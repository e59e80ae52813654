//! What became of each carrier's reports, by day: figures, not the truth, which is in the journal.

use diesel::prelude::*;
use diesel::upsert::excluded;

use super::connection::{Connection, write_transaction};
use super::schema::carrier_usage;

/// A figure: how often something happened to a carrier on a day.
#[derive(Queryable, Selectable, Insertable, Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
#[diesel(table_name = carrier_usage)]
pub struct UsageRow {
    /// The carrier's UUID, 16 bytes.
    pub carrier_id: Vec<u8>,
    /// Days since 1970-01-01, of the region's time.
    pub day: i32,
    /// `accepted`, `duplicate`, or the code of a problem.
    pub what: String,
    /// How often.
    pub count: i64,
}

/// Adds to the figures. All or none.
///
/// # Errors
/// As the database says.
pub fn add_usage(connection: &mut Connection, rows: &[UsageRow]) -> QueryResult<()> {
    // In one order: two nodes that lock the same rows wait for each other at most in turn.
    let mut rows = rows.to_vec();
    rows.sort();
    let key = (carrier_usage::carrier_id, carrier_usage::day, carrier_usage::what);
    write_transaction(connection, |connection| {
        for row in &rows {
            let insert = diesel::insert_into(carrier_usage::table).values(row).on_conflict(key).do_update();
            let sum = carrier_usage::count.eq(carrier_usage::count + excluded(carrier_usage::count));
            match connection {
                Connection::Sqlite(file) => insert.set(sum).execute(file)?,
                Connection::Postgresql(session) => insert.set(sum).execute(session)?,
            };
        }
        Ok(())
    })
}

/// The figures of a carrier from the first to the last of these days, by day.
///
/// # Errors
/// As the database says.
pub fn list_usage(
    connection: &mut Connection,
    carrier_id: &[u8],
    first_day: i32,
    last_day: i32,
) -> QueryResult<Vec<UsageRow>> {
    carrier_usage::table
        .filter(carrier_usage::carrier_id.eq(carrier_id))
        .filter(carrier_usage::day.between(first_day, last_day))
        .order((carrier_usage::day, carrier_usage::what))
        .select(UsageRow::as_select())
        .load(connection)
}
