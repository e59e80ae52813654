//! What a replay found, as a table, and whether all is well.

use std::time::Duration;

use crate::attempts::Counts;
use crate::post::Posted;
use crate::read_back::ReadBack;

const NAME_COLUMN_CHARS: usize = 34;
/// What may become of a report of a replay; `accepted` means that nobody counted it in time, `conflict` that its id was
/// used for something else.
const GOOD_STATUSES: &[&str] = &["counted", "repeat"];

/// Everything a replay counted.
#[derive(Debug, Default)]
pub struct Summary {
    /// Lines posted.
    pub lines: u64,
    /// Lines left out because they are empty.
    pub empty_lines: u64,
    /// Lines that were not valid UTF-8.
    pub lossy_lines: u64,
    /// What was said to the posts.
    pub posted: Posted,
    /// Different ids among the acknowledged.
    pub distinct_ids: u64,
    /// What was found afterwards.
    pub read_back: ReadBack,
    /// How long the posts took.
    pub post_time: Duration,
    /// How long reading back took, waiting included.
    pub read_time: Duration,
}

impl Summary {
    /// The table, one row a line.
    pub fn table(&self) -> String {
        let mut rows: Vec<(String, String)> = Vec::new();
        let mut row = |name: &str, value: String| rows.push((name.to_owned(), value));
        row("lines posted", self.lines.to_string());
        row("lines empty, left out", self.empty_lines.to_string());
        row("lines not UTF-8, mended", self.lossy_lines.to_string());
        row("accepted", self.posted.accepted.to_string());
        row("  of these told to be repeats", self.posted.repeats.to_string());
        row("duplicates", self.posted.duplicates.to_string());
        row("refused", total(&self.posted.refused).to_string());
        rows.extend(indented(&self.posted.refused));
        let retries = total(&self.posted.retries) + total(&self.read_back.retries);
        rows.push(("requests sent again".to_owned(), retries.to_string()));
        rows.extend(indented(&self.posted.retries));
        rows.extend(indented(&self.read_back.retries).map(|(name, value)| (format!("{name}, reading"), value)));
        rows.push(("distinct ids".to_owned(), self.distinct_ids.to_string()));
        rows.push(("read back".to_owned(), self.read_back.read.to_string()));
        rows.extend(indented(&self.read_back.statuses));
        rows.push(("missing".to_owned(), self.read_back.missing.to_string()));
        rows.push(("distinct case references".to_owned(), self.read_back.case_references.len().to_string()));
        rows.push(("unexpected answers".to_owned(), self.unexpected().to_string()));
        rows.extend(indented(&self.posted.unexpected));
        rows.extend(indented(&self.read_back.unexpected));
        rows.push(("posting, seconds".to_owned(), format!("{:.2}", self.post_time.as_secs_f64())));
        rows.push(("reading back, seconds".to_owned(), format!("{:.2}", self.read_time.as_secs_f64())));
        rows.push(("acknowledged reports/s".to_owned(), format!("{:.0}", self.reports_per_second())));
        table_of(&rows)
    }

    /// What is wrong, one sentence each; nothing if all is well. `allowed_codes` are refusals that the file is known
    /// to earn.
    pub fn problems(&self, allowed_codes: &[String]) -> Vec<String> {
        let mut problems = Vec::new();
        let mut check = |number: u64, what: &str| {
            if number > 0 {
                problems.push(format!("{number} {what}"));
            }
        };
        check(self.read_back.missing, "acknowledged reports are missing");
        check(self.unexpected(), "answers were unexpected");
        let acknowledged = self.posted.accepted + self.posted.duplicates;
        check(acknowledged.abs_diff(self.distinct_ids), "acknowledged reports share the id of another");
        for (code, number) in self.posted.refused.iter().filter(|(code, _)| !allowed_codes.contains(code)) {
            check(*number, &format!("reports were refused as {code}"));
        }
        for (status, number) in &self.read_back.statuses {
            if !GOOD_STATUSES.contains(&status.as_str()) {
                check(*number, &format!("reports ended as {status}"));
            }
        }
        for (reason, number) in self.posted.retries.iter().chain(&self.read_back.retries) {
            if reason.ends_with("no Retry-After") {
                check(*number, &format!("answers did not say when to come again ({reason})"));
            }
        }
        problems
    }

    fn unexpected(&self) -> u64 {
        total(&self.posted.unexpected) + total(&self.read_back.unexpected)
    }

    fn reports_per_second(&self) -> f64 {
        let acknowledged = (self.posted.accepted + self.posted.duplicates) as f64;
        acknowledged / self.post_time.as_secs_f64().max(f64::EPSILON)
    }
}

/// Rows of names and values, a line each.
pub fn table_of(rows: &[(String, String)]) -> String {
    let lines: Vec<String> =
        rows.iter().map(|(name, value)| format!("{name:<NAME_COLUMN_CHARS$} {value:>10}")).collect();
    lines.join("\n")
}

/// The sum of all counts.
pub fn total(counts: &Counts) -> u64 {
    counts.values().sum()
}

/// Counts as rows below the row of their sum.
pub fn indented(counts: &Counts) -> impl Iterator<Item = (String, String)> {
    counts.iter().map(|(name, number)| (format!("  {name}"), number.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(name: &str, number: u64) -> Counts {
        Counts::from([(name.to_owned(), number)])
    }

    fn good() -> Summary {
        Summary {
            lines: 3,
            posted: Posted { accepted: 2, duplicates: 1, ..Posted::default() },
            distinct_ids: 3,
            read_back: ReadBack { read: 3, statuses: counts("counted", 3), ..ReadBack::default() },
            post_time: Duration::from_millis(1_500),
            ..Summary::default()
        }
    }

    fn problems_after(change: impl FnOnce(&mut Summary)) -> Vec<String> {
        let mut summary = good();
        change(&mut summary);
        summary.problems(&["content_missing".to_owned()])
    }

    #[test]
    fn a_good_run_has_no_problems() {
        assert_eq!(problems_after(|_| ()), Vec::<String>::new());
        assert_eq!(
            problems_after(|summary| summary.posted.refused = counts("content_missing", 1)),
            Vec::<String>::new()
        );
        assert_eq!(problems_after(|summary| summary.posted.retries = counts("503 busy", 1)), Vec::<String>::new());
    }

    #[test]
    fn whatever_went_wrong_is_named() {
        let all = [
            problems_after(|summary| summary.read_back.missing = 1),
            problems_after(|summary| summary.posted.unexpected = counts("status 500", 1)),
            problems_after(|summary| summary.read_back.unexpected = counts("status 500", 1)),
            problems_after(|summary| summary.distinct_ids = 2),
            problems_after(|summary| summary.posted.refused = counts("unauthorized", 1)),
            problems_after(|summary| summary.read_back.statuses = counts("accepted", 1)),
            problems_after(|summary| summary.read_back.statuses = counts("conflict", 1)),
            problems_after(|summary| summary.posted.retries = counts("429 busy, no Retry-After", 1)),
        ];
        for problems in all {
            assert_eq!(problems.len(), 1, "{problems:?}");
        }
    }

    #[test]
    fn the_table_shows_the_speed_of_posting() {
        let table = good().table();
        assert!(
            table.lines().any(|line| line.starts_with("acknowledged reports/s") && line.ends_with(" 2")),
            "{table}"
        );
        assert!(table.lines().any(|line| line.starts_with("  counted") && line.ends_with(" 3")), "{table}");
    }
}
