//! Blanking the rows of withdrawn reports, after their withdrawal is built in and apart from it.
//!
//! What is to be blanked is written down in the slice's transaction and stays due until it is done, whatever dies in
//! between. Doing it twice does no harm.

use crate::store::StoreError;
use crate::store::connection::{Connection, StoreLocation};
use crate::store::withdrawing;

/// Blanks some of the rows that are due; how many.
///
/// # Errors
/// As the database says; what is not blanked stays due.
pub fn blank_some(location: &StoreLocation, connection: &mut Connection) -> Result<usize, StoreError> {
    if !withdrawing::has_rows_to_blank(connection)? {
        return Ok(0);
    }
    match connection {
        Connection::Postgresql(session) => {
            Ok(usize::try_from(withdrawing::blank_in_database(session)?).unwrap_or_default())
        }
        Connection::Sqlite(file) => {
            let rows = withdrawing::list_rows_to_blank(file)?;
            // A connection of its own: the builder's may not write the journal, or its transactions would hold both locks.
            if let Connection::Sqlite(journal) = &mut location.open_journal_writer()? {
                withdrawing::blank_in_file(journal, &rows)?;
            }
            withdrawing::mark_blank(file, &rows)?;
            Ok(rows.len())
        }
    }
}
