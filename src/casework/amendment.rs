//! A row that says more about an earlier report: who sent what it reports.
//!
//! The report is taken out of the counts and counted anew as what it is now, at the amendment's place in the journal.
//! The builder does this between two slices, on what is written: then the result is the same however slices are cut.
//!
//! Rules, all decided by the journal and by what is written once:
//! - Of several amendments of a report the first one counts; so a retry that was appended twice does no harm.
//! - It must come from the same carrier for the same reporter, after the report, and the report must lack its sender.
//!   Any other is left out of account.
//! - A repeat can be amended too. It is no repeat of a report with no sender any more, but may be one of another.
//! - Repeats of the amended report stay where they were linked; they never were voices.
//! - A decided case keeps the counts that it was decided on; the report is counted where it belongs now all the same.
//! - What is left of a voice keeps its latest word, also when that was said by the report that is taken out: which of the
//!   others came last is written nowhere.
//! - When a case was first and last heard of stays as it was, until it has no report left.

use super::builder::BuildError;
use super::slice::{Slice, figure_key, weight_of};
use crate::domain::sender::SenderKind;
use crate::domain::vocabulary::{Channel, Source};
use crate::store::amending;
use crate::store::building::{self, IndexRow, TotalsRow};
use crate::store::connection::Connection;
use crate::store::journal::{self, JournalRow};

/// Applies an amendment; the number of conflicts found, which is none.
pub(super) fn apply(
    connection: &mut Connection,
    amendment: &JournalRow,
    draw_reference: impl FnMut() -> Result<String, BuildError>,
) -> Result<usize, BuildError> {
    let Some((index, report)) = find_amendable(connection, amendment)? else { return Ok(0) };
    uncount(connection, &index, &report, amendment.seq)?;
    amending::insert_amended(connection, &amendment.report_id, amendment.seq)?;
    let rows = std::slice::from_ref(amendment);
    let mut slice = Slice::load(connection, rows, draw_reference)?;
    slice.recount(amendment, &index)?;
    slice.finish(connection)
}

/// The report that the amendment says more about, if it takes effect.
fn find_amendable(
    connection: &mut Connection,
    amendment: &JournalRow,
) -> Result<Option<(IndexRow, JournalRow)>, BuildError> {
    let Some(index) = amending::find_index_row(connection, &amendment.report_id)? else { return Ok(None) };
    if amending::is_amended(connection, &amendment.report_id)? {
        return Ok(None);
    }
    let Some(report) = journal::find_row(connection, index.seq)? else { return Ok(None) };
    let is_same_person = report.owner == amendment.owner && report.reporter_tag == amendment.reporter_tag;
    Ok((is_same_person && report.sender_kind == SenderKind::Hidden).then_some((index, report)))
}

/// Takes a report out of the index and the counts, as if it had not been built in; `at_seq` is the row that has it so.
pub(super) fn uncount(
    connection: &mut Connection,
    index: &IndexRow,
    report: &JournalRow,
    at_seq: i64,
) -> Result<(), BuildError> {
    let is_repeat = index.repeat_of.is_some();
    match index.case_id {
        Some(case_id) => {
            let is_decided = amending::find_closed_seq(connection, case_id)?.is_some_and(|closed| closed < at_seq);
            if !is_decided {
                take_from_case(connection, case_id, report, is_repeat)?;
            }
        }
        None if !is_repeat => amending::take_from_figure(connection, &figure_key(report))?,
        // A repeat of a report without a case added to nothing.
        None => {}
    }
    amending::delete_counted(connection, &report.fingerprint, &report.report_id)?;
    Ok(amending::delete_index_row(connection, &report.report_id)?)
}

fn take_from_case(
    connection: &mut Connection,
    case_id: i64,
    report: &JournalRow,
    is_repeat: bool,
) -> Result<(), BuildError> {
    let voice = if is_repeat { None } else { amending::take_from_voice(connection, case_id, &report.reporter_tag)? };
    let Some(mut totals) = building::list_totals(connection, &[case_id])?.pop() else { return Ok(()) };
    take_from_totals(&mut totals, report);
    totals.repeats -= i64::from(is_repeat);
    if let Some(gone) = voice.filter(|voice| voice.reports <= 1) {
        let gone = weight_of(&gone);
        totals.voices -= gone.against;
        totals.foreign_voices -= gone.foreign;
        totals.counter_voices -= gone.counter;
    }
    if totals.reports <= 0 {
        return Ok(amending::delete_totals(connection, case_id)?);
    }
    Ok(building::replace_totals(connection, &[totals])?)
}

fn take_from_totals(totals: &mut TotalsRow, report: &JournalRow) {
    totals.reports -= 1;
    match report.channel {
        Channel::Sms => totals.sms -= 1,
        Channel::Call => totals.calls -= 1,
    }
    match report.source {
        Source::CarrierApi => totals.carrier_api -= 1,
        Source::CarrierBatch => totals.carrier_batch -= 1,
        Source::CarrierMo => totals.carrier_mo -= 1,
        Source::Web => totals.web -= 1,
    }
    totals.money_lost -= i64::from(report.money_lost == Some(true));
}
