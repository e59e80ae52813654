//! `spamgate carrier …`.

use std::io::{self, Write};
use std::path::Path;

use anyhow::Context;
use clap::{Args, Subcommand};
use serde::Serialize;
use uuid::Uuid;

use super::carrier_keys::{self, KeyCommand};
use super::signing_keys::{self, SigningKeyCommand};
use crate::config::Config;
use crate::crypto::recipient::RecipientKey;
use crate::domain::carrier::{Addresses, Attests, Scopes, Signatures};
use crate::domain::clock::{Clock, Moment};
use crate::enrol::{Terms, add_carrier};
use crate::startup;
use crate::store::carriers::{CarrierChange, CarrierRow, find_carrier, list_carriers, revoke_carrier, update_carrier};
use crate::store::connection::Connection;
use crate::store::feed;

#[derive(Subcommand)]
pub(super) enum CarrierCommand {
    /// Add a carrier and print its API key, this once.
    Add {
        /// 1 to 64 of a-z, 0-9 and `-`.
        name: String,
        #[command(flatten)]
        terms: TermArguments,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// Change a carrier's terms; those not named stay. A running gateway goes by them within half a second.
    Set {
        /// The carrier.
        name: String,
        #[command(flatten)]
        terms: TermArguments,
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
    /// Name a carrier's own numbers, beside those it attests: it is told of decided cases about them (scope `feed`).
    OwnNumbers {
        /// The carrier.
        name: String,
        /// E.164 prefixes such as `+8491,+8494`, or `none`. Who attests `any` owns none but these.
        #[arg(value_parser = parse_prefixes)]
        prefixes: Prefixes,
    },
    /// The public key that a carrier's senders are sealed to. Without one it is told nothing.
    #[command(subcommand)]
    FeedKey(FeedKeyCommand),
    /// Revoke a carrier, with all its keys. A running gateway refuses it within half a second.
    Revoke {
        /// The carrier.
        name: String,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// Replace a carrier's API key: add another, let the carrier change over, revoke the old one.
    #[command(subcommand)]
    Key(KeyCommand),
    /// Keys with which a carrier signs its requests, two at once while one is replaced.
    #[command(subcommand)]
    SigningKey(SigningKeyCommand),
}

#[derive(Args)]
pub(super) struct TermArguments {
    /// Numbers the carrier vouches for: `any`, or E.164 prefixes such as `+8491,+8494` [default: any].
    #[arg(long, value_parser = Attests::parse)]
    attests: Option<Attests>,
    /// Requests per second, or `default` for `limits.carrier_per_second` [default: default].
    #[arg(long, value_name = "N", value_parser = parse_limit)]
    per_second: Option<Limit>,
    /// Requests at once, or `default` for `limits.carrier_burst` [default: default].
    #[arg(long, value_name = "N", value_parser = parse_limit)]
    burst: Option<Limit>,
    /// Requests in a day, `none` for as many as come, or `default` for `limits.carrier_per_day` [default: default].
    #[arg(long, value_name = "N", value_parser = parse_day_limit)]
    per_day: Option<Limit>,
    /// What the carrier may do: some of `report`, `mo`, `feed`, `feed_all`, `verify`, with commas [default: report].
    #[arg(long, value_name = "SCOPES", value_parser = Scopes::parse)]
    scope: Option<Scopes>,
    /// From where it may call: `any`, or networks such as `192.0.2.0/24,2001:db8::/32` [default: any].
    #[arg(long, value_name = "NETWORKS", value_parser = Addresses::parse)]
    address: Option<Addresses>,
    /// Whether it has to sign its requests: `optional` or `required` [default: optional].
    #[arg(long, value_parser = Signatures::parse)]
    signatures: Option<Signatures>,
}

/// A number, or none for the configured default.
#[derive(Clone, Copy)]
struct Limit(Option<i32>);

fn parse_limit(text: &str) -> Result<Limit, String> {
    if text == "default" {
        return Ok(Limit(None));
    }
    let number = text.parse().ok().filter(|number| *number >= 1);
    number
        .map(|number| Limit(Some(number)))
        .ok_or_else(|| format!("write a number from 1 to {}, or `default`", i32::MAX))
}

/// 0 is none.
fn parse_day_limit(text: &str) -> Result<Limit, String> {
    if text == "none" {
        return Ok(Limit(Some(0)));
    }
    parse_limit(text).map_err(|reason| format!("{reason}, or `none`"))
}

impl TermArguments {
    fn into_terms(self) -> Terms {
        let usual = Terms::default();
        Terms {
            attests: self.attests.unwrap_or(usual.attests),
            per_second: self.per_second.and_then(|limit| limit.0),
            burst: self.burst.and_then(|limit| limit.0),
            per_day: self.per_day.and_then(|limit| limit.0),
            scopes: self.scope.unwrap_or(usual.scopes),
            addresses: self.address.unwrap_or(usual.addresses),
            signatures: self.signatures.unwrap_or(usual.signatures),
        }
    }

    const fn is_empty(&self) -> bool {
        let Self { attests, per_second, burst, per_day, scope, address, signatures } = self;
        let no_limit = per_second.is_none() && burst.is_none() && per_day.is_none();
        attests.is_none() && no_limit && scope.is_none() && address.is_none() && signatures.is_none()
    }

    fn into_change(self) -> CarrierChange {
        CarrierChange {
            attests: self.attests.map(|attests| attests.to_text()),
            per_second: self.per_second.map(|limit| limit.0),
            burst: self.burst.map(|limit| limit.0),
            per_day: self.per_day.map(|limit| limit.0),
            scopes: self.scope.map(|scopes| scopes.to_string()),
            addresses: self.address.map(|addresses| addresses.to_string()),
            signatures: self.signatures.map(|signatures| signatures.as_str().to_owned()),
        }
    }
}

#[derive(Subcommand)]
pub(super) enum FeedKeyCommand {
    /// Set it. What the carrier was told before is sealed anew.
    Set {
        /// The carrier.
        name: String,
        /// X25519, 32 bytes: base64, or 64 hexadecimal digits.
        key: String,
    },
    /// Take it away: nothing is told until another one is set.
    Remove {
        /// The carrier.
        name: String,
    },
}

/// E.164 prefixes with commas; may be empty.
#[derive(Clone)]
pub(super) struct Prefixes(String);

fn parse_prefixes(text: &str) -> Result<Prefixes, String> {
    match Attests::parse(text) {
        Ok(Attests::Prefixes(prefixes)) => Ok(Prefixes(prefixes.join(","))),
        _ if text == "none" => Ok(Prefixes(String::new())),
        _ => Err("write E.164 prefixes such as `+8491,+8494`, or `none`".to_owned()),
    }
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
    scopes: String,
    addresses: String,
    signatures: String,
    per_second: Option<i32>,
    burst: Option<i32>,
    per_day: Option<i32>,
    created_at: String,
    revoked_at: Option<String>,
}

impl From<CarrierRow> for Listed {
    fn from(row: CarrierRow) -> Self {
        Self {
            id: Uuid::from_slice(&row.id).unwrap_or_default(),
            name: row.name,
            attests: row.attests,
            scopes: row.scopes,
            addresses: row.addresses,
            signatures: row.signatures,
            per_second: row.per_second,
            burst: row.burst,
            per_day: row.per_day,
            created_at: Moment(row.created_at).to_rfc3339(),
            revoked_at: row.revoked_at.map(|at| Moment(at).to_rfc3339()),
        }
    }
}

impl Listed {
    fn line(&self) -> String {
        let Self { id, name, attests, scopes, addresses, signatures, .. } = self;
        let state = self.revoked_at.as_ref().map_or_else(|| "active".to_owned(), |at| format!("revoked {at}"));
        format!("{name:<24} {id} may {scopes} from {addresses}, attests {attests}, signatures {signatures}, {state}")
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
        CarrierCommand::Add { name, terms, json } => {
            let carrier = add_carrier(&mut connection, &name, &terms.into_terms(), now)?;
            let added = Added { id: carrier.id, name: &carrier.name, api_key: &carrier.api_key };
            if json {
                writeln!(out, "{}", serde_json::to_string(&added)?)?;
            } else {
                writeln!(out, "Carrier `{}` ({}). Its API key, shown this once:", added.name, added.id)?;
                writeln!(out, "{}", added.api_key)?;
            }
        }
        CarrierCommand::Set { name, terms, json } => {
            anyhow::ensure!(!terms.is_empty(), "name at least one term to change, such as --scope");
            let changed = update_carrier(&mut connection, &name, &terms.into_change())?;
            anyhow::ensure!(changed, "there is no carrier `{name}` that may call");
            let row = find_carrier(&mut connection, &name)?.context("the carrier is gone")?;
            let listed = Listed::from(row);
            if json {
                writeln!(out, "{}", serde_json::to_string(&listed)?)?;
            } else {
                writeln!(out, "{}", listed.line())?;
            }
        }
        CarrierCommand::List { json } => {
            let listed: Vec<Listed> = list_carriers(&mut connection)?.into_iter().map(Listed::from).collect();
            if json {
                writeln!(out, "{}", serde_json::to_string_pretty(&listed)?)?;
            } else {
                for carrier in listed {
                    writeln!(out, "{}", carrier.line())?;
                }
            }
        }
        CarrierCommand::OwnNumbers { name, prefixes } => {
            let was_set = feed::put_own_prefixes(&mut connection, &name, &prefixes.0)?;
            anyhow::ensure!(was_set, "there is no carrier `{name}`");
            writeln!(out, "The numbers of `{name}` are named.")?;
        }
        CarrierCommand::FeedKey(FeedKeyCommand::Set { name, key }) => {
            let (recipient, bytes) = RecipientKey::from_text(&key)
                .map_err(|_| anyhow::anyhow!("that is no X25519 public key: 32 bytes in base64 or hexadecimal"))?;
            set_feed_key(&mut connection, &name, Some(&bytes))?;
            writeln!(out, "Senders are sealed to the key {} of `{name}`.", recipient.id())?;
        }
        CarrierCommand::FeedKey(FeedKeyCommand::Remove { name }) => {
            set_feed_key(&mut connection, &name, None)?;
            writeln!(out, "`{name}` has no key: nothing is told.")?;
        }
        CarrierCommand::Revoke { name, json } => {
            let revoked = revoke_carrier(&mut connection, &name, now.0)?;
            anyhow::ensure!(revoked, "there is no carrier `{name}` that may call");
            if json {
                writeln!(out, "{}", serde_json::json!({ "name": name, "revoked_at": now.to_rfc3339() }))?;
            } else {
                writeln!(out, "`{name}` is revoked, with all its keys.")?;
            }
        }
        CarrierCommand::SigningKey(command) => signing_keys::run(command, config, data, now, &mut out)?,
        CarrierCommand::Key(command) => carrier_keys::run(command, &mut connection, now, &mut out)?,
    }
    Ok(())
}

fn set_feed_key(connection: &mut Connection, name: &str, key: Option<&[u8]>) -> anyhow::Result<()> {
    anyhow::ensure!(feed::put_public_key(connection, name, key)?, "there is no carrier `{name}`");
    Ok(())
}
