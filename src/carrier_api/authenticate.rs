//! Who calls, and how much they may: API keys and the carrier's rate limit.

use std::collections::HashMap;
use std::num::NonZeroU32;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use actix_web::HttpRequest;
use actix_web::http::header::{self, HeaderValue};
use actix_web::web::Bytes;
use governor::clock::Clock as GovernorClock;
use governor::middleware::StateInformationMiddleware;
use governor::state::{InMemoryState, NotKeyed};
use governor::{Quota, RateLimiter};
use sha2::{Digest, Sha256};
use uuid::Uuid;

use crate::domain::carrier::Attests;
use crate::domain::clock::Clock;
use crate::http::problem::Problem;
use crate::store::StoreError;
use crate::store::carriers::{CarrierRow, list_carriers};
use crate::store::connection::ReadPool;

/// First letters of an API key, so that leaked ones can be searched for.
pub const API_KEY_PREFIX: &str = "sgk_";
/// The longest key looked at, bytes.
const API_KEY_MAX_BYTES: usize = 128;
/// How soon after the last look an unknown key makes the table be read again, microseconds.
const MISS_REFRESH_MICROS: i64 = 100_000;

type CarrierLimiter = RateLimiter<NotKeyed, InMemoryState, Clock, StateInformationMiddleware>;

/// A carrier that may call now.
pub struct Carrier {
    /// Its UUID, part of every report id.
    pub id: Uuid,
    /// Its name, for logs.
    pub name: String,
    /// The numbers it vouches for.
    pub attests: Attests,
    per_second: NonZeroU32,
    burst: NonZeroU32,
    limiter: CarrierLimiter,
    policy: HeaderValue,
}

/// Rate limit fields of an answer (draft-ietf-httpapi-ratelimit-headers).
#[derive(Clone, Debug)]
pub struct RateFields {
    /// `RateLimit-Policy`.
    pub policy: HeaderValue,
    /// `RateLimit`.
    pub limit: HeaderValue,
}

impl Carrier {
    fn new(row: &CarrierRow, defaults: CarrierDefaults, clock: Clock) -> Option<Self> {
        let number = |value: Option<i32>| value.and_then(|value| u32::try_from(value).ok()).and_then(NonZeroU32::new);
        let per_second = number(row.per_second).unwrap_or(defaults.per_second);
        let burst = number(row.burst).unwrap_or(defaults.burst);
        let quota = Quota::per_second(per_second).allow_burst(burst);
        let window_s = burst.get().div_ceil(per_second.get());
        Some(Self {
            id: Uuid::from_slice(&row.id).ok()?,
            name: row.name.clone(),
            attests: Attests::parse(&row.attests).ok()?,
            per_second,
            burst,
            limiter: RateLimiter::direct_with_clock(quota, clock).with_middleware(),
            policy: header_value(format!("\"carrier\";q={burst};w={window_s}")),
        })
    }

    /// Takes one item of the carrier's limit.
    ///
    /// # Errors
    /// 429 with the time to wait.
    pub fn take_one(&self) -> Result<RateFields, Problem> {
        match self.limiter.check() {
            Ok(state) => Ok(self.fields(state.remaining_burst_capacity())),
            Err(not_until) => {
                let wait = not_until.wait_time_from(GovernorClock::now(self.limiter.clock()));
                Err(Problem::carrier_over_limit(whole_seconds(wait)).with_rate(self.fields(0)))
            }
        }
    }

    fn fields(&self, remaining: u32) -> RateFields {
        let full_in_s = self.burst.get().saturating_sub(remaining).div_ceil(self.per_second.get());
        let limit = header_value(format!("\"carrier\";r={remaining};t={full_in_s}"));
        RateFields { policy: self.policy.clone(), limit }
    }
}

/// Limits of a carrier that has none of its own.
#[derive(Clone, Copy)]
pub struct CarrierDefaults {
    /// Items a second.
    pub per_second: NonZeroU32,
    /// Items at once.
    pub burst: NonZeroU32,
}

struct Known {
    row: CarrierRow,
    carrier: Arc<Carrier>,
}

type ByKeyHash = HashMap<[u8; 32], Known>;

