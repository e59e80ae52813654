//! PostgreSQL: which server to talk to, how sessions are set up, and what to do when servers fail over.
//!
//! libpq takes the first host that accepts writes. After a failover that may be the old primary, which still runs and will
//! never be heard of again. So each server is asked for its timeline, and the newest is followed.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::thread;
use std::time::{Duration, Instant};

use diesel::connection::SimpleConnection;
use diesel::pg::PgConnection;
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Bool, Integer, Text};
use diesel_migrations::{EmbeddedMigrations, MigrationHarness, embed_migrations};

use super::StoreError;

/// All migrations of PostgreSQL, in the binary.
pub const MIGRATIONS: EmbeddedMigrations = embed_migrations!("migrations/postgresql");
/// Names the lock under which migrations run; any number that nobody else uses.
const MIGRATION_LOCK: i64 = 0x7370_616d_6761_7465;
/// How often a server is asked who it is.
const WATCH_EVERY: Duration = Duration::from_millis(500);
/// A server that has said nothing for so long is lost from sight.
const SILENT_AFTER: Duration = Duration::from_secs(5);
/// Parameters of every session unless the URL says otherwise. Times are seconds, `tcp_user_timeout` milliseconds: a peer
/// that vanished is given up after about ten seconds.
const DEFAULT_PARAMETERS: &[(&str, &str)] = &[
    ("connect_timeout", "2"),
    ("keepalives_idle", "5"),
    ("keepalives_interval", "2"),
    ("keepalives_count", "3"),
    ("tcp_user_timeout", "10000"),
];

/// What a session is for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Purpose {
    /// The journal writer.
    Writer,
    /// The builder.
    Builder,
    /// Look-ups for requests.
    Read,
    /// A command, or the start of a gateway.
    Command,
    /// Looking whether a server is still there.
    Watch,
}

impl Purpose {
    /// How the session is named in `pg_stat_activity`.
    const fn application_name(self) -> &'static str {
        match self {
            Self::Writer => "spamgate-writer",
            Self::Builder => "spamgate-builder",
            Self::Read => "spamgate-read",
            Self::Command => "spamgate-command",
            Self::Watch => "spamgate-watch",
        }
    }

    /// Settings of the session. The writer's commit is never cancelled by the server: cancelling the wait for a
    /// synchronous replica makes it say COMMIT with a mere warning, and that would be a false yes. And it waits for the
    /// disk, whatever the server's default is.
    const fn settings(self) -> &'static str {
        match self {
            Self::Writer => {
                "SET statement_timeout = 0; SET lock_timeout = 0; \
                 SELECT set_config('synchronous_commit', 'on', false) WHERE current_setting('synchronous_commit') = 'off'"
            }
            // To join a slice's thousands of rows with a table, the planner would rather read all of the table. Looking
            // each up costs the same however large it is.
            Self::Builder => {
                "SET statement_timeout = 0; SET lock_timeout = 0; SET jit = off; SET work_mem = '64MB'; \
                 SET enable_hashjoin = off; SET enable_mergejoin = off"
            }
            Self::Read | Self::Watch => "SET statement_timeout = '2s'; SET jit = off",
            Self::Command => "SET lock_timeout = '30s'",
        }
    }
}

/// Settings of all sessions. The server, too, soon gives up a node that vanished: by default it would take two hours, and a
/// transaction that such a node left open would hold the builder back for as long.
const COMMON_SETTINGS: &str = "SET idle_in_transaction_session_timeout = '10s'; SET tcp_keepalives_idle = 5; \
     SET tcp_keepalives_interval = 2; SET tcp_keepalives_count = 3; SET tcp_user_timeout = '10s'";

/// Which database this is: a dump that was restored, a replica that took over and a table that was made anew all differ
/// from what was there before. So does a server that was started again: what stands in its files may come from a backup,
/// and nothing else would tell.
#[derive(Clone, Copy, PartialEq, Eq, Debug, QueryableByName)]
pub struct Identity {
    /// Of the cluster.
    #[diesel(sql_type = BigInt)]
    system: i64,
    /// Grows when a replica takes over, or a backup is restored to a point in time.
    #[diesel(sql_type = Integer)]
    timeline: i32,
    /// When the server was started, microseconds.
    #[diesel(sql_type = BigInt)]
    started_at: i64,
    /// Object id of the database: one that was copied within a server differs in nothing else.
    #[diesel(sql_type = BigInt)]
    database: i64,
    /// Object id of the journal; 0 while there is none.
    #[diesel(sql_type = BigInt)]
    table: i64,
}

