//! The thread that tells carriers of what was decided, on the nodes that hold the authority's private key.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use super::publish::{PublishError, Publisher};
use super::standing::Standing;
use super::stopping::{Running, Stopping};
use crate::crypto::envelope::AuthorityPrivateKey;
use crate::crypto::key_ring::KeyRing;
use crate::store::StoreError;
use crate::store::connection::{Connection, StoreLocation};

/// How often it looks for new decisions.
const LOOK_EVERY: Duration = Duration::from_millis(250);
/// How long after a failure it tries again.
const RETRY_WAIT: Duration = Duration::from_secs(2);

/// What the desk works with.
pub struct DeskParts {
    /// Where the store is.
    pub location: StoreLocation,
    /// Opens envelopes.
    pub authority: AuthorityPrivateKey,
    /// Names events.
    pub ring: Arc<KeyRing>,
    /// Is told how it goes.
    pub standing: Arc<Standing>,
}

/// Starts the desk. It opens a connection of its own, again after each failure.
///
/// # Errors
/// When no thread can be started.
pub fn start(parts: DeskParts) -> Result<Running, StoreError> {
    Running::start("outbound", move |stopping| {
        if std::panic::catch_unwind(AssertUnwindSafe(|| work(&parts, stopping))).is_err() {
            parts.standing.desk.breaks_down();
            tracing::error!("telling carriers panicked: nothing is told until the gateway is started again");
        }
    })
}

fn work(parts: &DeskParts, stopping: &Stopping) {
    let mut open: Option<(Connection, u64)> = None;
    while !stopping.is_told() {
        match take_turn(parts, &mut open) {
            Ok(is_busy) => {
                parts.standing.desk.works();
                if !is_busy {
                    stopping.sleep(LOOK_EVERY);
                }
            }
            Err(PublishError::Store(error)) if error.is_locked() => stopping.sleep(LOOK_EVERY),
            Err(error) => {
                // Once per change, not once per try.
                if parts.standing.desk.fails() {
                    tracing::error!(%error, "carriers are not told of decisions until this is mended");
                }
                open = None;
                stopping.sleep(RETRY_WAIT);
            }
        }
    }
}

fn take_turn(parts: &DeskParts, open: &mut Option<(Connection, u64)>) -> Result<bool, PublishError> {
    let generation = parts.location.generation();
    if open.as_ref().is_none_or(|(_, opened_in)| *opened_in != generation) {
        *open = Some(parts.location.open_in_generation(StoreLocation::open)?);
    }
    let Some((connection, _)) = open.as_mut() else { return Ok(false) };
    Publisher { authority: &parts.authority, ring: &parts.ring }.publish(connection)
}
