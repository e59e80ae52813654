//! `cluster-check`: posts distinct reports to several gateways while things break, and checks that each one that was
//! acknowledged is counted once.

use std::collections::HashSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use clap::Args;
use jiff::Timestamp;
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval, sleep, sleep_until};

use crate::acknowledged::{AcknowledgedFile, SYNC_EVERY};
use crate::attempts::{Attempt, Counts, add_counts, count};
use crate::distinct::{DistinctRun, REPORTS_MAX, SENDERS_MAX, expected_cases};
use crate::gateway::{Gateway, NO_CONNECTION, PostAnswer, ReadAnswer};
use crate::output::say;
use crate::progress::Progress;
use crate::read_back::{POLL_INTERVAL, ReadBack, WAITING_STATUS, read_all};
use crate::replay::{NANOS_PER_SECOND, key};
use crate::report::parse_run_label;
use crate::summary::{indented, table_of, total};

/// The longest wait before a report goes to the next gateway, whatever `Retry-After` says.
const WAIT_MAX: Duration = Duration::from_secs(1);
/// The wait after all gateways in turn could not be reached.
const NOBODY_WAIT: Duration = Duration::from_millis(200);
/// What every report has to become.
const COUNTED_STATUS: &str = "counted";

/// Posts distinct reports to several gateways and checks that each is counted once.
#[derive(Args)]
pub struct ClusterCheckArgs {
    /// A gateway, such as http://127.0.0.1:8080; given once for each
    #[arg(long, required = true)]
    target: Vec<String>,
    /// The carrier's API key; without it, the variable SPAMGATE_KEY is read
    #[arg(long)]
    key: Option<String>,
    /// Reports to post
    #[arg(long, default_value_t = 100_000, value_parser = clap::value_parser!(u32).range(1..=i64::from(REPORTS_MAX)))]
    reports: u32,
    /// Different senders: each becomes one case
    #[arg(long, default_value_t = 500, value_parser = clap::value_parser!(u32).range(1..=i64::from(SENDERS_MAX)))]
    senders: u32,
    /// Requests under way at the same time
    #[arg(long, default_value_t = 64, value_parser = clap::value_parser!(u16).range(1..=4_096))]
    connections: u16,
    /// Reports to send in a second; without it, as fast as they are taken
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    rate: Option<u32>,
    /// Where the acknowledged ids go, one a line, synced each second
    #[arg(long, value_name = "FILE")]
    acknowledged: PathBuf,
    /// Part of every report id
    #[arg(long, default_value = "check", value_parser = parse_run_label)]
    run_label: String,
    /// How long one report is tried, seconds
    #[arg(long, default_value_t = 120)]
    give_up_seconds: u32,
    /// How long to wait until all reports are counted, seconds
    #[arg(long, default_value_t = 120)]
    wait_seconds: u32,
}

/// Runs the check and prints what was found.
///
/// # Errors
/// When it could not be run to its end.
///
/// # Returns
/// Whether every report was acknowledged and is counted once.
pub async fn run(args: ClusterCheckArgs) -> anyhow::Result<bool> {
    let connections = usize::from(args.connections);
    let (reports, senders) = (u64::from(args.reports), u64::from(args.senders));
    let key = key(args.key.as_deref())?;
    let gateways: Vec<Arc<Gateway>> = args
        .target
        .iter()
        .map(|target| Gateway::new(target, &key, connections).map(Arc::new))
        .collect::<anyhow::Result<_>>()?;
    let posting = Arc::new(Posting {
        gateways,
        run: DistinctRun { label: args.run_label, base_time: Timestamp::now(), senders },
        reports,
        interval: args.rate.map(|per_second| Duration::from_nanos(NANOS_PER_SECOND / u64::from(per_second))),
        give_up_after: Duration::from_secs(u64::from(args.give_up_seconds)),
        acknowledged: Arc::new(AcknowledgedFile::create(&args.acknowledged)?),
        progress: Progress::new("answered", reports),
        next: AtomicU64::new(0),
    });
    let start = Instant::now();
    let mut found = Found { reports, senders, ..Found::default() };
    found.posted = tokio::select! {
        posted = posting.progress.watch(posting.post_all(connections)) => posted?,
        failure = sync_often(&posting.acknowledged) => return Err(failure),
    };
    found.post_time = start.elapsed();
    let (ids, longest_silence) = posting.acknowledged.finish()?;
    found.longest_silence = longest_silence;

    let last = ids.last().context("no report was acknowledged")?.clone();
    let distinct_ids: HashSet<String> = ids.into_iter().collect();
    found.distinct_ids = distinct_ids.len() as u64;
    let wait = Duration::from_secs(u64::from(args.wait_seconds));
    let start = Instant::now();
    let reader = posting.wait_for_builder(&last, wait).await?;
    let progress = Progress::new("counted", found.distinct_ids);
    let reading = read_all(&reader, distinct_ids.into_iter().collect(), connections, wait, &progress);
    found.read_back = progress.watch(reading).await?;
    found.read_time = start.elapsed();

    say(&found.table());
    let problems = found.problems();
    for problem in &problems {
        say(&format!("WRONG: {problem}"));
    }
    Ok(problems.is_empty())
}

