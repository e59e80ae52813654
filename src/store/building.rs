//! What the builder reads and writes: its cursor, the index of reports, cases, voices and totals.
//!
//! Every function works inside the builder's one transaction per slice.

use std::collections::HashMap;

use diesel::prelude::*;
use diesel::sql_types::{BigInt, Text};

use super::connection::Connection;
use super::schema::{builder_cursor, case_totals, caseless_figures, cases, counted_fingerprints, report_index, voices};
use crate::domain::grouping::GroupKey;
use crate::domain::vocabulary::Proof;

/// Values bound in one `IN (…)`; SQLite takes 32,766.
const LOOK_UP_CHUNK: usize = 1_000;
/// Rows in one INSERT.
const INSERT_CHUNK: usize = 500;

/// How far the builder has come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cursor {
    /// The last row that is built in.
    pub seq: i64,
    /// The report id of that row; none before the first.
    pub report_id: Option<Vec<u8>>,
}

/// Finds the cursor.
///
/// # Errors
/// As the database says.
pub fn find_cursor(connection: &mut Connection) -> QueryResult<Cursor> {
    builder_cursor::table
        .select((builder_cursor::seq, builder_cursor::report_id))
        .first(connection)
        .map(|(seq, report_id)| Cursor { seq, report_id })
}

/// Moves the cursor.
///
/// # Errors
/// As the database says.
pub fn update_cursor(connection: &mut Connection, cursor: &Cursor) -> QueryResult<()> {
    diesel::update(builder_cursor::table.find(1))
        .set((builder_cursor::seq.eq(cursor.seq), builder_cursor::report_id.eq(&cursor.report_id)))
        .execute(connection)
        .map(|_| ())
}

