//! Reports of which none is like another, so that the cases they must become are known before the first is sent.
//!
//! Reports come in pairs: the same reporter says two different things of the same sender. So a case has a voice for
//! each pair and a report for each half of it, and neither can hide what is wrong with the other.

use anyhow::Context;
use jiff::Timestamp;
use serde::Deserialize;

use crate::report::Report;

/// Reports by one reporter, about one sender.
const REPORTS_PER_REPORTER: u64 = 2;
/// First digits of reporters' numbers. Each leaves seven that are free.
const REPORTER_PREFIXES: &[&str] = &["090", "091", "092", "093", "094", "095", "096", "097", "098"];
/// First digits of senders' numbers. No reporter has them.
const SENDER_PREFIX: &str = "035";
/// Numbers behind one prefix.
const NUMBERS_PER_PREFIX: u64 = 10_000_000;
/// The most senders.
pub const SENDERS_MAX: u32 = 1_000_000;
/// The most reports.
pub const REPORTS_MAX: u32 = 100_000_000;
/// Reports happened within so long before the base time, seconds.
const SPREAD_SECONDS: u64 = 3_600;
/// What may be claimed; a sender always does the same.
const CATEGORIES: &[&str] = &["spam", "scam"];

/// Reports and voices of one case.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq, PartialOrd, Ord)]
pub struct CaseCounts {
    /// Reports in it.
    pub reports: u64,
    /// Different reporters.
    pub voices: u64,
}

/// What all reports of one run have in common.
pub struct DistinctRun {
    /// Part of every report id.
    pub label: String,
    /// No report happened after it.
    pub base_time: Timestamp,
    /// Different senders.
    pub senders: u64,
}

impl DistinctRun {
    /// The body of report `number`, counted from 0. It depends on the run and the number, and on nothing else.
    ///
    /// # Errors
    /// Only when the base time is so far out that a time before it cannot be written.
    pub fn body(&self, number: u64) -> anyhow::Result<Vec<u8>> {
        let pair = number / REPORTS_PER_REPORTER;
        let sender = pair % self.senders.max(1);
        let age_seconds = i64::try_from(number % SPREAD_SECONDS)?;
        let occurred_at = Timestamp::from_second(self.base_time.as_second() - age_seconds)
            .context("the base time is out of range")?;
        let report = Report {
            report_id: format!("{}-{number}", self.label),
            reporter: reporter(pair),
            sender: format!("{SENDER_PREFIX}{sender:07}"),
            channel: if number.is_multiple_of(REPORTS_PER_REPORTER) { "sms" } else { "call" },
            category: pick(CATEGORIES, sender),
            content: &format!("Ban da trung thuong, ma so {number}. Goi lai ngay de nhan qua."),
            occurred_at: occurred_at.to_string(),
        };
        serde_json::to_vec(&report).context("a report could not be written as JSON")
    }
}

fn reporter(pair: u64) -> String {
    let prefix = pick(REPORTER_PREFIXES, pair / NUMBERS_PER_PREFIX);
    format!("{prefix}{:07}", pair % NUMBERS_PER_PREFIX)
}

fn pick(items: &[&'static str], index: u64) -> &'static str {
    let place = usize::try_from(index).unwrap_or(0) % items.len().max(1);
    items.get(place).copied().unwrap_or_default()
}

/// The cases that `reports` reports about `senders` senders become, in ascending order.
pub fn expected_cases(reports: u64, senders: u64) -> Vec<CaseCounts> {
    let pairs = reports.div_ceil(REPORTS_PER_REPORTER);
    let senders = senders.max(1);
    let mut cases: Vec<CaseCounts> = (0..senders.min(pairs))
        .map(|sender| {
            let voices = (pairs - sender).div_ceil(senders);
            CaseCounts { reports: voices * REPORTS_PER_REPORTER, voices }
        })
        .collect();
    // The last pair may lack its second half.
    if let Some(last) = pairs.checked_sub(1).and_then(|pair| cases.get_mut(usize::try_from(pair % senders).ok()?)) {
        last.reports -= pairs * REPORTS_PER_REPORTER - reports;
    }
    cases.sort_unstable();
    cases
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may stop where it fails")]
    use super::*;
    use std::collections::{BTreeMap, HashSet};

    fn run(senders: u64) -> DistinctRun {
        DistinctRun { label: "check".to_owned(), base_time: "2026-11-24T08:00:00Z".parse().unwrap(), senders }
    }

    fn text(body: &serde_json::Value, field: &str) -> String {
        body.get(field).and_then(|value| value.as_str()).unwrap().to_owned()
    }

    /// Counts by hand what the bodies say.
    fn counted(reports: u64, senders: u64) -> Vec<CaseCounts> {
        let mut cases: BTreeMap<(String, String), (u64, HashSet<String>)> = BTreeMap::new();
        for number in 0..reports {
            let body: serde_json::Value = serde_json::from_slice(&run(senders).body(number).unwrap()).unwrap();
            let case = cases.entry((text(&body, "sender"), text(&body, "category"))).or_default();
            case.0 += 1;
            case.1.insert(text(&body, "reporter"));
        }
        let of_case = |(reports, voices): (u64, HashSet<String>)| CaseCounts { reports, voices: voices.len() as u64 };
        let mut counts: Vec<CaseCounts> = cases.into_values().map(of_case).collect();
        counts.sort_unstable();
        counts
    }

    #[test]
    fn what_is_expected_is_what_the_bodies_say() {
        for (reports, senders) in [(0, 3), (1, 3), (2, 3), (5, 1), (7, 2), (12, 3), (101, 7), (1_000, 64)] {
            assert_eq!(expected_cases(reports, senders), counted(reports, senders), "{reports}, {senders}");
        }
    }

    #[test]
    fn no_report_repeats_another_and_numbers_have_ten_digits() {
        let mut said = HashSet::new();
        for number in (0..1_000).chain([u64::from(REPORTS_MAX) - 1]) {
            let body: serde_json::Value = serde_json::from_slice(&run(10).body(number).unwrap()).unwrap();
            let [reporter, sender] = ["reporter", "sender"].map(|field| text(&body, field));
            assert!(reporter.len() == 10 && sender.len() == 10, "{body}");
            assert!(said.insert((reporter, sender, text(&body, "content"))));
        }
    }

    #[test]
    fn there_are_numbers_for_all_reporters() {
        let pairs = u64::from(REPORTS_MAX).div_ceil(REPORTS_PER_REPORTER);
        assert!(pairs <= REPORTER_PREFIXES.len() as u64 * NUMBERS_PER_PREFIX);
        assert_ne!(reporter(0), reporter(NUMBERS_PER_PREFIX));
    }

    #[test]
    fn a_body_is_always_the_same() {
        assert_eq!(run(5).body(3).unwrap(), run(5).body(3).unwrap());
    }
}