/// Syncs the file each second; comes back only when that fails.
async fn sync_often(file: &Arc<AcknowledgedFile>) -> anyhow::Error {
    let mut ticks = interval(SYNC_EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let file = Arc::clone(file);
        match tokio::task::spawn_blocking(move || file.sync()).await {
            Ok(Ok(())) => {}
            Ok(Err(failure)) => return failure,
            Err(panicked) => return panicked.into(),
        }
    }
}

/// All that the connections share.
struct Posting {
    gateways: Vec<Arc<Gateway>>,
    run: DistinctRun,
    reports: u64,
    interval: Option<Duration>,
    give_up_after: Duration,
    acknowledged: Arc<AcknowledgedFile>,
    progress: Progress,
    next: AtomicU64,
}

/// What was said to the reports.
#[derive(Debug, Default)]
struct Posted {
    accepted: u64,
    duplicates: u64,
    refused: Counts,
    retries: Counts,
    unexpected: Counts,
    /// One request, whatever came of it.
    slowest_request: Duration,
    /// One report, from its first try to its acknowledgement.
    slowest_report: Duration,
}

impl Posted {
    fn merge(&mut self, other: Self) {
        self.accepted += other.accepted;
        self.duplicates += other.duplicates;
        add_counts(&mut self.refused, other.refused);
        add_counts(&mut self.retries, other.retries);
        add_counts(&mut self.unexpected, other.unexpected);
        self.slowest_request = self.slowest_request.max(other.slowest_request);
        self.slowest_report = self.slowest_report.max(other.slowest_report);
    }
}

impl Posting {
    async fn post_all(self: &Arc<Self>, connections: usize) -> anyhow::Result<Posted> {
        let start = tokio::time::Instant::now();
        let mut tasks = JoinSet::new();
        for _ in 0..connections {
            tasks.spawn(Arc::clone(self).post_in_turn(start));
        }
        let mut total = Posted::default();
        while let Some(posted) = tasks.join_next().await {
            total.merge(posted??);
        }
        Ok(total)
    }

    async fn post_in_turn(self: Arc<Self>, start: tokio::time::Instant) -> anyhow::Result<Posted> {
        let mut posted = Posted::default();
        loop {
            let number = self.next.fetch_add(1, Ordering::Relaxed);
            if number >= self.reports {
                return Ok(posted);
            }
            if let Some(interval) = self.interval {
                sleep_until(start + interval.mul_f64(number as f64)).await;
            }
            self.post_until_acknowledged(number, &mut posted).await?;
            self.progress.step();
        }
    }

