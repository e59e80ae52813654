//! The command line. Every command works beside a running gateway.

mod carrier_keys;
mod carriers;
mod cases;
mod keys;
mod serve;
mod signing_keys;
mod webhooks;

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};

use crate::casework::builder::{self, BuildError};
use crate::config::{Config, DEFAULT_DATA_DIRECTORY, Role};
use crate::startup;
use crate::store::connection::StoreLocation;

/// Takes reports of spam, scam and fake-news SMS and calls, and builds the cases an authority reviews.
#[derive(Parser)]
#[command(name = "spamgate", version, about, max_term_width = 100)]
pub struct Cli {
    /// Configuration file (TOML). `spamgate config show` prints all settings.
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Data directory.
    #[arg(long, global = true, value_name = "DIR", default_value = DEFAULT_DATA_DIRECTORY)]
    data: PathBuf,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Subcommand)]
enum Command {
    /// Run the gateway (the default).
    Serve(ServeArgs),
    /// Look at the configuration.
    #[command(subcommand)]
    Config(ConfigCommand),
    /// Carriers and their API keys.
    #[command(subcommand)]
    Carrier(carriers::CarrierCommand),
    /// Cases that were built from the reports.
    #[command(subcommand)]
    Cases(cases::CasesCommand),
    /// Where carriers are called when a case is decided or something is asked of them.
    #[command(subcommand)]
    Webhook(webhooks::WebhookCommand),
    /// Bring the database to this version's tables. `serve` does so itself where its user may.
    Migrate,
    /// Make memberships, counts and voices anew from the journal. References and decisions stay.
    Rebuild,
    /// Keys of this installation.
    #[command(subcommand)]
    Keys(keys::KeysCommand),
}

/// Where to listen.
#[derive(Args, Default)]
pub(crate) struct ServeArgs {
    /// What this node does; overrides `server.role`.
    #[arg(long, value_name = "ROLE")]
    role: Option<Role>,
    /// Address for carriers; overrides `server.listen`.
    #[arg(long, value_name = "ADDR")]
    listen: Option<std::net::SocketAddr>,
    /// Address for operators; overrides `server.ops_listen`.
    #[arg(long, value_name = "ADDR")]
    ops_listen: Option<std::net::SocketAddr>,
}

#[derive(Subcommand)]
enum ConfigCommand {
    /// Print the settings in force, without secrets.
    Show,
    /// Check the settings and say what is wrong.
    Check,
}

/// Runs the command; what goes wrong is said on standard error.
#[must_use]
pub fn run(cli: Cli) -> ExitCode {
    // Whatever a command makes is for its user alone.
    rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o077));
    match dispatch(cli) {
        Ok(()) => ExitCode::SUCCESS,
        // A reader that closed its end (`| head`) wants no complaint.
        Err(error) if is_broken_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(io::stderr(), "spamgate: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn dispatch(cli: Cli) -> anyhow::Result<()> {
    let config = Config::load(cli.config.as_deref(), std::env::vars())?;
    match cli.command.unwrap_or(Command::Serve(ServeArgs::default())) {
        Command::Serve(args) => serve::serve(config, &cli.data, &args),
        Command::Config(ConfigCommand::Show) => Ok(write!(io::stdout(), "{}", config.to_toml())?),
        Command::Config(ConfigCommand::Check) => {
            StoreLocation::new(&config.store.url, &cli.data)?;
            StoreLocation::new(config.store.for_builder(), &cli.data)?;
            Ok(writeln!(io::stdout(), "The configuration is good.")?)
        }
        Command::Carrier(command) => carriers::run(command, &config, &cli.data),
        Command::Cases(command) => cases::run(command, &config, &cli.data),
        Command::Webhook(command) => webhooks::run(command, &config, &cli.data),
        Command::Migrate => {
            StoreLocation::new(&config.store.url, &cli.data)?.prepare()?;
            Ok(writeln!(io::stdout(), "The database has this version's tables.")?)
        }
        Command::Rebuild => rebuild(&config, &cli.data),
        Command::Keys(command) => keys::run(command, &config, &cli.data),
    }
}

fn rebuild(config: &Config, data: &Path) -> anyhow::Result<()> {
    require_data(config, data)?;
    startup::open_store(config, data)?;
    let mut connection = StoreLocation::new(config.store.for_builder(), data)?.open_builder()?;
    let goal_seq = builder::begin_rebuild(&mut connection)?;
    let slice_rows = i64::from(config.builder.slice_rows);
    // A gateway that runs builds along; each slice is taken by whoever comes first.
    loop {
        match builder::build_slice(&mut connection, &config.region.country, slice_rows) {
            Ok(turn) if !turn.rebuild_began && (turn.rows == 0 || turn.cursor_seq >= goal_seq) => {
                return Ok(writeln!(io::stdout(), "Rebuilt up to journal row {}.", turn.cursor_seq)?);
            }
            Ok(_) => {}
            Err(BuildError::Store(error)) if error.is_locked() => {}
            Err(error) => return Err(error.into()),
        }
    }
}

/// Refuses to make a data directory as a side effect of looking at one.
fn require_data(config: &Config, data: &Path) -> anyhow::Result<()> {
    anyhow::ensure!(
        data.is_dir() || StoreLocation::new(&config.store.url, data)?.is_shared(),
        "there is no data directory {}: name it with --data, or start the gateway once",
        data.display()
    );
    Ok(())
}

fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error
        .chain()
        .any(|cause| cause.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe))
}
