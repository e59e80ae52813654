//! Looking a report up by its id, also while the builder lags behind the journal.

use diesel::connection::Connection as _;
use diesel::prelude::*;

use super::StoreError;
use super::building::find_cursor_seq;
use super::connection::Connection;
use super::journal::find_seq_after;
use super::schema::{arrivals, report_status};
use crate::domain::clock::Moment;
use crate::domain::report::ReportId;
use crate::domain::vocabulary::{CaseStatus, ReportStatus};

/// How many rows after the cursor are searched for an id the builder has not come to: about 40 ms at worst.
pub const LOOK_UP_LAG_MAX_ROWS: i64 = 100_000;

/// What is known of a report.
pub struct FoundReport {
    /// What became of it.
    pub status: ReportStatus,
    /// When it was taken.
    pub received_at: Moment,
    /// Reference and status of its case, once it has one.
    pub case: Option<(String, CaseStatus)>,
}

/// The answer to a look-up.
pub enum LookUp {
    /// There it is.
    Found(FoundReport),
    /// The caller has no such report.
    NotFound,
    /// The builder lags too far for a sure answer.
    TooFarBehind,
}

/// Finds the report `id` that `owner` sent.
///
/// # Errors
/// As the database says.
pub fn find_report(connection: &mut Connection, id: ReportId, owner: &[u8]) -> Result<LookUp, StoreError> {
    connection.transaction(|connection| {
        // The cursor is read first: whatever it has not passed is in the journal by then.
        let cursor = find_cursor_seq(connection)?;
        if let Some(found) = find_indexed(connection, id, owner)? {
            return Ok(LookUp::Found(found));
        }
        let too_far = find_seq_after(connection, cursor, LOOK_UP_LAG_MAX_ROWS)?;
        let received_at = arrivals::table
            .filter(arrivals::seq.gt(cursor))
            .filter(arrivals::seq.lt(too_far.unwrap_or(i64::MAX)))
            .filter(arrivals::report_id.eq(id.as_bytes().as_slice()))
            .filter(arrivals::owner.eq(owner))
            // Amendments have their report's id.
            .order(arrivals::seq)
            .select(arrivals::received_at)
            .first::<i64>(connection)
            .optional()?;
        if let Some(received_at) = received_at {
            let status = ReportStatus::Accepted;
            return Ok(LookUp::Found(FoundReport { status, received_at: Moment(received_at), case: None }));
        }
        Ok(if too_far.is_some() { LookUp::TooFarBehind } else { LookUp::NotFound })
    })
}

fn find_indexed(connection: &mut Connection, id: ReportId, owner: &[u8]) -> Result<Option<FoundReport>, StoreError> {
    type Row = (i64, bool, Option<Vec<u8>>, Option<String>, Option<String>);
    let row = report_status::table
        .filter(report_status::report_id.eq(id.as_bytes().as_slice()))
        .filter(report_status::owner.eq(owner))
        .select((
            report_status::seq,
            report_status::conflict,
            report_status::repeat_of,
            report_status::reference,
            report_status::status,
        ))
        .first::<Row>(connection)
        .optional()?;
    let Some((seq, conflict, repeat_of, reference, case_status)) = row else { return Ok(None) };
    let received_at = arrivals::table.find(seq).select(arrivals::received_at).first::<i64>(connection)?;
    let status = match (conflict, repeat_of) {
        (true, _) => ReportStatus::Conflict,
        (false, Some(_)) => ReportStatus::Repeat,
        (false, None) => ReportStatus::Counted,
    };
    let case = match reference.zip(case_status) {
        Some((reference, status)) => {
            let status = CaseStatus::parse(&status).ok_or(StoreError::UnknownWord { seq, column: "cases.status" })?;
            Some((reference, status))
        }
        None => None,
    };
    Ok(Some(FoundReport { status, received_at: Moment(received_at), case }))
}
