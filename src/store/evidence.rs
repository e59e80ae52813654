//! Files that reporters add.

use diesel::prelude::*;
use diesel::sql_types::Binary;
use uuid::Uuid;

use super::StoreError;
use super::connection::{Connection, write_transaction};
use super::reports::{LookUp, find_report};
use super::schema::{cases, evidence, report_index};
use crate::domain::report::ReportId;
use crate::domain::vocabulary::ReportStatus;

/// A sealed file.
#[derive(Insertable, Queryable, Selectable)]
#[diesel(table_name = evidence)]
pub struct EvidenceRow {
    /// Its report.
    pub report_id: Vec<u8>,
    /// Which of its report's files it is, from 1 on.
    pub place: i32,
    /// A word of [`crate::domain::vocabulary::EvidenceKind`].
    pub kind: String,
    /// Keyed hash of what is in it.
    pub content_tag: Vec<u8>,
    /// Sealed for the authority.
    pub body: Vec<u8>,
    /// Microseconds since 1970.
    pub received_at: i64,
}

/// What became of a file.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum EvidenceAdded {
    /// It is kept, or was before.
    Kept,
    /// The report has as many as it may.
    TooMany,
    /// There is no such report, or it was withdrawn.
    Gone,
    /// The builder lags too far for a sure answer.
    TooFarBehind,
}

/// Lists places and content tags of a report's files.
///
/// # Errors
/// As the database says.
pub fn list_evidence_tags(connection: &mut Connection, report_id: &[u8]) -> QueryResult<Vec<(i32, Vec<u8>)>> {
    evidence::table
        .filter(evidence::report_id.eq(report_id))
        .order(evidence::place)
        .select((evidence::place, evidence::content_tag))
        .load(connection)
}

/// Adds a file at the first free place of its report, of which there are `places`; the row's own place is not looked at.
///
/// # Errors
/// As the database says.
pub fn add_evidence(
    connection: &mut Connection,
    id: ReportId,
    owner: Uuid,
    row: EvidenceRow,
    places: i32,
) -> Result<EvidenceAdded, StoreError> {
    write_transaction(connection, |connection| {
        lock_evidence(connection, &row.report_id)?;
        // What was taken back gets nothing more.
        match find_report(connection, id, owner.as_bytes())? {
            LookUp::Found(report) if report.status != ReportStatus::Withdrawn => {}
            LookUp::TooFarBehind => return Ok(EvidenceAdded::TooFarBehind),
            LookUp::Found(_) | LookUp::NotFound => return Ok(EvidenceAdded::Gone),
        }
        let kept = list_evidence_tags(connection, &row.report_id)?;
        if kept.iter().any(|(_, tag)| *tag == row.content_tag) {
            return Ok(EvidenceAdded::Kept);
        }
        let Some(place) = (1..=places).find(|place| kept.iter().all(|(taken, _)| taken != place)) else {
            return Ok(EvidenceAdded::TooMany);
        };
        diesel::insert_into(evidence::table).values(EvidenceRow { place, ..row }).execute(connection)?;
        Ok(EvidenceAdded::Kept)
    })
}

/// Until the end of the transaction, nobody else adds files to this report, nor deletes them. On SQLite a transaction that
/// writes is alone.
fn lock_evidence(connection: &mut Connection, report_id: &[u8]) -> QueryResult<()> {
    if let Connection::Postgresql(session) = connection {
        diesel::sql_query("SELECT pg_advisory_xact_lock(('x' || encode(substring($1 FOR 8), 'hex'))::bit(64)::bigint)")
            .bind::<Binary, _>(report_id)
            .execute(session)?;
    }
    Ok(())
}

/// Deletes the files of a report.
///
/// # Errors
/// As the database says.
pub fn delete_evidence(connection: &mut Connection, report_id: &[u8]) -> QueryResult<usize> {
    lock_evidence(connection, report_id)?;
    diesel::delete(evidence::table.filter(evidence::report_id.eq(report_id))).execute(connection)
}

/// Lists the files of all reports of a case.
///
/// # Errors
/// As the database says.
pub fn list_evidence_of_case(connection: &mut Connection, reference: &str) -> QueryResult<Vec<EvidenceRow>> {
    let case = cases::table.filter(cases::reference.eq(reference)).select(cases::id);
    let Some(case_id) = case.first::<i64>(connection).optional()? else { return Ok(Vec::new()) };
    let reports = report_index::table.filter(report_index::case_id.eq(case_id)).select(report_index::report_id);
    evidence::table
        .filter(evidence::report_id.eq_any(reports))
        .order((evidence::received_at, evidence::report_id, evidence::place))
        .select(EvidenceRow::as_select())
        .load(connection)
}
