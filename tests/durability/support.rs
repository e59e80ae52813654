//! What the tests share: a seeded source of chance, a gateway as a process or in this one, and a plain HTTP client.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::{Arc, mpsc};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use actix_web::web;
use diesel::prelude::*;
use serde_json::{Value, json};
use spamgate::config::Config;
use spamgate::domain::clock::Clock;
use spamgate::http::app::App;
use spamgate::startup;
use spamgate::store::cases::{self, CaseRow};
use spamgate::store::connection::{Connection, StoreLocation};
use spamgate::store::journal;
use spamgate::store::schema::{builder_cursor, decisions, reports};
use tempfile::TempDir;

use super::postgres_server::{Database, PostgresServer};
use super::redis_server::{AnyRedis, RedisServer};

/// How long anything may take that has to come.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// The seed of a test: `default`, mixed with what `DURABILITY_SEED` says; printed, so that a failure can be run again.
pub fn seed(test: &str, default: u64) -> u64 {
    let asked: u64 = std::env::var("DURABILITY_SEED").ok().and_then(|text| text.parse().ok()).unwrap_or(0);
    println!("{test}: DURABILITY_SEED={asked}");
    default ^ asked << 32
}

/// Chance that comes out the same for the same seed (SplitMix64).
#[derive(Clone)]
pub struct Chance(u64);

impl Chance {
    pub const fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub const fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `end`.
    pub fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.next() % u64::try_from(end).unwrap()).unwrap()
    }

    /// A number from `start` to `end`, both possible.
    pub fn between(&mut self, start: usize, end: usize) -> usize {
        start + self.below(end - start + 1)
    }

    /// True in `percent` of a hundred cases.
    pub fn happens(&mut self, percent: usize) -> bool {
        self.below(100) < percent
    }

    pub fn pick<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        &from[self.below(from.len())]
    }
}

/// A Vietnamese mobile number in national form, the `n`th of a series that has no two alike.
pub fn mobile(n: usize) -> String {
    const PREFIXES: [&str; 8] = ["032", "056", "070", "086", "090", "091", "093", "098"];
    format!("{}{:07}", PREFIXES[n % PREFIXES.len()], (n / PREFIXES.len() + 1) * 7_919 % 10_000_000)
}

// A plain HTTP/1.1 client: the tests have to know exactly what was sent and when.

/// An answer.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub head: String,
    pub body: Vec<u8>,
}

impl Answer {
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or(Value::Null)
    }

    /// The stable code of a problem document.
    pub fn code(&self) -> String {
        self.json()["code"].as_str().unwrap_or_default().to_owned()
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| {
            let (found, value) = line.split_once(':')?;
            found.eq_ignore_ascii_case(name).then(|| value.trim())
        })
    }

    pub fn text(&self, field: &str) -> String {
        self.json()[field].as_str().unwrap_or_default().to_owned()
    }
}

/// A client with one connection, opened again when it broke.
pub struct Client {
    address: SocketAddr,
    pub key: String,
    stream: Option<BufReader<TcpStream>>,
}

impl Client {
    pub fn new(address: SocketAddr, key: &str) -> Self {
        Self { address, key: key.to_owned(), stream: None }
    }

    /// Writes a request and leaves the connection for whoever reads the answer.
    pub fn write(&mut self, method: &str, target: &str, headers: &[(&str, &str)], body: &[u8]) -> io::Result<()> {
        let request = self.request(method, target, headers, body);
        self.connect()?.write_all(&request)
    }

    /// Writes a request to post `body`, but only the first `length` bytes of the body itself.
    pub fn write_part(&mut self, target: &str, body: &[u8], length: usize) -> io::Result<()> {
        let request = self.request("POST", target, &[], body);
        let end = request.len() - body.len() + length;
        self.connect()?.write_all(&request[..end])
    }

    fn connect(&mut self) -> io::Result<&mut TcpStream> {
        if self.stream.is_none() {
            let stream = TcpStream::connect_timeout(&self.address, Duration::from_secs(5))?;
            stream.set_read_timeout(Some(PATIENCE))?;
            stream.set_nodelay(true)?;
            self.stream = Some(BufReader::new(stream));
        }
        Ok(self.stream.as_mut().unwrap().get_mut())
    }

