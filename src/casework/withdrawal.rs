//! A row by which its reporter takes a report back.
//!
//! The report is taken out of the counts, its id stays in the index, and afterwards its rows are blanked. The builder does
//! this between two slices, on what is written, as with an amendment. A rebuild finds the rows blank; what they had added
//! in the meantime is written down in `withdrawn_rows`, without a tag, so that it comes to the same.
//!
//! Rules:
//! - It takes effect when it comes from the report's reporter, whichever way the report came. Any other is left out of
//!   account.
//! - Repeats of a withdrawn report stay where they were linked; they add nothing to the voice any more. What is said
//!   again later is counted.
//! - A decided case keeps its reports and its voices. The voice is nobody's then; or, where the same person has said more
//!   in the case, it is what the rest says.
//! - Further rows with its id, whether they came before or come later, are blanked and count for nothing.

use super::amendment::uncount;
use super::builder::BuildError;
use super::voice;
use crate::store::amending::{self, Amended};
use crate::store::building::{self, IndexRow, VoiceBefore};
use crate::store::connection::Connection;
use crate::store::evidence;
use crate::store::journal::{self, JournalRow};
use crate::store::withdrawing::{self, WithdrawnRow};

/// Applies a withdrawal.
pub(super) fn apply(connection: &mut Connection, withdrawal: &JournalRow) -> Result<(), BuildError> {
    let id = withdrawal.report_id.as_slice();
    let Some(index) = amending::find_index_row(connection, id)? else { return Ok(()) };
    if note_if_withdrawn(connection, &index, withdrawal.seq)? {
        return Ok(());
    }
    let Some(report) = journal::find_row(connection, index.seq)? else { return Ok(()) };
    if !takes_effect(connection, withdrawal, &report)? {
        return Ok(withdrawing::insert_further_rows(connection, &[(id, withdrawal.seq)])?);
    }
    evidence::delete_evidence(connection, id)?;
    withdraw(connection, withdrawal, index, &report)
}

/// Has a further row of a report blanked, if the report is withdrawn by now.
pub(super) fn note_if_withdrawn(connection: &mut Connection, index: &IndexRow, seq: i64) -> Result<bool, BuildError> {
    let Some(withdrawn_seq) = index.withdrawn_seq else { return Ok(false) };
    note_further_row(connection, &index.report_id, seq, withdrawn_seq)?;
    Ok(true)
}

/// Has a further row of a withdrawn report blanked.
pub(super) fn note_further_row(
    connection: &mut Connection,
    report_id: &[u8],
    seq: i64,
    withdrawn_seq: i64,
) -> Result<(), BuildError> {
    Ok(withdrawing::insert_withdrawn_row(connection, &uncounted(report_id, seq, withdrawn_seq))?)
}

fn takes_effect(connection: &mut Connection, withdrawal: &JournalRow, report: &JournalRow) -> Result<bool, BuildError> {
    if !report.is_blank() {
        return Ok(report.reporter_tag == withdrawal.reporter_tag);
    }
    // Whose it was is gone; which withdrawal it was is not.
    let known = withdrawing::find_withdrawn_row(connection, report.seq, &report.report_id)?;
    Ok(known.is_none_or(|known| known.withdrawn_seq == withdrawal.seq))
}

fn withdraw(
    connection: &mut Connection,
    withdrawal: &JournalRow,
    index: IndexRow,
    report: &JournalRow,
) -> Result<(), BuildError> {
    let amended = amending::find_amended(connection, &index.report_id)?;
    let amendment = match &amended {
        Some(amended) => journal::find_row(connection, amended.seq)?,
        None => None,
    };
    // What it counts as now.
    let counted = amendment.as_ref().unwrap_or(report);
    let repeats = withdrawing::list_repeats_of(connection, &index.report_id, withdrawal.seq)?;
    let repeat_ids: Vec<&[u8]> = repeats.iter().map(|repeat| repeat.report_id.as_slice()).collect();
    let nobodys = leave_if_decided(connection, &index, counted, withdrawal.seq, &repeat_ids)?;
    uncount(connection, &index, counted, withdrawal.seq, &repeat_ids)?;
    write_down(connection, withdrawal.seq, &index, counted, nobodys.as_ref())?;
    if let Some(Amended { seq, case_id, repeat_of }) = amended {
        let before = IndexRow { case_id, repeat_of, ..index.clone() };
        // A case that was decided before the amendment has kept the report too.
        let nobodys = leave_if_decided(connection, &before, report, seq, &repeat_ids)?;
        write_down(connection, withdrawal.seq, &before, report, nobodys.as_ref())?;
    }
    for seq in withdrawing::list_further_rows(connection, &index.report_id)? {
        withdrawing::insert_withdrawn_row(connection, &uncounted(&index.report_id, seq, withdrawal.seq))?;
    }
    let own = uncounted(&index.report_id, withdrawal.seq, withdrawal.seq);
    withdrawing::insert_withdrawn_row(connection, &own)?;
    for repeat in &repeats {
        withdrawing::insert_kept_repeat(connection, repeat)?;
    }
    let stays =
        IndexRow { case_id: None, repeat_of: None, conflict: false, withdrawn_seq: Some(withdrawal.seq), ..index };
    Ok(building::insert_index_rows(connection, &[stays])?)
}

