//! Real PostgreSQL servers: one that all tests share, each with a database of its own, and others that a test may break.
//!
//! A database a test and not a schema: the journal is a schema itself.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, LazyLock, Mutex};
use std::time::{Duration, Instant};

use diesel::connection::SimpleConnection;
use diesel::pg::PgConnection;
use diesel::prelude::*;
use rustix::process::{Pid, Signal, kill_process};
use spamgate::store::connection::StoreLocation;

/// How long a server may take to answer its first question.
const START_WAIT: Duration = Duration::from_secs(30);
/// The superuser.
const ADMIN: &str = "postgres";
/// What databases of tests are copied from: the tables of this version.
const TEMPLATE: &str = "spamgate_template";
/// Starts the server and waits for the end of its own input, which comes when the test process ends, however it ends. Then
/// the server and its directory go.
const SUPERVISE: &str = r#"
directory=$1; shift
"$@" </dev/null >>"$directory/log" 2>&1 &
echo $!
cat >/dev/null
# Also what was made to hang: a stopped session hears of nothing else.
for process in $(pgrep -P $!) $!; do kill -KILL "$process"; done 2>/dev/null
wait
[ -e "$directory/keep" ] || rm -rf "$directory"
"#;
/// Speed before durability: a test that kills the server leaves what the system has in memory.
const SETTINGS: &[(&str, &str)] = &[
    ("fsync", "off"),
    ("full_page_writes", "off"),
    ("max_connections", "400"),
    ("shared_buffers", "128MB"),
    ("wal_level", "replica"),
    ("max_wal_senders", "10"),
    ("wal_keep_size", "256MB"),
    ("hot_standby", "on"),
    ("log_min_messages", "warning"),
    // In the directory of its files, so that nothing is left elsewhere when it is killed.
    ("dynamic_shared_memory_type", "mmap"),
    ("max_prepared_transactions", "10"),
];

static SHARED: LazyLock<Arc<PostgresServer>> = LazyLock::new(|| {
    let mut server = PostgresServer::start();
    server.is_shared = true;
    Arc::new(server)
});

/// A PostgreSQL server, reached by a Unix socket and by TCP on this machine.
pub struct PostgresServer {
    directory: PathBuf,
    port: u16,
    settings: Vec<(String, String)>,
    is_shared: bool,
    running: Mutex<Option<Running>>,
    template: Mutex<bool>,
}

struct Running {
    supervisor: Child,
    pid: Pid,
}

/// How a backup is started.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Recovery {
    /// As if the server had crashed.
    SameTimeline,
    /// By recovery to a point in time.
    NewTimeline,
}

/// A database of one test; dropped with it.
pub struct Database {
    server: Arc<PostgresServer>,
    name: String,
}

impl Database {
    /// The URL for `store.url`.
    pub fn url(&self) -> String {
        self.server.url(&self.name)
    }

    /// The server it is on.
    pub fn server(&self) -> &Arc<PostgresServer> {
        &self.server
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// A copy of it. Nobody may be connected.
    #[allow(dead_code, reason = "not every test binary copies")]
    pub fn copy(&self) -> Self {
        self.server.database_from(&self.name)
    }

    /// A session of the superuser.
    pub fn connect(&self) -> PgConnection {
        self.server.connect(&self.name).expect("the server answers")
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        // The shared server ends with the process anyway; this keeps it small. Any other ends now, and may hang.
        if self.server.is_shared
            && let Ok(mut admin) = self.server.connect(ADMIN)
        {
            let _ = admin.batch_execute(&format!("DROP DATABASE IF EXISTS {} WITH (FORCE)", self.name));
        }
    }
}

impl PostgresServer {
    /// The server that all tests share; never stop it.
    pub fn shared() -> Arc<Self> {
        Arc::clone(&SHARED)
    }

    /// A server for one test alone.
    pub fn start() -> Self {
        Self::start_with(&[])
    }

    /// The same with settings of its own.
    pub fn start_with(settings: &[(&str, &str)]) -> Self {
        let server = Self::unstarted(settings);
        run_as_postgres(&program("initdb"))
            .args(["-A", "trust", "-U", ADMIN, "--no-sync", "-E", "UTF8", "--locale=C", "-D"])
            .arg(server.data())
            .stdout(Stdio::null())
            .status()
            .map(|status| assert!(status.success(), "initdb failed"))
            .expect("initdb runs");
        server.start_again();
        server
    }