    fn request(&self, method: &str, target: &str, headers: &[(&str, &str)], body: &[u8]) -> Vec<u8> {
        let has = |wanted: &str| headers.iter().any(|(name, _)| name.eq_ignore_ascii_case(wanted));
        let mut head = format!("{method} {target} HTTP/1.1\r\nhost: localhost\r\n");
        if !has("authorization") {
            head += &format!("authorization: Bearer {}\r\n", self.key);
        }
        if method == "POST" {
            if !has("content-type") {
                head += "content-type: application/json\r\n";
            }
            head += &format!("content-length: {}\r\n", body.len());
        }
        for (name, value) in headers {
            head += &format!("{name}: {value}\r\n");
        }
        [head.as_bytes(), b"\r\n", body].concat()
    }

    pub fn read(&mut self) -> io::Result<Answer> {
        let stream = self.stream.as_mut().ok_or(io::ErrorKind::NotConnected)?;
        let mut head = String::new();
        loop {
            let before = head.len();
            if stream.read_line(&mut head)? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            if head[before..].trim().is_empty() {
                break;
            }
        }
        let status = head.split(' ').nth(1).and_then(|word| word.parse().ok()).ok_or(io::ErrorKind::InvalidData)?;
        let mut answer = Answer { status, head, body: Vec::new() };
        let length = answer.header("content-length").map_or(0, |text| text.parse().unwrap());
        answer.body = vec![0; length];
        stream.read_exact(&mut answer.body)?;
        if answer.header("connection").is_some_and(|value| value.eq_ignore_ascii_case("close")) {
            self.stream = None;
        }
        Ok(answer)
    }

    /// Sends a request and reads its answer. After an error nobody knows what became of it.
    pub fn send(&mut self, method: &str, target: &str, headers: &[(&str, &str)], body: &[u8]) -> io::Result<Answer> {
        let outcome = self.write(method, target, headers, body).and_then(|()| self.read());
        if outcome.is_err() {
            self.stream = None;
        }
        outcome
    }

    pub fn post(&mut self, body: &[u8]) -> io::Result<Answer> {
        self.send("POST", "/v1/reports", &[], body)
    }

    pub fn post_mobile_abuse(&mut self, body: &[u8]) -> io::Result<Answer> {
        self.send("POST", "/v1/mobile-abuse", &[], body)
    }

    pub fn get(&mut self, target: &str) -> io::Result<Answer> {
        self.send("GET", target, &[], &[])
    }

    /// Closes the connection, whatever is under way.
    pub fn leave(&mut self) {
        self.stream = None;
    }
}

// A gateway as a process of its own.

/// A directory for a gateway's data, and one for what it prints; with a database when the store is PostgreSQL.
pub struct Place {
    pub root: TempDir,
    pub data: PathBuf,
    pub database: Option<Database>,
    pub redis: Option<Redis>,
    starts: usize,
}

/// A part of a Redis server, for one test alone.
pub struct Redis {
    pub server: Arc<RedisServer>,
    prefix: String,
}

impl Redis {
    /// As a restart without its data would.
    pub fn forget(&self) {
        let keys = self.server.keys(&format!("{}:*", self.prefix));
        if !keys.is_empty() {
            self.server.delete(&keys);
        }
    }
}

