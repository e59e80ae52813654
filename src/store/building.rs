//! What the builder reads and writes: its cursor, the index of reports, cases, voices and totals.
//!
//! Every function works inside the builder's one transaction per slice. On SQLite, which runs in this process, rows are
//! looked up and written one by one with statements that stay prepared; PostgreSQL is asked for all of them at once.

use std::collections::HashMap;

use diesel::pg::PgConnection;
use diesel::prelude::*;
use diesel::sql_types::{Array, BigInt, Binary, Bool, Text};
use diesel::sqlite::SqliteConnection;

use super::StoreError;
use super::connection::Connection;
use super::schema::{
    amended_reports, builder_cursor, case_totals, caseless_figures, cases, counted_fingerprints, further_rows,
    report_index, voice_parts, voices,
};
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

type CursorColumns = (builder_cursor::seq, builder_cursor::report_id, builder_cursor::furthest_seq);
const CURSOR_COLUMNS: CursorColumns = (builder_cursor::seq, builder_cursor::report_id, builder_cursor::furthest_seq);

impl From<(i64, Option<Vec<u8>>, i64)> for Cursor {
    fn from((seq, report_id, furthest_seq): (i64, Option<Vec<u8>>, i64)) -> Self {
        Self { seq, report_id, furthest_seq }
    }
}

/// Finds the cursor.
///
/// # Errors
/// As the database says.
pub fn find_cursor(connection: &mut Connection) -> QueryResult<Cursor> {
    builder_cursor::table.select(CURSOR_COLUMNS).first::<(i64, Option<Vec<u8>>, i64)>(connection).map(Cursor::from)
}

/// How far the builder has come.
///
/// # Errors
/// As the database says.
pub fn find_cursor_seq(connection: &mut Connection) -> QueryResult<i64> {
    builder_cursor::table.select(builder_cursor::seq).first(connection)
}

/// Takes the cursor for the transaction, waiting for who has it. On SQLite the transaction has it from its begin on.
///
/// # Errors
/// As the database says.
pub fn lock_cursor(connection: &mut Connection) -> QueryResult<Cursor> {
    match connection {
        Connection::Sqlite(_) => find_cursor(connection),
        Connection::Postgresql(session) => builder_cursor::table
            .select(CURSOR_COLUMNS)
            .for_update()
            .first::<(i64, Option<Vec<u8>>, i64)>(session)
            .map(Cursor::from),
    }
}

/// Takes the cursor for the transaction, or says at once that another has it.
///
/// # Errors
/// As the database says, or [`StoreError::CursorHeld`].
pub fn try_lock_cursor(connection: &mut Connection) -> Result<Cursor, StoreError> {
    match connection {
        Connection::Sqlite(_) => Ok(find_cursor(connection)?),
        Connection::Postgresql(session) => builder_cursor::table
            .select(CURSOR_COLUMNS)
            .for_update()
            .skip_locked()
            .first::<(i64, Option<Vec<u8>>, i64)>(session)
            .optional()?
            .map(Cursor::from)
            .ok_or(StoreError::CursorHeld),
    }
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
    diesel::delete(amended_reports::table).execute(connection)?;
    diesel::delete(further_rows::table).execute(connection)?;
    diesel::delete(voice_parts::table).execute(connection)?;
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
#[derive(Insertable, Queryable, Clone)]
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
    /// The row that took it back.
    pub withdrawn_seq: Option<i64>,
}

/// Finds where in the journal these report ids stand first.
///
/// # Errors
/// As the database says.
pub fn find_indexed_seqs(connection: &mut Connection, ids: &[&[u8]]) -> QueryResult<HashMap<Vec<u8>, i64>> {
    match connection {
        Connection::Sqlite(file) => {
            let mut found = HashMap::new();
            for id in ids {
                let seq = report_index::table.find(*id).select(report_index::seq).first(file).optional()?;
                found.extend(seq.map(|seq| (id.to_vec(), seq)));
            }
            Ok(found)
        }
        Connection::Postgresql(session) => report_index::table
            .filter(report_index::report_id.eq_any(ids))
            .select((report_index::report_id, report_index::seq))
            .load::<(Vec<u8>, i64)>(session)
            .map(|rows| rows.into_iter().collect()),
    }
}