impl Identity {
    /// As part of a store epoch.
    #[must_use]
    pub fn to_bytes(self) -> Vec<u8> {
        let Self { system, timeline, started_at, database, table } = self;
        let numbers = [system, started_at, database, table].map(i64::to_be_bytes);
        [numbers.as_flattened(), &timeline.to_be_bytes()].concat()
    }

    /// Whether this server is behind `other` after a failover.
    const fn is_older_than(&self, other: &Self) -> bool {
        self.system == other.system && self.timeline < other.timeline
    }
}

const IDENTITY_SQL: &str = "SELECT system_identifier AS system, \
     ('x' || substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8))::bit(32)::integer AS timeline, \
     (extract(epoch FROM pg_postmaster_start_time()) * 1000000)::bigint AS started_at, \
     (SELECT oid::bigint FROM pg_database WHERE datname = current_database()) AS database, \
     coalesce(to_regclass('journal.reports')::oid::bigint, 0) AS \"table\" FROM pg_control_system()";

/// The row of a question that has one answer, named so.
#[derive(QueryableByName)]
pub(super) struct YesOrNo {
    #[diesel(sql_type = Bool)]
    pub(super) answer: bool,
}

#[derive(QueryableByName)]
struct Version {
    #[diesel(sql_type = Text)]
    version: String,
}

#[derive(Clone, Copy)]
struct Primary {
    host: usize,
    identity: Identity,
    last_heard: Instant,
}

/// The servers of one URL.
pub struct PgServers {
    /// A libpq URL for each.
    hosts: Vec<String>,
    primary: Mutex<Option<Primary>>,
    generation: AtomicU64,
    doubts: AtomicU64,
    settled: AtomicU64,
}

impl PgServers {
    /// The servers that `url` names.
    ///
    /// # Errors
    /// [`StoreError::BadUrl`].
    pub fn new(url: &str) -> Result<Self, StoreError> {
        Ok(Self {
            hosts: host_urls(url)?,
            primary: Mutex::new(None),
            generation: AtomicU64::new(0),
            doubts: AtomicU64::new(0),
            settled: AtomicU64::new(0),
        })
    }

    /// See [`super::connection::StoreLocation::generation`].
    #[must_use]
    pub fn generation(&self) -> u64 {
        self.generation.load(Ordering::Acquire)
    }

    /// See [`super::connection::StoreLocation::doubt`].
    pub fn doubt(&self) {
        self.doubts.fetch_add(1, Ordering::AcqRel);
    }

    /// How often it was lost from sight.
    #[must_use]
    pub fn doubts(&self) -> u64 {
        self.doubts.load(Ordering::Acquire)
    }

    /// Ends all doubt up to `doubts`.
    pub fn settle(&self, doubts: u64) {
        self.settled.fetch_max(doubts, Ordering::AcqRel);
    }

    /// See [`super::connection::StoreLocation::is_in_doubt`].
    #[must_use]
    pub fn is_in_doubt(&self) -> bool {
        self.settled.load(Ordering::Acquire) < self.doubts.load(Ordering::Acquire)
    }

    fn primary(&self) -> MutexGuard<'_, Option<Primary>> {
        self.primary.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A session with the newest server that takes writes.
    ///
    /// # Errors
    /// When there is none.
    pub fn open(&self, purpose: Purpose) -> Result<PgConnection, StoreError> {
        self.open_identified(purpose).map(|(connection, _)| connection)
    }

    /// The same, and who it is.
    ///
    /// # Errors
    /// When there is none.
    pub fn open_identified(&self, purpose: Purpose) -> Result<(PgConnection, Identity), StoreError> {
        let known = *self.primary();
        // The one that led a moment ago first: whether there is a newer one is the watch's business.
        if let Some(known) = known
            && let Ok((connection, identity)) = self.open_host(known.host, purpose)
            && !identity.is_older_than(&known.identity)
        {
            self.learn(known.host, identity);
            return Ok((connection, identity));
        }
        let mut newest: Option<(usize, PgConnection, Identity)> = None;
        let mut last_error = StoreError::BadUrl("it names no host");
        for host in 0..self.hosts.len() {
            match self.open_host(host, purpose) {
                Ok((connection, identity)) => {
                    if newest.as_ref().is_none_or(|(_, _, newest)| newest.is_older_than(&identity)) {
                        newest = Some((host, connection, identity));
                    }
                }
                Err(error) => last_error = error,
            }
        }
        let Some((host, connection, identity)) = newest else { return Err(last_error) };
        if known.is_some_and(|known| identity.is_older_than(&known.identity)) {
            return Err(StoreError::OldPrimary);
        }
        self.learn(host, identity);
        Ok((connection, identity))
    }

