//! One report as the API takes it, and the rules that make a second run send the very same bytes.

use anyhow::{Context, ensure};
use jiff::Timestamp;
use serde::Serialize;

use crate::population::Population;
use crate::random::{Random, Stream};

/// Reports of one run happened within this long before its base time, seconds.
pub const SPREAD_SECONDS: i64 = 7 * DAY_SECONDS;
/// The longest run label, bytes. With the seed and the number of the line the id stays under 64 bytes.
pub const RUN_LABEL_MAX_BYTES: usize = 24;

const DAY_SECONDS: i64 = 86_400;

/// The JSON body of a report. The API describes the fields.
#[derive(Serialize)]
pub struct Report<'a> {
    pub report_id: String,
    pub reporter: String,
    pub sender: String,
    pub channel: &'a str,
    pub category: &'a str,
    pub content: &'a str,
    pub occurred_at: String,
}

/// What all reports of one run have in common.
pub struct Run {
    /// Where all that is drawn comes from.
    pub seed: u64,
    /// Part of every report id: another label makes other reports out of the same file.
    pub label: String,
    /// No report happened after it.
    pub base_time: Timestamp,
    /// Who reports whom.
    pub population: Population,
}

impl Run {
    /// The body for a line of the file. It depends on the run, the number of the line and its text, and on nothing
    /// else: the gateway takes a second body under the same id for a mistake.
    ///
    /// # Errors
    /// Only when the base time is so far out that a time before it cannot be written.
    pub fn body(&self, line_number: u64, content: &str) -> anyhow::Result<Vec<u8>> {
        let draw = self.population.draw(line_number, SPREAD_SECONDS);
        let occurred_at = Timestamp::from_second(self.base_time.as_second() - draw.age_seconds)
            .context("--base-time is out of range")?;
        let report = Report {
            report_id: format!("{}-{:x}-{line_number}", self.label, self.seed),
            reporter: draw.reporter,
            sender: draw.sender,
            channel: draw.channel,
            category: draw.category,
            content,
            occurred_at: occurred_at.to_string(),
        };
        serde_json::to_vec(&report).context("a report could not be written as JSON")
    }
}

/// The base time of a run when none is given: the start of the day of `now` in UTC, less up to a day that comes from
/// the seed. It stays the same until midnight UTC; after that a second run needs `--base-time`.
///
/// # Errors
/// Only when `now` is at the very end of what can be written.
pub fn default_base_time(seed: u64, now: Timestamp) -> anyhow::Result<Timestamp> {
    let start_of_day = now.as_second().div_euclid(DAY_SECONDS) * DAY_SECONDS;
    let offset = Random::new(seed, Stream::BaseTime, 0).below(DAY_SECONDS.unsigned_abs());
    Timestamp::from_second(start_of_day - i64::try_from(offset)?).context("the clock is out of range")
}

/// Accepts a run label: 1-24 of `A-Z a-z 0-9 _ -`, so that every report id made of it is well formed.
///
/// # Errors
/// A sentence that says what to write instead.
pub fn parse_run_label(text: &str) -> anyhow::Result<String> {
    let is_well_formed = (1..=RUN_LABEL_MAX_BYTES).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte));
    ensure!(is_well_formed, "write 1 to {RUN_LABEL_MAX_BYTES} letters, digits, `-` or `_`");
    Ok(text.to_owned())
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may stop where it fails")]
    use super::*;
    use crate::population::PopulationSize;

    fn run(seed: u64, label: &str) -> Run {
        Run {
            seed,
            label: label.to_owned(),
            base_time: "2026-11-24T00:00:00Z".parse().unwrap(),
            population: Population::new(seed, PopulationSize { senders: 300, reporters: 50_000 }),
        }
    }

    /// Pinned: whoever changes the generator changes what a second run of an old file sends.
    #[test]
    fn the_body_of_a_line_is_always_the_same() {
        let body = String::from_utf8(run(1, "replay").body(1, "Trúng thưởng \"lớn\"").unwrap()).unwrap();
        assert_eq!(body, PINNED);
    }
    const PINNED: &str = concat!(
        r#"{"report_id":"replay-1-1","reporter":"0319637178","sender":"0306005226","channel":"call","category":"spam","#,
        r#""content":"Trúng thưởng \"lớn\"","occurred_at":"2026-11-23T14:06:37Z"}"#,
    );

    #[test]
    fn ids_are_well_formed_and_differ_by_label_seed_and_line() {
        let id = |run: &Run, line| {
            let body: serde_json::Value = serde_json::from_slice(&run.body(line, "x").unwrap()).unwrap();
            body.get("report_id").and_then(|id| id.as_str()).unwrap().to_owned()
        };
        let longest = id(&run(u64::MAX, &"x".repeat(RUN_LABEL_MAX_BYTES)), u64::MAX);
        assert!(longest.len() <= 64 && longest.bytes().all(|byte| (0x21..=0x7e).contains(&byte)), "{longest}");
        let ids = [id(&run(1, "a"), 1), id(&run(1, "a"), 2), id(&run(2, "a"), 1), id(&run(1, "b"), 1)];
        let distinct: std::collections::HashSet<_> = ids.iter().collect();
        assert_eq!(distinct.len(), ids.len());
    }

    #[test]
    fn the_default_base_time_is_the_same_all_day_long_and_in_the_past() {
        let at = |text: &str| default_base_time(9, text.parse().unwrap()).unwrap();
        assert_eq!(at("2026-11-24T00:00:00Z"), at("2026-11-24T23:59:59Z"));
        assert_ne!(at("2026-11-24T23:59:59Z"), at("2026-11-25T00:00:00Z"));
        assert!(at("2026-11-24T00:00:00Z") <= "2026-11-24T00:00:00Z".parse().unwrap());
    }

    #[test]
    fn a_label_that_would_spoil_the_id_is_refused() {
        assert_eq!(parse_run_label("nightly_2-b").unwrap(), "nightly_2-b");
        for bad in ["", "a b", "ü", "0123456789012345678901234"] {
            assert!(parse_run_label(bad).is_err(), "{bad}");
        }
    }
}
