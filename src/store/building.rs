//! What the builder reads and writes: its cursor, the index of reports, cases, voices and totals.
//!
//! Every function works inside the builder's one transaction per slice.

use std::collections::HashMap;

use diesel::prelude::*;

use super::connection::Connection;
use super::schema::{builder_cursor, case_totals, caseless_figures, cases, counted_fingerprints, report_index, voices};
use crate::domain::grouping::GroupKey;

/// How far the builder has come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cursor {
    /// The last row that is built in.
    pub seq: i64,
    /// The report id of that row; none before the first.
    pub report_id: Option<Vec<u8>>,
    /// How far it has ever been.
    pub furthest_seq: i64,
}

/// Finds the cursor.
///
/// # Errors
/// As the database says.
pub fn find_cursor(connection: &mut Connection) -> QueryResult<Cursor> {
    builder_cursor::table
        .select((builder_cursor::seq, builder_cursor::report_id, builder_cursor::furthest_seq))
        .first(connection)
        .map(|(seq, report_id, furthest_seq)| Cursor { seq, report_id, furthest_seq })
}

/// Moves the cursor.
///
/// # Errors
/// As the database says.
pub fn update_cursor(connection: &mut Connection, cursor: &Cursor) -> QueryResult<()> {
    diesel::update(builder_cursor::table.find(1))
        .set((
            builder_cursor::seq.eq(cursor.seq),
            builder_cursor::report_id.eq(&cursor.report_id),
            builder_cursor::furthest_seq.eq(cursor.furthest_seq),
        ))
        .execute(connection)
        .map(|_| ())
}

/// Empties everything derived and sets the cursor to the start of the journal, on its way to `furthest_seq`. Cases keep
/// their identity.
///
/// # Errors
/// As the database says.
pub fn delete_derived(connection: &mut Connection, furthest_seq: i64) -> QueryResult<()> {
    diesel::delete(case_totals::table).execute(connection)?;
    diesel::delete(voices::table).execute(connection)?;
    diesel::delete(report_index::table).execute(connection)?;
    diesel::delete(counted_fingerprints::table).execute(connection)?;
    diesel::delete(caseless_figures::table).execute(connection)?;
    update_cursor(connection, &Cursor { seq: 0, report_id: None, furthest_seq })
}

/// Ends the spans of decided cases at `last_seq`: later rows of a journal that was restored are other reports.
///
/// # Errors
/// As the database says.
pub fn cut_closed_spans(connection: &mut Connection, last_seq: i64) -> QueryResult<()> {
    diesel::update(cases::table.filter(cases::closed_seq.gt(last_seq)))
        .set(cases::closed_seq.eq(last_seq))
        .execute(connection)
        .map(|_| ())
}

/// A report that is built in.
#[derive(Insertable, Clone)]
#[diesel(table_name = report_index, treat_none_as_default_value = false)]
pub struct IndexRow {
    /// Computed id.
    pub report_id: Vec<u8>,
    /// Its row in the journal.
    pub seq: i64,
    /// Who sent it.
    pub owner: Vec<u8>,
    /// Its case, when it has one.
    pub case_id: Option<i64>,
    /// The counted report it repeats.
    pub repeat_of: Option<Vec<u8>>,
    /// Its id was used again for another body.
    pub conflict: bool,
}

/// Finds where in the journal these report ids stand first.
///
/// One prepared look-up an id: for SQLite, which runs in this process, that is cheaper than parsing a list of a thousand.
///
/// # Errors
/// As the database says.
pub fn find_indexed_seqs(connection: &mut Connection, ids: &[&[u8]]) -> QueryResult<HashMap<Vec<u8>, i64>> {
    let mut found = HashMap::new();
    for id in ids {
        let seq = report_index::table.find(*id).select(report_index::seq).first(connection).optional()?;
        found.extend(seq.map(|seq| (id.to_vec(), seq)));
    }
    Ok(found)
}

/// Inserts index rows. In the order of their key they touch each page of the index once.
///
/// # Errors
/// As the database says.
pub fn insert_index_rows(connection: &mut Connection, rows: &[IndexRow]) -> QueryResult<()> {
    for row in rows {
        diesel::insert_into(report_index::table).values(row).execute(connection)?;
    }
    Ok(())
}

