//! A gateway that runs in the test's own process, with real databases, a clock that tests turn, and its own data
//! directory.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use actix_web::web;
use reqwest::Method;
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE};
use sha2::{Digest, Sha256};
use spamgate::config::Config;
use spamgate::crypto::stored_secret::SecretOf;
use spamgate::domain::carrier::Attests;
use spamgate::domain::clock::{Clock, Moment};
use spamgate::domain::report::ReportId;
use spamgate::enrol::{self, EnrolError, NewCarrier, NewSigningKey, SigningKeyKind, Terms};
use spamgate::http::app::App;
use spamgate::startup::{self, Gateway, StartError};
use spamgate::store::carriers::CarrierChange;
use spamgate::store::cases::{CaseRow, list_cases};
use spamgate::store::connection::{Connection, StoreLocation};
use spamgate::store::signing_keys::{list_good_signing_keys, revoke_signing_key};
use spamgate::store::{carriers, journal};
use spamgate::telemetry::metrics::{CodeLabel, Metrics};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use uuid::Uuid;

use super::{
    Answer, AnyRedis, Database, Door, PostgresServer, RawAnswer, RedisServer, ReportBody, Secret, Signer, wait_until,
};

/// When the clock of every test starts.
const START: &str = "2026-11-24T08:00:00Z";
/// How long the builder may take for what a test sends.
const BUILD_WAIT: Duration = Duration::from_secs(30);
/// How long a bare connection may wait for its answer.
const RAW_WAIT: Duration = Duration::from_secs(30);
/// How long the writing of a marker to Redis may take.
const MARK_WAIT: Duration = Duration::from_secs(20);
/// An unknown key makes the gateway look for new carriers when it has not looked for this long.
const NEW_CARRIER_SEEN_AFTER: Duration = Duration::from_millis(100);

/// What holds the store and the fast state.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Engine {
    /// SQLite and memory.
    Memory,
    /// SQLite and Redis.
    Redis,
    /// PostgreSQL and memory.
    PostgresqlMemory,
    /// PostgreSQL and Redis.
    PostgresqlRedis,
}

impl Engine {
    /// Whether the fast state is in Redis.
    pub const fn has_redis(self) -> bool {
        matches!(self, Self::Redis | Self::PostgresqlRedis)
    }

    const fn has_postgresql(self) -> bool {
        matches!(self, Self::PostgresqlMemory | Self::PostgresqlRedis)
    }

    /// For [`super::on_every_engine`]: the engine itself.
    pub async fn on(engine: Self) -> Self {
        engine
    }
}

/// A carrier that was added.
#[derive(Clone)]
pub struct Carrier {
    pub name: String,
    pub api_key: String,
}

impl From<NewCarrier> for Carrier {
    fn from(carrier: NewCarrier) -> Self {
        Self { name: carrier.name, api_key: carrier.api_key.to_string() }
    }
}

#[derive(Clone)]
struct Redis {
    server: Arc<dyn AnyRedis>,
    key_prefix: String,
}

/// A gateway under test.
pub struct TestApp {
    pub engine: Engine,
    clock: Clock,
    config: Config,
    data: TempDir,
    redis: Option<Redis>,
    database: Option<Arc<Database>>,
    client: reqwest::Client,
    gateway: Mutex<Option<Gateway>>,
    local: Carrier,
    /// Ids of reports taken whose markers have not been waited for.
    not_awaited: Mutex<Vec<Uuid>>,
}

impl TestApp {
    /// For [`super::on_every_engine`]: a gateway with this engine.
    pub async fn on(engine: Engine) -> Self {
        Self::spawn(engine).await
    }

    /// Starts a gateway with the default settings.
    pub async fn spawn(engine: Engine) -> Self {
        Self::spawn_with(engine, |_| {}).await
    }

    /// Starts a gateway with settings of its own.
    pub async fn spawn_with(engine: Engine, change: impl FnOnce(&mut Config)) -> Self {
        let server = engine.has_redis().then(|| RedisServer::shared() as Arc<dyn AnyRedis>);
        let database = engine.has_postgresql().then(|| PostgresServer::shared().create_database());
        Self::start(engine, server, database, change).await
    }