/// Takes a report from a voice of its case, if that was decided before `at_seq`, when the report would have left it.
fn leave_if_decided(
    connection: &mut Connection,
    index: &IndexRow,
    row: &JournalRow,
    at_seq: i64,
    repeats: &[&[u8]],
) -> Result<Option<VoiceBefore>, BuildError> {
    let Some(case_id) = index.case_id else { return Ok(None) };
    let closed_seq = amending::find_closed_seq(connection, case_id)?;
    if closed_seq.is_none_or(|closed| closed >= at_seq) {
        return Ok(None);
    }
    leave_voice(connection, case_id, row, index.repeat_of.is_some(), repeats)
}

/// Takes a report from a voice of a decided case, whose counts stay. The voice that is nobody's then, if it was the last.
fn leave_voice(
    connection: &mut Connection,
    case_id: i64,
    row: &JournalRow,
    is_repeat: bool,
    repeats: &[&[u8]],
) -> Result<Option<VoiceBefore>, BuildError> {
    let Some(mut totals) = building::list_totals(connection, &[case_id])?.pop() else { return Ok(None) };
    if row.is_blank() {
        let known = withdrawing::find_withdrawn_row(connection, row.seq, &row.report_id)?;
        let voice = known.and_then(|known| {
            let (proof, attested_by) = known.proof.zip(known.attested_by)?;
            Some(VoiceBefore { reports: 1, proof, attested_by, is_legit: known.is_legit? })
        });
        let Some(voice) = voice else { return Ok(None) };
        withdrawing::write_voice(connection, case_id, &row.report_id, &voice)?;
        totals.change_voice(None, Some(&voice));
        building::replace_totals(connection, &[totals])?;
        return Ok(Some(voice));
    }
    let change = voice::take_report(connection, case_id, &row.reporter_tag, &row.report_id, is_repeat, repeats)?;
    match (change.before, change.after) {
        (Some(before), None) => {
            // By the report's id, which is as long as a tag and nobody's.
            let nobodys = VoiceBefore { reports: 1, ..before };
            withdrawing::write_voice(connection, case_id, &row.report_id, &nobodys)?;
            Ok(Some(nobodys))
        }
        (before, after) => {
            totals.change_voice(before.as_ref(), after.as_ref());
            building::replace_totals(connection, &[totals])?;
            Ok(None)
        }
    }
}

fn write_down(
    connection: &mut Connection,
    withdrawn_seq: i64,
    index: &IndexRow,
    row: &JournalRow,
    nobodys: Option<&VoiceBefore>,
) -> Result<(), BuildError> {
    let row = WithdrawnRow {
        is_counted: true,
        case_id: index.case_id,
        repeat_of: index.repeat_of.clone(),
        proof: nobodys.map(|voice| voice.proof.clone()),
        attested_by: nobodys.map(|voice| voice.attested_by.clone()),
        is_legit: nobodys.map(|voice| voice.is_legit),
        ..uncounted(&index.report_id, row.seq, withdrawn_seq)
    };
    Ok(withdrawing::insert_withdrawn_row(connection, &row)?)
}

fn uncounted(report_id: &[u8], seq: i64, withdrawn_seq: i64) -> WithdrawnRow {
    WithdrawnRow {
        seq,
        report_id: report_id.to_vec(),
        withdrawn_seq,
        is_counted: false,
        case_id: None,
        repeat_of: None,
        proof: None,
        attested_by: None,
        is_legit: None,
        is_blank: false,
    }
}