/// Inserts index rows. In the order of their key they touch each page of the index once.
///
/// # Errors
/// As the database says.
pub fn insert_index_rows(connection: &mut Connection, rows: &[IndexRow]) -> QueryResult<()> {
    match connection {
        Connection::Sqlite(file) => {
            for row in rows {
                diesel::insert_into(report_index::table).values(row).execute(file)?;
            }
            Ok(())
        }
        Connection::Postgresql(_) if rows.is_empty() => Ok(()),
        Connection::Postgresql(session) => {
            diesel::copy_from(report_index::table).from_insertable(rows).execute(session).map(|_| ())
        }
    }
}

/// Marks that a report id was used again for another body; not of a report that was withdrawn, whose body is gone.
///
/// # Errors
/// As the database says.
pub fn update_conflict(connection: &mut Connection, report_id: &[u8]) -> QueryResult<()> {
    diesel::update(report_index::table.find(report_id).filter(report_index::withdrawn_seq.is_null()))
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
    let rows = match connection {
        Connection::Sqlite(file) => {
            let mut rows = Vec::new();
            for fingerprint in fingerprints {
                let row = counted_fingerprints::table.find(*fingerprint).first::<CountedRow>(file).optional()?;
                rows.extend(row);
            }
            rows
        }
        Connection::Postgresql(session) => counted_fingerprints::table
            .filter(counted_fingerprints::fingerprint.eq_any(fingerprints))
            .load::<CountedRow>(session)?,
    };
    Ok(rows.into_iter().map(|row| (row.fingerprint.clone(), row)).collect())
}

/// Records counted reports. `replaced` are the fingerprints among them that had an older one.
///
/// # Errors
/// As the database says.
pub fn write_counted(connection: &mut Connection, rows: &[CountedRow], replaced: &[&[u8]]) -> QueryResult<()> {
    match connection {
        Connection::Sqlite(file) => {
            for row in rows {
                diesel::replace_into(counted_fingerprints::table).values(row).execute(file)?;
            }
            Ok(())
        }
        Connection::Postgresql(_) if rows.is_empty() => Ok(()),
        Connection::Postgresql(session) => {
            if !replaced.is_empty() {
                let older = counted_fingerprints::table.filter(counted_fingerprints::fingerprint.eq_any(replaced));
                diesel::delete(older).execute(session)?;
            }
            diesel::copy_from(counted_fingerprints::table).from_insertable(rows).execute(session).map(|_| ())
        }
    }
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
    let columns = (cases::id, cases::group_key, cases::opened_seq, cases::closed_seq);
    match connection {
        Connection::Sqlite(file) => {
            let mut found = Vec::new();
            for key in keys {
                let of_key = cases::table.filter(cases::group_key.eq(key.as_bytes())).select(columns);
                found.extend(of_key.load::<CaseSpan>(file)?);
            }
            Ok(found)
        }
        Connection::Postgresql(session) => {
            let keys: Vec<&[u8]> = keys.iter().map(|key| key.as_bytes()).collect();
            cases::table.filter(cases::group_key.eq_any(keys)).select(columns).load(session)
        }
    }
}

/// A case to be opened.
#[derive(Insertable)]
#[diesel(table_name = cases, treat_none_as_default_value = false)]
pub struct NewCase {
    /// Of those that [`reserve_case_ids`] gave.
    pub id: i64,
    /// Such as `VN-2026-7K3QXWA4`.
    pub reference: String,
    /// What it is found by.
    pub group_key: Vec<u8>,
    /// A word of `Category`.
    pub category: &'static str,
    /// The journal row that opens it.
    pub opened_seq: i64,
}

/// Row ids for at most `count` cases. Those that are not used are lost, which does no harm. Only who holds the cursor opens
/// cases.
///
/// # Errors
/// As the database says.
pub fn reserve_case_ids(connection: &mut Connection, count: i64) -> QueryResult<Vec<i64>> {
    match connection {
        Connection::Sqlite(file) => {
            let last = cases::table.select(diesel::dsl::max(cases::id)).first::<Option<i64>>(file)?.unwrap_or(0);
            Ok((last + 1..=last + count).collect())
        }
        Connection::Postgresql(session) => {
            #[derive(QueryableByName)]
            struct Reserved {
                #[diesel(sql_type = BigInt)]
                id: i64,
            }
            diesel::sql_query("SELECT nextval('cases_id_seq') AS id FROM generate_series(1, $1)")
                .bind::<BigInt, _>(count)
                .load::<Reserved>(session)
                .map(|rows| rows.into_iter().map(|row| row.id).collect())
        }
    }
}

