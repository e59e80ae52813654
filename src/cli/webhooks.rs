//! `spamgate webhook …`.

use std::io::{self, Write};
use std::path::Path;

use clap::Subcommand;
use serde::Serialize;
use uuid::Uuid;
use zeroize::Zeroizing;

use crate::config::Config;
use crate::crypto::key_ring::KeyRing;
use crate::crypto::stored_secret::SecretOf;
use crate::domain::clock::{Clock, MICROS_PER_SECOND, Moment};
use crate::outbound::address::Target;
use crate::outbound::signature::{SECRET_BYTES, secret_to_text};
use crate::startup;
use crate::store::connection::Connection;
use crate::store::feed::find_carrier_id;
use crate::store::webhooks::{self, WebhookRow};

/// Microseconds in one hour.
const MICROS_PER_HOUR: i64 = 3_600 * MICROS_PER_SECOND;

#[derive(Subcommand)]
pub(super) enum WebhookCommand {
    /// Call a carrier at an address, and print the secret that messages are signed with, this once.
    Add {
        /// The carrier.
        carrier: String,
        /// Such as `https://receiver.example/spamgate`. Public addresses alone are called.
        url: String,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// List receivers.
    List {
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// Make another secret and print it, this once. Messages are signed with the one before, too, for a while.
    RotateSecret {
        /// As `list` shows it.
        id: Uuid,
        /// For so many hours.
        #[arg(long, value_name = "N", default_value_t = 24, value_parser = clap::value_parser!(i64).range(0..=720))]
        overlap_hours: i64,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// Call a receiver no more. What waits for it is given up; see `replay`.
    Disable {
        /// As `list` shows it.
        id: Uuid,
    },
    /// Call a receiver again that was disabled, or that said it was gone.
    Enable {
        /// As `list` shows it.
        id: Uuid,
    },
    /// List messages that were given up, newest first. They are kept for 30 days.
    Dead {
        /// At most so many.
        #[arg(long, value_name = "N", default_value_t = 100)]
        limit: i64,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// Send again what was given up for a receiver.
    Replay {
        /// The receiver, as `list` shows it.
        id: Uuid,
        /// This message alone, given up or delivered.
        #[arg(long)]
        event: Option<Uuid>,
    },
}

#[derive(Serialize)]
struct Listed {
    id: Uuid,
    carrier: String,
    url: String,
    created_at: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    old_secret_until: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    disabled_at: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    disabled_reason: Option<String>,
}

#[derive(Serialize)]
struct Dead {
    webhook: Uuid,
    event: Uuid,
    attempts: i32,
    last_result: Option<String>,
    given_up_at: String,
}

pub(super) fn run(command: WebhookCommand, config: &Config, data: &Path) -> anyhow::Result<()> {
    super::require_data(config, data)?;
    let (_, mut connection) = startup::open_store(config, data)?;
    let now = Clock::System.now().0;
    let mut out = io::stdout().lock();
    match command {
        WebhookCommand::Add { carrier, url, json } => {
            let ring = startup::open(config, data)?.keys.ring;
            let (id, secret) = add(&mut connection, &ring, config, &carrier, &url, now)?;
            show_secret(&mut out, id, &secret, json)
        }
        WebhookCommand::List { json } => list(&mut connection, &mut out, json),
        WebhookCommand::RotateSecret { id, overlap_hours, json } => {
            let ring = startup::open(config, data)?.keys.ring;
            let (secret, sealed) = draw_secret(&ring, id)?;
            let until = now.saturating_add(overlap_hours.saturating_mul(MICROS_PER_HOUR));
            let was_there = webhooks::rotate_secret(&mut connection, id.as_bytes(), &sealed, until)?;
            anyhow::ensure!(was_there, "there is no receiver {id}");
            show_secret(&mut out, id, &secret, json)
        }
        WebhookCommand::Disable { id } => {
            let reason = "by the operator";
            let was_called = webhooks::disable_webhook(&mut connection, id.as_bytes(), now, reason)?;
            anyhow::ensure!(was_called, "there is no receiver {id} that is called");
            Ok(writeln!(out, "{id} is called no more.")?)
        }
        WebhookCommand::Enable { id } => {
            let was_disabled = webhooks::enable_webhook(&mut connection, id.as_bytes())?;
            anyhow::ensure!(was_disabled, "there is no receiver {id} that is disabled");
            Ok(writeln!(out, "{id} is called again.")?)
        }
        WebhookCommand::Dead { limit, json } => dead(&mut connection, &mut out, limit, json),
        WebhookCommand::Replay { id, event } => {
            let event = event.as_ref().map(|event| event.as_bytes().as_slice());
            let replayed = webhooks::replay(&mut connection, id.as_bytes(), event, now)?;
            anyhow::ensure!(replayed > 0, "there is nothing to send again for {id}");
            Ok(writeln!(out, "{replayed} on their way again.")?)
        }
    }
}

fn add(
    connection: &mut Connection,
    ring: &KeyRing,
    config: &Config,
    carrier: &str,
    url: &str,
    now: i64,
) -> anyhow::Result<(Uuid, Zeroizing<String>)> {
    // What the name resolves to is looked at before each call: it may change.
    let target = Target::parse(url, config.webhooks.allow_internal)
        .map_err(|error| anyhow::anyhow!("this address is not called: {error}"))?;
    let carrier_id = find_carrier_id(connection, carrier)?;
    let carrier_id = carrier_id.ok_or_else(|| anyhow::anyhow!("there is no carrier `{carrier}`"))?;
    let id = Uuid::now_v7();
    let (secret, sealed) = draw_secret(ring, id)?;
    let row = WebhookRow {
        id: id.as_bytes().to_vec(),
        carrier_id,
        url: target.url.into(),
        secret: sealed,
        old_secret: None,
        old_secret_until: None,
        created_at: now,
        disabled_at: None,
        disabled_reason: None,
    };
    webhooks::insert_webhook(connection, &row)?;
    Ok((id, secret))
}

/// A new secret, as it is shown and as it is stored.
fn draw_secret(ring: &KeyRing, id: Uuid) -> anyhow::Result<(Zeroizing<String>, Vec<u8>)> {
    let mut secret = Zeroizing::new([0; SECRET_BYTES]);
    getrandom::fill(secret.as_mut_slice()).map_err(|_| anyhow::anyhow!("the system gives no random bytes"))?;
    let sealed = ring.stored_secrets().seal(SecretOf::Webhook(id.as_bytes()), secret.as_slice())?;
    Ok((secret_to_text(secret.as_slice()), sealed))
}

fn show_secret(out: &mut impl Write, id: Uuid, secret: &str, json: bool) -> anyhow::Result<()> {
    if json {
        return Ok(writeln!(out, "{}", serde_json::json!({ "id": id, "secret": secret }))?);
    }
    writeln!(out, "Receiver {id}. The secret that its messages are signed with, shown this once:")?;
    Ok(writeln!(out, "{secret}")?)
}

fn list(connection: &mut Connection, out: &mut impl Write, json: bool) -> anyhow::Result<()> {
    let moment = |at: Option<i64>| at.map(|at| Moment(at).to_rfc3339());
    let listed = webhooks::list_webhooks(connection)?.into_iter().map(|(row, carrier)| Listed {
        id: Uuid::from_slice(&row.id).unwrap_or_default(),
        carrier,
        url: row.url,
        created_at: Moment(row.created_at).to_rfc3339(),
        old_secret_until: moment(row.old_secret_until),
        disabled_at: moment(row.disabled_at),
        disabled_reason: row.disabled_reason,
    });
    let listed: Vec<Listed> = listed.collect();
    if json {
        return Ok(writeln!(out, "{}", serde_json::to_string_pretty(&listed)?)?);
    }
    for webhook in listed {
        let state = webhook.disabled_reason.map_or_else(String::new, |reason| format!("  disabled: {reason}"));
        writeln!(out, "{}  {:<24} {}{state}", webhook.id, webhook.carrier, webhook.url)?;
    }
    Ok(())
}

fn dead(connection: &mut Connection, out: &mut impl Write, limit: i64, json: bool) -> anyhow::Result<()> {
    let dead = webhooks::list_dead(connection, limit)?.into_iter().map(|row| Dead {
        webhook: Uuid::from_slice(&row.webhook_id).unwrap_or_default(),
        event: Uuid::from_slice(&row.event_id).unwrap_or_default(),
        attempts: row.attempts,
        last_result: row.last_result,
        given_up_at: Moment(row.changed_at).to_rfc3339(),
    });
    let dead: Vec<Dead> = dead.collect();
    if json {
        return Ok(writeln!(out, "{}", serde_json::to_string_pretty(&dead)?)?);
    }
    for message in dead {
        let result = message.last_result.unwrap_or_else(|| "never tried".to_owned());
        let Dead { webhook, event, attempts, given_up_at, .. } = message;
        writeln!(out, "{given_up_at}  receiver {webhook}  event {event}  {attempts} attempts  {result}")?;
    }
    Ok(())
}
