//! The thread that calls carriers' webhooks: takes what is due, sends it, writes down what came of it.
//!
//! What is on its way stands in the database. A node takes it in hand for a while; when it dies, another takes it over, so
//! a message may come twice, under the same id. One receiver has one message at a time from each node, so a slow one keeps
//! nobody waiting but itself.

use std::collections::HashSet;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;
use uuid::Uuid;
use zeroize::Zeroizing;

use super::deliver::{Courier, Message};
use super::signature::{sign, wait_after};
use super::standing::Standing;
use super::stopping::{Running, Stopping};
use crate::crypto::key_ring::KeyRing;
use crate::crypto::stored_secret::SecretOf;
use crate::domain::clock::{Clock, MICROS_PER_DAY, MICROS_PER_SECOND};
use crate::store::StoreError;
use crate::store::connection::{Connection, StoreLocation};
use crate::store::webhooks::{self, Attempted, Claimed, DEAD, DELIVERED, WAITING, WebhookRow};
use crate::telemetry::metrics::Metrics;

/// How often it looks for what is due.
const LOOK_EVERY: Duration = Duration::from_millis(200);
/// How long after a failure of the database it looks again.
const RETRY_WAIT: Duration = Duration::from_secs(2);
/// Messages of one receiver that are taken in hand at once.
const CLAIMED_AT_ONCE: i64 = 10;
/// How long they are kept in hand: longer than it takes when every one of them times out.
const CLAIM_MICROS: i64 = 300 * MICROS_PER_SECOND;
/// Receivers called at once.
const RECEIVERS_AT_ONCE: usize = 64;
/// How long what was delivered, and what was given up, is kept.
const DELIVERED_KEPT_MICROS: i64 = 7 * MICROS_PER_DAY;
const DEAD_KEPT_MICROS: i64 = 30 * MICROS_PER_DAY;
/// How long a stop waits for answers.
const LAST_ANSWERS_WAIT: Duration = Duration::from_secs(3);
/// How often the rest is swept.
const SWEEP_EVERY: Duration = Duration::from_secs(3_600);
/// The status by which a receiver says that it wants no more.
const GONE: u16 = 410;

/// What the dispatcher works with.
pub struct DispatchParts {
    /// Where the store is.
    pub location: StoreLocation,
    /// Opens secrets.
    pub ring: Arc<KeyRing>,
    /// What is due when.
    pub clock: Clock,
    /// Sends.
    pub courier: Courier,
    /// Is told how it goes.
    pub standing: Arc<Standing>,
    /// Counts attempts.
    pub metrics: Arc<Metrics>,
}

/// Starts the dispatcher, on a thread and a runtime of its own. When it is told to stop, it lets what is being sent be
/// answered, for a while, and gives back what is not sent yet.
///
/// # Errors
/// When no thread can be started.
pub fn start(parts: DispatchParts) -> Result<Running, StoreError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(StoreError::Thread)?;
    Running::start("webhooks", move |stopping| {
        let standing = Arc::clone(&parts.standing);
        let work = AssertUnwindSafe(|| runtime.block_on(work(Arc::new(parts), Arc::clone(stopping))));
        if std::panic::catch_unwind(work).is_err() {
            standing.webhooks.breaks_down();
            tracing::error!("webhooks panicked: nothing is sent until the gateway is started again");
        }
        // A look-up of a name may hang; nobody waits for it.
        runtime.shutdown_background();
    })
}

