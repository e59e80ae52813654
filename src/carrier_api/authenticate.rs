//! Who calls, from where, what they may do and how much: API keys, scopes, addresses and the carrier's rate limit.

use std::collections::HashMap;
use std::net::IpAddr;
use std::num::NonZeroU32;
use std::ops::Deref;
use std::sync::atomic::{AtomicI64, AtomicU32, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use actix_web::HttpRequest;
use actix_web::http::header::{self, HeaderMap, HeaderName, HeaderValue};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use sha2::{Digest, Sha256};
use tokio::sync::Semaphore;
use uuid::Uuid;

use super::limits::{CarrierLimit, Leases};
use super::signatures::nonces::NonceMemory;
use super::signatures::verify::{SignatureFault, Signed, SigningKey};
use super::signatures::{check_signature, claim_nonce};
use super::usage::{Usage, UsageBook};
use crate::crypto::key_ring::KeyRing;
use crate::crypto::signing::{SigningAlgorithm, Verifier};
use crate::crypto::stored_secret::SecretOf;
use crate::domain::carrier::{Addresses, Attests, Scope, Scopes, Signatures};
use crate::domain::clock::Clock;
use crate::fast::CarrierRate;
use crate::http::app::App;
use crate::http::body::BodyWait;
use crate::http::client_ip::client_ip;
use crate::http::problem::Problem;
use crate::intake::accept::Accepted;
use crate::store::StoreError;
use crate::store::carriers::{ApiKeyRow, CarrierRow, list_carriers, list_good_api_keys};
use crate::store::connection::ReadPool;
use crate::store::signing_keys::{SigningKeyRow, list_good_signing_keys};

/// First letters of an API key, so that leaked ones can be searched for.
pub const API_KEY_PREFIX: &str = "sgk_";
/// The longest key looked at, bytes.
const API_KEY_MAX_BYTES: usize = 128;
/// How soon after the last look an unknown key makes the table be read again, microseconds.
const MISS_REFRESH_MICROS: i64 = 100_000;
/// How often the table is read for one refresh, when each time another was put in place meanwhile.
const LOOKS_MAX: u32 = 3;

/// A carrier that may call now.
pub struct Carrier {
    /// Its UUID, part of every report id.
    pub id: Uuid,
    /// Its name, for logs.
    pub name: String,
    /// The numbers it vouches for.
    pub attests: Attests,
    /// What it may do.
    pub scopes: Scopes,
    addresses: Addresses,
    signatures: Signatures,
    signing_keys: Vec<SigningKey>,
    kept: Kept,
}

/// What belongs to a carrier whatever its terms and keys are, and outlives their changes.
#[derive(Clone)]
struct Kept {
    limit: Arc<CarrierLimit>,
    nonces: Arc<NonceMemory>,
    usage: Arc<Usage>,
    /// Its bodies that are waited for.
    bodies: Arc<AtomicU32>,
}

/// Who sent a request: a carrier that may send it.
pub struct Caller {
    carrier: Arc<Carrier>,
    /// None when the request is not signed.
    signed: Option<Signed>,
}

impl Caller {
    /// Whether this is the body that was signed, when one was. Nothing of it may be taken before.
    ///
    /// # Errors
    /// 401.
    pub fn check_body(&self, body: &[u8]) -> Result<(), Problem> {
        match &self.signed {
            Some(signed) if !signed.body.is_of(body) => Err(Problem::signature(SignatureFault::Digest)),
            Some(_) | None => Ok(()),
        }
    }

    /// Whether [`Caller::check_body`] has to see the body before any of it is taken.
    #[must_use]
    pub const fn is_signed(&self) -> bool {
        self.signed.is_some()
    }

    /// Takes one item of the carrier's limit, and claims the nonce of a signed request: one that has to wait claims none.
    /// Every handler begins with it.
    ///
    /// # Errors
    /// 429 with the time to wait; 401 when the same request came before; 503 when there is no room for its nonce.
    pub async fn take_one(&self, app: &App) -> Result<RateFields, Problem> {
        self.try_take_one(app).await.inspect_err(|problem| self.count_refused(problem))
    }

    async fn try_take_one(&self, app: &App) -> Result<RateFields, Problem> {
        let Kept { limit, nonces, .. } = &self.carrier.kept;
        let rate = limit.take_one().await?;
        if let Some(signed) = &self.signed {
            claim_nonce(app, self.carrier.id.as_bytes(), signed, nonces, limit.nonces_max()).await?;
        }
        Ok(rate)
    }
}

impl Deref for Caller {
    type Target = Carrier;

    fn deref(&self) -> &Carrier {
        &self.carrier
    }
}

/// Rate limit fields of an answer (draft-ietf-httpapi-ratelimit-headers).
#[derive(Clone, Debug)]
pub struct RateFields {
    /// `RateLimit-Policy`.
    pub policy: HeaderValue,
    /// `RateLimit`.
    pub limit: HeaderValue,
}

impl RateFields {
    /// Adds them to an answer.
    pub fn insert_into(&self, headers: &mut HeaderMap) {
        headers.insert(HeaderName::from_static("ratelimit-policy"), self.policy.clone());
        headers.insert(HeaderName::from_static("ratelimit"), self.limit.clone());
    }
}

impl Carrier {
    fn new(row: &CarrierRow, signing_keys: Vec<SigningKey>, kept: Kept) -> Option<Self> {
        Some(Self {
            id: Uuid::from_slice(&row.id).ok()?,
            name: row.name.clone(),
            attests: Attests::parse(&row.attests).ok()?,
            scopes: Scopes::parse(&row.scopes).ok()?,
            addresses: Addresses::parse(&row.addresses).ok()?,
            signatures: Signatures::parse(&row.signatures).ok()?,
            signing_keys,
            kept,
        })
    }

    /// Counts a report of it that was taken, or had been.
    pub fn count_taken(&self, accepted: &Accepted) {
        self.kept.usage.count_taken(accepted.received_at.is_some());
    }

    /// Counts what was refused to it.
    pub fn count_refused(&self, problem: &Problem) {
        self.count_refused_code(problem.code());
    }

    /// The same for what is refused without a problem document; `code` is of a fixed list.
    pub fn count_refused_code(&self, code: &'static str) {
        self.kept.usage.count_refused(code);
    }

    /// Its limit.
    #[must_use]
    pub const fn limit(&self) -> &Arc<CarrierLimit> {
        &self.kept.limit
    }

    /// Begins to wait for a body of its, unless so many are waited for already.
    #[must_use]
    pub fn wait_for_body(&self, max: u32) -> Option<BodyWait> {
        BodyWait::begin(&self.kept.bodies, max)
    }

    /// Whether it may do this, and from here.
    fn check(&self, scope: Option<Scope>, address: IpAddr) -> Result<(), Problem> {
        // First the address: who has stolen a key does not learn what it is good for.
        if !self.addresses.allow(address) {
            return Err(Problem::address_not_allowed());
        }
        match scope {
            Some(scope) if !self.scopes.has(scope) => Err(Problem::scope_missing(scope)),
            Some(_) | None => Ok(()),
        }
    }
}

/// The rate of this carrier, which may have none of its own.
fn rate_of(row: &CarrierRow, defaults: CarrierRate) -> CarrierRate {
    let number = |value: Option<i32>| value.and_then(|value| u32::try_from(value).ok()).and_then(NonZeroU32::new);
    CarrierRate {
        per_second: number(row.per_second).unwrap_or(defaults.per_second),
        burst: number(row.burst).unwrap_or(defaults.burst),
        per_day: match row.per_day {
            Some(_) => number(row.per_day),
            None => defaults.per_day,
        },
        ..defaults
    }
}

struct Known {
    row: CarrierRow,
    key_rows: Vec<SigningKeyRow>,
    carrier: Arc<Carrier>,
}

/// What the database says, as of the last look.
#[derive(Default)]
struct Directory {
    by_id: HashMap<Vec<u8>, Known>,
    by_key_hash: HashMap<[u8; 32], Arc<Carrier>>,
    /// Grows with each that is put in place.
    version: u64,
}

/// What one look at the database has found.
struct Look {
    /// The directory in place when it began.
    version: u64,
    /// When it began, microseconds since 1970.
    began: i64,
    keys: Vec<ApiKeyRow>,
    signing_keys: Vec<SigningKeyRow>,
    carriers: Vec<CarrierRow>,
}

/// All carriers that may call, by the SHA-256 of their keys; read from the database again and again, so that what an
/// operator changes holds beside a running gateway.
pub struct CarrierRegistry {
    directory: RwLock<Directory>,
    defaults: CarrierRate,
    leases: Option<Leases>,
    clock: Clock,
    ring: Arc<KeyRing>,
    /// What is counted for each, until it is written.
    pub usage: UsageBook,
    last_refresh: AtomicI64,
    /// Whoever looks for an unknown key; one at a time, however slow the database is.
    miss_turn: Arc<Semaphore>,
}

impl CarrierRegistry {
    /// An empty registry; see [`CarrierRegistry::refresh`]. `defaults` are for carriers without a rate of their own,
    /// `leases` for limits that are shared, `ring` opens the secrets with which carriers sign.
    #[must_use]
    pub fn new(defaults: CarrierRate, leases: Option<Leases>, clock: Clock, ring: Arc<KeyRing>) -> Self {
        let last_refresh = AtomicI64::new(i64::MIN);
        let (directory, usage, miss_turn) = (RwLock::default(), UsageBook::default(), Arc::new(Semaphore::new(1)));
        Self { directory, defaults, leases, clock, ring, usage, last_refresh, miss_turn }
    }

    /// Reads the carriers. Nothing of a limit that is used up is refilled by it.
    ///
    /// # Errors
    /// As the database says; the carriers known before stay.
    pub fn refresh(&self, pool: &ReadPool) -> Result<(), StoreError> {
        // No lock is held meanwhile: a database that hangs would hold it for ever.
        for _ in 0..LOOKS_MAX {
            if self.put_in_place(self.look(pool)?) {
                break;
            }
        }
        Ok(())
    }

    fn look(&self, pool: &ReadPool) -> Result<Look, StoreError> {
        let version = self.directory.read().unwrap_or_else(PoisonError::into_inner).version;
        let began = Clock::now(&self.clock).0;
        let mut connection = pool.get()?;
        // Keys first: the carrier of each is then there as well.
        let keys = list_good_api_keys(&mut connection)?;
        let signing_keys = list_good_signing_keys(&mut connection)?;
        let carriers = list_carriers(&mut connection)?;
        Ok(Look { version, began, keys, signing_keys, carriers })
    }

    /// False, and nothing changes, when another was put in place since the look began: that may be newer, and a key that
    /// was revoked in between would be good again.
    fn put_in_place(&self, look: Look) -> bool {
        let mut known = self.directory.write().unwrap_or_else(PoisonError::into_inner);
        if known.version != look.version {
            return false;
        }
        self.last_refresh.store(look.began, Ordering::Relaxed);
        let mut signing_keys: HashMap<Vec<u8>, Vec<SigningKeyRow>> = HashMap::new();
        for key in look.signing_keys {
            signing_keys.entry(key.carrier_id.clone()).or_default().push(key);
        }
        let mut next = Directory { version: look.version + 1, ..Directory::default() };
        for row in look.carriers.into_iter().filter(|row| row.revoked_at.is_none()) {
            let before = known.by_id.remove(&row.id);
            let key_rows = signing_keys.remove(&row.id).unwrap_or_default();
            if let Some(known) = self.renew(before, row, key_rows) {
                next.by_id.insert(known.row.id.clone(), known);
            }
        }
        for key in look.keys {
            let Ok(key_hash) = <[u8; 32]>::try_from(key.key_hash) else { continue };
            if let Some(known) = next.by_id.get(&key.carrier_id) {
                next.by_key_hash.insert(key_hash, Arc::clone(&known.carrier));
            }
        }
        *known = next;
        true
    }

    fn renew(&self, before: Option<Known>, row: CarrierRow, key_rows: Vec<SigningKeyRow>) -> Option<Known> {
        let rate = rate_of(&row, self.defaults);
        let kept = match before {
            Some(known) if known.row == row && known.key_rows == key_rows => return Some(known),
            Some(known) if known.carrier.kept.limit.rate() == rate => known.carrier.kept.clone(),
            Some(known) => {
                let kept = known.carrier.kept.clone();
                Kept { limit: Arc::new(kept.limit.on_terms(rate)), ..kept }
            }
            None => {
                let id = row.id.as_slice().try_into().ok()?;
                let limit = Arc::new(CarrierLimit::new(rate, self.clock.clone(), id, self.leases.as_ref()));
                let (nonces, bodies) = (Arc::default(), Arc::default());
                Kept { limit, nonces, usage: self.usage.of(&row.id), bodies }
            }
        };
        let signing_keys = key_rows.iter().filter_map(|key| self.open_signing_key(key)).collect();
        let Some(carrier) = Carrier::new(&row, signing_keys, kept) else {
            tracing::error!(carrier.name = row.name, "this carrier's row cannot be read; it is refused");
            return None;
        };
        Some(Known { row, key_rows, carrier: Arc::new(carrier) })
    }

    fn open_signing_key(&self, row: &SigningKeyRow) -> Option<SigningKey> {
        let verifier = match SigningAlgorithm::parse(&row.algorithm) {
            Some(SigningAlgorithm::HmacSha256) => {
                let of = SecretOf::SigningKey { carrier_id: &row.carrier_id, key_id: &row.key_id };
                self.ring.stored_secrets().open(of, &row.material).ok().map(Verifier::HmacSha256)
            }
            Some(SigningAlgorithm::Ed25519) => row.material.as_slice().try_into().ok().map(Verifier::Ed25519),
            None => None,
        };
        if verifier.is_none() {
            tracing::error!(key.id = row.key_id, "this signing key cannot be read; what it signs is refused");
        }
        verifier.map(|verifier| SigningKey { id: row.key_id.clone(), verifier })
    }

    fn find(&self, key_hash: &[u8; 32]) -> Option<Arc<Carrier>> {
        let directory = self.directory.read().unwrap_or_else(PoisonError::into_inner);
        directory.by_key_hash.get(key_hash).map(Arc::clone)
    }

    /// The carrier whose key the request bears.
    async fn find_by_key(self: &Arc<Self>, key: &[u8], pool: &ReadPool) -> Result<Arc<Carrier>, Problem> {
        // Found by hash, so the time a look-up takes tells nothing about keys.
        let key_hash: [u8; 32] = Sha256::digest(key).into();
        if let Some(carrier) = self.find(&key_hash) {
            return Ok(carrier);
        }
        // A key that was added a moment ago; not more often than ten times a second, whoever guesses, and never while one
        // looks: who guesses would else take every connection of a slow database.
        let now = Clock::now(&self.clock).0;
        if now.saturating_sub(self.last_refresh.load(Ordering::Relaxed)) >= MISS_REFRESH_MICROS
            && let Ok(turn) = Arc::clone(&self.miss_turn).try_acquire_owned()
        {
            let (registry, pool) = (Arc::clone(self), pool.clone());
            self.last_refresh.store(now, Ordering::Relaxed);
            let refreshing = actix_web::web::block(move || {
                // It goes on when its client leaves.
                let _turn = turn;
                registry.refresh(&pool)
            });
            match refreshing.await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => return Err(Problem::store_failed(&error)),
                Err(_) => return Err(Problem::store_unavailable()),
            }
        }
        self.find(&key_hash).ok_or_else(Problem::wrong_api_key)
    }
}

