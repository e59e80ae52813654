//! What it takes to take one report out of the counts again: single rows, on both engines the same. Rare beside what
//! `building` does in bulk, so nothing here is tuned.

use diesel::prelude::*;

use super::building::{FigureKey, IndexRow, VoiceBefore};
use super::connection::Connection;
use super::schema::{
    amended_reports, case_totals, caseless_figures, cases, counted_fingerprints, report_index, voices,
};

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

/// Whether an amendment of this report has taken effect.
///
/// # Errors
/// As the database says.
pub fn is_amended(connection: &mut Connection, report_id: &[u8]) -> QueryResult<bool> {
    diesel::select(diesel::dsl::exists(amended_reports::table.find(report_id))).get_result(connection)
}

/// Records that the amendment at `seq` has taken effect.
///
/// # Errors
/// As the database says.
pub fn insert_amended(connection: &mut Connection, report_id: &[u8], seq: i64) -> QueryResult<()> {
    diesel::insert_into(amended_reports::table)
        .values((amended_reports::report_id.eq(report_id), amended_reports::seq.eq(seq)))
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

/// Takes one counted report from a voice, which goes with its last one. What the voice was; none when there is none.
///
/// # Errors
/// As the database says.
pub fn take_from_voice(
    connection: &mut Connection,
    case_id: i64,
    reporter_tag: &[u8],
) -> QueryResult<Option<VoiceBefore>> {
    let voice = voices::table.find((case_id, reporter_tag));
    let before = voice
        .select((voices::reports, voices::proof, voices::attested_by, voices::is_legit))
        .first::<VoiceBefore>(connection)
        .optional()?;
    if let Some(before) = &before {
        if before.reports > 1 {
            diesel::update(voice).set(voices::reports.eq(before.reports - 1)).execute(connection)?;
        } else {
            diesel::delete(voice).execute(connection)?;
        }
    }
    Ok(before)
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
