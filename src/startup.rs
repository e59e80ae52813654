//! Putting the gateway together, starting it and stopping it.

use std::fs::{DirBuilder, File, TryLockError};
use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, RwLock};
use std::time::{Duration, Instant};

use actix_web::dev::ServerHandle;
use actix_web::web;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use crate::carrier_api::authenticate::CarrierRegistry;
use crate::carrier_api::batch_gate::{BatchGate, BatchLimits};
use crate::carrier_api::limits::Leases;
use crate::casework::builder::is_journal_replaced;
use crate::casework::builder_thread::{BuilderBell, BuilderParts, BuilderSettings, BuilderThread};
use crate::citizen::Site;
use crate::config::fast_url::FastUrl;
use crate::config::{Config, ConfigError, Role};
use crate::crypto::envelope::{EnvelopeError, Sealer};
use crate::crypto::key_files::{self, KeyCheck, KeyError, NodeKeys};
use crate::domain::clock::Clock;
use crate::enrol::{self, NewCarrier};
use crate::fast::memory::{MemoryLimits, MemoryState};
use crate::fast::redis::{RedisSettings, RedisState};
use crate::fast::{CarrierRate, FastState};
use crate::http::app::{App, Reads};
use crate::http::body::BodyLimits;
use crate::http::server;
use crate::intake::accept::{Intake, probe_of_row};
use crate::intake::journal_queue::{JournalQueue, QueueLimits};
use crate::intake::journal_writer::{JournalWriter, WriterParts};
use crate::outbound::address::Resolver;
use crate::outbound::deliver::Courier;
use crate::outbound::desk::{self, DeskParts};
use crate::outbound::dispatch::{self, DispatchParts};
use crate::outbound::standing::Standing;
use crate::outbound::stopping::Running;
use crate::store::connection::{Connection, ReadPool, StoreLocation};
use crate::store::usage::add_usage;
use crate::store::{StoreError, journal, keys};
use crate::telemetry::metrics::Metrics;
use crate::verify::sender::SenderError;
use crate::verify::verifier::{Verifier, VerifierParts};

/// Held while a gateway serves a data directory.
const LOCK_FILE: &str = "serve.lock";
/// How often the carriers are read again: a revoked key works for no longer than this.
const CARRIERS_REFRESH: Duration = Duration::from_millis(500);
/// How often carriers' figures are written.
const USAGE_EVERY: Duration = Duration::from_secs(1);
/// How long a stop waits for them.
const USAGE_WRITTEN_MAX: Duration = Duration::from_secs(1);
/// How long one look at the carriers may take before the next thing is looked after.
const CARRIERS_REFRESH_MAX: Duration = Duration::from_secs(1);
/// The same for a look at a database that was lost from sight.
const DOUBT_LOOK_MAX: Duration = Duration::from_secs(3);
/// How long a stop waits until Redis knows what is stored.
const MARKS_WRITTEN_MAX: Duration = Duration::from_secs(1);
/// Journal rows read at once while *seen* is filled.
const REMEMBER_CHUNK_ROWS: i64 = 5_000;
/// What this node remembers itself beside Redis: enough for retries that come before their mark is written.
const LOCAL_SEEN_MAX: usize = 100_000;