    fn unstarted(settings: &[(&str, &str)]) -> Self {
        // Short, because the path of a socket has room for 107 bytes. The supervisor removes it.
        let directory = tempfile::Builder::new().prefix("sg-pg-").tempdir_in("/tmp").unwrap().keep();
        give_to_postgres(&directory);
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let settings = SETTINGS.iter().chain(settings).map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        let (running, template) = (Mutex::new(None), Mutex::new(false));
        Self { directory, port, settings: settings.collect(), is_shared: false, running, template }
    }

    /// A replica that streams from this server. It is named `replica_NAME` there.
    pub fn start_replica(&self, name: &str) -> Self {
        let replica = Self::unstarted(&[]);
        let source = format!("host=127.0.0.1 port={} user={ADMIN} application_name=replica_{name}", self.port);
        let status = run_as_postgres(&program("pg_basebackup"))
            .args(["-R", "-X", "stream", "-c", "fast", "--no-sync", "-d", &source, "-D"])
            .arg(replica.data())
            .status();
        assert!(status.expect("pg_basebackup runs").success(), "pg_basebackup failed");
        replica.start_again();
        replica
    }

    /// A copy of the server as a backup taken now gives it, not started.
    pub fn back_up(&self) -> Self {
        let copy = Self::unstarted(&[]);
        let source = format!("host=127.0.0.1 port={} user={ADMIN}", self.port);
        let status = run_as_postgres(&program("pg_basebackup"))
            .args(["-X", "stream", "-c", "fast", "--no-sync", "-d", &source, "-D"])
            .arg(copy.data())
            .status();
        assert!(status.expect("pg_basebackup runs").success(), "pg_basebackup failed");
        copy
    }

    /// Ends the server and puts what `backup` holds in its place, at the same address; started as `recovery` says.
    pub fn restore(&self, backup: &Self, recovery: Recovery) {
        self.kill();
        backup.stop();
        fs::remove_dir_all(self.data()).unwrap();
        fs::rename(backup.data(), self.data()).unwrap();
        if recovery == Recovery::NewTimeline {
            // There is no archive to fetch from.
            fs::write(self.data().join("recovery.signal"), "").unwrap();
            let settings = self.data().join("postgresql.auto.conf");
            let before = fs::read_to_string(&settings).unwrap();
            fs::write(&settings, format!("{before}\nrestore_command = 'false'\n")).unwrap();
        }
        self.start_again();
    }

    /// A dump of a database, as `pg_dump` writes it.
    pub fn dump(&self, database: &str) -> String {
        let output = run_as_postgres(&program("pg_dump")).args(["-d", &self.url(database)]).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let dump = String::from_utf8(output.stdout).unwrap();
        // These two, of newer versions, would have to stand at both ends of every part.
        let is_statement = |line: &&str| !line.starts_with("\\restrict ") && !line.starts_with("\\unrestrict ");
        dump.lines().filter(is_statement).collect::<Vec<_>>().join("\n") + "\n"
    }

    /// Loads a dump into a new database of this name.
    pub fn load(&self, database: &str, dump: &str) {
        self.execute(&format!("CREATE DATABASE {database}"));
        self.load_more(database, dump);
    }

    /// Loads what is left of a dump.
    pub fn load_more(&self, database: &str, dump: &str) {
        let mut psql = run_as_postgres(&program("psql"))
            .args(["-q", "-X", "-v", "ON_ERROR_STOP=1", "-d", &self.url(database)])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        psql.stdin.take().unwrap().write_all(dump.as_bytes()).unwrap();
        assert!(psql.wait().unwrap().success(), "psql failed");
    }

    /// The directory of its files.
    pub fn data(&self) -> PathBuf {
        self.directory.join("data")
    }