/// Who sent the request, when it is a carrier that may send it: by its key, from its address, with the scope that the
/// route needs (with none, any will do), and with its signature where it has to sign or does. What the body of a signed
/// request must be is checked by [`Caller::check_body`].
///
/// # Errors
/// 401 when there is no good key, the same for every reason that would tell something about keys, or the signature is not
/// right; 403 when the carrier may not do this, or not from here.
pub async fn authenticate(request: &HttpRequest, app: &App, scope: Option<Scope>) -> Result<Caller, Problem> {
    let key = bearer(request).ok_or_else(Problem::no_api_key)?;
    admit(request, app, key, scope).await
}

/// The same for an SMS gateway, which can send no header of its own choice: what it makes of `http://user:KEY@host/`
/// (Basic) will do, and so will `key_parameter`, which other programs may log.
///
/// # Errors
/// The same as for [`authenticate`].
pub async fn authenticate_gateway(
    request: &HttpRequest,
    app: &App,
    key_parameter: Option<&[u8]>,
) -> Result<Caller, Problem> {
    let of_basic = basic_key(request);
    let key = bearer(request).or(of_basic.as_deref()).or(key_parameter).ok_or_else(Problem::no_api_key)?;
    admit(request, app, key, Some(Scope::Mo)).await
}

async fn admit(request: &HttpRequest, app: &App, key: &[u8], scope: Option<Scope>) -> Result<Caller, Problem> {
    let carrier = app.carriers.find_by_key(key, &app.reads.pool).await?;
    match check(request, app, scope, &carrier) {
        Ok(signed) => Ok(Caller { carrier, signed }),
        Err(problem) => {
            carrier.count_refused(&problem);
            Err(problem)
        }
    }
}