async fn work(parts: Arc<DispatchParts>, stopping: Arc<Stopping>) {
    let mut in_hand = HashSet::<Vec<u8>>::new();
    let mut calls = JoinSet::<Called>::new();
    let mut open: Option<(Connection, u64)> = None;
    let mut last_sweep: Option<tokio::time::Instant> = None;
    while !stopping.is_told() {
        while let Some(ended) = calls.try_join_next() {
            // After a panic its receiver stays in hand, and is left alone until the next start.
            let Ok((webhook, outcomes)) = ended else { continue };
            note(&parts, &mut open, &webhook, &outcomes);
            in_hand.remove(&webhook);
        }
        let swept = last_sweep.is_some_and(|last| last.elapsed() < SWEEP_EVERY);
        let looked = with_store(&parts, &mut open, |connection| {
            let now = parts.clock.now().0;
            if !swept {
                webhooks::sweep(connection, now - DELIVERED_KEPT_MICROS, now - DEAD_KEPT_MICROS)?;
            }
            take_due(connection, now, &in_hand)
        });
        match looked {
            Ok(due) => {
                parts.standing.webhooks.works();
                last_sweep = if swept { last_sweep } else { Some(tokio::time::Instant::now()) };
                for (webhook, claimed) in due {
                    in_hand.insert(webhook.id.clone());
                    calls.spawn(call(Arc::clone(&parts), Arc::clone(&stopping), webhook, claimed));
                }
                tokio::time::sleep(LOOK_EVERY).await;
            }
            Err(error) => {
                if !error.is_locked() {
                    // Once per change, not once per try.
                    if parts.standing.webhooks.fails() {
                        tracing::error!(%error, "webhooks are not called until this is mended");
                    }
                    open = None;
                }
                tokio::time::sleep(RETRY_WAIT).await;
            }
        }
    }
    // What is not answered by then is sent again, by whoever finds it in hand for too long.
    let rest = async {
        while let Some(ended) = calls.join_next().await {
            let Ok((webhook, outcomes)) = ended else { continue };
            note(&parts, &mut open, &webhook, &outcomes);
        }
    };
    let _ = tokio::time::timeout(LAST_ANSWERS_WAIT, rest).await;
}

fn note(parts: &DispatchParts, open: &mut Option<(Connection, u64)>, webhook: &[u8], outcomes: &[(Claimed, Outcome)]) {
    if let Err(error) = with_store(parts, open, |connection| write_down(connection, parts, webhook, outcomes)) {
        tracing::warn!(%error, "what came of a message could not be written down: it will be sent again");
        *open = None;
    }
}

fn with_store<T>(
    parts: &DispatchParts,
    open: &mut Option<(Connection, u64)>,
    work: impl FnOnce(&mut Connection) -> Result<T, StoreError>,
) -> Result<T, StoreError> {
    let generation = parts.location.generation();
    if open.as_ref().is_none_or(|(_, opened_in)| *opened_in != generation) {
        *open = Some(parts.location.open_in_generation(StoreLocation::open)?);
    }
    match open.as_mut() {
        Some((connection, _)) => work(connection),
        None => Err(StoreError::OldPrimary),
    }
}

fn take_due(
    connection: &mut Connection,
    now: i64,
    in_hand: &HashSet<Vec<u8>>,
) -> Result<Vec<(WebhookRow, Vec<Claimed>)>, StoreError> {
    let mut due = Vec::new();
    for webhook in webhooks::list_due_webhooks(connection, now)? {
        if in_hand.len() + due.len() >= RECEIVERS_AT_ONCE {
            break;
        }
        if in_hand.contains(&webhook.id) {
            continue;
        }
        let claimed = webhooks::claim_due(connection, &webhook.id, now, now + CLAIM_MICROS, CLAIMED_AT_ONCE)?;
        if !claimed.is_empty() {
            due.push((webhook, claimed));
        }
    }
    Ok(due)
}

/// What came of an attempt.
enum Outcome {
    Answered(u16),
    Failed(String),
    /// The node stops, or the one before failed.
    NotSent,
}

/// A receiver, and what came of each message.
type Called = (Vec<u8>, Vec<(Claimed, Outcome)>);

