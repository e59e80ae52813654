//! Putting the gateway together, starting it and stopping it.

use std::fs::{DirBuilder, File, TryLockError};
use std::net::SocketAddr;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use actix_web::dev::ServerHandle;
use actix_web::web;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use crate::carrier_api::authenticate::{CarrierDefaults, CarrierRegistry};
use crate::casework::builder::is_journal_replaced;
use crate::casework::builder_thread::{BuilderBell, BuilderSettings, BuilderThread};
use crate::config::fast_url::FastUrl;
use crate::config::{Config, ConfigError};
use crate::crypto::envelope::{EnvelopeError, Sealer};
use crate::crypto::key_files::{self, KeyError, NodeKeys};
use crate::domain::clock::Clock;
use crate::enrol::{self, NewCarrier};
use crate::fast::FastState;
use crate::fast::memory::{MemoryLimits, MemoryState};
use crate::fast::redis::{RedisSettings, RedisState};
use crate::http::app::{App, Reads};
use crate::http::body::BodyLimits;
use crate::http::server;
use crate::intake::accept::{Intake, probe_of_row};
use crate::intake::journal_queue::{JournalQueue, QueueLimits};
use crate::intake::journal_writer::JournalWriter;
use crate::store::connection::{Connection, StoreLocation};
use crate::store::{StoreError, journal, keys};
use crate::telemetry::metrics::Metrics;

/// Held while a gateway serves a data directory.
const LOCK_FILE: &str = "serve.lock";
/// How often the carriers are read again: a revoked key works for no longer than this.
const CARRIERS_REFRESH: Duration = Duration::from_millis(500);
/// Journal rows read at once while *seen* is filled.
const REMEMBER_CHUNK_ROWS: i64 = 5_000;
/// What this node remembers itself beside Redis: enough for retries that come before their mark is written.
const LOCAL_SEEN_MAX: usize = 100_000;