/// Connections that write down carriers' answers.
const ANSWER_CONNECTIONS: u32 = 2;
/// One carrier's bodies that do not come take at most one in so many of a worker's places for requests. The others' are
/// then safe even when all its connections are with one worker.
const CARRIER_PART: u32 = 4;
/// How often the gateway looks whether the database it lost from sight is back.
const TEND_EVERY: Duration = Duration::from_millis(100);
/// How long between two tries to reach the database at start.
const STORE_WAIT: Duration = Duration::from_secs(1);
/// How often the log says that it is still waited for.
const STORE_WAIT_SAID_EVERY: u32 = 30;

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
    /// A node that only takes reports came before there was anything.
    #[error("this store names no keys yet: start a node with the role `review` or `all` first")]
    NoKeysYet,
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
    /// TLS.
    #[error(transparent)]
    Tls(#[from] rustls::Error),
    /// Sending codes.
    #[error(transparent)]
    Sender(#[from] SenderError),
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
    let directory = key_directory(config, data);
    if config.server.role == Role::Intake {
        if known.is_empty() {
            return Err(StartError::NoKeysYet);
        }
        let node_keys = key_files::load_for_intake(&directory, &known)?;
        return Ok(Opened { location, connection, keys: node_keys });
    }
    let may_make = known.is_empty() && journal::find_last_seq(&mut connection)? == 0;
    let node_keys = key_files::load_or_make(&directory, &known, may_make)?;
    keys::insert_key_checks(&mut connection, &node_keys.checks)?;
    // Of two first starts at once, one was first: the other's keys are not those.
    let known = keys::list_key_checks(&mut connection)?;
    if known != sorted(&node_keys.checks) {
        let name = "stable, tags or authority".to_owned();
        return Err(KeyError::Mismatch { name, directory }.into());
    }
    Ok(Opened { location, connection, keys: node_keys })
}

fn sorted(checks: &[KeyCheck]) -> Vec<KeyCheck> {
    let mut checks = checks.to_vec();
    checks.sort_by(|one, other| one.name.cmp(&other.name));
    checks
}

/// A gateway that runs.
pub struct Gateway {
    /// Where carriers call; none with the role `review`.
    pub address: Option<SocketAddr>,
    /// Where operators look.
    pub ops_address: SocketAddr,
    /// The carrier that the first start made, with its key.
    pub first_carrier: Option<NewCarrier>,
    /// What handlers see.
    pub app: web::Data<App>,
    handles: Vec<ServerHandle>,
    servers: Vec<JoinHandle<std::io::Result<()>>>,
    tending: JoinHandle<()>,
    counting: JoinHandle<()>,
    workers: Workers,
    fatal: mpsc::UnboundedReceiver<&'static str>,
    _lock: File,
}

/// The threads behind the handlers, as the role has them.
#[derive(Clone, Default)]
struct Workers {
    writer: Option<Arc<JournalWriter>>,
    builder: Option<Arc<BuilderThread>>,
    desk: Option<Arc<Running>>,
    dispatcher: Option<Arc<Running>>,
}

/// Starts the gateway. Must be called within a Tokio runtime. Waits for a database that cannot be reached yet.
///
/// # Errors
/// [`StartError`]; nothing runs then.
pub async fn start(config: &Config, data: &Path, clock: Clock) -> Result<Gateway, StartError> {
    let role = config.server.role;
    // Before anything is made; flags may have changed the listener since the file was read.
    config.verify.check(&config.server)?;
    StoreLocation::new(&config.store.url, data)?;
    let builder_location = StoreLocation::new(config.store.for_builder(), data)?;
    // Before anything is made: of two first starts at once, one must not write over the other's keys.
    let lock = lock_directory(data)?;
    let Opened { location, mut connection, keys } = wait_for_store(config, data).await?;
    let started_at = clock.now();
    let metrics = Arc::new(Metrics::default());
    if role.builds_cases() && is_journal_replaced(&mut connection)? {
        renew_store_epoch(&location)?;
    }
    let (store_epoch, _) = location.read_epoch()?;
    let fast = Arc::new(open_fast_state(config, &clock, &metrics).await?);
    let ring = Arc::new(keys.ring);
    // An intake node's user may not read what the memory is made of; its twins are dropped by the builder.
    if role == Role::All {
        remember_stored(&mut connection, config, &ring, &store_epoch, &fast)?;
    }

    let pool = location.open_pool(config.store.read_connections)?;
    let defaults = CarrierRate {
        per_second: config.limits.carrier_per_second,
        burst: config.limits.carrier_burst,
        per_day: NonZeroU32::new(config.limits.carrier_per_day),
        utc_offset_minutes: config.region.utc_offset_minutes,
    };
    let leases = Leases::start(Arc::clone(&fast), Duration::from_millis(config.fast.timeout_ms));
    let carriers = Arc::new(CarrierRegistry::new(defaults, leases, clock.clone(), Arc::clone(&ring)));

    let limits = QueueLimits { items_max: config.limits.queue_items, bytes_max: config.limits.queue_bytes };
    let queue = Arc::new(JournalQueue::new(limits, !location.is_shared()));
    let bell = Arc::new(BuilderBell::default());
    let (fatal_sender, fatal) = mpsc::unbounded_channel();
    let mut workers = Workers::default();
    if role.takes_reports() {
        workers.writer = Some(Arc::new(JournalWriter::start(WriterParts {
            location: location.clone(),
            queue: Arc::clone(&queue),
            fast: Arc::clone(&fast),
            bell: Arc::clone(&bell),
            metrics: Arc::clone(&metrics),
            on_fatal: Box::new(move |reason| {
                // Nobody listens only when the process ends already.
                let _ = fatal_sender.send(reason);
            }),
        })?));
    }
    if role.builds_cases() {
        let slice_rows = i64::from(config.builder.slice_rows);
        workers.builder = Some(Arc::new(BuilderThread::start(BuilderParts {
            location: builder_location.clone(),
            settings: BuilderSettings { slice_rows, country: config.region.country.clone() },
            bell: Arc::clone(&bell),
            metrics: Arc::clone(&metrics),
        })?));
        builder_location.watch()?;
    }
    let outbound = Arc::new(Standing { tells: keys.authority_private.is_some(), ..Standing::default() });
    if let Some(authority) = keys.authority_private {
        workers.desk = Some(Arc::new(desk::start(DeskParts {
            location: location.clone(),
            authority,
            ring: Arc::clone(&ring),
            standing: Arc::clone(&outbound),
        })?));
        let timeout = Duration::from_millis(config.webhooks.timeout_ms);
        workers.dispatcher = Some(Arc::new(dispatch::start(DispatchParts {
            location: location.clone(),
            ring: Arc::clone(&ring),
            clock: clock.clone(),
            courier: Courier::new(Resolver::System, config.webhooks.allow_internal, timeout)?,
            standing: Arc::clone(&outbound),
            metrics: Arc::clone(&metrics),
        })?));
    }
    location.watch()?;

    let authority = keys.authority_public.to_recipient()?;
    let answers = Reads::new(location.open_pool(ANSWER_CONNECTIONS)?);
    let verifier = Verifier::open(
        config,
        VerifierParts {
            fast: Arc::clone(&fast),
            ring: Arc::clone(&ring),
            clock: clock.clone(),
            metrics: Arc::clone(&metrics),
        },
    )?;
    let intake = Intake {
        keys: ring,
        sealer: Sealer::new(keys.authority_public, started_at.0)?,
        fast,
        queue,
        clock,
        store_epoch: RwLock::new(store_epoch),
        location,
        append_timeout: Duration::from_millis(config.server.append_timeout_ms),
        metrics: Arc::clone(&metrics),
    };
    let body_limits = BodyLimits {
        max_bytes: config.server.body_max_bytes,
        timeout: Duration::from_millis(config.server.body_timeout_ms),
        waits_max: (config.server.requests_max_per_worker / CARRIER_PART).max(1),
    };
    let app = web::Data::new(App {
        role,
        intake,
        carriers: Arc::clone(&carriers),
        reads: Reads::new(pool.clone()),
        answers,
        authority,
        fake_news_word: config.mo.word()?,
        region: config.region()?,
        trusted_proxies: config.server.trusted_proxies.clone(),
        public_url: config.server.parsed_public_url()?,
        body_limits,
        batches: BatchGate::new(BatchLimits {
            lines_max: config.limits.batch_lines,
            bytes_max: config.limits.batch_bytes,
            batches_max: config.limits.batches_max,
            per_carrier: config.limits.batches_per_carrier,
        }),
        builder: bell,
        outbound,
        citizen: Site::new(config.citizen.clone()),
        verifier,
        metrics,
    });
    let io = |what: String| move |source| StartError::Io { what, source };
    let mut listening = Vec::new();
    if role.takes_reports() {
        let public = server::start_public(&config.server, app.clone());
        listening.push(public.map_err(io(format!("server.listen {}", config.server.listen)))?);
    }
    let address = listening.first().map(|public| public.address);
    let operators = server::start_operators(&config.server, app.clone())
        .map_err(io(format!("server.ops_listen {}", config.server.ops_listen)))?;
    let ops_address = operators.address;
    listening.push(operators);
    carriers.refresh(&pool)?;
    // Last of all that can fail: its key is shown this once, and a start that fails shows nothing.
    let first_carrier = if role == Role::All { enrol::add_first_carrier(&mut connection, started_at)? } else { None };
    if let Err(error) = carriers.refresh(&pool) {
        tracing::warn!(%error, "the first carrier's key works from the next look at the carriers on");
    }
    Ok(Gateway {
        address,
        ops_address,
        first_carrier,
        app: app.clone(),
        handles: listening.iter().map(|listening| listening.handle.clone()).collect(),
        servers: listening.into_iter().map(|listening| tokio::spawn(listening.server)).collect(),
        counting: tokio::spawn(keep_usage(app.clone())),
        tending: tokio::spawn(tend(app, pool, workers.clone())),
        workers,
        fatal,
        _lock: lock,
    })
}

impl Gateway {
    /// Waits until a listener ends or the journal fails; the reason, when it is a failure.
    pub async fn wait_for_failure(&mut self) -> &'static str {
        match self.fatal.recv().await {
            Some(reason) => reason,
            // A node without a writer has nobody who could say so.
            None if self.workers.writer.is_none() => std::future::pending().await,
            None => "the journal writer has stopped",
        }
    }

    /// Answers what is in hand, commits what is queued, builds the slice in hand, and ends.
    pub async fn stop(self) {
        let Workers { writer, builder, desk, dispatcher } = self.workers;

        // Each waits for a thread that may hang in the database, and longest the builder, which nobody else waits for: so
        // at the same time, and on blocking threads, which leave the runtime free for what they wait for.
        let builder = tokio::task::spawn_blocking(move || builder.iter().for_each(|builder| builder.stop()));
        let desk = tokio::task::spawn_blocking(move || desk.iter().for_each(|desk| desk.stop()));
        let dispatcher =
            tokio::task::spawn_blocking(move || dispatcher.iter().for_each(|dispatcher| dispatcher.stop()));
        for handle in &self.handles {
            handle.stop(true).await;
        }
        for server in self.servers {
            let _ = server.await;
        }
        self.counting.abort();
        let counted = self.app.clone();
        // Nobody waits for figures longer than this.
        let writing = tokio::task::spawn_blocking(move || write_usage(&counted));
        let _ = tokio::time::timeout(USAGE_WRITTEN_MAX, writing).await;
        self.tending.abort();
        let _ = self.tending.await;
        let writer = tokio::task::spawn_blocking(move || writer.iter().for_each(|writer| writer.stop()));
        let _ = writer.await;
        let _ = builder.await;
        let _ = desk.await;
        let _ = dispatcher.await;
        self.app.intake.fast.flush(MARKS_WRITTEN_MAX).await;
    }
}