    /// Starts the server at the same address, on the data it left.
    pub fn start_again(&self) {
        fs::write(self.directory.join("keep"), "").unwrap();
        let mut supervisor = Command::new("sh");
        supervisor.args(["-c", SUPERVISE, "sh"]).arg(&self.directory);
        for argument in as_postgres(&program("postgres")) {
            supervisor.arg(argument);
        }
        supervisor.arg("-D").arg(self.data()).args(["-p", &self.port.to_string()]);
        let socket = format!("unix_socket_directories={}", self.directory.display());
        supervisor.args(["-c", "listen_addresses=127.0.0.1", "-c", &socket]);
        for (name, value) in &self.settings {
            supervisor.args(["-c", &format!("{name}={value}")]);
        }
        let mut supervisor = supervisor
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            // Out of reach of Ctrl-C: the end of this process is what ends it.
            .process_group(0)
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(supervisor.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let pid = Pid::from_raw(line.trim().parse().unwrap()).unwrap();
        let before = self.running.lock().unwrap().replace(Running { supervisor, pid });
        assert!(before.is_none(), "the server runs already");
        let started = Instant::now();
        while self.connect(ADMIN).is_err() {
            assert!(started.elapsed() < START_WAIT, "postgres does not answer: {}", self.log());
            std::thread::sleep(Duration::from_millis(5));
        }
        // From here on the end of the process takes the directory with it.
        fs::remove_file(self.directory.join("keep")).unwrap();
    }

    /// What the server has logged.
    pub fn log(&self) -> String {
        fs::read_to_string(self.directory.join("log")).unwrap_or_default()
    }

    fn postmaster(&self) -> Pid {
        self.running.lock().unwrap().as_ref().expect("the server runs").pid
    }

    /// Ends the server and all its sessions at once, as `kill -9` does; what was committed stays.
    pub fn kill(&self) {
        self.end(Signal::KILL);
    }

    /// Ends the server as an operator would in a hurry: sessions are cut, what is under way is rolled back.
    pub fn stop(&self) {
        self.end(Signal::INT);
    }

    fn end(&self, signal: Signal) {
        let running = self.running.lock().unwrap().take();
        let Some(mut running) = running else { return };
        fs::write(self.directory.join("keep"), "").unwrap();
        let children = children_of(running.pid);
        kill_process(running.pid, signal).unwrap();
        if signal == Signal::KILL {
            for child in children {
                let _ = kill_process(child, signal);
            }
        }
        let mut input = running.supervisor.stdin.take().unwrap();
        let ended = Instant::now();
        // Its own end, before the supervisor hurries it.
        while fs::exists(format!("/proc/{}", running.pid.as_raw_nonzero())).unwrap_or(false) && !is_zombie(running.pid)
        {
            assert!(ended.elapsed() < START_WAIT, "postgres does not end");
            std::thread::sleep(Duration::from_millis(2));
        }
        let _ = input.flush();
        drop(input);
        running.supervisor.wait().unwrap();
        let _ = fs::remove_file(self.data().join("postmaster.pid"));
    }

    /// Makes the server hang with all its sessions: connections stay open, nothing is answered.
    pub fn hang(&self) {
        let postmaster = self.postmaster();
        kill_process(postmaster, Signal::STOP).unwrap();
        for child in children_of(postmaster) {
            let _ = kill_process(child, Signal::STOP);
        }
    }

    /// Ends the hanging.
    pub fn go_on(&self) {
        let postmaster = self.postmaster();
        for child in children_of(postmaster) {
            let _ = kill_process(child, Signal::CONT);
        }
        kill_process(postmaster, Signal::CONT).unwrap();
    }

    /// From now on a commit waits until the replica of this name has it, too.
    pub fn wait_for_replica(&self, name: &str) {
        self.execute(&format!("ALTER SYSTEM SET synchronous_standby_names = 'replica_{name}'"));
        self.execute("SELECT pg_reload_conf()");
        let asked = Instant::now();
        let is_sync = "SELECT 1 / (SELECT count(*) FROM pg_stat_replication WHERE sync_state = 'sync')";
        while self.connect(ADMIN).unwrap().batch_execute(is_sync).is_err() {
            assert!(asked.elapsed() < START_WAIT, "the replica does not stream");
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Makes a replica the primary.
    pub fn promote(&self) {
        self.execute("SELECT pg_promote(true, 30)");
    }

    /// Where it listens on this machine.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The URL of a database, by the Unix socket.
    pub fn url(&self, database: &str) -> String {
        format!("postgresql://{ADMIN}@/{database}?host={}&port={}", self.directory.display(), self.port)
    }

    /// A session of the superuser.
    pub fn connect(&self, database: &str) -> diesel::ConnectionResult<PgConnection> {
        PgConnection::establish(&self.url(database))
    }

    /// Runs statements as the superuser, outside any test's database.
    pub fn execute(&self, sql: &str) {
        self.connect(ADMIN).unwrap().batch_execute(sql).unwrap_or_else(|error| panic!("{sql}: {error}"));
    }

    /// A database with the tables of this version.
    pub fn create_database(self: &Arc<Self>) -> Database {
        let mut is_made = self.template.lock().unwrap();
        if !*is_made {
            self.execute(&format!("CREATE DATABASE {TEMPLATE}"));
            StoreLocation::new(&self.url(TEMPLATE), Path::new("/nowhere")).unwrap().prepare().unwrap();
            *is_made = true;
        }
        // One at a time: nobody may be connected to the template.
        let database = self.database_from(TEMPLATE);
        drop(is_made);
        database
    }

    /// A database without any table.
    pub fn create_empty_database(self: &Arc<Self>) -> Database {
        self.database_from("template1")
    }

    fn database_from(self: &Arc<Self>, template: &str) -> Database {
        let name = format!("test_{}", uuid::Uuid::now_v7().simple());
        let tried = Instant::now();
        let sql = format!("CREATE DATABASE {name} TEMPLATE {template}");
        // The session that made the template may take a moment to be gone.
        while let Err(error) = self.connect(ADMIN).unwrap().batch_execute(&sql) {
            assert!(tried.elapsed() < START_WAIT, "{error}");
            std::thread::sleep(Duration::from_millis(10));
        }
        Database { server: Arc::clone(self), name }
    }
}

impl Drop for PostgresServer {
    fn drop(&mut self) {
        if let Some(mut running) = self.running.lock().unwrap().take() {
            let children = children_of(running.pid);
            for process in children.into_iter().chain([running.pid]) {
                let _ = kill_process(process, Signal::CONT);
            }
            drop(running.supervisor.stdin.take());
            let _ = running.supervisor.wait();
        }
        let _ = fs::remove_dir_all(&self.directory);
    }
}

fn is_zombie(pid: Pid) -> bool {
    let status = fs::read_to_string(format!("/proc/{}/stat", pid.as_raw_nonzero())).unwrap_or_default();
    status.rsplit_once(") ").is_some_and(|(_, rest)| rest.starts_with('Z'))
}

/// The sessions and helpers of a server. Each has a process group of its own, so they are found by their parent.
fn children_of(parent: Pid) -> Vec<Pid> {
    let wanted = parent.as_raw_nonzero().to_string();
    let processes = fs::read_dir("/proc").unwrap().filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    processes
        .filter(|name| {
            let status = fs::read_to_string(format!("/proc/{name}/stat")).unwrap_or_default();
            status.rsplit_once(") ").and_then(|(_, rest)| rest.split(' ').nth(1)) == Some(&wanted)
        })
        .filter_map(|name| Pid::from_raw(name.parse().ok()?))
        .collect()
}

/// Where a program of PostgreSQL is; Debian keeps most of them out of the path.
fn program(name: &str) -> PathBuf {
    let mut versions: Vec<PathBuf> = fs::read_dir("/usr/lib/postgresql")
        .map(|versions| versions.filter_map(|version| Some(version.ok()?.path().join("bin").join(name))).collect())
        .unwrap_or_default();
    versions.retain(|path| path.exists());
    versions.sort();
    versions
        .pop()
        .unwrap_or_else(|| panic!("these tests need a real PostgreSQL: install the Debian package `postgresql`"))
}

/// The words before a program, so that it runs as the user `postgres` when we are root: it refuses to run as root.
fn as_postgres(program: &Path) -> Vec<PathBuf> {
    let mut words: Vec<PathBuf> = Vec::new();
    if rustix::process::geteuid().is_root() {
        words = ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups"].map(PathBuf::from).to_vec();
    }
    words.push(program.to_owned());
    words
}

fn run_as_postgres(program: &Path) -> Command {
    let words = as_postgres(program);
    let mut command = Command::new(&words[0]);
    command.args(&words[1..]).current_dir("/tmp");
    command
}

fn give_to_postgres(directory: &Path) {
    if rustix::process::geteuid().is_root() {
        let status = Command::new("chown").arg("postgres").arg(directory).status();
        assert!(status.is_ok_and(|status| status.success()), "there is no user `postgres`");
    }
}
