//! Who calls, from where, what they may do and how much: API keys, scopes, addresses and the carrier's rate limit.

use std::collections::HashMap;
use std::net::IpAddr;
use std::num::NonZeroU32;
use std::ops::Deref;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use actix_web::HttpRequest;
use actix_web::http::header::{self, HeaderValue};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use sha2::{Digest, Sha256};
use uuid::Uuid;

use super::limits::{CarrierLimit, Leases};
use super::signatures::nonces::NonceMemory;
use super::signatures::verify::Signed;
use super::signatures::verify::{SignatureFault, SigningKey};
use super::signatures::{check_signature, claim_nonce};
use super::usage::{Usage, UsageBook};
use crate::crypto::key_ring::KeyRing;
use crate::crypto::signing::{SigningAlgorithm, Verifier};
use crate::crypto::stored_secret::SecretOf;
use crate::domain::carrier::{Addresses, Attests, Scope, Scopes, Signatures};
use crate::domain::clock::Clock;
use crate::fast::CarrierRate;
use crate::http::app::App;
use crate::http::client_ip::client_ip;
use crate::http::problem::Problem;
use crate::intake::accept::Accepted;
use crate::store::StoreError;
use crate::store::carriers::{CarrierRow, list_carriers, list_good_api_keys};
use crate::store::connection::ReadPool;
use crate::store::signing_keys::{SigningKeyRow, list_good_signing_keys};

/// First letters of an API key, so that leaked ones can be searched for.
pub const API_KEY_PREFIX: &str = "sgk_";
/// The longest key looked at, bytes.
const API_KEY_MAX_BYTES: usize = 128;
/// How soon after the last look an unknown key makes the table be read again, microseconds.
const MISS_REFRESH_MICROS: i64 = 100_000;

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
}

impl CarrierRegistry {
    /// An empty registry; see [`CarrierRegistry::refresh`]. `defaults` are for carriers without a rate of their own,
    /// `leases` for limits that are shared, `ring` opens the secrets with which carriers sign.
    #[must_use]
    pub fn new(defaults: CarrierRate, leases: Option<Leases>, clock: Clock, ring: Arc<KeyRing>) -> Self {
        let last_refresh = AtomicI64::new(i64::MIN);
        Self { directory: RwLock::default(), defaults, leases, clock, ring, usage: UsageBook::default(), last_refresh }
    }

    /// Reads the carriers. Nothing of a limit that is used up is refilled by it.
    ///
    /// # Errors
    /// As the database says; the carriers known before stay.
    pub fn refresh(&self, pool: &ReadPool) -> Result<(), StoreError> {
        let mut connection = pool.get()?;
        // Keys first: the carrier of each is then there as well.
        let keys = list_good_api_keys(&mut connection)?;
        let mut signing_keys: HashMap<Vec<u8>, Vec<SigningKeyRow>> = HashMap::new();
        for key in list_good_signing_keys(&mut connection)? {
            signing_keys.entry(key.carrier_id.clone()).or_default().push(key);
        }
        let rows = list_carriers(&mut connection)?;
        drop(connection);
        self.last_refresh.store(Clock::now(&self.clock).0, Ordering::Relaxed);
        let mut known = self.directory.write().unwrap_or_else(PoisonError::into_inner);
        let mut next = Directory::default();
        for row in rows.into_iter().filter(|row| row.revoked_at.is_none()) {
            let before = known.by_id.remove(&row.id);
            let key_rows = signing_keys.remove(&row.id).unwrap_or_default();
            if let Some(known) = self.renew(before, row, key_rows) {
                next.by_id.insert(known.row.id.clone(), known);
            }
        }
        for key in keys {
            let Ok(key_hash) = <[u8; 32]>::try_from(key.key_hash) else { continue };
            if let Some(known) = next.by_id.get(&key.carrier_id) {
                next.by_key_hash.insert(key_hash, Arc::clone(&known.carrier));
            }
        }
        *known = next;
        Ok(())
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
                Kept { limit, nonces: Arc::default(), usage: self.usage.of(&row.id) }
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
