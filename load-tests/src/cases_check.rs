//! `cases-check`: compares what `spamgate cases list --json` says after a `cluster-check` with what must be there.

use std::fs;
use std::path::PathBuf;

use anyhow::Context;
use clap::Args;

use crate::distinct::{CaseCounts, REPORTS_MAX, SENDERS_MAX, expected_cases};
use crate::output::say;

/// Compares listed cases with those that a `cluster-check` must have made.
#[derive(Args)]
pub struct CasesCheckArgs {
    /// What `spamgate cases list --json` printed
    #[arg(long)]
    file: PathBuf,
    /// As for `cluster-check`
    #[arg(long, default_value_t = 100_000, value_parser = clap::value_parser!(u32).range(1..=i64::from(REPORTS_MAX)))]
    reports: u32,
    /// As for `cluster-check`
    #[arg(long, default_value_t = 500, value_parser = clap::value_parser!(u32).range(1..=i64::from(SENDERS_MAX)))]
    senders: u32,
}

/// Compares and prints what is wrong.
///
/// # Errors
/// When the file cannot be read.
///
/// # Returns
/// Whether each case has the reports and voices it must have.
pub fn run(args: &CasesCheckArgs) -> anyhow::Result<bool> {
    let text = fs::read(&args.file).with_context(|| format!("cannot read {}", args.file.display()))?;
    let mut listed: Vec<CaseCounts> = serde_json::from_slice(&text).context("this is no list of cases")?;
    listed.sort_unstable();
    let expected = expected_cases(u64::from(args.reports), u64::from(args.senders));
    say(&format!("expected: {}", describe(&expected)));
    say(&format!("listed:   {}", describe(&listed)));
    let problem = difference(&expected, &listed);
    if let Some(problem) = &problem {
        say(&format!("WRONG: {problem}"));
    }
    Ok(problem.is_none())
}

fn describe(cases: &[CaseCounts]) -> String {
    let reports: u64 = cases.iter().map(|case| case.reports).sum();
    let voices: u64 = cases.iter().map(|case| case.voices).sum();
    format!("{} cases, {reports} reports, {voices} voices", cases.len())
}

/// The first thing that differs; both lists are in ascending order.
fn difference(expected: &[CaseCounts], listed: &[CaseCounts]) -> Option<String> {
    if expected.len() != listed.len() {
        return Some(format!("{} cases instead of {}", listed.len(), expected.len()));
    }
    let (wanted, found) = expected.iter().zip(listed).find(|(wanted, found)| wanted != found)?;
    Some(format!(
        "a case with {} reports and {} voices instead of {} and {}",
        found.reports, found.voices, wanted.reports, wanted.voices
    ))
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may stop where it fails")]
    use super::*;

    #[test]
    fn a_list_is_read_as_the_command_prints_it() {
        let printed = "[\n{\"reference\":\"VN-1\",\"status\":\"open\",\"reports\":3,\"voices\":2}\n]\n";
        let listed: Vec<CaseCounts> = serde_json::from_str(printed).unwrap();
        assert_eq!(difference(&expected_cases(3, 1), &listed), None);
        assert_eq!(describe(&listed), "1 cases, 3 reports, 2 voices");
    }

    #[test]
    fn a_report_or_a_voice_or_a_case_too_many_is_found() {
        let expected = expected_cases(4, 1);
        for (reports, voices) in [(5, 2), (3, 2), (4, 1), (4, 3)] {
            assert!(difference(&expected, &[CaseCounts { reports, voices }]).is_some());
        }
        assert!(difference(&expected, &[]).is_some());
    }
}