    fn open_host(&self, host: usize, purpose: Purpose) -> Result<(PgConnection, Identity), StoreError> {
        let url = self.hosts.get(host).ok_or(StoreError::BadUrl("it names no host"))?;
        let url = format!("{url}&application_name={}", purpose.application_name());
        let mut connection = PgConnection::establish(&url).map_err(without_url)?;
        connection.batch_execute(&format!("{COMMON_SETTINGS}; {}", purpose.settings()))?;
        let identity = diesel::sql_query(IDENTITY_SQL).get_result::<Identity>(&mut connection)?;
        if identity.table != 0 && purpose != Purpose::Watch {
            adopt_cluster(&mut connection)?;
        }
        Ok((connection, identity))
    }

    /// Takes note of a server that takes writes.
    fn learn(&self, host: usize, identity: Identity) {
        let mut primary = self.primary();
        let is_other = match *primary {
            // The one that leads is not left for an older one.
            Some(known) if known.host != host && identity.is_older_than(&known.identity) => return,
            Some(known) => known.host != host || is_other_store(&known.identity, &identity),
            None => false,
        };
        *primary = Some(Primary { host, identity, last_heard: Instant::now() });
        drop(primary);
        if is_other {
            self.generation.fetch_add(1, Ordering::AcqRel);
            self.doubt();
            tracing::warn!(
                store.host = host,
                store.timeline = identity.timeline,
                "the database is another than before (started again, failed over or restored): what is remembered is \
                 compared anew"
            );
        }
    }

    /// See [`super::connection::StoreLocation::prepare`].
    ///
    /// # Errors
    /// When the database cannot be reached, or this user may not change it.
    pub fn prepare(&self) -> Result<(), StoreError> {
        let mut connection = self.open(Purpose::Command)?;
        if is_up_to_date(&mut connection)? {
            return Ok(());
        }
        let migrate = |error: &dyn std::fmt::Display| {
            StoreError::Migrate(format!("{error} (does this user own it? `spamgate migrate` is run as its owner)"))
        };
        connection.batch_execute(&format!("SELECT pg_advisory_lock({MIGRATION_LOCK})"))?;
        let outcome = connection.run_pending_migrations(MIGRATIONS).map(|_| ()).map_err(|error| migrate(&error));
        connection.batch_execute(&format!("SELECT pg_advisory_unlock({MIGRATION_LOCK})"))?;
        outcome
    }

    /// Starts a thread for each server. They end when the servers are dropped.
    ///
    /// # Errors
    /// When no thread can be started.
    pub fn watch(servers: &Arc<Self>) -> Result<(), StoreError> {
        for host in 0..servers.hosts.len() {
            let servers = Arc::downgrade(servers);
            thread::Builder::new()
                .name(format!("store-watch-{host}"))
                .spawn(move || watch_host(&servers, host))
                .map_err(StoreError::Thread)?;
        }
        Ok(())
    }

    fn leads(&self, host: usize) -> bool {
        self.primary().is_some_and(|primary| primary.host == host)
    }

    /// What a watch saw of its server.
    fn observe(&self, host: usize, identity: Identity) {
        let known = *self.primary();
        let is_news = match known {
            None => false,
            Some(known) if known.host == host => true,
            Some(known) => known.identity.is_older_than(&identity),
        };
        if is_news {
            self.learn(host, identity);
        }
    }

    /// A server that hangs says nothing, and breaks nothing either. The thread that watches it hangs with it, so another
    /// has to ask.
    pub fn doubt_if_silent(&self) {
        let is_silent = self.primary().is_some_and(|primary| primary.last_heard.elapsed() > SILENT_AFTER);
        if is_silent && !self.is_in_doubt() {
            self.doubt();
            tracing::warn!("the database has said nothing for {} s", SILENT_AFTER.as_secs());
        }
    }
}

/// Whether what is remembered of one store says nothing about the other.
fn is_other_store(before: &Identity, now: &Identity) -> bool {
    // The table is made while the gateway starts.
    before != now && before.table != 0
}