/// Opens the store and the keys, waiting for a database that cannot be reached.
async fn wait_for_store(config: &Config, data: &Path) -> Result<Opened, StartError> {
    for tries in 0_u32.. {
        let (settings, directory) = (config.clone(), data.to_owned());
        let opened = tokio::task::spawn_blocking(move || open(&settings, &directory)).await;
        match opened {
            Ok(Err(StartError::Store(error @ (StoreError::Connect(_) | StoreError::OldPrimary)))) => {
                if tries % STORE_WAIT_SAID_EVERY == 0 {
                    tracing::warn!(%error, "waiting for the database; no report is taken yet");
                }
            }
            Ok(outcome) => return outcome,
            Err(_panicked) => return Err(StoreError::Query(diesel::result::Error::BrokenTransactionManager).into()),
        }
        tokio::time::sleep(STORE_WAIT).await;
    }
    Err(StoreError::OldPrimary.into())
}

/// A journal that was restored holds less than the markers in Redis say: with another epoch they are believed no more.
fn renew_store_epoch(location: &StoreLocation) -> Result<(), StartError> {
    let mut epoch = [0; 16];
    getrandom::fill(&mut epoch).map_err(|_| KeyError::Random)?;
    journal::renew_store_epoch(&mut location.open_for_migration()?, &epoch)?;
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
        questions_max: config.mo.questions_max,
        codes_max: config.verify.entries_max,
    };
    match config.fast.parsed_url()? {
        // A node that takes no reports asks nothing.
        FastUrl::Redis(_) if !config.server.role.takes_reports() => {
            Ok(FastState::Memory(MemoryState::new(limits(LOCAL_SEEN_MAX), clock.clone())))
        }
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
    let mut seq = journal::find_seq_before_newest(connection, limit)?;
    loop {
        let rows = journal::list_between(connection, seq, i64::MAX, REMEMBER_CHUNK_ROWS)?;
        let Some(last) = rows.last() else { return Ok(()) };
        seq = last.seq;
        rows.iter().filter_map(|row| probe_of_row(ring, store_epoch, row)).for_each(|probe| memory.mark_stored(&probe));
    }
}

