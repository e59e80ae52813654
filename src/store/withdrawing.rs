//! What it takes to have a report withdrawn: single rows, on both engines the same.
//!
//! `withdrawn_rows` and `kept_repeats` are written once and outlive a rebuild: when the rows of a withdrawn report are
//! blank, nothing else tells what they had added in the meantime.

use std::collections::HashMap;

use diesel::pg::PgConnection;
use diesel::prelude::*;
use diesel::sql_types::{Array, BigInt, Binary, Bool, Integer, Nullable, Text};
use diesel::sqlite::SqliteConnection;

use super::amending::find_index_row;
use super::building::VoiceBefore;
use super::connection::Connection;
use super::postgresql::YesOrNo;
use super::schema::{
    amended_reports, further_rows, kept_repeats, report_index, reports, voice_parts, voices, withdrawn_rows,
};

/// Rows blanked in one transaction: it shares the journal's lock with the writer, for some milliseconds.
pub const BLANKED_AT_ONCE: i32 = 64;

/// A row of the journal that belongs to a withdrawn report.
#[derive(Insertable, Queryable, Selectable, Clone, Debug)]
#[diesel(table_name = withdrawn_rows, treat_none_as_default_value = false)]
pub struct WithdrawnRow {
    /// The row.
    pub seq: i64,
    /// Its report.
    pub report_id: Vec<u8>,
    /// The row of the withdrawal.
    pub withdrawn_seq: i64,
    /// The report itself, or the amendment that took effect.
    pub is_counted: bool,
    /// The case that it was counted in or linked to.
    pub case_id: Option<i64>,
    /// What it repeated.
    pub repeat_of: Option<Vec<u8>>,
    /// Proof of the voice that a decided case keeps of it.
    pub proof: Option<String>,
    /// Who gave that proof.
    pub attested_by: Option<Vec<u8>>,
    /// The word of that voice.
    pub is_legit: Option<bool>,
    /// Nothing is left in the journal's row.
    pub is_blank: bool,
}

/// A repeat of a report that was withdrawn.
#[derive(Insertable, Queryable, Selectable, Clone, Debug)]
#[diesel(table_name = kept_repeats, treat_none_as_default_value = false)]
pub struct KeptRepeat {
    /// The row that repeats.
    pub seq: i64,
    /// Its report.
    pub report_id: Vec<u8>,
    /// The row of the withdrawal.
    pub withdrawn_seq: i64,
    /// The case it is linked to.
    pub case_id: Option<i64>,
    /// The report that was withdrawn.
    pub repeat_of: Vec<u8>,
}

/// Finds what a row of a withdrawn report had added.
///
/// # Errors
/// As the database says.
pub fn find_withdrawn_row(
    connection: &mut Connection,
    seq: i64,
    report_id: &[u8],
) -> QueryResult<Option<WithdrawnRow>> {
    withdrawn_rows::table
        .find(seq)
        .filter(withdrawn_rows::report_id.eq(report_id))
        .select(WithdrawnRow::as_select())
        .first(connection)
        .optional()
}

/// Writes down a row of a withdrawn report, unless it is written down already: what was known before it was blank stays.
///
/// # Errors
/// As the database says.
pub fn insert_withdrawn_row(connection: &mut Connection, row: &WithdrawnRow) -> QueryResult<()> {
    if diesel::select(diesel::dsl::exists(withdrawn_rows::table.find(row.seq))).get_result(connection)? {
        return Ok(());
    }
    diesel::insert_into(withdrawn_rows::table).values(row).execute(connection).map(|_| ())
}

/// Writes down that a repeat stays where it is linked.
///
/// # Errors
/// As the database says.
pub fn insert_kept_repeat(connection: &mut Connection, row: &KeptRepeat) -> QueryResult<()> {
    if diesel::select(diesel::dsl::exists(kept_repeats::table.find(row.seq))).get_result(connection)? {
        return Ok(());
    }
    diesel::insert_into(kept_repeats::table).values(row).execute(connection).map(|_| ())
}

/// Lists the kept repeats between two rows of the journal, both included.
///
/// # Errors
/// As the database says.
pub fn list_kept_repeats(connection: &mut Connection, first: i64, last: i64) -> QueryResult<Vec<KeptRepeat>> {
    kept_repeats::table
        .filter(kept_repeats::seq.ge(first))
        .filter(kept_repeats::seq.le(last))
        .select(KeptRepeat::as_select())
        .load(connection)
}

