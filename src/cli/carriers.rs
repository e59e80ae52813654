//! `spamgate carrier …`.

use std::io::{self, Write};
use std::path::Path;

use clap::Subcommand;
use serde::Serialize;
use uuid::Uuid;

use crate::config::Config;
use crate::domain::carrier::Attests;
use crate::domain::clock::{Clock, Moment};
use crate::enrol::{Terms, add_carrier};
use crate::startup;
use crate::store::carriers::{CarrierRow, list_carriers, revoke_carrier};

#[derive(Subcommand)]
pub(super) enum CarrierCommand {
    /// Add a carrier and print its API key, this once.
    Add {
        /// 1 to 64 of a-z, 0-9 and `-`.
        name: String,
        /// Numbers the carrier vouches for: `any`, or E.164 prefixes such as `+8491,+8494`.
        #[arg(long, default_value = "any", value_parser = Attests::parse)]
        attests: Attests,
        /// Requests per second, instead of `limits.carrier_per_second`.
        #[arg(long, value_name = "N", value_parser = clap::value_parser!(i32).range(1..))]
        per_second: Option<i32>,
        /// Requests at once, instead of `limits.carrier_burst`.
        #[arg(long, value_name = "N", value_parser = clap::value_parser!(i32).range(1..))]
        burst: Option<i32>,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// List carriers.
    List {
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// Revoke a carrier's API key. A running gateway refuses it within half a second.
    Revoke {
        /// The carrier.
        name: String,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
}

#[derive(Serialize)]
struct Added<'a> {
    id: Uuid,
    name: &'a str,
    api_key: &'a str,
}

#[derive(Serialize)]
struct Listed {
    id: Uuid,
    name: String,
    attests: String,
    per_second: Option<i32>,
    burst: Option<i32>,
    created_at: String,
    revoked_at: Option<String>,
}

impl From<CarrierRow> for Listed {
    fn from(row: CarrierRow) -> Self {
        Self {
            id: Uuid::from_slice(&row.id).unwrap_or_default(),
            name: row.name,
            attests: row.attests,
            per_second: row.per_second,
            burst: row.burst,
            created_at: Moment(row.created_at).to_rfc3339(),
            revoked_at: row.revoked_at.map(|at| Moment(at).to_rfc3339()),
        }
    }
}

pub(super) fn run(command: CarrierCommand, config: &Config, data: &Path) -> anyhow::Result<()> {
    if !matches!(command, CarrierCommand::Add { .. }) {
        super::require_data(config, data)?;
    }
    let (_, mut connection) = startup::open_store(config, data)?;
    let now = Clock::System.now();
    let mut out = io::stdout().lock();
    match command {
        CarrierCommand::Add { name, attests, per_second, burst, json } => {
            let carrier = add_carrier(&mut connection, &name, &Terms { attests, per_second, burst }, now)?;
            let added = Added { id: carrier.id, name: &carrier.name, api_key: &carrier.api_key };
            if json {
                writeln!(out, "{}", serde_json::to_string(&added)?)?;
            } else {
                writeln!(out, "Carrier `{}` ({}). Its API key, shown this once:", added.name, added.id)?;
                writeln!(out, "{}", added.api_key)?;
            }
        }
        CarrierCommand::List { json } => {
            let listed: Vec<Listed> = list_carriers(&mut connection)?.into_iter().map(Listed::from).collect();
            if json {
                writeln!(out, "{}", serde_json::to_string_pretty(&listed)?)?;
            } else {
                for carrier in listed {
                    let state = carrier.revoked_at.map_or_else(|| "active".to_owned(), |at| format!("revoked {at}"));
                    writeln!(out, "{:<24} {} attests {} {state}", carrier.name, carrier.id, carrier.attests)?;
                }
            }
        }
        CarrierCommand::Revoke { name, json } => {
            let revoked = revoke_carrier(&mut connection, &name, now.0)?;
            anyhow::ensure!(revoked, "no carrier `{name}` has a good API key");
            if json {
                writeln!(out, "{}", serde_json::json!({ "name": name, "revoked_at": now.to_rfc3339() }))?;
            } else {
                writeln!(out, "The API key of `{name}` is revoked.")?;
            }
        }
    }
    Ok(())
}
