//! Files that reporters add.

use diesel::prelude::*;

use super::connection::{Connection, write_transaction};
use super::schema::{cases, evidence, report_index};

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
/// As the database says; also when another is added at the same time, on PostgreSQL.
pub fn insert_evidence(connection: &mut Connection, row: EvidenceRow, places: i32) -> QueryResult<EvidenceAdded> {
    write_transaction(connection, |connection| {
        let kept = list_evidence_tags(connection, &row.report_id)?;
        if kept.iter().any(|(_, tag)| *tag == row.content_tag) {
            return Ok(EvidenceAdded::Kept);
        }
        let Some(place) = (1..=places).find(|place| kept.iter().all(|(taken, _)| taken != place)) else {
            return Ok(EvidenceAdded::TooMany);
        };
        // The primary key keeps two who found the same place free from both taking it.
        diesel::insert_into(evidence::table).values(EvidenceRow { place, ..row }).execute(connection)?;
        Ok(EvidenceAdded::Kept)
    })
}

/// Deletes the files of a report.
///
/// # Errors
/// As the database says.
pub fn delete_evidence(connection: &mut Connection, report_id: &[u8]) -> QueryResult<usize> {
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