/// All carriers that may call, by the SHA-256 of their key; read from the database again and again, so that adding and
/// revoking works beside a running gateway.
pub struct CarrierRegistry {
    by_key_hash: RwLock<ByKeyHash>,
    defaults: CarrierDefaults,
    clock: Clock,
    last_refresh: AtomicI64,
}

impl CarrierRegistry {
    /// An empty registry; see [`CarrierRegistry::refresh`].
    #[must_use]
    pub fn new(defaults: CarrierDefaults, clock: Clock) -> Self {
        let by_key_hash = RwLock::new(HashMap::new());
        Self { by_key_hash, defaults, clock, last_refresh: AtomicI64::new(i64::MIN) }
    }

    /// Reads the carriers. Those that did not change keep their limiter: a refresh refills nobody's burst.
    ///
    /// # Errors
    /// As the database says; the carriers known before stay.
    pub fn refresh(&self, pool: &ReadPool) -> Result<(), StoreError> {
        let rows = list_carriers(&mut *pool.get()?)?;
        self.last_refresh.store(Clock::now(&self.clock).0, Ordering::Relaxed);
        let mut known = self.by_key_hash.write().unwrap_or_else(PoisonError::into_inner);
        let mut next = ByKeyHash::with_capacity(rows.len());
        for row in rows.into_iter().filter(|row| row.revoked_at.is_none()) {
            let Ok(key_hash) = <[u8; 32]>::try_from(row.key_hash.as_slice()) else { continue };
            match known.remove(&key_hash) {
                Some(same) if same.row == row => {
                    next.insert(key_hash, same);
                }
                _ => match Carrier::new(&row, self.defaults, self.clock.clone()) {
                    Some(carrier) => {
                        next.insert(key_hash, Known { row, carrier: Arc::new(carrier) });
                    }
                    None => {
                        tracing::error!(carrier.name = row.name, "this carrier's row cannot be read; it is refused")
                    }
                },
            }
        }
        *known = next;
        Ok(())
    }

    fn find(&self, key_hash: &[u8; 32]) -> Option<Arc<Carrier>> {
        let known = self.by_key_hash.read().unwrap_or_else(PoisonError::into_inner);
        known.get(key_hash).map(|known| Arc::clone(&known.carrier))
    }

    /// The carrier whose key the request bears.
    ///
    /// # Errors
    /// 401 when there is none, the same for every reason that would tell something about keys.
    pub async fn authenticate(
        self: &Arc<Self>,
        request: &HttpRequest,
        pool: &ReadPool,
    ) -> Result<Arc<Carrier>, Problem> {
        let key = bearer(request).ok_or_else(Problem::no_api_key)?;
        // Found by hash, so the time a look-up takes tells nothing about keys.
        let key_hash: [u8; 32] = Sha256::digest(key).into();
        if let Some(carrier) = self.find(&key_hash) {
            return Ok(carrier);
        }
        // A key that was added a moment ago; not more often than ten times a second, whoever guesses.
        let age = Clock::now(&self.clock).0.saturating_sub(self.last_refresh.load(Ordering::Relaxed));
        if age >= MISS_REFRESH_MICROS {
            let (registry, pool) = (Arc::clone(self), pool.clone());
            self.last_refresh.store(Clock::now(&self.clock).0, Ordering::Relaxed);
            match actix_web::web::block(move || registry.refresh(&pool)).await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => return Err(Problem::store_failed(&error)),
                Err(_) => return Err(Problem::store_unavailable()),
            }
        }
        self.find(&key_hash).ok_or_else(Problem::wrong_api_key)
    }
}

/// A header value of digits and signs of our own.
fn header_value(text: String) -> HeaderValue {
    HeaderValue::from_maybe_shared(Bytes::from(text)).unwrap_or(HeaderValue::from_static("\"carrier\""))
}

/// Whole seconds that are enough to wait, at least 1.
fn whole_seconds(wait: Duration) -> u64 {
    wait.as_secs().saturating_add(u64::from(wait.subsec_nanos() > 0)).max(1)
}

fn bearer(request: &HttpRequest) -> Option<&[u8]> {
    let value = request.headers().get(header::AUTHORIZATION)?.as_bytes();
    let (scheme, key) = value.split_at_checked(7)?;
    (scheme.eq_ignore_ascii_case(b"Bearer ") && (1..=API_KEY_MAX_BYTES).contains(&key.len())).then_some(key)
}
