//! Measures a running spamgate and checks that nothing it acknowledged was lost.
//!
//! - `replay` ([`replay`]) reads a text file ([`lines`]), makes a report of each line ([`report`], from the made-up
//!   people of [`population`] and [`numbers`]), posts them ([`post`]), reads all of them back ([`read_back`]) and
//!   prints a [`summary`]. What an answer means is decided in [`gateway`], when to ask again in [`attempts`].
//! - `cluster-check` ([`cluster_check`]) posts reports of which none is like another ([`distinct`]) to several gateways
//!   while they or what is behind them break, keeps each acknowledged id ([`acknowledged`]) and reads all of them back;
//!   `cases-check` ([`cases_check`]) then compares the cases with those that must be there.
//! - `floor` ([`floor`]) is the server that does the least: what a gateway's speed is divided by.

mod acknowledged;
mod attempts;
mod cases_check;
mod cluster_check;
mod distinct;
mod floor;
mod gateway;
mod lines;
mod numbers;
mod output;
mod population;
mod post;
mod progress;
mod random;
mod read_back;
mod replay;
mod report;
mod summary;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

// The gateway's allocator, so that the floor has no less than it.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// The exit code when reports are missing or answers were unexpected, or the run could not be done.
const FAILED: u8 = 1;

#[derive(Parser)]
#[command(version, about)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Post each line of a text file as a report and read all of them back
    Replay(replay::ReplayArgs),
    /// Post distinct reports to several gateways while things break; check that each is counted once
    ClusterCheck(cluster_check::ClusterCheckArgs),
    /// Compare listed cases with those that a cluster-check must have made
    CasesCheck(cases_check::CasesCheckArgs),
    /// Serve the upper bound: parse a report, answer 201, do nothing else
    Floor(floor::FloorArgs),
}

fn main() -> ExitCode {
    let outcome = match Cli::parse().command {
        Command::Replay(args) => block_on(replay::run(args)),
        Command::ClusterCheck(args) => block_on(cluster_check::run(args)),
        Command::CasesCheck(args) => cases_check::run(&args),
        Command::Floor(args) => floor::run(&args).map(|()| true),
    };
    match outcome {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(FAILED),
        Err(error) => {
            output::note(&format!("error: {error:#}"));
            ExitCode::from(FAILED)
        }
    }
}

fn block_on(work: impl Future<Output = anyhow::Result<bool>>) -> anyhow::Result<bool> {
    tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(work)
}