fn watch_host(servers: &Weak<PgServers>, host: usize) {
    let mut session: Option<PgConnection> = None;
    loop {
        // The server sleeps between two looks, and not this thread: the end of the session is noticed at once.
        let looked = session.take().map(|mut open| -> Result<_, StoreError> {
            let later = format!("{IDENTITY_SQL}, pg_sleep({})", WATCH_EVERY.as_secs_f64());
            let identity = diesel::sql_query(later).get_result::<Identity>(&mut open)?;
            Ok((open, identity))
        });
        let Some(servers) = servers.upgrade() else { return };
        let seen = looked.unwrap_or_else(|| servers.open_host(host, Purpose::Watch));
        let is_there = seen.is_ok();
        match seen {
            Ok((open, identity)) => {
                servers.observe(host, identity);
                session = Some(open);
            }
            // It was there a moment ago, or is looked for: either way what it holds now is not known.
            Err(_) if servers.leads(host) => servers.doubt(),
            Err(_) => {}
        }
        drop(servers);
        if !is_there {
            thread::sleep(WATCH_EVERY);
        }
    }
}

/// Counts on after the last row when the database was loaded into another cluster.
fn adopt_cluster(connection: &mut PgConnection) -> Result<(), StoreError> {
    if !diesel::sql_query("SELECT journal.counts_on() AS answer").get_result::<YesOrNo>(connection)?.answer {
        diesel::sql_query("SELECT journal.adopt_cluster() AS answer").get_result::<YesOrNo>(connection)?;
        tracing::warn!("the database was loaded into another cluster: the journal counts on after its last row");
    }
    Ok(())
}

/// Whether all migrations have been run. Asked without a right to make anything.
fn is_up_to_date(connection: &mut PgConnection) -> Result<bool, StoreError> {
    let there = diesel::sql_query("SELECT to_regclass('public.__diesel_schema_migrations') IS NOT NULL AS answer")
        .get_result::<YesOrNo>(connection)?
        .answer;
    if !there {
        return Ok(false);
    }
    let done = diesel::sql_query("SELECT version::text AS version FROM public.__diesel_schema_migrations")
        .load::<Version>(connection)?;
    let source: Box<dyn diesel::migration::MigrationSource<diesel::pg::Pg>> = Box::new(MIGRATIONS);
    let all = source.migrations().map_err(|error| StoreError::Migrate(error.to_string()))?;
    let is_done = |wanted: String| done.iter().any(|done| done.version == wanted);
    Ok(all.iter().all(|migration| is_done(migration.name().version().to_string())))
}

/// A libpq URL for each server of `url`, which may name several, before the path or in `host=`.
fn host_urls(url: &str) -> Result<Vec<String>, StoreError> {
    let rest = url.split_once("://").map(|(_, rest)| rest).ok_or(StoreError::BadUrl("`://` is missing"))?;
    let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
    let (authority, database) = rest.split_once('/').unwrap_or((rest, ""));
    let (user, hosts) = match authority.rsplit_once('@') {
        Some((user, hosts)) => (format!("{user}@"), hosts),
        None => (String::new(), authority),
    };
    let mut parameters: Vec<(&str, &str)> = Vec::new();
    for parameter in query.split('&').filter(|parameter| !parameter.is_empty()) {
        parameters.push(parameter.split_once('=').ok_or(StoreError::BadUrl("a parameter has no `=`"))?);
    }
    let value = |wanted: &str| parameters.iter().find(|(name, _)| *name == wanted).map(|(_, value)| *value);
    let mut servers: Vec<(&str, &str)> = hosts.split(',').filter(|host| !host.is_empty()).map(split_port).collect();
    if servers.is_empty() {
        let mut ports = value("port").unwrap_or_default().split(',');
        let first = ports.next().unwrap_or_default();
        servers = value("host").unwrap_or_default().split(',').map(|host| (host, first)).collect();
        for (server, port) in servers.iter_mut().skip(1).zip(ports) {
            server.1 = port;
        }
    }
    let ours = ["host", "port", "target_session_attrs", "application_name"];
    let kept: Vec<String> = parameters
        .iter()
        .filter(|(name, _)| !ours.contains(name))
        .chain(DEFAULT_PARAMETERS.iter().filter(|(name, _)| value(name).is_none()))
        .map(|(name, value)| format!("&{name}={value}"))
        .collect();
    let of_server = |(host, port): &(&str, &str)| {
        let port = if port.is_empty() { String::new() } else { format!("&port={port}") };
        let host = if host.is_empty() { String::new() } else { format!("&host={host}") };
        format!("postgresql://{user}/{database}?target_session_attrs=read-write{host}{port}{}", kept.concat())
    };
    Ok(servers.iter().map(of_server).collect())
}