/// Which of these references are taken.
///
/// # Errors
/// As the database says.
pub fn list_taken_references(connection: &mut Connection, references: &[&str]) -> QueryResult<Vec<String>> {
    match connection {
        Connection::Sqlite(file) => {
            let mut taken = Vec::new();
            for reference in references {
                let of_one = cases::table.filter(cases::reference.eq(*reference)).select(cases::reference);
                taken.extend(of_one.first::<String>(file).optional()?);
            }
            Ok(taken)
        }
        Connection::Postgresql(session) => {
            cases::table.filter(cases::reference.eq_any(references)).select(cases::reference).load(session)
        }
    }
}

/// Opens cases.
///
/// # Errors
/// As the database says; a reference that is taken is an error here.
pub fn insert_cases(connection: &mut Connection, new: &[NewCase]) -> QueryResult<()> {
    match connection {
        Connection::Sqlite(file) => {
            for case in new {
                diesel::insert_into(cases::table).values(case).execute(file)?;
            }
            Ok(())
        }
        Connection::Postgresql(_) if new.is_empty() => Ok(()),
        Connection::Postgresql(session) => {
            diesel::copy_from(cases::table).from_insertable(new).execute(session).map(|_| ())
        }
    }
}

/// A reporter's part in a case.
#[derive(Insertable, Clone, Copy)]
#[diesel(table_name = voices, treat_none_as_default_value = false)]
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
    /// The latest word is for the sender.
    pub is_legit: bool,
}

/// What a voice was before.
#[derive(Queryable, Clone)]
pub struct VoiceBefore {
    /// Counted reports.
    pub reports: i64,
    /// A word of `Proof`.
    pub proof: String,
    /// Who gave that proof.
    pub attested_by: Vec<u8>,
    /// The latest word is for the sender.
    pub is_legit: bool,
}