/// Marks that a report id was used again for another body.
///
/// # Errors
/// As the database says.
pub fn update_conflict(connection: &mut Connection, report_id: &[u8]) -> QueryResult<()> {
    diesel::update(report_index::table.find(report_id))
        .set(report_index::conflict.eq(true))
        .execute(connection)
        .map(|_| ())
}

/// The counted report of a fingerprint.
#[derive(Insertable, Queryable, Clone)]
#[diesel(table_name = counted_fingerprints, treat_none_as_default_value = false)]
pub struct CountedRow {
    /// What makes two reports the same.
    pub fingerprint: Vec<u8>,
    /// The counted report.
    pub report_id: Vec<u8>,
    /// Its case, when it has one.
    pub case_id: Option<i64>,
    /// When it was taken, microseconds.
    pub received_at: i64,
}

/// Finds the latest counted report of each fingerprint.
///
/// # Errors
/// As the database says.
pub fn find_counted(connection: &mut Connection, fingerprints: &[&[u8]]) -> QueryResult<HashMap<Vec<u8>, CountedRow>> {
    let mut found = HashMap::new();
    for fingerprint in fingerprints {
        let row = counted_fingerprints::table.find(*fingerprint).first::<CountedRow>(connection).optional()?;
        found.extend(row.map(|row| (row.fingerprint.clone(), row)));
    }
    Ok(found)
}

/// Records counted reports, replacing older ones of the same fingerprint.
///
/// # Errors
/// As the database says.
pub fn upsert_counted(connection: &mut Connection, rows: &[CountedRow]) -> QueryResult<()> {
    for row in rows {
        diesel::replace_into(counted_fingerprints::table).values(row).execute(connection)?;
    }
    Ok(())
}

/// Forgets counted reports taken before `before_micros`.
///
/// # Errors
/// As the database says.
pub fn delete_counted_before(connection: &mut Connection, before_micros: i64) -> QueryResult<usize> {
    diesel::delete(counted_fingerprints::table.filter(counted_fingerprints::received_at.lt(before_micros)))
        .execute(connection)
}

/// A case as the builder needs it.
#[derive(Queryable, Clone)]
pub struct CaseSpan {
    /// Row id.
    pub id: i64,
    /// What it is found by.
    pub group_key: Vec<u8>,
    /// The journal row that opened it.
    pub opened_seq: i64,
    /// The last journal row that can belong to it; none while open.
    pub closed_seq: Option<i64>,
}

/// Finds all cases of these groups, open and closed: in a rebuild, older rows belong to closed ones.
///
/// # Errors
/// As the database says.
pub fn list_cases_of_groups(connection: &mut Connection, keys: &[&GroupKey]) -> QueryResult<Vec<CaseSpan>> {
    let mut found = Vec::new();
    for key in keys {
        found.extend(
            cases::table
                .filter(cases::group_key.eq(key.as_bytes()))
                .select((cases::id, cases::group_key, cases::opened_seq, cases::closed_seq))
                .load::<CaseSpan>(connection)?,
        );
    }
    Ok(found)
}

/// Opens a case. `None` when the reference is taken: draw another.
///
/// # Errors
/// As the database says.
pub fn insert_case(
    connection: &mut Connection,
    reference: &str,
    key: &GroupKey,
    category: &str,
    opened_seq: i64,
) -> QueryResult<Option<i64>> {
    let taken = diesel::select(diesel::dsl::exists(cases::table.filter(cases::reference.eq(reference))))
        .get_result::<bool>(connection)?;
    if taken {
        return Ok(None);
    }
    diesel::insert_into(cases::table)
        .values((
            cases::reference.eq(reference),
            cases::group_key.eq(key.as_bytes()),
            cases::category.eq(category),
            cases::opened_seq.eq(opened_seq),
        ))
        .returning(cases::id)
        .get_result(connection)
        .map(Some)
}

/// A reporter's part in a case.
#[derive(Insertable)]
#[diesel(table_name = voices)]
pub struct VoiceRow<'a> {
    /// The case.
    pub case_id: i64,
    /// Keyed hash of the reporter.
    pub reporter_tag: &'a [u8],
    /// Counted reports.
    pub reports: i64,
    /// A word of `Proof`: the strongest.
    pub proof: &'static str,
    /// Who gave that proof.
    pub attested_by: &'a [u8],
}

