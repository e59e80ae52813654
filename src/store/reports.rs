//! Looking a report up by its id or its receipt, also while the builder lags behind the journal.

use diesel::connection::Connection as _;
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Binary};

use super::StoreError;
use super::building::find_cursor_seq;
use super::connection::Connection;
use super::journal::find_seq_after;
use super::postgresql::YesOrNo;
use super::schema::{arrivals, report_status, reports};
use crate::domain::clock::Moment;
use crate::domain::report::{Receipt, ReportId};
use crate::domain::vocabulary::{CaseStatus, Category, Channel, EventKind, ReasonClass, ReportStatus, Source};

/// How many rows after the cursor are searched for an id the builder has not come to: about 40 ms at worst.
pub const LOOK_UP_LAG_MAX_ROWS: i64 = 100_000;

/// Reports of one receipt that are looked at. Two are already one in millions of billions.
const CANDIDATES_MAX: i64 = 4;

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

/// What its reporter is told of a report.
#[derive(Clone, Debug)]
pub struct Tracked {
    /// The report.
    pub report_id: ReportId,
    /// Its row in the journal.
    pub seq: i64,
    /// What became of it.
    pub status: ReportStatus,
    /// When it was taken.
    pub received_at: Moment,
    /// SMS or call.
    pub channel: Channel,
    /// What it claims.
    pub category: Category,
    /// The way it came.
    pub source: Source,
    /// Its case, once it has one.
    pub case: Option<TrackedCase>,
}

/// What its reporter is told of a report's case.
#[derive(Clone, Debug)]
pub struct TrackedCase {
    /// Such as `VN-2026-7K3QXWA4`.
    pub reference: String,
    /// Where it stands.
    pub status: CaseStatus,
    /// When it was decided last.
    pub decided_at: Option<Moment>,
    /// What kind of reason that decision had.
    pub reason_class: Option<ReasonClass>,
}

/// The answer to a look-up by receipt and digits.
#[derive(Debug)]
pub enum TrackLookUp {
    /// There it is.
    Found(Tracked),
    /// Its reporter's number ends in other digits.
    OtherDigits,
    /// No such receipt, or withdrawn.
    NotFound,
    /// The builder lags too far for a sure answer.
    TooFarBehind,
}

/// Finds the reports that have this receipt: one, unless two ids begin with the same 55 bits. The second value says whether
/// the builder lags too far for a sure answer.
///
/// # Errors
/// As the database says.
pub fn find_by_receipt(connection: &mut Connection, receipt: &Receipt) -> Result<(Vec<Tracked>, bool), StoreError> {
    let (first, last) = receipt.ids();
    connection.transaction(|connection| {
        // The cursor is read first: whatever it has not passed is in the journal by then.
        let cursor = find_cursor_seq(connection)?;
        let indexed = report_status::table
            .filter(report_status::report_id.ge(first.as_slice()))
            .filter(report_status::report_id.le(last.as_slice()))
            .select(StatusRow::as_select())
            .limit(CANDIDATES_MAX)
            .load::<StatusRow>(connection)?;
        let mut found = Vec::new();
        for status in indexed {
            let row = reports::table.find(status.seq).select(ArrivedRow::as_select());
            if let Some(row) = row.first::<ArrivedRow>(connection).optional()? {
                found.push(row.tracked(status.status(), status.case()?)?);
            }
        }
        let too_far = find_seq_after(connection, cursor, LOOK_UP_LAG_MAX_ROWS)?;
        let arrived = reports::table
            .filter(reports::seq.gt(cursor))
            .filter(reports::seq.lt(too_far.unwrap_or(i64::MAX)))
            .filter(reports::report_id.ge(first.as_slice()))
            .filter(reports::report_id.le(last.as_slice()))
            .filter(reports::event_kind.eq(EventKind::Report.as_str()))
            .order(reports::seq)
            .limit(CANDIDATES_MAX)
            .select(ArrivedRow::as_select())
            .load::<ArrivedRow>(connection)?;
        for row in arrived {
            let row = row.tracked(ReportStatus::Accepted, None)?;
            // The first row counts; later ones are twins.
            if found.iter().all(|known| known.report_id != row.report_id) {
                found.push(row);
            }
        }
        Ok((found, too_far.is_some()))
    })
}

