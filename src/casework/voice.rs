//! What a voice is made of, and what is left of it when a report goes.
//!
//! A voice is a function of the reports that add to it, in the order of the journal: the strongest proof, the first such;
//! the latest word before the decision. So a report that goes leaves the voice as if it had never been in it. Only voices
//! that several reports add to have their parts written down; of all others the voice itself says everything.

use super::builder::BuildError;
use crate::domain::vocabulary::Proof;
use crate::store::building::VoiceBefore;
use crate::store::connection::Connection;
use crate::store::withdrawing::{self, VoicePart};

/// A voice before and after a report was taken from it; none when there is none.
#[derive(Default)]
pub(super) struct Change {
    pub(super) before: Option<VoiceBefore>,
    pub(super) after: Option<VoiceBefore>,
}

/// Takes the part of a report from a voice, and those of `repeats` of it. The voice goes with its last counted report.
pub(super) fn take_report(
    connection: &mut Connection,
    case_id: i64,
    reporter_tag: &[u8],
    report_id: &[u8],
    is_repeat: bool,
    repeats: &[&[u8]],
) -> Result<Change, BuildError> {
    let Some(before) = withdrawing::find_voice(connection, case_id, reporter_tag)? else {
        return Ok(Change::default());
    };
    let parts = withdrawing::list_parts(connection, case_id, reporter_tag)?;
    let after = match parts.as_slice() {
        // A repeat stands beside what it repeats, unless its part went with that.
        [] if is_repeat => Some((before.clone(), Vec::new())),
        [] => less_one(&before),
        // The first part that is of no known report is of a counted one.
        parts => left_of(parts, report_id, is_repeat, repeats),
    };
    match &after {
        Some((after, parts)) => {
            withdrawing::write_voice(connection, case_id, reporter_tag, after)?;
            withdrawing::delete_parts(connection, case_id, reporter_tag)?;
            withdrawing::insert_parts(connection, parts)?;
        }
        None => {
            withdrawing::delete_voice(connection, case_id, reporter_tag)?;
            withdrawing::delete_parts(connection, case_id, reporter_tag)?;
        }
    }
    Ok(Change { before: Some(before), after: after.map(|(after, _)| after) })
}

/// A voice without parts is of one report; of several only when it is older than the parts are.
fn less_one(before: &VoiceBefore) -> Option<(VoiceBefore, Vec<VoicePart>)> {
    (before.reports > 1).then(|| (VoiceBefore { reports: before.reports - 1, ..before.clone() }, Vec::new()))
}

fn left_of(
    parts: &[VoicePart],
    report_id: &[u8],
    is_repeat: bool,
    repeats: &[&[u8]],
) -> Option<(VoiceBefore, Vec<VoicePart>)> {
    let is_of = |part: &VoicePart, id: &[u8]| part.report_id.as_deref() == Some(id);
    let is_known = parts.iter().any(|part| is_of(part, report_id));
    let goes = |part: &&VoicePart| {
        let is_unknown = part.report_id.is_none();
        is_of(part, report_id) || repeats.iter().any(|id| is_of(part, id)) || (is_unknown && !is_known && !is_repeat)
    };
    let mut left: Vec<VoicePart> = parts.iter().filter(|part| !goes(part)).cloned().collect();
    // Only what is older than the parts are has more than one report in a part.
    let extra = parts.iter().find(|part| goes(part) && part.reports > 1);
    if let Some(extra) = extra {
        left.insert(0, VoicePart { reports: extra.reports - 1, ..extra.clone() });
    }
    let reports = left.iter().map(|part| part.reports).sum();
    if reports <= 0 {
        return None;
    }
    let proof_of = |part: &VoicePart| Proof::parse(&part.proof).unwrap_or(Proof::None);
    let strongest = left.iter().fold(None, |best: Option<&VoicePart>, part| match best {
        Some(best) if proof_of(best) >= proof_of(part) => Some(best),
        _ => Some(part),
    })?;
    let word = left.iter().rev().find(|part| !part.is_late).or_else(|| left.first())?;
    let after = VoiceBefore {
        reports,
        proof: strongest.proof.clone(),
        attested_by: strongest.attested_by.clone(),
        is_legit: word.is_legit,
    };
    match left.as_mut_slice() {
        [_only] => left.clear(),
        [first, ..] => first.seq = 0,
        [] => {}
    }
    Some((after, left))
}
