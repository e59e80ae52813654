//! What a visitor may do a few times only: counted in the fast state under keyed names.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;

use super::{Visit, text_id};
use crate::domain::network::{CUSTOMERS_PER_SITE, customer_of, site_of};
use crate::fast::NotReached;
use crate::fast::codes::{CountLimit, Taken};

/// An hour, in seconds.
pub const HOUR_S: u32 = 60 * 60;
/// A day, in seconds.
pub const DAY_S: u32 = 24 * HOUR_S;
/// When to come back while nothing can be counted, seconds.
const UNCOUNTED_RETRY_S: u64 = 60;

/// Why something may not be done now.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum NotNow {
    /// It was done as often as it may be.
    Often {
        /// Seconds until it may be done again.
        retry_after_s: u64,
    },
    /// That cannot be known.
    Uncounted {
        /// Seconds until one should try again.
        retry_after_s: u64,
    },
}

/// So many in so many seconds.
#[must_use]
pub fn limit(visit: &Visit<'_>, purpose: &str, of: &[u8], max: u32, window_s: u32) -> CountLimit {
    CountLimit { key: visit.app.intake.keys.citizen_tag(purpose, &[of]), max, window_s }
}

/// The same for whoever comes from this visitor's address, and for its neighbours together.
#[must_use]
pub fn limits_of_client(visit: &Visit<'_>, purpose: &str, max: u32, window_s: u32) -> [CountLimit; 2] {
    let of = |network: Vec<u8>, max| limit(visit, purpose, &network, max, window_s);
    [of(customer_of(visit.client), max), of(site_of(visit.client), max.saturating_mul(CUSTOMERS_PER_SITE))]
}

/// Counts one in all of them, or in none.
///
/// # Errors
/// [`NotNow`].
pub async fn take(visit: &Visit<'_>, limits: &[CountLimit]) -> Result<(), NotNow> {
    let intake = &visit.app.intake;
    match intake.fast.take_tries(limits, intake.clock.turned()).await {
        Ok(Taken::Yes) => Ok(()),
        Ok(Taken::Full { retry_after_s, .. }) => Err(NotNow::Often { retry_after_s }),
        Ok(Taken::NoRoom) | Err(NotReached) => Err(NotNow::Uncounted { retry_after_s: UNCOUNTED_RETRY_S }),
    }
}

/// Counts one no more.
pub async fn give_back(visit: &Visit<'_>, limits: &[CountLimit]) {
    let intake = &visit.app.intake;
    intake.fast.give_back_tries(limits, intake.clock.turned()).await;
}

/// The page that says when to come back.
#[must_use]
pub fn come_back(visit: &Visit<'_>, why: NotNow) -> HttpResponse {
    match why {
        NotNow::Often { retry_after_s } => {
            visit.come_back(StatusCode::TOO_MANY_REQUESTS, text_id("tried-too-often"), retry_after_s)
        }
        NotNow::Uncounted { retry_after_s } => {
            visit.come_back(StatusCode::SERVICE_UNAVAILABLE, text_id("tries-uncounted"), retry_after_s)
        }
    }
}