/// Writes what is counted of carriers again and again.
async fn keep_usage(app: web::Data<App>) {
    loop {
        tokio::time::sleep(USAGE_EVERY).await;
        // While the database is away nothing is tried; what was counted is kept.
        if app.intake.location.is_in_doubt() {
            continue;
        }
        let counted = app.clone();
        let _ = tokio::task::spawn_blocking(move || write_usage(&counted)).await;
    }
}

/// Writes what was counted since the last time. What cannot be written is kept for the next.
fn write_usage(app: &App) {
    let book = &app.carriers.usage;
    let rows = book.take(app.intake.clock.now().day_at(app.region.utc_offset_minutes));
    if rows.is_empty() {
        return;
    }
    let written = app.reads.pool.get().and_then(|mut connection| Ok(add_usage(&mut connection, &rows)?));
    if let Err(error) = written {
        tracing::warn!(%error, "carriers' figures could not be written; they are kept for the next time");
        book.give_back(rows);
    }
}

/// Looks after what changes behind the handlers: carriers, a database that was lost from sight, threads that hang.
async fn tend(app: web::Data<App>, pool: ReadPool, workers: Workers) {
    let mut failing = false;
    let mut last_refresh = Instant::now();
    loop {
        tokio::time::sleep(TEND_EVERY).await;
        if let Some(writer) = &workers.writer {
            writer.tend();
        }
        if let Some(builder) = &workers.builder {
            builder.tend();
        }
        app.intake.location.doubt_if_silent();
        if app.intake.location.is_in_doubt() {
            settle_doubt(&app).await;
        }
        // Carriers cannot be read either, and waiting for them would keep from looking whether the database is back.
        if app.intake.location.is_in_doubt() {
            continue;
        }
        if last_refresh.elapsed() < CARRIERS_REFRESH {
            continue;
        }
        last_refresh = Instant::now();
        let (registry, pool) = (Arc::clone(&app.carriers), pool.clone());
        // Not waited for longer than it may take: the database may hang.
        let refreshing = tokio::task::spawn_blocking(move || registry.refresh(&pool));
        match tokio::time::timeout(CARRIERS_REFRESH_MAX, refreshing).await {
            Ok(Ok(Ok(()))) => failing = false,
            Ok(Ok(Err(error))) if !failing => {
                failing = true;
                tracing::error!(%error, "carriers cannot be read; those known before may still call");
            }
            Ok(Ok(Err(_)) | Err(_)) | Err(_) => {}
        }
    }
}

/// Looks at a database that was lost from sight; while that fails, every report is refused with a clear 503.
async fn settle_doubt(app: &web::Data<App>) {
    let was_in_doubt = app.metrics.store_in_doubt.set(1) == 1;
    if !was_in_doubt {
        tracing::error!("the database is lost from sight: reports are refused with 503 until it is back");
    }
    let looked = app.clone();
    let looking = tokio::task::spawn_blocking(move || looked.intake.settle_doubt());
    if let Ok(Ok(Ok(()))) = tokio::time::timeout(DOUBT_LOOK_MAX, looking).await {
        app.metrics.store_in_doubt.set(0);
        tracing::info!("the database is back: reports are taken");
    }
}