/// Finds the report of a receipt whose reporter's number ends in the digits that `tag_of` makes the track tag of.
///
/// # Errors
/// As the database says.
pub fn find_tracked(
    connection: &mut Connection,
    receipt: &Receipt,
    tag_of: impl Fn(ReportId) -> [u8; 8],
) -> Result<TrackLookUp, StoreError> {
    let (candidates, is_too_far) = find_by_receipt(connection, receipt)?;
    let mut is_there = false;
    for candidate in candidates.into_iter().filter(|candidate| candidate.status != ReportStatus::Withdrawn) {
        is_there = true;
        if has_track_tag(connection, candidate.seq, &tag_of(candidate.report_id))? {
            return Ok(TrackLookUp::Found(candidate));
        }
    }
    Ok(match (is_there, is_too_far) {
        (true, _) => TrackLookUp::OtherDigits,
        (false, true) => TrackLookUp::TooFarBehind,
        (false, false) => TrackLookUp::NotFound,
    })
}

/// Whether the row at this place was of a number with these last digits. In PostgreSQL an intake node may ask, and not read.
fn has_track_tag(connection: &mut Connection, seq: i64, tag: &[u8; 8]) -> QueryResult<bool> {
    match connection {
        Connection::Sqlite(file) => {
            let row = reports::table.find(seq).filter(reports::track_tag.eq(tag.as_slice()));
            diesel::select(diesel::dsl::exists(row)).get_result(file)
        }
        Connection::Postgresql(session) => diesel::sql_query("SELECT journal.has_track_tag($1, $2) AS answer")
            .bind::<BigInt, _>(seq)
            .bind::<Binary, _>(tag.as_slice())
            .get_result::<YesOrNo>(session)
            .map(|row| row.answer),
    }
}

/// What may be told of a journal row.
#[derive(Queryable, Selectable)]
#[diesel(table_name = reports)]
struct ArrivedRow {
    seq: i64,
    report_id: Vec<u8>,
    received_at: i64,
    channel: String,
    category: String,
    source: String,
}

impl ArrivedRow {
    fn tracked(self, status: ReportStatus, case: Option<TrackedCase>) -> Result<Tracked, StoreError> {
        let unknown = |column| StoreError::UnknownWord { seq: self.seq, column };
        Ok(Tracked {
            report_id: ReportId::from_stored(&self.report_id).ok_or_else(|| unknown("report_id"))?,
            seq: self.seq,
            status,
            received_at: Moment(self.received_at),
            channel: Channel::parse(&self.channel).ok_or_else(|| unknown("channel"))?,
            category: Category::parse(&self.category).ok_or_else(|| unknown("category"))?,
            source: Source::parse(&self.source).ok_or_else(|| unknown("source"))?,
            case,
        })
    }
}

/// A report that is built in.
#[derive(Queryable, Selectable)]
#[diesel(table_name = report_status)]
struct StatusRow {
    seq: i64,
    conflict: bool,
    repeat_of: Option<Vec<u8>>,
    reference: Option<String>,
    #[diesel(column_name = status)]
    case_status: Option<String>,
    withdrawn: bool,
    decided_at: Option<i64>,
    reason_class: Option<String>,
}

impl StatusRow {
    const fn status(&self) -> ReportStatus {
        match (self.withdrawn, self.conflict, &self.repeat_of) {
            (true, ..) => ReportStatus::Withdrawn,
            (false, true, _) => ReportStatus::Conflict,
            (false, false, Some(_)) => ReportStatus::Repeat,
            (false, false, None) => ReportStatus::Counted,
        }
    }

    fn case(&self) -> Result<Option<TrackedCase>, StoreError> {
        let Some((reference, status)) = self.reference.clone().zip(self.case_status.as_deref()) else {
            return Ok(None);
        };
        let unknown = |column| StoreError::UnknownWord { seq: self.seq, column };
        Ok(Some(TrackedCase {
            reference,
            status: CaseStatus::parse(status).ok_or_else(|| unknown("cases.status"))?,
            decided_at: self.decided_at.map(Moment),
            reason_class: self.reason_class.as_deref().and_then(ReasonClass::parse),
        }))
    }
}

fn find_indexed(connection: &mut Connection, id: ReportId, owner: &[u8]) -> Result<Option<FoundReport>, StoreError> {
    let row = report_status::table
        .filter(report_status::report_id.eq(id.as_bytes().as_slice()))
        .filter(report_status::owner.eq(owner))
        .select(StatusRow::as_select())
        .first::<StatusRow>(connection)
        .optional()?;
    let Some(row) = row else { return Ok(None) };
    let received_at = arrivals::table.find(row.seq).select(arrivals::received_at).first::<i64>(connection)?;
    let case = row.case()?.map(|case| (case.reference, case.status));
    Ok(Some(FoundReport { status: row.status(), received_at: Moment(received_at), case }))
}
