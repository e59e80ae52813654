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
//! - What is left of a voice is what the reports say that are left in it; repeats of the amended one are not.
//! - When a case was first and last heard of stays as it was, until it has no report left.

use super::builder::BuildError;
use super::slice::{Slice, figure_key};
use super::{voice, withdrawal};
use crate::domain::sender::SenderKind;
use crate::domain::vocabulary::{Channel, Source};
use crate::store::amending;
use crate::store::building::{self, IndexRow, TotalsRow};
use crate::store::connection::Connection;
use crate::store::journal::{self, JournalRow};
use crate::store::withdrawing;

/// Applies an amendment; the number of conflicts found, which is none.
pub(super) fn apply(
    connection: &mut Connection,
    amendment: &JournalRow,
    draw_reference: impl FnMut() -> Result<String, BuildError>,
) -> Result<usize, BuildError> {
    let found = amending::find_index_row(connection, &amendment.report_id)?;
    if let Some(index) = &found
        && withdrawal::note_if_withdrawn(connection, index, amendment.seq)?
    {
        return Ok(0);
    }
    withdrawing::insert_further_rows(connection, &[(&amendment.report_id, amendment.seq)])?;
    let Some(index) = found else { return Ok(0) };
    let Some(report) = find_amendable(connection, &index, amendment)? else { return Ok(0) };
    let repeats = withdrawing::list_repeats_of(connection, &index.report_id, amendment.seq)?;
    let repeats: Vec<&[u8]> = repeats.iter().map(|repeat| repeat.report_id.as_slice()).collect();
    uncount(connection, &index, &report, amendment.seq, &repeats)?;
    amending::insert_amended(connection, &index, amendment.seq)?;
    let rows = std::slice::from_ref(amendment);
    let mut slice = Slice::load(connection, rows, draw_reference)?;
    slice.recount(amendment, &index)?;
    slice.finish(connection)
}

/// The report that the amendment says more about, if it takes effect.
fn find_amendable(
    connection: &mut Connection,
    index: &IndexRow,
    amendment: &JournalRow,
) -> Result<Option<JournalRow>, BuildError> {
    if amending::find_amended(connection, &amendment.report_id)?.is_some() {
        return Ok(None);
    }
    let Some(report) = journal::find_row(connection, index.seq)? else { return Ok(None) };
    if report.is_blank() {
        // Withdrawn later: whether it took effect was written down then.
        let known = withdrawing::find_withdrawn_row(connection, amendment.seq, &amendment.report_id)?;
        return Ok(known.is_some_and(|known| known.is_counted).then_some(report));
    }
    let is_same_person = report.owner == amendment.owner && report.reporter_tag == amendment.reporter_tag;
    Ok((is_same_person && report.sender_kind == SenderKind::Hidden).then_some(report))
}

/// Takes a report out of the index and the counts, as if it had not been built in; `at_seq` is the row that has it so.
/// What `repeats` it adds nothing to its voice any more.
pub(super) fn uncount(
    connection: &mut Connection,
    index: &IndexRow,
    report: &JournalRow,
    at_seq: i64,
    repeats: &[&[u8]],
) -> Result<(), BuildError> {
    let is_repeat = index.repeat_of.is_some();
    match index.case_id {
        Some(case_id) => {
            let is_decided = amending::find_closed_seq(connection, case_id)?.is_some_and(|closed| closed < at_seq);
            if !is_decided {
                take_from_case(connection, case_id, report, is_repeat, repeats)?;
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
    repeats: &[&[u8]],
) -> Result<(), BuildError> {
    // Nothing of a blank row was ever counted in a voice.
    let voice = if report.is_blank() {
        voice::Change::default()
    } else {
        voice::take_report(connection, case_id, &report.reporter_tag, &report.report_id, is_repeat, repeats)?
    };
    let Some(mut totals) = building::list_totals(connection, &[case_id])?.pop() else { return Ok(()) };
    take_from_totals(&mut totals, report);
    totals.repeats -= i64::from(is_repeat);
    totals.change_voice(voice.before.as_ref(), voice.after.as_ref());
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