/// libpq quotes a URL it cannot read, password and all. And it speaks in several lines, where a log has one.
fn without_url(error: ConnectionError) -> StoreError {
    match error {
        ConnectionError::BadConnection(message) if !message.contains("URI") => {
            let words: Vec<&str> = message.split_whitespace().collect();
            StoreError::Connect(ConnectionError::BadConnection(words.join(" ")))
        }
        _ => StoreError::BadUrl("libpq cannot read it"),
    }
}

/// `host:port`, with an IPv6 address in brackets.
fn split_port(server: &str) -> (&str, &str) {
    if let Some((address, port)) = server.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        return (address, port.trim_start_matches(':'));
    }
    server.split_once(':').unwrap_or((server, ""))
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may stop where it fails")]
    use super::*;

    /// What tells the URLs of one test apart: no default parameters.
    fn urls(url: &str) -> Vec<String> {
        let short = |url: String| {
            DEFAULT_PARAMETERS.iter().fold(url, |url, (name, value)| url.replace(&format!("&{name}={value}"), ""))
        };
        host_urls(url).unwrap().into_iter().map(short).collect()
    }

    #[test]
    fn each_host_of_a_url_gets_one_of_its_own() {
        let attributes = "target_session_attrs=read-write";
        assert_eq!(
            urls("postgresql://gate:pw@db1:5433,db2,[::1]:5434/reports?sslmode=verify-full"),
            [
                format!("postgresql://gate:pw@/reports?{attributes}&host=db1&port=5433&sslmode=verify-full"),
                format!("postgresql://gate:pw@/reports?{attributes}&host=db2&sslmode=verify-full"),
                format!("postgresql://gate:pw@/reports?{attributes}&host=::1&port=5434&sslmode=verify-full"),
            ]
        );
        assert_eq!(
            urls("postgresql:///reports?host=/run/a,/run/b&port=1,2&target_session_attrs=any"),
            [
                format!("postgresql:///reports?{attributes}&host=/run/a&port=1"),
                format!("postgresql:///reports?{attributes}&host=/run/b&port=2"),
            ]
        );
        assert_eq!(urls("postgresql:///reports"), [format!("postgresql:///reports?{attributes}")]);
    }

    #[test]
    fn what_a_url_says_wins_over_the_defaults() {
        let url = host_urls("postgresql://db/reports?connect_timeout=9").unwrap().remove(0);
        assert!(url.contains("connect_timeout=9") && !url.contains("connect_timeout=2"), "{url}");
    }

    #[test]
    fn a_url_that_is_none_is_refused() {
        assert!(host_urls("postgresql:db").is_err());
        assert!(host_urls("postgresql://db/x?sslmode").is_err());
    }

    fn identity(system: i64, timeline: i32) -> Identity {
        Identity { system, timeline, started_at: 5, database: 6, table: 7 }
    }

    #[test]
    fn the_newest_timeline_is_followed_and_never_an_older_one() {
        let servers = PgServers::new("postgresql://a,b/x").unwrap();
        servers.learn(0, identity(1, 1));
        assert_eq!((servers.generation(), servers.is_in_doubt()), (0, false));
        servers.observe(1, identity(1, 2));
        assert!(servers.leads(1) && servers.is_in_doubt());
        assert_eq!(servers.generation(), 1);
        servers.observe(0, identity(1, 1));
        assert!(servers.leads(1));
        assert_eq!(servers.generation(), 1);
    }

    #[test]
    fn a_restored_database_is_another_one() {
        let servers = PgServers::new("postgresql://a/x").unwrap();
        servers.learn(0, identity(1, 1));
        servers.observe(0, identity(1, 1));
        assert_eq!(servers.generation(), 0);
        servers.observe(0, Identity { table: 8, ..identity(1, 1) });
        assert_eq!(servers.generation(), 1);
        servers.observe(0, identity(2, 1));
        assert_eq!(servers.generation(), 2);
        servers.observe(0, Identity { started_at: 6, ..identity(2, 1) });
        assert_eq!(servers.generation(), 3);
    }

    #[test]
    fn doubt_ends_only_when_what_was_lost_from_sight_was_looked_at_since() {
        let servers = PgServers::new("postgresql://a/x").unwrap();
        servers.doubt();
        let seen = servers.doubts();
        servers.doubt();
        servers.settle(seen);
        assert!(servers.is_in_doubt());
        servers.settle(servers.doubts());
        assert!(!servers.is_in_doubt());
    }
}