/// Why the gateway does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// A setting.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The keys.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// Sealing.
    #[error(transparent)]
    Envelope(#[from] EnvelopeError),
    /// Another gateway serves this directory.
    #[error("another gateway serves {0}: two would each remember half of what is stored")]
    AlreadyServing(PathBuf),
    /// A listener or file.
    #[error("{what}: {source}")]
    Io {
        /// Which.
        what: String,
        /// The system's reason.
        source: std::io::Error,
    },
    /// Carriers.
    #[error(transparent)]
    Enrol(#[from] enrol::EnrolError),
}

impl From<diesel::result::Error> for StartError {
    fn from(error: diesel::result::Error) -> Self {
        Self::Store(error.into())
    }
}

/// The store and the keys of a data directory, opened for a command or for serving.
pub struct Opened {
    /// Where the store is.
    pub location: StoreLocation,
    /// A connection to it.
    pub connection: Connection,
    /// The keys, checked against the store.
    pub keys: NodeKeys,
}

/// Where the key files are.
#[must_use]
pub fn key_directory(config: &Config, data: &Path) -> PathBuf {
    if config.keys.directory.is_empty() { data.join("keys") } else { PathBuf::from(&config.keys.directory) }
}

/// Opens the store, making or migrating it.
///
/// # Errors
/// [`StartError`].
pub fn open_store(config: &Config, data: &Path) -> Result<(StoreLocation, Connection), StartError> {
    let location = StoreLocation::new(&config.store.url, data)?;
    location.prepare()?;
    let connection = location.open()?;
    Ok((location, connection))
}

/// Opens the store and the keys, making both on the first start.
///
/// # Errors
/// [`StartError`]; a store that names keys is never given others.
pub fn open(config: &Config, data: &Path) -> Result<Opened, StartError> {
    let (location, mut connection) = open_store(config, data)?;
    let known = keys::list_key_checks(&mut connection)?;
    let may_make = known.is_empty() && journal::find_last_seq(&mut connection)? == 0;
    let node_keys = key_files::load_or_make(&key_directory(config, data), &known, may_make)?;
    keys::insert_key_checks(&mut connection, &node_keys.checks)?;
    Ok(Opened { location, connection, keys: node_keys })
}

/// A gateway that runs.
pub struct Gateway {
    /// Where carriers call.
    pub address: SocketAddr,
    /// Where operators look.
    pub ops_address: SocketAddr,
    /// The carrier that the first start made, with its key.
    pub first_carrier: Option<NewCarrier>,
    /// What handlers see.
    pub app: web::Data<App>,
    handles: [ServerHandle; 2],
    servers: Vec<JoinHandle<std::io::Result<()>>>,
    refresher: JoinHandle<()>,
    writer: JournalWriter,
    builder: BuilderThread,
    fatal: mpsc::UnboundedReceiver<&'static str>,
    _lock: File,
}

/// Starts the gateway. Must be called within a Tokio runtime.
///
/// # Errors
/// [`StartError`]; nothing runs then.
pub async fn start(config: &Config, data: &Path, clock: Clock) -> Result<Gateway, StartError> {
    StoreLocation::new(&config.store.url, data)?;
    // Before anything is made: of two first starts at once, one must not write over the other's keys.
    let lock = lock_directory(data)?;
    let opened = open(config, data)?;
    let Opened { location, mut connection, keys } = opened;
    let started_at = clock.now();
    let metrics = Arc::new(Metrics::default());
    if is_journal_replaced(&mut connection)? {
        renew_store_epoch(&location)?;
    }
    let store_epoch = journal::find_store_epoch(&mut connection)?;
    let fast = Arc::new(open_fast_state(config, &clock, &metrics).await?);
    let ring = Arc::new(keys.ring);
    remember_stored(&mut connection, config, &ring, &store_epoch, &fast)?;

    let pool = location.open_pool(config.store.read_connections)?;
    let defaults = CarrierDefaults { per_second: config.limits.carrier_per_second, burst: config.limits.carrier_burst };
    let carriers = Arc::new(CarrierRegistry::new(defaults, clock.clone()));

    let limits = QueueLimits { items_max: config.limits.queue_items, bytes_max: config.limits.queue_bytes };
    let queue = Arc::new(JournalQueue::new(limits));
    let bell = Arc::new(BuilderBell::default());
    let (fatal_sender, fatal) = mpsc::unbounded_channel();
    let writer = JournalWriter::start(
        &location,
        Arc::clone(&queue),
        Arc::clone(&fast),
        Arc::clone(&bell),
        Arc::clone(&metrics),
        Box::new(move |reason| {
            // Nobody listens only when the process ends already.
            let _ = fatal_sender.send(reason);
        }),
    )?;
    let builder_settings =
        BuilderSettings { slice_rows: i64::from(config.builder.slice_rows), country: config.region.country.clone() };
    let builder = BuilderThread::start(&location, builder_settings, Arc::clone(&bell), Arc::clone(&metrics))?;

    let intake = Intake {
        keys: ring,
        sealer: Sealer::new(keys.authority_public, started_at.0)?,
        fast,
        queue,
        clock,
        store_epoch,
        append_timeout: Duration::from_millis(config.server.append_timeout_ms),
        metrics: Arc::clone(&metrics),
    };
    let body_limits = BodyLimits {
        max_bytes: config.server.body_max_bytes,
        timeout: Duration::from_millis(config.server.body_timeout_ms),
    };
    let app = web::Data::new(App {
        intake,
        carriers: Arc::clone(&carriers),
        reads: Reads::new(pool.clone()),
        region: config.region()?,
        body_limits,
        builder: bell,
        metrics,
    });
    let io = |what: String| move |source| StartError::Io { what, source };
    let public = server::start_public(&config.server, app.clone())
        .map_err(io(format!("server.listen {}", config.server.listen)))?;
    let operators = server::start_operators(&config.server, app.clone())
        .map_err(io(format!("server.ops_listen {}", config.server.ops_listen)))?;
    carriers.refresh(&pool)?;
    // Last of all that can fail: its key is shown this once, and a start that fails shows nothing.
    let first_carrier = enrol::add_first_carrier(&mut connection, started_at)?;
    if let Err(error) = carriers.refresh(&pool) {
        tracing::warn!(%error, "the first carrier's key works from the next look at the carriers on");
    }
    Ok(Gateway {
        address: public.address,
        ops_address: operators.address,
        first_carrier,
        app,
        handles: [public.handle, operators.handle],
        servers: vec![tokio::spawn(public.server), tokio::spawn(operators.server)],
        refresher: tokio::spawn(refresh_carriers(carriers, pool)),
        writer,
        builder,
        fatal,
        _lock: lock,
    })
}

impl Gateway {
    /// Waits until a listener ends or the journal fails; the reason, when it is a failure.
    pub async fn wait_for_failure(&mut self) -> &'static str {
        self.fatal.recv().await.unwrap_or("the journal writer has stopped")
    }

    /// Answers what is in hand, commits what is queued, builds the slice in hand, and ends.
    pub async fn stop(mut self) {
        for handle in &self.handles {
            handle.stop(true).await;
        }
        for server in self.servers {
            let _ = server.await;
        }
        self.refresher.abort();
        // Both join threads; a blocking thread keeps the runtime free for what they wait for.
        let _ = tokio::task::spawn_blocking(move || {
            self.writer.stop();
            self.builder.stop();
        })
        .await;
    }
}

