//! Check values of the keys this database was written with.

use diesel::prelude::*;

use super::connection::Connection;
use super::schema::key_checks;
use crate::crypto::key_files::KeyCheck;

/// Lists all check values.
///
/// # Errors
/// As the database says.
pub fn list_key_checks(connection: &mut Connection) -> QueryResult<Vec<KeyCheck>> {
    key_checks::table
        .order(key_checks::name)
        .load::<(String, Vec<u8>)>(connection)
        .map(|rows| rows.into_iter().map(|(name, value)| KeyCheck { name, value }).collect())
}

/// Records check values; those that are there already stay.
///
/// # Errors
/// As the database says.
pub fn insert_key_checks(connection: &mut Connection, checks: &[KeyCheck]) -> QueryResult<()> {
    for check in checks {
        let values = (key_checks::name.eq(&check.name), key_checks::value.eq(&check.value));
        match connection {
            Connection::Sqlite(file) => {
                diesel::insert_or_ignore_into(key_checks::table).values(values).execute(file)?;
            }
            Connection::Postgresql(session) => {
                diesel::insert_into(key_checks::table).values(values).on_conflict_do_nothing().execute(session)?;
            }
        }
    }
    Ok(())
}