/// Empties everything derived and sets the cursor to the start of the journal. Cases keep their identity.
///
/// # Errors
/// As the database says.
pub fn delete_derived(connection: &mut Connection) -> QueryResult<()> {
    diesel::delete(case_totals::table).execute(connection)?;
    diesel::delete(voices::table).execute(connection)?;
    diesel::delete(report_index::table).execute(connection)?;
    diesel::delete(counted_fingerprints::table).execute(connection)?;
    diesel::delete(caseless_figures::table).execute(connection)?;
    update_cursor(connection, &Cursor { seq: 0, report_id: None })
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
/// # Errors
/// As the database says.
pub fn find_indexed_seqs(connection: &mut Connection, ids: &[&[u8]]) -> QueryResult<HashMap<Vec<u8>, i64>> {
    let mut found = HashMap::new();
    for chunk in ids.chunks(LOOK_UP_CHUNK) {
        let rows = report_index::table
            .filter(report_index::report_id.eq_any(chunk))
            .select((report_index::report_id, report_index::seq))
            .load::<(Vec<u8>, i64)>(connection)?;
        found.extend(rows);
    }
    Ok(found)
}

/// Inserts index rows, in the order of their key, which touches each page of the index once.
///
/// # Errors
/// As the database says.
pub fn insert_index_rows(connection: &mut Connection, rows: &[IndexRow]) -> QueryResult<()> {
    for chunk in rows.chunks(INSERT_CHUNK) {
        diesel::insert_into(report_index::table).values(chunk).execute(connection)?;
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
    for chunk in fingerprints.chunks(LOOK_UP_CHUNK) {
        let rows = counted_fingerprints::table
            .filter(counted_fingerprints::fingerprint.eq_any(chunk))
            .load::<CountedRow>(connection)?;
        found.extend(rows.into_iter().map(|row| (row.fingerprint.clone(), row)));
    }
    Ok(found)
}

/// Records counted reports, replacing older ones of the same fingerprint.
///
/// # Errors
/// As the database says.
pub fn upsert_counted(connection: &mut Connection, rows: &[CountedRow]) -> QueryResult<()> {
    for chunk in rows.chunks(INSERT_CHUNK) {
        diesel::replace_into(counted_fingerprints::table).values(chunk).execute(connection)?;
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
    for chunk in keys.chunks(LOOK_UP_CHUNK) {
        let bytes: Vec<&[u8]> = chunk.iter().map(|key| key.as_bytes()).collect();
        let rows = cases::table
            .filter(cases::group_key.eq_any(bytes))
            .select((cases::id, cases::group_key, cases::opened_seq, cases::closed_seq))
            .load::<CaseSpan>(connection)?;
        found.extend(rows);
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

/// A reporter's part in a case, of one slice.
pub struct VoiceAddition<'a> {
    /// The case.
    pub case_id: i64,
    /// Keyed hash of the reporter.
    pub reporter_tag: &'a [u8],
    /// Counted reports in the slice.
    pub reports: i64,
    /// Strongest proof in the slice.
    pub proof: Proof,
    /// Who gave that proof.
    pub attested_by: &'a [u8],
}

/// Adds to a voice, and tells which proof it had before; `None` when the voice is new.
///
/// # Errors
/// As the database says.
pub fn upsert_voice(connection: &mut Connection, voice: &VoiceAddition<'_>) -> QueryResult<Option<Proof>> {
    let inserted = diesel::insert_or_ignore_into(voices::table)
        .values((
            voices::case_id.eq(voice.case_id),
            voices::reporter_tag.eq(voice.reporter_tag),
            voices::reports.eq(voice.reports),
            voices::proof.eq(voice.proof.as_str()),
            voices::attested_by.eq(voice.attested_by),
        ))
        .execute(connection)?;
    if inserted == 1 {
        return Ok(None);
    }
    let row = voices::table.find((voice.case_id, voice.reporter_tag));
    let before = row.select(voices::proof).first::<String>(connection)?;
    let before = Proof::parse(&before).unwrap_or(Proof::None);
    diesel::update(row).set(voices::reports.eq(voices::reports + voice.reports)).execute(connection)?;
    if voice.proof > before {
        diesel::update(row)
            .set((voices::proof.eq(voice.proof.as_str()), voices::attested_by.eq(voice.attested_by)))
            .execute(connection)?;
    }
    Ok(Some(before))
}

/// What one slice adds to a case.
#[derive(Clone)]
pub struct TotalsAddition {
    /// A word of `SenderKind`, or `mixed`.
    pub sender_kind: &'static str,
    /// Reports, repeats among them.
    pub reports: i64,
    /// Repeats.
    pub repeats: i64,
    /// New voices.
    pub voices: i64,
    /// New voices that nobody entitled attests, less those that have been attested since.
    pub foreign_voices: i64,
    /// Of SMS.
    pub sms: i64,
    /// Of calls.
    pub calls: i64,
    /// By source, in the order of `Source::ALL`.
    pub by_source: [i64; 4],
    /// Whose reporter lost money.
    pub money_lost: i64,
    /// Earliest, microseconds.
    pub first_report_at: i64,
    /// Latest, microseconds.
    pub last_report_at: i64,
}

/// Word for a case whose reports name senders of several kinds.
pub const MIXED: &str = "mixed";

/// Adds to a case's totals.
///
/// # Errors
/// As the database says.
pub fn upsert_totals(connection: &mut Connection, case_id: i64, add: &TotalsAddition) -> QueryResult<()> {
    let [carrier_api, carrier_batch, carrier_mo, web] = add.by_source;
    // By hand: diesel's builder has no `excluded` for a dozen columns that reads as plainly, and the statement is the
    // same on both engines.
    diesel::sql_query(
        "INSERT INTO case_totals AS t (case_id, sender_kind, reports, repeats, voices, foreign_voices, sms, calls, \
         carrier_api, carrier_batch, carrier_mo, web, money_lost, first_report_at, last_report_at) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15) \
         ON CONFLICT (case_id) DO UPDATE SET \
         sender_kind = CASE WHEN t.sender_kind = excluded.sender_kind THEN t.sender_kind ELSE 'mixed' END, \
         reports = t.reports + excluded.reports, repeats = t.repeats + excluded.repeats, \
         voices = t.voices + excluded.voices, foreign_voices = t.foreign_voices + excluded.foreign_voices, \
         sms = t.sms + excluded.sms, calls = t.calls + excluded.calls, \
         carrier_api = t.carrier_api + excluded.carrier_api, carrier_batch = t.carrier_batch + excluded.carrier_batch, \
         carrier_mo = t.carrier_mo + excluded.carrier_mo, web = t.web + excluded.web, \
         money_lost = t.money_lost + excluded.money_lost, \
         first_report_at = CASE WHEN excluded.first_report_at < t.first_report_at \
                           THEN excluded.first_report_at ELSE t.first_report_at END, \
         last_report_at = CASE WHEN excluded.last_report_at > t.last_report_at \
                          THEN excluded.last_report_at ELSE t.last_report_at END",
    )
    .bind::<BigInt, _>(case_id)
    .bind::<Text, _>(add.sender_kind)
    .bind::<BigInt, _>(add.reports)
    .bind::<BigInt, _>(add.repeats)
    .bind::<BigInt, _>(add.voices)
    .bind::<BigInt, _>(add.foreign_voices)
    .bind::<BigInt, _>(add.sms)
    .bind::<BigInt, _>(add.calls)
    .bind::<BigInt, _>(carrier_api)
    .bind::<BigInt, _>(carrier_batch)
    .bind::<BigInt, _>(carrier_mo)
    .bind::<BigInt, _>(web)
    .bind::<BigInt, _>(add.money_lost)
    .bind::<BigInt, _>(add.first_report_at)
    .bind::<BigInt, _>(add.last_report_at)
    .execute(connection)
    .map(|_| ())
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
    diesel::sql_query(
        "INSERT INTO caseless_figures AS f (day, category, sender_kind, channel, reports) VALUES ($1, $2, $3, $4, $5) \
         ON CONFLICT (day, category, sender_kind, channel) DO UPDATE SET reports = f.reports + excluded.reports",
    )
    .bind::<BigInt, _>(key.day)
    .bind::<Text, _>(key.category)
    .bind::<Text, _>(key.sender_kind)
    .bind::<Text, _>(key.channel)
    .bind::<BigInt, _>(reports)
    .execute(connection)
    .map(|_| ())
}
