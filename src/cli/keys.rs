//! `spamgate keys …`.

use std::io::{self, Write};
use std::path::Path;

use clap::Subcommand;

use crate::config::Config;
use crate::crypto::to_hex;
use crate::startup;
use crate::store::keys::list_key_checks;

#[derive(Subcommand)]
pub(super) enum KeysCommand {
    /// Show the keys' names and check values, never the keys.
    Show {
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
}

pub(super) fn run(command: KeysCommand, config: &Config, data: &Path) -> anyhow::Result<()> {
    let KeysCommand::Show { json } = command;
    super::require_data(config, data)?;
    let (_, mut connection) = startup::open_store(config, data)?;
    anyhow::ensure!(!list_key_checks(&mut connection)?.is_empty(), "there are no keys yet: start the gateway once");
    let mut opened = startup::open(config, data)?;
    let directory = startup::key_directory(config, data);
    let mut out = io::stdout().lock();
    let checks = list_key_checks(&mut opened.connection)?;
    if json {
        let rows: Vec<_> = checks
            .iter()
            .map(|check| serde_json::json!({ "name": check.name, "check_value": to_hex(&check.value) }))
            .collect();
        writeln!(out, "{}", serde_json::to_string_pretty(&rows)?)?;
    } else {
        writeln!(out, "Key files in {}, checked against the database:", directory.display())?;
        for check in &checks {
            writeln!(out, "  {:<12} {}", check.name, to_hex(&check.value))?;
        }
    }
    Ok(())
}