    /// Sends the same body to one gateway after the other, until one of them vouches for it.
    async fn post_until_acknowledged(&self, number: u64, posted: &mut Posted) -> anyhow::Result<()> {
        let body = self.run.body(number)?;
        let first_sent = Instant::now();
        for attempt in 0.. {
            let sent = Instant::now();
            let answer = self.gateway(number + attempt)?.post(&body).await;
            posted.slowest_request = posted.slowest_request.max(sent.elapsed());
            match answer {
                Attempt::Done(answer) => {
                    let id = match answer {
                        PostAnswer::Accepted { id, .. } => {
                            posted.accepted += 1;
                            id
                        }
                        PostAnswer::Duplicate { id } => {
                            posted.duplicates += 1;
                            id
                        }
                        PostAnswer::Refused(code) => {
                            count(&mut posted.refused, code);
                            break;
                        }
                        PostAnswer::Unexpected(what) => {
                            count(&mut posted.unexpected, what);
                            break;
                        }
                    };
                    self.acknowledged.add(id)?;
                    posted.slowest_report = posted.slowest_report.max(first_sent.elapsed());
                    break;
                }
                Attempt::Again { reason, .. } if first_sent.elapsed() >= self.give_up_after => {
                    count(&mut posted.unexpected, format!("gave up after: {reason}"));
                    break;
                }
                Attempt::Again { reason, wait } => {
                    sleep(wait_before_next(&reason, wait, attempt, self.gateways.len() as u64)).await;
                    count(&mut posted.retries, reason);
                }
            }
        }
        Ok(())
    }

    fn gateway(&self, turn: u64) -> anyhow::Result<&Arc<Gateway>> {
        let place = usize::try_from(turn % (self.gateways.len() as u64).max(1))?;
        self.gateways.get(place).context("there is no gateway")
    }

    /// Waits until the report that was acknowledged last is counted; a gateway that answers, in the end.
    async fn wait_for_builder(&self, last_id: &str, at_most: Duration) -> anyhow::Result<Arc<Gateway>> {
        let start = Instant::now();
        for turn in 0.. {
            let gateway = self.gateway(turn)?;
            match gateway.read(last_id).await {
                Attempt::Done(ReadAnswer::Known { status, .. }) if status == WAITING_STATUS => {}
                Attempt::Done(_) => return Ok(Arc::clone(gateway)),
                Attempt::Again { .. } => {}
            }
            ensure!(start.elapsed() < at_most, "after {} s the last report is not counted", at_most.as_secs());
            sleep(POLL_INTERVAL).await;
        }
        anyhow::bail!("the last report is not counted")
    }
}

/// How long to wait before the next gateway is tried: not at all when this one was not there and another may be.
fn wait_before_next(reason: &str, asked: Duration, attempt: u64, gateways: u64) -> Duration {
    match reason {
        NO_CONNECTION if (attempt + 1).is_multiple_of(gateways) => NOBODY_WAIT,
        NO_CONNECTION => Duration::ZERO,
        _ => asked.min(WAIT_MAX),
    }
}

/// What a run found.
#[derive(Debug, Default)]
struct Found {
    reports: u64,
    senders: u64,
    posted: Posted,
    post_time: Duration,
    longest_silence: Duration,
    distinct_ids: u64,
    read_back: ReadBack,
    read_time: Duration,
}

impl Found {
    fn acknowledged(&self) -> u64 {
        self.posted.accepted + self.posted.duplicates
    }

    fn table(&self) -> String {
        let mut rows: Vec<(String, String)> = Vec::new();
        let row = |name: &str, value: String| (name.to_owned(), value);
        let millis = |time: Duration| time.as_millis().to_string();
        rows.push(row("reports posted", self.reports.to_string()));
        rows.push(row("acknowledged", self.acknowledged().to_string()));
        rows.push(row("  as new (201)", self.posted.accepted.to_string()));
        rows.push(row("  as known before (200)", self.posted.duplicates.to_string()));
        rows.push(row("requests sent again", total(&self.posted.retries).to_string()));
        rows.extend(indented(&self.posted.retries));
        rows.push(row("refused", total(&self.posted.refused).to_string()));
        rows.extend(indented(&self.posted.refused));
        rows.push(row("longest time without any, ms", millis(self.longest_silence)));
        rows.push(row("slowest request, ms", millis(self.posted.slowest_request)));
        rows.push(row("slowest report, retries too, ms", millis(self.posted.slowest_report)));
        rows.push(row("read back", self.read_back.read.to_string()));
        rows.extend(indented(&self.read_back.statuses));
        rows.push(row("missing", self.read_back.missing.to_string()));
        rows.push(row("cases", self.read_back.case_references.len().to_string()));
        rows.push(row("unexpected answers", self.unexpected().to_string()));
        rows.extend(indented(&self.posted.unexpected));
        rows.extend(indented(&self.read_back.unexpected));
        rows.push(row("posting, ms", millis(self.post_time)));
        rows.push(row("waiting and reading back, ms", millis(self.read_time)));
        table_of(&rows)
    }

