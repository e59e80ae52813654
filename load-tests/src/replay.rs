//! `replay`: posts a text file as reports and checks that the gateway kept every one it acknowledged.

use std::collections::HashSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use clap::Args;
use jiff::Timestamp;

use crate::gateway::Gateway;
use crate::lines::Lines;
use crate::output::say;
use crate::population::{Population, PopulationSize};
use crate::post::Posting;
use crate::progress::Progress;
use crate::read_back::read_all;
use crate::report::{Run, default_base_time, parse_run_label};
use crate::summary::Summary;

/// Where the key is taken from when the option is not given.
const KEY_VARIABLE: &str = "SPAMGATE_KEY";
/// For the time between two reports.
pub const NANOS_PER_SECOND: u64 = 1_000_000_000;

/// Posts each line of a text file as a report and reads all of them back.
#[derive(Args)]
pub struct ReplayArgs {
    /// The text file; each line that is not empty becomes the content of a report
    #[arg(long)]
    file: PathBuf,
    /// The gateway, such as http://127.0.0.1:8080
    #[arg(long)]
    target: String,
    /// The carrier's API key; without it, the variable SPAMGATE_KEY is read
    #[arg(long)]
    key: Option<String>,
    /// Reports to send in a second; without it, as fast as they are taken
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    rate: Option<u32>,
    /// Where all numbers, categories and times are drawn from
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Requests under way at the same time
    #[arg(long, default_value_t = 16, value_parser = clap::value_parser!(u16).range(1..=1_024))]
    connections: u16,
    /// Part of every report id: another label makes other reports out of the same file
    #[arg(long, default_value = "replay", value_parser = parse_run_label)]
    run_label: String,
    /// No report happened after this RFC 3339 time; by default it comes from the seed and the current day in UTC
    #[arg(long)]
    base_time: Option<Timestamp>,
    /// How many different senders there are
    #[arg(long, default_value_t = 300, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    senders: u32,
    /// How many different reporters there are at most
    #[arg(long, default_value_t = 50_000, value_parser = clap::value_parser!(u32).range(1..))]
    reporters: u32,
    /// How long to wait until all reports are counted, seconds
    #[arg(long, default_value_t = 60)]
    wait_seconds: u32,
    /// A problem code that lines of this file are known to earn; may be given several times
    #[arg(long)]
    allow_refused: Vec<String>,
}

/// Runs the replay and prints the summary.
///
/// # Errors
/// When it could not be run to its end.
///
/// # Returns
/// Whether every report was taken, kept and counted.
pub async fn run(args: ReplayArgs) -> anyhow::Result<bool> {
    let connections = usize::from(args.connections);
    let gateway = Arc::new(Gateway::new(&args.target, &key(args.key.as_deref())?, connections)?);
    let lines = Lines::read(&args.file)?;
    ensure!(!lines.lines.is_empty(), "{} holds no text", args.file.display());
    let base_time = args.base_time.map_or_else(|| default_base_time(args.seed, Timestamp::now()), Ok)?;
    say(&format!("seed {}, run label {}, base time {base_time}", args.seed, args.run_label));

    let mut summary = Summary {
        lines: lines.lines.len() as u64,
        empty_lines: lines.empty,
        lossy_lines: lines.lossy,
        ..Summary::default()
    };
    let size = PopulationSize { senders: args.senders, reporters: args.reporters };
    let posting = Arc::new(Posting {
        gateway: Arc::clone(&gateway),
        progress: Progress::new("posted", summary.lines),
        run: Run { seed: args.seed, label: args.run_label, base_time, population: Population::new(args.seed, size) },
        lines,
        interval: args.rate.map(|per_second| Duration::from_nanos(NANOS_PER_SECOND / u64::from(per_second))),
    });
    let start = Instant::now();
    summary.posted = posting.progress.watch(posting.post_all(connections)).await?;
    summary.post_time = start.elapsed();

    let distinct_ids: HashSet<String> = summary.posted.ids.drain(..).collect();
    summary.distinct_ids = distinct_ids.len() as u64;
    let progress = Progress::new("settled", summary.distinct_ids);
    let wait = Duration::from_secs(u64::from(args.wait_seconds));
    let start = Instant::now();
    let reading = read_all(&gateway, distinct_ids.into_iter().collect(), connections, wait, &progress);
    summary.read_back = progress.watch(reading).await?;
    summary.read_time = start.elapsed();

    say(&summary.table());
    let problems = summary.problems(&args.allow_refused);
    for problem in &problems {
        say(&format!("WRONG: {problem}"));
    }
    Ok(problems.is_empty())
}

/// The API key: the option, or else the variable.
///
/// # Errors
/// When there is neither.
pub fn key(option: Option<&str>) -> anyhow::Result<String> {
    match option {
        Some(key) => Ok(key.to_owned()),
        None => std::env::var(KEY_VARIABLE).with_context(|| format!("give --key or set {KEY_VARIABLE}")),
    }
}