/// Makes each test run once on every engine, as `name::sqlite_memory`, `name::postgresql_redis` and so on.
macro_rules! on_every_engine {
    ($($(#[$meta:meta])* fn $name:ident($place:ident: Place) $body:block)+) => {$(
        $(#[$meta])*
        mod $name {
            use super::*;

            fn promise(#[allow(unused_mut, reason = "a test may start nothing")] mut $place: Place) $body

            #[test]
            fn sqlite_memory() {
                promise(Place::new());
            }

            #[test]
            fn sqlite_redis() {
                promise(Place::new().with_redis());
            }

            #[test]
            fn postgresql_memory() {
                promise(Place::on_postgresql());
            }

            #[test]
            fn postgresql_redis() {
                promise(Place::on_postgresql().with_redis());
            }
        }
    )+};
}
pub(crate) use on_every_engine;

impl Place {
    pub fn new() -> Self {
        let root = TempDir::with_prefix("spamgate-durability-").unwrap();
        let data = root.path().join("data");
        Self { root, data, database: None, redis: None, starts: 0 }
    }

    /// A place whose store is a database of the server that all tests share.
    pub fn on_postgresql() -> Self {
        Self::on(PostgresServer::shared().create_database())
    }

    pub fn on(database: Database) -> Self {
        Self { database: Some(database), ..Self::new() }
    }

    /// The same with the fast state in the Redis that all tests share.
    pub fn with_redis(self) -> Self {
        self.with_redis_on(RedisServer::shared())
    }

    pub fn with_redis_on(self, server: Arc<RedisServer>) -> Self {
        let prefix = format!("durability-{}", uuid::Uuid::now_v7());
        Self { redis: Some(Redis { server, prefix }), ..self }
    }

    /// The settings that name the engines.
    fn engines(&self) -> Vec<(&'static str, String)> {
        let mut settings = vec![("SPAMGATE__STORE__URL", self.store_url())];
        if let Some(redis) = &self.redis {
            settings.push(("SPAMGATE__FAST__URL", redis.server.url()));
            settings.push(("SPAMGATE__FAST__KEY_PREFIX", redis.prefix.clone()));
        }
        settings
    }

    /// `store.url`.
    pub fn store_url(&self) -> String {
        self.database.as_ref().map_or_else(|| "sqlite:".to_owned(), Database::url)
    }

    /// A command of the program on this data. It dies with the thread that starts it, if the machine has `setpriv`.
    fn command(&self, arguments: &[&str]) -> Command {
        let program = env!("CARGO_BIN_EXE_spamgate");
        let mut command = if Path::new("/usr/bin/setpriv").exists() {
            let mut command = Command::new("/usr/bin/setpriv");
            command.args(["--pdeathsig=KILL", program]);
            command
        } else {
            Command::new(program)
        };
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("SPAMGATE__") {
                command.env_remove(name);
            }
        }
        command.envs(self.engines());
        command.arg("--data").arg(&self.data).args(arguments).stdin(Stdio::null());
        command
    }

    /// Runs a command of the program that must succeed.
    pub fn run(&self, arguments: &[&str]) -> Output {
        let output = self.command(arguments).output().unwrap();
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        output
    }

    /// `spamgate cases list --json`.
    pub fn list_cases(&self) -> Vec<Value> {
        serde_json::from_slice(&self.run(&["cases", "list", "--json"]).stdout).unwrap()
    }

    pub fn location(&self) -> StoreLocation {
        StoreLocation::new(&self.store_url(), &self.data).unwrap()
    }

    pub fn connection(&self) -> Connection {
        self.location().open().unwrap()
    }

    /// Starts a gateway and does not wait for it.
    pub fn spawn(&mut self, settings: &[(&str, &str)]) -> Server {
        self.starts += 1;
        let is_first = !self.data.join("keys").exists();
        let stdout = self.root.path().join(format!("stdout-{}", self.starts));
        let stderr = self.root.path().join(format!("stderr-{}", self.starts));
        let child = self
            .command(&["serve", "--listen", "127.0.0.1:0", "--ops-listen", "127.0.0.1:0"])
            .envs(settings.iter().copied())
            .stdout(File::create(&stdout).unwrap())
            .stderr(File::create(&stderr).unwrap())
            .spawn()
            .unwrap();
        let nowhere = SocketAddr::from(([127, 0, 0, 1], 0));
        Server { child, stdout, stderr, address: nowhere, ops_address: nowhere, api_key: None, is_first }
    }

    /// Starts a gateway and waits until it takes reports.
    pub fn start(&mut self, settings: &[(&str, &str)]) -> Server {
        let mut server = self.spawn(settings);
        server.wait_until_ready();
        server
    }

    /// A copy of the data as it lies there, for tampering. Nobody may be connected to a database.
    pub fn copy(&self) -> Self {
        let copy = self.database.as_ref().map_or_else(Self::new, |database| Self::on(database.copy()));
        copy_directory(&self.data, &copy.data);
        copy
    }
}

pub fn copy_directory(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy_directory(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}

/// A gateway that runs; killed when dropped.
pub struct Server {
    child: Child,
    pub stdout: PathBuf,
    pub stderr: PathBuf,
    pub address: SocketAddr,
    pub ops_address: SocketAddr,
    /// Of the carrier `local`, shown at the first start alone.
    pub api_key: Option<String>,
    /// There were no data before.
    is_first: bool,
}

impl Server {
    fn wait_until_ready(&mut self) {
        let began = Instant::now();
        loop {
            let (out, err) = (self.printed(), self.logged());
            let address = address_after(&out, "spamgate takes reports on http://");
            let ops_address = address_after(&err, "ops.address");
            if let (Some(address), Some(ops_address)) = (address, ops_address) {
                self.address = address;
                self.ops_address = ops_address;
                self.api_key = out.lines().map(str::trim).find(|line| line.starts_with("sgk_")).map(str::to_owned);
                // The first greeting has more lines to come.
                if !self.is_first || out.contains("Then: spamgate cases list") {
                    return;
                }
            }
            if let Some(status) = self.child.try_wait().unwrap() {
                panic!("the gateway ended with {status} before it took reports:\n{err}");
            }
            assert!(began.elapsed() < PATIENCE, "the gateway does not start:\n{out}\n{err}");
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    pub fn printed(&self) -> String {
        String::from_utf8_lossy(&fs::read(&self.stdout).unwrap()).into_owned()
    }

    pub fn logged(&self) -> String {
        String::from_utf8_lossy(&fs::read(&self.stderr).unwrap()).into_owned()
    }

    pub fn is_running(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    /// `kill -9`, and waits until the process is gone.
    pub fn kill(&mut self) {
        let _ = self.child.kill();
        self.child.wait().unwrap();
    }

    pub fn send_sigterm(&self) {
        let id = rustix::process::Pid::from_raw(i32::try_from(self.child.id()).unwrap()).unwrap();
        rustix::process::kill_process(id, rustix::process::Signal::TERM).unwrap();
    }

    /// Waits for the end; how it ended.
    pub fn wait(&mut self) -> ExitStatus {
        let began = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            assert!(began.elapsed() < PATIENCE, "the gateway does not end:\n{}", self.logged());
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Stops it as an operator would.
    pub fn terminate(&mut self) {
        self.send_sigterm();
        let status = self.wait();
        assert!(status.success(), "the gateway ended with {status}:\n{}", self.logged());
    }

    pub fn client(&self, key: &str) -> Client {
        Client::new(self.address, key)
    }

    pub fn operator(&self) -> Client {
        Client::new(self.ops_address, "")
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn address_after(text: &str, mark: &str) -> Option<SocketAddr> {
    let rest = &text[text.find(mark)? + mark.len()..];
    let from = rest.find(|character: char| character.is_ascii_digit())?;
    let rest = &rest[from..];
    // Only when something follows is it known to be whole.
    let end = rest.find(|character: char| !(character.is_ascii_digit() || matches!(character, '.' | ':')))?;
    rest[..end].parse().ok()
}

// A gateway in this process, with a clock that the test turns.

/// A gateway on a thread of its own; stopped when dropped.
pub struct InProcess {
    pub app: web::Data<App>,
    pub address: SocketAddr,
    pub api_key: Option<String>,
    stop: Option<tokio::sync::oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl InProcess {
    pub fn start(place: &Place, clock: &Clock, settings: &[(&str, &str)]) -> Self {
        let mut pairs = vec![
            ("SPAMGATE__SERVER__LISTEN".to_owned(), "127.0.0.1:0".to_owned()),
            ("SPAMGATE__SERVER__OPS_LISTEN".to_owned(), "127.0.0.1:0".to_owned()),
        ];
        pairs.extend(place.engines().into_iter().map(|(name, value)| (name.to_owned(), value)));
        pairs.extend(settings.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
        let config = Config::load(None, pairs.into_iter()).unwrap();
        let (data, clock) = (place.data.clone(), clock.clone());
        let (ready, started) = mpsc::channel();
        let (stop, stopped) = tokio::sync::oneshot::channel();
        let thread = std::thread::spawn(move || {
            actix_web::rt::System::new().block_on(async move {
                let gateway = startup::start(&config, &data, clock).await.unwrap();
                let key = gateway.first_carrier.as_ref().map(|carrier| carrier.api_key.as_str().to_owned());
                ready.send((gateway.app.clone(), gateway.address.unwrap(), key)).unwrap();
                let _ = stopped.await;
                gateway.stop().await;
            });
        });
        let (app, address, api_key) = started.recv().expect("the gateway starts");
        Self { app, address, api_key, stop: Some(stop), thread: Some(thread) }
    }
}

impl Drop for InProcess {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let ended = thread.join();
            assert!(ended.is_ok() || std::thread::panicking(), "the gateway's thread panicked");
        }
    }
}

// Looking into the store.

/// Waits until every row of the journal is built in.
pub fn wait_until_built(connection: &mut Connection) {
    let began = Instant::now();
    loop {
        let last = journal::find_last_seq(connection).unwrap();
        let cursor = builder_cursor::table.select(builder_cursor::seq).first::<i64>(connection).unwrap();
        if cursor == last {
            return;
        }
        assert!(began.elapsed() < PATIENCE, "the builder stands at {cursor} of {last}");
        std::thread::sleep(Duration::from_millis(3));
    }
}

/// How many rows the journal holds, and the report ids in it.
pub fn journal_ids(connection: &mut Connection) -> BTreeMap<Vec<u8>, usize> {
    let mut rows = BTreeMap::new();
    for id in reports::table.select(reports::report_id).load::<Vec<u8>>(connection).unwrap() {
        *rows.entry(id).or_default() += 1;
    }
    rows
}

/// Everything that `cases list` and `cases show` say, by reference.
pub fn snapshot(connection: &mut Connection) -> BTreeMap<String, Value> {
    let mut rows = BTreeMap::new();
    for case in cases::list_cases(connection, i64::MAX).unwrap() {
        rows.insert(case.reference.clone(), case_as_json(&case));
    }
    for (reference, row) in &mut rows {
        let (_, decided) = cases::find_case(connection, reference).unwrap().unwrap();
        row["decisions"] = decided
            .iter()
            .map(|decision| json!([decision.verdict, decision.reason, decision.decided_by, decision.decided_at]))
            .collect();
    }
    let decisions = decisions::table.count().get_result::<i64>(connection).unwrap();
    rows.insert("number of decisions".to_owned(), json!(decisions));
    rows
}

pub fn case_as_json(case: &CaseRow) -> Value {
    json!({
        "status": case.status,
        "category": case.category,
        "sender_kind": case.sender_kind,
        "reports": case.reports,
        "repeats": case.repeats,
        "voices": case.voices,
        "foreign_voices": case.foreign_voices,
        "counter_voices": case.counter_voices,
        "sms": case.sms,
        "calls": case.calls,
        "by_source": [case.carrier_api, case.carrier_batch, case.carrier_mo, case.web],
        "money_lost": case.money_lost,
        "first_report_at": case.first_report_at,
        "last_report_at": case.last_report_at,
    })
}

/// The 16 bytes of an id as the API writes it.
pub fn id_bytes(id: &str) -> Vec<u8> {
    uuid::Uuid::parse_str(id).unwrap().as_bytes().to_vec()
}

/// A report that nothing is wrong with.
pub fn report(report_id: &str, reporter: &str, sender: &str) -> Value {
    json!({
        "report_id": report_id,
        "reporter": reporter,
        "sender": sender,
        "channel": "sms",
        "category": "scam",
        "content": "Tai khoan cua ban bi khoa, bam vao duong dan de mo",
        "occurred_at": now_rfc3339(),
    })
}

pub fn now_rfc3339() -> String {
    Clock::System.now().to_rfc3339()
}

/// Whether the machine has a program.
pub fn has_program(name: impl AsRef<OsStr>) -> bool {
    Command::new(name).arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok()
}
