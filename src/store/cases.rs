//! Reading cases, and deciding them.

use diesel::prelude::*;

use super::building;
use super::connection::{Connection, write_transaction};
use super::schema::{case_totals, cases, decisions};
use crate::domain::clock::Moment;
use crate::domain::vocabulary::{CaseStatus, ReasonClass};

/// A case with its totals, as the list shows it.
#[derive(Queryable, Selectable)]
#[diesel(table_name = case_totals)]
pub struct CaseRow {
    /// Such as `VN-2026-7K3QXWA4`.
    #[diesel(select_expression = cases::reference)]
    pub reference: String,
    /// A word of [`CaseStatus`].
    #[diesel(select_expression = cases::status)]
    pub status: String,
    /// A word of `Category`.
    #[diesel(select_expression = cases::category)]
    pub category: String,
    /// A word of `SenderKind`, or `mixed`.
    pub sender_kind: String,
    /// Reports linked to it, repeats and counter-reports among them.
    pub reports: i64,
    /// Repeats among the reports.
    pub repeats: i64,
    /// Distinct reporters whose latest word is against the sender.
    pub voices: i64,
    /// Those of them whose number nobody entitled attests.
    pub foreign_voices: i64,
    /// Reports of SMS.
    pub sms: i64,
    /// Reports of calls.
    pub calls: i64,
    /// Reports by `POST /v1/reports`.
    pub carrier_api: i64,
    /// Reports in batches.
    pub carrier_batch: i64,
    /// Reports as subscribers' SMS.
    pub carrier_mo: i64,
    /// Reports by the form.
    pub web: i64,
    /// Reports whose reporter lost money.
    pub money_lost: i64,
    /// When the first report was taken, microseconds.
    pub first_report_at: i64,
    /// When the last report was taken, microseconds.
    pub last_report_at: i64,
    /// Distinct reporters whose latest word is for the sender.
    pub counter_voices: i64,
}

/// A decision on a case.
#[derive(Queryable, Selectable)]
#[diesel(table_name = decisions)]
pub struct DecisionRow {
    /// `upheld` or `dismissed`.
    pub verdict: String,
    /// A word of `ReasonClass`.
    pub reason_class: String,
    /// Why.
    pub reason: String,
    /// Who.
    pub decided_by: String,
    /// When, microseconds.
    pub decided_at: i64,
}

/// Lists at most `limit` cases, most voices first. All at once: a reader that pauses between rows would keep the
/// write-ahead log from being emptied.
///
/// # Errors
/// As the database says.
pub fn list_cases(connection: &mut Connection, limit: i64) -> QueryResult<Vec<CaseRow>> {
    cases::table
        .inner_join(case_totals::table)
        .order((case_totals::voices.desc(), case_totals::reports.desc(), cases::id))
        .limit(limit)
        .select(CaseRow::as_select())
        .load(connection)
}

/// Finds one case with its decisions, oldest first.
///
/// # Errors
/// As the database says.
pub fn find_case(connection: &mut Connection, reference: &str) -> QueryResult<Option<(CaseRow, Vec<DecisionRow>)>> {
    let row = cases::table
        .inner_join(case_totals::table)
        .filter(cases::reference.eq(reference))
        .select(CaseRow::as_select())
        .first::<CaseRow>(connection)
        .optional()?;
    let Some(row) = row else { return Ok(None) };
    let decisions = decisions::table
        .inner_join(cases::table)
        .filter(cases::reference.eq(reference))
        .order(decisions::id)
        .select(DecisionRow::as_select())
        .load(connection)?;
    Ok(Some((row, decisions)))
}

/// A person's word on a case.
pub struct Decision<'a> {
    /// Upheld or dismissed.
    pub verdict: CaseStatus,
    /// The part of the reason that carriers are told.
    pub reason_class: ReasonClass,
    /// Why.
    pub reason: &'a str,
    /// Who.
    pub decided_by: &'a str,
    /// When.
    pub decided_at: Moment,
}

/// What came of deciding.
#[derive(Debug, PartialEq, Eq)]
pub enum Decided {
    /// The case is closed.
    Closed,
    /// There is no such case.
    NotFound,
    /// It was closed before.
    AlreadyClosed,
    /// Counts are being made anew: what it would be decided on is not all there.
    Rebuilding,
}

/// Closes a case. The decision takes effect at the builder's cursor: every report counted so far belongs to this case,
/// every later one opens the next, and a rebuild finds the same line. Decisions are made one at a time, under the cursor's
/// lock: their numbers come in the order of their commits, so whoever has seen one has seen all before it.
///
/// # Errors
/// As the database says.
pub fn decide_case(connection: &mut Connection, reference: &str, decision: &Decision<'_>) -> QueryResult<Decided> {
    write_transaction(connection, |connection| {
        // Waits for the slice in hand: it may count reports into this very case.
        let cursor = building::lock_cursor(connection)?;
        if cursor.seq < cursor.furthest_seq {
            return Ok(Decided::Rebuilding);
        }
        let at_seq = cursor.seq;
        let case = cases::table
            .filter(cases::reference.eq(reference))
            .select((cases::id, cases::closed_seq))
            .first::<(i64, Option<i64>)>(connection)
            .optional()?;
        let case_id = match case {
            None => return Ok(Decided::NotFound),
            Some((_, Some(_))) => return Ok(Decided::AlreadyClosed),
            Some((id, None)) => id,
        };
        diesel::insert_into(decisions::table)
            .values((
                decisions::case_id.eq(case_id),
                decisions::verdict.eq(decision.verdict.as_str()),
                decisions::reason_class.eq(decision.reason_class.as_str()),
                decisions::reason.eq(decision.reason),
                decisions::decided_by.eq(decision.decided_by),
                decisions::decided_at.eq(decision.decided_at.0),
                decisions::at_seq.eq(at_seq),
            ))
            .execute(connection)?;
        diesel::update(cases::table.find(case_id))
            .set((cases::status.eq(decision.verdict.as_str()), cases::closed_seq.eq(at_seq)))
            .execute(connection)?;
        Ok(Decided::Closed)
    })
}