/// Sends what is in hand for one receiver, one after another. When one fails the rest is given back: a receiver that is
/// away takes its turn no longer than for one message.
async fn call(
    parts: Arc<DispatchParts>,
    stopping: Arc<Stopping>,
    webhook: WebhookRow,
    claimed: Vec<Claimed>,
) -> Called {
    let mut outcomes = Vec::with_capacity(claimed.len());
    let mut has_failed = false;
    for claimed in claimed {
        let outcome =
            if has_failed || stopping.is_told() { Outcome::NotSent } else { send(&parts, &webhook, &claimed).await };
        has_failed |= matches!(outcome, Outcome::Failed(_));
        outcomes.push((claimed, outcome));
    }
    (webhook.id, outcomes)
}

async fn send(parts: &DispatchParts, webhook: &WebhookRow, claimed: &Claimed) -> Outcome {
    let now = parts.clock.now().0;
    let Some(secrets) = open_secrets(&parts.ring, webhook, now) else {
        return Outcome::Failed("its secret does not open: another key".to_owned());
    };
    let id = Uuid::from_slice(&claimed.event_id).unwrap_or_default().to_string();
    let timestamp_s = now / MICROS_PER_SECOND;
    let secrets: Vec<&[u8]> = secrets.iter().map(|secret| secret.as_slice()).collect();
    let signature = sign(&secrets, &id, timestamp_s, &claimed.body);
    let message = Message { url: &webhook.url, id: &id, timestamp_s, signature: &signature, body: &claimed.body };
    match parts.courier.send(&message).await {
        Ok(status) => Outcome::Answered(status),
        Err(error) => Outcome::Failed(error.to_string()),
    }
}

/// The present secret, and the one before while it lives.
fn open_secrets(ring: &KeyRing, webhook: &WebhookRow, now: i64) -> Option<Vec<Zeroizing<Vec<u8>>>> {
    let old = webhook.old_secret.as_ref().filter(|_| webhook.old_secret_until.is_some_and(|until| now < until));
    [Some(&webhook.secret), old]
        .into_iter()
        .flatten()
        .map(|sealed| ring.stored_secrets().open(SecretOf::Webhook(&webhook.id), sealed).ok())
        .collect()
}

fn write_down(
    connection: &mut Connection,
    parts: &DispatchParts,
    webhook: &[u8],
    outcomes: &[(Claimed, Outcome)],
) -> Result<(), StoreError> {
    let at = parts.clock.now().0;
    let name = Uuid::from_slice(webhook).unwrap_or_default();
    let mut is_gone = false;
    for (claimed, outcome) in outcomes {
        let (is_taken, result) = match outcome {
            Outcome::Answered(status) => ((200..300).contains(status), format!("answered {status}")),
            Outcome::Failed(reason) => (false, reason.clone()),
            Outcome::NotSent => {
                webhooks::give_back(connection, webhook, claimed, at)?;
                continue;
            }
        };
        is_gone |= matches!(outcome, Outcome::Answered(GONE));
        let next = wait_after(claimed.attempts, webhook, &claimed.event_id);
        let (state, due_at) = match (is_taken, next) {
            (true, _) => (DELIVERED, at),
            (false, Some(wait)) => (WAITING, at.saturating_add(wait)),
            (false, None) => (DEAD, at),
        };
        parts.metrics.count_webhook_attempt(match (outcome, state) {
            (Outcome::Answered(GONE), _) => "gone",
            (_, DELIVERED) => "delivered",
            (_, DEAD) => "dead",
            _ => "failed",
        });
        if state == DEAD {
            tracing::warn!(webhook.id = %name, result, "a message to a carrier was given up: see `webhook dead`");
        }
        webhooks::finish_attempt(connection, webhook, claimed, &Attempted { state, due_at, result: &result, at })?;
    }
    if is_gone && webhooks::disable_webhook(connection, webhook, at, "it answered 410 Gone")? {
        tracing::warn!(webhook.id = %name, "a receiver wants no more: it is disabled");
    }
    Ok(())
}
