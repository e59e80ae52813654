//! Waiting for what happens behind an answer: looked at often, given up after a while.

use std::time::{Duration, Instant};

/// How often one looks.
const LOOK_EVERY: Duration = Duration::from_millis(2);

/// Waits until `look` says yes.
///
/// # Panics
/// When that takes longer than `at_most`.
pub async fn wait_until(what: &str, at_most: Duration, mut look: impl AsyncFnMut() -> bool) {
    let started = Instant::now();
    while !look().await {
        assert!(started.elapsed() < at_most, "this did not happen within {at_most:?}: {what}");
        tokio::time::sleep(LOOK_EVERY).await;
    }
}