/// What a voice was before.
#[derive(Queryable)]
pub struct VoiceBefore {
    /// Counted reports.
    pub reports: i64,
    /// A word of `Proof`.
    pub proof: String,
    /// Who gave that proof.
    pub attested_by: Vec<u8>,
}

/// Inserts a voice, unless the case has it already; what it was, then.
///
/// # Errors
/// As the database says.
pub fn insert_new_voice(connection: &mut Connection, voice: &VoiceRow<'_>) -> QueryResult<Option<VoiceBefore>> {
    if diesel::insert_or_ignore_into(voices::table).values(voice).execute(connection)? == 1 {
        return Ok(None);
    }
    voices::table
        .find((voice.case_id, voice.reporter_tag))
        .select((voices::reports, voices::proof, voices::attested_by))
        .first(connection)
        .map(Some)
}

/// Writes a voice over what it was. (`REPLACE` and not `UPDATE`: diesel prepares every `UPDATE` anew, and parsing took
/// half of the builder's time.)
///
/// # Errors
/// As the database says.
pub fn replace_voice(connection: &mut Connection, voice: &VoiceRow<'_>) -> QueryResult<()> {
    diesel::replace_into(voices::table).values(voice).execute(connection).map(|_| ())
}

/// Word for a case whose reports name senders of several kinds.
pub const MIXED: &str = "mixed";

/// The totals of a case, as stored.
#[derive(Queryable, Selectable, Insertable, Clone)]
#[diesel(table_name = case_totals)]
pub struct TotalsRow {
    /// The case.
    pub case_id: i64,
    /// A word of `SenderKind`, or `mixed`.
    pub sender_kind: String,
    /// Reports, repeats among them.
    pub reports: i64,
    /// Repeats.
    pub repeats: i64,
    /// Distinct reporters.
    pub voices: i64,
    /// Distinct reporters that nobody entitled attests.
    pub foreign_voices: i64,
    /// Of SMS.
    pub sms: i64,
    /// Of calls.
    pub calls: i64,
    /// By `POST /v1/reports`.
    pub carrier_api: i64,
    /// In batches.
    pub carrier_batch: i64,
    /// As subscribers' SMS.
    pub carrier_mo: i64,
    /// By the form.
    pub web: i64,
    /// Whose reporter lost money.
    pub money_lost: i64,
    /// Earliest receipt, microseconds.
    pub first_report_at: i64,
    /// Latest receipt, microseconds.
    pub last_report_at: i64,
}

/// Finds a case's totals; none before its first report is built in.
///
/// # Errors
/// As the database says.
pub fn find_totals(connection: &mut Connection, case_id: i64) -> QueryResult<Option<TotalsRow>> {
    case_totals::table.find(case_id).select(TotalsRow::as_select()).first(connection).optional()
}

/// Writes a case's totals over what they were.
///
/// # Errors
/// As the database says.
pub fn replace_totals(connection: &mut Connection, totals: &TotalsRow) -> QueryResult<()> {
    diesel::replace_into(case_totals::table).values(totals).execute(connection).map(|_| ())
}

/// A key of the figures of reports that make no case.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct FigureKey {
    /// Days since 1970, UTC, of receipt.
    pub day: i64,
    /// Word.
    pub category: &'static str,
    /// Word.
    pub sender_kind: &'static str,
    /// Word.
    pub channel: &'static str,
}

/// Adds to the figures of reports that make no case.
///
/// # Errors
/// As the database says.
pub fn upsert_figure(connection: &mut Connection, key: &FigureKey, reports: i64) -> QueryResult<()> {
    use caseless_figures::dsl as f;
    let row = f::caseless_figures.find((key.day, key.category, key.sender_kind, key.channel));
    if diesel::update(row).set(f::reports.eq(f::reports + reports)).execute(connection)? == 1 {
        return Ok(());
    }
    diesel::insert_into(f::caseless_figures)
        .values((
            f::day.eq(key.day),
            f::category.eq(key.category),
            f::sender_kind.eq(key.sender_kind),
            f::channel.eq(key.channel),
            f::reports.eq(reports),
        ))
        .execute(connection)
        .map(|_| ())
}