fn check(request: &HttpRequest, app: &App, scope: Option<Scope>, carrier: &Carrier) -> Result<Option<Signed>, Problem> {
    carrier.check(scope, client_ip(request, &app.trusted_proxies))?;
    let is_required = carrier.signatures == Signatures::Required;
    if carrier.signing_keys.is_empty() && !is_required {
        return Ok(None);
    }
    check_signature(request, app, &carrier.signing_keys, is_required)
}

/// The key in `Authorization: Basic`: the password, whoever the user is; or both together when the user is `sgk_`.
///
/// Kannel breaks a header line after 76 characters of base64, which makes it unreadable. A name before a whole key is one
/// byte too much, a key with a colon behind its prefix is not.
fn basic_key(request: &HttpRequest) -> Option<Vec<u8>> {
    let value = request.headers().get(header::AUTHORIZATION)?.as_bytes();
    let (scheme, encoded) = value.split_at_checked(6)?;
    if !scheme.eq_ignore_ascii_case(b"Basic ") || encoded.len() > 4 * API_KEY_MAX_BYTES {
        return None;
    }
    let decoded = BASE64.decode(encoded.trim_ascii()).ok()?;
    let colon = decoded.iter().position(|byte| *byte == b':')?;
    let (user, password) = (decoded.get(..colon)?, decoded.get(colon + 1..)?);
    let key = if user == API_KEY_PREFIX.as_bytes() { [user, password].concat() } else { password.to_vec() };
    (1..=API_KEY_MAX_BYTES).contains(&key.len()).then_some(key)
}