    /// Starts a gateway beside a Redis of the test's own.
    pub async fn spawn_beside<R: AnyRedis + 'static>(server: &Arc<R>) -> Self {
        Self::spawn_beside_with(server, |_| {}).await
    }

    /// Starts a gateway beside a Redis of the test's own, with settings of its own.
    pub async fn spawn_beside_with<R: AnyRedis + 'static>(server: &Arc<R>, change: impl FnOnce(&mut Config)) -> Self {
        Self::start(Engine::Redis, Some(Arc::clone(server) as Arc<dyn AnyRedis>), None, change).await
    }

    /// Starts a gateway on a database of the test's own.
    pub async fn spawn_on(database: Database, change: impl FnOnce(&mut Config)) -> Self {
        Self::start(Engine::PostgresqlMemory, None, Some(database), change).await
    }

    /// Starts a gateway on a database of the test's own, beside Redis if the engine says so.
    pub async fn spawn_on_engine(engine: Engine, database: Database, change: impl FnOnce(&mut Config)) -> Self {
        let server = engine.has_redis().then(|| RedisServer::shared() as Arc<dyn AnyRedis>);
        Self::start(engine, server, Some(database), change).await
    }

    /// Starts a gateway that goes by the machine's clock.
    pub async fn spawn_in_real_time(engine: Engine, change: impl FnOnce(&mut Config)) -> Self {
        let redis = engine.has_redis().then(|| RedisServer::shared() as Arc<dyn AnyRedis>);
        let redis = redis.map(|server| Redis { server, key_prefix: format!("test-{}", Uuid::now_v7()) });
        let database = engine.has_postgresql().then(|| Arc::new(PostgresServer::shared().create_database()));
        Self::start_node(engine, redis, database, Clock::System, None, change).await
    }

    async fn start(
        engine: Engine,
        server: Option<Arc<dyn AnyRedis>>,
        database: Option<Database>,
        change: impl FnOnce(&mut Config),
    ) -> Self {
        let redis = server.map(|server| Redis { server, key_prefix: format!("test-{}", Uuid::now_v7()) });
        let clock = Clock::mock(Moment::parse_rfc3339(START).unwrap());
        Self::start_node(engine, redis, database.map(Arc::new), clock, None, change).await
    }

    /// Starts another gateway on the same database, beside the same Redis, with the same keys and the same clock. It takes
    /// reports of the same carrier.
    pub async fn join(&self, change: impl FnOnce(&mut Config)) -> Self {
        let keys = self.keys().display().to_string();
        let same = |config: &mut Config| {
            config.store = self.config.store.clone();
            config.limits = self.config.limits.clone();
            config.keys.directory = keys;
            change(config);
        };
        let carrier = Some(self.local.clone());
        Self::start_node(self.engine, self.redis.clone(), self.database.clone(), self.clock.clone(), carrier, same)
            .await
    }

    /// Starts a gateway whose carrier was made already.
    pub async fn spawn_for(carrier: Carrier, database: Arc<Database>, change: impl FnOnce(&mut Config)) -> Self {
        let clock = Clock::mock(Moment::parse_rfc3339(START).unwrap());
        Self::start_node(Engine::PostgresqlMemory, None, Some(database), clock, Some(carrier), change).await
    }

    async fn start_node(
        engine: Engine,
        redis: Option<Redis>,
        database: Option<Arc<Database>>,
        clock: Clock,
        carrier: Option<Carrier>,
        change: impl FnOnce(&mut Config),
    ) -> Self {
        let mut config = Config::defaults().unwrap();
        config.server.listen = "127.0.0.1:0".parse().unwrap();
        config.server.ops_listen = "127.0.0.1:0".parse().unwrap();
        config.server.workers = 1;
        config.server.shutdown_timeout_s = 1;
        if let Some(redis) = &redis {
            config.fast.url = redis.server.url();
            config.fast.key_prefix.clone_from(&redis.key_prefix);
        }
        if let Some(database) = &database {
            config.store.url = database.url();
        }
        change(&mut config);
        config.check().unwrap();
        let data = tempfile::tempdir().unwrap();
        let mut gateway = startup::start(&config, data.path(), clock.clone()).await.expect("the gateway starts");
        let made = gateway.first_carrier.take().map(Carrier::from);
        let local = carrier.or(made).expect("the first start makes a carrier");
        Self {
            engine,
            clock,
            config,
            data,
            redis,
            database,
            // A connection for each request, so that none is left when the gateway stops.
            client: reqwest::Client::builder().pool_max_idle_per_host(0).build().unwrap(),
            gateway: Mutex::new(Some(gateway)),
            local,
            not_awaited: Mutex::default(),
        }
    }

    /// Stops the gateway; its data stay.
    pub async fn stop(&self) {
        let gateway = self.gateway.lock().unwrap().take().expect("the gateway runs");
        gateway.stop().await;
    }

    /// Stops the gateway and starts it anew on the same data.
    pub async fn restart(&self) {
        self.stop().await;
        self.start_again().await;
    }

    /// Starts a gateway that was stopped.
    pub async fn start_again(&self) {
        self.try_start_again().await.unwrap();
    }

    /// The same, or why it does not start.
    pub async fn try_start_again(&self) -> Result<(), StartError> {
        let gateway = startup::start(&self.config, self.data.path(), self.clock.clone()).await?;
        assert!(gateway.first_carrier.is_none(), "a carrier is made only on the first start");
        *self.gateway.lock().unwrap() = Some(gateway);
        Ok(())
    }

    fn with_gateway<T>(&self, look: impl FnOnce(&Gateway) -> T) -> T {
        look(self.gateway.lock().unwrap().as_ref().expect("the gateway runs"))
    }

    /// What handlers see.
    pub fn app(&self) -> web::Data<App> {
        self.with_gateway(|gateway| gateway.app.clone())
    }

    /// Where the store is.
    pub fn location(&self) -> StoreLocation {
        self.store()
    }

    /// The gateway's time.
    pub fn now(&self) -> Moment {
        self.clock.now()
    }

    /// The data directory.
    pub fn data(&self) -> &Path {
        self.data.path()
    }

    /// The directory of its keys.
    pub fn keys(&self) -> PathBuf {
        startup::key_directory(&self.config, self.data.path())
    }

    /// How many reports wait for the journal.
    pub fn queue_length(&self) -> usize {
        self.with_gateway(|gateway| gateway.app.intake.queue.len())
    }

    /// From now on no report can be stored.
    pub fn stop_storing(&self) {
        self.with_gateway(|gateway| gateway.app.intake.queue.close());
    }

    /// Whether the gateway has lost the database from sight.
    pub fn is_in_doubt(&self) -> bool {
        self.with_gateway(|gateway| gateway.app.intake.location.is_in_doubt())
    }

    /// What is counted.
    pub fn metrics(&self) -> Arc<Metrics> {
        self.with_gateway(|gateway| Arc::clone(&gateway.app.metrics))
    }

    /// How often a problem of this code was answered.
    pub fn refused(&self, code: &'static str) -> u64 {
        self.metrics().refused.get_or_create(&CodeLabel { code }).get()
    }

    /// A webhook's secret as it stands in the database.
    pub fn stored(&self, webhook: &[u8], secret: &[u8]) -> Vec<u8> {
        let of = SecretOf::Webhook(webhook);
        self.with_gateway(|gateway| gateway.app.intake.keys.stored_secrets().seal(of, secret).unwrap())
    }

    /// The gateway as its handlers see it.
    pub fn gate(&self) -> Arc<App> {
        self.with_gateway(|gateway| Arc::clone(&gateway.app))
    }

    /// Where carriers call.
    pub fn address(&self) -> SocketAddr {
        self.with_gateway(|gateway| gateway.address.expect("it takes reports"))
    }

    /// The database, when the store is PostgreSQL.
    pub fn database(&self) -> &Database {
        self.database.as_ref().expect("the store is PostgreSQL")
    }

    /// The address for carriers.
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address())
    }

    /// Where and as whom a load sends its reports.
    pub fn door(&self) -> Door {
        Door { url: self.url("/v1/reports"), api_key: self.local.api_key.clone() }
    }

    /// The address for operators.
    pub fn operators_url(&self, path: &str) -> String {
        format!("http://{}{path}", self.with_gateway(|gateway| gateway.ops_address))
    }
}

