//! The builder: reads the journal in order, in slices, and turns reports into cases and voices.
//!
//! The cursor's row is its lock: each slice is one transaction that begins by taking it, and effects and cursor commit
//! together. So there is at most one builder, a crash repeats a whole slice or nothing, and the result depends on the
//! journal alone: the same with, without and after the loss of the fast state.

use diesel::QueryResult;

use super::amendment;
use super::slice::Slice;
use super::withdrawal;
use crate::domain::check_char;
use crate::domain::clock::Moment;
use crate::domain::vocabulary::EventKind;
use crate::store::StoreError;
use crate::store::building::{self, Cursor};
use crate::store::connection::{Connection, write_transaction};
use crate::store::journal::{self, JournalRow};
use crate::store::withdrawing;

/// Random characters of a case reference before its check character: 35 bits.
const REFERENCE_CHARACTERS: usize = 7;

/// Why a slice was not built.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The system's random source failed.
    #[error("the system gives no random bytes for a case reference")]
    Random,
}

impl From<diesel::result::Error> for BuildError {
    fn from(error: diesel::result::Error) -> Self {
        Self::Store(error.into())
    }
}

/// What one turn of the builder did.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Turn {
    /// Journal rows built in.
    pub rows: usize,
    /// Report ids found to have been used for two bodies.
    pub conflicts: usize,
    /// The cursor did not fit the journal, so everything derived was emptied and is being made anew.
    pub rebuild_began: bool,
    /// The row the cursor stands at now.
    pub cursor_seq: i64,
}

/// Builds the next slice of at most `slice_rows` rows. Cases opened in it get references that begin with `country`.
///
/// # Errors
/// Nothing of the slice has taken effect then.
pub fn build_slice(connection: &mut Connection, country: &str, slice_rows: i64) -> Result<Turn, BuildError> {
    write_transaction(connection, |connection| {
        let cursor = building::try_lock_cursor(connection)?;
        if !cursor_fits(connection, &cursor)? {
            // The journal that is there now is what there is to reach.
            let furthest_seq = journal::find_last_seq(connection)?;
            building::delete_derived(connection, furthest_seq)?;
            building::cut_closed_spans(connection, furthest_seq)?;
            withdrawing::cut_withdrawn(connection, furthest_seq)?;
            return Ok(Turn { rebuild_began: true, ..Turn::default() });
        }
        let horizon = journal::find_horizon(connection)?;
        let rows = journal::list_between(connection, cursor.seq, horizon, slice_rows)?;
        let Some(last) = rows.last() else { return Ok(Turn { cursor_seq: cursor.seq, ..Turn::default() }) };
        let furthest_seq = cursor.furthest_seq.max(last.seq);
        let next = Cursor { seq: last.seq, report_id: Some(last.report_id.clone()), furthest_seq };
        let year = Moment(last.received_at).year();
        let conflicts = build_rows(connection, &rows, || draw_reference(country, year))?;
        building::update_cursor(connection, &next)?;
        Ok(Turn { rows: rows.len(), conflicts, rebuild_began: false, cursor_seq: next.seq })
    })
}

/// Builds rows in. Amendments and withdrawals stand between slices: what they take back must be written by then.
fn build_rows(
    connection: &mut Connection,
    rows: &[JournalRow],
    mut draw_reference: impl FnMut() -> Result<String, BuildError>,
) -> Result<usize, BuildError> {
    let mut conflicts = 0;
    for run in rows.chunk_by(|one, next| one.event == EventKind::Report && next.event == EventKind::Report) {
        conflicts += match run {
            [amendment] if amendment.event == EventKind::Amendment => {
                amendment::apply(connection, amendment, &mut draw_reference)?
            }
            [withdrawal] if withdrawal.event == EventKind::Withdrawal => {
                withdrawal::apply(connection, withdrawal)?;
                0
            }
            reports => {
                let mut slice = Slice::load(connection, reports, &mut draw_reference)?;
                for report in reports {
                    slice.add(connection, report)?;
                }
                slice.finish(connection)?
            }
        };
    }
    Ok(conflicts)
}

/// Whether the row at the cursor is still the one that was built in. It is not after the journal was restored from a
/// backup or swapped: what was derived from it cannot be trusted then.
fn cursor_fits(connection: &mut Connection, cursor: &Cursor) -> QueryResult<bool> {
    if cursor.seq == 0 {
        return Ok(true);
    }
    Ok(journal::find_report_id_at(connection, cursor.seq)? == cursor.report_id)
}

/// Whether the journal is another than the one that was built from: restored from a backup, or swapped.
///
/// # Errors
/// As the database says.
pub fn is_journal_replaced(connection: &mut Connection) -> QueryResult<bool> {
    let cursor = building::find_cursor(connection)?;
    Ok(!cursor_fits(connection, &cursor)?)
}

/// Empties everything derived, so that the next slices make it anew. Cases, references and decisions stay. The row that
/// the rebuild has to reach.
///
/// # Errors
/// As the database says.
pub fn begin_rebuild(connection: &mut Connection) -> Result<i64, BuildError> {
    write_transaction(connection, |connection| {
        let furthest_seq = building::lock_cursor(connection)?.furthest_seq;
        building::delete_derived(connection, furthest_seq)?;
        Ok(furthest_seq)
    })
}

/// A reference such as `VN-2026-7K3QXWA4`: country, year, 7 random characters and a check character.
fn draw_reference(country: &str, year: i16) -> Result<String, BuildError> {
    let mut random = [0; 5];
    getrandom::fill(&mut random).map_err(|_| BuildError::Random)?;
    Ok(format!("{country}-{year}-{}", check_char::encode(&random, REFERENCE_CHARACTERS)))
}
