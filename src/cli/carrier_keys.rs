//! `spamgate carrier key …`.

use std::io::Write;

use anyhow::Context;
use clap::Subcommand;
use serde::Serialize;

use crate::crypto::to_hex;
use crate::domain::clock::Moment;
use crate::enrol::add_api_key;
use crate::store::carriers::{ApiKeyRow, find_carrier, list_api_keys, revoke_api_key};
use crate::store::connection::Connection;

/// Hexadecimal digits of a key's hash by which operators name it.
const KEY_ID_DIGITS: usize = 12;

#[derive(Subcommand)]
pub(super) enum KeyCommand {
    /// Add an API key and print it, this once. The other one stays good; there can be two.
    Add {
        /// The carrier.
        carrier: String,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// List a carrier's API keys by their ids, revoked ones too, oldest first.
    List {
        /// The carrier.
        carrier: String,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// Revoke one API key. A running gateway refuses it within half a second.
    Revoke {
        /// The carrier.
        carrier: String,
        /// The key's id, as `list` shows it.
        id: String,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
}

#[derive(Serialize)]
struct Listed {
    id: String,
    created_at: String,
    revoked_at: Option<String>,
}

impl From<&ApiKeyRow> for Listed {
    fn from(row: &ApiKeyRow) -> Self {
        Self {
            id: id_of(row),
            created_at: Moment(row.created_at).to_rfc3339(),
            revoked_at: row.revoked_at.map(|at| Moment(at).to_rfc3339()),
        }
    }
}

fn id_of(row: &ApiKeyRow) -> String {
    to_hex(&row.key_hash).get(..KEY_ID_DIGITS).unwrap_or_default().to_owned()
}

fn list(connection: &mut Connection, carrier: &str) -> anyhow::Result<Vec<ApiKeyRow>> {
    let carrier = find_carrier(connection, carrier)?.with_context(|| format!("there is no carrier `{carrier}`"))?;
    Ok(list_api_keys(connection, &carrier.id)?)
}

pub(super) fn run(
    command: KeyCommand,
    connection: &mut Connection,
    now: Moment,
    out: &mut impl Write,
) -> anyhow::Result<()> {
    match command {
        KeyCommand::Add { carrier, json } => {
            let api_key = add_api_key(connection, &carrier, now)?;
            if json {
                writeln!(out, "{}", serde_json::json!({ "name": carrier, "api_key": api_key.as_str() }))?;
            } else {
                writeln!(out, "Another API key of `{carrier}`, shown this once:")?;
                writeln!(out, "{}", api_key.as_str())?;
            }
        }
        KeyCommand::List { carrier, json } => {
            let listed: Vec<Listed> = list(connection, &carrier)?.iter().map(Listed::from).collect();
            if json {
                writeln!(out, "{}", serde_json::to_string_pretty(&listed)?)?;
            } else {
                for Listed { id, created_at, revoked_at } in listed {
                    let state = revoked_at.map_or_else(|| "good".to_owned(), |at| format!("revoked {at}"));
                    writeln!(out, "{id} made {created_at}, {state}")?;
                }
            }
        }
        KeyCommand::Revoke { carrier, id, json } => {
            let keys = list(connection, &carrier)?;
            let good = |row: &&ApiKeyRow| row.revoked_at.is_none() && id_of(row) == id;
            let key =
                keys.iter().find(good).with_context(|| format!("`{carrier}` has no good API key with this id"))?;
            anyhow::ensure!(revoke_api_key(connection, &key.key_hash, now.0)?, "it was revoked already");
            if json {
                let revoked = serde_json::json!({ "name": carrier, "id": id, "revoked_at": now.to_rfc3339() });
                writeln!(out, "{revoked}")?;
            } else {
                writeln!(out, "The API key {id} of `{carrier}` is revoked.")?;
            }
        }
    }
    Ok(())
}
