//! Processes of Redis that end with the test, however it ends.

use std::io::{BufRead, BufReader, ErrorKind};
use std::net::TcpListener;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use redis::{Cmd, FromRedisValue};
use rustix::process::{Pid, Signal, kill_process};

/// How long a server may take to answer its first question.
const START_WAIT: Duration = Duration::from_secs(20);
/// How often other ports are drawn when somebody else has taken them in between.
const DRAWS_MAX: usize = 10;
/// How long a question of a test may take.
const ASK_TIMEOUT: Duration = Duration::from_secs(5);
/// Starts the server and waits for the end of its own input, which comes when the test process ends, however it ends.
/// Then the server and its directory go.
const SUPERVISE: &str = r#"
directory=$1
shift
redis-server "$@" >/dev/null 2>&1 &
echo $!
cat >/dev/null
kill -KILL $!
wait
rm -rf "$directory"
"#;
/// What every server is told: nothing is kept on disk.
const FORGETFUL: [&str; 4] = ["--save", "", "--appendonly", "no"];

/// A directory for a server: short, because the path of a socket has room for 107 bytes. The supervisor removes it.
pub fn redis_directory() -> PathBuf {
    tempfile::Builder::new().prefix("sg-redis-").tempdir_in("/tmp").unwrap().keep()
}

/// A server process. Dropping it kills it.
pub struct RedisProcess {
    supervisor: Child,
    pid: Pid,
}

impl RedisProcess {
    /// Starts `redis-server` in its directory, with these arguments.
    pub fn start(directory: &Path, arguments: &[&str]) -> Self {
        let settings = [arguments, &["--dir", directory.to_str().unwrap()], &FORGETFUL].concat();
        Self::start_as_told(directory, &settings)
    }

    /// Starts `redis-server` with these arguments and no others.
    pub fn start_as_told(directory: &Path, arguments: &[&str]) -> Self {
        match Command::new("redis-server").arg("--version").output() {
            Err(error) if error.kind() == ErrorKind::NotFound => {
                panic!("these tests need a real Redis: install the Debian package `redis-server`")
            }
            version => assert!(version.unwrap().status.success(), "redis-server does not run"),
        }
        let mut supervisor = Command::new("sh")
            .args(["-c", SUPERVISE, "sh"])
            .arg(directory)
            .args(arguments)
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
        Self { supervisor, pid }
    }

    /// Connections stay open, nothing is answered.
    pub fn hang(&self) {
        kill_process(self.pid, Signal::STOP).unwrap();
    }

    /// Ends the hanging.
    pub fn go_on(&self) {
        kill_process(self.pid, Signal::CONT).unwrap();
    }
}

impl Drop for RedisProcess {
    fn drop(&mut self) {
        drop(self.supervisor.stdin.take());
        self.supervisor.wait().unwrap();
    }
}

/// A server on a port of 127.0.0.1. Dropping it kills it.
pub struct RedisNode {
    process: RedisProcess,
    pub port: u16,
}

impl RedisNode {
    /// Starts a server on a port that was free, with the arguments that `arguments` makes of the port and another one;
    /// `prepare` may put files into its directory.
    pub fn start(prepare: impl Fn(&Path, u16), arguments: impl Fn(&Path, u16, u16) -> Vec<String>) -> Self {
        for _ in 0..DRAWS_MAX {
            let [port, other] = free_ports();
            let directory = redis_directory();
            prepare(&directory, port);
            let arguments = arguments(&directory, port, other);
            let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
            let node = Self { process: RedisProcess::start_as_told(&directory, &arguments), port };
            if node.answers() {
                return node;
            }
        }
        panic!("no redis-server came up on any of {DRAWS_MAX} ports");
    }

    /// Whether it is this process that answers on the port: in between, another test may have drawn it.
    fn answers(&self) -> bool {
        let started = Instant::now();
        loop {
            let info =
                self.connect().and_then(|mut connection| redis::cmd("INFO").arg("server").query(&mut connection));
            if let Ok::<String, _>(info) = info {
                return info.contains(&format!("process_id:{}\r", self.process.pid.as_raw_nonzero()));
            }
            // A process that has ended answers no signal.
            if kill_process(self.process.pid, Signal::CONT).is_err() {
                return false;
            }
            assert!(started.elapsed() < START_WAIT, "redis-server does not answer");
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    /// What every server on a port is told.
    pub fn common_arguments(directory: &Path, port: u16) -> Vec<String> {
        let own = ["--port".to_owned(), port.to_string(), "--dir".to_owned(), directory.display().to_string()];
        let fixed = ["--bind", "127.0.0.1"].iter().chain(&FORGETFUL).map(|argument| (*argument).to_owned());
        own.into_iter().chain(fixed).collect()
    }

    pub fn hang(&self) {
        self.process.hang();
    }

    pub fn go_on(&self) {
        self.process.go_on();
    }

    /// Host and port, for a URL.
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    fn connect(&self) -> redis::RedisResult<redis::Connection> {
        let client = redis::Client::open(format!("redis://{}", self.address()))?;
        let connection = client.get_connection_with_timeout(ASK_TIMEOUT)?;
        connection.set_read_timeout(Some(ASK_TIMEOUT))?;
        Ok(connection)
    }

    /// Asks this server.
    pub fn ask<T: FromRedisValue>(&self, command: &Cmd) -> T {
        self.try_ask(command).unwrap()
    }

    /// Asks this server, which may be dead or refuse.
    pub fn try_ask<T: FromRedisValue>(&self, command: &Cmd) -> redis::RedisResult<T> {
        command.query(&mut self.connect()?)
    }
}

/// Two ports that nobody listens on.
fn free_ports() -> [u16; 2] {
    let listeners = [(); 2].map(|()| TcpListener::bind("127.0.0.1:0").unwrap());
    listeners.each_ref().map(|listener| listener.local_addr().unwrap().port())
}