/// Time.
impl TestApp {
    /// Turns the gateway's clock forward.
    pub fn advance(&self, by: Duration) {
        self.clock.advance(by);
    }

    /// The gateway's time, this many seconds from now, as a report states it.
    pub fn in_seconds(&self, seconds: i64) -> String {
        Moment(self.clock.now().0 + seconds * 1_000_000).to_rfc3339()
    }
}

/// What carriers send.
impl TestApp {
    /// The carrier that the first start made.
    pub fn local(&self) -> &Carrier {
        &self.local
    }

    /// Sends a report as the first carrier.
    pub async fn post(&self, body: &ReportBody) -> Answer {
        self.post_as(&self.local, body).await
    }

    /// Sends a report as another carrier.
    pub async fn post_as(&self, carrier: &Carrier, body: &ReportBody) -> Answer {
        self.post_text_as(carrier, &body.to_string()).await
    }

    /// Sends a body that may be anything.
    pub async fn post_text(&self, body: &str) -> Answer {
        self.post_text_as(&self.local, body).await
    }

    async fn post_text_as(&self, carrier: &Carrier, body: &str) -> Answer {
        let request = self.request(Method::POST, "/v1/reports", Some(&carrier.api_key));
        let answer = self.send(request.header(CONTENT_TYPE, "application/json").body(body.to_owned()), body).await;
        if answer.status == 201 {
            self.not_awaited.lock().unwrap().push(answer.id().parse().unwrap());
        }
        answer
    }