/// Lists the repeats of a report that is about to be withdrawn at `withdrawn_seq`: those that are linked to it, and those
/// that were before they were amended.
///
/// # Errors
/// As the database says.
pub fn list_repeats_of(
    connection: &mut Connection,
    report_id: &[u8],
    withdrawn_seq: i64,
) -> QueryResult<Vec<KeptRepeat>> {
    let kept = |seq, id: Vec<u8>, case_id| KeptRepeat {
        seq,
        report_id: id,
        withdrawn_seq,
        case_id,
        repeat_of: report_id.to_vec(),
    };
    let mut repeats = Vec::new();
    let linked = report_index::table
        .filter(report_index::repeat_of.eq(report_id))
        .select((report_index::seq, report_index::report_id, report_index::case_id))
        .load::<(i64, Vec<u8>, Option<i64>)>(connection)?;
    for (seq, id, case_id) in linked {
        // Of an amended report it is the amendment that repeats.
        let amended = amended_reports::table.find(&id).select(amended_reports::seq).first(connection).optional()?;
        repeats.push(kept(amended.unwrap_or(seq), id, case_id));
    }
    let before = amended_reports::table
        .filter(amended_reports::repeat_of.eq(report_id))
        .select((amended_reports::report_id, amended_reports::case_id))
        .load::<(Vec<u8>, Option<i64>)>(connection)?;
    for (id, case_id) in before {
        if let Some(index) = find_index_row(connection, &id)? {
            repeats.push(kept(index.seq, id, case_id));
        }
    }
    Ok(repeats)
}

/// Records rows of the journal that have the id of a report beside the report's own.
///
/// # Errors
/// As the database says.
pub fn insert_further_rows(connection: &mut Connection, rows: &[(&[u8], i64)]) -> QueryResult<()> {
    let values =
        |(report_id, seq): &(&[u8], i64)| (further_rows::report_id.eq(report_id.to_vec()), further_rows::seq.eq(*seq));
    match connection {
        Connection::Sqlite(file) => {
            for row in rows {
                diesel::insert_into(further_rows::table).values(values(row)).execute(file)?;
            }
        }
        Connection::Postgresql(_) if rows.is_empty() => {}
        Connection::Postgresql(session) => {
            let values: Vec<_> = rows.iter().map(values).collect();
            diesel::copy_from(further_rows::table).from_insertable(values).execute(session)?;
        }
    }
    Ok(())
}

/// Finds which of these reports are withdrawn, and by which rows.
///
/// # Errors
/// As the database says.
pub fn find_withdrawn_seqs(connection: &mut Connection, ids: &[&[u8]]) -> QueryResult<HashMap<Vec<u8>, i64>> {
    let columns = (report_index::report_id, report_index::withdrawn_seq.assume_not_null());
    match connection {
        Connection::Sqlite(file) => {
            let mut found = HashMap::new();
            for id in ids {
                let row = report_index::table.find(*id).filter(report_index::withdrawn_seq.is_not_null());
                found.extend(row.select(columns).first::<(Vec<u8>, i64)>(file).optional()?);
            }
            Ok(found)
        }
        Connection::Postgresql(_) if ids.is_empty() => Ok(HashMap::new()),
        Connection::Postgresql(session) => report_index::table
            .filter(report_index::report_id.eq_any(ids))
            .filter(report_index::withdrawn_seq.is_not_null())
            .select(columns)
            .load::<(Vec<u8>, i64)>(session)
            .map(|rows| rows.into_iter().collect()),
    }
}

/// Lists the rows that have the id of a report beside the report's own.
///
/// # Errors
/// As the database says.
pub fn list_further_rows(connection: &mut Connection, report_id: &[u8]) -> QueryResult<Vec<i64>> {
    further_rows::table.filter(further_rows::report_id.eq(report_id)).select(further_rows::seq).load(connection)
}

/// What one report adds to a voice that several add to.
#[derive(Insertable, Queryable, Selectable, Clone, Debug)]
#[diesel(table_name = voice_parts, treat_none_as_default_value = false)]
pub struct VoicePart {
    /// The case.
    pub case_id: i64,
    /// Keyed hash of the reporter.
    pub reporter_tag: Vec<u8>,
    /// Its row; 0 of the first one.
    pub seq: i64,
    /// Which report; of the first one it may not be known: then it is the one that no other part is of.
    pub report_id: Option<Vec<u8>>,
    /// 1, or 0 of a repeat.
    pub reports: i64,
    /// A word of `Proof`.
    pub proof: String,
    /// Who gave that proof.
    pub attested_by: Vec<u8>,
    /// Its word is for the sender.
    pub is_legit: bool,
    /// Said again after the decision: its word does not count.
    pub is_late: bool,
}

