//! Real Redis servers: one that all tests share, and others that a test may kill.

use std::path::PathBuf;
use std::sync::{Arc, LazyLock, Mutex};
use std::time::{Duration, Instant};

use redis::{Cmd, FromRedisValue};

use super::redis_process::{RedisProcess, redis_directory};

/// How long a server may take to answer its first question.
const START_WAIT: Duration = Duration::from_secs(20);

/// The server that all tests share, each with a prefix of its own.
static SHARED: LazyLock<Arc<RedisServer>> = LazyLock::new(|| Arc::new(RedisServer::start()));

/// What a gateway under test may stand beside: a server, Sentinels with theirs, a Cluster.
pub trait AnyRedis: Send + Sync {
    /// The URL for `fast.url`.
    fn url(&self) -> String;
    /// All keys of this pattern.
    fn keys(&self, pattern: &str) -> Vec<Vec<u8>>;
    /// All texts whose keys are of this pattern, with the keys.
    fn texts(&self, pattern: &str) -> Vec<(Vec<u8>, Vec<u8>)>;
    /// Deletes keys.
    fn delete(&self, keys: &[Vec<u8>]);
}

/// Asks a server for [`AnyRedis::texts`].
pub fn texts_of(pattern: &str) -> redis::Cmd {
    const SCRIPT: &str = "local texts = {} \
        for _, key in ipairs(redis.call('KEYS', ARGV[1])) do \
            local text = redis.pcall('GET', key) \
            if type(text) == 'string' then texts[#texts + 1] = key; texts[#texts + 1] = text end \
        end \
        return texts";
    let mut command = redis::cmd("EVAL");
    command.arg(SCRIPT).arg(0).arg(pattern);
    command
}

/// A Redis server, reached by a Unix socket.
pub struct RedisServer {
    directory: PathBuf,
    running: Mutex<Option<RedisProcess>>,
}

impl RedisServer {
    /// The server that all tests share; never stop it.
    pub fn shared() -> Arc<Self> {
        Arc::clone(&SHARED)
    }

    /// A server for one test alone.
    pub fn start() -> Self {
        let server = Self { directory: redis_directory(), running: Mutex::new(None) };
        server.start_again();
        server
    }

    /// Starts an empty server at the same address.
    pub fn start_again(&self) {
        std::fs::create_dir_all(&self.directory).unwrap();
        let socket = self.socket();
        let arguments = ["--port", "0", "--unixsocket", socket.to_str().unwrap()];
        let running = RedisProcess::start(&self.directory, &arguments);
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
        drop(self.running.lock().unwrap().take());
    }

    /// Makes the server hang: connections stay open, nothing is answered.
    pub fn hang(&self) {
        self.running.lock().unwrap().as_ref().expect("the server runs").hang();
    }

    /// Ends the hanging.
    pub fn go_on(&self) {
        self.running.lock().unwrap().as_ref().expect("the server runs").go_on();
    }

    /// The path of its socket.
    pub fn socket(&self) -> PathBuf {
        self.directory.join("redis.sock")
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

    /// Sets a setting of the server.
    pub fn configure(&self, setting: &str, value: &str) {
        let _: String = self.ask(redis::cmd("CONFIG").arg("SET").arg(setting).arg(value));
    }
}

impl AnyRedis for RedisServer {
    fn url(&self) -> String {
        format!("redis+unix://{}", self.socket().display())
    }

    fn keys(&self, pattern: &str) -> Vec<Vec<u8>> {
        self.ask(redis::cmd("KEYS").arg(pattern))
    }

    fn texts(&self, pattern: &str) -> Vec<(Vec<u8>, Vec<u8>)> {
        self.ask(&texts_of(pattern))
    }

    fn delete(&self, keys: &[Vec<u8>]) {
        let _: i64 = self.ask(redis::cmd("DEL").arg(keys));
    }
}