/// Inserts the voices that their cases do not have; of each, in the order given, what it was if there was one.
///
/// # Errors
/// As the database says.
pub fn insert_new_voices(connection: &mut Connection, new: &[VoiceRow<'_>]) -> QueryResult<Vec<Option<VoiceBefore>>> {
    match connection {
        Connection::Sqlite(file) => new.iter().map(|voice| insert_new_voice(file, voice)).collect(),
        Connection::Postgresql(session) => {
            let mut before = find_voices(session, new)?;
            let before: Vec<Option<VoiceBefore>> =
                new.iter().map(|voice| before.remove(&(voice.case_id, voice.reporter_tag.to_vec()))).collect();
            let missing = new.iter().zip(&before).filter(|(_, before)| before.is_none());
            let missing: Vec<VoiceRow<'_>> = missing.map(|(voice, _)| *voice).collect();
            if !missing.is_empty() {
                diesel::copy_from(voices::table).from_insertable(&missing).execute(session)?;
            }
            Ok(before)
        }
    }
}

/// One statement for a new voice, two for one that was there.
fn insert_new_voice(file: &mut SqliteConnection, voice: &VoiceRow<'_>) -> QueryResult<Option<VoiceBefore>> {
    if diesel::insert_or_ignore_into(voices::table).values(voice).execute(file)? == 1 {
        return Ok(None);
    }
    voices::table
        .find((voice.case_id, voice.reporter_tag))
        .select((voices::reports, voices::proof, voices::attested_by, voices::is_legit))
        .first(file)
        .map(Some)
}

#[derive(QueryableByName)]
struct StoredVoice {
    #[diesel(sql_type = BigInt)]
    case_id: i64,
    #[diesel(sql_type = Binary)]
    reporter_tag: Vec<u8>,
    #[diesel(sql_type = BigInt)]
    reports: i64,
    #[diesel(sql_type = Text)]
    proof: String,
    #[diesel(sql_type = Binary)]
    attested_by: Vec<u8>,
    #[diesel(sql_type = Bool)]
    is_legit: bool,
}

fn find_voices(
    session: &mut PgConnection,
    wanted: &[VoiceRow<'_>],
) -> QueryResult<HashMap<(i64, Vec<u8>), VoiceBefore>> {
    let found = diesel::sql_query(
        "SELECT v.case_id, v.reporter_tag, v.reports, v.proof, v.attested_by, v.is_legit \
         FROM unnest($1, $2) AS wanted (case_id, reporter_tag) JOIN voices v USING (case_id, reporter_tag)",
    )
    .bind::<Array<BigInt>, _>(wanted.iter().map(|voice| voice.case_id).collect::<Vec<_>>())
    .bind::<Array<Binary>, _>(wanted.iter().map(|voice| voice.reporter_tag).collect::<Vec<_>>())
    .load::<StoredVoice>(session)?;
    let before = |voice: StoredVoice| {
        let StoredVoice { case_id, reporter_tag, reports, proof, attested_by, is_legit } = voice;
        ((case_id, reporter_tag), VoiceBefore { reports, proof, attested_by, is_legit })
    };
    Ok(found.into_iter().map(before).collect())
}

/// Writes voices over what they were. (`REPLACE` and not `UPDATE` on SQLite: diesel prepares every `UPDATE` anew, and
/// parsing took half of the builder's time.)
///
/// # Errors
/// As the database says.
pub fn replace_voices(connection: &mut Connection, changed: &[VoiceRow<'_>]) -> QueryResult<()> {
    match connection {
        Connection::Sqlite(file) => {
            for voice in changed {
                diesel::replace_into(voices::table).values(voice).execute(file)?;
            }
            Ok(())
        }
        Connection::Postgresql(session) => diesel::sql_query(
            "UPDATE voices v SET reports = n.reports, proof = n.proof, attested_by = n.attested_by, is_legit = n.is_legit \
             FROM unnest($1, $2, $3, $4, $5, $6) AS n (case_id, reporter_tag, reports, proof, attested_by, is_legit) \
             WHERE v.case_id = n.case_id AND v.reporter_tag = n.reporter_tag",
        )
        .bind::<Array<BigInt>, _>(changed.iter().map(|voice| voice.case_id).collect::<Vec<_>>())
        .bind::<Array<Binary>, _>(changed.iter().map(|voice| voice.reporter_tag).collect::<Vec<_>>())
        .bind::<Array<BigInt>, _>(changed.iter().map(|voice| voice.reports).collect::<Vec<_>>())
        .bind::<Array<Text>, _>(changed.iter().map(|voice| voice.proof).collect::<Vec<_>>())
        .bind::<Array<Binary>, _>(changed.iter().map(|voice| voice.attested_by).collect::<Vec<_>>())
        .bind::<Array<Bool>, _>(changed.iter().map(|voice| voice.is_legit).collect::<Vec<_>>())
        .execute(session)
        .map(|_| ()),
    }
}

/// Word for a case whose reports name senders of several kinds.
pub const MIXED: &str = "mixed";

/// The totals of a case, as stored.
#[derive(Queryable, Selectable, Insertable, Clone)]
#[diesel(table_name = case_totals, treat_none_as_default_value = false)]
pub struct TotalsRow {
    /// The case.
    pub case_id: i64,
    /// A word of `SenderKind`, or `mixed`.
    pub sender_kind: String,
    /// Reports, repeats and counter-reports among them.
    pub reports: i64,
    /// Repeats.
    pub repeats: i64,
    /// Distinct reporters whose latest word is against the sender.
    pub voices: i64,
    /// Those of them that nobody entitled attests.
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
    /// Distinct reporters whose latest word is for the sender.
    pub counter_voices: i64,
}

/// Finds the totals of these cases; a case has none before its first report is built in.
///
/// # Errors
/// As the database says.
pub fn list_totals(connection: &mut Connection, case_ids: &[i64]) -> QueryResult<Vec<TotalsRow>> {
    match connection {
        Connection::Sqlite(file) => {
            let mut found = Vec::new();
            for case_id in case_ids {
                let of_case = case_totals::table.find(case_id).select(TotalsRow::as_select());
                found.extend(of_case.first::<TotalsRow>(file).optional()?);
            }
            Ok(found)
        }
        Connection::Postgresql(session) => case_totals::table
            .filter(case_totals::case_id.eq_any(case_ids))
            .select(TotalsRow::as_select())
            .load(session),
    }
}

/// Writes the totals of cases over what they were.
///
/// # Errors
/// As the database says.
pub fn replace_totals(connection: &mut Connection, totals: &[TotalsRow]) -> QueryResult<()> {
    match connection {
        Connection::Sqlite(file) => {
            for row in totals {
                diesel::replace_into(case_totals::table).values(row).execute(file)?;
            }
            Ok(())
        }
        Connection::Postgresql(_) if totals.is_empty() => Ok(()),
        Connection::Postgresql(session) => {
            let ids: Vec<i64> = totals.iter().map(|row| row.case_id).collect();
            diesel::delete(case_totals::table.filter(case_totals::case_id.eq_any(ids))).execute(session)?;
            diesel::copy_from(case_totals::table).from_insertable(totals).execute(session).map(|_| ())
        }
    }
}

/// A key of the figures of reports that make no case.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct FigureKey {
    /// Days since 1970, UTC, of receipt.
    pub day: i64,
    /// Word of `Category`, or `legit`.
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