    /// Asks for a report as the first carrier.
    pub async fn get(&self, id: &str) -> Answer {
        self.get_as(&self.local, id).await
    }

    /// Asks for a report as another carrier.
    pub async fn get_as(&self, carrier: &Carrier, id: &str) -> Answer {
        let path = format!("/v1/reports/{id}");
        self.send(self.request(Method::GET, &path, Some(&carrier.api_key)), "").await
    }

    /// A request to make by hand.
    pub fn request(&self, method: Method, path: &str, api_key: Option<&str>) -> reqwest::RequestBuilder {
        let request = self.client.request(method, self.url(path));
        match api_key {
            Some(key) => request.header(AUTHORIZATION, format!("Bearer {key}")),
            None => request,
        }
    }

    /// Sends a request; `body` is what it holds, to see that nothing of it comes back.
    pub async fn send(&self, request: reqwest::RequestBuilder, body: &str) -> Answer {
        Answer::read(request.send().await.expect("the gateway answers"), body).await
    }

    /// Asks the operators' listener.
    pub async fn get_operators(&self, path: &str) -> Answer {
        self.send(self.client.get(self.operators_url(path)), "").await
    }

    /// Sends a report's head and then `body` on a connection of its own, closes the sending half if told so, and reads
    /// the answer; none when the connection ends without one.
    pub async fn post_raw(&self, headers: &[&str], body: &str, then_close: bool) -> Option<Answer> {
        let mut stream = self.open_raw(headers, body).await;
        if then_close {
            stream.shutdown().await.unwrap();
        }
        let mut answer = RawAnswer::default();
        while !answer.is_whole() {
            let read = tokio::time::timeout(RAW_WAIT, stream.read_buf(&mut answer.0)).await;
            if read.expect("the gateway answers").expect("the answer can be read") == 0 {
                break;
            }
        }
        answer.parse(body)
    }

    /// Sends a report's head and then `body` on a connection of its own, and says whether the gateway ends the
    /// connection within this time.
    pub async fn ends_raw_within(&self, at_most: Duration, headers: &[&str], body: &str) -> bool {
        let mut stream = self.open_raw(headers, body).await;
        tokio::time::timeout(at_most, stream.read_to_end(&mut Vec::new())).await.is_ok()
    }

    async fn open_raw(&self, headers: &[&str], body: &str) -> TcpStream {
        let address = self.address();
        let mut stream = TcpStream::connect(address).await.unwrap();
        let head = format!(
            "POST /v1/reports HTTP/1.1\r\nHost: {address}\r\nAuthorization: Bearer {}\r\n\
             Content-Type: application/json\r\nConnection: close\r\n{}\r\n\r\n",
            self.local.api_key,
            headers.join("\r\n"),
        );
        stream.write_all(head.as_bytes()).await.unwrap();
        stream.write_all(body.as_bytes()).await.unwrap();
        stream
    }
}

/// What operators do, and what they see.
impl TestApp {
    /// A connection to the store, as every command opens one.
    pub fn connection(&self) -> Connection {
        self.store().open().unwrap()
    }

    fn store(&self) -> StoreLocation {
        StoreLocation::new(&self.config.store.url, self.data.path()).unwrap()
    }

    /// Adds a carrier that vouches for all numbers.
    pub fn add_carrier(&self, name: &str) -> Carrier {
        self.add_carrier_attesting(name, "any")
    }