    /// What is wrong, one sentence each; nothing if all is well.
    fn problems(&self) -> Vec<String> {
        let mut problems = Vec::new();
        let mut check = |number: u64, what: &str| {
            if number > 0 {
                problems.push(format!("{number} {what}"));
            }
        };
        check(self.reports.abs_diff(self.acknowledged()), "reports were not acknowledged");
        check(self.acknowledged().abs_diff(self.distinct_ids), "acknowledged reports share the id of another");
        check(self.read_back.missing, "acknowledged reports are missing");
        check(total(&self.posted.refused), "reports were refused");
        check(self.unexpected(), "answers were unexpected");
        for (status, number) in self.read_back.statuses.iter().filter(|(status, _)| *status != COUNTED_STATUS) {
            check(*number, &format!("reports ended as {status}"));
        }
        let cases = expected_cases(self.reports, self.senders).len() as u64;
        check(cases.abs_diff(self.read_back.case_references.len() as u64), "cases too many or too few");
        problems
    }

    fn unexpected(&self) -> u64 {
        total(&self.posted.unexpected) + total(&self.read_back.unexpected)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn good() -> Found {
        let references = ["A", "B"].map(str::to_owned);
        Found {
            reports: 4,
            senders: 2,
            posted: Posted { accepted: 3, duplicates: 1, ..Posted::default() },
            distinct_ids: 4,
            read_back: ReadBack {
                read: 4,
                statuses: Counts::from([(COUNTED_STATUS.to_owned(), 4)]),
                case_references: references.into_iter().collect(),
                ..ReadBack::default()
            },
            ..Found::default()
        }
    }

    fn problems_after(change: impl FnOnce(&mut Found)) -> Vec<String> {
        let mut found = good();
        change(&mut found);
        found.problems()
    }

    #[test]
    fn a_good_run_has_no_problems_even_after_retries() {
        assert_eq!(problems_after(|_| ()), Vec::<String>::new());
        assert_eq!(problems_after(|found| count(&mut found.posted.retries, "503 x")), Vec::<String>::new());
    }

    #[test]
    fn whatever_went_wrong_is_named() {
        let all = [
            problems_after(|found| found.posted.accepted = 2).into_iter().take(1).collect(),
            problems_after(|found| found.distinct_ids = 3),
            problems_after(|found| found.read_back.missing = 1),
            problems_after(|found| count(&mut found.posted.refused, "reporter_quota_exceeded")),
            problems_after(|found| count(&mut found.posted.unexpected, "status 500")),
            problems_after(|found| count(&mut found.read_back.statuses, "repeat")),
            problems_after(|found| count(&mut found.read_back.statuses, WAITING_STATUS)),
            problems_after(|found| found.read_back.case_references.clear()),
        ];
        for problems in all {
            assert_eq!(problems.len(), 1, "{problems:?}");
        }
    }

    #[test]
    fn the_next_gateway_is_tried_at_once_unless_all_are_gone_or_one_asks_for_time() {
        let wait = |reason, attempt| wait_before_next(reason, Duration::from_secs(30), attempt, 2);
        assert_eq!(wait(NO_CONNECTION, 0), Duration::ZERO);
        assert_eq!(wait(NO_CONNECTION, 1), NOBODY_WAIT);
        assert_eq!(wait("503 overloaded", 0), WAIT_MAX);
        assert_eq!(wait_before_next("503 x", Duration::from_millis(5), 0, 2), Duration::from_millis(5));
    }
}
