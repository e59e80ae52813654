//! What it takes to take one report out of the counts again: single rows, on both engines the same. Rare beside what
//! `building` does in bulk, so nothing here is tuned.

use diesel::prelude::*;

use super::building::{FigureKey, IndexRow};
use super::connection::Connection;
use super::schema::{amended_reports, case_totals, caseless_figures, cases, counted_fingerprints, report_index};

/// Finds what is known of a report that is built in.
///
/// # Errors
/// As the database says.
pub fn find_index_row(connection: &mut Connection, report_id: &[u8]) -> QueryResult<Option<IndexRow>> {
    report_index::table.find(report_id).first(connection).optional()
}

/// Takes a report out of the index.
///
/// # Errors
/// As the database says.
pub fn delete_index_row(connection: &mut Connection, report_id: &[u8]) -> QueryResult<()> {
    diesel::delete(report_index::table.find(report_id)).execute(connection).map(|_| ())
}

/// An amendment that has taken effect.
#[derive(Queryable, Selectable)]
#[diesel(table_name = amended_reports)]
pub struct Amended {
    /// Its row.
    pub seq: i64,
    /// The case that the report was in before.
    pub case_id: Option<i64>,
    /// What the report repeated before.
    pub repeat_of: Option<Vec<u8>>,
}

/// Finds the amendment of this report that has taken effect.
///
/// # Errors
/// As the database says.
pub fn find_amended(connection: &mut Connection, report_id: &[u8]) -> QueryResult<Option<Amended>> {
    amended_reports::table.find(report_id).select(Amended::as_select()).first(connection).optional()
}

/// Records that the amendment at `seq` has taken effect on a report that stood in the index as `before`.
///
/// # Errors
/// As the database says.
pub fn insert_amended(connection: &mut Connection, before: &IndexRow, seq: i64) -> QueryResult<()> {
    diesel::insert_into(amended_reports::table)
        .values((
            amended_reports::report_id.eq(&before.report_id),
            amended_reports::seq.eq(seq),
            amended_reports::case_id.eq(before.case_id),
            amended_reports::repeat_of.eq(&before.repeat_of),
        ))
        .execute(connection)
        .map(|_| ())
}

/// The last row that belongs to a case; none while it is open.
///
/// # Errors
/// As the database says.
pub fn find_closed_seq(connection: &mut Connection, case_id: i64) -> QueryResult<Option<i64>> {
    cases::table.find(case_id).select(cases::closed_seq).first(connection)
}

/// Takes the totals of a case away: it has no report left.
///
/// # Errors
/// As the database says.
pub fn delete_totals(connection: &mut Connection, case_id: i64) -> QueryResult<()> {
    diesel::delete(case_totals::table.find(case_id)).execute(connection).map(|_| ())
}

/// Forgets that a fingerprint is counted, if it is by this report.
///
/// # Errors
/// As the database says.
pub fn delete_counted(connection: &mut Connection, fingerprint: &[u8], report_id: &[u8]) -> QueryResult<()> {
    let counted = counted_fingerprints::table.find(fingerprint).filter(counted_fingerprints::report_id.eq(report_id));
    diesel::delete(counted).execute(connection).map(|_| ())
}

/// Takes one from the figures of reports that make no case.
///
/// # Errors
/// As the database says.
pub fn take_from_figure(connection: &mut Connection, key: &FigureKey) -> QueryResult<()> {
    use caseless_figures::dsl as f;
    let row = f::caseless_figures.find((key.day, key.category, key.sender_kind, key.channel));
    diesel::update(row).set(f::reports.eq(f::reports - 1)).execute(connection)?;
    diesel::delete(row.filter(f::reports.le(0))).execute(connection).map(|_| ())
}
