//! Asking again when the gateway says "later" or says nothing, always with the same request.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::time::sleep;

/// How often one request is sent at most.
pub const ATTEMPTS_MAX: u32 = 12;
/// The longest `Retry-After` that is waited for. A longer one, such as that of a daily quota, is taken as a refusal.
pub const RETRY_AFTER_MAX: Duration = Duration::from_secs(60);
/// The wait after an answer that did not come or did not say when to ask again.
pub const DEFAULT_WAIT: Duration = Duration::from_secs(1);

/// How often something happened, by its name.
pub type Counts = BTreeMap<String, u64>;

/// What came of sending a request once.
#[derive(Debug)]
pub enum Attempt<T> {
    /// An answer that will not change by asking again at once.
    Done(T),
    /// Nothing is decided: send the same request again after `wait`.
    Again {
        /// Why, in a few words, for the summary.
        reason: String,
        /// How long the gateway wants to be left alone.
        wait: Duration,
    },
}

/// Adds one to a count.
pub fn count(counts: &mut Counts, name: impl Into<String>) {
    *counts.entry(name.into()).or_default() += 1;
}

/// Adds all counts of one table to another.
pub fn add_counts(to: &mut Counts, from: Counts) {
    for (name, number) in from {
        *to.entry(name).or_default() += number;
    }
}

/// Sends until there is an answer, with exactly the waits that the gateway asks for. Each retry is counted in `retries`
/// under its reason.
///
/// # Errors
/// The reason of the last attempt, after [`ATTEMPTS_MAX`] of them.
pub async fn until_answered<T, F: Future<Output = Attempt<T>>>(
    send: impl Fn() -> F,
    retries: &mut Counts,
) -> Result<T, String> {
    let mut attempts = 1;
    loop {
        match send().await {
            Attempt::Done(answer) => return Ok(answer),
            Attempt::Again { reason, .. } if attempts == ATTEMPTS_MAX => return Err(reason),
            Attempt::Again { reason, wait } => {
                count(retries, reason);
                sleep(wait).await;
                attempts += 1;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;

    fn again() -> Attempt<u32> {
        Attempt::Again { reason: "503".to_owned(), wait: Duration::ZERO }
    }

    #[tokio::test]
    async fn it_asks_again_until_there_is_an_answer() {
        let sent = Cell::new(0);
        let mut retries = Counts::new();
        let send = || {
            sent.set(sent.get() + 1);
            std::future::ready(if sent.get() == 3 { Attempt::Done(7) } else { again() })
        };
        assert_eq!(until_answered(send, &mut retries).await, Ok(7));
        assert_eq!(retries.get("503"), Some(&2));
    }

    #[tokio::test]
    async fn it_gives_up_after_a_bounded_number_of_attempts() {
        let sent = Cell::new(0);
        let send = || {
            sent.set(sent.get() + 1);
            std::future::ready(again())
        };
        assert_eq!(until_answered(send, &mut Counts::new()).await, Err("503".to_owned()));
        assert_eq!(sent.get(), ATTEMPTS_MAX);
    }
}
