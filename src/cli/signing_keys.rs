//! `spamgate carrier signing-key …`.

use std::io::Write;
use std::path::Path;

use anyhow::Context;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use clap::{Subcommand, ValueEnum};
use serde::Serialize;

use crate::config::Config;
use crate::crypto::signing::ED25519_PUBLIC_KEY_BYTES;
use crate::domain::clock::Moment;
use crate::enrol::{NewSigningKey, SigningKeyKind, add_signing_key};
use crate::startup;
use crate::store::carriers::find_carrier;
use crate::store::signing_keys::{SigningKeyRow, list_signing_keys, revoke_signing_key};

#[derive(Subcommand)]
pub(super) enum SigningKeyCommand {
    /// Add a key with which the carrier signs. A shared secret is printed, this once. There can be two keys.
    Add {
        /// The carrier.
        carrier: String,
        /// How it signs.
        #[arg(long, value_enum)]
        alg: Alg,
        /// The carrier's public key for ed25519: 32 bytes in Base64.
        #[arg(long, value_name = "BASE64", required_if_eq("alg", "ed25519"))]
        public_key: Option<String>,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// List a carrier's signing keys, revoked ones too, oldest first.
    List {
        /// The carrier.
        carrier: String,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// Revoke a signing key. A running gateway refuses its signatures within half a second.
    Revoke {
        /// The carrier.
        carrier: String,
        /// The key's id.
        id: String,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
}

#[derive(Clone, Copy, ValueEnum)]
pub(super) enum Alg {
    HmacSha256,
    Ed25519,
}

#[derive(Serialize)]
struct Listed {
    id: String,
    algorithm: String,
    created_at: String,
    revoked_at: Option<String>,
}

impl From<SigningKeyRow> for Listed {
    fn from(row: SigningKeyRow) -> Self {
        Self {
            id: row.key_id,
            algorithm: row.algorithm,
            created_at: Moment(row.created_at).to_rfc3339(),
            revoked_at: row.revoked_at.map(|at| Moment(at).to_rfc3339()),
        }
    }
}

/// What is to be added.
fn kind_of(alg: Alg, public_key: Option<&str>) -> anyhow::Result<SigningKeyKind> {
    match (alg, public_key) {
        (Alg::HmacSha256, None) => Ok(SigningKeyKind::NewSecret),
        (Alg::HmacSha256, Some(_)) => anyhow::bail!("hmac-sha256 has no public key: the gateway makes the secret"),
        (Alg::Ed25519, encoded) => {
            let bytes = encoded.and_then(|encoded| STANDARD.decode(encoded.trim()).ok());
            let key = bytes.and_then(|bytes| <[u8; ED25519_PUBLIC_KEY_BYTES]>::try_from(bytes).ok());
            Ok(SigningKeyKind::Public(key.context("--public-key must be 32 bytes in Base64")?))
        }
    }
}

pub(super) fn run(
    command: SigningKeyCommand,
    config: &Config,
    data: &Path,
    now: Moment,
    out: &mut impl Write,
) -> anyhow::Result<()> {
    match command {
        SigningKeyCommand::Add { carrier, alg, public_key, json } => {
            let kind = kind_of(alg, public_key.as_deref())?;
            // With the keys: a secret is sealed under one of them.
            let mut opened = startup::open(config, data)?;
            let NewSigningKey { id, algorithm, secret } =
                add_signing_key(&mut opened.connection, &opened.keys.ring, &carrier, &kind, now)?;
            let secret = secret.map(|secret| zeroize::Zeroizing::new(STANDARD.encode(secret.as_slice())));
            if json {
                let (algorithm, secret) = (algorithm.as_str(), secret.as_ref().map(|secret| secret.as_str()));
                let added = serde_json::json!({ "id": id, "algorithm": algorithm, "secret": secret });
                writeln!(out, "{added}")?;
            } else {
                writeln!(out, "Signing key `{id}` of `{carrier}`, {}.", algorithm.as_str())?;
                if let Some(secret) = secret {
                    writeln!(out, "Its secret in Base64, shown this once:\n{}", secret.as_str())?;
                }
            }
        }
        SigningKeyCommand::List { carrier, json } => {
            let (_, mut connection) = startup::open_store(config, data)?;
            let row = find_carrier(&mut connection, &carrier)?.context("there is no such carrier")?;
            let listed: Vec<Listed> =
                list_signing_keys(&mut connection, &row.id)?.into_iter().map(Listed::from).collect();
            if json {
                writeln!(out, "{}", serde_json::to_string_pretty(&listed)?)?;
            } else {
                for Listed { id, algorithm, created_at, revoked_at } in listed {
                    let state = revoked_at.map_or_else(|| "good".to_owned(), |at| format!("revoked {at}"));
                    writeln!(out, "{id} {algorithm} made {created_at}, {state}")?;
                }
            }
        }
        SigningKeyCommand::Revoke { carrier, id, json } => {
            let (_, mut connection) = startup::open_store(config, data)?;
            let row = find_carrier(&mut connection, &carrier)?.context("there is no such carrier")?;
            let revoked = revoke_signing_key(&mut connection, &row.id, &id, now.0)?;
            anyhow::ensure!(revoked, "`{carrier}` has no good signing key with this id");
            if json {
                let revoked = serde_json::json!({ "name": carrier, "id": id, "revoked_at": now.to_rfc3339() });
                writeln!(out, "{revoked}")?;
            } else {
                writeln!(out, "The signing key `{id}` of `{carrier}` is revoked.")?;
            }
        }
    }
    Ok(())
}