/// Records parts, but for those that are there.
///
/// # Errors
/// As the database says.
pub fn insert_parts(connection: &mut Connection, parts: &[VoicePart]) -> QueryResult<()> {
    match connection {
        Connection::Sqlite(file) => {
            for part in parts {
                diesel::insert_or_ignore_into(voice_parts::table).values(part).execute(file)?;
            }
        }
        Connection::Postgresql(_) if parts.is_empty() => {}
        Connection::Postgresql(session) => insert_parts_at_once(session, parts)?,
    }
    Ok(())
}

/// As arrays: a statement with a parameter for each value takes longer to parse than to do.
fn insert_parts_at_once(session: &mut PgConnection, parts: &[VoicePart]) -> QueryResult<()> {
    diesel::sql_query(
        "INSERT INTO voice_parts \
         (case_id, reporter_tag, seq, report_id, reports, proof, attested_by, is_legit, is_late) \
         SELECT * FROM unnest($1, $2, $3, $4, $5, $6, $7, $8, $9) ON CONFLICT DO NOTHING",
    )
    .bind::<Array<BigInt>, _>(parts.iter().map(|part| part.case_id).collect::<Vec<_>>())
    .bind::<Array<Binary>, _>(parts.iter().map(|part| part.reporter_tag.as_slice()).collect::<Vec<_>>())
    .bind::<Array<BigInt>, _>(parts.iter().map(|part| part.seq).collect::<Vec<_>>())
    .bind::<Array<Nullable<Binary>>, _>(parts.iter().map(|part| part.report_id.as_deref()).collect::<Vec<_>>())
    .bind::<Array<BigInt>, _>(parts.iter().map(|part| part.reports).collect::<Vec<_>>())
    .bind::<Array<Text>, _>(parts.iter().map(|part| part.proof.as_str()).collect::<Vec<_>>())
    .bind::<Array<Binary>, _>(parts.iter().map(|part| part.attested_by.as_slice()).collect::<Vec<_>>())
    .bind::<Array<Bool>, _>(parts.iter().map(|part| part.is_legit).collect::<Vec<_>>())
    .bind::<Array<Bool>, _>(parts.iter().map(|part| part.is_late).collect::<Vec<_>>())
    .execute(session)
    .map(|_| ())
}

/// Lists the parts of a voice in order; none when one report alone adds to it.
///
/// # Errors
/// As the database says.
pub fn list_parts(connection: &mut Connection, case_id: i64, reporter_tag: &[u8]) -> QueryResult<Vec<VoicePart>> {
    voice_parts::table
        .filter(voice_parts::case_id.eq(case_id))
        .filter(voice_parts::reporter_tag.eq(reporter_tag))
        .order(voice_parts::seq)
        .select(VoicePart::as_select())
        .load(connection)
}

/// Forgets the parts of a voice.
///
/// # Errors
/// As the database says.
pub fn delete_parts(connection: &mut Connection, case_id: i64, reporter_tag: &[u8]) -> QueryResult<()> {
    let parts =
        voice_parts::table.filter(voice_parts::case_id.eq(case_id)).filter(voice_parts::reporter_tag.eq(reporter_tag));
    diesel::delete(parts).execute(connection).map(|_| ())
}

/// Finds a voice.
///
/// # Errors
/// As the database says.
pub fn find_voice(connection: &mut Connection, case_id: i64, reporter_tag: &[u8]) -> QueryResult<Option<VoiceBefore>> {
    voices::table
        .find((case_id, reporter_tag))
        .select((voices::reports, voices::proof, voices::attested_by, voices::is_legit))
        .first(connection)
        .optional()
}

/// Takes a voice away.
///
/// # Errors
/// As the database says.
pub fn delete_voice(connection: &mut Connection, case_id: i64, reporter_tag: &[u8]) -> QueryResult<()> {
    diesel::delete(voices::table.find((case_id, reporter_tag))).execute(connection).map(|_| ())
}