fn bearer(request: &HttpRequest) -> Option<&[u8]> {
    let value = request.headers().get(header::AUTHORIZATION)?.as_bytes();
    let (scheme, key) = value.split_at_checked(7)?;
    (scheme.eq_ignore_ascii_case(b"Bearer ") && (1..=API_KEY_MAX_BYTES).contains(&key.len())).then_some(key)
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;
    use crate::crypto::mac::Secret;
    use crate::domain::clock::Moment;

    fn registry() -> CarrierRegistry {
        let (per_second, burst) = (NonZeroU32::MIN, NonZeroU32::MIN);
        let rate = CarrierRate { per_second, burst, per_day: None, utc_offset_minutes: 0 };
        let ring = KeyRing::new(&Secret::new([1; 32]), 1, &Secret::new([2; 32]));
        CarrierRegistry::new(rate, None, Clock::mock(Moment(0)), Arc::new(ring))
    }

    /// What a look that begins now finds when this key is good.
    fn look(registry: &CarrierRegistry, key_hash: [u8; 32]) -> Look {
        let carrier = CarrierRow {
            id: vec![1; 16],
            name: "a".to_owned(),
            attests: "any".to_owned(),
            per_second: None,
            burst: None,
            per_day: None,
            created_at: 0,
            revoked_at: None,
            scopes: "report".to_owned(),
            addresses: "any".to_owned(),
            signatures: "optional".to_owned(),
        };
        let key =
            ApiKeyRow { key_hash: key_hash.to_vec(), carrier_id: carrier.id.clone(), created_at: 0, revoked_at: None };
        let version = registry.directory.read().unwrap_or_else(PoisonError::into_inner).version;
        Look { version, began: 0, keys: vec![key], signing_keys: Vec::new(), carriers: vec![carrier] }
    }

    #[test]
    fn a_slow_look_at_the_carriers_brings_no_revoked_key_back() {
        let registry = registry();
        let (revoked, good) = ([1; 32], [2; 32]);
        let slow = look(&registry, revoked);
        let quick = look(&registry, good);
        assert!(registry.put_in_place(quick));
        assert!(!registry.put_in_place(slow), "it may be older");
        assert!(registry.find(&revoked).is_none() && registry.find(&good).is_some());
        assert!(registry.put_in_place(look(&registry, revoked)), "a look that begins later counts");
        assert!(registry.find(&revoked).is_some() && registry.find(&good).is_none());
    }

    #[test]
    fn a_carrier_waits_for_its_part_of_bodies_and_each_that_comes_makes_room() {
        let registry = registry();
        assert!(registry.put_in_place(look(&registry, [1; 32])));
        let carrier = registry.find(&[1; 32]).unwrap();
        let waits = (carrier.wait_for_body(2), carrier.wait_for_body(2));
        assert!(waits.0.is_some() && waits.1.is_some());
        assert!(carrier.wait_for_body(2).is_none() && carrier.wait_for_body(2).is_none());
        // Other terms do not empty it.
        assert!(registry.put_in_place(look(&registry, [2; 32])));
        assert!(registry.find(&[2; 32]).unwrap().wait_for_body(2).is_none());
        drop(waits.0);
        assert!(carrier.wait_for_body(2).is_some());
    }
}