    /// Adds a carrier that vouches for these numbers.
    pub fn add_carrier_attesting(&self, name: &str, attests: &str) -> Carrier {
        self.add_carrier_with(name, Terms { attests: Attests::parse(attests).unwrap(), ..Terms::default() })
    }

    /// Adds a carrier on these terms.
    pub fn add_carrier_with(&self, name: &str, terms: Terms) -> Carrier {
        let carrier = enrol::add_carrier(&mut self.connection(), name, &terms, self.clock.now()).unwrap();
        self.advance(NEW_CARRIER_SEEN_AFTER);
        carrier.into()
    }

    /// Revokes a carrier's key.
    pub fn revoke_carrier(&self, name: &str) {
        assert!(carriers::revoke_carrier(&mut self.connection(), name, self.clock.now().0).unwrap());
    }

    /// Changes a carrier's terms.
    pub fn change_carrier(&self, name: &str, change: &CarrierChange) {
        assert!(carriers::update_carrier(&mut self.connection(), name, change).unwrap());
    }

    /// Adds an API key to a carrier.
    pub fn add_api_key(&self, name: &str) -> Result<Carrier, EnrolError> {
        let api_key = enrol::add_api_key(&mut self.connection(), name, self.clock.now())?;
        self.advance(NEW_CARRIER_SEEN_AFTER);
        Ok(Carrier { name: name.to_owned(), api_key: api_key.to_string() })
    }

    /// Revokes this API key; the carrier's other one stays.
    pub fn revoke_api_key(&self, carrier: &Carrier) {
        let key_hash = Sha256::digest(&carrier.api_key);
        assert!(carriers::revoke_api_key(&mut self.connection(), &key_hash, self.clock.now().0).unwrap());
    }

    /// Adds a key with which a carrier signs.
    pub fn try_add_signing_key(&self, carrier: &Carrier, kind: &SigningKeyKind) -> Result<NewSigningKey, EnrolError> {
        let ring = self.with_gateway(|gateway| Arc::clone(&gateway.app.intake.keys));
        let added = enrol::add_signing_key(&mut self.connection(), &ring, &carrier.name, kind, self.clock.now())?;
        self.with_gateway(|gateway| {
            gateway.app.carriers.refresh(&gateway.app.reads.pool).unwrap();
        });
        Ok(added)
    }

    /// Adds a shared secret.
    pub fn add_hmac_key(&self, carrier: &Carrier) -> Signer {
        let added = self.try_add_signing_key(carrier, &SigningKeyKind::NewSecret).unwrap();
        Signer { key_id: added.id, secret: Secret::Hmac(added.secret.unwrap().to_vec()) }
    }

    /// Adds an Ed25519 key of this seed.
    pub fn add_ed25519_key(&self, carrier: &Carrier, seed: u8) -> Signer {
        let secret = Secret::ed25519(seed);
        let added = self.try_add_signing_key(carrier, &SigningKeyKind::Public(secret.public_key())).unwrap();
        Signer { key_id: added.id, secret }
    }

    /// Revokes a signing key.
    pub fn revoke_signing_key(&self, signer: &Signer) {
        let mut connection = self.connection();
        let rows = list_good_signing_keys(&mut connection).unwrap();
        let row = rows.iter().find(|row| row.key_id == signer.key_id).expect("the key is good");
        assert!(revoke_signing_key(&mut connection, &row.carrier_id, &row.key_id, self.clock.now().0).unwrap());
    }

    /// Waits until the builder has come to all that was taken.
    pub async fn wait_until_built(&self) {
        let mut connection = self.connection();
        let last_seq = journal::find_last_seq(&mut connection).unwrap();
        wait_until("every report is built in", BUILD_WAIT, async || {
            self.with_gateway(|gateway| gateway.app.builder.cursor_seq()) >= last_seq
        })
        .await;
    }

    /// All cases, most voices first, once all that was taken is built in.
    pub async fn cases(&self) -> Vec<CaseRow> {
        self.wait_until_built().await;
        list_cases(&mut self.connection(), i64::MAX).unwrap()
    }

    /// The one case there is.
    pub async fn only_case(&self) -> CaseRow {
        let mut cases = self.cases().await;
        assert_eq!(cases.len(), 1, "one case was expected");
        cases.remove(0)
    }

    /// How many reports the journal holds.
    pub fn journal_rows(&self) -> i64 {
        journal::count_after(&mut self.connection(), 0, i64::MAX).unwrap()
    }