/// Writes a voice, in the place of the one that was there.
///
/// # Errors
/// As the database says.
pub fn write_voice(
    connection: &mut Connection,
    case_id: i64,
    reporter_tag: &[u8],
    voice: &VoiceBefore,
) -> QueryResult<()> {
    delete_voice(connection, case_id, reporter_tag)?;
    diesel::insert_into(voices::table)
        .values((
            voices::case_id.eq(case_id),
            voices::reporter_tag.eq(reporter_tag),
            voices::reports.eq(voice.reports),
            voices::proof.eq(&voice.proof),
            voices::attested_by.eq(&voice.attested_by),
            voices::is_legit.eq(voice.is_legit),
        ))
        .execute(connection)
        .map(|_| ())
}

/// Forgets what was written down for withdrawals that a restored journal does not hold, and has all others blanked again:
/// the rows may be as they were before.
///
/// # Errors
/// As the database says.
pub fn cut_withdrawn(connection: &mut Connection, last_seq: i64) -> QueryResult<()> {
    diesel::delete(withdrawn_rows::table.filter(withdrawn_rows::withdrawn_seq.gt(last_seq))).execute(connection)?;
    diesel::delete(kept_repeats::table.filter(kept_repeats::withdrawn_seq.gt(last_seq))).execute(connection)?;
    diesel::update(withdrawn_rows::table).set(withdrawn_rows::is_blank.eq(false)).execute(connection).map(|_| ())
}

/// Whether rows of withdrawn reports are to be blanked.
///
/// # Errors
/// As the database says.
pub fn has_rows_to_blank(connection: &mut Connection) -> QueryResult<bool> {
    diesel::sql_query("SELECT EXISTS (SELECT 1 FROM withdrawn_rows WHERE NOT is_blank) AS answer")
        .get_result::<YesOrNo>(connection)
        .map(|row| row.answer)
}

/// Blanks rows of withdrawn reports in PostgreSQL, where a function may do what its caller may not; how many.
///
/// # Errors
/// As the database says.
pub fn blank_in_database(session: &mut PgConnection) -> QueryResult<i32> {
    #[derive(QueryableByName)]
    struct Done {
        #[diesel(sql_type = Integer)]
        done: i32,
    }
    diesel::sql_query("SELECT journal.blank_withdrawn($1) AS done")
        .bind::<Integer, _>(BLANKED_AT_ONCE)
        .get_result::<Done>(session)
        .map(|row| row.done)
}

/// Lists rows to blank: place and report.
///
/// # Errors
/// As the database says.
pub fn list_rows_to_blank(file: &mut SqliteConnection) -> QueryResult<Vec<(i64, Vec<u8>)>> {
    withdrawn_rows::table
        .filter(withdrawn_rows::is_blank.eq(false))
        .order(withdrawn_rows::seq)
        .limit(i64::from(BLANKED_AT_ONCE))
        .select((withdrawn_rows::seq, withdrawn_rows::report_id))
        .load(file)
}

/// Blanks these rows in the journal's file, by a connection that may write it. A row is touched only where it is of the
/// report that was withdrawn.
///
/// # Errors
/// As the database says.
pub fn blank_in_file(journal: &mut SqliteConnection, rows: &[(i64, Vec<u8>)]) -> QueryResult<()> {
    const NOTHING: &[u8] = &[];
    journal.immediate_transaction(|journal| {
        for (seq, report_id) in rows {
            diesel::update(reports::table.find(seq).filter(reports::report_id.eq(report_id)))
                .set((
                    reports::reporter_tag.eq(NOTHING),
                    reports::sender_tag.eq(None::<Vec<u8>>),
                    reports::text_tag.eq(None::<Vec<u8>>),
                    reports::fingerprint.eq(NOTHING),
                    reports::similarity.eq(None::<Vec<u8>>),
                    reports::track_tag.eq(NOTHING),
                    reports::envelope.eq(NOTHING),
                ))
                .execute(journal)?;
        }
        Ok(())
    })
}

/// Records that rows are blank.
///
/// # Errors
/// As the database says.
pub fn mark_blank(file: &mut SqliteConnection, rows: &[(i64, Vec<u8>)]) -> QueryResult<()> {
    file.immediate_transaction(|file| {
        for (seq, _) in rows {
            diesel::update(withdrawn_rows::table.find(seq)).set(withdrawn_rows::is_blank.eq(true)).execute(file)?;
        }
        Ok(())
    })
}