/// A journal that was restored holds less than the markers in Redis say: with another epoch they are believed no more.
fn renew_store_epoch(location: &StoreLocation) -> Result<(), StartError> {
    let mut epoch = [0; 16];
    getrandom::fill(&mut epoch).map_err(|_| KeyError::Random)?;
    journal::renew_store_epoch(&mut location.open_both_for_migration()?, &epoch)?;
    tracing::warn!(
        "the journal is another than before (restored from a backup?): what Redis remembers is not believed"
    );
    Ok(())
}

fn lock_directory(data: &Path) -> Result<File, StartError> {
    let path = data.join(LOCK_FILE);
    let io = |source| StartError::Io { what: path.display().to_string(), source };
    DirBuilder::new().recursive(true).mode(0o700).create(data).map_err(io)?;
    let file = File::create(&path).map_err(io)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(StartError::AlreadyServing(data.to_owned())),
        Err(TryLockError::Error(source)) => Err(io(source)),
    }
}

async fn open_fast_state(config: &Config, clock: &Clock, metrics: &Arc<Metrics>) -> Result<FastState, StartError> {
    let limits = |seen_max| MemoryLimits {
        seen_max,
        reporters_max: config.limits.reporters_max,
        reporter_per_day: config.limits.reporter_per_day,
    };
    match config.fast.parsed_url()? {
        FastUrl::Memory => Ok(FastState::Memory(MemoryState::new(limits(config.fast.seen_max), clock.clone()))),
        FastUrl::Redis(target) => {
            let settings = RedisSettings {
                target,
                key_prefix: config.fast.key_prefix.clone(),
                timeout: Duration::from_millis(config.fast.timeout_ms),
                reporter_per_day: config.limits.reporter_per_day.get(),
            };
            let local = MemoryState::new(limits(LOCAL_SEEN_MAX), clock.clone());
            Ok(FastState::Redis(RedisState::open(settings, local, Arc::clone(metrics)).await))
        }
    }
}

/// Fills *seen* from the newest rows of the journal. Quotas start full.
fn remember_stored(
    connection: &mut Connection,
    config: &Config,
    ring: &crate::crypto::key_ring::KeyRing,
    store_epoch: &[u8],
    fast: &FastState,
) -> Result<(), StartError> {
    let FastState::Memory(memory) = fast else { return Ok(()) };
    // Half of the table, so that filling it does not already forget.
    let limit = i64::try_from(config.fast.seen_max / 2).unwrap_or(i64::MAX);
    // Oldest first, as they came: the repeat window starts at the first.
    let mut seq = journal::find_last_seq(connection)?.saturating_sub(limit).max(0);
    loop {
        let rows = journal::list_after(connection, seq, REMEMBER_CHUNK_ROWS)?;
        let Some(last) = rows.last() else { return Ok(()) };
        seq = last.seq;
        rows.iter().filter_map(|row| probe_of_row(ring, store_epoch, row)).for_each(|probe| memory.mark_stored(&probe));
    }
}

async fn refresh_carriers(carriers: Arc<CarrierRegistry>, pool: crate::store::connection::ReadPool) {
    let mut failing = false;
    loop {
        tokio::time::sleep(CARRIERS_REFRESH).await;
        let (registry, pool) = (Arc::clone(&carriers), pool.clone());
        match tokio::task::spawn_blocking(move || registry.refresh(&pool)).await {
            Ok(Ok(())) => failing = false,
            Ok(Err(error)) if !failing => {
                failing = true;
                tracing::error!(%error, "carriers cannot be read; those known before may still call");
            }
            Ok(Err(_)) | Err(_) => {}
        }
    }
}