    /// How many reports of a report's kind make no case.
    pub async fn caseless_reports(&self) -> i64 {
        use diesel::prelude::*;
        use spamgate::store::schema::caseless_figures;
        self.wait_until_built().await;
        let reports = caseless_figures::table.select(caseless_figures::reports).load::<i64>(&mut self.connection());
        reports.unwrap().iter().sum()
    }
}

/// The fast state.
impl TestApp {
    /// Loses all that is remembered of stored reports and of quotas, as a restart with an empty Redis would.
    pub async fn forget_fast_state(&self) {
        if let Some(redis) = &self.redis {
            // A marker that is still on its way would come back after the flush.
            self.wait_until_marked().await;
            let keys = redis.server.keys(&format!("{}:*", redis.key_prefix));
            if !keys.is_empty() {
                redis.server.delete(&keys);
            }
        }
        self.forget_own_memory();
    }

    /// Loses what the node remembers in its own memory; what Redis holds stays.
    pub fn forget_own_memory(&self) {
        self.with_gateway(|gateway| gateway.app.intake.fast.forget_all());
    }

    /// Waits until Redis holds the marker of every report that was taken.
    pub async fn wait_until_marked(&self) {
        let ids = std::mem::take(&mut *self.not_awaited.lock().unwrap());
        for id in ids {
            wait_until("the marker is in Redis", MARK_WAIT, async || self.is_marked(id)).await;
        }
    }

    /// Waits until Redis holds the marker of a report that was taken in another way than by [`TestApp::post`].
    pub async fn wait_until_marked_id(&self, id: &str) {
        let id = id.parse().unwrap();
        wait_until("the marker is in Redis", MARK_WAIT, async || self.is_marked(id)).await;
    }

    /// Whether Redis holds the marker of a report.
    pub fn is_marked(&self, id: Uuid) -> bool {
        self.find_marker(id).is_some()
    }

    /// The key of the reporter in whose value a report's marker stands.
    pub fn marker_key(&self, id: Uuid) -> Vec<u8> {
        self.find_marker(id).expect("the marker is in Redis").0
    }

    /// Where in that value it stands.
    pub fn marker_place(&self, id: Uuid) -> usize {
        self.find_marker(id).expect("the marker is in Redis").1
    }

    fn find_marker(&self, id: Uuid) -> Option<(Vec<u8>, usize)> {
        let redis = self.redis.as_ref().expect("the engine is Redis");
        let id = ReportId::from_stored(id.as_bytes()).expect("it is the id of a report");
        let mark = self.with_gateway(|gateway| {
            let intake = &gateway.app.intake;
            intake.keys.mark_of_store(&intake.store_epoch.read().unwrap(), id)
        });
        // What stands in the braces is not known here.
        let reporters = redis.server.texts(&format!("{}:{{????}}r*", redis.key_prefix));
        reporters.into_iter().find_map(|(key, value)| {
            let place = value.windows(mark.len()).position(|bytes| bytes == mark)?;
            Some((key, place))
        })
    }

    /// Sends reports of reporters of their own until one of them leaves a marker: the node uses Redis again.
    pub async fn wait_until_redis_is_used(&self) {
        /// Longer than the gateway goes on without Redis after a failure.
        const TRY_FOR: Duration = Duration::from_secs(20);
        /// A marker that does not come within this time was dropped.
        const ONE_MARK_WAIT: Duration = Duration::from_millis(200);
        let started = Instant::now();
        for index in 0.. {
            assert!(started.elapsed() < TRY_FOR, "the gateway does not come back to Redis");
            let body = super::report(&format!("probe-{index}")).with("reporter", super::reporter(90_000 + index));
            let id = self.post(&body).await.expect_status(201).id().parse().unwrap();
            let sent = Instant::now();
            while sent.elapsed() < ONE_MARK_WAIT {
                if self.is_marked(id) {
                    self.not_awaited.lock().unwrap().clear();
                    return;
                }
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        }
    }
}

impl Drop for TestApp {
    fn drop(&mut self) {
        let gateway = self.gateway.get_mut().ok().and_then(Option::take);
        // A failed test leaves its gateway to the end of the process.
        if let Some(gateway) = gateway
            && !std::thread::panicking()
        {
            tokio::task::block_in_place(|| tokio::runtime::Handle::current().block_on(gateway.stop()));
        }
    }
}
