//! Real Redis servers: one that all tests share, and others that a test may kill.

use std::io::{BufRead, BufReader, ErrorKind};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, LazyLock, Mutex};
use std::time::{Duration, Instant};

use redis::{Cmd, FromRedisValue};
use rustix::process::{Pid, Signal, kill_process};

/// How long a server may take to answer its first question.
const START_WAIT: Duration = Duration::from_secs(20);
/// Starts the server and waits for the end of its own input, which comes when the test process ends, however it ends.
/// Then the server and its directory go.
const SUPERVISE: &str = r#"
redis-server --port 0 --unixsocket "$1/redis.sock" --dir "$1" --save "" --appendonly no >/dev/null 2>&1 &
echo $!
cat >/dev/null
kill -KILL $!
wait
rm -rf "$1"
"#;

/// The server that all tests share, each with a prefix of its own.
static SHARED: LazyLock<Arc<RedisServer>> = LazyLock::new(|| Arc::new(RedisServer::start()));

/// A Redis server, reached by a Unix socket.
pub struct RedisServer {
    directory: PathBuf,
    running: Mutex<Option<Running>>,
}

struct Running {
    supervisor: Child,
    pid: Pid,
}

impl RedisServer {
    /// The server that all tests share; never stop it.
    pub fn shared() -> Arc<Self> {
        Arc::clone(&SHARED)
    }

    /// A server for one test alone.
    pub fn start() -> Self {
        // Short, because the path of a socket has room for 107 bytes. The supervisor removes it.
        let directory = tempfile::Builder::new().prefix("sg-redis-").tempdir_in("/tmp").unwrap().keep();
        let server = Self { directory, running: Mutex::new(None) };
        server.start_again();
        server
    }

    /// Starts an empty server at the same address.
    pub fn start_again(&self) {
        std::fs::create_dir_all(&self.directory).unwrap();
        let running = run(&self.directory);
        let before = self.running.lock().unwrap().replace(running);
        assert!(before.is_none(), "the server runs already");
        let started = Instant::now();
        while self.connect().is_err() {
            assert!(started.elapsed() < START_WAIT, "redis-server does not answer");
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    /// Ends the server as `kill -9` does; all it knew is lost.
    pub fn kill(&self) {
        let running = self.running.lock().unwrap().take();
        if let Some(mut running) = running {
            drop(running.supervisor.stdin.take());
            running.supervisor.wait().unwrap();
        }
    }

    /// Makes the server hang: connections stay open, nothing is answered.
    pub fn hang(&self) {
        self.signal(Signal::STOP);
    }

    /// Ends the hanging.
    pub fn go_on(&self) {
        self.signal(Signal::CONT);
    }

    fn signal(&self, signal: Signal) {
        let running = self.running.lock().unwrap();
        kill_process(running.as_ref().expect("the server runs").pid, signal).unwrap();
    }

    /// The URL for `fast.url`.
    pub fn url(&self) -> String {
        format!("redis+unix://{}/redis.sock", self.directory.display())
    }

    fn connect(&self) -> redis::RedisResult<redis::Connection> {
        let mut connection = redis::Client::open(self.url())?.get_connection()?;
        redis::cmd("PING").query::<String>(&mut connection)?;
        Ok(connection)
    }

    /// Asks the server.
    pub fn ask<T: FromRedisValue>(&self, command: &Cmd) -> T {
        command.query(&mut self.connect().unwrap()).unwrap()
    }
}

impl Drop for RedisServer {
    fn drop(&mut self) {
        self.kill();
    }
}

fn run(directory: &Path) -> Running {
    match Command::new("redis-server").arg("--version").output() {
        Err(error) if error.kind() == ErrorKind::NotFound => {
            panic!("these tests need a real Redis: install the Debian package `redis-server`")
        }
        version => assert!(version.unwrap().status.success(), "redis-server does not run"),
    }
    let mut supervisor = Command::new("sh")
        .args(["-c", SUPERVISE, "sh"])
        .arg(directory)
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
    Running { supervisor, pid }
}
